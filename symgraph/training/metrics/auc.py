"""The area under a curve of two rates, over all thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.core.defaults import epsilon
from symgraph.core.errors import ShapeError, TrainingError, nearest
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor, as_array
from symgraph.ops.activations import sigmoid
from symgraph.ops.arithmetic import divide_no_nan, maximum, minimum
from symgraph.ops.comparison import equal, greater, logical_and
from symgraph.ops.indexing import choose
from symgraph.ops.mathematics import log
from symgraph.ops.promotion import as_operand
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.training.data.elements import number_of
from symgraph.training.metrics.base import Metric
from symgraph.training.metrics.counting import KINDS, as_thresholds, count_outcomes

CURVES = ("ROC", "PR", "PRGAIN")
METHODS = ("interpolation", "majoring", "minoring")


class AUC(Metric):
    """The area under the curve of true against false positive rates ("ROC"), or of precision against recall ("PR").

    The area is a sum over `num_thresholds` thresholds in equal steps, or over `thresholds`; "interpolation" takes
    the middle between two neighbours, "majoring" the upper, "minoring" the lower one; for "PR" interpolation is that
    of Davis and Goadrich 2006. "PRGAIN" is precision gain against recall gain (Flach and Kull 2015).
    With `multi_label` each column has a curve, and the result is the mean, weighted by `label_weights`; without,
    `label_weights` weigh the columns of one curve.

    Errors: `TrainingError` for arguments that do not fit.

    >>> import symgraph as sg
    >>> float(sg.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0.0, 0.5, 0.3, 0.9]))
    0.75
    """

    def __init__(
            self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation",
            name: str | None = None, dtype: object = None, thresholds: Sequence[float] | None = None,
            multi_label: bool = False, num_labels: int | None = None, label_weights: Any = None,
            from_logits: bool = False) -> None:
        super().__init__(name=name, dtype=dtype)
        self.curve = self._word("curve", str(curve).upper(), CURVES)
        self.summation_method = self._word("summation_method", str(summation_method).lower(), METHODS)
        if thresholds is not None:
            inner = sorted(as_thresholds(self.name, list(thresholds), 0.5))
        else:
            num_thresholds = number_of(num_thresholds, f"{self.name}: num_thresholds", 2)
            inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        self.thresholds = [-epsilon(), *inner, 1.0 + epsilon()]
        self.num_thresholds = len(self.thresholds)
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else Tensor(as_array(label_weights, self.dtype))
        if num_labels and not multi_label:
            raise TrainingError(f"{self.name}: num_labels belongs to multi_label=True")
        self.is_built = False
        if num_labels or not multi_label:
            self._build(num_labels)

    def _word(self, what: str, word: str, words: tuple[str, ...]) -> str:
        if word not in words:
            raise TrainingError(f"{self.name}: no {what} {word!r}; {nearest(word, words)}")
        return word

    def _build(self, labels: object) -> None:
        if self.multi_label and not isinstance(labels, int):
            raise ShapeError(f"{self.name}: the number of labels must be known, got {labels}; give num_labels")
        shape = (self.num_thresholds, labels) if self.multi_label else (self.num_thresholds,)
        self.counts = {kind: self.add_variable(shape, "zeros", dtype="float32", name=kind) for kind in KINDS}
        self.is_built = True

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take a batch in."""
        p = as_operand(y_pred)
        if self.multi_label and p.ndim != 2:
            raise ShapeError(f"{self.name}: with multi_label predictions are [batch, labels], got shape {p.shape}")
        if not self.is_built:
            self._build(p.shape[1])
        if self.multi_label and p.shape[1] != self.counts[KINDS[0]].shape[1]:
            raise ShapeError(f"{self.name}: predictions of shape {p.shape}, "
                             f"expected {self.counts[KINDS[0]].shape[1]} labels")
        if self.label_weights is not None and self.label_weights.shape != p.shape[1:]:
            raise ShapeError(f"{self.name}: {self.label_weights.size} label weights do not fit predictions "
                             f"of shape {p.shape}")
        count_outcomes(self.name, self.counts, y_true, sigmoid(p) if self.from_logits else p, self.thresholds,
                       sample_weight=sample_weight, multi_label=self.multi_label,
                       label_weights=None if self.multi_label else self.label_weights)

    def result(self) -> Operand:
        if not self.is_built:
            return as_operand(np.nan, self.dtype)
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._merge(self._interpolated_precision())
        x, y = {"ROC": self._roc, "PR": self._precision, "PRGAIN": self._gains}[self.curve]()
        left, right = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            height = (left + right) / 2.0
        else:
            height = minimum(left, right) if self.summation_method == "minoring" else maximum(left, right)
        return self._merge((x[:-1] - x[1:]) * height)

    def _merge(self, pieces: Operand) -> Operand:
        areas = total(pieces, 0)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return mean(areas)
        return divide_no_nan(total(areas * self.label_weights), total(self.label_weights))

    def _roc(self) -> tuple[Operand, Operand]:
        tp, fp, tn, fn = (self.counts[kind] for kind in KINDS)
        return divide_no_nan(fp, fp + tn), divide_no_nan(tp, tp + fn)

    def _precision(self) -> tuple[Operand, Operand]:
        tp, fp, _, fn = (self.counts[kind] for kind in KINDS)
        return divide_no_nan(tp, tp + fn), divide_no_nan(tp, tp + fp)

    def _gains(self) -> tuple[Operand, Operand]:
        tp, fp, tn, fn = (self.counts[kind] for kind in KINDS)
        odds = divide_no_nan(tp + fn, tn + fp)
        is_none = equal(tp, 0.0)
        recall = choose(is_none, 0.0, 1.0 - odds * divide_no_nan(fn, tp))
        precision = choose(is_none, 1.0, 1.0 - odds * divide_no_nan(fp, tp))
        return maximum(recall, 0.0), precision

    def _interpolated_precision(self) -> Operand:
        """Between two thresholds true positives are linear in positives, so precision is not: its integral is."""
        tp, fp, _, fn = (self.counts[kind] for kind in KINDS)
        positive = tp + fp
        this, after = positive[:-1], positive[1:]
        gained = tp[:-1] - tp[1:]
        slope = divide_no_nan(gained, maximum(this - after, 0.0))
        start = tp[1:] - slope * after
        is_ratio = logical_and(greater(this, 0.0), greater(after, 0.0))
        ratio = choose(is_ratio, divide_no_nan(this, maximum(after, 0.0)), 1.0)
        return divide_no_nan(slope * (gained + start * log(ratio)), maximum(tp[1:] + fn[1:], 0.0))
