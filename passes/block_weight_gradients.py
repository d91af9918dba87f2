"""Gradients of the weights of convolutions, in the layout of ONNX Runtime's fastest kernels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.composite import DOMAIN
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import TensorType
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute
from symgraph.passes.block_channels import CONV, REORDER_INPUT
from symgraph.passes.block_kernels import KERAS, known_sizes
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, rewrite_regions
from symgraph.runtime.channel_blocks import channel_block
from symgraph.runtime.opsets import choose_opsets

Sizes = tuple[int, ...]

WIDE = 6
"""So many numbers in a row the kernel computes at once, each a block of output channels wide."""


@relaxed
def block_weight_gradients(graph: Graph) -> Graph:
    """ConvWeightGrad(x, dy) -> one nchwc.Conv of x, its input channels beside each other, with filters dy.

    Images are its channels, and must fill blocks, as must output channels; each block of them is a group, and the sums
    over groups are added up. It gets its zeros left and right beforehand, where the kernel is slow. It takes 0.5 to 0.9
    times as long as one Conv without blocks, on AVX-512. Before `inline_composites`. Rounds differently.
    """
    block, opset = channel_block(), choose_opsets(graph)[""]
    if not block or opset < 13:
        return graph
    return rewrite_regions(graph, lambda node: _find(node, block, opset))


def _find(node: Node, block: int, opset: int) -> Iterator[Region]:
    if node.op.name != "ConvWeightGrad" or node.op.domain != DOMAIN or len(node.inputs) > 2:
        return
    x, dy = node.inputs
    given, made, kernel = known_sizes(x), known_sizes(dy), attribute(node, "kernel")
    strides, dilations, pads = (attribute(node, name) for name in ("strides", "dilations", "pads"))
    if x is None or dy is None or given is None or made is None or len(given) != 4 or dtype_of(x) != "float32" or (
            node.attributes["group"] != 1 or dilations[1] != 1 or min(*given, *made) < 1):
        return
    if made[0] % block or made[1] % block or kernel[1] * given[1] < WIDE or kernel == (1, 1):
        return
    after = tuple((m - 1) * s + (k - 1) * d + 1 - n - before for m, s, k, d, n, before in zip(
        made[2:], strides, kernel, dilations, given[2:], pads[:2], strict=True))  # what is looked at, not what is there
    if min(after) < 0:
        return
    taken = given[1]
    width = block if taken % block == 0 else taken
    wide, parts = (taken // width, given[0], given[2], given[3] * width), made[0] // block
    attributes = {"strides": (dilations[0], 1), "dilations": (strides[0], strides[1] * width), "group": parts,
                  "pads": (pads[0], 0, after[0], 0)}

    def at(name: str, *inputs: object, **options: Any) -> Any:
        return apply_op(find_op(name, "", opset), *inputs, **options)

    def shaped(x: Operand, *sizes: int) -> Any:
        return at("Reshape", x, np.array(sizes, np.int64))

    def beside(x: Operand) -> Any:
        """Each block of input channels beside each other, or as many as there are; blocks one after the other."""
        if taken % block:
            return shaped(at("Transpose", x, perm=(0, 2, 3, 1)), *wide)
        blocks = Node(REORDER_INPUT, (x,), {"channels_last": 0}, (TensorType("float32", given),)).output
        split = shaped(blocks, given[0], taken // width, math.prod(given[2:]) * width)
        return shaped(split if taken == width else at("Transpose", split, perm=(1, 0, 2)), *wide)

    def make(x: Operand, dy: Operand) -> Operand:
        sides = [Tensor(np.zeros((*wide[:3], n * width), np.float32)) for n in (pads[1], after[1]) if n]
        rows = beside(x)
        if sides:
            rows = at("Concat", *(sides[:1] if pads[1] else ()), rows, *(sides[-1:] if after[1] else ()), axis=3)
        rows = Node(REORDER_INPUT, (rows,), {"channels_last": 0}, (rows.type,)).output
        blocks = Node(REORDER_INPUT, (dy,), {"channels_last": 0}, (TensorType("float32", made),)).output
        turned = at("Transpose", shaped(blocks, parts, block, math.prod(made[1:]) // block, block), perm=(0, 2, 1, 3))
        filters = shaped(turned, parts * made[1], block, *made[2:])
        size = TensorType("float32", (wide[0], parts * made[1], kernel[0], kernel[1] * width))
        y: Any = Node(CONV, (rows, filters), attributes, (size,)).output
        if parts > 1:
            sums = shaped(y, wide[0], parts, made[1] * math.prod(kernel) * width)
            y = at("ReduceSum", sums, np.array([1]), keepdims=0)
        apart = shaped(y, wide[0], made[1] // block, math.prod(kernel), width, block)
        in_keras = shaped(at("Transpose", apart, perm=(2, 0, 3, 1, 4)), *kernel, taken, made[1])
        return at("Transpose", in_keras, perm=KERAS)  # type: ignore[no-any-return]

    yield Region((node,), (x, dy), make)
