"""If with a condition that is known."""

from __future__ import annotations

from symgraph.core.graph import Graph, constant_array, copy_node, node_graphs
from symgraph.core.tensor import Node, Operand
from symgraph.passes.bodies import rewrite_bodies


def inline_branches(graph: Graph) -> Graph:
    """If(true, then, else) -> then; If(false, then, else) -> else."""
    return graph.rewrite(_inline, operators={"If"})


def _inline(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    if not any(True for _ in node_graphs(node)):
        return None
    condition = operands[0] if operands else None
    known = None if condition is None or node.op.name != "If" or node.op.domain else constant_array(condition)
    if known is None:
        return rewrite_bodies(node, operands, inline_branches)
    branch = dict(node.subgraphs())["then_branch" if known.item() else "else_branch"]
    return _recorded(branch, operands[len(node.inputs):])


def _recorded(branch: Graph, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...]:
    """The results of a branch in its surroundings; nothing is run, so that random nodes stay random."""
    mapping: dict[Operand, Operand | None] = dict(zip(branch.captures, operands, strict=True))
    for inner in branch.nodes:
        copy = copy_node(inner, tuple(None if x is None else mapping.get(x, x) for x in inner.operands))
        mapping.update((old, new) for old, new in zip(inner.outputs, copy.outputs, strict=True) if old is not None)
    return tuple(mapping.get(x, x) for x in branch.outputs)
