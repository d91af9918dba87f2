"""Sums of rows are products of matrices, which are faster than sums."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute, axes_of
from symgraph.passes.block_kernels import known_sizes
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, rewrite_regions
from symgraph.runtime.opsets import choose_opsets

LARGE = 4096
"""From so many elements on it pays."""

SHORT = 16
"""Rows are at least so long."""


@relaxed
def sum_by_products(graph: Graph) -> Graph:
    """ReduceSum(x, all axes but the last) -> [1, …, 1] @ x, x as a matrix, of float32 and known size.

    Such are the gradients of biases: half the time. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    return rewrite_regions(graph, lambda node: _find(node, opset)) if opset >= 13 else graph


def _find(node: Node, opset: int) -> Iterator[Region]:
    if node.op.name != "ReduceSum" or node.op.domain or dtype_of(node.output) != "float32":
        return
    x, sizes, axes = node.inputs[0], known_sizes(node.inputs[0]), axes_of(node, 1)
    if x is None or sizes is None or len(sizes) < 2 or axes is None or (
            sorted(axis % len(sizes) for axis in axes) != list(range(len(sizes) - 1))):
        return
    columns, rows = sizes[-1], math.prod(sizes[:-1])
    if columns < SHORT or rows * columns < LARGE or attribute(node, "keepdims", 1):
        return
    reshape, matmul = find_op("Reshape", "", opset), find_op("MatMul", "", opset)

    def make(x: Operand) -> Operand:
        matrix = x if len(sizes) == 2 else apply_op(reshape, x, np.array((rows, columns), np.int64))
        return apply_op(matmul, Tensor(np.ones(rows, np.float32)), matrix)  # type: ignore[no-any-return]

    yield Region((node,), (x,), make)
