"""Losses as metrics: their weighted means over all samples."""

from __future__ import annotations

from symgraph.core.tensor import Operand
from symgraph.ops.comparison import not_equal
from symgraph.ops.promotion import cast_to
from symgraph.training.losses import classification, regression
from symgraph.training.losses.classification import as_labels
from symgraph.training.metrics.mean import MeanMetricWrapper


class MeanSquaredError(MeanMetricWrapper):
    """The mean of `(y_true - y_pred)²`."""

    def __init__(self, name: str | None = "mean_squared_error", dtype: object = None) -> None:
        super().__init__(regression.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of `|y_true - y_pred|`."""

    def __init__(self, name: str | None = "mean_absolute_error", dtype: object = None) -> None:
        super().__init__(regression.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean of `100 |y_true - y_pred| / |y_true|`."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: object = None) -> None:
        super().__init__(regression.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean of `(log(y_true + 1) - log(y_pred + 1))²`."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: object = None) -> None:
        super().__init__(regression.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """The mean of `log(cosh(y_pred - y_true))`."""

    def __init__(self, name: str | None = "logcosh", dtype: object = None) -> None:
        super().__init__(regression.log_cosh, name, dtype)


class Poisson(MeanMetricWrapper):
    """The mean of `y_pred - y_true log y_pred`."""

    def __init__(self, name: str | None = "poisson", dtype: object = None) -> None:
        super().__init__(regression.poisson, name, dtype)


class Hinge(MeanMetricWrapper):
    """The mean of `max(1 - y_true y_pred, 0)`."""

    def __init__(self, name: str | None = "hinge", dtype: object = None) -> None:
        super().__init__(classification.hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """The mean of `max(1 - y_true y_pred, 0)²`."""

    def __init__(self, name: str | None = "squared_hinge", dtype: object = None) -> None:
        super().__init__(classification.squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """The mean of `max(max((1 - y_true) y_pred) - Σ y_true y_pred + 1, 0)`."""

    def __init__(self, name: str | None = "categorical_hinge", dtype: object = None) -> None:
        super().__init__(classification.categorical_hinge, name, dtype)


class KLDivergence(MeanMetricWrapper):
    """The mean of `Σ y_true log(y_true / y_pred)`."""

    def __init__(self, name: str | None = "kl_divergence", dtype: object = None) -> None:
        super().__init__(classification.kl_divergence, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of `-y log p - (1 - y) log(1 - p)`."""

    def __init__(self, name: str | None = "binary_crossentropy", dtype: object = None, from_logits: bool = False,
                 label_smoothing: float = 0.0) -> None:
        super().__init__(classification.binary_crossentropy, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing)


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `-Σ y log p`, of one-hot targets."""

    def __init__(self, name: str | None = "categorical_crossentropy", dtype: object = None, from_logits: bool = False,
                 label_smoothing: float = 0.0, axis: int = -1) -> None:
        super().__init__(classification.categorical_crossentropy, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `-log p[y]`, of class numbers.

    As in Keras labels that are `ignore_class` count as 0; where there are weights they do not count.
    """

    def __init__(self, name: str | None = "sparse_categorical_crossentropy", dtype: object = None,
                 from_logits: bool = False, ignore_class: int | None = None, axis: int = -1) -> None:
        super().__init__(classification.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits,
                         ignore_class=ignore_class, axis=axis)

    def mask(self, y_true: object, y_pred: object) -> Operand | None:
        if self.ignore_class is None:
            return None
        labels, _, _ = as_labels(self.name, y_true, y_pred, self.axis)
        return not_equal(cast_to(labels, "int64"), self.ignore_class)
