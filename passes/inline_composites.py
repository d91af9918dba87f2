"""Composite ops become what they are made of."""

from __future__ import annotations

from symgraph.core.composite import DOMAIN
from symgraph.core.graph import Graph, copy_node, node_graphs
from symgraph.core.tensor import Node, Operand
from symgraph.passes.bodies import rewrite_bodies


def inline_composites(graph: Graph) -> Graph:
    """f(x) -> the body of f on x, for every composite of symgraph, fused regions too; in subgraphs as well."""
    return graph.rewrite(_inlined)


def _inlined(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    if node.body is None or node.op.domain != DOMAIN:
        has_graphs = any(True for _ in node_graphs(node))
        return rewrite_bodies(node, operands, inline_composites) if has_graphs else None
    body = node.body
    mapping: dict[Operand, Operand | None] = dict(zip((*body.inputs, *body.captures), operands, strict=True))
    for inner in body.nodes:
        moved = tuple(None if x is None else mapping.get(x, x) for x in inner.operands)
        results = _inlined(inner, moved) or copy_node(inner, moved).outputs
        mapping.update((old, new) for old, new in zip(inner.outputs, results, strict=True) if old is not None)
    results = tuple(mapping.get(x, x) for x in body.outputs)
    return tuple(None if old is None else new for old, new in zip(node.outputs, results, strict=True))
