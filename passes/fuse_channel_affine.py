"""What scales and shifts the channels of an image becomes one operator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import Shape
from symgraph.core.value import Tensor
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, rewrite_regions, shape_of
from symgraph.runtime.opsets import choose_opsets


@relaxed
def fuse_channel_affine(graph: Graph) -> Graph:
    """x*a + b -> BatchNormalization(x, a, b, 0, 1, epsilon=0), where a and b have one number a channel.

    For float32 images; it reads and writes them once, as the gradient of a normalisation asks for. Rounds differently;
    where a is infinite it gives NaN.
    """
    opset = choose_opsets(graph)[""]
    return rewrite_regions(graph, lambda node: _find(node, opset)) if opset >= 15 else graph


def _find(node: Node, opset: int) -> Iterator[Region]:
    if node.op.name != "Add" or node.op.domain or dtype_of(node.output) != "float32":
        return
    for scaled, shift in in_both_orders(node):
        product = made_by(scaled, "Mul")
        for x, factor in in_both_orders(product):
            shape = shape_of(x)
            if product is None or x is None or factor is None or shift is None or shape is None or len(shape) < 3 or (
                    shape_of(scaled) != shape):
                continue
            channels = shape[1]
            if not isinstance(channels, int) or channels < 2 or not all(
                    _is_by_channel(shape_of(v), channels, len(shape)) for v in (factor, shift)):
                continue
            yield Region((product, node), (x, factor, shift),
                         lambda x, a, b, n=channels: _affine(x, a, b, n, opset))
            return


def _is_by_channel(shape: Shape | None, channels: int, rank: int) -> bool:
    return shape is not None and len(shape) <= rank and (
        (1,) * (rank - len(shape)) + shape == (1, channels, *(1,) * (rank - 2)))


def _affine(x: Operand, a: Operand, b: Operand, channels: int, opset: int) -> Operand:
    flat = [apply_op(find_op("Reshape", "", opset), v, np.array([channels], np.int64)) for v in (a, b)]
    zeros, ones = Tensor(np.zeros(channels, np.float32)), Tensor(np.ones(channels, np.float32))
    op = find_op("BatchNormalization", "", opset)
    return apply_op(op, x, *flat, zeros, ones, epsilon=0.0)  # type: ignore[no-any-return]
