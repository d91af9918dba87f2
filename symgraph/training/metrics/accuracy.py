"""Accuracies: how often predictions are right. The functions give 1 or 0 for each, the metrics their mean."""

from __future__ import annotations

from symgraph.core.tensor import Operand
from symgraph.core.types import is_integer
from symgraph.ops.applying import apply
from symgraph.ops.comparison import equal, greater
from symgraph.ops.promotion import as_operand, cast_to, promote
from symgraph.ops.reductions import any as holds_for_any
from symgraph.ops.shape import expand_dims, squeeze
from symgraph.ops.sorting import in_top_k
from symgraph.training.losses.classification import as_labels
from symgraph.training.losses.operands import as_pair, check_equal_shapes, check_labels, is_one, match_ranks
from symgraph.training.metrics.mean import MeanMetricWrapper


def accuracy(y_true: object, y_pred: object) -> Operand:
    """1 where `y_pred` equals `y_true`, else 0."""
    y, p = match_ranks(*promote(y_true, y_pred))
    check_equal_shapes("accuracy", y, p)
    return cast_to(equal(y, p), "float32")


def binary_accuracy(y_true: object, y_pred: object, threshold: float = 0.5) -> Operand:
    """1 where `y_pred > threshold` says what `y_true`, 0 or 1, is; else 0.

    >>> import symgraph as sg
    >>> sg.metrics.binary_accuracy([[1.0], [0.0]], [[0.7], [0.6]]).tolist()
    [[1.0], [0.0]]
    """
    y, p = as_pair("binary_accuracy", y_true, y_pred)
    return cast_to(equal(y, cast_to(greater(p, threshold), y.dtype)), "float32")


def categorical_accuracy(y_true: object, y_pred: object) -> Operand:
    """1 where the largest prediction and the largest target stand at one place of the last axis, else 0."""
    y, p = as_pair("categorical_accuracy", y_true, y_pred)
    return cast_to(equal(_place(y), _place(p)), "float32")


def sparse_categorical_accuracy(y_true: object, y_pred: object) -> Operand:
    """1 where the largest prediction along the last axis is that of the class `y_true`, else 0.

    >>> import symgraph as sg
    >>> sg.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    labels, p, _ = as_labels("sparse_categorical_accuracy", y_true, y_pred, -1)
    place = _place(p)
    is_whole = is_integer(labels.dtype)
    matches = equal(cast_to(labels, "int64"), place) if is_whole else equal(labels, cast_to(place, labels.dtype))
    matches = cast_to(matches, "float32")
    return squeeze(matches, -1) if matches.ndim > 1 and is_one(matches.shape[-1]) else matches


def top_k_categorical_accuracy(y_true: object, y_pred: object, k: int = 5) -> Operand:
    """1 where the largest target is among the `k` largest predictions of the last axis, else 0."""
    y, p = as_pair("top_k_categorical_accuracy", y_true, y_pred)
    return cast_to(in_top_k(_place(y), p, k), "float32")


def sparse_top_k_categorical_accuracy(y_true: object, y_pred: object, k: int = 5,
                                      from_sorted_ids: bool = False) -> Operand:
    """1 where the class `y_true` is among the `k` largest predictions of the last axis, else 0.

    With `from_sorted_ids` `y_pred` holds class numbers, the likeliest first.

    Errors: `OpError` for a label that is no class, where labels are values.
    """
    who = "sparse_top_k_categorical_accuracy"
    labels, p, axis = as_labels(who, y_true, y_pred, -1)
    if from_sorted_ids:
        own = expand_dims(cast_to(labels, p.dtype), -1)
        return cast_to(holds_for_any(equal(own, as_operand(p[..., :k])), -1), "float32")
    check_labels(who, labels, p.shape[axis])
    return cast_to(in_top_k(cast_to(labels, "int64"), p, k), "float32")


def _place(x: Operand) -> Operand:
    """Where along the last axis the largest element stands, the first of several."""
    return apply("ArgMax", x, axis=x.ndim - 1, keepdims=0)


class Accuracy(MeanMetricWrapper):
    """How often `y_pred` equals `y_true`.

    >>> import symgraph as sg
    >>> float(sg.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    def __init__(self, name: str | None = "accuracy", dtype: object = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often `y_pred > threshold` says what `y_true`, 0 or 1, is."""

    def __init__(self, name: str | None = "binary_accuracy", dtype: object = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the class of a one-hot target."""

    def __init__(self, name: str | None = "categorical_accuracy", dtype: object = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the class number."""

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: object = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class of a one-hot target is among the `k` largest predictions."""

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: object = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the class number is among the `k` largest predictions."""

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: object = None,
                 from_sorted_ids: bool = False) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids)
