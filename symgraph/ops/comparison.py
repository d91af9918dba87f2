"""Comparison and logic: every result is boolean."""

from __future__ import annotations

from typing import cast

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import not_differentiable
from symgraph.core.tensor import Operand, method
from symgraph.core.types import TensorType, is_floating
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to, promote, promote_to_float

__all__ = [
    "allclose", "array_equal", "equal", "greater", "greater_equal", "isclose", "isfinite", "isinf", "isnan", "isneginf",
    "isposinf", "isreal", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "not_equal",
]


not_differentiable("its output is boolean", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or",
                   "Xor", "Not", "IsNaN", "IsInf")
not_differentiable("its output is boolean", "IsClose", domain=DOMAIN)


def _compare(op: str, x1: object, x2: object) -> Operand:
    x, y = promote(x1, x2)
    if isinstance(x, Operand) and isinstance(x.type, TensorType) and x.type.dtype == "bool" and op != "Equal":
        x, y = cast_to(x, "int32"), cast_to(y, "int32")
    return apply(op, x, y)


@method
def equal(x1: object, x2: object) -> Operand:
    """`x1 = x2` by element; NaN equals nothing (ONNX Equal)."""
    return _compare("Equal", x1, x2)


@method
def not_equal(x1: object, x2: object) -> Operand:
    """`x1 ≠ x2` by element; NaN differs from everything (ONNX Equal, Not)."""
    return apply("Not", _compare("Equal", x1, x2))


@method
def less(x1: object, x2: object) -> Operand:
    """`x1 < x2` by element (ONNX Less)."""
    return _compare("Less", x1, x2)


@method
def less_equal(x1: object, x2: object) -> Operand:
    """`x1 ≤ x2` by element (ONNX LessOrEqual)."""
    return _compare("LessOrEqual", x1, x2)


@method
def greater(x1: object, x2: object) -> Operand:
    """`x1 > x2` by element (ONNX Greater)."""
    return _compare("Greater", x1, x2)


@method
def greater_equal(x1: object, x2: object) -> Operand:
    """`x1 ≥ x2` by element (ONNX GreaterOrEqual)."""
    return _compare("GreaterOrEqual", x1, x2)


def _truth(x: object) -> Operand:
    """Whether `x` is not 0, as booleans."""
    x = as_operand(x)
    return x if x.type is None else cast_to(x, "bool")


@method
def logical_and(x1: object, x2: object) -> Operand:
    """Whether both are not 0 (ONNX And)."""
    return apply("And", _truth(x1), _truth(x2))


@method
def logical_or(x1: object, x2: object) -> Operand:
    """Whether one or both are not 0 (ONNX Or)."""
    return apply("Or", _truth(x1), _truth(x2))


@method
def logical_xor(x1: object, x2: object) -> Operand:
    """Whether exactly one is not 0 (ONNX Xor)."""
    return apply("Xor", _truth(x1), _truth(x2))


@method
def logical_not(x: object) -> Operand:
    """Whether `x` is 0 (ONNX Not)."""
    return apply("Not", _truth(x))


@method
def isnan(x: object) -> Operand:
    """Whether an element is NaN (ONNX IsNaN)."""
    return apply("IsNaN", *promote_to_float(x))


@method
def isinf(x: object) -> Operand:
    """Whether an element is infinite (ONNX IsInf)."""
    return apply("IsInf", *promote_to_float(x))


@method
def isposinf(x: object) -> Operand:
    """Whether an element is +∞ (ONNX IsInf)."""
    return apply("IsInf", *promote_to_float(x), detect_negative=0)


@method
def isneginf(x: object) -> Operand:
    """Whether an element is -∞ (ONNX IsInf)."""
    return apply("IsInf", *promote_to_float(x), detect_positive=0)


@method
def isfinite(x: object) -> Operand:
    """Whether an element is a number that is not infinite."""
    (x,) = promote_to_float(x)
    return apply("Not", apply("Or", apply("IsNaN", x), apply("IsInf", x)))


@method
def isreal(x: object) -> Operand:
    """Whether an element has no imaginary part: true for all real numbers."""
    x = as_operand(x)
    return apply("Expand", as_operand(True), apply("Shape", x))


@method
def isclose(x1: object, x2: object, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Operand:
    """`|x1 - x2| ≤ atol + rtol |x2|` by element; infinities are close to themselves, NaN only with `equal_nan`."""
    x, y = promote(x1, x2)
    if not is_floating(x.dtype):
        x, y = cast_to(x, "float64"), cast_to(y, "float64")
    return cast(Operand, apply_composite(
        "IsClose", _isclose, x, y, rtol=float(rtol), atol=float(atol), equal_nan=int(equal_nan)))


def _isclose(x: Operand, y: Operand, rtol: float, atol: float, equal_nan: int) -> Operand:
    limit = apply("Add", apply("Mul", apply("Abs", y), as_operand(rtol, y.dtype)), as_operand(atol, y.dtype))
    is_near = apply("LessOrEqual", apply("Abs", apply("Sub", x, y)), limit)
    is_close = apply("Or", apply("And", is_near, isfinite(y)), apply("Equal", x, y))
    if not equal_nan:
        return is_close
    return apply("Or", is_close, apply("And", apply("IsNaN", x), apply("IsNaN", y)))


@method
def allclose(x1: object, x2: object, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Operand:
    """Whether all elements are close, as `isclose` says."""
    from symgraph.ops.reductions import all

    return all(isclose(x1, x2, rtol, atol, equal_nan))


@method
def array_equal(x1: object, x2: object) -> Operand:
    """Whether the shapes are the same and all elements equal.

    Errors: none for shapes that differ, where they are known: the answer is false.
    """
    from symgraph.ops.reductions import all

    x, y = as_operand(x1), as_operand(x2)
    dims = list(zip(x.shape, y.shape, strict=False))
    if x.ndim != y.ndim or [1 for a, b in dims if isinstance(a, int) and isinstance(b, int) and a != b]:
        return as_operand(False)
    return all(equal(x, y))
