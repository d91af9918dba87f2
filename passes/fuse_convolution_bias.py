"""Convolutions take in what is added to each of their channels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.passes.attributes import attributes_of
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, in_both_orders, made_by, rewrite_regions, shape_of
from symgraph.runtime.opsets import choose_opsets


@relaxed
def fuse_convolution_bias(graph: Graph) -> Graph:
    """Conv(x, w) + b -> Conv(x, w, Reshape(b, [channels])), where b has one number a channel.

    Weights may be variables: it is `fold_into_convolution` that computes with constants. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    return rewrite_regions(graph, lambda node: _find(node, opset))


def _find(node: Node, opset: int) -> Iterator[Region]:
    if node.op.name != "Add" or node.op.domain or opset < 7:
        return
    for y, bias in in_both_orders(node):
        conv = made_by(y, "Conv")
        if conv is None or bias is None or any(z is not None for z in conv.inputs[2:]):
            continue
        made, shape = shape_of(y), shape_of(bias)
        if made is None or shape is None or len(made) < 3 or not isinstance(made[1], int) or made[1] == 1:
            continue
        if (1,) * (len(made) - len(shape)) + shape != (1, made[1], *(1,) * (len(made) - 2)):
            continue
        x, w = conv.inputs[:2]
        assert x is not None and w is not None
        yield Region((conv, node), (x, w, bias), partial(_with_bias, conv=conv, opset=opset))
        return


def _with_bias(x: Operand, w: Operand, b: Operand, *, conv: Node, opset: int) -> Operand:
    flat = apply_op(find_op("Reshape", "", opset), b, np.array([-1], np.int64))
    return apply_op(conv.op, x, w, flat, **attributes_of(conv))  # type: ignore[no-any-return]
