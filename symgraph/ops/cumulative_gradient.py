"""Gradient rules of running sums, products and maxima.

That of a product is right at zeros too: `dx_k = Π_{j<k} x_j · s_k`, with `s_k = dy_k + x_{k+1} s_{k+1}` from the end.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import INT64_MIN, dimension, ints


@gradient_of("CumSum")
def _cumsum_gradient(dy: Operand, y: Operand, x: Operand, axis: Operand, *, exclusive: int = 0, reverse: int = 0,
                     ) -> Gradients:
    return apply("CumSum", dy, axis, exclusive=exclusive, reverse=1 - reverse), None


@gradient_of("CumProd", first=26)
def _onnx_cumprod_gradient(dy: Operand, y: Operand, x: Operand, axis: Operand, *, exclusive: int = 0,
                           reverse: int = 0) -> Gradients:
    axes = apply("Reshape", cast_to(axis, "int64"), ints(1))
    if reverse:
        dx = _flipped(_cumprod_slope(_flipped(dy, axes), _flipped(y, axes), _flipped(x, axes), axes, exclusive), axes)
    else:
        dx = _cumprod_slope(dy, y, x, axes, exclusive)
    return dx, None


@gradient_of("CumProd", domain=DOMAIN)
def _cumprod_gradient(dy: Operand, y: Operand, x: Operand, *, op: str, axis: int) -> Operand:
    return _cumprod_slope(dy, y, x, ints(axis), 0)


def _cumprod_slope(dy: Operand, y: Operand, x: Operand, axes: Operand, exclusive: int) -> Operand:
    before = y if exclusive else _moved(y, axes, 1, 1.0)
    dy = _moved(dy, axes, -1, 0.0) if exclusive else dy
    factors = _flipped(_moved(x, axes, -1, 0.0), axes)
    return before * _flipped(linear_scan(factors, _flipped(dy, axes), axes), axes)


def _moved(x: Operand, axes: Operand, places: int, number: float) -> Operand:
    """`x` one place on or back along its axis, with a number at the end that is left."""
    pads = ints(places, -places)
    return apply("Pad", x, pads, as_operand(number, x.dtype), axes)


def _flipped(x: Operand, axes: Operand) -> Operand:
    return apply("Slice", x, ints(-1), ints(INT64_MIN), axes, ints(-1))


def linear_scan(a: Operand, b: Operand, axes: Operand) -> Operand:
    """`s_0 = b_0, s_k = a_k s_{k-1} + b_k` along an axis."""
    return cast(Operand, apply_composite("LinearScan", _doubled, a, b, axes))


@gradient_of("LinearScan", domain=DOMAIN)
def _linear_scan_gradient(dy: Operand, y: Operand, a: Operand, b: Operand, axes: Operand) -> Gradients:
    """`db_k = dy_k + a_{k+1} db_{k+1}`, `da_k = db_k s_{k-1}`."""
    factors = _flipped(_moved(a, axes, -1, 0.0), axes)
    db = _flipped(linear_scan(factors, _flipped(dy, axes), axes), axes)
    return lambda: db * _moved(y, axes, 1, 0.0), db


def _doubled(a: Operand, b: Operand, axes: Operand) -> Operand:
    """After step k every element knows what the `2^k - 1` before it add."""
    from symgraph.ops.loops import while_loop

    size = apply("Gather", apply("Shape", a), apply("Squeeze", axes, ints(0)))

    def step(a: Operand, b: Operand, reach: Operand) -> tuple[Operand, Operand, Operand]:
        pads = apply("Concat", *(apply("Reshape", each, ints(1)) for each in (reach, -reach)), axis=0)
        early = apply("Pad", b, pads, as_operand(0.0, b.dtype), axes)
        earlier = apply("Pad", a, pads, as_operand(0.0, a.dtype), axes)
        return a * earlier, b + a * early, reach + reach

    start = apply("Identity", Tensor(np.array(1, np.int64)))
    return cast(Operand, while_loop(lambda a, b, reach: apply("Less", reach, size), step, (a, b, start))[1])


@gradient_of("CumMax", "CumMin", domain=DOMAIN)
def _cumulative_extreme_gradient(dy: Operand, y: Operand, x: Operand, *, op: str, axis: int) -> Operand:
    """The gradient goes to the latest element that has the value, as in torch."""
    from symgraph.ops.cumulative import cummax

    count = apply("Range", np.int64(0), as_operand(dimension(x, axis), "int64"), np.int64(1))
    places = apply("Reshape", count, ints(*(-1 if i == axis else 1 for i in range(x.ndim))))
    found = cummax(apply("Where", apply("Equal", x, y), places, np.int64(0)), axis)
    zeros = apply("Expand", as_operand(0.0, dy.dtype), apply("Shape", dy))
    return apply("ScatterElements", zeros, found, dy, axis=axis, reduction="add")
