"""Metrics of numbers: root mean squares, explained variance, similarities and correlations."""

from __future__ import annotations

import warnings

import numpy as np

from symgraph.core.defaults import epsilon
from symgraph.core.errors import ShapeError, TrainingError
from symgraph.core.scope import current_trace
from symgraph.core.tensor import Operand
from symgraph.ops.arithmetic import square, squared_difference
from symgraph.ops.comparison import isinf
from symgraph.ops.indexing import choose
from symgraph.ops.powers import sqrt
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.ops.shape import broadcast_to
from symgraph.ops.sizes import dimensions, product
from symgraph.ops.statistics import std, var
from symgraph.training.losses import regression as losses_regression
from symgraph.training.losses.operands import align_weights, as_pair, as_weights, one_word_of
from symgraph.training.metrics.base import Metric
from symgraph.training.metrics.mean import Mean, MeanMetricWrapper


def cosine_similarity(y_true: object, y_pred: object, axis: int = -1) -> Operand:
    """`Σ y_true y_pred / (|y_true| |y_pred|)` over `axis`: 1 for one direction, as a loss is not."""
    return -losses_regression.cosine_similarity(y_true, y_pred, axis)


def pearson_correlation(y_true: object, y_pred: object, axis: int = -1) -> Operand:
    """The covariance over `axis` divided by both standard deviations; NaN where one of them is 0."""
    y, p = as_pair("pearson_correlation", y_true, y_pred)
    y = y - mean(y, axis, keepdims=True)
    p = p - mean(p, axis, keepdims=True)
    return mean((y / std(y, axis, keepdims=True)) * (p / std(p, axis, keepdims=True)), axis)


def concordance_correlation(y_true: object, y_pred: object, axis: int = -1) -> Operand:
    """`2 cov(y, p) / (var(y) + var(p) + (mean(y) - mean(p))² + 1e-7)` over `axis` (Lin 1989)."""
    y, p = as_pair("concordance_correlation", y_true, y_pred)
    y_mean, p_mean = mean(y, axis, keepdims=True), mean(p, axis, keepdims=True)
    spread = var(y - y_mean, axis, keepdims=True) + var(p - p_mean, axis, keepdims=True) + square(y_mean - p_mean)
    return mean(2.0 * ((y - p_mean) * (p - p_mean)) / (spread + epsilon()), axis)


class RootMeanSquaredError(Mean):
    """The square root of the mean of `(y_true - y_pred)²`.

    >>> import symgraph as sg
    >>> float(sg.metrics.RootMeanSquaredError()([0.0, 0.0], [3.0, 3.0]))
    3.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: object = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:  # type: ignore[override]
        """Take a batch in."""
        y, p = as_pair(self.name, y_true, cast_to(as_operand(y_pred), self.dtype))
        super().update_state(squared_difference(p, y), sample_weight)

    def result(self) -> Operand:
        return sqrt(super().result())


class CosineSimilarity(MeanMetricWrapper):
    """The mean of `Σ y_true y_pred / (|y_true| |y_pred|)`."""

    def __init__(self, name: str | None = "cosine_similarity", dtype: object = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)


class PearsonCorrelation(MeanMetricWrapper):
    """The mean of the correlations of the rows."""

    def __init__(self, name: str | None = "pearson_correlation", dtype: object = None, axis: int = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of the concordance correlations of the rows."""

    def __init__(self, name: str | None = "concordance_correlation", dtype: object = None, axis: int = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)


class R2Score(Metric):
    """`1 - Σ (y_true - y_pred)² / Σ (y_true - mean(y_true))²`, the share of the variance that is explained.

    `y_true` and `y_pred` are `[batch, outputs]`. `class_aggregation` is "uniform_average", the mean of the outputs,
    "variance_weighted_average", or None for one number an output. With `num_regressors` p and n values the result is
    `1 - (1 - r2) (n - 1) / (n - p - 1)`, where that is possible.

    Errors: `TrainingError` for arguments, `ShapeError` for inputs that are no matrices.
    """

    AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")

    def __init__(self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0,
                 name: str | None = "r2_score", dtype: object = None) -> None:
        super().__init__(name=name, dtype=dtype)
        one_word_of(self.name, "class_aggregation", class_aggregation, self.AGGREGATIONS)
        if num_regressors < 0:
            raise TrainingError(f"{self.name}: num_regressors must be 0 or more, got {num_regressors}")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self.is_built = False

    def _build(self, outputs: object) -> None:
        if not isinstance(outputs, int):
            raise ShapeError(f"{self.name}: the number of outputs must be known, got {outputs}")
        self.squared_sum, self.sum, self.total_mse, self.count = (
            self.add_variable((outputs,), "zeros", name=name) for name in ("squared_sum", "sum", "residual", "count"))
        self.is_built = True

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take a batch in."""
        y, p = as_pair(self.name, y_true, cast_to(as_operand(y_pred), self.dtype))
        if p.ndim != 2:
            raise ShapeError(f"{self.name}: expects [batch, outputs], got predictions of shape {p.shape}")
        if not self.is_built:
            self._build(p.shape[1])
        weights, y = align_weights(self.name, as_weights(
            self.name, 1.0 if sample_weight is None else sample_weight, self.dtype), y)
        sizes = dimensions(y)
        weights = broadcast_to(weights, sizes)
        weighted = y * weights
        self.sum.assign_add(total(weighted, 0))
        self.squared_sum.assign_add(total(y * weighted, 0))
        self.total_mse.assign_add(total(squared_difference(y, p) * weights, 0))
        self.count.assign_add(total(weights, 0))
        size = product(sizes)
        self.num_samples.assign_add(float(size) if isinstance(size, int) else cast_to(size, self.dtype))

    def result(self) -> Operand:
        if not self.is_built:
            return as_operand(np.nan, self.dtype)
        spread = self.squared_sum - self.sum * (self.sum / self.count)
        scores = 1.0 - self.total_mse / spread
        scores = choose(isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = mean(scores)
        elif self.class_aggregation is not None:
            scores = total(spread * scores) / total(spread)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, scores: Operand) -> Operand:
        left = self.num_samples - 1.0 - float(self.num_regressors)
        if current_trace() is None and float(np.asarray(left)) <= 0:
            warnings.warn(f"{self.name}: {self.num_regressors} regressors are too many for "
                          f"{int(self.num_samples)} values; the score is not adjusted", stacklevel=3)
        is_possible = left > 0.0
        adjusted = 1.0 - (1.0 - scores) * (self.num_samples - 1.0) / choose(is_possible, left, 1.0)
        return choose(is_possible, adjusted, scores)
