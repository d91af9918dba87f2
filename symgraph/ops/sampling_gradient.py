"""Operators that look at images between pixels, or in regions, said in operators that have gradients.

An image becomes rows, one a pixel, that are gathered; indices are constant, weights carry the gradient of the places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.core.errors import GradientError
from symgraph.core.gradient import Gradients, expansion_of, gradient_of
from symgraph.core.tensor import Operand
from symgraph.core.types import numpy_dtype
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.diagonals import counting
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import Size, dimension, dimensions, ints, minus, plus, product, quotient, times, vector

Numbers = tuple[int, ...]
Tap = tuple[Operand, Operand]
"""A whole place along an axis, as float numbers, and its weight."""

CUBIC = -0.75


@expansion_of("GridSample")
def _grid_sample(x: Operand, grid: Operand, *, align_corners: int = 0, mode: str = "linear",
                 padding_mode: str = "zeros") -> Operand:
    """`Σ weight · x[place]` over the pixels around each place of the grid."""
    n, _, *space = dimensions(x)
    rank = x.ndim - 2
    taps = []
    for axis, size in enumerate(space):
        place = apply("Gather", grid, np.int64(rank - 1 - axis), axis=-1)
        taps.append(_taps(cast_to(place, x.dtype), _as_float(size, x.dtype), mode, padding_mode, align_corners))
    first = times_operand(counting(n), product(space))
    first = apply("Reshape", first, vector([n, *[1] * rank]))
    y = _weighted_rows(_rows(x), taps, space, first)
    return apply("Transpose", y, perm=(0, rank + 1, *range(1, rank + 1)))


@expansion_of("RoiAlign", first=16)
def _roi_align(x: Operand, rois: Operand, batch_indices: Operand, *, coordinate_transformation_mode: str = "half_pixel",
               mode: str = "avg", output_height: int = 1, output_width: int = 1, sampling_ratio: int = 0,
               spatial_scale: float = 1.0) -> Operand:
    """The mean, or the largest, of points in each bin of each region, between pixels."""
    shifted = coordinate_transformation_mode == "half_pixel"
    height, width = dimensions(x)[2:]
    corners = rois * _number(spatial_scale, x.dtype) - _number(0.5 if shifted else 0.0, x.dtype)
    left, top, right, bottom = (apply("Gather", corners, np.int64(i), axis=1) for i in range(4))
    rows, row_weights = _points(top, bottom, output_height, sampling_ratio, height, is_free=shifted)
    columns, column_weights = _points(left, right, output_width, sampling_ratio, width, is_free=shifted)
    # regions, bins down, points down, bins across, points across
    taps = [[(_at(p, 3, 4), _at(w, 3, 4)) for p, w in rows], [(_at(p, 1, 2), _at(w, 1, 2)) for p, w in columns]]
    first = times_operand(cast_to(batch_indices, "int64"), times(height, width))
    first = _at(first, 1, 2, 3, 4)
    if mode == "max":
        values = _weighted_rows(_rows(x), taps, [height, width], first, is_largest=True)
        is_counted = apply("Mul", _at(row_weights, 3, 4), _at(column_weights, 1, 2))
        lowest = _number(-np.inf, x.dtype)
        values = apply("Where", _at(apply("Greater", is_counted, _number(0.0, x.dtype)), 5), values, lowest)
        y = apply("ReduceMax", values, ints(2, 4), keepdims=0)
    else:
        values = _weighted_rows(_rows(x), taps, [height, width], first)
        weights = apply("Mul", _at(row_weights, 3, 4), _at(column_weights, 1, 2))
        y = apply("ReduceSum", values * _at(weights, 5), ints(2, 4), keepdims=0)
    return apply("Transpose", y, perm=(0, 3, 1, 2))


@expansion_of("RoiAlign", last=15)
def _roi_align_10(x: Operand, rois: Operand, batch_indices: Operand, **attributes: Any) -> Operand:
    return _roi_align(x, rois, batch_indices, coordinate_transformation_mode="output_half_pixel", **attributes)


def _points(start: Operand, end: Operand, bins: int, ratio: int, size: Size, *, is_free: bool
            ) -> tuple[list[Tap], Operand]:
    """Along one axis: pixels around the points `[regions, bins, points]` with weights, and what a point counts."""
    dtype = start.dtype
    zero, one = _number(0.0, dtype), _number(1.0, dtype)
    extent = end - start if is_free else apply("Max", end - start, one)
    step = extent / _number(float(bins), dtype)
    if ratio > 0:
        numbers: Operand = Tensor(np.arange(ratio, dtype=numpy_dtype(dtype)))
        counts = apply("Expand", _number(float(ratio), dtype), apply("Shape", step))
    else:
        counts = apply("Ceil", step)
        at_least_one = apply("Concat", apply("Unsqueeze", one, ints(0)), counts, axis=0)
        most = cast_to(apply("ReduceMax", at_least_one, keepdims=0), "int64")
        numbers = cast_to(apply("Range", np.int64(0), most, np.int64(1)), dtype)
    safe = apply("Max", counts, one)
    within = apply("Div", numbers + _number(0.5, dtype), _at(safe, 1))
    offsets = Tensor(np.arange(bins, dtype=numpy_dtype(dtype))[:, None])
    place = _at(start, 1, 2) + _at(step, 1, 2) * (offsets + _at(within, 1))
    last = _as_float(size, dtype) - one
    is_near = apply("And", apply("GreaterOrEqual", place, -one), apply("LessOrEqual", place, last + one))
    inside = apply("Clip", place, zero, last)
    low = apply("Floor", inside)
    fraction = inside - low
    near = cast_to(is_near, dtype)
    taps = [(low, near * (one - fraction)), (apply("Min", low + one, last), near * fraction)]
    is_counted = cast_to(apply("Less", numbers, _at(counts, 1)), dtype)
    return taps, apply("Expand", _at(is_counted / _at(safe, 1), 1), apply("Shape", place))


@expansion_of("DeformConv")
def _deformed(x: Operand, w: Operand, offset: Operand, b: Operand | None = None, mask: Operand | None = None, *,
              dilations: Numbers | None = None, group: int = 1, kernel_shape: Numbers | None = None,
              offset_group: int = 1, pads: Numbers | None = None, strides: Numbers | None = None) -> Operand:
    """A convolution that looks at `i s + j d - p + offset[j, i]`, between pixels, times the mask."""
    rank = x.ndim - 2
    n, channels, *space = dimensions(x)
    made, taken, *window = dimensions(w)
    moves = dimensions(offset)[2:]
    kernel, area = product(window), product(moves)
    shape = [n, offset_group, *window, rank, *moves]
    offsets = apply("Reshape", offset, vector(shape))
    taps = []
    for axis in range(rank):
        starts = times_operand(counting(moves[axis]), strides[axis] if strides else 1)
        within = times_operand(counting(window[axis]), dilations[axis] if dilations else 1)
        starts = apply("Reshape", starts, ints(*[1] * axis, -1, *[1] * (rank - 1 - axis)))
        within = apply("Reshape", within, ints(*[1] * axis, -1, *[1] * (rank - 1 - axis + rank)))
        regular = apply("Sub", apply("Add", starts, within), np.int64(pads[axis] if pads else 0))
        place = apply("Gather", offsets, np.int64(axis), axis=2 + rank) + cast_to(regular, x.dtype)
        taps.append(_linear_taps(place, _as_float(space[axis], x.dtype), is_bounded=True))
    first = times_operand(counting(times(n, offset_group)), product(space))
    first = apply("Reshape", first, vector([n, offset_group, *[1] * 2 * rank]))
    parts = quotient(channels, offset_group)
    rows = _rows(apply("Reshape", x, vector([times(n, offset_group), parts, *space])))
    seen = _weighted_rows(rows, taps, space, first)
    if mask is not None:
        seen = seen * _at(apply("Reshape", mask, vector([n, offset_group, *window, *moves])), 2 + 2 * rank)
    columns = apply("Transpose", seen, perm=(0, 1, 2 + 2 * rank, *range(2, 2 + 2 * rank)))
    columns = apply("Reshape", columns, vector([n, group, times(taken, kernel), area]))
    kernels = apply("Reshape", w, vector([group, quotient(made, group), times(taken, kernel)]))
    y = apply("Reshape", apply("MatMul", kernels, columns), vector([n, made, *moves]))
    return y if b is None else y + apply("Reshape", b, ints(-1, *[1] * rank))


@expansion_of("MaxRoiPool")
def _max_roi_pool(x: Operand, rois: Operand, *, pooled_shape: Numbers = (), spatial_scale: float = 1.0) -> Operand:
    """The largest pixel of each bin of each region, 0 where there is none; equal ones share the gradient."""
    parts = [apply("Gather", rois, np.int64(i), axis=1) for i in range(5)]
    half = _number(0.5, x.dtype)
    left, top, right, bottom = (apply("Floor", p * _number(spatial_scale, x.dtype) + half) for p in parts[1:])
    images = apply("Gather", x, cast_to(parts[0], "int64"))
    across = _bin_mask(left, right, pooled_shape[1], dimension(x, 3))  # regions, bins, pixels
    down = _bin_mask(top, bottom, pooled_shape[0], dimension(x, 2))
    lowest = _number(-np.inf, x.dtype)
    rows = apply("Where", _at(across, 1, 1), _at(images, 3), lowest)
    best = apply("ReduceMax", rows, ints(4), keepdims=0)
    columns = apply("Where", _at(down, 1, 4), _at(best, 2), lowest)
    y = apply("ReduceMax", columns, ints(3), keepdims=0)
    is_empty = apply("Equal", y, lowest)
    return apply("Where", is_empty, _number(0.0, x.dtype), y)


def _bin_mask(start: Operand, end: Operand, bins: int, size: Size) -> Operand:
    dtype = start.dtype
    one = _number(1.0, dtype)
    step = _at(apply("Max", end - start + one, one) / _number(float(bins), dtype), 1)
    numbers = Tensor(np.arange(bins, dtype=numpy_dtype(dtype)))
    begins = apply("Floor", numbers * step) + _at(start, 1)
    ends = apply("Ceil", (numbers + one) * step) + _at(start, 1)
    pixels = cast_to(counting(size), dtype)
    return apply("And", apply("GreaterOrEqual", pixels, _at(begins, 2)), apply("Less", pixels, _at(ends, 2)))


@gradient_of("Col2Im")
def _col2im_gradient(dy: Operand, y: Operand, x: Operand, image_shape: Operand, block_shape: Operand, *,
                     dilations: Numbers | None = None, pads: Numbers | None = None, strides: Numbers | None = None,
                     ) -> Gradients:
    """Every column takes back the pixels that it was added to."""
    rank = dy.ndim - 2
    before, after = (pads[:rank], pads[rank:]) if pads else ((0,) * rank, (0,) * rank)
    if pads and any(pads):
        dy = apply("Pad", dy, ints(0, 0, *before, 0, 0, *after))
    for i in range(rank):
        step, spread = strides[i] if strides else 1, dilations[i] if dilations else 1
        kernel = apply("Squeeze", apply("Gather", block_shape, ints(i)), ints(0))
        extent = plus(times(minus(kernel, 1), spread), 1)
        count = plus(quotient(minus(dimension(dy, 2 + 2 * i), extent), step), 1)
        places = apply("Add", apply("Unsqueeze", times_operand(counting(kernel), spread), ints(1)),
                       times_operand(counting(count), step))
        dy = apply("Gather", dy, places, axis=2 + 2 * i)
    columns = apply("Transpose", dy, perm=(0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 2 + 2 * rank, 2)))
    return apply("Reshape", columns, apply("Shape", x), allowzero=1), None, None


def _taps(place: Operand, size: Operand, mode: str, padding: str, align_corners: int) -> list[Tap]:
    """The pixels around a place between -1 and 1 along an axis."""
    dtype = place.dtype
    one, half = _number(1.0, dtype), _number(0.5, dtype)
    c = (place + one) * half * (size - one) if align_corners else ((place + one) * size - one) * half
    if mode in ("cubic", "bicubic"):
        base = apply("Floor", c)
        return [(p, w) for i, weight in enumerate(_cubic_weights(c - base)) for p, w in [
            _bounded(base + _number(float(i - 1), dtype), weight, size, padding, align_corners)]]
    c = _moved_inside(c, size, padding, align_corners)
    if mode == "nearest":
        return [_bounded(apply("Round", c), one, size, "zeros", align_corners)]
    if mode in ("linear", "bilinear"):
        return _linear_taps(c, size)
    raise GradientError(f"GridSample: there is no mode {mode!r}")


def _linear_taps(c: Operand, size: Operand, *, is_bounded: bool = False) -> list[Tap]:
    low = apply("Floor", c)
    fraction = c - low
    one = _number(1.0, c.dtype)
    return [_bounded(low, one - fraction, size, "zeros", 0), _bounded(low + one, fraction, size, "zeros", 0)]


def _bounded(place: Operand, weight: Operand, size: Operand, padding: str, align_corners: int) -> Tap:
    """A pixel that is there: outside the weight is 0, unless padding moves the pixel inside."""
    zero, last = _number(0.0, place.dtype), size - _number(1.0, place.dtype)
    if padding != "zeros":
        return _moved_inside(place, size, padding, align_corners), weight
    is_there = apply("And", apply("GreaterOrEqual", place, zero), apply("LessOrEqual", place, last))
    return apply("Clip", place, zero, last), weight * cast_to(is_there, weight.dtype)


def _moved_inside(c: Operand, size: Operand, padding: str, align_corners: int) -> Operand:
    if padding == "zeros":
        return c
    zero, one, two = (_number(v, c.dtype) for v in (0.0, 1.0, 2.0))
    if padding == "reflection":
        low = zero if align_corners else _number(-0.5, c.dtype)
        span = apply("Max", size - one, one) if align_corners else size
        away = apply("Abs", c - low)
        flips = apply("Floor", away / span)
        rest = away - flips * span
        is_odd = flips - apply("Floor", flips / two) * two
        c = low + rest + is_odd * (span - rest * two)
    return apply("Clip", c, zero, size - one)


def _cubic_weights(t: Operand) -> list[Operand]:
    """Keys's convolution kernel at the four pixels around, `a = -0.75`."""
    a = CUBIC

    def polynomial(u: Operand, *coefficients: float) -> Operand:
        total = _number(coefficients[0], t.dtype)
        for k in coefficients[1:]:
            total = total * u + _number(k, t.dtype)
        return total

    one = _number(1.0, t.dtype)
    near, far = (a + 2, -(a + 3), 0.0, 1.0), (a, -5 * a, 8 * a, -4 * a)
    return [polynomial(t + one, *far), polynomial(t, *near), polynomial(one - t, *near),
            polynomial(_number(2.0, t.dtype) - t, *far)]


def _rows(x: Operand) -> Operand:
    """Pixels as rows of their channels."""
    last = apply("Transpose", x, perm=(0, *range(2, x.ndim), 1))
    n, channels, *space = dimensions(x)
    return apply("Reshape", last, vector([times(n, product(space)), channels]), allowzero=1)


def _weighted_rows(rows: Operand, taps: Sequence[Sequence[Tap]], space: Sequence[Size], first: Operand, *,
                   is_largest: bool = False) -> Operand:
    """The sum, or the largest, of the rows at every combination of places, times their weights."""
    rank, base = len(taps), taps[0][0][0].ndim
    where, weight = _at(first, *[-1] * rank), None
    for axis, chosen in enumerate(taps):
        new = ints(*range(base, base + axis), *range(base + axis + 1, base + rank))
        places, factors = (apply("Concat", *(apply("Unsqueeze", tap[i], ints(-1)) for tap in chosen), axis=-1)
                           for i in (0, 1))
        if rank > 1:
            places, factors = apply("Unsqueeze", places, new), apply("Unsqueeze", factors, new)
        stride = product(space[axis + 1:])
        where = apply("Add", where, times_operand(cast_to(places, "int64"), stride))
        weight = factors if weight is None else weight * factors
    assert weight is not None
    parts = apply("Gather", rows, where) * apply("Unsqueeze", weight, ints(-1))
    return apply("ReduceMax" if is_largest else "ReduceSum", parts, ints(*range(base, base + rank)), keepdims=0)


def times_operand(x: Operand, size: Size) -> Operand:
    """`x` times a size."""
    if isinstance(size, int):
        return x if size == 1 else apply("Mul", x, np.int64(size))
    return apply("Mul", x, size)


def _as_float(size: Size, dtype: str) -> Operand:
    return _number(float(size), dtype) if isinstance(size, int) else cast_to(size, dtype)


def _number(value: float, dtype: str) -> Operand:
    return as_operand(value, dtype)


def _at(x: Operand, *axes: int) -> Operand:
    """New axes of size 1, one after the other."""
    for axis in axes:
        x = apply("Unsqueeze", x, ints(axis))
    return x


@gradient_of("AffineGrid")
def _affine_grid_gradient(dy: Operand, y: Operand, theta: Operand, size: Operand, *, align_corners: int = 0,
                          ) -> Gradients:
    """`dθ = Σ_places dy placeᵀ`, with places as the identity gives them, and a 1."""
    rank = dy.ndim - 2
    identity = Tensor(np.eye(rank, rank + 1, dtype=numpy_dtype(theta.dtype))[None])
    one_size = apply("Concat", ints(1), apply("Slice", size, ints(1), ints(2**31 - 1), ints(0)), axis=0)
    places = apply("Reshape", apply("AffineGrid", identity, one_size, align_corners=align_corners), ints(-1, rank))
    ones = apply("Expand", _number(1.0, theta.dtype), apply("Concat", apply("Shape", places, end=1), ints(1), axis=0))
    n = dimension(dy, 0)
    rows = apply("Reshape", dy, vector([n, product(dimensions(dy)[1:-1]), rank]), allowzero=1)
    extended = apply("Concat", places, ones, axis=1)
    return apply("MatMul", apply("Transpose", rows, perm=(0, 2, 1)), extended), None
