"""Windows: weights that fade to the ends of a signal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symgraph.core.gradient import not_differentiable
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.diagonals import counting
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import as_size, larger, minus

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


not_differentiable("it takes sizes", "HannWindow", "HammingWindow", "BlackmanWindow")
not_differentiable("it takes sizes, and frequencies that it rounds to whole places", "MelWeightMatrix")


def bartlett(x: object) -> Operand:
    """The triangle `1 - |2 n / (x - 1) - 1|`, float32.

    >>> import symgraph as sg
    >>> sg.ops.bartlett(5).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return _window("bartlett", x, lambda t: apply("Sub", 1.0, apply("Abs", t)))


def blackman(x: object) -> Operand:
    """`0.42 + 0.5 cos(pi t) + 0.08 cos(2 pi t)` with `t = 2 n / (x - 1) - 1`, float32."""
    return _window("blackman", x, lambda t: _cosines(t, 0.42, 0.5, 0.08))


def hamming(x: object) -> Operand:
    """`0.54 + 0.46 cos(pi t)` with `t = 2 n / (x - 1) - 1`, float32."""
    return _window("hamming", x, lambda t: _cosines(t, 0.54, 0.46))


def hanning(x: object) -> Operand:
    """`0.5 + 0.5 cos(pi t)` with `t = 2 n / (x - 1) - 1`, float32."""
    return _window("hanning", x, lambda t: _cosines(t, 0.5, 0.5))


def kaiser(x: object, beta: float) -> Operand:
    """`I0(beta sqrt(1 - t^2)) / I0(beta)` with `t = 2 n / (x - 1) - 1`, float32; `I0` is a Bessel function."""
    return _window("kaiser", x, lambda t: _bessel(t, beta))


def _window(who: str, size: object, formula: Callable[[Operand], Operand]) -> Operand:
    n = as_size(size, who)
    numbers = cast_to(counting(n), "float64")
    last = as_operand(larger(minus(n, 1), 1), "float64")
    t = apply("Sub", apply("Div", apply("Mul", numbers, 2.0), last), 1.0)
    if isinstance(n, int):
        return cast_to(formula(t), "float32") if n != 1 else Tensor(np.ones(1, np.float32))
    is_single = apply("Equal", n, np.int64(1))
    return cast_to(apply("Where", is_single, np.float64(1.0), formula(t)), "float32")


def _cosines(t: Operand, constant: float, *factors: float) -> Operand:
    total = apply("Mul", apply("Cos", apply("Mul", t, math.pi)), factors[0])
    for number, factor in enumerate(factors[1:], start=2):
        total = apply("Add", total, apply("Mul", apply("Cos", apply("Mul", t, number * math.pi)), factor))
    return apply("Add", total, constant)


def _bessel(t: Operand, beta: float) -> Operand:
    """The power series of `I0` at `beta sqrt(1 - t^2)`, over `I0(beta)`: enough terms for float64."""
    square = apply("Mul", apply("Sub", 1.0, apply("Mul", t, t)), beta * beta / 4)
    terms = 20 + int(2 * abs(beta))
    total = apply("Add", apply("Mul", square, 0.0), 1.0)
    for number in range(terms, 0, -1):
        total = apply("Add", apply("Mul", apply("Mul", total, square), 1 / number**2), 1.0)
    return apply("Div", total, float(np.i0(beta)))
