"""Division with remainder, as NumPy and Python have it: the quotient is floored."""

from __future__ import annotations

from typing import cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.errors import OpError
from symgraph.core.gradient import Gradients, gradient_of, not_differentiable
from symgraph.core.inference import known_data
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.types import ELEM_TYPES, TensorType, is_floating, is_integer
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.promotion import cast_to, promote

__all__ = ["divmod", "floor_div", "floor_divide", "fmod", "mod", "remainder"]


@method
def floor_divide(x1: object, x2: object) -> Operand:
    """`⌊x1 / x2⌋`, broadcast as in NumPy: `-7 // 2` is -4 (ONNX Div truncates).

    Errors: `OpError` for an integer divided by 0, where the divisor is known.

    >>> import symgraph as sg
    >>> sg.ops.floor_divide([-7, 7], 2).tolist()
    [-4, 3]
    """
    x, y = _dividends("floor_divide", x1, x2)
    dtype = _dtype(x)
    if is_floating(dtype):
        return cast(Operand, apply_composite("FloorDivide", _floor_divide_floats, x, y))
    if dtype.startswith("uint") or (_is_natural(x) and _is_natural(y)):
        return apply("Div", x, y)
    return cast(Operand, apply_composite("FloorDivide", _floor_divide_ints, x, y))


not_differentiable("it is piecewise constant: its gradient is zero wherever it has one", "FloorDivide", domain=DOMAIN)


def _floor_divide_ints(x: Operand, y: Operand) -> Operand:
    is_flip = apply("Equal", y, -1)  # the smallest integer divided by -1 traps in the processor
    divisor = apply("Where", is_flip, 1, y)
    quotient = apply("Div", x, divisor)
    rest = apply("Sub", x, apply("Mul", quotient, divisor))
    is_apart = apply("Xor", apply("Less", rest, 0), apply("Less", divisor, 0))
    is_above = apply("And", is_apart, apply("Not", apply("Equal", rest, 0)))
    floored = apply("Sub", quotient, apply("Cast", is_above, to=ELEM_TYPES[x.dtype]))
    return apply("Where", is_flip, apply("Neg", x), floored)


def _floor_divide_floats(x: Operand, y: Operand) -> Operand:
    rest = apply("Mod", x, y, fmod=1)
    quotient = apply("Div", apply("Sub", x, rest), y)
    lowered = apply("Where", _is_across(rest, y), apply("Sub", quotient, 1.0), quotient)
    floor = apply("Floor", lowered)
    is_short = apply("Greater", apply("Sub", lowered, floor), 0.5)
    rounded = apply("Where", is_short, apply("Add", floor, 1.0), floor)
    return apply("Where", apply("Equal", y, 0.0), apply("Div", x, y), rounded)


def _is_across(rest: Operand, y: Operand) -> Operand:
    """Where a remainder that has the dividend's sign is not 0 and lies on the other side of 0 than `y`."""
    is_apart = apply("Xor", apply("Less", rest, 0), apply("Less", y, 0))
    return apply("And", is_apart, apply("Not", apply("Equal", rest, 0)))


@method
def mod(x1: object, x2: object) -> Operand:
    """`x1 - x2 · ⌊x1 / x2⌋`: the remainder with the sign of the divisor, `-7 % 2` is 1 (ONNX Mod).

    Errors: `OpError` for an integer divided by 0, where the divisor is known.
    """
    x, y = _dividends("mod", x1, x2)
    if is_floating(_dtype(x)):
        return cast(Operand, apply_composite("FloorMod", _mod_floats, x, y))
    return apply("Mod", x, _without_flip(y))


@gradient_of("FloorMod", domain=DOMAIN, broadcasts=True)
def _mod_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return dy, lambda: -dy * floor_divide(x1, x2)


@gradient_of("Mod", broadcasts=True)
def _onnx_mod_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand, *, fmod: int = 0) -> Gradients:
    """`dy` and `-dy` times the whole quotient."""
    return dy, lambda: -dy * apply("Round", (x1 - y) / x2)


def _mod_floats(x: Operand, y: Operand) -> Operand:
    rest = apply("Mod", x, y, fmod=1)
    return apply("Where", _is_across(rest, y), apply("Add", rest, y), rest)


@method
def fmod(x1: object, x2: object) -> Operand:
    """The remainder with the sign of the dividend, as C has it: `fmod(-7, 2)` is -1 (ONNX Mod)."""
    x, y = _dividends("fmod", x1, x2)
    if is_floating(_dtype(x)):
        return apply("Mod", x, y, fmod=1)
    y = _without_flip(y)  # ONNX Runtime computes Mod with fmod=1 in float64
    return apply("Sub", x, apply("Mul", apply("Div", x, y), y))


def divmod(x1: object, x2: object) -> tuple[Operand, Operand]:
    """`(x1 // x2, x1 % x2)`."""
    return floor_divide(x1, x2), mod(x1, x2)


def _without_flip(y: Operand) -> Operand:
    """The divisor of a remainder with 1 for -1, which leaves 0 as well and never traps in the processor."""
    if _dtype(y).startswith("uint") or (isinstance(y, Tensor) and not (y.numpy() == -1).any()):
        return y
    return apply("Where", apply("Equal", y, -1), 1, y)


def _dividends(who: str, x1: object, x2: object) -> tuple[Operand, Operand]:
    x, y = promote(x1, x2)
    if _dtype(x) == "bool":
        x, y = cast_to(x, "int32"), cast_to(y, "int32")
    if isinstance(y, Tensor) and is_integer(y.dtype) and y.size and not np.all(y.numpy()):
        raise OpError(f"{who}: {x.type} divided by 0; an integer quotient by 0 does not exist, cast to a float")
    return x, y


def _dtype(x: Operand) -> str:
    return x.type.dtype if isinstance(x.type, TensorType) else ""


def _is_natural(x: Operand) -> bool:
    """Whether all of `x` is known not to be negative, as sizes are."""
    data = known_data(x)
    return data is not None and all(isinstance(d, str) or (d is not None and d >= 0) for d in data.flat)


floor_div = floor_divide
remainder = mod
METHODS.update(divmod=divmod, floor_div=floor_div, remainder=remainder)
