"""Rounding, clipping and the replacement of NaN."""

from __future__ import annotations

from typing import cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import Gradients, gradient_of, not_differentiable
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.types import TensorType, is_floating
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import maximum, minimum
from symgraph.ops.promotion import as_operand, cast_to, promote

__all__ = ["ceil", "clip", "clip_by_value", "fix", "floor", "nan_to_num", "rint", "round", "trunc"]


def _round(op: str, x: object) -> Operand:
    x = as_operand(x)
    if isinstance(x.type, TensorType) and not is_floating(x.type.dtype):
        return x
    return apply(op, x)


_STEPS = "it is piecewise constant: its gradient is zero wherever it has one"

not_differentiable(_STEPS, "Floor", "Ceil", "Round")
not_differentiable(_STEPS, "Trunc", domain=DOMAIN)


@method
def floor(x: object) -> Operand:
    """`⌊x⌋`; integers as they are (ONNX Floor)."""
    return _round("Floor", x)


@method
def ceil(x: object) -> Operand:
    """`⌈x⌉`; integers as they are (ONNX Ceil)."""
    return _round("Ceil", x)


@method
def rint(x: object) -> Operand:
    """The nearest whole number, the even one of two; integers as they are (ONNX Round)."""
    return _round("Round", x)


@method
def trunc(x: object) -> Operand:
    """`x` without its fraction; integers as they are."""
    x = as_operand(x)
    if isinstance(x.type, TensorType) and not is_floating(x.type.dtype):
        return x
    return cast(Operand, apply_composite("Trunc", _trunc, x))


def _trunc(x: Operand) -> Operand:
    return apply("Where", apply("Less", x, 0.0), apply("Ceil", x), apply("Floor", x))


@method
def round(x: object, decimals: int = 0) -> Operand:
    """`x` rounded to `decimals` places, halves to the even side; negative `decimals` round whole numbers (ONNX Round).

    >>> import symgraph as sg
    >>> sg.ops.round([0.5, 1.5, 2.5]).tolist(), sg.ops.round([15, 25], -1).tolist()
    ([0.0, 2.0, 2.0], [20, 20])
    """
    x = as_operand(x)
    is_float = not isinstance(x.type, TensorType) or is_floating(x.type.dtype)
    if not decimals or (not is_float and decimals > 0):
        return _round("Round", x)
    scale = 10.0 ** abs(decimals)
    if is_float:
        up, down = ("Mul", "Div") if decimals > 0 else ("Div", "Mul")
        factor = as_operand(scale, x.dtype)
        return apply(down, apply("Round", apply(up, x, factor)), factor)
    wide = apply("Div", cast_to(x, "float64"), as_operand(scale, "float64"))
    return cast_to(apply("Mul", apply("Round", wide), as_operand(scale, "float64")), x.dtype)


@method
def clip(x: object, x_min: object = None, x_max: object = None) -> Operand:
    """`min(max(x, x_min), x_max)`; NaN stays NaN; a bound of None is no bound (ONNX Max, Min).

    >>> import symgraph as sg
    >>> sg.ops.clip([1, 5, 9], 2, 8).tolist()
    [2, 5, 8]
    """
    if x_min is not None and x_max is not None:
        x, x_min, x_max = promote(x, x_min, x_max)
    result = as_operand(x)
    if x_min is not None:
        result = maximum(result, x_min)
    return result if x_max is None else minimum(result, x_max)


@gradient_of("Clip", broadcasts=True)
def _clip_gradient(dy: Operand, y: Operand, x: Operand, low: Operand | None = None, high: Operand | None = None, *,
                   min: float | None = None, max: float | None = None) -> Gradients:
    """Passes at the bounds, as in torch; beyond them to the bound, the upper one where they are crossed.

    `min` and `max` are the bounds of the versions before 11.
    """
    lowest, highest = min if low is None else low, max if high is None else high

    def to_low() -> Operand:
        is_low = apply("Less", x, low)
        if highest is not None:
            is_low = apply("And", is_low, apply("LessOrEqual", low, highest))
        return apply("Where", is_low, dy, 0)

    def to_high() -> Operand:
        raised = x if lowest is None else apply("Max", x, lowest)
        return apply("Where", apply("Greater", raised, high), dy, 0)

    return lambda: apply("Where", apply("Equal", x, y), dy, 0), to_low, to_high


@method
def nan_to_num(x: object, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Operand:
    """`x` with numbers for NaN and infinities: `nan`, `posinf`, `neginf` (the largest and smallest of the dtype)."""
    x = as_operand(x)
    if not isinstance(x.type, TensorType) or not is_floating(x.type.dtype):
        return x
    largest = float(_largest(x.dtype))
    return cast(Operand, apply_composite(
        "NanToNum", _nan_to_num, x, nan=float(nan), posinf=largest if posinf is None else float(posinf),
        neginf=-largest if neginf is None else float(neginf)))


def _largest(dtype: str) -> float:
    if dtype == "bfloat16":
        return 2.0**127 * (2 - 2.0**-7)
    return float(np.finfo(dtype).max)


def _nan_to_num(x: Operand, nan: float, posinf: float, neginf: float) -> Operand:
    numbers = apply("Where", apply("IsNaN", x), as_operand(nan, x.dtype), x)
    below = apply("Where", apply("IsInf", x, detect_positive=0), as_operand(neginf, x.dtype), numbers)
    return apply(
        "Where", apply("IsInf", x, detect_negative=0), as_operand(posinf, x.dtype), below)


@gradient_of("NanToNum", domain=DOMAIN)
def _nan_to_num_gradient(dy: Operand, y: Operand, x: Operand, **numbers: float) -> Operand:
    """0 where a number was put in."""
    return apply("Where", apply("Or", apply("IsNaN", x), apply("IsInf", x)), 0, dy)


fix = trunc
clip_by_value = clip
METHODS.update(fix=fix, clip_by_value=clip_by_value)
