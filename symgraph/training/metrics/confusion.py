"""Metrics of binary predictions at thresholds: counts, precision, recall, and one of two rates given the other."""

from __future__ import annotations

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import divide_no_nan
from symgraph.ops.comparison import greater_equal
from symgraph.ops.indexing import choose
from symgraph.ops.reductions import max as greatest
from symgraph.training.data.elements import number_of
from symgraph.training.losses.operands import check_share
from symgraph.training.metrics.base import Metric
from symgraph.training.metrics.counting import FAR_BELOW, KINDS, as_thresholds, count_outcomes

Thresholds = float | list[float] | tuple[float, ...] | None


class _Counts(Metric):
    """Counts of some kinds at thresholds, one variable a kind."""

    kinds: tuple[str, ...] = ()

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: object = None,
                 top_k: int | None = None, class_id: int | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.thresholds = as_thresholds(self.name, thresholds, 0.5 if top_k is None else FAR_BELOW)
        self.top_k, self.class_id = top_k, class_id
        shape = (len(self.thresholds),)
        self.counts = {kind: self.add_variable(shape, "zeros", dtype="float32", name=kind) for kind in self.kinds}

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take a batch in."""
        count_outcomes(self.name, self.counts, y_true, y_pred, self.thresholds, top_k=self.top_k,
                       class_id=self.class_id, sample_weight=sample_weight)

    def result(self) -> Operand:
        """The count, or one for each threshold where there are several."""
        (variable,) = self.counts.values()
        return self._single(apply("Identity", variable))

    def _single(self, x: Operand) -> Operand:
        return apply("Squeeze", x, Tensor(np.array([0]))) if len(self.thresholds) == 1 else x

    def _rate(self, part: str, rest: str) -> Operand:
        return divide_no_nan(self.counts[part], self.counts[part] + self.counts[rest])


class TruePositives(_Counts):
    """The number of ones that are predicted above the threshold."""

    kinds = ("true_positives",)

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: object = None) -> None:
        super().__init__(thresholds, name, dtype)


class TrueNegatives(_Counts):
    """The number of zeros that are not predicted above the threshold."""

    kinds = ("true_negatives",)

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: object = None) -> None:
        super().__init__(thresholds, name, dtype)


class FalsePositives(_Counts):
    """The number of zeros that are predicted above the threshold."""

    kinds = ("false_positives",)

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: object = None) -> None:
        super().__init__(thresholds, name, dtype)


class FalseNegatives(_Counts):
    """The number of ones that are not predicted above the threshold."""

    kinds = ("false_negatives",)

    def __init__(self, thresholds: Thresholds = None, name: str | None = None, dtype: object = None) -> None:
        super().__init__(thresholds, name, dtype)


class Precision(_Counts):
    """`true positives / (true positives + false positives)`; 0 where nothing is predicted.

    With `top_k` only the k largest predictions of a row count as positive, with `class_id` only one column counts.

    >>> import symgraph as sg
    >>> float(sg.metrics.Precision()([0, 1, 1, 1], [1.0, 0.0, 1.0, 1.0]))
    0.6666666865348816
    """

    kinds = ("true_positives", "false_positives")

    def __init__(self, thresholds: Thresholds = None, top_k: int | None = None, class_id: int | None = None,
                 name: str | None = None, dtype: object = None) -> None:
        super().__init__(thresholds, name, dtype, top_k, class_id)

    def result(self) -> Operand:
        return self._single(self._rate(*self.kinds))


class Recall(_Counts):
    """`true positives / (true positives + false negatives)`; 0 where nothing is true. Arguments as `Precision`."""

    kinds = ("true_positives", "false_negatives")

    def __init__(self, thresholds: Thresholds = None, top_k: int | None = None, class_id: int | None = None,
                 name: str | None = None, dtype: object = None) -> None:
        super().__init__(thresholds, name, dtype, top_k, class_id)

    def result(self) -> Operand:
        return self._single(self._rate(*self.kinds))


class _RateAtRate(Metric):
    """The largest rate of one kind at the thresholds where that of another is at least `value`."""

    given: tuple[str, str]
    wanted: tuple[str, str]

    def __init__(self, what: str, value: float, num_thresholds: int, class_id: int | None, name: str | None,
                 dtype: object) -> None:
        super().__init__(name=name, dtype=dtype)
        self.value = check_share(self.name, what, value)
        self.num_thresholds, self.class_id = number_of(num_thresholds, f"{self.name}: num_thresholds", 1), class_id
        steps = num_thresholds - 1
        self.thresholds = [i / steps for i in range(num_thresholds)] if steps else [0.5]
        shape = (num_thresholds,)
        self.counts = {kind: self.add_variable(shape, "zeros", dtype="float32", name=kind) for kind in KINDS}

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take a batch in."""
        count_outcomes(self.name, self.counts, y_true, y_pred, self.thresholds, class_id=self.class_id,
                       sample_weight=sample_weight)

    def result(self) -> Operand:
        given, wanted = (
            divide_no_nan(self.counts[part], self.counts[part] + self.counts[rest])
            for part, rest in (self.given, self.wanted))
        return greatest(choose(greater_equal(given, self.value), wanted, 0.0))


SENSITIVITY = ("true_positives", "false_negatives")
SPECIFICITY = ("true_negatives", "false_positives")
PRECISION = ("true_positives", "false_positives")


class SensitivityAtSpecificity(_RateAtRate):
    """The best `tp / (tp + fn)` at the thresholds where `tn / (tn + fp)` is at least `specificity`."""

    given, wanted = SPECIFICITY, SENSITIVITY

    def __init__(self, specificity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: object = None) -> None:
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


class SpecificityAtSensitivity(_RateAtRate):
    """The best `tn / (tn + fp)` at the thresholds where `tp / (tp + fn)` is at least `sensitivity`."""

    given, wanted = SENSITIVITY, SPECIFICITY

    def __init__(self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: object = None) -> None:
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


class PrecisionAtRecall(_RateAtRate):
    """The best `tp / (tp + fp)` at the thresholds where `tp / (tp + fn)` is at least `recall`."""

    given, wanted = SENSITIVITY, PRECISION

    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: object = None) -> None:
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


class RecallAtPrecision(_RateAtRate):
    """The best `tp / (tp + fn)` at the thresholds where `tp / (tp + fp)` is at least `precision`."""

    given, wanted = PRECISION, SENSITIVITY

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype: object = None) -> None:
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
