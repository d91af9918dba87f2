"""Intersection over union: how much the areas of predicted and true classes overlap."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.core.defaults import epsilon
from symgraph.core.errors import ShapeError, TrainingError
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating, is_integer
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.comparison import greater, greater_equal, less, logical_and, not_equal
from symgraph.ops.diagonals import diagonal
from symgraph.ops.indexing import choose
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import argmax
from symgraph.ops.reductions import sum as total
from symgraph.ops.segments import segment_sum
from symgraph.ops.shape import broadcast_to, reshape
from symgraph.ops.sizes import dimensions
from symgraph.training.data.elements import number_of
from symgraph.training.losses.operands import as_weights, fits
from symgraph.training.metrics.base import Metric


class IoU(Metric):
    """The mean over `target_class_ids` of `tp / (tp + fp + fn)`; classes that do not occur are left out.

    Targets and predictions are class numbers; with `sparse_y_true=False`, or `sparse_y_pred=False`, one score a class
    along `axis`. Numbers that are no class, and `ignore_class`, do not count.

    Errors: `TrainingError` for a target class there is not.

    >>> import symgraph as sg
    >>> round(float(sg.metrics.IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
            self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: object = None,
            ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True,
            axis: int = -1) -> None:
        super().__init__(name=name, dtype=dtype or "int")
        num_classes = number_of(num_classes, f"{self.name}: num_classes", 1)
        wrong = [i for i in target_class_ids if isinstance(i, str) or not 0 <= i < num_classes]
        if wrong or not len(target_class_ids):
            raise TrainingError(f"{self.name}: target_class_ids must be from 0 to {num_classes - 1}, got "
                             f"{list(target_class_ids)}")
        self.num_classes, self.target_class_ids = num_classes, list(target_class_ids)
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true, self.sparse_y_pred = sparse_y_true, sparse_y_pred
        self.total_cm = self.add_variable((num_classes, num_classes), "zeros", name="total_confusion_matrix")

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        """Take a batch in."""
        y, p = as_operand(y_true), as_operand(y_pred)
        y = y if self.sparse_y_true else argmax(y, self.axis)
        p = p if self.sparse_y_pred else argmax(p, self.axis)
        shape = y.shape
        y, p = (reshape(cast_to(x, "int64"), (-1,)) for x in (y, p))
        if not fits(y.shape, p.shape):
            raise ShapeError(f"{self.name}: {y.shape[0]} targets do not fit {p.shape[0]} predictions")
        weights = self._weights(sample_weight, y, shape)
        is_class = self._is_class(y) if self.ignore_class is None else logical_and(
            self._is_class(y), not_equal(y, self.ignore_class))
        is_counted = logical_and(is_class, self._is_class(p))
        place = choose(is_counted, y * np.int64(self.num_classes) + p, 0)
        counts = segment_sum(choose(is_counted, weights, 0), place, self.num_classes**2)
        self.total_cm.assign_add(reshape(counts, (self.num_classes, self.num_classes)))

    def _is_class(self, x: Operand) -> Operand:
        return logical_and(greater_equal(x, 0), less(x, self.num_classes))

    def _weights(self, sample_weight: object, y: Operand, shape: Any) -> Operand:
        if sample_weight is None:
            return broadcast_to(as_operand(1, self.dtype), dimensions(y))
        given = as_operand(sample_weight)
        if is_floating(given.dtype) and is_integer(self.dtype):
            warnings.warn(f"{self.name}: sample weights are {given.dtype}, and lose their fractions in {self.dtype}; "
                          'give the metric dtype="float32"', stacklevel=4)
        weights = as_weights(self.name, given, self.dtype)
        if weights.ndim and not fits(weights.shape, shape) and not fits(weights.shape, y.shape):
            raise ShapeError(
                f"{self.name}: sample weights of shape {weights.shape} do not fit targets of shape {shape}")
        return reshape(weights, (-1,)) if weights.ndim else broadcast_to(weights, dimensions(y))

    def result(self) -> Operand:
        matrix = cast_to(apply("Identity", self.total_cm), "float32")
        chosen = Tensor(np.array(self.target_class_ids, np.int64))
        hits = apply("Gather", diagonal(matrix), chosen)
        union = apply("Gather", total(matrix, 0) + total(matrix, 1), chosen) - hits
        is_there = greater(union, 1e-9)
        scores = choose(is_there, hits / (union + epsilon()), 0.0)
        return total(scores) / (total(cast_to(is_there, "float32")) + epsilon())


class BinaryIoU(IoU):
    """`IoU` of two classes, predictions from `threshold` on being the class 1."""

    def __init__(self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5, name: str | None = None,
                 dtype: object = None) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None) -> None:
        super().update_state(y_true, greater_equal(cast_to(as_operand(y_pred), "float32"), self.threshold),
                             sample_weight)


class MeanIoU(IoU):
    """`IoU` of all classes."""

    def __init__(
            self, num_classes: int, name: str | None = None, dtype: object = None, ignore_class: int | None = None,
            sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1) -> None:
        classes = range(number_of(num_classes, f"{name or type(self).__name__}: num_classes", 1))
        super().__init__(num_classes, classes, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)


class OneHotIoU(IoU):
    """`IoU` of one-hot targets, and of predictions that are one score a class."""

    def __init__(
            self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype: object = None,
            ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1) -> None:
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)


class OneHotMeanIoU(MeanIoU):
    """`OneHotIoU` of all classes."""

    def __init__(
            self, num_classes: int, name: str | None = None, dtype: object = None, ignore_class: int | None = None,
            sparse_y_pred: bool = False, axis: int = -1) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
