"""Constants that a body reads from the graph around it."""

from __future__ import annotations

from symgraph.core.graph import Graph, copy_node
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies


def bind_constants(graph: Graph) -> Graph:
    """If(body with c from outside) -> If(body with its value), for constants c; of Loop and Scan as well."""
    return graph.rewrite(_bind, operators=())


def _bind(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    values = {i: x for i, x in enumerate(operands[len(node.inputs):]) if isinstance(x, Tensor)}
    graphs = {name: value for name, value in node.attributes.items() if isinstance(value, Graph)}
    if node.body is not None or len(graphs) < len(node.subgraphs()):
        return None
    bound = {name: _with_values(body, values) if values else body for name, body in graphs.items()}
    if any(bound[name] is not body for name, body in graphs.items()):
        return copy_node(node, operands, {**node.attributes, **bound}).outputs
    return rewrite_bodies(node, operands, bind_constants)


def _with_values(body: Graph, values: dict[int, Tensor]) -> Graph:
    """The body with constants in the place of what it captures; a result that is captured stays."""
    replaced: dict[Operand, Operand] = {body.captures[i]: x for i, x in values.items()}
    read = {x for node in body.nodes for x in node.operands if x is not None}
    return body.rewrite(lambda node, operands: None, replaced) if not read.isdisjoint(replaced) else body
