"""Binomial numbers: by inversion where few successes are to be expected, else by rejection."""

from __future__ import annotations

import math

import numpy as np

from symgraph.core.composite import DOMAIN
from symgraph.core.gradient import not_differentiable
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.loops import while_loop
from symgraph.ops.mathematics import log1p
from symgraph.ops.promotion import cast_to
from symgraph.ops.random_words import (
    Array,
    Number,
    Shape,
    any_of,
    draw,
    float_dtype,
    fraction,
    inner_fraction,
    parameter,
    polynomial,
    random_words,
    scaled,
)
from symgraph.ops.seeds import Seed
from symgraph.ops.sizes import ints

__all__ = ["binomial"]

not_differentiable("its results are whole numbers", "RandomBinomial", domain=DOMAIN)

_FEW = 10.0
"""Where fewer successes are expected, counting up to the result is faster, and rejection would not be right."""

_LONGEST_COUNT = 64
"""With fewer than 10 expected, more successes than this come once in 10^29 draws."""


def binomial(shape: Shape, counts: Number, probabilities: Number, dtype: object = None, seed: Seed = None) -> Operand:
    """How many of `counts` trials succeed that do so with these `probabilities`, as floats.

    `counts` and `probabilities` broadcast to `shape`. float32 unless `dtype` says another, which rounds what it cannot
    hold. `seed` as in `uniform`. No gradient goes to the parameters.

    Where they are known only when the draw runs, some that are not allowed give NaN.

    Errors: `OpError` for `counts` that are no whole numbers from 0 on or `probabilities` outside 0 to 1, `ShapeError`
    where they do not broadcast to `shape`.

    Source: Hörmann 1993, The generation of binomial random variates (BTRS); Loader 2000, Fast and accurate
    computation of binomial probabilities.

    >>> import symgraph as sg
    >>> sg.random.binomial((4,), [0, 5, 9, 9], [0.5, 1.0, 0.0, 1.0], seed=1).tolist()
    [0.0, 5.0, 0.0, 9.0]
    """
    name = float_dtype("binomial", dtype)
    n = parameter("binomial", "counts", counts, _is_count, "whole numbers from 0 on")
    p = parameter("binomial", "probabilities", probabilities, _is_probability, "numbers from 0 to 1")
    return draw("RandomBinomial", _binomial_body, shape, seed, n, p, dtype=name)


def _is_count(x: Array) -> Array:
    result: Array = np.isfinite(x) & (x >= 0) & (x == np.floor(x))
    return result


def _is_probability(x: Array) -> Array:
    result: Array = (x >= 0) & (x <= 1)
    return result


def _binomial_body(key: Operand, number: Operand, n: Operand, p: Operand, *dynamic: Operand, dtype: str,
                   shape: tuple[int, ...] | None = None) -> Operand:
    """Above a half, the failures are drawn."""
    sizes = ints(*shape) if shape is not None else dynamic[0]
    n, p = apply("Expand", n, sizes), apply("Expand", p, sizes)
    is_usable = apply("And", _is_usable_count(n), apply("And", apply("GreaterOrEqual", p, 0.0),
                                                        apply("LessOrEqual", p, 1.0)))
    n, p = apply("Where", is_usable, n, 0.0), apply("Where", is_usable, p, 0.0)
    is_likely = apply("Greater", p, 0.5)
    p = apply("Where", is_likely, apply("Sub", 1.0, p), p)
    are_few = apply("Less", apply("Mul", n, p), _FEW)
    few = _counted(key, number, apply("Where", are_few, n, 0.0), p, sizes)
    many = _accepted(key, number, n, p, apply("Not", are_few), sizes)
    k = apply("Where", are_few, few, many)
    k = apply("Where", is_likely, apply("Sub", n, k), k)
    return cast_to(apply("Where", is_usable, k, float("nan")), dtype)


def _is_usable_count(n: Operand) -> Operand:
    is_whole = apply("Equal", n, apply("Floor", n))
    return apply("And", is_whole, apply("And", apply("GreaterOrEqual", n, 0.0), apply("Less", n, float("inf"))))


def _counted(key: Operand, number: Operand, n: Operand, p: Operand, sizes: Operand) -> Operand:
    """How many of the sums `P(0)`, `P(0) + P(1)`, … are not above a uniform number.

    `P(0) = (1 - p)^n` and `P(k + 1) = P(k) p (n - k) / ((1 - p) (k + 1))`.
    """
    u = fraction(random_words(key, number, sizes, 2), "float64")
    odds = apply("Div", p, apply("Sub", 1.0, p))
    first = apply("Exp", apply("Mul", n, log1p(apply("Neg", p))))

    def step(k: Operand, probability: Operand, total: Operand, passed: Operand, _: Operand) -> tuple[Operand, ...]:
        is_passed = apply("GreaterOrEqual", u, total)
        after = apply("Add", k, 1.0)
        probability = apply("Mul", probability, apply("Mul", odds, apply("Div", apply("Sub", n, k), after)))
        return (after, probability, apply("Add", total, probability),
                apply("Add", passed, cast_to(is_passed, "float64")), any_of(is_passed))

    start = (np.float64(0), first, first, apply("Expand", np.float64(0), sizes), np.array(True))
    passed: Operand = while_loop(lambda k, probability, total, passed, goes_on: goes_on, step, start,
                                 _LONGEST_COUNT)[3]
    return apply("Min", passed, n)


def _accepted(key: Operand, number: Operand, n: Operand, p: Operand, is_wanted: Operand, sizes: Operand) -> Operand:
    """Hörmann's transformed rejection (BTRS), for `n p` from 10 on and `p` up to a half.

    A candidate `k = ⌊(2 a / (1/2 - |u|) + b) u + n p + 0.43⌋` is taken where `v` is at most the ratio of `P(k)` to that
    of the mode, over the density that candidates have; for most it is clear at once. Turn 0 is left for others.
    """
    n, p = apply("Where", is_wanted, n, 20.0), apply("Where", is_wanted, p, 0.5)
    mean = apply("Mul", n, p)
    deviation = apply("Sqrt", apply("Mul", mean, apply("Sub", 1.0, p)))
    b = polynomial((1.15, 2.53), deviation)
    a = apply("Add", polynomial((-0.0873, 0.0248), b), scaled(p, 0.01))
    centre = apply("Add", mean, 0.5)
    surely = apply("Sub", 0.92, apply("Div", 4.2, b))
    height = apply("Mul", apply("Add", apply("Div", 5.1, b), 2.83), deviation)
    at_mode = _log_probability(apply("Floor", apply("Mul", apply("Add", n, 1.0), p)), n, p)

    def step(turn: Operand, found: Operand, is_waiting: Operand) -> tuple[Operand, Operand, Operand]:
        u, v = map(inner_fraction, random_words(key, number, sizes, 2, turn))
        u = apply("Sub", u, 0.5)
        rest = apply("Sub", 0.5, apply("Abs", u))
        slope = apply("Add", apply("Div", scaled(a, 2.0), rest), b)
        k = apply("Floor", apply("Add", apply("Mul", slope, u), centre))
        is_inside = apply("And", apply("GreaterOrEqual", k, 0.0), apply("LessOrEqual", k, n))
        density = apply("Add", apply("Div", a, apply("Mul", rest, rest)), b)
        log_ratio = apply("Sub", _log_probability(apply("Max", apply("Min", k, n), 0.0), n, p), at_mode)
        is_below = apply("LessOrEqual", apply("Log", apply("Mul", v, apply("Div", height, density))), log_ratio)
        is_clear = apply("And", apply("GreaterOrEqual", rest, 0.07), apply("LessOrEqual", v, surely))
        is_taken = apply("And", apply("And", is_waiting, is_inside), apply("Or", is_clear, is_below))
        return (apply("Add", turn, np.int64(1)), apply("Where", is_taken, k, found),
                apply("And", is_waiting, apply("Not", is_taken)))

    start = (np.int64(1), apply("Expand", np.float64(0), sizes), is_wanted)
    found: Operand = while_loop(lambda turn, found, is_waiting: any_of(is_waiting), step, start)[1]
    return found


def _log_probability(k: Operand, n: Operand, p: Operand) -> Operand:
    """`ln P(k)`, precise also for large `n` (Loader's saddle-point form); `n` from 1 on, `p` above 0 and below 1."""
    q = apply("Sub", 1.0, p)
    failures = apply("Sub", n, k)
    is_none, is_all = apply("Less", k, 1.0), apply("Less", failures, 1.0)
    k, failures = apply("Max", k, 1.0), apply("Max", failures, 1.0)
    corrections = apply("Sub", apply("Sub", _stirling_error(n), _stirling_error(k)), _stirling_error(failures))
    deviances = apply("Add", _deviance(k, apply("Mul", n, p)), _deviance(failures, apply("Mul", n, q)))
    spread = apply("Log", scaled(apply("Mul", k, apply("Div", failures, n)), 2 * math.pi))
    inner = apply("Sub", apply("Sub", corrections, deviances), scaled(spread, 0.5))
    at_ends = apply("Where", is_none, apply("Mul", n, log1p(apply("Neg", p))), apply("Mul", n, apply("Log", p)))
    return apply("Where", apply("Or", is_none, is_all), at_ends, inner)


def _deviance(x: Operand, mean: Operand) -> Operand:
    """`x ln(x / mean) + mean - x`."""
    difference = apply("Sub", x, mean)
    return apply("Sub", apply("Mul", x, log1p(apply("Div", difference, mean))), difference)


_STIRLING_ERRORS = np.array([0.0, *(
    math.lgamma(k + 1) - (k + 0.5) * math.log(k) + k - math.log(2 * math.pi) / 2 for k in range(1, 16))])


def _stirling_error(k: Operand) -> Operand:
    """`ln(k!) - ln(sqrt(2 π k) (k / e)^k)` for whole numbers from 1 on: a table up to 15, then Stirling's series."""
    last = len(_STIRLING_ERRORS) - 1.0
    known = apply("Gather", _STIRLING_ERRORS, cast_to(apply("Min", k, last), "int64"))
    inverse = apply("Reciprocal", k)
    series = polynomial((1 / 12, -1 / 360, 1 / 1260, -1 / 1680), apply("Mul", inverse, inverse))
    return apply("Where", apply("LessOrEqual", k, last), known, apply("Mul", series, inverse))
