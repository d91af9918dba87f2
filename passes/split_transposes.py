"""Transposes that ONNX Runtime's kernel does element by element become two that it does block by block."""

from __future__ import annotations

import math

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.matching import shape_of
from symgraph.passes.remove_transposes import is_transpose, perm_of
from symgraph.runtime.opsets import choose_opsets

LARGE = 4096
"""From so many elements on two transposes are faster than one."""

LONG = 16
"""From so many elements on a row is moved as a block."""


def split_transposes(graph: Graph) -> Graph:
    """T(x, [c, b, a]) -> T(T(x, [c, a, b]), [c, b, a]), where a, b and c are each some neighbouring axes.

    Such are those between a kernel's layout in Keras (height, width, in, out) and in ONNX: 9 times faster for
    float32[3, 3, 64, 64]. For graphs that are about to run, without ONNX Runtime's optimiser of transposes
    (runtime/step.py): it, and `remove_transposes`, would join the two.
    """
    opset = choose_opsets(graph)[""]

    def rewrite(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        if any(True for _ in node_graphs(node)):
            return rewrite_bodies(node, operands, split_transposes)
        x, perm = operands[0] if operands else None, perm_of(node) if is_transpose(node) else None
        shape = shape_of(node.inputs[0]) if perm is not None else None
        if x is None or perm is None or shape is None or any(not isinstance(n, int) for n in shape):
            return None
        sizes = [n for n in shape if isinstance(n, int)]
        groups = _groups(perm, sizes)
        if len(groups) != 3 or math.prod(sizes) < LARGE:
            return None
        c, b, a = (math.prod(sizes[axis] for axis in group) for group in groups)
        if groups[0][0] < groups[1][0] or groups[1][0] < groups[2][0]:
            return None
        last = [sizes[axis] for axis in perm]
        return (_in_two(x, a, b, c, last, opset),)

    return graph.rewrite(rewrite)


def _groups(perm: tuple[int, ...], sizes: list[int]) -> list[list[int]]:
    """Axes longer than 1 that stay beside each other, in their new order."""
    long = [axis for axis in range(len(perm)) if sizes[axis] != 1]
    groups: list[list[int]] = []
    for axis in perm:
        if axis not in long:
            continue
        if groups and long.index(groups[-1][-1]) == long.index(axis) - 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def _in_two(x: Operand, a: int, b: int, c: int, last: list[int], opset: int) -> Operand:
    """`[a, b, c]` to `[c, b, a]`: by way of `[b, c, a]` where rows of a are long, else by way of `[c, a, b]`."""
    first, between, perm = ((a, b * c), (b, c, a), (1, 0, 2)) if a >= LONG else ((a * b, c), (c, a, b), (0, 2, 1))
    reshape, transpose = find_op("Reshape", "", opset), find_op("Transpose", "", opset)
    for sizes, order in ((first, (1, 0)), (between, perm)):
        x = apply_op(transpose, apply_op(reshape, x, np.array(sizes, np.int64)), perm=order)
    return apply_op(reshape, x, np.array(last, np.int64))  # type: ignore[no-any-return]
