"""What callbacks have in common that watch one number: which way is better, what the best was so far."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training import metrics
from symgraph.training.callbacks.callback import Callback

_UP = (
    metrics.Accuracy, metrics.BinaryAccuracy, metrics.CategoricalAccuracy, metrics.SparseCategoricalAccuracy,
    metrics.TopKCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy, metrics.AUC, metrics.Precision,
    metrics.Recall, metrics.PrecisionAtRecall, metrics.RecallAtPrecision, metrics.SensitivityAtSpecificity,
    metrics.SpecificityAtSensitivity, metrics.FBetaScore, metrics.IoU, metrics.CosineSimilarity, metrics.R2Score,
    metrics.PearsonCorrelation, metrics.ConcordanceCorrelation, metrics.TruePositives, metrics.TrueNegatives)
_DOWN = (
    metrics.MeanSquaredError, metrics.MeanAbsoluteError, metrics.MeanAbsolutePercentageError,
    metrics.MeanSquaredLogarithmicError, metrics.RootMeanSquaredError, metrics.LogCoshError, metrics.Poisson,
    metrics.KLDivergence, metrics.Hinge, metrics.SquaredHinge, metrics.CategoricalHinge, metrics.BinaryCrossentropy,
    metrics.CategoricalCrossentropy, metrics.SparseCategoricalCrossentropy, metrics.FalsePositives,
    metrics.FalseNegatives)
_UP_FUNCTIONS = (
    metrics.accuracy, metrics.binary_accuracy, metrics.categorical_accuracy, metrics.sparse_categorical_accuracy,
    metrics.top_k_categorical_accuracy, metrics.sparse_top_k_categorical_accuracy, metrics.cosine_similarity,
    metrics.pearson_correlation, metrics.concordance_correlation)
_DOWN_FUNCTIONS = (
    metrics.binary_crossentropy, metrics.binary_focal_crossentropy, metrics.categorical_crossentropy,
    metrics.categorical_focal_crossentropy, metrics.sparse_categorical_crossentropy, metrics.categorical_hinge,
    metrics.hinge, metrics.squared_hinge, metrics.kl_divergence, metrics.huber, metrics.log_cosh,
    metrics.mean_absolute_error, metrics.mean_absolute_percentage_error, metrics.mean_squared_error,
    metrics.mean_squared_logarithmic_error, metrics.poisson)


class MonitorCallback(Callback):
    """A callback that watches the number `monitor` in the logs of epochs: a name, `val_` before it in validation.

    `mode` says which way is better: "min", "max", or "auto", which asks the metric of that name; losses get better
    downwards. Better by no more than `min_delta` is not better, NaN never is. `baseline` is the best to start with.

    Errors: `TrainingError` in the first epoch where "auto" cannot tell.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None,
                 min_delta: float = 0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f'{type(self).__name__}: mode must be "auto", "min" or "max", got {mode!r}; "auto" it is',
                          stacklevel=3)
            mode = "auto"
        self.monitor, self.mode = monitor, mode
        self.best: Any = baseline
        self._check_numbers(min_delta=min_delta, **{} if baseline is None else {"baseline": baseline})
        self.min_delta = abs(min_delta)
        self._is_max: bool | None = {"min": False, "max": True}.get(mode)

    def _check_numbers(self, **given: Any) -> None:
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, numbers.Real):
                raise TrainingError(f"{type(self).__name__}: {name} must be a number, got {value!r}")

    def current(self, logs: Mapping[str, Any], purpose: str) -> Any:
        """The number now; a warning that says what there is, and None, where there is no such number."""
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(f"{type(self).__name__}: there is no {self.monitor!r} to {purpose}; "
                          f"there are: {', '.join(logs) or 'none'}", stacklevel=3)
        elif not isinstance(value, float):
            raise TrainingError(f"{type(self).__name__} watches {self.monitor!r}, which must be one number; got "
                                f"{value!r}")
        return value

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether `value` improves on `than` by more than `min_delta`; on None every number does."""
        is_up = self.goes_up()
        if math.isnan(value):
            return False
        if than is None:
            return True
        return bool(value - self.min_delta > than if is_up else value + self.min_delta < than)

    def goes_up(self) -> bool:
        """Whether more is better."""
        if self._is_max is None:
            name = self.monitor.removeprefix("val_")
            direction = "down" if name == "loss" or name.endswith("_loss") else self._direction(name)
            if direction is None:
                raise TrainingError(
                    f"{type(self).__name__} cannot tell whether more or less of {self.monitor!r} is better; "
                    'give mode="max" or mode="min"')
            self._is_max = direction == "up"
        return self._is_max

    def _direction(self, name: str) -> str | None:
        known = list(_all_metrics(getattr(self.model, "metrics", ()) or ()))
        exact = [m for m in known if m.name == name]
        of_an_output = [m for m in known if name.endswith(f"_{m.name}")]
        return next((d for d in map(direction_of, exact or of_an_output) if d is not None), None)

    def get_state(self) -> dict[str, Any]:
        return {"best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.best = state["best"]


def direction_of(metric: Any) -> str | None:
    """"up" where more of a metric is better, "down" where less is, None where nobody knows.

    A metric of your own says it with an attribute `direction`.
    """
    own = getattr(metric, "direction", None)
    if own in ("up", "down"):
        return str(own)
    fn = getattr(metric, "fn", None)
    if isinstance(metric, _UP) or fn in _UP_FUNCTIONS:
        return "up"
    return "down" if isinstance(metric, _DOWN) or fn in _DOWN_FUNCTIONS else None


def _all_metrics(given: Iterable[Any]) -> Iterable[Any]:
    """Metrics, and those inside them."""
    for metric in given:
        inside = getattr(metric, "metrics", None)
        if inside:
            yield from _all_metrics(inside)
        if getattr(metric, "name", None):
            yield metric
