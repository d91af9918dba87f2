"""Operators of any number of operands that have one or two."""

from __future__ import annotations

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.passes.bodies import rewrite_bodies
from symgraph.runtime.opsets import choose_opsets

Outputs = tuple[Operand | None, ...]


def simplify_sums(graph: Graph) -> Graph:
    """Sum(x) -> x, and so Max, Min and Mean; Sum(x, y) -> Add(x, y), which more passes know."""
    opset = choose_opsets(graph)[""]

    def simplify(node: Node, operands: Outputs) -> Outputs | None:
        if node_graphs(node):
            return rewrite_bodies(node, operands, simplify_sums)
        if node.op.domain or any(x is None for x in operands):
            return None
        if len(operands) == 1:
            return operands
        if node.op.name == "Sum" and len(operands) == 2 and node.op.version >= 8:
            return (apply_op(find_op("Add", "", opset), *operands),)
        return None

    return graph.rewrite(simplify, operators={"Sum", "Max", "Min", "Mean"})
