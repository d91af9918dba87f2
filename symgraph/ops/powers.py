"""Powers and roots."""

from __future__ import annotations

from typing import cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.errors import OpError
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.types import TensorType, is_integer
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import multiply, reciprocal, square
from symgraph.ops.promotion import as_operand, cast_to, promote, promote_to_float

__all__ = ["cbrt", "float_power", "pow", "power", "rsqrt", "sqrt"]


@method
def power(x1: object, x2: object) -> Operand:
    """`x1^x2`, broadcast as in NumPy; whole numbers stay whole and exact (ONNX Pow, Mul).

    Squares are one multiplication, square roots Sqrt. Integers wrap around where they overflow, for exponents
    below 128.

    Errors: `OpError` for integers with a negative exponent that is known.

    >>> import symgraph as sg
    >>> sg.ops.power([3, -2], 3).tolist(), sg.ops.power([4.0], 0.5).tolist()
    ([27, -8], [2.0])
    """
    x, y = promote(x1, x2)
    dtype = x.type.dtype if isinstance(x, Operand) and isinstance(x.type, TensorType) else ""
    if dtype == "bool":
        x, y, dtype = cast_to(x, "int32"), cast_to(y, "int32"), "int32"
    if is_integer(dtype):
        return _integer_power(x, y, x2)
    if isinstance(x2, int | float) and not isinstance(x2, bool | np.generic):
        if x2 == 2:
            return square(x)
        if x2 == 1:
            return x
        if x2 == 0.5:
            return apply("Sqrt", x)
        if x2 == -1:
            return reciprocal(x)
    return apply("Pow", x, y)


@gradient_of("Pow", broadcasts=True)
def _power_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    def to_base() -> Operand:
        exponent = cast_to(x2, x1.dtype)
        base = apply("Where", apply("Equal", exponent, 0), _one_for_zero(x1), x1)  # 0⁰ is flat, 0 · 0⁻¹ would be NaN
        return dy * exponent * apply("Pow", base, exponent - 1)

    def to_exponent() -> Operand:
        return dy * y * apply("Log", _one_for_zero(x1))  # 0 to a positive power is 0 whatever the power

    return to_base, to_exponent


def _one_for_zero(x: Operand) -> Operand:
    return apply("Where", apply("Equal", x, 0), 1, x)


def _integer_power(x: Operand, y: Operand, given: object) -> Operand:
    if isinstance(y, Tensor) and y.size and y.numpy().min() < 0:
        raise OpError(f"power: {x.type} to a negative power is not a whole number; cast one of them to a float")
    if isinstance(given, int | np.integer) and int(given) > 0:
        return _repeated_square(x, int(given))
    return cast(Operand, apply_composite("IntegerPower", _any_integer_power, x, y))


def _repeated_square(x: Operand, exponent: int) -> Operand:
    result: Operand | None = None
    while exponent:
        if exponent & 1:
            result = x if result is None else multiply(result, x)
        exponent >>= 1
        if exponent:
            x = multiply(x, x)
    assert result is not None
    return result


def _any_integer_power(x: Operand, y: Operand) -> Operand:
    one = as_operand(1, x.dtype)
    size = apply("Abs", y)
    parity = apply("Mod", size, as_operand(2, x.dtype))
    size = apply("Where", apply("Greater", size, as_operand(127, x.dtype)),
                    apply("Add", parity, as_operand(126, x.dtype)), size)
    result, factor = one, x
    for bit in range(7):
        is_set = apply("Equal", apply("Mod", size, as_operand(2, x.dtype)), one)
        result = apply("Mul", result, apply("Where", is_set, factor, one))
        size = apply("Div", size, as_operand(2, x.dtype))
        if bit < 6:
            factor = apply("Mul", factor, factor)
    if x.dtype.startswith("uint"):
        return result
    vanishes = apply("And", apply("Less", y, as_operand(0, x.dtype)),
                        apply("Greater", apply("Abs", x), one))
    return apply("Where", vanishes, as_operand(0, x.dtype), result)


@method
def float_power(x1: object, x2: object) -> Operand:
    """`x1^x2` as a float."""
    return power(*promote_to_float(x1, x2))


@method
def sqrt(x: object) -> Operand:
    """`√x`; NaN below 0 (ONNX Sqrt)."""
    return apply("Sqrt", *promote_to_float(x))


@gradient_of("Sqrt")
def _sqrt_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """At 0, infinite."""
    return dy / (y + y)


@method
def rsqrt(x: object) -> Operand:
    """`1 / √x`."""
    return reciprocal(sqrt(x))


@method
def cbrt(x: object) -> Operand:
    """`∛x`, of negative numbers too."""
    return cast(Operand, apply_composite("Cbrt", _cbrt, *promote_to_float(x)))


@gradient_of("Cbrt", domain=DOMAIN)
def _cbrt_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """At 0, infinite."""
    return dy / (y * y * 3)


def _cbrt(x: Operand) -> Operand:
    size = apply("Abs", x)
    is_simple = apply("Or", apply("Equal", size, 0.0), apply("IsInf", size))
    safe = apply("Where", is_simple, 1.0, size)
    root = apply("Pow", safe, as_operand(1.0 / 3.0, x.dtype))
    correction = apply("Div", apply("Sub", apply("Div", safe, apply("Mul", root, root)), root), 3.0)
    precise = apply("Add", root, correction)  # one step of Newton: cbrt(27) is 3
    return apply("Where", is_simple, x, apply("Mul", apply("Sign", x), precise))


pow = power
METHODS.update(pow=pow)
