"""Padding, flipping, rolling and turning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import OpError, ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.joining import concat
from symgraph.ops.promotion import as_operand
from symgraph.ops.shape import ravel, reshape, swapaxes, unchanged
from symgraph.ops.sizes import (
    INT64_MAX,
    INT64_MIN,
    Size,
    as_axes,
    as_axis,
    as_size,
    as_sizes,
    dimension,
    dimensions,
    ints,
    is_exactly,
    larger,
    minus,
    remainder,
    vector,
)

__all__ = ["flip", "fliplr", "flipud", "pad", "roll", "rot90"]

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "replicate": "edge", "wrap": "wrap",
              "circular": "wrap", "symmetric": "symmetric"}


@method
def pad(x: object, pad_width: object, mode: str = "constant", constant_values: object = None) -> Operand:
    """`x` with elements put before and after it along every axis (ONNX Pad).

    `pad_width` is a number, a pair (before, after), or such a pair for every axis; numbers may be scalar symbols.
    `mode`: constant (zeros, or `constant_values`), reflect, symmetric, edge (replicate), wrap (circular).

    Errors: `ShapeError` for negative widths and widths that do not fit the rank; `OpError` for another mode.

    >>> import symgraph as sg
    >>> sg.ops.pad([1, 2, 3], (2, 1), mode="reflect").tolist()
    [3, 2, 1, 2, 3, 2]
    """
    x = as_operand(x)
    if mode not in _PAD_MODES:
        raise OpError(f"pad: mode is one of {', '.join(_PAD_MODES)}, got {mode!r}")
    mode = _PAD_MODES[mode]
    if constant_values is not None and mode != "constant":
        raise OpError(f"pad: constant_values go with mode 'constant', not with {mode!r}")
    widths = _pad_widths(x, pad_width)
    places = [i for i, (a, b) in enumerate(widths) if not (is_exactly(a, 0) and is_exactly(b, 0))]
    if not places:
        return unchanged(x)
    if mode == "constant":
        value = None if constant_values is None else as_operand(constant_values, x.dtype)
        if value is not None and value.shape != ():
            raise ShapeError(f"pad: constant_values must be one number, got shape {value.shape}")
        return _apply_pad(x, widths, mode, value)
    for axis in places:
        if x.shape[axis] == 0:
            raise ShapeError(f"pad: axis {axis} of {x.type} is empty, so there is nothing to {mode}")
    if all(_is_plain(x, axis, widths[axis], mode) for axis in places):
        return _apply_pad(x, widths, mode, None)
    for axis in places:
        x = _pad_by_places(x, axis, widths[axis], mode)
    return x


def _pad_widths(x: Operand, pad_width: object) -> list[tuple[Size, Size]]:
    """A pair of widths for every axis, by NumPy's rules for what is left out."""
    items = pad_width if isinstance(pad_width, list | tuple) else (
        np.asarray(pad_width).tolist() if isinstance(pad_width, np.ndarray | Tensor) else pad_width)
    if not isinstance(items, list | tuple):
        pairs: list[list[Size]] = [[as_size(items, "pad")] * 2]
    elif items and all(isinstance(p, list | tuple | np.ndarray) for p in items):
        pairs = [as_sizes(p, "pad") for p in items]
    else:
        pairs = [as_sizes(items, "pad")]
    pairs = [p * 2 if len(p) == 1 else p for p in pairs]
    if len(pairs) == 1:
        pairs = pairs * x.ndim
    if len(pairs) != x.ndim or any(len(p) != 2 for p in pairs):
        raise ShapeError(f"pad: {x.type} needs a (before, after) for each of its {x.ndim} axes, got {pad_width!r}")
    if any(isinstance(n, int) and n < 0 for p in pairs for n in p):
        raise ShapeError(f"pad: widths count from 0, got {pad_width!r}; slice to make a tensor smaller")
    return [(p[0], p[1]) for p in pairs]


def _apply_pad(x: Operand, widths: Sequence[tuple[Size, Size]], mode: str, value: Operand | None) -> Operand:
    """All axes are written out: ONNX Runtime takes some for all where it moves a Transpose past the Pad."""
    return apply("Pad", x, vector([w[0] for w in widths] + [w[1] for w in widths]), value, mode=mode)


def _is_plain(x: Operand, axis: int, width: tuple[Size, Size], mode: str) -> bool:
    """Whether ONNX Pad does it: a reflection must not reach further than the axis is long."""
    have = x.shape[axis]
    if mode == "edge":
        return True
    if mode == "symmetric" or not isinstance(have, int):
        return mode != "symmetric" and not isinstance(have, int)
    return all(isinstance(n, int) and n < have for n in width)


def _pad_by_places(x: Operand, axis: int, width: tuple[Size, Size], mode: str) -> Operand:
    """Padding as a Gather: where each element of the result comes from."""
    have, (before, after) = x.shape[axis], width
    if not isinstance(before, int) or not isinstance(after, int):
        raise ShapeError(f"pad: mode {mode!r} on axis {axis} of {x.type} needs known widths")
    if isinstance(have, int):
        places: Operand = Tensor(np.pad(np.arange(have), (before, after), mode=mode))  # type: ignore[call-overload]
        return apply("Gather", x, places, axis=axis)
    if mode != "symmetric":
        return _apply_pad(x, [width if i == axis else (0, 0) for i in range(x.ndim)], mode, None)
    head = apply("Slice", x, ints(before - 1), ints(INT64_MIN), ints(axis), ints(-1)) if before else None
    tail = apply("Slice", x, ints(-1), ints(-after - 1), ints(axis), ints(-1)) if after else None
    return concat([part for part in (head, x, tail) if part is not None], axis=axis)


@method
def flip(x: object, axis: int | Sequence[int] | None = None) -> Operand:
    """`x` back to front along `axis`; without it, along all axes (ONNX Slice with step -1)."""
    x = as_operand(x)
    axes = as_axes(axis, x.ndim, "flip")
    if not axes:
        return unchanged(x)
    count = len(axes)
    return apply("Slice", x, ints(*[INT64_MAX] * count), ints(*[INT64_MIN] * count), ints(*axes), ints(*[-1] * count))


def fliplr(x: object) -> Operand:
    """`x` back to front along its second axis."""
    return flip(x, 1)


def flipud(x: object) -> Operand:
    """`x` back to front along its first axis."""
    return flip(x, 0)


@method
def roll(x: object, shift: object, axis: int | Sequence[int] | None = None) -> Operand:
    """`x` moved `shift` places along `axis`; what leaves at the end comes in at the beginning.

    Without `axis`, all elements move as one row. Several axes take one shift each, or the same.

    >>> import symgraph as sg
    >>> sg.ops.roll([1, 2, 3, 4], 1).tolist()
    [4, 1, 2, 3]
    """
    x = as_operand(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), dimensions(x))
    items = axis if isinstance(axis, list | tuple) else (axis,)
    axes = [as_axis(a, x.ndim, "roll") for a in items]
    shifts = as_sizes(shift, "roll")
    if len(shifts) == 1:
        shifts = shifts * len(axes)
    if len(axes) == 1:
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    for a, s in zip(axes, shifts, strict=True):
        x = _roll(x, s, a)
    return unchanged(x)


def _roll(x: Operand, shift: Size, axis: int) -> Operand:
    have = dimension(x, axis)
    if is_exactly(have, 0) or is_exactly(shift, 0):
        return x
    moved = remainder(shift, larger(have, 1))
    if is_exactly(moved, 0):
        return x
    cut = vector([minus(have, moved)])
    return concat([apply("Slice", x, cut, ints(INT64_MAX), ints(axis)), apply("Slice", x, ints(0), cut, ints(axis))],
                  axis=axis)


def rot90(array: object, k: int = 1, axes: Sequence[int] = (0, 1)) -> Operand:
    """`array` turned `k` times by a quarter in the plane of two axes, from the first to the second.

    Errors: `ShapeError` where there are not two different axes.
    """
    x = as_operand(array)
    plane = as_axes(tuple(axes), x.ndim, "rot90")
    if len(plane) != 2:
        raise ShapeError(f"rot90: a plane has two axes, got {tuple(axes)}")
    match k % 4:
        case 0:
            return unchanged(x)
        case 1:
            return swapaxes(flip(x, plane[1]), *plane)
        case 2:
            return flip(x, plane)
        case _:
            return flip(swapaxes(x, *plane), plane[1])
