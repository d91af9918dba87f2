"""Trigonometric and hyperbolic functions. Where ONNX Runtime has no float64 kernel, they are made of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.types import TensorType
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import hypot, negative_one_where, signbit
from symgraph.ops.mathematics import expm1, log1p, polynomial
from symgraph.ops.promotion import as_operand, promote_to_float

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan",
    "atan2", "atanh", "cos", "cosh", "deg2rad", "degrees", "rad2deg", "radians", "sin", "sinh", "tan", "tanh",
]


def _apply(op: str, in_float64: Callable[[Operand], Operand], x: object) -> Operand:
    """The ONNX op, or in float64 the composite of the same name that stands for it."""
    (x,) = promote_to_float(x)
    if isinstance(x.type, TensorType) and x.type.dtype == "float64":
        return cast(Operand, apply_composite(op, in_float64, x))
    return apply(op, x)


@method
def sin(x: object) -> Operand:
    """The sine of an angle in radians (ONNX Sin)."""
    return apply("Sin", *promote_to_float(x))


@gradient_of("Sin")
def _sin_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * apply("Cos", x)


@method
def cos(x: object) -> Operand:
    """The cosine of an angle in radians (ONNX Cos)."""
    return apply("Cos", *promote_to_float(x))


@gradient_of("Cos")
def _cos_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return -dy * apply("Sin", x)


@method
def tan(x: object) -> Operand:
    """The tangent of an angle in radians (ONNX Tan)."""
    return _apply("Tan", _tan, x)


@gradient_of("Tan")
@gradient_of("Tan", domain=DOMAIN)
def _tan_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * (y * y + 1)


def _tan(x: Operand) -> Operand:
    return apply("Div", apply("Sin", x), apply("Cos", x))


@method
def arcsin(x: object) -> Operand:
    """The angle whose sine is `x`; NaN outside of -1 to 1 (ONNX Asin)."""
    return _apply("Asin", _asin, x)


@gradient_of("Asin")
@gradient_of("Asin", domain=DOMAIN)
def _asin_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """At the ends, infinite."""
    return dy / apply("Sqrt", (1 - x) * (1 + x))


def _asin(x: Operand) -> Operand:
    """`2 atan(x / (1 + √((1 - x)(1 + x))))`."""
    product = apply("Mul", apply("Sub", 1.0, x), apply("Add", 1.0, x))
    half = apply("Div", x, apply("Add", apply("Sqrt", product), 1.0))
    return apply("Mul", arctan(half), 2.0)


@method
def arccos(x: object) -> Operand:
    """The angle from 0 to π whose cosine is `x`; NaN outside of -1 to 1 (ONNX Acos)."""
    return _apply("Acos", _acos, x)


@gradient_of("Acos")
@gradient_of("Acos", domain=DOMAIN)
def _acos_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """At the ends, infinite."""
    return -dy / apply("Sqrt", (1 - x) * (1 + x))


def _acos(x: Operand) -> Operand:
    """`2 atan(√((1 - x) / (1 + x)))`."""
    ratio = apply("Div", apply("Sub", 1.0, x), apply("Add", 1.0, x))
    return apply("Mul", arctan(apply("Sqrt", ratio)), 2.0)


@method
def arctan(x: object) -> Operand:
    """The angle from -π/2 to π/2 whose tangent is `x` (ONNX Atan)."""
    return _apply("Atan", _atan, x)


@gradient_of("Atan")
@gradient_of("Atan", domain=DOMAIN)
def _atan_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy / (x * x + 1)


# Coefficients of Cephes (S. Moshier), atan.c.
_ATAN_ABOVE = (-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
               -1.228866684490136173410e2, -6.485021904942025371773e1)
_ATAN_BELOW = (1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
               4.853903996359136964868e2, 1.945506571482613964425e2)


def _atan(x: Operand) -> Operand:
    """A rational function up to 0.66, beyond it with the angle turned by π/4 or π/2."""
    size = apply("Abs", x)
    is_large = apply("Greater", size, 1.0 + math.sqrt(2.0))
    is_middle = apply("And", apply("Greater", size, 0.66), apply("Not", is_large))
    inverse = apply("Div", -1.0, apply("Where", is_large, size, 1.0))
    turned = apply("Div", apply("Sub", apply("Where", is_middle, size, 1.0), 1.0), apply(
        "Add", apply("Where", is_middle, size, 1.0), 1.0))
    t = apply("Where", is_large, inverse, apply("Where", is_middle, turned, size))
    start = apply("Where", is_large, as_operand(math.pi / 2, x.dtype), apply(
        "Where", is_middle, as_operand(math.pi / 4, x.dtype), as_operand(0.0, x.dtype)))
    z = apply("Mul", t, t)
    ratio = apply("Div", polynomial(z, _ATAN_ABOVE), polynomial(z, _ATAN_BELOW))
    angle = apply("Add", start, apply("Add", t, apply("Mul", apply("Mul", t, z), ratio)))
    return apply("Mul", apply("Sign", x), angle)


@method
def arctan2(x1: object, x2: object) -> Operand:
    """The angle from -π to π of the point with height `x1` and breadth `x2`; signed zeros count as in NumPy."""
    return cast(Operand, apply_composite("Atan2", _atan2, *promote_to_float(x1, x2)))


@gradient_of("Atan2", domain=DOMAIN, broadcasts=True)
def _atan2_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    """At the origin, 0."""
    distance = hypot(x1, x2)
    radius = apply("Where", apply("Equal", distance, 0), 1, distance)
    slope = dy / radius
    return lambda: slope * (x2 / radius), lambda: -slope * (x1 / radius)


def _atan2(y: Operand, x: Operand) -> Operand:
    both_infinite = apply("And", apply("IsInf", x), apply("IsInf", y))
    both_zero = apply("And", apply("Equal", x, 0.0), apply("Equal", y, 0.0))
    height = apply("Abs", apply("Where", both_infinite, 1.0, y))
    breadth = apply("Abs", apply("Where", apply("Or", both_infinite, both_zero), 1.0, x))
    acute = arctan(apply("Div", height, breadth))
    angle = apply("Where", signbit(x), apply("Sub", math.pi, acute), acute)
    return apply("Mul", angle, negative_one_where(signbit(y), y.dtype))


@method
def sinh(x: object) -> Operand:
    """`(eˣ - e⁻ˣ) / 2` (ONNX Sinh)."""
    return _apply("Sinh", _sinh, x)


@gradient_of("Sinh")
@gradient_of("Sinh", domain=DOMAIN)
def _sinh_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * cosh(x)


def _sinh(x: Operand) -> Operand:
    """`(m + m / (m + 1)) / 2` with `m = expm1(|x|)`, from `|x|` = 20 on `e^(|x|/2)² / 2`."""
    size = apply("Abs", x)
    is_large = apply("Greater", size, 20.0)
    m = expm1(apply("Where", is_large, 0.0, size))
    small = apply("Mul", apply("Add", m, apply("Div", m, apply("Add", m, 1.0))), 0.5)
    root = apply("Exp", apply("Mul", size, 0.5))
    large = apply("Mul", apply("Mul", root, 0.5), root)
    return apply("Mul", apply("Sign", x), apply("Where", is_large, large, small))


@method
def cosh(x: object) -> Operand:
    """`(eˣ + e⁻ˣ) / 2` (ONNX Cosh)."""
    return _apply("Cosh", _cosh, x)


@gradient_of("Cosh")
@gradient_of("Cosh", domain=DOMAIN)
def _cosh_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * sinh(x)


def _cosh(x: Operand) -> Operand:
    root = apply("Exp", apply("Mul", apply("Abs", x), 0.5))
    half = apply("Mul", apply("Mul", root, 0.5), root)
    return apply("Add", half, apply("Div", apply("Div", 0.5, root), root))


@method
def tanh(x: object) -> Operand:
    """`sinh(x) / cosh(x)` (ONNX Tanh)."""
    return apply("Tanh", *promote_to_float(x))


@gradient_of("Tanh")
def _tanh_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * (1 - y * y)


@method
def arcsinh(x: object) -> Operand:
    """`ln(x + √(x² + 1))` (ONNX Asinh)."""
    return _apply("Asinh", _asinh, x)


@gradient_of("Asinh")
@gradient_of("Asinh", domain=DOMAIN)
def _asinh_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy / apply("Sqrt", x * x + 1)


def _asinh(x: Operand) -> Operand:
    size = apply("Abs", x)
    is_large = apply("Greater", size, 1e8)
    small = apply("Where", is_large, 1.0, size)
    squared = apply("Mul", small, small)
    root = apply("Sqrt", apply("Add", squared, 1.0))
    near = log1p(apply("Add", small, apply("Div", squared, apply("Add", root, 1.0))))
    far = apply("Add", apply("Log", apply("Where", is_large, size, 1.0)), math.log(2.0))
    return apply("Mul", apply("Sign", x), apply("Where", is_large, far, near))


@method
def arccosh(x: object) -> Operand:
    """`ln(x + √(x² - 1))`; NaN below 1 (ONNX Acosh)."""
    return _apply("Acosh", _acosh, x)


@gradient_of("Acosh")
@gradient_of("Acosh", domain=DOMAIN)
def _acosh_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """At 1, infinite; below, NaN."""
    return dy / (apply("Sqrt", x - 1) * apply("Sqrt", x + 1))


def _acosh(x: Operand) -> Operand:
    is_large = apply("Greater", x, 1e8)
    t = apply("Sub", apply("Where", is_large, 1.0, x), 1.0)
    near = log1p(apply("Add", t, apply("Sqrt", apply("Mul", t, apply("Add", t, 2.0)))))
    far = apply("Add", apply("Log", apply("Where", is_large, x, 1.0)), math.log(2.0))
    return apply("Where", is_large, far, near)


@method
def arctanh(x: object) -> Operand:
    """`ln((1 + x) / (1 - x)) / 2`; NaN outside of -1 to 1 (ONNX Atanh)."""
    return _apply("Atanh", _atanh, x)


@gradient_of("Atanh")
@gradient_of("Atanh", domain=DOMAIN)
def _atanh_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """At the ends, infinite."""
    return dy / ((1 - x) * (1 + x))


def _atanh(x: Operand) -> Operand:
    size = apply("Abs", x)
    doubled = apply("Div", apply("Add", size, size), apply("Sub", 1.0, size))
    return apply("Mul", apply("Mul", apply("Sign", x), 0.5), log1p(doubled))


@method
def deg2rad(x: object) -> Operand:
    """Degrees as radians: `x π / 180`."""
    return apply("Mul", *promote_to_float(x), math.pi / 180.0)


@method
def rad2deg(x: object) -> Operand:
    """Radians as degrees: `x 180 / π`."""
    return apply("Mul", *promote_to_float(x), 180.0 / math.pi)


asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh
degrees, radians = rad2deg, deg2rad
METHODS.update(asin=asin, acos=acos, atan=atan, atan2=atan2, asinh=asinh, acosh=acosh, atanh=atanh)
