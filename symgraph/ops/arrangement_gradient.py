"""Gradients of joining, cutting, repeating and padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.inference import known_data
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.indexing_gradient import blank, filled, put_back
from symgraph.ops.shape import reshape_like
from symgraph.ops.sizes import (
    INT64_MAX,
    INT64_MIN,
    Size,
    dimension,
    dimensions,
    ints,
    is_exactly,
    larger,
    minus,
    plus,
    smaller,
    times,
    vector,
)

Numbers = Operand | tuple[int, ...] | None
"""An attribute in old versions of an operator, an input in new ones."""


@gradient_of("Concat")
def _concat_gradient(dy: Operand, y: Operand, *xs: Operand, axis: int) -> Gradients:
    if len(xs) == 1:
        return (dy,)
    sizes = vector([dimension(x, axis) for x in xs])
    return apply_many("Split", dy, sizes, axis=axis, outputs=len(xs))


@gradient_of("Split", every_output=True)
def _split_gradient(dys: tuple[Operand | None, ...], ys: tuple[Operand | None, ...], x: Operand,
                    split: Numbers = None, *, axis: int = 0, num_outputs: int | None = None) -> Operand:
    if any(y is None for y in ys):
        parts = len(ys) if split is None else None
        ys = apply_many("Split", x, _as_input(split), axis=axis, num_outputs=parts, outputs=len(ys))
    pieces = [blank(y) if dy is None and y is not None else dy for dy, y in zip(dys, ys, strict=True)]
    return pieces[0] if len(pieces) == 1 and pieces[0] is not None else apply("Concat", *pieces, axis=axis)


@gradient_of("Tile")
def _tile_gradient(dy: Operand, y: Operand, x: Operand, repeats: Operand) -> Operand:
    """The sum over all copies: those along an axis lie next to it as an axis of their own."""
    if not x.ndim:
        return reshape_like(dy, x)
    data = known_data(repeats)
    counts: list[Size] = []
    for i in range(x.ndim):
        number = None if data is None else data[i]
        counts.append(number if isinstance(number, int) else apply("Gather", repeats, np.int64(i)))
    sizes: list[Size] = []
    summed: list[int] = []
    for count, size in zip(counts, dimensions(x), strict=True):
        if not is_exactly(count, 1):
            summed.append(len(sizes))
            sizes.append(count)
        sizes.append(size)
    if not summed:
        return dy
    return apply("ReduceSum", apply("Reshape", dy, vector(sizes), allowzero=1), ints(*summed), keepdims=0)


@gradient_of("Slice")
def _slice_gradient(dy: Operand, y: Operand, x: Operand, starts: Numbers, ends: Numbers, axes: Numbers = None,
                    steps: Numbers = None) -> Operand:
    """Zeros where nothing was taken."""
    first, places, strides = _known(starts), _known(axes), _known(steps)
    count = _length(starts)
    if axes is None and count is not None:
        places = list(range(count))
    if steps is None and count is not None:
        strides = [1] * count
    if count is None or places is None or strides is None or not all(isinstance(n, int) for n in places + strides):
        arguments = tuple(_as_input(n) for n in (starts, ends, axes, steps))
        return put_back(dy, x, lambda numbers: apply("Slice", numbers, *arguments))
    begins = [first[i] if first is not None and isinstance(first[i], int) else _entry(starts, i) for i in range(count)]
    before: list[Size] = [0] * x.ndim
    after: list[Size] = [0] * x.ndim
    for axis, begin, step in zip(places, begins, strides, strict=True):
        axis %= x.ndim
        dy, before[axis], after[axis] = _spaced(dy, x, axis, begin, step)
    if all(is_exactly(n, 0) for n in before + after):
        return dy
    return apply("Pad", dy, vector(before + after))


def _spaced(dy: Operand, x: Operand, axis: int, begin: Size, step: int) -> tuple[Operand, Size, Size]:
    """`dy` in ascending order with zeros between, and how many zeros come before and after it."""
    have, count = dimension(x, axis), dimension(dy, axis)
    first = _from_front(begin, have)
    if step > 0:
        first = smaller(first, have)
    else:
        first = minus(smaller(first, minus(have, 1)), times(minus(count, 1), -step))
        dy = apply("Slice", dy, ints(INT64_MAX), ints(INT64_MIN), ints(axis), ints(-1))
    if abs(step) > 1:
        sizes = dimensions(dy)
        gap = filled(vector((*sizes[:axis + 1], abs(step) - 1, *sizes[axis + 1:])), dy.dtype)
        apart = apply("Concat", apply("Unsqueeze", dy, ints(axis + 1)), gap, axis=axis + 1)  # faster than Pad
        count = times(count, abs(step))
        dy = apply("Reshape", apart, vector((*sizes[:axis], count, *sizes[axis + 1:])), allowzero=1)
    return dy, first, minus(minus(have, first), count)


def _from_front(begin: Size, have: Size) -> Size:
    if isinstance(begin, int):
        return begin if begin >= 0 else larger(plus(have, begin), 0)
    counted = plus(begin, have)
    return larger(apply("Where", apply("Less", begin, np.int64(0)), counted, begin), 0)


def _known(numbers: Numbers) -> list[Any] | None:
    """What is known of the numbers; None where nothing is."""
    if isinstance(numbers, tuple):
        return list(numbers)
    data = known_data(numbers)
    return None if data is None else list(data)


def _length(numbers: Numbers) -> int | None:
    if numbers is None or isinstance(numbers, tuple):
        return None if numbers is None else len(numbers)
    size = numbers.shape[0]
    return size if isinstance(size, int) else None


def _entry(numbers: Numbers, i: int) -> Operand:
    return apply("Cast", apply("Gather", numbers, np.int64(i)), to=ELEM_TYPES["int64"])


def _as_input(numbers: Numbers) -> Operand | None:
    return ints(*numbers) if isinstance(numbers, tuple) else numbers


@gradient_of("Pad")
def _pad_gradient(dy: Operand, y: Operand, x: Operand, pads: Operand | tuple[int, ...],
                  constant_value: Operand | None = None, axes: Operand | None = None, *, mode: str = "constant",
                  value: float = 0.0) -> Gradients:
    """What was put on is cut off; its sum is the gradient of the constant, or goes to where it was taken from."""
    widths = ints(*pads) if isinstance(pads, tuple) else pads
    if mode != "constant":
        borders = _borders(x, pads, axes, mode)
        if borders is None:
            return (put_back(dy, x, lambda numbers: apply("Pad", numbers, widths, None, axes, mode=mode)),)
        for border in borders:
            dy = _fold_back(dy, *border, mode)
        return (dy,)

    def of_constant() -> Operand | None:
        if constant_value is None:
            return None
        false = apply("Expand", np.bool_(False), apply("Shape", x))
        is_new = apply("Pad", false, widths, np.bool_(True), axes)
        total = apply("ReduceSum", apply("Where", is_new, dy, 0.0), keepdims=0)
        return reshape_like(total, constant_value)

    return lambda: apply("Pad", dy, apply("Neg", widths), None, axes), None, of_constant


def _borders(x: Operand, pads: Numbers, axes: Operand | None, mode: str) -> list[tuple[int, int, int, int]] | None:
    """Axis, size, and how much was put before and after, where all of it is known and no border is longer than `x`."""
    widths, places = _known(pads), _known(axes) if axes is not None else list(range(x.ndim))
    if widths is None or places is None or not all(isinstance(n, int) for n in widths + places):
        return None
    found = []
    for axis, before, after in zip(places, widths[:len(places)], widths[len(places):], strict=True):
        size = x.shape[axis]
        most = size if mode == "wrap" else size - 1 if mode == "reflect" and isinstance(size, int) else INT64_MAX
        if not isinstance(size, int) or not isinstance(most, int) or min(before, after) < 0 or (
                max(before, after) > most):
            return None
        if before or after:
            found.append((axis % x.ndim, size, before, after))
    return found


def _fold_back(dy: Operand, axis: int, size: int, before: int, after: int, mode: str) -> Operand:
    """`dy` along one axis without its borders, which are added where they were taken from."""
    places = {"edge": (0, size - 1), "reflect": (1, size - 1 - after), "wrap": (size - before, 0)}[mode]
    total = _cut(dy, axis, before, before + size)
    for start, length, place in ((0, before, places[0]), (before + size, after, places[1])):
        if not length:
            continue
        border = _cut(dy, axis, start, start + length)
        if mode == "edge":
            border, length = apply("ReduceSum", border, ints(axis), keepdims=1), 1
        elif mode == "reflect":
            border = apply("Slice", border, ints(INT64_MAX), ints(INT64_MIN), ints(axis), ints(-1))
        widths = [0] * (2 * dy.ndim)
        widths[axis], widths[dy.ndim + axis] = place, size - place - length
        total = total + apply("Pad", border, ints(*widths))
    return total


def _cut(x: Operand, axis: int, start: int, end: int) -> Operand:
    return apply("Slice", x, ints(start), ints(end), ints(axis))


@gradient_of("CenterCropPad")
def _center_gradient(dy: Operand, y: Operand, x: Operand, shape: Operand, *, axes: tuple[int, ...] | None = None,
                     ) -> Operand:
    sizes = apply("Shape", x)
    given = sizes if axes is None else apply("Gather", sizes, ints(*axes))
    return apply("CenterCropPad", dy, given, axes=axes)


@gradient_of("ReverseSequence")
def _reverse_gradient(dy: Operand, y: Operand, x: Operand, lengths: Operand, *, batch_axis: int = 1,
                      time_axis: int = 0) -> Operand:
    return apply("ReverseSequence", dy, lengths, batch_axis=batch_axis, time_axis=time_axis)


@gradient_of("Trilu")
def _triangle_gradient(dy: Operand, y: Operand, x: Operand, k: Operand | None = None, *, upper: int = 1) -> Operand:
    return apply("Trilu", dy, k, upper=upper)


@gradient_of("DepthToSpace")
def _depth_to_space_gradient(dy: Operand, y: Operand, x: Operand, *, blocksize: int, mode: str = "DCR") -> Operand:
    if mode == "DCR":
        return apply("SpaceToDepth", dy, blocksize=blocksize)
    n, _, h, w = dimensions(x)
    channels = dimension(y, 1)
    blocks = apply("Reshape", dy, vector((n, channels, h, blocksize, w, blocksize)), allowzero=1)
    return reshape_like(apply("Transpose", blocks, perm=(0, 1, 3, 5, 2, 4)), x)


@gradient_of("SpaceToDepth")
def _space_to_depth_gradient(dy: Operand, y: Operand, x: Operand, *, blocksize: int, mode: str = "DCR") -> Operand:
    return apply("DepthToSpace", dy, blocksize=blocksize, mode=mode)


@gradient_of("Range")
def _range_gradient(dy: Operand, y: Operand, start: Operand, limit: Operand, delta: Operand, *, stash_type: int = 1,
                    ) -> Gradients:
    """`start + i delta`; where it ends only says how many there are."""
    places = apply("Cast", apply("Range", 0, apply("Size", y), 1), to=ELEM_TYPES[y.dtype])
    return (lambda: apply("ReduceSum", dy, keepdims=0), None,
            lambda: apply("ReduceSum", dy * places, keepdims=0))
