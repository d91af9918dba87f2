"""Metrics by their names and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.core.registry import Registry
from symgraph.core.types import Shape
from symgraph.training.losses.classification import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    kl_divergence,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from symgraph.training.losses.operands import is_one
from symgraph.training.losses.regression import (
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from symgraph.training.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from symgraph.training.metrics.auc import AUC
from symgraph.training.metrics.base import Metric, snake_case
from symgraph.training.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from symgraph.training.metrics.fscore import F1Score, FBetaScore
from symgraph.training.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from symgraph.training.metrics.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from symgraph.training.metrics.mean import Mean, MeanMetricWrapper, Sum
from symgraph.training.metrics.regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
    concordance_correlation,
    cosine_similarity,
    pearson_correlation,
)

_CLASSES: dict[str, type[Metric]] = {
    cls.__name__: cls for cls in (
        AUC, Accuracy, BinaryAccuracy, BinaryCrossentropy, BinaryIoU, CategoricalAccuracy, CategoricalCrossentropy,
        CategoricalHinge, ConcordanceCorrelation, CosineSimilarity, F1Score, FBetaScore, FalseNegatives,
        FalsePositives, Hinge, IoU, KLDivergence, LogCoshError, Mean, MeanAbsoluteError, MeanAbsolutePercentageError,
        MeanIoU, MeanMetricWrapper, MeanSquaredError, MeanSquaredLogarithmicError, OneHotIoU, OneHotMeanIoU,
        PearsonCorrelation, Poisson, Precision, PrecisionAtRecall, R2Score, Recall, RecallAtPrecision,
        RootMeanSquaredError, SensitivityAtSpecificity, SparseCategoricalAccuracy, SparseCategoricalCrossentropy,
        SparseTopKCategoricalAccuracy, SpecificityAtSensitivity, SquaredHinge, Sum, TopKCategoricalAccuracy,
        TrueNegatives, TruePositives)}

_NAMES: dict[str, type[Metric]] = {snake_case(name): cls for name, cls in _CLASSES.items()}

_ALIASES: dict[str, type[Metric]] = {
    "acc": Accuracy, "bce": BinaryCrossentropy, "cosine": CosineSimilarity, "kld": KLDivergence,
    "mae": MeanAbsoluteError, "mape": MeanAbsolutePercentageError, "mean_iou": MeanIoU, "mse": MeanSquaredError,
    "msle": MeanSquaredLogarithmicError, "rmse": RootMeanSquaredError,
}

_BY_OUTPUT: dict[str, tuple[type[Metric], type[Metric], type[Metric]]] = {
    "accuracy": (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy),
    "acc": (BinaryAccuracy, SparseCategoricalAccuracy, CategoricalAccuracy),
    "crossentropy": (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy),
    "ce": (BinaryCrossentropy, SparseCategoricalCrossentropy, CategoricalCrossentropy),
}
"""What these words mean where the output is one probability, where targets are class numbers, and else."""


_FUNCTIONS: dict[str, Any] = {
    function.__name__: function for function in (
        accuracy, binary_accuracy, binary_crossentropy, binary_focal_crossentropy, categorical_accuracy,
        categorical_crossentropy, categorical_focal_crossentropy, categorical_hinge, concordance_correlation,
        cosine_similarity, hinge, huber, kl_divergence, log_cosh, mean_absolute_error,
        mean_absolute_percentage_error, mean_squared_error, mean_squared_logarithmic_error,
        pearson_correlation, poisson, sparse_categorical_accuracy, sparse_categorical_crossentropy,
        sparse_top_k_categorical_accuracy, squared_hinge, top_k_categorical_accuracy)}

_REGISTRY = Registry(
    "metric", TrainingError, ("metrics",), {**_NAMES, **_ALIASES}, {**_FUNCTIONS, **_CLASSES}, base=Metric,
    functions=_FUNCTIONS, expected="a name, a configuration or a function of (y_true, y_pred)", listed=30)


def get(identifier: object) -> Any:
    """The metric that `identifier` names: a name, a configuration, a class, a function, or the metric itself.

    Names are those of the classes, in either spelling, and short ones such as "mse". None stays None.

    Errors: `TrainingError` listing the nearest names.

    >>> import symgraph as sg
    >>> sg.metrics.get("mse")
    <MeanSquaredError 'mean_squared_error'>
    """
    return _REGISTRY.get(identifier)


def for_output(identifier: object, y_true: Shape, y_pred: Shape) -> Metric:
    """A metric of one output, given the shapes of its targets and predictions.

    "accuracy" and "crossentropy" are binary where the last axis of predictions is 1, or missing; sparse where targets
    have an axis less, or a last one of 1; else categorical. Functions become their means.

    >>> import symgraph as sg
    >>> sg.metrics.for_output("accuracy", (None,), (None, 10)).name
    'accuracy'
    """
    if isinstance(identifier, str) and identifier in _BY_OUTPUT:
        binary, sparse, categorical = _BY_OUTPUT[identifier]
        is_sparse = len(y_true) < len(y_pred) or (bool(y_true) and is_one(y_true[-1]))
        is_binary = len(y_pred) < 2 or is_one(y_pred[-1])
        cls = binary if is_binary else sparse if is_sparse else categorical
        return cls(name=identifier)
    found = get(identifier)
    if isinstance(found, Metric):
        return found
    if found is None:
        raise TrainingError("None is no metric")
    return MeanMetricWrapper(found)


def serialize(metric: Any) -> Any:
    """A metric as plain data, from which `deserialize` makes an equal one: class and arguments, not its state."""
    return _REGISTRY.serialize(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric that `serialize` wrote down. `custom_objects` are classes and functions of your own, by name.

    Errors: `TrainingError` for an unknown name, and for arguments the class does not take.
    """
    return _REGISTRY.deserialize(config, custom_objects)
