"""Slices and splits that cut and join what was one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array, node_graphs
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import Dim, TensorType
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.matching import shape_of
from symgraph.passes.rules import readers_of

Result = list[Operand | None] | tuple[Operand | None, ...] | None
Cut = tuple[int, int, int]
"""Start, end and step along an axis."""

Readers = Mapping[Operand, list[Node | None]]

OPEN_END = 2**31 - 1
"""An end from here on means: to the end."""

LAST = 2**63 - 1


def merge_slices(graph: Graph) -> Graph:
    """x[:] -> x; x[a:b][c:d] -> x[a+c:…]; Concat(x[:a], x[a:]) -> x; Concat(Split(x)) -> x.

    Cuts along different axes always merge; those along one axis where they count from the start in steps of 1.
    """
    readers = readers_of(graph)

    def merge(node: Node, operands: tuple[Operand | None, ...]) -> Result:
        if any(True for _ in node_graphs(node)):
            return rewrite_bodies(node, operands, merge_slices)
        if node.op.domain or not operands or operands[0] is None:
            return None
        if node.op.name == "Slice":
            return _merged_slice(node, operands, readers)
        if node.op.name == "Concat":
            return _merged_concat(node, operands, readers)
        return [operands[0]] if node.op.name == "Split" and len(node.outputs) == 1 else None

    return graph.rewrite(merge, operators={"Slice", "Concat", "Split"})


def cuts_of(node: Node, operands: tuple[Operand | None, ...]) -> dict[int, Cut] | None:
    """What a Slice cuts along each axis; None where that is computed, or the rank is unknown."""
    x = operands[0]
    if x is None or not isinstance(x.type, TensorType) or x.type.shape is None:
        return None
    rank = len(x.type.shape)
    if node.op.version < 10:
        starts, ends = attribute(node, "starts"), attribute(node, "ends")
        axes, steps = attribute(node, "axes", range(len(starts))), (1,) * len(starts)
    else:
        found = [None if o is None else constant_array(o) for o in operands[1:]]
        if any(o is not None and array is None for o, array in zip(operands[1:], found, strict=True)):
            return None
        numbers: list[Any] = [None if array is None else array.tolist() for array in (*found, None, None)]
        starts, ends = numbers[:2]
        axes = range(len(starts)) if numbers[2] is None else numbers[2]
        steps = (1,) * len(starts) if numbers[3] is None else tuple(numbers[3])
    return {axis % rank: _plain(cut, x.type.shape[axis % rank])
            for axis, *cut in zip(axes, starts, ends, steps, strict=True)}


def _plain(cut: list[int], dim: Dim) -> Cut:
    """A cut counted from the start where the axis has a known size, and without an end where it reaches it."""
    start, end, step = cut
    if step == 1 and isinstance(dim, int):
        start, end = (max(n + dim, 0) if n < 0 else n for n in (start, end))
        return min(start, dim), LAST if end >= dim else end, 1
    return start, LAST if step > 0 and end >= OPEN_END else end, step


def _merged_slice(node: Node, operands: tuple[Operand | None, ...], readers: Readers) -> Result:
    cuts, x = cuts_of(node, operands), operands[0]
    if cuts is None or x is None:
        return None
    needed = {axis: cut for axis, cut in cuts.items() if cut != (0, LAST, 1)}
    if not needed:
        return [x]
    inner = x.node if isinstance(x, SymbolicTensor) else None
    old = node.inputs[0]
    if inner is None or old is None or inner.op is not node.op or inner.op.domain or len(readers.get(old, ())) != 1:
        return None
    first = cuts_of(inner, inner.inputs)
    both = None if first is None else _joined(first, needed)
    return None if both is None else [_cut(node, inner.inputs[0], both)]


def _joined(first: Mapping[int, Cut], second: Mapping[int, Cut]) -> dict[int, Cut] | None:
    """The cuts that do what two do one after the other."""
    both = dict(first)
    for axis, (start, end, step) in second.items():
        if axis not in first:
            both[axis] = (start, end, step)
            continue
        a, b, inner = first[axis]
        if (inner, step) != (1, 1) or min(a, b, start, end) < 0:
            return None
        both[axis] = (min(a + start, LAST), min(b, a + end, LAST), 1)
    return both


def _cut(node: Node, x: Operand | None, cuts: Mapping[int, Cut]) -> Operand:
    axes = sorted(cuts)
    starts, ends, steps = zip(*(cuts[axis] for axis in axes), strict=True)
    if node.op.version < 10:
        made: Operand = apply_op(node.op, x, starts=starts, ends=ends, axes=tuple(axes))
        return made
    made = apply_op(node.op, x, *(Tensor(np.array(values, np.int64)) for values in (starts, ends, axes, steps)))
    return made


def _merged_concat(node: Node, operands: tuple[Operand | None, ...], readers: Readers) -> Result:
    if len(operands) == 1:
        return [operands[0]]
    axis, rank = attribute(node, "axis", 1), _rank(operands[0])
    if rank is None:
        return None
    axis %= rank
    whole = _split_whole(node, operands, axis)
    whole = _sliced_whole(operands, axis) if whole is None else whole
    if whole is not None:
        return [whole]
    parts: list[Operand | None] = []
    for x, old in zip(operands, node.inputs, strict=True):
        inner = x.node if isinstance(x, SymbolicTensor) else None
        is_own = inner is not None and inner.op is node.op and attribute(inner, "axis", 1) % rank == axis and (
            old is not None and all(reader is node for reader in readers.get(old, ())))
        parts.extend(inner.inputs if inner is not None and is_own else [x])
    parts = [x for x in parts if not _is_empty(x, axis)] or parts[:1]
    return None if len(parts) == len(operands) else [apply_op(node.op, *parts, axis=axis)]


def _is_empty(x: Operand | None, axis: int) -> bool:
    """Whether a constant adds nothing along an axis, of the rank of the others."""
    return isinstance(x, Tensor) and x.ndim > axis and x.numpy().shape[axis] == 0


def _split_whole(node: Node, operands: tuple[Operand | None, ...], axis: int) -> Operand | None:
    """The x in Concat(Split(x))."""
    first = operands[0]
    split = first.node if isinstance(first, SymbolicTensor) else None
    if split is None or split.op.name != "Split" or split.op.domain or len(split.outputs) != len(operands) or any(
            a is not b for a, b in zip(split.outputs, operands, strict=True)):
        return None
    rank = _rank(split.inputs[0])
    return split.inputs[0] if rank is not None and attribute(split, "axis", 0) % rank == axis else None


def _sliced_whole(operands: tuple[Operand | None, ...], axis: int) -> Operand | None:
    """The x in Concat(x[:a], x[a:b], x[b:])."""
    place, source = 0, None
    for position, x in enumerate(operands):
        maker = x.node if isinstance(x, SymbolicTensor) else None
        if maker is None or maker.op.name != "Slice" or maker.op.domain:
            return None
        cuts = cuts_of(maker, maker.inputs)
        if cuts is None or any(cut != (0, LAST, 1) for other, cut in cuts.items() if other != axis):
            return None
        start, end, step = cuts.get(axis, (0, LAST, 1))
        is_next = maker.inputs[0] is source or position == 0
        if not is_next or step != 1 or start != place or end < start:
            return None
        place, source = end, maker.inputs[0]
    shape = shape_of(source)
    return source if place == LAST and shape is not None and isinstance(shape[axis], int) else None


def _rank(x: Operand | None) -> int | None:
    return len(x.type.shape) if x is not None and isinstance(x.type, TensorType) and x.type.shape is not None else None
