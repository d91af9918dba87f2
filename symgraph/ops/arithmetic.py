"""Arithmetic of two operands, and what is made of it: signs, squares, reciprocals, maxima."""

from __future__ import annotations

from functools import partial
from typing import cast

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.errors import DtypeError
from symgraph.core.gradient import Gradients, gradient_of, not_differentiable
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.types import TensorType, is_floating
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to, promote, promote_to_float

__all__ = [
    "abs", "absolute", "add", "angle", "conj", "conjugate", "copysign", "div", "divide", "divide_no_nan", "fabs",
    "fmax", "fmin", "heaviside", "hypot", "imag", "ldexp", "maximum", "minimum", "mul", "multiply", "neg", "negative",
    "positive", "real", "reciprocal", "sign", "signbit", "square", "squared_difference", "sub", "subtract",
    "true_divide",
]


def _dtype(x: Operand) -> str:
    """The dtype, empty where it is not known (patterns)."""
    return x.type.dtype if isinstance(x.type, TensorType) else ""


def _binary(op: str, x1: object, x2: object, *, of_bool: str = "") -> Operand:
    x, y = promote(x1, x2)
    if of_bool and isinstance(x, Operand) and _dtype(x) == "bool":
        op = of_bool
    return apply(op, x, y)


@method
def add(x1: object, x2: object) -> Operand:
    """`x1 + x2`, broadcast as in NumPy; booleans add by "or" (ONNX Add).

    >>> import symgraph as sg
    >>> sg.ops.add([1, 2], 3).tolist()
    [4, 5]
    """
    return _binary("Add", x1, x2, of_bool="Or")


@gradient_of("Add", broadcasts=True)
def _add_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return dy, dy


@method
def subtract(x1: object, x2: object) -> Operand:
    """`x1 - x2`, broadcast as in NumPy (ONNX Sub).

    Errors: `DtypeError` for booleans.
    """
    x, y = promote(x1, x2)
    if _dtype(x) == "bool":
        raise DtypeError("subtract: booleans have no difference; use not_equal or logical_xor, or cast them")
    return apply("Sub", x, y)


@gradient_of("Sub", broadcasts=True)
def _subtract_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return dy, lambda: -dy


@method
def multiply(x1: object, x2: object) -> Operand:
    """`x1 · x2` by element, broadcast as in NumPy; booleans multiply by "and" (ONNX Mul)."""
    return _binary("Mul", x1, x2, of_bool="And")


@gradient_of("Mul", broadcasts=True)
def _multiply_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return lambda: dy * x2, lambda: dy * x1


@method
def true_divide(x1: object, x2: object) -> Operand:
    """`x1 / x2`, broadcast as in NumPy; integers and booleans divide as float32 (ONNX Div).

    >>> import symgraph as sg
    >>> sg.ops.true_divide([1, 3], 2).tolist()
    [0.5, 1.5]
    """
    return apply("Div", *promote_to_float(x1, x2))


@gradient_of("Div", broadcasts=True)
def _true_divide_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return lambda: dy / x2, lambda: -dy * (y / x2)


@method
def divide_no_nan(x1: object, x2: object) -> Operand:
    """`x1 / x2`, and 0 where `x2` is 0."""
    return cast(Operand, apply_composite("DivideNoNan", _divide_no_nan, *promote_to_float(x1, x2)))


def _divide_no_nan(x: Operand, y: Operand) -> Operand:
    is_zero = apply("Equal", y, 0.0)
    quotient = apply("Div", x, apply("Where", is_zero, 1.0, y))
    return apply("Where", is_zero, 0.0, quotient)


@gradient_of("DivideNoNan", domain=DOMAIN, broadcasts=True)
def _divide_no_nan_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return lambda: divide_no_nan(dy, x2), lambda: -dy * divide_no_nan(y, x2)


@method
def negative(x: object) -> Operand:
    """`-x`; unsigned integers wrap around (ONNX Neg).

    Errors: `DtypeError` for booleans.
    """
    x = as_operand(x)
    dtype = _dtype(x)
    if dtype == "bool":
        raise DtypeError("negative: a boolean has no negative; use logical_not, or cast it")
    if dtype.startswith("uint"):
        return _binary("Sub", 0, x)
    return apply("Neg", x)


@gradient_of("Neg")
def _negative_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return -dy


@method
def positive(x: object) -> Operand:
    """`+x`: `x` itself."""
    return as_operand(x)


@method
def absolute(x: object) -> Operand:
    """`|x|` (ONNX Abs)."""
    x = as_operand(x)
    return x if _dtype(x) == "bool" else apply("Abs", x)


@gradient_of("Abs")
def _absolute_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """At the kink 0, as JAX and torch have it."""
    return dy * apply("Sign", x)


@method
def fabs(x: object) -> Operand:
    """`|x|` as a float."""
    return absolute(promote_to_float(x)[0])


@method
def sign(x: object) -> Operand:
    """-1, 0 or 1 as `x` is below, at or above 0; NaN stays NaN (ONNX Sign)."""
    return apply("Sign", as_operand(x))


not_differentiable("it is piecewise constant: its gradient is zero wherever it has one", "Sign")


@method
def signbit(x: object) -> Operand:
    """Whether the sign of `x` is negative; true for -0.0, too."""
    x = as_operand(x)
    dtype = _dtype(x)
    if dtype == "bool" or dtype.startswith("uint"):
        return apply("Less", cast_to(x, "float32"), 0.0)
    is_negative = apply("Less", x, 0)
    if not is_floating(dtype):
        return is_negative
    return apply("Or", is_negative, apply("Less", apply("Reciprocal", x), 0.0))


@method
def copysign(x1: object, x2: object) -> Operand:
    """`x1` with the sign of `x2`, as a float; -0.0 has a sign."""
    return cast(Operand, apply_composite("Copysign", _copysign, *promote_to_float(x1, x2)))


@gradient_of("Copysign", domain=DOMAIN, broadcasts=True)
def _copysign_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return lambda: dy * apply("Sign", x1) * negative_one_where(signbit(x2), x2.dtype), None


def _copysign(x: Operand, y: Operand) -> Operand:
    return apply("Mul", apply("Abs", x), negative_one_where(signbit(y), x.dtype))


def negative_one_where(condition: Operand, dtype: str) -> Operand:
    """-1 where `condition` holds, else 1. As a factor it keeps -0.0, which ONNX Runtime's Where makes 0.0."""
    return apply("Sub", 1.0, apply("Mul", cast_to(condition, dtype), as_operand(2.0, dtype)))


@method
def square(x: object) -> Operand:
    """`x²`, exact: one multiplication."""
    x = as_operand(x)
    return apply("And" if _dtype(x) == "bool" else "Mul", x, x)


@method
def squared_difference(x1: object, x2: object) -> Operand:
    """`(x1 - x2)²`."""
    return square(subtract(x1, x2))


@method
def reciprocal(x: object) -> Operand:
    """`1 / x`; integers as float32 (ONNX Reciprocal)."""
    return apply("Reciprocal", *promote_to_float(x))


@gradient_of("Reciprocal")
def _reciprocal_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return -dy * (y * y)


@method
def maximum(x1: object, x2: object) -> Operand:
    """The larger of `x1` and `x2` by element; NaN where either is NaN (ONNX Max)."""
    return _binary("Max", x1, x2, of_bool="Or")


@method
def minimum(x1: object, x2: object) -> Operand:
    """The smaller of `x1` and `x2` by element; NaN where either is NaN (ONNX Min)."""
    return _binary("Min", x1, x2, of_bool="And")


@gradient_of("Max", "Min", broadcasts=True)
def _extreme_gradient(dy: Operand, y: Operand, *xs: Operand) -> Gradients:
    """Equal operands share the gradient equally, as in JAX."""
    if len(xs) == 1:
        return [dy]
    if len(xs) == 2:
        share = apply("Where", apply("Equal", *xs), dy * 0.5, dy)
        return [partial(_where_equal, x, y, share) for x in xs]
    hits = [cast_to(apply("Equal", x, y), dy.dtype) for x in xs]
    share = dy / apply("Max", apply("Sum", *hits), 1)  # where there is NaN nothing is equal
    return [partial(multiply, share, hit) for hit in hits]


def _where_equal(x: Operand, y: Operand, dy: Operand) -> Operand:
    return apply("Where", apply("Equal", x, y), dy, 0)


@gradient_of("Sum", broadcasts=True)
def _sum_gradient(dy: Operand, y: Operand, *xs: Operand) -> Gradients:
    return [dy] * len(xs)


@gradient_of("Mean", broadcasts=True)
def _mean_gradient(dy: Operand, y: Operand, *xs: Operand) -> Gradients:
    return [dy / len(xs)] * len(xs)


def fmax(x1: object, x2: object) -> Operand:
    """The larger of `x1` and `x2` by element, ignoring NaN where the other is a number."""
    x, y = _numbers_for_nan(x1, x2)
    return maximum(x, y)


def fmin(x1: object, x2: object) -> Operand:
    """The smaller of `x1` and `x2` by element, ignoring NaN where the other is a number."""
    x, y = _numbers_for_nan(x1, x2)
    return minimum(x, y)


def _numbers_for_nan(x1: object, x2: object) -> tuple[Operand, Operand]:
    """Both operands, each with the other's numbers in place of its NaNs."""
    x, y = promote(x1, x2)
    if not is_floating(_dtype(x)):
        return x, y
    return (apply("Where", apply("IsNaN", x), y, x),
            apply("Where", apply("IsNaN", y), x, y))


@method
def hypot(x1: object, x2: object) -> Operand:
    """`√(x1² + x2²)` without overflow on the way."""
    return cast(Operand, apply_composite("Hypot", _hypot, *promote_to_float(x1, x2)))


@gradient_of("Hypot", domain=DOMAIN, broadcasts=True)
def _hypot_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    """At the tip of the cone, 0."""
    slope = dy / apply("Where", apply("Equal", y, 0), 1, y)
    return lambda: slope * x1, lambda: slope * x2


def _hypot(x: Operand, y: Operand) -> Operand:
    a, b = apply("Abs", x), apply("Abs", y)
    large, small = apply("Max", a, b), apply("Min", a, b)
    is_simple = apply("Or", apply("Equal", large, 0.0), apply("IsInf", large))
    ratio = apply("Div", apply("Where", is_simple, 0.0, small), apply("Where", is_simple, 1.0, large))
    scale = apply("Sqrt", apply("Add", apply("Mul", ratio, ratio), 1.0))
    return apply("Mul", large, scale)


@method
def heaviside(x1: object, x2: object) -> Operand:
    """0 where `x1 < 0`, `x2` where it is 0, 1 where it is above; NaN stays NaN."""
    return cast(Operand, apply_composite("Heaviside", _heaviside, *promote_to_float(x1, x2)))


@gradient_of("Heaviside", domain=DOMAIN, broadcasts=True)
def _heaviside_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    return None, lambda: apply("Where", apply("Equal", x1, 0), dy, 0)


def _heaviside(x: Operand, y: Operand) -> Operand:
    step = apply("Where", apply("IsNaN", x), x, apply("Relu", apply("Sign", x)))
    return apply("Where", apply("Equal", x, 0.0), y, step)


@method
def ldexp(x1: object, x2: object) -> Operand:
    """`x1 · 2^x2`, as a float."""
    x, y = promote_to_float(x1, x2)
    return multiply(x, apply("Pow", as_operand(2.0, _dtype(x)), y))


@method
def real(x: object) -> Operand:
    """The real part: `x` itself."""
    return as_operand(x)


@method
def imag(x: object) -> Operand:
    """The imaginary part of real numbers: zeros."""
    x = as_operand(x)
    return apply("Expand", as_operand(0, x.dtype), apply("Shape", x))


@method
def conjugate(x: object) -> Operand:
    """The complex conjugate of real numbers: `x` itself."""
    return as_operand(x)


@method
def angle(x: object) -> Operand:
    """The angle of real numbers in the complex plane: `π` where `x < 0`, else 0; NaN stays NaN."""
    (x,) = promote_to_float(x)
    turned = apply("Where", signbit(x), as_operand(3.141592653589793, x.dtype), as_operand(0.0, x.dtype))
    return apply("Where", apply("IsNaN", x), x, turned)


divide = div = true_divide
sub, mul, neg, abs, conj = subtract, multiply, negative, absolute, conjugate
METHODS.update(divide=divide, div=div, sub=sub, mul=mul, neg=neg, abs=abs, conj=conj)
