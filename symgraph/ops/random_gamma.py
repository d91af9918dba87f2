"""Gamma and beta numbers, by rejection: every candidate is a function of the key, its position and its turn.

The turns are an ONNX Loop that ends when every element has been accepted, after five of them for a million elements.
"""

from __future__ import annotations

import numpy as np

from symgraph.core.composite import DOMAIN
from symgraph.core.errors import GradientError
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.loops import while_loop
from symgraph.ops.promotion import cast_to
from symgraph.ops.random_words import (
    Array,
    Number,
    Shape,
    any_of,
    draw,
    float_dtype,
    inner_fraction,
    parameter,
    random_words,
    scaled,
    standard_normal,
    steady,
)
from symgraph.ops.seeds import Seed
from symgraph.ops.sizes import ints

__all__ = ["beta", "gamma"]

def gamma(shape: Shape, alpha: Number, dtype: object = None, seed: Seed = None) -> Operand:
    """Numbers of the gamma distribution, whose density is `x^(alpha - 1) exp(-x) / Γ(alpha)`.

    `alpha` broadcasts to `shape`; 0 gives 0. float32 unless `dtype` says another; computed in float64, with float32's
    resolution. `seed` as in `uniform`.

    Where `alpha` is known only when the draw runs, one that is not allowed gives NaN.

    Errors: `OpError` for an `alpha` below 0 or not finite, `ShapeError` where it does not broadcast to `shape`,
    `GradientError` where its gradient is asked for.

    Source: Marsaglia and Tsang 2000, A simple method for generating gamma variables.

    >>> import symgraph as sg
    >>> x = sg.random.gamma((10_000,), 3.0, seed=1).numpy()
    >>> bool((x > 0).all()), round(float(x.mean()), 1)
    (True, 3.0)
    """
    name = float_dtype("gamma", dtype)
    a = parameter("gamma", "alpha", alpha, _is_not_negative, "a finite number from 0 on")
    return draw("RandomGamma", _gamma_body, shape, seed, a, dtype=name)


def beta(shape: Shape, alpha: Number, beta: Number, dtype: object = None, seed: Seed = None) -> Operand:
    """Numbers of the beta distribution, whose density goes as `x^(alpha - 1) (1 - x)^(beta - 1)` from 0 to 1.

    `x / (x + y)` with `x` and `y` gamma numbers, by their logarithms, so that small parameters do not underflow.
    `alpha` and `beta` broadcast to `shape`. float32 unless `dtype` says another. `seed` as in `uniform`.

    Where they are known only when the draw runs, some that are not allowed give NaN.

    Errors: `OpError` for parameters that are not positive or not finite, `ShapeError` where they do not broadcast to
    `shape`, `GradientError` where their gradients are asked for.

    >>> import symgraph as sg
    >>> x = sg.random.beta((10_000,), 2.0, 6.0, seed=1).numpy()
    >>> bool((0 <= x).all() and (x <= 1).all()), round(float(x.mean()), 2)
    (True, 0.25)
    """
    name = float_dtype("beta", dtype)
    a, b = (parameter("beta", word, x, _is_positive, "a finite number above 0")
            for word, x in (("alpha", alpha), ("beta", beta)))
    return draw("RandomBeta", _beta_body, shape, seed, a, b, dtype=name)


@gradient_of("RandomGamma", "RandomBeta", domain=DOMAIN)
def _gamma_gradient(dy: Operand, y: Operand, *inputs: Operand, **attributes: object) -> Gradients:
    raise GradientError("gamma and beta numbers pass no gradient to their parameters: a candidate is taken or not, and "
                        "what is taken does not tell how it would change; use sg.stop_gradient(alpha)")


def _is_not_negative(x: Array) -> Array:
    result: Array = np.isfinite(x) & (x >= 0)
    return result


def _is_positive(x: Array) -> Array:
    result: Array = np.isfinite(x) & (x > 0)
    return result


def _gamma_body(key: Operand, number: Operand, alpha: Operand, *dynamic: Operand, dtype: str,
                shape: tuple[int, ...] | None = None) -> Operand:
    sizes = ints(*shape) if shape is not None else dynamic[0]
    alpha = apply("Expand", alpha, sizes)
    x, log_factor = _gamma_parts(key, number, alpha, sizes)
    x = apply("Mul", x, steady(apply("Exp", log_factor)))
    return cast_to(apply("Where", _is_usable(alpha, "GreaterOrEqual"), x, float("nan")), dtype)


def _beta_body(key: Operand, number: Operand, alpha: Operand, beta: Operand, *dynamic: Operand, dtype: str,
               shape: tuple[int, ...] | None = None) -> Operand:
    sizes = ints(*shape) if shape is not None else dynamic[0]
    pair = apply("Concat", *(apply("Unsqueeze", apply("Expand", x, sizes), ints(0)) for x in (alpha, beta)), axis=0)
    x, log_factor = _gamma_parts(key, number, pair, apply("Concat", ints(2), sizes, axis=0))
    logs = apply("Add", apply("Log", x), log_factor)
    difference = apply("Sub", apply("Gather", logs, np.int64(1)), apply("Gather", logs, np.int64(0)))
    share = apply("Reciprocal", apply("Add", apply("Exp", difference), 1.0))
    is_usable = apply("And", _is_usable(alpha, "Greater"), _is_usable(beta, "Greater"))
    return cast_to(apply("Where", is_usable, steady(share), float("nan")), dtype)


def _is_usable(alpha: Operand, comparison: str) -> Operand:
    return apply("And", apply(comparison, alpha, 0.0), apply("Less", alpha, float("inf")))


_SURELY_ACCEPTED = 1e8
"""From this `alpha` on a candidate is refused once in 2^32 times, which the words cannot tell from never."""


def _gamma_parts(key: Operand, number: Operand, alpha: Operand, sizes: Operand) -> tuple[Operand, Operand]:
    """`x` and `f` such that `x exp(f)` are gamma numbers; what is not allowed as `alpha` counts as 1.

    Gamma numbers of `alpha` below 1 are those of `alpha + 1` times `u^(1 / alpha)`.
    """
    alpha = apply("Where", _is_usable(alpha, "GreaterOrEqual"), alpha, 1.0)
    is_small = apply("Less", alpha, 1.0)
    d = apply("Sub", apply("Where", is_small, apply("Add", alpha, 1.0), alpha), 1 / 3)
    x = apply("Mul", d, _accepted_cubes(key, number, d, sizes))
    (word,) = random_words(key, number, sizes)
    log_factor = apply("Div", apply("Log", inner_fraction(word)), alpha)
    return x, apply("Where", is_small, log_factor, 0.0)


def _accepted_cubes(key: Operand, number: Operand, d: Operand, sizes: Operand) -> Operand:
    """The `v = (1 + x / sqrt(9 d))³` of the first turn in which `ln u < x² / 2 + d (1 - v + ln v)`.

    `x` is normal, `u` uniform. Turn 0 is left for others.
    """
    c = apply("Reciprocal", apply("Sqrt", scaled(d, 9.0)))
    is_sure = apply("GreaterOrEqual", d, _SURELY_ACCEPTED)

    def step(turn: Operand, found: Operand, is_waiting: Operand) -> tuple[Operand, Operand, Operand]:
        first, second = random_words(key, number, sizes, 2, turn)
        x = cast_to(standard_normal(first), "float64")
        base = apply("Add", apply("Mul", c, x), 1.0)
        v = apply("Mul", apply("Mul", base, base), base)
        is_real = apply("Greater", base, 0.0)
        log_v = apply("Log", apply("Where", is_real, v, 1.0))
        bound = apply("Add", scaled(apply("Mul", x, x), 0.5),
                      apply("Mul", d, apply("Add", apply("Sub", 1.0, v), log_v)))
        is_below = apply("Or", is_sure, apply("Less", apply("Log", inner_fraction(second)), bound))
        is_taken = apply("And", is_waiting, apply("And", is_real, is_below))
        return (apply("Add", turn, np.int64(1)), apply("Where", is_taken, v, found),
                apply("And", is_waiting, apply("Not", is_taken)))

    everywhere = apply("Expand", np.array(True), sizes)
    start = (np.int64(1), apply("Expand", np.float64(1), sizes), everywhere)
    found: Operand = while_loop(lambda turn, found, is_waiting: any_of(is_waiting), step, start)[1]
    return found
