"""Variables become constants."""

from __future__ import annotations

from collections.abc import Iterable

from symgraph.core.graph import Graph
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.passes.bodies import rewrite_bodies


def freeze(graph: Graph, keep: Iterable[Variable] = ()) -> Graph:
    """`%w` -> its present value, in subgraphs as well; the variables `keep` stay."""
    kept = frozenset(keep)
    variables = [v for v in graph.variables if v not in kept]
    if not variables:
        return graph
    return _freeze(graph, {v: Tensor(v.numpy(), name=v.name) for v in variables})


def _freeze(graph: Graph, values: dict[Operand, Operand]) -> Graph:
    return graph.rewrite(
        lambda node, operands: rewrite_bodies(node, operands, lambda body: _freeze(body, values)), dict(values))
