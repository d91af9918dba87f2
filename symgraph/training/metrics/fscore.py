"""F-scores: precision and recall in one number."""

from __future__ import annotations

from symgraph.core.defaults import epsilon
from symgraph.core.errors import ShapeError, TrainingError
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import absolute
from symgraph.ops.comparison import greater, greater_equal, logical_and
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import max as largest
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.training.losses.operands import align_weights, as_pair, as_weights, one_word_of
from symgraph.training.metrics.base import Metric

AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """`(1 + beta²) precision recall / (beta² precision + recall)`, of `[batch, classes]` targets and predictions.

    A prediction is positive above `threshold`; without one the largest of a row is. `average` None gives one score a
    class, "macro" their mean, "weighted" the mean by how often a class is true, "micro" counts all classes together.

    Errors: `TrainingError` for arguments that do not fit, `ShapeError` for other shapes.
    """

    def __init__(self, average: str | None = None, beta: float = 1.0, threshold: float | None = None,
                 name: str | None = "fbeta_score", dtype: object = None) -> None:
        super().__init__(name=name, dtype=dtype)
        one_word_of(self.name, "average", average, AVERAGES)
        if isinstance(beta, bool) or not isinstance(beta, int | float) or beta <= 0:
            raise TrainingError(f"{self.name}: beta must be a number above 0, got {beta!r}")
        if threshold is not None and (not isinstance(threshold, int | float) or not 0 < threshold <= 1):
            raise TrainingError(f"{self.name}: threshold must be a number above 0, and 1 at most, got {threshold!r}")
        self.average, self.beta, self.threshold = average, beta, threshold
        self.axis = None if average == "micro" else 0
        self.is_built = False

    def _build(self, classes: object) -> None:
        if not isinstance(classes, int):
            raise ShapeError(f"{self.name}: the number of classes must be known, got {classes}")
        shape = () if self.average == "micro" else (classes,)
        self.true_positives, self.false_positives, self.false_negatives, self.intermediate_weights = (
            self.add_variable(shape, "zeros", name=name)
            for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights"))
        self.is_built = True

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take a batch in."""
        y, p = as_pair(self.name, y_true, cast_to(as_operand(y_pred), self.dtype))
        if p.ndim != 2 or y.ndim != 2:
            raise ShapeError(f"{self.name}: expects [batch, classes], got predictions of shape {p.shape}")
        if not self.is_built:
            self._build(p.shape[1])
        if self.threshold is None:
            is_positive = logical_and(greater_equal(p, largest(p, -1, keepdims=True)), greater(absolute(p), 1e-9))
        else:
            is_positive = greater(p, self.threshold)
        p = cast_to(is_positive, self.dtype)
        weights = None
        if sample_weight is not None:
            weights, _ = align_weights(self.name, as_weights(self.name, sample_weight, self.dtype), p)
        for variable, x in ((self.true_positives, p * y), (self.false_positives, p * (1.0 - y)),
                            (self.false_negatives, (1.0 - p) * y), (self.intermediate_weights, y)):
            variable.assign_add(total(x if weights is None else x * weights, self.axis))

    def result(self) -> Operand:
        if not self.is_built:
            return as_operand(0.0, self.dtype)
        tp = apply("Identity", self.true_positives)
        precision = tp / (tp + self.false_positives + epsilon())
        recall = tp / (tp + self.false_negatives + epsilon())
        square = self.beta**2
        score = precision * recall / (square * precision + recall + epsilon()) * (1.0 + square)
        if self.average == "weighted":
            return total(score * (self.intermediate_weights / (total(self.intermediate_weights) + epsilon())))
        return score if self.average is None else mean(score)


class F1Score(FBetaScore):
    """`2 precision recall / (precision + recall)`, with arguments as `FBetaScore`.

    >>> import symgraph as sg
    >>> metric = sg.metrics.F1Score(average="macro")
    >>> round(float(metric([[1, 0], [0, 1], [0, 1]], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])), 4)
    0.6667
    """

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = "f1_score",
                 dtype: object = None) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
