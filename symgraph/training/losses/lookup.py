"""Losses by their names and configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.core.registry import Registry
from symgraph.core.tensor import Operand
from symgraph.training.losses.classification import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    categorical_hinge,
    hinge,
    kl_divergence,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from symgraph.training.losses.ctc import ctc
from symgraph.training.losses.objects import (
    CTC,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    Circle,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    Loss,
    LossFunctionWrapper,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
from symgraph.training.losses.regression import (
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from symgraph.training.losses.similarity import circle, dice, tversky

_CLASSES: dict[str, type[Loss]] = {
    cls.__name__: cls for cls in (
        BinaryCrossentropy, BinaryFocalCrossentropy, CTC, CategoricalCrossentropy, CategoricalFocalCrossentropy,
        CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle, CosineSimilarity, Dice, Hinge, Huber,
        KLDivergence, LogCosh, LossFunctionWrapper, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError,
        MeanSquaredLogarithmicError, Poisson, SparseCategoricalCrossentropy, SquaredHinge, Tversky)}

_FUNCTIONS: dict[str, Callable[..., Operand]] = {
    function.__name__: function for function in (
        binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy, categorical_focal_crossentropy,
        categorical_generalized_cross_entropy, categorical_hinge, circle, cosine_similarity, ctc, dice, hinge, huber,
        kl_divergence, log_cosh, mean_absolute_error, mean_absolute_percentage_error, mean_squared_error,
        mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy, squared_hinge, tversky)}

_ALIASES: dict[str, Callable[..., Operand]] = {
    "bce": binary_crossentropy, "kld": kl_divergence, "kullback_leibler_divergence": kl_divergence,
    "logcosh": log_cosh, "mae": mean_absolute_error, "mape": mean_absolute_percentage_error,
    "mse": mean_squared_error, "msle": mean_squared_logarithmic_error,
}


_REGISTRY = Registry(
    "loss", TrainingError, ("losses",), {**_FUNCTIONS, **_ALIASES, **_CLASSES}, base=Loss, functions=_FUNCTIONS,
    expected="a name, a configuration or a function of (y_true, y_pred)", listed=30)


def get(identifier: object) -> Any:
    """The loss that `identifier` names: a name, a configuration, a class, a function, or the loss itself.

    A function's name gives the function, a class's name a loss with its default arguments; "mse" and the like are
    short names, and TensorFlow.js's spelling ("meanSquaredError") does as well. None stays None.

    Errors: `TrainingError` listing the nearest names.

    >>> import symgraph as sg
    >>> sg.losses.get("mse").__name__, sg.losses.get("Huber").delta
    ('mean_squared_error', 1.0)
    """
    return _REGISTRY.get(identifier)


def serialize(loss: Any) -> Any:
    """A loss as plain data, from which `deserialize` makes an equal one: a function's name, or class and arguments."""
    return _REGISTRY.serialize(loss)


def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The loss that `serialize` wrote down. `custom_objects` are classes and functions of your own, by name.

    Errors: `TrainingError` for an unknown name, and for arguments the class does not take.
    """
    return _REGISTRY.deserialize(name, custom_objects)
