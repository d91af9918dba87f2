"""Losses of classes: crossentropies, hinges and divergences. One loss a row, over the axis of the classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from symgraph.core.defaults import epsilon
from symgraph.core.errors import ShapeError, TrainingError
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating, is_integer
from symgraph.ops.activations import as_float, log_softmax, sigmoid, softmax, softplus
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import maximum, square
from symgraph.ops.comparison import equal, logical_or, not_equal
from symgraph.ops.indexing import choose
from symgraph.ops.mathematics import log
from symgraph.ops.powers import power
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import all as holds_for_all
from symgraph.ops.reductions import max as largest
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.ops.rounding import clip
from symgraph.ops.shape import expand_dims, squeeze
from symgraph.ops.sizes import dimension
from symgraph.training.losses.operands import (
    as_class_axis,
    as_pair,
    check_labels,
    check_share,
    fits,
    is_one,
)

TINIEST = 1e-30
"""Where the derivative of a fractional power is cut off, which is infinite at 0."""


def binary_crossentropy(y_true: object, y_pred: object, from_logits: bool = False, label_smoothing: float = 0.0,
                        axis: int = -1) -> Operand:
    """`mean(-y log p - (1 - y) log(1 - p))` over `axis`, with p kept 1e-7 away from 0 and 1.

    With `from_logits` p is `sigmoid(y_pred)`, computed exactly. `label_smoothing` moves y towards 1/2:
    `y (1 - s) + s / 2`.

    Errors: `ShapeError` where the shapes differ.

    >>> import symgraph as sg
    >>> sg.losses.binary_crossentropy([[1.0, 0.0]], [[0.0, 0.0]], from_logits=True).tolist()
    [0.6931471824645996]
    """
    who = "binary_crossentropy"
    y, p = as_pair(who, y_true, y_pred)
    return mean(_binary_terms(_smooth_binary(who, y, label_smoothing), p, is_logit=from_logits),
                _class_axis(who, axis, p))


def binary_focal_crossentropy(
        y_true: object, y_pred: object, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
        from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Operand:
    """`mean(w (1 - p_t)^gamma (-log p_t))` over `axis`, with `p_t` the probability of what is true (Lin et al. 2018).

    `w` is 1; with `apply_class_balancing` it is `alpha` for ones and `1 - alpha` for zeros.
    """
    who = "binary_focal_crossentropy"
    y, p = as_pair(who, y_true, y_pred)
    y = _smooth_binary(who, y, label_smoothing)
    p = sigmoid(p) if from_logits else p
    of_truth = y * p + (1.0 - y) * (1.0 - p)
    loss = _focal_factor(1.0 - of_truth, gamma) * _binary_terms(y, p, is_logit=False)
    if apply_class_balancing:
        loss = (y * alpha + (1.0 - y) * (1.0 - alpha)) * loss
    return mean(loss, _class_axis(who, axis, p))


def categorical_crossentropy(y_true: object, y_pred: object, from_logits: bool = False, label_smoothing: float = 0.0,
                             axis: int = -1) -> Operand:
    """`-Σ y log p` over `axis`; p is `y_pred` divided by its sum, and kept 1e-7 away from 0 and 1.

    With `from_logits` p is `softmax(y_pred)`, computed exactly. `y_true` holds a probability for each class.
    `label_smoothing` makes it `y (1 - s) + s / classes`.

    Errors: `ShapeError` where the shapes differ.

    >>> import symgraph as sg
    >>> sg.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).tolist()
    [0.6931471824645996]
    """
    who = "categorical_crossentropy"
    y, p, axis = _categorical(who, y_true, y_pred, label_smoothing, axis)
    log_p = log_softmax(p, axis) if from_logits else log(_proportions(p, axis))
    return -total(y * log_p, axis)


def categorical_focal_crossentropy(
        y_true: object, y_pred: object, alpha: float | Sequence[float] = 0.25, gamma: float = 2.0,
        from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Operand:
    """`-Σ alpha (1 - p)^gamma y log p` over `axis`, with p as in `categorical_crossentropy` (Lin et al. 2018).

    `alpha` is a number, or one for each class.
    """
    who = "categorical_focal_crossentropy"
    y, p, axis = _categorical(who, y_true, y_pred, label_smoothing, axis)
    p = _proportions(softmax(p, axis) if from_logits else p, axis)
    weight = as_operand(alpha, p.dtype)
    return total(weight * _focal_factor(1.0 - p, gamma) * (-y * log(p)), axis)


def sparse_categorical_crossentropy(y_true: object, y_pred: object, from_logits: bool = False,
                                    ignore_class: int | None = None, axis: int = -1) -> Operand:
    """`-log p[y]`, with p as in `categorical_crossentropy`; `y_true` holds class numbers, without the axis of classes
    or with one of size 1 there. Where it is `ignore_class` the loss is 0.

    Errors: `OpError` for a label that is no class, where labels are values; `ShapeError` where sizes differ.

    >>> import symgraph as sg
    >>> sg.losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).tolist()
    [0.6931471824645996]
    """
    who = "sparse_categorical_crossentropy"
    labels, p, axis = as_labels(who, y_true, y_pred, axis)
    check_labels(who, labels, p.shape[axis], ignore_class)
    labels = cast_to(labels, "int64")
    is_kept = None
    if ignore_class is not None:
        is_kept = not_equal(labels, ignore_class)
        labels = choose(is_kept, labels, 0)
        p = choose(expand_dims(is_kept, axis), p, 0.0)
    if from_logits:
        log_p = _of_class(log_softmax(p, axis), labels, axis)
    else:
        own = _of_class(p, labels, axis) / _sum_of_proportions(p, axis, is_kept)
        log_p = log(clip(own, epsilon(), 1.0 - epsilon()))
    loss = -squeeze(log_p, axis)
    return loss if is_kept is None else choose(is_kept, loss, 0.0)


def categorical_generalized_cross_entropy(y_true: object, y_pred: object, q: float) -> Operand:
    """`(1 - p[y]^q) / q`, `0 < q < 1`, with class numbers y and probabilities p (Zhang and Sabuncu 2018)."""
    who = "categorical_generalized_cross_entropy"
    if not 0 < q < 1:
        raise TrainingError(f"{who}: q must be between 0 and 1, got {q!r}")
    labels, p, axis = as_labels(who, y_true, y_pred, -1)
    check_labels(who, labels, p.shape[axis])
    own = squeeze(_of_class(p, cast_to(labels, "int64"), axis), axis)
    return (1.0 - power(maximum(own, TINIEST), q)) / q


def kl_divergence(y_true: object, y_pred: object) -> Operand:
    """`Σ y_true log(y_true / y_pred)` over the last axis, both kept between 1e-7 and 1."""
    y, p = (clip(x, epsilon(), 1.0) for x in as_pair("kl_divergence", y_true, y_pred))
    return total(y * log(y / p), -1)


def hinge(y_true: object, y_pred: object) -> Operand:
    """`mean(max(1 - y_true y_pred, 0))` over the last axis, of targets -1 and 1; where all are 0 and 1, 0 means -1.

    >>> import symgraph as sg
    >>> sg.losses.hinge([[-1.0, 1.0]], [[-2.0, 0.5]]).tolist()
    [0.25]
    """
    y, p = as_pair("hinge", y_true, y_pred)
    return mean(maximum(1.0 - _signs(y) * p, 0.0), -1)


def squared_hinge(y_true: object, y_pred: object) -> Operand:
    """`mean(max(1 - y_true y_pred, 0)²)` over the last axis, with targets as in `hinge`."""
    y, p = as_pair("squared_hinge", y_true, y_pred)
    return mean(square(maximum(1.0 - _signs(y) * p, 0.0)), -1)


def categorical_hinge(y_true: object, y_pred: object) -> Operand:
    """`max(max((1 - y_true) y_pred) - Σ y_true y_pred + 1, 0)` over the last axis, of one-hot targets."""
    y, p = as_pair("categorical_hinge", y_true, y_pred)
    return maximum(largest((1.0 - y) * p, -1) - total(y * p, -1) + 1.0, 0.0)


def as_labels(who: str, y_true: object, y_pred: object, axis: int) -> tuple[Operand, Operand, int]:
    """Class numbers without the axis of classes, predictions as floats, and that axis from 0 on.

    Errors: `ShapeError` where the sizes differ.
    """
    p, labels = as_float(y_pred), as_operand(y_true)
    axis = as_class_axis(who, axis, p.ndim)
    if not (is_floating(labels.dtype) or is_integer(labels.dtype) or labels.dtype == "bool"):
        raise ShapeError(f"{who}: labels must be whole numbers, got {labels.dtype}")
    if labels.ndim == p.ndim and is_one(labels.shape[axis]):
        labels = squeeze(labels, axis)
    rest = (*p.shape[:axis], *p.shape[axis + 1:])
    if not fits(labels.shape, rest):
        raise ShapeError(f"{who}: labels of shape {labels.shape} do not fit predictions of shape {p.shape} "
                         f"with the classes along axis {axis}; expected labels of shape {rest}, one class number each")
    return labels, p, axis


def _class_axis(who: str, axis: int, p: Operand) -> int:
    return as_class_axis(who, axis, p.ndim)


def _categorical(who: str, y_true: object, y_pred: object, label_smoothing: float, axis: int,
                 ) -> tuple[Operand, Operand, int]:
    y, p = as_pair(who, y_true, y_pred)
    axis = as_class_axis(who, axis, p.ndim)
    if is_one(p.shape[axis]):
        warnings.warn(f"{who}: predictions of shape {p.shape} have one class only, so the loss is 0 whatever they "
                      "are; for two classes there is binary_crossentropy", SyntaxWarning, stacklevel=4)
    smoothing = check_share(who, "label_smoothing", label_smoothing)
    if smoothing:
        count = dimension(y, axis)
        share = smoothing / count if isinstance(count, int) else smoothing / cast_to(count, p.dtype)
        y = y * (1.0 - smoothing) + share
    return y, p, axis


def _proportions(p: Operand, axis: int) -> Operand:
    return clip(p / total(p, axis, keepdims=True), epsilon(), 1.0 - epsilon())


def _sum_of_proportions(p: Operand, axis: int, is_kept: Operand | None) -> Operand:
    """The sum along `axis`, 1 where the row is not kept, for it is 0 there."""
    found = total(p, axis, keepdims=True)
    return found if is_kept is None else choose(expand_dims(is_kept, axis), found, 1.0)


def _of_class(x: Operand, labels: Operand, axis: int) -> Operand:
    """The element of each label's class along `axis`, which keeps the size 1."""
    return apply("GatherElements", x, expand_dims(labels, axis), axis=axis)


def _smooth_binary(who: str, y: Operand, label_smoothing: float) -> Operand:
    smoothing = check_share(who, "label_smoothing", label_smoothing)
    return y * (1.0 - smoothing) + 0.5 * smoothing if smoothing else y


def _binary_terms(y: Operand, p: Operand, *, is_logit: bool) -> Operand:
    if is_logit:
        return y * softplus(-p) + (1.0 - y) * softplus(p)
    p = clip(p, epsilon(), 1.0 - epsilon())
    return -(y * log(p) + (1.0 - y) * log(1.0 - p))


def _focal_factor(rest: Operand, gamma: float) -> Operand | float:
    """`rest^gamma`, with a finite derivative where `rest` is 0."""
    if gamma == 0:
        return 1.0
    if gamma == 2:
        return square(rest)
    return power(maximum(rest, TINIEST) if gamma < 1 else rest, gamma)


def _signs(y: Operand) -> Operand:
    """Targets 0 and 1 as -1 and 1, if there are no others."""
    is_binary = holds_for_all(logical_or(equal(y, 0.0), equal(y, 1.0)))
    return choose(is_binary, 2.0 * y - 1.0, y)

