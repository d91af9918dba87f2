"""Root-mean-square normalisation, written out by exporters, becomes the operator again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array
from symgraph.core.op import Op, find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, rewrite_all_regions, shape_of
from symgraph.passes.moments import Moments, deviation, inverse, mean_square, uncast
from symgraph.runtime.opsets import choose_opsets


@relaxed
def recognize_rms_normalization(graph: Graph) -> Graph:
    """x / sqrt(mean(x^2) + e) * w -> RMSNormalization(x, w), where the mean is over the last axes, of float32.

    Only in graphs of opset 23 or newer, which have the operator. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    return graph if opset < 23 else fuse_rms(graph, find_op("RMSNormalization", "", opset))


def fuse_rms(graph: Graph, op: Op) -> Graph:
    """The graph with `op` for each root-mean-square normalisation, and then for what weights are multiplied with it."""
    return rewrite_all_regions(graph, lambda node: _find(node, op))


def _find(node: Node, op: Op) -> Iterator[Region]:
    if node.op.domain:
        return
    if node.op.name == "Cast":
        yield from uncast(node, op.name)
    if node.op.name == "Mul":
        yield from _weighted(node, op)
        for x, other in in_both_orders(node):
            yield from _region(node, x, inverse(other, mean_square), op)
    elif node.op.name == "Div":
        yield from _region(node, node.inputs[0], deviation(node.inputs[1], mean_square), op)


def _region(node: Node, x: Operand | None, moments: Moments | None, op: Op) -> Iterator[Region]:
    """Sizes must be known: the operator refuses an axis of none."""
    shape = shape_of(x)
    if moments is None or x is None or moments.x is not x or shape is None or dtype_of(x) != "float32" or (
            moments.axes != tuple(range(moments.axes[0], len(shape)))):
        return
    size, axis, epsilon = shape[moments.axes[0]:], moments.axes[0] - len(shape), moments.epsilon
    known = tuple(d for d in size if isinstance(d, int) and d > 0)
    if len(known) == len(size):
        ones = Tensor(np.ones(known, np.float32))
        yield Region((*moments.nodes, node), (x,), lambda x: apply_op(op, x, ones, axis=axis, epsilon=epsilon))


def _weighted(node: Node, op: Op) -> Iterator[Region]:
    """A weight of ones is replaced by what the result is multiplied with."""
    for y, weight in in_both_orders(node):
        inner = made_by(y, op.name)
        given = None if inner is None else inner.inputs[1]
        ones = None if given is None else constant_array(given)
        if inner is None or inner.inputs[0] is None or weight is None or ones is None or len(inner.outputs) > 1:
            continue
        if (ones == 1).all() and shape_of(weight) == ones.shape:
            yield Region((inner, node), (inner.inputs[0], weight), lambda x, w, made=inner: apply_op(
                made.op, x, w, **made.attributes))
