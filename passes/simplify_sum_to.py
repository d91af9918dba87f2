"""Gradients summed to the shape of an operand that was, as it turns out, never broadcast."""

from __future__ import annotations

from symgraph.core.composite import DOMAIN
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.tensor import Node, Operand
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.known_shapes import KnownShapes


def simplify_sum_to(graph: Graph) -> Graph:
    """SumTo(dx, x) -> dx, where both have the same shape whatever the open dimensions are."""
    if not graph.with_graphs:
        return graph
    sizes = KnownShapes(graph)

    def simplify(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        sizes.visit(node)
        if node.op.name != "SumTo" or node.op.domain != DOMAIN:
            return rewrite_bodies(node, operands, simplify_sum_to) if node_graphs(node) else None
        dx, x = node.inputs
        wanted = sizes.shape(x)
        sizes.shapes[node.output] = wanted
        return (operands[0],) if wanted is not None and sizes.shape(dx) == wanted else None

    return graph.rewrite(simplify)
