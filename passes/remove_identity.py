"""Nodes that hand their input on unchanged."""

from __future__ import annotations

from symgraph.core.graph import Graph, constant_array, node_graphs
from symgraph.core.tensor import Node, Operand
from symgraph.passes.bodies import rewrite_bodies


def remove_identity(graph: Graph) -> Graph:
    """Identity(x) -> x; Dropout(x) -> x outside of training, where nobody asks for its mask; in bodies as well."""
    return graph.rewrite(_input_of_identity, operators={"Identity", "Dropout"})


def _input_of_identity(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    if node_graphs(node):
        return rewrite_bodies(node, operands, remove_identity)
    if node.op.domain or not operands or operands[0] is None:
        return None
    if node.op.name == "Identity" or (node.op.name == "Dropout" and _is_inactive(node, operands)):
        return (operands[0], *(None for _ in node.outputs[1:]))
    return None


def _is_inactive(dropout: Node, operands: tuple[Operand | None, ...]) -> bool:
    if any(mask is not None for mask in dropout.outputs[1:]):
        return False
    if len(operands) < 3 or operands[2] is None:
        return dropout.op.version >= 7 or bool(dropout.attributes.get("is_test", 0))
    training = constant_array(operands[2])
    return training is not None and not training.any()
