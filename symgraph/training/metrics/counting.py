"""Counting what a binary prediction gets right and wrong, at one threshold or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.defaults import epsilon
from symgraph.core.errors import ShapeError, TrainingError
from symgraph.core.tensor import Operand
from symgraph.core.types import numpy_dtype
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.ops.activations import relu
from symgraph.ops.applying import apply
from symgraph.ops.comparison import greater, isnan, not_equal
from symgraph.ops.indexing import choose, one_hot
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import sum as total
from symgraph.ops.rounding import ceil, clip
from symgraph.ops.segments import segment_sum
from symgraph.ops.shape import broadcast_to, expand_dims, reshape
from symgraph.ops.sizes import dimension, dimensions
from symgraph.ops.sorting import top_k as largest
from symgraph.training.losses.operands import (
    align_weights,
    as_targets,
    as_weights,
    check_equal_shapes,
    match_ranks,
)

FAR_BELOW = -1e10
"""Where predictions that are not among the largest k are put, and the threshold that only they do not pass."""

KINDS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


def as_thresholds(who: str, thresholds: object, default: float) -> list[float]:
    """Thresholds given as a number or a list; without any the default.

    Errors: `TrainingError` where one is not from 0 to 1.
    """
    if thresholds is None:
        return [default]
    given: list[Any] = list(thresholds) if isinstance(thresholds, list | tuple | np.ndarray) else [thresholds]
    if not given or not all(isinstance(t, int | float | np.number) and 0 <= t <= 1 for t in given):
        raise TrainingError(f"{who}: thresholds must be numbers from 0 to 1, got {thresholds!r}")
    return [float(t) for t in given]


def are_even(thresholds: Sequence[float]) -> bool:
    """Whether thresholds, at least three, go from 0 to 1 in equal steps."""
    count = len(thresholds)
    return count > 2 and bool(np.allclose(thresholds, np.arange(count, dtype=np.float32) / (count - 1), atol=epsilon()))


def count_outcomes(
        who: str, variables: Mapping[str, Variable], y_true: object, y_pred: object, thresholds: Sequence[float], *,
        top_k: int | None = None, class_id: int | None = None, sample_weight: object = None, multi_label: bool = False,
        label_weights: Operand | None = None) -> None:
    """Add to `variables`, by kind, the weights of the predictions of this kind at each threshold.

    A prediction is positive where it is above the threshold. With `multi_label` each column is counted for itself,
    and variables are `[thresholds, labels]`, else `[thresholds]`.

    Errors: `ShapeError` where targets, predictions or weights do not fit.
    """
    dtype = next(iter(variables.values())).dtype
    p = cast_to(as_operand(y_pred), dtype)
    p, y = match_ranks(p, as_targets(who, y_true, dtype))
    check_equal_shapes(who, y, p)
    weights = None if sample_weight is None else as_weights(who, sample_weight, dtype)
    if top_k is not None:
        p = _only_largest(p, top_k)
    if class_id is not None:
        p, y = (_column(who, x, class_id) for x in (p, y))
    if weights is not None:
        weights, _ = align_weights(who, weights, p)
        weights = broadcast_to(weights, dimensions(p))
    if label_weights is not None:
        spread = broadcast_to(cast_to(label_weights, dtype), dimensions(p))
        weights = spread if weights is None else weights * spread
    if not multi_label:
        p, y = reshape(p, (-1, 1)), reshape(y, (-1, 1))
        weights = None if weights is None else reshape(weights, (-1, 1))
    is_true = cast_to(not_equal(y, 0.0), dtype)
    true = is_true if weights is None else is_true * weights
    false = 1.0 - is_true if weights is None else (1.0 - is_true) * weights
    inner = [*thresholds]
    inner[0], inner[-1] = max(inner[0], 0.0), min(inner[-1], 1.0)
    if are_even(inner):
        counted = _count_by_bucket(p, (true, false), len(thresholds), is_widened=inner != list(thresholds))
    else:
        counted = _count_by_comparison(p, (true, false), thresholds)
    tp, fp = counted
    found = {"true_positives": tp, "false_positives": fp}
    if "true_negatives" in variables:
        found["true_negatives"] = total(false, 0) - fp
    if "false_negatives" in variables:
        found["false_negatives"] = total(true, 0) - tp
    for kind, variable in variables.items():
        variable.assign_add(found[kind] if multi_label else reshape(found[kind], (-1,)))


def _count_by_comparison(p: Operand, counts: tuple[Operand, Operand], thresholds: Sequence[float],
                         ) -> list[Operand]:
    """`[samples, labels]` to `[thresholds, labels]`, by comparing each with each."""
    edges = Tensor(np.array(thresholds, numpy_dtype(p.dtype)).reshape(-1, 1, 1))
    is_above = cast_to(greater(expand_dims(p, 0), edges), p.dtype)
    return [total(is_above * expand_dims(x, 0), 1) for x in counts]


def _count_by_bucket(p: Operand, counts: tuple[Operand, Operand], size: int, *, is_widened: bool) -> list[Operand]:
    """The same for thresholds in equal steps: each sample falls in one bucket, and is above all thresholds up to it.

    Bucket 0 is below all thresholds; where the first one is below 0 only NaN falls there.
    """
    bucket = ceil(clip(p, 0.0, 1.0) * float(size - 1)) - 1.0
    bucket = choose(isnan(p), -1.0, relu(bucket) if is_widened else bucket)
    bucket = cast_to(bucket, "int64") + np.int64(1)
    labels = dimension(p, 1)
    columns = apply("Range", np.int64(0), labels, np.int64(1))
    place = reshape(bucket * as_operand(labels, "int64") + expand_dims(columns, 0), (-1,))
    segments = as_operand(labels, "int64") * np.int64(size + 1)
    results = []
    for x in counts:
        sums = reshape(segment_sum(reshape(x, (-1,)), place, segments), (size + 1, labels))
        results.append(apply("CumSum", sums, np.int64(0), reverse=1)[1:])
    return results


def _only_largest(p: Operand, k: int) -> Operand:
    _, places = largest(p, k)
    is_among = total(one_hot(places, p.shape[-1], dtype=p.dtype), -2)  # type: ignore[arg-type]
    return p * is_among + FAR_BELOW * (1.0 - is_among)


def _column(who: str, x: Operand, class_id: int) -> Operand:
    if x.ndim < 2:
        raise ShapeError(f"{who}: with class_id predictions are [batch, classes], got shape {x.shape}")
    classes = x.shape[-1]
    if isinstance(classes, int) and not -classes <= class_id < classes:
        raise ShapeError(f"{who}: class_id must be from 0 to {classes - 1} for predictions of shape {x.shape}, "
                         f"got {class_id}")
    return x[..., class_id:class_id + 1] if class_id != -1 else x[..., -1:]
