"""Gradients of the reductions; `axes` are an attribute in old versions of the operators, an input in new ones.

Where several elements are the extreme one, they share its gradient equally.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symgraph.core.composite import DOMAIN
from symgraph.core.gradient import gradient_of, not_differentiable
from symgraph.core.inference import known_data
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES, TensorType
from symgraph.ops.applying import apply
from symgraph.ops.sizes import ints

Axes = Operand | tuple[int, ...] | None

not_differentiable("its output is a place, a whole number", "ArgMax", "ArgMin")


def lift(dy: Operand, axes: Axes, keepdims: int) -> Operand:
    """`dy`, of the shape that a reduction gives, in a shape that broadcasts against what it took."""
    return dy if axes is None or keepdims else apply("Unsqueeze", dy, _as_input(axes))


def spread(dy: Operand, x: Operand, axes: Axes, keepdims: int) -> Operand:
    """`dy`, the gradient of a reduction of `x`, for every element of `x`."""
    return apply("Expand", lift(dy, axes, keepdims), apply("Shape", x))


def _as_input(axes: Axes) -> Operand | None:
    return ints(*axes) if isinstance(axes, tuple) else axes


def _reduce(op: str, x: Operand, axes: Axes, noop_with_empty_axes: int) -> Operand:
    """A reduction over the same axes, which stay with size 1."""
    return apply(op, x, _as_input(axes), keepdims=1, noop_with_empty_axes=noop_with_empty_axes or None)


@gradient_of("ReduceSum")
def _sum_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                  noop_with_empty_axes: int = 0) -> Operand:
    return dy if axes is None and noop_with_empty_axes else spread(dy, x, axes, keepdims)


@gradient_of("ReduceMean")
def _mean_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                   noop_with_empty_axes: int = 0) -> Operand:
    if axes is None and noop_with_empty_axes:
        return dy
    return spread(dy / _count(x, y, axes), x, axes, keepdims)


def _count(x: Operand, y: Operand, axes: Axes) -> Operand | int:
    """How many elements of `x` each element of `y` is made of; at least 1."""
    shape = x.type.shape if isinstance(x.type, TensorType) else None
    data = None if shape is None else np.arange(len(shape)) if axes is None else known_data(_as_input(axes))
    if shape is not None and data is not None and data.size:
        sizes = [shape[i] if isinstance(i, int | np.integer) else None for i in data]
        if all(isinstance(d, int) for d in sizes):
            return max(math.prod(sizes), 1)  # type: ignore[arg-type]
    share = apply("Div", apply("Size", x), apply("Max", apply("Size", y), 1))
    return apply("Cast", share, to=ELEM_TYPES[x.dtype])


@gradient_of("ReduceMax", "ReduceMin")
def _extreme_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                      noop_with_empty_axes: int = 0) -> Operand:
    """An extreme of NaN is none of the elements: it passes nothing on."""
    is_extreme = apply("Cast", apply("Equal", x, lift(y, axes, keepdims)), to=ELEM_TYPES[x.dtype])
    number = _reduce("ReduceSum", is_extreme, axes, noop_with_empty_axes)
    return lift(dy, axes, keepdims) / apply("Max", number, 1.0) * is_extreme


@gradient_of("Max", "Min", "NanMax", "NanMin", domain=DOMAIN)
def _named_extreme_gradient(dy: Operand, y: Operand, x: Operand, *, op: str, axes: tuple[int, ...], keepdims: int,
                            number: float = 0.0) -> Operand:
    return _extreme_gradient(dy, y, x, axes, keepdims=keepdims)


@gradient_of("ReduceProd")
def _product_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                      noop_with_empty_axes: int = 0) -> Operand:
    """The product of the others; exact at zeros too, up to second derivatives."""
    is_zero = apply("Equal", x, 0.0)
    factor = apply("Where", is_zero, 1.0, x)
    product = _reduce("ReduceProd", factor, axes, noop_with_empty_axes)

    def sum_of_others(z: Operand) -> Operand:
        return _reduce("ReduceSum", z, axes, noop_with_empty_axes) - z

    return lift(dy, axes, keepdims) * product * left_after(is_zero, x, sum_of_others) / factor


def left_after(is_zero: Operand, x: Operand, sum_of_others: Callable[[Operand], Operand]) -> Operand:
    """The product of the zeros among the other factors: 1 of none, the one there is (for its slope), 0 of more."""
    zeros = apply("Where", is_zero, x, 0.0)
    count = sum_of_others(apply("Cast", is_zero, to=ELEM_TYPES[x.dtype]))
    return apply("Where", count < 0.5, 1.0, apply("Where", count < 1.5, sum_of_others(zeros), 0.0))


@gradient_of("ReduceL1")
def _l1_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                 noop_with_empty_axes: int = 0) -> Operand:
    return lift(dy, axes, keepdims) * apply("Sign", x)


@gradient_of("ReduceL2")
def _l2_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                 noop_with_empty_axes: int = 0) -> Operand:
    """`x / |x|`; 0 where all are 0."""
    is_zero = apply("Equal", y, 0.0)
    slope = apply("Where", is_zero, 0.0, dy) / apply("Where", is_zero, 1.0, y)
    return lift(slope, axes, keepdims) * x


@gradient_of("ReduceSumSquare")
def _sum_square_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                         noop_with_empty_axes: int = 0) -> Operand:
    return lift(dy * 2.0, axes, keepdims) * x


@gradient_of("ReduceLogSum")
def _log_sum_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                      noop_with_empty_axes: int = 0) -> Operand:
    return _sum_gradient(dy * apply("Exp", -y), y, x, axes, keepdims=keepdims,
                         noop_with_empty_axes=noop_with_empty_axes)


@gradient_of("ReduceLogSumExp")
def _log_sum_exp_gradient(dy: Operand, y: Operand, x: Operand, axes: Axes = None, *, keepdims: int = 1,
                          noop_with_empty_axes: int = 0) -> Operand:
    """`softmax(x)`; 0 where all are -inf."""
    total = apply("Where", apply("Equal", y, -math.inf), 0.0, y)
    return lift(dy, axes, keepdims) * apply("Exp", x - lift(total, axes, keepdims))
