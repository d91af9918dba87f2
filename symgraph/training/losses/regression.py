"""Losses of numbers: how far predicted numbers are from the true ones. One loss a row, over the last axis."""

from __future__ import annotations

import math

from symgraph.core.defaults import epsilon
from symgraph.core.tensor import Operand
from symgraph.ops.activations import softplus
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import absolute, maximum, square, squared_difference
from symgraph.ops.indexing import choose
from symgraph.ops.mathematics import log
from symgraph.ops.normalization import normalize
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.training.losses.operands import as_pair


def mean_squared_error(y_true: object, y_pred: object) -> Operand:
    """`mean((y_true - y_pred)²)` over the last axis: one number a row.

    >>> import symgraph as sg
    >>> sg.losses.mean_squared_error([[1.0, 2.0]], [[0.0, 4.0]]).tolist()
    [2.5]
    """
    y, p = as_pair("mean_squared_error", y_true, y_pred)
    return _mean(squared_difference(p, y))


def mean_absolute_error(y_true: object, y_pred: object) -> Operand:
    """`mean(|y_true - y_pred|)` over the last axis."""
    y, p = as_pair("mean_absolute_error", y_true, y_pred)
    return _mean(absolute(y - p))


def mean_absolute_percentage_error(y_true: object, y_pred: object) -> Operand:
    """`100 mean(|y_true - y_pred| / max(|y_true|, 1e-7))` over the last axis."""
    y, p = as_pair("mean_absolute_percentage_error", y_true, y_pred)
    return 100.0 * _mean(absolute((y - p) / maximum(absolute(y), epsilon())))


def mean_squared_logarithmic_error(y_true: object, y_pred: object) -> Operand:
    """`mean((log(y_true + 1) - log(y_pred + 1))²)` over the last axis; numbers below 1e-7 count as 1e-7."""
    y, p = as_pair("mean_squared_logarithmic_error", y_true, y_pred)
    return _mean(squared_difference(log(maximum(p, epsilon()) + 1.0), log(maximum(y, epsilon()) + 1.0)))


def huber(y_true: object, y_pred: object, delta: float = 1.0) -> Operand:
    """The mean over the last axis of `e² / 2` where `|e| <= delta`, else of `delta |e| - delta² / 2` (Huber 1964).

    `e` is `y_pred - y_true`.

    >>> import symgraph as sg
    >>> sg.losses.huber([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
    [1.5]
    """
    y, p = as_pair("huber", y_true, y_pred)
    error = p - y
    size = absolute(error)
    return _mean(choose(size <= delta, 0.5 * square(error), delta * size - 0.5 * delta**2))


def log_cosh(y_true: object, y_pred: object) -> Operand:
    """`mean(log(cosh(y_pred - y_true)))` over the last axis, as `e + softplus(-2e) - log 2`: nothing overflows."""
    y, p = as_pair("log_cosh", y_true, y_pred)
    error = p - y
    return _mean(error + softplus(-2.0 * error) - math.log(2.0))


def poisson(y_true: object, y_pred: object) -> Operand:
    """`mean(y_pred - y_true log(y_pred + 1e-7))` over the last axis; NaN where `y_pred` is below 0."""
    y, p = as_pair("poisson", y_true, y_pred)
    return _mean(p - y * log(p + epsilon()))


def cosine_similarity(y_true: object, y_pred: object, axis: int = -1) -> Operand:
    """`-Σ y_true y_pred / (|y_true| |y_pred|)` over `axis`: -1 for one direction, 1 for opposite ones.

    A vector of zeros has the similarity 0 with all others, and gets no gradient.

    >>> import symgraph as sg
    >>> sg.losses.cosine_similarity([[0.0, 2.0]], [[0.0, 1.0]]).tolist()
    [-1.0]
    """
    y, p = as_pair("cosine_similarity", y_true, y_pred)
    return -total(normalize(y, axis) * normalize(p, axis), axis)


def _mean(x: Operand) -> Operand:
    """The mean over the last axis; of a single number itself."""
    return mean(x, axis=-1) if x.ndim else apply("Identity", x)
