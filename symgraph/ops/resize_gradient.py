"""Gradients of Resize and Upsample: each axis is a matrix, found by resizing the unit vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.core.errors import GradientError
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.axis_matrices import along, squeezed, unit_vectors
from symgraph.ops.promotion import as_operand
from symgraph.ops.sizes import dimension, ints, vector

Numbers = tuple[int, ...]


@gradient_of("Resize", first=11)
def _resize_gradient(
        dy: Operand, y: Operand, x: Operand, roi: Operand | None = None, scales: Operand | None = None,
        sizes: Operand | None = None, *, antialias: int = 0, axes: Numbers | None = None,
        coordinate_transformation_mode: str = "half_pixel", cubic_coeff_a: float = -0.75, exclude_outside: int = 0,
        extrapolation_value: float = 0.0, keep_aspect_ratio_policy: str = "stretch", mode: str = "nearest",
        nearest_mode: str = "round_prefer_floor") -> Gradients:
    """To the image; where it is looked at counts as given, so `roi` and `scales` have none."""
    options: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": coordinate_transformation_mode}
    if mode == "nearest":
        options["nearest_mode"] = nearest_mode
    else:
        options |= {"exclude_outside": exclude_outside, "antialias": antialias or None}
    if mode == "cubic":
        options["cubic_coeff_a"] = cubic_coeff_a
    places = tuple(a % x.ndim for a in axes) if axes else tuple(range(x.ndim))
    scales, sizes = _given(scales), _given(sizes)
    others = (None,) * (1 + (scales is not None or sizes is not None) + (sizes is not None))
    block = _block(x, y, scales, places, options)
    if block is not None:
        return apply("AveragePool", dy, kernel_shape=block, strides=block) * float(math.prod(block)), *others
    is_cropped = coordinate_transformation_mode == "tf_crop_and_resize"
    for position, axis in enumerate(places):
        if not is_cropped and _is_kept(x, y, scales, position, axis):
            continue
        if scales is None and keep_aspect_ratio_policy != "stretch":
            matrix = _with_the_others(x, sizes, position, places, keep_aspect_ratio_policy, options)
        else:
            region = _region(roi, position, len(places)) if is_cropped else None
            matrix = _matrix(x, axis, region, scales, sizes, position, options)
        dy = along(dy, matrix, axis)
    return dy, *others


@gradient_of("Resize", last=10)
@gradient_of("Upsample")
def _old_resize_gradient(dy: Operand, y: Operand, x: Operand, scales: Operand | tuple[float, ...] | None = None, *,
                         mode: str = "nearest", **attributes: Any) -> Gradients:
    """Before version 11 pixels lay at whole numbers; the nearest is the one before, when shrinking the one after."""
    given = attributes.get("scales", scales)
    if given is None:  # Upsample 1
        given = (1.0, 1.0, attributes["height_scale"], attributes["width_scale"])
    factors = given if isinstance(given, Operand) else Tensor(np.array(given, np.float32))
    kind = "nearest" if mode == "nearest" else "linear"
    options: dict[str, Any] = {"mode": kind, "coordinate_transformation_mode": "asymmetric"}
    places = tuple(range(x.ndim))
    block = _block(x, y, factors, places, options | {"nearest_mode": "floor"})
    others = (None,) * isinstance(scales, Operand)
    if block is not None:
        return apply("AveragePool", dy, kernel_shape=block, strides=block) * float(math.prod(block)), *others
    for axis in places:
        if _is_kept(x, y, factors, axis, axis):
            continue
        if kind == "linear":
            dy = along(dy, _matrix(x, axis, None, factors, None, axis, options), axis)
            continue
        down, up = (_matrix(x, axis, None, factors, None, axis, options | {"nearest_mode": nearest})
                    for nearest in ("ceil", "floor"))
        shrinks = apply("Less", apply("Gather", factors, np.int64(axis)), np.float32(1))
        dy = along(dy, apply("Where", shrinks, down, up), axis)
    return dy, *others


def _given(x: Operand | None) -> Operand | None:
    """An empty list is none."""
    return None if x is None or x.shape == (0,) else x


def _block(x: Operand, y: Operand, scales: Operand | None, places: Numbers, options: dict[str, Any]) -> Numbers | None:
    """The size of the blocks that pixels become, where they do."""
    known = [*x.shape, *y.shape]
    mode, coordinates, nearest = (options.get(k) for k in ("mode", "coordinate_transformation_mode", "nearest_mode"))
    is_plain = (coordinates, nearest) == ("asymmetric", "floor") or (
        coordinates == "half_pixel" and str(nearest).startswith("round"))
    if mode != "nearest" or not is_plain or not 3 <= x.ndim <= 5:
        return None
    if not all(isinstance(n, int) and n > 0 for n in known):
        return None
    if scales is not None and not isinstance(scales, Tensor):
        return None
    block = [b // a if b % a == 0 else 0 for a, b in zip(x.shape, y.shape, strict=True)]  # type: ignore[operator]
    factors = [1.0] * x.ndim
    if scales is not None:
        for place, factor in zip(places, scales.numpy().tolist(), strict=True):
            factors[place] = factor
        if factors != block:
            return None
    return tuple(block[2:]) if block[:2] == [1, 1] and min(block) > 0 else None


def _is_kept(x: Operand, y: Operand, scales: Operand | None, position: int, axis: int) -> bool:
    """Whether an axis is known to stay as it is."""
    if scales is not None:
        return isinstance(scales, Tensor) and float(scales.numpy()[position]) == 1
    before, after = x.shape[axis], y.shape[axis]
    return before is not None and type(before) is type(after) and str(before) == str(after)


def _matrix(x: Operand, axis: int, region: Operand | None, scales: Operand | None, sizes: Operand | None,
            position: int, options: dict[str, Any]) -> Operand:
    """`x[.., i, ..] = Σ_j matrix[i, j] y[.., j, ..]`, transposed: what becomes of the unit vectors."""
    n = dimension(x, axis)
    units = apply("Unsqueeze", unit_vectors(n, x.dtype), ints(0, 3))
    place = ints(position)
    if scales is not None:
        one = np.ones(1, np.float32)
        scales = apply("Concat", one, one, apply("Gather", scales, place), one, axis=0)
        resized = apply("Resize", units, region, scales, **options)
    elif sizes is not None:
        size = apply("Squeeze", apply("Gather", sizes, place), ints(0))
        resized = apply("Resize", units, region, None, vector([1, n, size, 1]), **options)
    else:
        raise GradientError("Resize: has neither scales nor sizes")
    return squeezed(resized, 0, 3)


def _region(roi: Operand | None, position: int, count: int) -> Operand:
    if roi is None:
        raise GradientError("Resize: tf_crop_and_resize needs a roi")
    zero, one = as_operand(0.0, roi.dtype), as_operand(1.0, roi.dtype)
    zero, one = apply("Unsqueeze", zero, ints(0)), apply("Unsqueeze", one, ints(0))
    start, end = (apply("Gather", roi, ints(position + k)) for k in (0, count))
    return apply("Concat", zero, zero, start, zero, one, one, end, one, axis=0)


def _with_the_others(x: Operand, sizes: Operand | None, position: int, places: Numbers, policy: str,
                     options: dict[str, Any]) -> Operand:
    """The matrix of an axis whose scale depends on the sizes of another one too."""
    if len(places) != 2 or sizes is None:
        raise GradientError("Resize: keep_aspect_ratio_policy has a gradient for two axes, named by the attribute "
                            f"axes; got {len(places)}")
    n, other = (dimension(x, places[p]) for p in (position, 1 - position))
    units = apply("Expand", apply("Unsqueeze", unit_vectors(n, x.dtype), ints(0, 3)), vector([1, n, n, other]))
    wanted = apply("Gather", sizes, ints(position, 1 - position))
    resized = apply("Resize", units, None, None, wanted, axes=(2, 3), keep_aspect_ratio_policy=policy, **options)
    return squeezed(apply("Slice", resized, ints(0), ints(1), ints(3)), 0, 3)
