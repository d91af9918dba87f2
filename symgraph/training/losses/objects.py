"""Losses as objects: a loss function with its arguments, a name, and what becomes of the losses of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.core.tensor import Operand
from symgraph.core.types import as_dtype, is_floating
from symgraph.ops.comparison import greater, not_equal
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.training.losses.classification import (
    as_labels,
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
from symgraph.training.losses.operands import check_share, match_ranks
from symgraph.training.losses.reduction import as_reduction, reduce_losses
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
from symgraph.training.losses.similarity import Axis, circle, dice, tversky

BATCH = "sum_over_batch_size"

LossFunction = Callable[..., Operand]


class Loss:
    """How far predictions are from targets, as one number: `loss(y_true, y_pred, sample_weight=None)`.

    A loss of your own overrides `call(y_true, y_pred)`, which gives one loss a sample. `reduction` says what becomes
    of them: "sum_over_batch_size" (the mean), "sum", "mean", "mean_with_sample_weight", or "none". Everything is
    computed in `dtype`, float32 unless said otherwise.

    >>> import symgraph as sg
    >>> class Fourth(sg.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return sg.sum((y_true - y_pred)**4, axis=-1)
    >>> float(Fourth()([[1.0]], [[3.0]]))
    16.0
    """

    is_of_labels = False
    """Whether the targets are class numbers, which stay as they are; others are cast to `dtype`."""

    def __init__(self, name: str | None = None, reduction: str | None = BATCH, dtype: object = None) -> None:
        self.name = name or re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        self.reduction = as_reduction(reduction, self.name)
        self.dtype = as_dtype(dtype or "float32")
        if not is_floating(self.dtype):
            raise TrainingError(f"{self.name}: a loss is computed in floating point, got dtype {self.dtype}")

    def __call__(self, y_true: object, y_pred: object, sample_weight: object = None, mask: object = None) -> Operand:
        """The reduced loss. `mask` says which losses count, weights how much.

        Errors: `ShapeError` for shapes that do not fit.
        """
        prediction = cast_to(as_operand(y_pred), self.dtype)
        target = as_operand(y_true)
        if not self.is_of_labels:
            target = cast_to(target, self.dtype)
        values = as_operand(self.call(target, prediction), self.dtype)
        own = self.mask(target, prediction, values)
        if own is not None:
            given = None if mask is None else as_operand(mask, "bool")
            mask = own if given is None else match_ranks(own, given)[0] & match_ranks(given, own)[0]
        return reduce_losses(self.name, values, sample_weight, mask, self.reduction)

    def call(self, y_true: Operand, y_pred: Operand) -> Operand:
        """One loss a sample."""
        raise TrainingError(f"loss {type(self).__name__} does not define call(y_true, y_pred)")

    def mask(self, y_true: Operand, y_pred: Operand, values: Operand) -> Operand | None:
        """Which of the losses count; None is all."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal loss."""
        config: dict[str, Any] = {"name": self.name, "reduction": self.reduction}
        return config if self.dtype == "float32" else {**config, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """A loss made of what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class LossFunctionWrapper(Loss):
    """A loss that calls `fn(y_true, y_pred, **kwargs)`, which gives one loss a sample."""

    def __init__(self, fn: LossFunction, reduction: str | None = BATCH, name: str | None = None, dtype: object = None,
                 **kwargs: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        if "label_smoothing" in kwargs:
            check_share(self.name, "label_smoothing", kwargs["label_smoothing"])
        self.fn = fn
        self.arguments = kwargs

    def call(self, y_true: Operand, y_pred: Operand) -> Operand:
        """One loss a sample; a last axis of size 1 that only one of the two has is taken away."""
        y_true, y_pred = match_ranks(y_true, y_pred)
        return self.fn(y_true, y_pred, **self.arguments)

    def __getattr__(self, name: str) -> Any:
        arguments = self.__dict__.get("arguments", {})
        if name in arguments:
            return arguments[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **self.arguments}
        return {**config, "fn": self.fn} if type(self) is LossFunctionWrapper else config


class _Plain(LossFunctionWrapper):
    """A loss function without arguments as an object."""

    function: LossFunction

    def __init__(self, reduction: str | None = BATCH, name: str | None = None, dtype: object = None) -> None:
        super().__init__(type(self).function, reduction, name, dtype)


class MeanSquaredError(_Plain):
    """`mean((y_true - y_pred)²)`.

    >>> import symgraph as sg
    >>> float(sg.losses.MeanSquaredError()([[1.0, 2.0], [0.0, 0.0]], [[0.0, 4.0], [0.0, 0.0]]))
    1.25
    """

    function = mean_squared_error


class MeanAbsoluteError(_Plain):
    """`mean(|y_true - y_pred|)`."""

    function = mean_absolute_error


class MeanAbsolutePercentageError(_Plain):
    """`100 mean(|y_true - y_pred| / |y_true|)`."""

    function = mean_absolute_percentage_error


class MeanSquaredLogarithmicError(_Plain):
    """`mean((log(y_true + 1) - log(y_pred + 1))²)`."""

    function = mean_squared_logarithmic_error


class LogCosh(_Plain):
    """`mean(log(cosh(y_pred - y_true)))`."""

    function = log_cosh


class Hinge(_Plain):
    """`mean(max(1 - y_true y_pred, 0))`, of targets -1 and 1, or 0 and 1."""

    function = hinge


class SquaredHinge(_Plain):
    """`mean(max(1 - y_true y_pred, 0)²)`, of targets -1 and 1, or 0 and 1."""

    function = squared_hinge


class CategoricalHinge(_Plain):
    """`max(max((1 - y_true) y_pred) - Σ y_true y_pred + 1, 0)`."""

    function = categorical_hinge


class KLDivergence(_Plain):
    """`Σ y_true log(y_true / y_pred)`."""

    function = kl_divergence


class Poisson(_Plain):
    """`mean(y_pred - y_true log y_pred)`."""

    function = poisson


class CTC(_Plain):
    """The CTC loss of logits `[batch, time, classes]` and class numbers `[batch, labels]`, filled up with 0."""

    function = ctc
    is_of_labels = True


class CosineSimilarity(LossFunctionWrapper):
    """`-Σ y_true y_pred / (|y_true| |y_pred|)`."""

    def __init__(self, axis: int = -1, reduction: str | None = BATCH, name: str | None = "cosine_similarity",
                 dtype: object = None) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


class Huber(LossFunctionWrapper):
    """`e² / 2` for errors up to `delta`, else `delta |e| - delta² / 2`."""

    def __init__(self, delta: float = 1.0, reduction: str | None = BATCH, name: str | None = "huber_loss",
                 dtype: object = None) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


class BinaryCrossentropy(LossFunctionWrapper):
    """`-y log p - (1 - y) log(1 - p)`, of probabilities, or of logits with `from_logits`."""

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction: str | None = BATCH, name: str | None = "binary_crossentropy", dtype: object = None) -> None:
        super().__init__(binary_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """`(1 - p_t)^gamma (-log p_t)`, with `p_t` the probability of what is true."""

    def __init__(
            self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
            from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = BATCH,
            name: str | None = "binary_focal_crossentropy", dtype: object = None) -> None:
        super().__init__(binary_focal_crossentropy, reduction, name, dtype,
                         apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma,
                         from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class CategoricalCrossentropy(LossFunctionWrapper):
    """`-Σ y log p`, of probabilities, or of logits with `from_logits`; one-hot targets."""

    def __init__(
            self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
            reduction: str | None = BATCH, name: str | None = "categorical_crossentropy",
            dtype: object = None) -> None:
        super().__init__(categorical_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         label_smoothing=label_smoothing, axis=axis)


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """`-Σ alpha (1 - p)^gamma y log p`, of one-hot targets; `alpha` is a number, or one for each class."""

    def __init__(
            self, alpha: float | Sequence[float] = 0.25, gamma: float = 2.0, from_logits: bool = False,
            label_smoothing: float = 0.0, axis: int = -1, reduction: str | None = BATCH,
            name: str | None = "categorical_focal_crossentropy", dtype: object = None) -> None:
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, alpha=alpha, gamma=gamma,
                         from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """`-log p[y]`, of class numbers; those that are `ignore_class` do not count.

    >>> import symgraph as sg
    >>> float(sg.losses.SparseCategoricalCrossentropy(ignore_class=-1)([1, -1], [[0.5, 0.5], [0.1, 0.9]]))
    0.6931471824645996
    """

    is_of_labels = True

    def __init__(
            self, from_logits: bool = False, ignore_class: int | None = None, reduction: str | None = BATCH,
            axis: int = -1, name: str | None = "sparse_categorical_crossentropy", dtype: object = None) -> None:
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, from_logits=from_logits,
                         ignore_class=ignore_class, axis=axis)

    def call(self, y_true: Operand, y_pred: Operand) -> Operand:
        return self.fn(y_true, y_pred, **self.arguments)

    def mask(self, y_true: Operand, y_pred: Operand, values: Operand) -> Operand | None:
        if self.ignore_class is None:
            return None
        labels, _, _ = as_labels(self.name, y_true, y_pred, self.axis)
        return not_equal(cast_to(labels, "int64"), self.ignore_class)


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """`(1 - p[y]^q) / q`, of class numbers: robust where some are wrong."""

    is_of_labels = True

    def __init__(self, q: float = 0.5, reduction: str | None = BATCH,
                 name: str | None = "categorical_generalized_cross_entropy", dtype: object = None) -> None:
        if not 0 < q < 1:
            raise TrainingError(f"{name}: q must be between 0 and 1, got {q!r}")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)

    def call(self, y_true: Operand, y_pred: Operand) -> Operand:
        return self.fn(y_true, y_pred, **self.arguments)


class Dice(LossFunctionWrapper):
    """`1 - 2 Σ y p / (Σ y + Σ p)`."""

    def __init__(self, reduction: str | None = BATCH, name: str | None = "dice", axis: Axis = None,
                 dtype: object = None) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)


class Tversky(LossFunctionWrapper):
    """`1 - Σ y p / (Σ y p + alpha Σ y (1 - p) + beta Σ (1 - y) p)`."""

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, reduction: str | None = BATCH,
                 name: str | None = "tversky", axis: Axis = None, dtype: object = None) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


class Circle(LossFunctionWrapper):
    """The circle loss of embeddings of length 1 and class numbers; rows whose loss is 0 do not count."""

    is_of_labels = True

    def __init__(self, gamma: float = 80.0, margin: float = 0.4, remove_diagonal: bool = True,
                 reduction: str | None = BATCH, name: str | None = "circle", dtype: object = None) -> None:
        super().__init__(circle, reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)

    def call(self, y_true: Operand, y_pred: Operand) -> Operand:
        return self.fn(y_true, y_pred, **self.arguments)

    def mask(self, y_true: Operand, y_pred: Operand, values: Operand) -> Operand | None:
        return greater(values, 0.0)
