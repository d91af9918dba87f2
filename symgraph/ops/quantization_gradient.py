"""Gradient rules of quantisation: `q = round(x/s) + z` within the range of the integers, `y = (q - z) s`.

Integers have no gradient; where they get one all the same, as inside of `straight_through`, it is a float, rounding
counts as nothing, and what lies beyond the range has none. Floats of few bits are real numbers, and are passed always.
"""

from __future__ import annotations

import re

import numpy as np

from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.shape import reshape
from symgraph.ops.sizes import dimension, dimensions, ints, minus, times, vector
from symgraph.ops.summing import sum_to

GREATEST = {"float8_e4m3fn": 448.0, "float8_e4m3fnuz": 240.0, "float8_e5m2": 57344.0, "float8_e5m2fnuz": 57344.0,
            "float4_e2m1fn": 6.0}

Many = tuple[Operand | None, ...]


@gradient_of("DequantizeLinear")
def _dequantize_gradient(dy: Operand, y: Operand, x: Operand, scale: Operand, zero: Operand | None = None, *,
                         axis: int = 1, block_size: int = 0, output_dtype: int = 0) -> Gradients:
    def to_x() -> Operand:
        dx = dy * _spread(cast_to(scale, dy.dtype), x, axis, block_size)
        return cast_to(dx, x.dtype) if is_floating(x.dtype) else dx

    def to_scale() -> Operand:
        steps = cast_to(x, dy.dtype)
        if zero is not None:
            steps = steps - _spread(cast_to(zero, dy.dtype), x, axis, block_size)
        return cast_to(_gathered(dy * steps, scale, x, axis, block_size), scale.dtype)

    return to_x, to_scale


@gradient_of("QuantizeLinear")
def _quantize_gradient(dy: Operand, y: Operand, x: Operand, scale: Operand, zero: Operand | None = None, *,
                       axis: int = 1, block_size: int = 0, output_dtype: int = 0, precision: int = 0, saturate: int = 1,
                       ) -> Gradients:
    step = _spread(cast_to(scale, x.dtype), x, axis, block_size)
    place = apply("Round", cast_to(x / step, "float32" if x.dtype in ("float16", "bfloat16") else x.dtype))
    if zero is not None:
        place = place + _spread(cast_to(zero, place.dtype), x, axis, block_size)
    low, high = _range(y.dtype)
    is_inside = apply("And", apply("GreaterOrEqual", place, low), apply("LessOrEqual", place, high))
    dx = apply("Where", is_inside, cast_to(dy, x.dtype), 0) / step
    return dx, lambda: cast_to(_gathered(-dx * x / step, scale, x, axis, block_size), scale.dtype)


@gradient_of("DynamicQuantizeLinear", every_output=True)
def _dynamic_quantize_gradient(dys: Many, ys: Many, x: Operand) -> Operand:
    """That of the scale, `(max(x, 0) - min(x, 0)) / 255`, goes to the largest and the smallest elements."""
    dq, ds, _ = dys
    high, low = apply("Max", apply("ReduceMax", x, keepdims=0), 0), apply("Min", apply("ReduceMin", x, keepdims=0), 0)
    scale = (high - low) / 255
    dx, total = x * 0, as_operand(0.0, x.dtype) if ds is None else ds
    if dq is not None:
        dx = dq / apply("Where", apply("Equal", scale, 0), 1, scale)
        total = total - apply("ReduceSum", dx * x / scale, keepdims=0)
    return dx + total * (_shares(x, high) - _shares(x, low)) / 255


def _shares(x: Operand, extreme: Operand) -> Operand:
    is_there = cast_to(apply("Equal", x, extreme), x.dtype)
    return is_there / apply("Max", apply("ReduceSum", is_there, keepdims=0), 1)


def _range(dtype: str) -> tuple[float, float]:
    """The least and the greatest number of what things are quantised to."""
    if is_floating(dtype):
        return -GREATEST[dtype], GREATEST[dtype]
    bits = int(re.sub(r"\D", "", dtype))
    return (0, 2**bits - 1) if dtype.startswith("u") else (-2 ** (bits - 1), 2 ** (bits - 1) - 1)


def _spread(v: Operand, x: Operand, axis: int, block: int) -> Operand:
    """`v`, of one number in all, one a place of the axis, or one a block along it, so that it broadcasts with `x`."""
    if not v.ndim or x.ndim < 2:
        return v if not block else _repeated(v, x, 0, block)
    if block:
        return _repeated(v, x, axis % x.ndim, block)
    return apply("Unsqueeze", v, ints(*(i for i in range(x.ndim) if i != axis % x.ndim)))


def _repeated(v: Operand, x: Operand, axis: int, block: int) -> Operand:
    count = apply("Range", np.int64(0), as_operand(dimension(x, axis), "int64"), np.int64(1))
    return apply("Gather", v, apply("Div", count, np.int64(block)), axis=axis)


def _gathered(g: Operand, v: Operand, x: Operand, axis: int, block: int) -> Operand:
    """`g`, which has the shape of `x`, summed over the places where `_spread` puts the same element of `v`."""
    if not block:
        return apply("Reshape", sum_to(g, _spread(v, x, axis, 0)), apply("Shape", v))
    axis %= x.ndim
    missing = minus(times(dimension(v, axis), block), dimension(x, axis))
    padded = apply("Pad", g, vector([*[0] * g.ndim, *(missing if i == axis else 0 for i in range(g.ndim))]))
    sizes = dimensions(x)
    blocks = reshape(padded, (*sizes[:axis], dimension(v, axis), block, *sizes[axis + 1:]))
    return apply("ReduceSum", blocks, ints(axis + 1), keepdims=0)
