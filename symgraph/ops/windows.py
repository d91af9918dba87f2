"""Windows: weights that fade to the ends of a signal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.promotion import cast_to
from symgraph.ops.sizes import Size, as_size

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def bartlett(size: object) -> Operand:
    """The triangle `1 - |2 n / (size - 1) - 1|`, float32.

    >>> import symgraph as sg
    >>> sg.ops.bartlett(5).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    return _window("bartlett", size, np.bartlett, lambda t: apply("Sub", 1.0, apply("Abs", t)))


def blackman(size: object) -> Operand:
    """`0.42 + 0.5 cos(pi t) + 0.08 cos(2 pi t)` with `t = 2 n / (size - 1) - 1`, float32."""
    return _window("blackman", size, np.blackman, lambda t: _cosines(t, 0.42, 0.5, 0.08))


def hamming(size: object) -> Operand:
    """`0.54 + 0.46 cos(pi t)` with `t = 2 n / (size - 1) - 1`, float32."""
    return _window("hamming", size, np.hamming, lambda t: _cosines(t, 0.54, 0.46))


def hanning(size: object) -> Operand:
    """`0.5 + 0.5 cos(pi t)` with `t = 2 n / (size - 1) - 1`, float32."""
    return _window("hanning", size, np.hanning, lambda t: _cosines(t, 0.5, 0.5))


def kaiser(size: object, beta: float) -> Operand:
    """`I0(beta sqrt(1 - t^2)) / I0(beta)` with `t = 2 n / (size - 1) - 1`, float32; `I0` is a Bessel function."""
    return _window("kaiser", size, lambda n: np.kaiser(n, beta), lambda t: _bessel(t, beta))


def _window(who: str, size: object, known: Callable[[int], np.ndarray[tuple[int], np.dtype[np.float64]]],
            formula: Callable[[Operand], Operand]) -> Operand:
    n: Size = as_size(size, who)
    if isinstance(n, int):
        return Tensor(known(n).astype(np.float32))
    numbers = cast_to(apply("Range", np.int64(0), n, np.int64(1)), "float64")
    last = cast_to(apply("Max", apply("Sub", n, np.int64(1)), np.int64(1)), "float64")
    t = apply("Sub", apply("Div", apply("Mul", numbers, 2.0), last), 1.0)
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
