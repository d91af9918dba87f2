"""Losses as TensorFlow.js has them: weights and reduction are arguments, the result is one number."""

from __future__ import annotations

from symgraph.core.errors import ShapeError, TrainingError, nearest
from symgraph.core.tensor import Operand
from symgraph.ops.activations import as_float, log_softmax, softplus
from symgraph.ops.arithmetic import absolute, divide_no_nan, maximum, square
from symgraph.ops.comparison import not_equal
from symgraph.ops.indexing import choose
from symgraph.ops.mathematics import log
from symgraph.ops.promotion import cast_to
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.ops.shape import broadcast_to
from symgraph.ops.sizes import dimension, dimensions
from symgraph.training.losses.operands import as_pair, as_weights, check_share, fits, is_one

REDUCTIONS = ("none", "mean", "sum", "sum_by_nonzero_weights")
NUMBERS = {0: "none", 1: "mean", 2: "sum", 3: "sum_by_nonzero_weights"}
"""TensorFlow.js's numbers for them."""

BY_WEIGHTS = "sum_by_nonzero_weights"


def compute_weighted_loss(losses: object, weights: object = None, reduction: str | int = BY_WEIGHTS) -> Operand:
    """`losses` times `weights`, which broadcast to them, reduced.

    "sum_by_nonzero_weights" divides the sum by the number of losses whose weight is not 0, "mean" by the sum of the
    weights of all losses, "sum" by nothing; "none" leaves all as they are.

    Errors: `TrainingError` for another reduction; `ShapeError` for weights that do not broadcast.

    >>> import symgraph as sg
    >>> float(sg.losses.compute_weighted_loss([1.0, 2.0, 6.0], [0.0, 1.0, 0.5]))
    2.5
    """
    who = "compute_weighted_loss"
    name = NUMBERS.get(reduction, reduction) if isinstance(reduction, int) else reduction
    if name not in REDUCTIONS:
        raise TrainingError(f"{who}: no reduction {reduction!r}; {nearest(str(reduction), REDUCTIONS)}")
    values = as_float(losses)
    if weights is None:
        return values if name == "none" else total(values) if name == "sum" else mean(values)
    given = as_weights(who, weights, values.dtype)
    last = values.shape[values.ndim - given.ndim:] if given.ndim <= values.ndim else ()
    if not fits(tuple(v if is_one(w) else w for w, v in zip(given.shape, last, strict=False)), last):
        raise ShapeError(f"{who}: weights of shape {given.shape} do not broadcast to losses of shape {values.shape}")
    weighted = values * given
    if name == "none":
        return weighted
    if name == "sum":
        return total(weighted)
    everywhere = broadcast_to(given, dimensions(values))
    counted = everywhere if name == "mean" else cast_to(not_equal(everywhere, 0.0), values.dtype)
    return divide_no_nan(total(weighted), total(counted))


def absolute_difference(labels: object, predictions: object, weights: object = None,
                        reduction: str | int = BY_WEIGHTS) -> Operand:
    """`|labels - predictions|`, weighted."""
    y, p = as_pair("absolute_difference", labels, predictions)
    return compute_weighted_loss(absolute(y - p), weights, reduction)


def cosine_distance(labels: object, predictions: object, axis: int, weights: object = None,
                    reduction: str | int = BY_WEIGHTS) -> Operand:
    """`1 - Σ labels predictions` over `axis`, of vectors of length 1, weighted."""
    y, p = as_pair("cosine_distance", labels, predictions)
    return compute_weighted_loss(1.0 - total(y * p, axis, keepdims=True), weights, reduction)


def hinge_loss(labels: object, predictions: object, weights: object = None,
               reduction: str | int = BY_WEIGHTS) -> Operand:
    """`max(1 - (2 labels - 1) predictions, 0)`, of labels 0 and 1, weighted."""
    y, p = as_pair("hinge_loss", labels, predictions)
    return compute_weighted_loss(maximum(1.0 - (2.0 * y - 1.0) * p, 0.0), weights, reduction)


def huber_loss(labels: object, predictions: object, weights: object = None, delta: float = 1.0,
               reduction: str | int = BY_WEIGHTS) -> Operand:
    """`e² / 2` for errors up to `delta`, else `delta |e| - delta² / 2`, weighted."""
    y, p = as_pair("huber_loss", labels, predictions)
    size = absolute(p - y)
    values = choose(size <= delta, 0.5 * square(size), delta * size - 0.5 * delta**2)
    return compute_weighted_loss(values, weights, reduction)


def log_loss(labels: object, predictions: object, weights: object = None, epsilon: float = 1e-7,
             reduction: str | int = BY_WEIGHTS) -> Operand:
    """`-y log(p + epsilon) - (1 - y) log(1 - p + epsilon)`, weighted."""
    y, p = as_pair("log_loss", labels, predictions)
    values = -(y * log(p + epsilon)) - (1.0 - y) * log(1.0 - p + epsilon)
    return compute_weighted_loss(values, weights, reduction)


def sigmoid_cross_entropy(multi_class_labels: object, logits: object, weights: object = None,
                          label_smoothing: float = 0.0, reduction: str | int = BY_WEIGHTS) -> Operand:
    """`-y log p - (1 - y) log(1 - p)` with `p = sigmoid(logits)`, weighted; smoothed labels are `y (1 - s) + s / 2`."""
    who = "sigmoid_cross_entropy"
    y, x = as_pair(who, multi_class_labels, logits)
    smoothing = check_share(who, "label_smoothing", label_smoothing)
    if smoothing:
        y = y * (1.0 - smoothing) + 0.5 * smoothing
    return compute_weighted_loss(y * softplus(-x) + (1.0 - y) * softplus(x), weights, reduction)


def softmax_cross_entropy(onehot_labels: object, logits: object, weights: object = None,
                          label_smoothing: float = 0.0, reduction: str | int = BY_WEIGHTS) -> Operand:
    """`-Σ y log softmax(logits)` over the last axis, weighted; smoothed labels are `y (1 - s) + s / classes`."""
    who = "softmax_cross_entropy"
    y, x = as_pair(who, onehot_labels, logits)
    smoothing = check_share(who, "label_smoothing", label_smoothing)
    if smoothing:
        count = dimension(y, -1)
        share = smoothing / count if isinstance(count, int) else smoothing / cast_to(count, x.dtype)
        y = y * (1.0 - smoothing) + share
    return compute_weighted_loss(-total(y * log_softmax(x), -1), weights, reduction)
