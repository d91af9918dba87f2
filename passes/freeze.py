"""Variables become constants."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from symgraph.core.graph import Graph, copy_node
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor


def freeze(graph: Graph) -> Graph:
    """`%w` -> its present value, in subgraphs as well."""
    variables = graph.variables
    if not variables:
        return graph
    return _freeze(graph, {v: Tensor(v.numpy(), name=v.name) for v in variables})


def _freeze(graph: Graph, values: dict[Operand, Operand]) -> Graph:
    def freeze_subgraphs(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Any, ...] | None:
        bodies = dict(node.subgraphs())
        if not bodies and node.body is None:
            return None
        frozen = {name: _freeze(body, values) for name, body in bodies.items()}
        body = None if node.body is None else _freeze(node.body, values)
        if body is node.body and all(frozen[name] is bodies[name] for name in bodies):
            return None
        return copy_node(node, operands, MappingProxyType({**node.attributes, **frozen}), body).outputs

    return graph.rewrite(freeze_subgraphs, values)
