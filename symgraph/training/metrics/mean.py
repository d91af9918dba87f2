"""Metrics that are sums and means of a number a sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import divide_no_nan
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.ops.shape import broadcast_to
from symgraph.ops.sizes import dimension, dimensions
from symgraph.training.losses.operands import as_weights, fits, is_one, match_ranks
from symgraph.training.losses.reduction import merge_weights
from symgraph.training.metrics.base import Metric

Reduce = Callable[..., Operand]


class Sum(Metric):
    """The weighted sum of all values.

    >>> import symgraph as sg
    >>> float(sg.metrics.Sum()([1.0, 3.0, 5.0]))
    9.0
    """

    def __init__(self, name: str | None = "sum", dtype: object = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, values: object, sample_weight: object = None) -> None:
        """Add the values up."""
        x, _ = by_sample(self.name, values, sample_weight, total, self.dtype)
        self.total.assign_add(total(x))

    def result(self) -> Operand:
        return apply("Identity", self.total)


class Mean(Metric):
    """The weighted mean of all values; 0 of none.

    >>> import symgraph as sg
    >>> metric = sg.metrics.Mean()
    >>> float(metric([1.0, 3.0])), float(metric([8.0]))
    (2.0, 4.0)
    """

    def __init__(self, name: str | None = "mean", dtype: object = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, values: object, sample_weight: object = None) -> None:
        """Take values in: the mean of each sample, one sample along the first axis, with its weight."""
        x, weights = by_sample(self.name, values, sample_weight, mean, self.dtype)
        self.total.assign_add(total(x))
        if weights is not None:
            self.count.assign_add(total(weights))
            return
        size = dimension(x, 0) if x.ndim else 1
        self.count.assign_add(float(size) if isinstance(size, int) else cast_to(size, self.dtype))

    def result(self) -> Operand:
        return divide_no_nan(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The weighted mean of `fn(y_true, y_pred, **kwargs)`."""

    def __init__(self, fn: Callable[..., Operand], name: str | None = None, dtype: object = None,
                 **kwargs: Any) -> None:
        super().__init__(name=name or getattr(fn, "__name__", None) or getattr(fn, "name", None), dtype=dtype)
        self.fn = fn
        self.arguments = kwargs

    def update_state(self, y_true: object, y_pred: object, sample_weight: object = None,  # type: ignore[override]
                     mask: object = None) -> None:
        """Take a batch in; `mask` says which values count, weights how much."""
        values = as_operand(self.fn(y_true, y_pred, **self.arguments))
        own = self.mask(y_true, y_pred) if sample_weight is not None else None
        weights = merge_weights(self.name, sample_weight, mask, self.dtype, is_mean=False)
        if own is not None:
            weights = merge_weights(self.name, weights, own, self.dtype, is_mean=False)
        super().update_state(values, weights)

    def mask(self, y_true: object, y_pred: object) -> Operand | None:
        """Which values count where there are weights; None is all."""
        return None

    def __getattr__(self, name: str) -> Any:
        arguments = self.__dict__.get("arguments", {})
        if name in arguments:
            return arguments[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def by_sample(who: str, values: object, sample_weight: object, reduce: Reduce, dtype: str,
              ) -> tuple[Operand, Operand | None]:
    """One value a sample, times its weight, and the weights. Samples lie along the first axis.

    Errors: `ShapeError` for weights that do not fit.
    """
    x = cast_to(as_operand(values), dtype)
    weights = None
    if sample_weight is not None:
        x, weights = match_ranks(x, as_weights(who, sample_weight, dtype))
        have = x.shape[:weights.ndim]
        if weights.ndim > x.ndim or not fits(
                tuple(v if is_one(w) else w for w, v in zip(weights.shape, have, strict=True)), have):
            raise ShapeError(f"{who}: sample weights of shape {weights.shape} do not fit values of shape {x.shape}; "
                             "give one weight a sample, or one a value")
        if x.ndim > weights.ndim:
            x = reduce(x, axis=tuple(range(weights.ndim, x.ndim)))
        weights = broadcast_to(weights, dimensions(x))
        x = x * weights
        if weights.ndim > 1:
            weights = reduce(weights, axis=tuple(range(1, weights.ndim)))
    if x.ndim > 1:
        x = reduce(x, axis=tuple(range(1, x.ndim)))
    return x, weights
