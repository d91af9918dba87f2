"""The gradient of SequenceMap: the gradient of its body, mapped over the elements and their gradients."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.autodiff.backward import backpropagate
from symgraph.autodiff.bodies import Found, body_gradient
from symgraph.core.gradient import Application, gradient_of
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import SequenceType
from symgraph.ops.applying import apply
from symgraph.ops.indexing_gradient import blank
from symgraph.ops.sizes import ints
from symgraph.ops.subgraph import own_outputs


@gradient_of("SequenceMap", whole=True)
def _sequence_map_gradient(each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
    """`SequenceMap(∂body)`; what every element uses alike gets the sum of its gradients."""
    graph, is_found = body_gradient(each.attributes["body"], tuple(dy is not None for dy in dys), tuple(wanted),
                                    backpropagate)
    if graph is None:
        return (None,) * len(wanted)
    body = Graph(graph.inputs, own_outputs(graph.outputs, graph.inputs), captures=graph.captures, name=graph.name)
    operands = [x for x in (*each.operands, *dys) if x is not None]
    node = Node(find_op("SequenceMap"), tuple(operands), {"body": body},
                tuple(SequenceType(x.type) for x in body.outputs))
    results = iter(node.outputs)
    return tuple(_gathered(next(results), x) if has else None for x, has in zip(each.operands, is_found, strict=True))


def _gathered(dxs: Operand | None, x: Operand | None) -> Operand | None:
    """The gradients themselves for a sequence, their sum for a tensor."""
    if dxs is None or x is None or isinstance(x.type, SequenceType):
        return dxs
    stacked = apply("ConcatFromSequence", apply("SequenceInsert", dxs, blank(x)), axis=0, new_axis=1)
    return apply("ReduceSum", stacked, ints(0), keepdims=0)
