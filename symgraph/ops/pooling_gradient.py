"""Gradients of pools: means and norms through a matrix an axis, maxima through the place of the first one."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.axis_matrices import along, squeezed, unit_vectors
from symgraph.ops.control import cond
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import dimension, dimensions, ints, product

Numbers = tuple[int, ...]


@gradient_of("AveragePool")
def _average_pool_gradient(
        dy: Operand, y: Operand, x: Operand, *, auto_pad: str = "NOTSET", ceil_mode: int = 0,
        count_include_pad: int = 0, dilations: Numbers | None = None, kernel_shape: Numbers = (),
        pads: Numbers | None = None, strides: Numbers | None = None) -> Operand:
    if _tiles(x, kernel_shape, strides, dilations, pads, auto_pad):
        return _blocks(dy * (1 / math.prod(kernel_shape)), kernel_shape)
    return _through_matrices("AveragePool", dy, x, kernel_shape, strides, dilations, pads, auto_pad=auto_pad,
                             ceil_mode=ceil_mode, count_include_pad=count_include_pad)


@gradient_of("LpPool")
def _lp_pool_gradient(
        dy: Operand, y: Operand, x: Operand, *, auto_pad: str = "NOTSET", ceil_mode: int = 0,
        dilations: Numbers | None = None, kernel_shape: Numbers = (), p: float = 2, pads: Numbers | None = None,
        strides: Numbers | None = None) -> Operand:
    """`x |x|^(p - 2) Σ dy y^(1 - p)` over the windows of x; 0 where a window is 0."""
    scaled = _over_norm(dy, y, p)
    spread = _through_matrices("LpPool", scaled, x, kernel_shape, strides, dilations, pads, auto_pad=auto_pad,
                               ceil_mode=ceil_mode, p=1)
    return spread * _signed_power(x, p)


@gradient_of("GlobalLpPool")
def _global_lp_pool_gradient(dy: Operand, y: Operand, x: Operand, *, p: float = 2) -> Operand:
    return _over_norm(dy, y, p) * _signed_power(x, p)


@gradient_of("GlobalAveragePool")
def _global_average_pool_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    area = product(dimensions(x)[2:])
    number = as_operand(float(area), x.dtype) if isinstance(area, int) else cast_to(area, x.dtype)
    return apply("Expand", dy / number, apply("Shape", x))


@gradient_of("GlobalMaxPool")
def _global_max_pool_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """Equal maxima share the gradient, as those of ReduceMax do."""
    is_largest = cast_to(apply("Equal", x, y), x.dtype)
    return is_largest * (dy / apply("ReduceSum", is_largest, ints(*range(2, x.ndim)), keepdims=1))


@gradient_of("MaxPool", every_output=True)
def _max_pool_gradient(
        dys: tuple[Operand | None, ...], ys: tuple[Operand | None, ...], x: Operand, *, auto_pad: str = "NOTSET",
        ceil_mode: int = 0, dilations: Numbers | None = None, kernel_shape: Numbers = (), pads: Numbers | None = None,
        storage_order: int = 0, strides: Numbers | None = None) -> Operand | None:
    """To the first of equal maxima. Places are not asked for where windows lie side by side: that is slow."""
    dy, y = dys[0], cast(Operand, ys[0])
    places = ys[1] if len(ys) > 1 and storage_order == 0 else None
    if dy is None:
        return None
    if places is None and _tiles(x, kernel_shape, strides, dilations, pads, auto_pad):
        return tiled_gradient(dy, x, y, kernel_shape)
    if places is None:
        places = apply_many("MaxPool", x, outputs=2, auto_pad=auto_pad, ceil_mode=ceil_mode, dilations=dilations,
                            kernel_shape=kernel_shape, pads=pads, strides=strides)[1]
    return cast(Operand, apply_composite("MaxPoolGrad", _put_back, dy, places, apply("Shape", x), rank=x.ndim))


@gradient_of("MaxPoolGrad", domain=DOMAIN)
def _max_pool_gradient_gradient(dx: Operand, y: Operand, dy: Operand, places: Operand, shape: Operand, *,
                                rank: int) -> Gradients:
    return _at_places(dx, places), None, None


@gradient_of("MaxUnpool")
def _max_unpool_gradient(dy: Operand, y: Operand, x: Operand, places: Operand, output_shape: Operand | None = None, *,
                         kernel_shape: Numbers = (), pads: Numbers | None = None, strides: Numbers | None = None,
                         ) -> Gradients:
    return _at_places(dy, places), *(None,) * (1 + (output_shape is not None))


def _at_places(x: Operand, places: Operand) -> Operand:
    """The elements of `x` at places in its flat order."""
    return apply("Gather", apply("Reshape", x, ints(-1)), places)


def _put_back(dy: Operand, places: Operand, shape: Operand, *, rank: int) -> Operand:
    """`dx[places] += dy`, in a tensor of zeros."""
    zeros = apply("ConstantOfShape", apply("ReduceProd", shape, keepdims=1), value=np.zeros(1, numpy_dtype(dy.dtype)))
    flat = apply("ScatterElements", zeros, apply("Reshape", places, ints(-1)), apply("Reshape", dy, ints(-1)),
                 reduction="add")
    return apply("Reshape", flat, shape, allowzero=1)


def _tiles(x: Operand, window: Numbers, strides: Numbers | None, dilations: Numbers | None, pads: Numbers | None,
           auto_pad: str) -> bool:
    """Whether windows lie side by side and cover all of space, which is of known size."""
    return (strides == tuple(window) and set(dilations or ()) <= {1}
            and (auto_pad != "NOTSET" or not any(pads or ()))
            and all(isinstance(n, int) and n > 0 and n % k == 0 for n, k in zip(x.shape[2:], window, strict=True)))


def _blocks(dy: Operand, window: Numbers) -> Operand:
    """Every element of `dy` as a block of the size of the window."""
    scales = np.array([1, 1, *window], np.float32)
    return apply("Resize", dy, None, Tensor(scales), mode="nearest", coordinate_transformation_mode="asymmetric",
                 nearest_mode="floor")


def tiled_gradient(dy: Operand, x: Operand, y: Operand, window: Numbers, *, above_zero: bool = False) -> Operand:
    """The gradient of a MaxPool whose windows lie side by side: `dy` at the first maximum of each window, else 0.

    With `above_zero`, for x from 0 on, it is 0 in windows of nothing but zeros: what is left behind a Relu.
    """
    repeats = tuple(cast(int, n) // k for n, k in zip(x.shape[2:], window, strict=True))
    result: Operand = apply_composite("TiledMaxPoolGrad", _tiled_gradient, dy, x, y, window=tuple(window),
                                      repeats=repeats, above_zero=int(above_zero))
    return result


@gradient_of("TiledMaxPoolGrad", domain=DOMAIN)
def _tiled_gradient_gradient(dx: Operand, z: Operand, dy: Operand, x: Operand, y: Operand, *, window: Numbers,
                             repeats: Numbers, above_zero: int) -> Gradients:
    """Which elements are the first maxima does not change with x."""
    ones = apply("Expand", as_operand(1.0, dy.dtype), apply("Shape", dy))
    is_first = tiled_gradient(ones, x, y, window, above_zero=bool(above_zero))
    area = as_operand(float(math.prod(window)), dx.dtype)
    return lambda: apply("AveragePool", dx * is_first, kernel_shape=window, strides=window) * area, None, None


def _tiled_gradient(dy: Operand, x: Operand, y: Operand, *, window: Numbers, repeats: Numbers, above_zero: int,
                    ) -> Operand:
    """Where no window has two maxima, they are where x equals y. Else they are told apart."""
    wanted = apply("Sub", y, cast_to(apply("Equal", y, 0.0), y.dtype)) if above_zero else y  # never equal to any x
    is_largest = cast_to(apply("Equal", x, _blocks(wanted, window)), x.dtype)
    counted = apply("Greater", y, 0.0) if above_zero else apply("Equal", y, y)
    is_tied = apply("Less", _count(cast_to(counted, y.dtype)), _count(is_largest))
    spread = _blocks(dy, window)
    result: Operand = cond(is_tied, lambda: _first(is_largest, window, repeats) * spread, lambda: is_largest * spread)
    return result


def _count(mask: Operand) -> Operand:
    """How many ones there are, exactly: a sum of more than 2^24 in float32 is not, and one of means is not whole."""
    found = apply("Round", apply("ReduceSum", mask, ints(*range(2, mask.ndim)), keepdims=0))
    return apply("ReduceSum", apply("Cast", found, to=ELEM_TYPES["int64"]), keepdims=0)


def _first(is_largest: Operand, window: Numbers, repeats: Numbers) -> Operand:
    """1 at the first one of each window, else 0. They are numbered backwards: the highest number is the first."""
    ranks = np.arange(math.prod(window), 0, -1).reshape(window)
    numbered = is_largest * Tensor(np.tile(ranks, repeats).astype(numpy_dtype(is_largest.dtype))[None, None])
    best = apply("MaxPool", numbered, kernel_shape=window, strides=window)
    return is_largest * cast_to(apply("Equal", numbered, _blocks(best, window)), numbered.dtype)


def _through_matrices(name: str, dy: Operand, x: Operand, window: Numbers, strides: Numbers | None,
                      dilations: Numbers | None, pads: Numbers | None, *, auto_pad: str, **options: Any) -> Operand:
    """The transpose of a pool: what it does along each axis is a matrix."""
    rank = len(window)
    for i in range(rank):
        units = apply("Unsqueeze", unit_vectors(dimension(x, i + 2), x.dtype), ints(0))
        matrix = apply(name, units, kernel_shape=(window[i],), strides=(strides[i],) if strides else None,
                       dilations=(dilations[i],) if dilations and dilations[i] != 1 else None,
                       pads=(pads[i], pads[i + rank]) if pads and auto_pad == "NOTSET" else None,
                       auto_pad=auto_pad, **options)
        dy = along(dy, squeezed(matrix, 0), i + 2)
    return dy


def _over_norm(dy: Operand, y: Operand, p: float) -> Operand:
    """`dy y^(1 - p)`, and 0 where y is 0."""
    if p == 1:
        return dy
    is_zero = apply("Equal", y, as_operand(0.0, y.dtype))
    safe = apply("Where", is_zero, as_operand(1.0, y.dtype), y)
    power = safe if p == 2 else apply("Pow", safe, as_operand(float(p - 1), y.dtype))
    return apply("Where", is_zero, as_operand(0.0, y.dtype), dy / power)


def _signed_power(x: Operand, p: float) -> Operand:
    """`x |x|^(p - 2)`."""
    if p == 2:
        return x
    sign = apply("Sign", x)
    return sign if p == 1 else sign * apply("Pow", apply("Abs", x), as_operand(float(p - 1), x.dtype))
