"""Losses of regions and of embeddings: how much two areas overlap, how near what belongs together lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.core.defaults import epsilon
from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.ops.activations import as_float, softplus
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import maximum
from symgraph.ops.comparison import equal, logical_and, logical_not, not_equal
from symgraph.ops.indexing import choose
from symgraph.ops.linalg import matmul
from symgraph.ops.promotion import as_operand
from symgraph.ops.reductions import logsumexp
from symgraph.ops.reductions import sum as total
from symgraph.ops.shape import expand_dims, reshape
from symgraph.ops.shape import transpose as transposed
from symgraph.ops.sizes import dimension
from symgraph.training.losses.operands import as_pair, fits

Axis = int | Sequence[int] | None


def dice(y_true: object, y_pred: object, axis: Axis = None) -> Operand:
    """`1 - 2 Σ y p / (Σ y + Σ p + 1e-7)` over `axis`, or over all axes (Milletari et al. 2016).

    >>> import symgraph as sg
    >>> round(float(sg.losses.dice([1.0, 1.0], [1.0, 0.0])), 6)
    0.333333
    """
    y, p = as_pair("dice", y_true, y_pred)
    return 1.0 - 2.0 * total(y * p, axis) / (total(y, axis) + total(p, axis) + epsilon())


def tversky(y_true: object, y_pred: object, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None) -> Operand:
    """`1 - Σ y p / (Σ y p + alpha Σ y (1 - p) + beta Σ (1 - y) p + 1e-7)` over `axis`, or all (Salehi et al. 2017)."""
    y, p = as_pair("tversky", y_true, y_pred)
    shared = total(y * p, axis)
    missed, wrong = total(y * (1.0 - p), axis), total((1.0 - y) * p, axis)
    return 1.0 - shared / (shared + alpha * missed + beta * wrong + epsilon())


def circle(y_true: object, y_pred: object, ref_labels: object = None, ref_embeddings: object = None,
           remove_diagonal: bool = True, gamma: float = 80, margin: float = 0.4) -> Operand:
    """The circle loss of embeddings `y_pred`, rows of length 1, with the class numbers `y_true` (Sun et al. 2020).

    `softplus(ln Σ exp(gamma a (d - m)) + ln Σ exp(gamma b (1 - m - d)))`, the first sum over rows of the same class
    at the distance `d = 1 - cosine`, with `a = m + d`, the second over rows of others, with `b = 1 + m - d`.
    Rows are compared with one another, or with `ref_embeddings` of classes `ref_labels`.

    Errors: `ShapeError` where there is not one class number for each row.
    """
    rows, labels = _labelled_rows(y_true, y_pred)
    others, other_labels = rows, labels
    if ref_embeddings is not None or ref_labels is not None:
        others, other_labels = _labelled_rows(y_true if ref_labels is None else ref_labels,
                                              y_pred if ref_embeddings is None else ref_embeddings)
    distance = maximum(1.0 - matmul(rows, transposed(others)), 0.0)
    is_same = equal(expand_dims(labels, 1), expand_dims(other_labels, 0))
    is_other = logical_not(is_same)
    if remove_diagonal:
        is_same = logical_and(is_same, _off_diagonal(labels, other_labels))
    same = gamma * (margin + distance) * (distance - margin)
    other = gamma * maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance)
    return softplus(_log_sum(is_same, same) + _log_sum(is_other, other))


def _labelled_rows(labels: object, rows: object) -> tuple[Operand, Operand]:
    x, numbers = as_float(rows), as_operand(labels)
    if numbers.ndim == 2:
        numbers = reshape(numbers, (-1,))
    if x.ndim != 2 or not fits(numbers.shape, x.shape[:1]):
        raise ShapeError(f"circle: needs embeddings [N, size] and N class numbers, got {x.type} and {numbers.type}")
    return x, numbers


def _off_diagonal(a: Operand, b: Operand) -> Operand:
    rows, columns = (apply("Range", np.int64(0), dimension(x, 0), np.int64(1)) for x in (a, b))
    return not_equal(expand_dims(rows, 1), expand_dims(columns, 0))


def _log_sum(mask: Operand, x: Operand) -> Operand:
    """`ln Σ exp(x)` of what the mask leaves; hugely negative, but finite, where that is nothing."""
    lowest = -1e4 if x.dtype == "float16" else -1e30
    return logsumexp(choose(mask, x, lowest), axis=1)
