"""How the losses of a batch become one number: weights, masks and reductions."""

from __future__ import annotations

from symgraph.core.errors import TrainingError, nearest
from symgraph.core.tensor import Operand
from symgraph.ops.arithmetic import divide_no_nan
from symgraph.ops.indexing import choose
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import mean
from symgraph.ops.reductions import sum as total
from symgraph.ops.sizes import dimensions, is_exactly, product
from symgraph.training.losses.operands import align_weights, as_weights

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


def as_reduction(reduction: object, who: str) -> str:
    """The name of a reduction; None is "none".

    Errors: `TrainingError` listing those there are.
    """
    name = "none" if reduction is None else reduction
    if name not in REDUCTIONS:
        raise TrainingError(f"{who}: no reduction {reduction!r}; {nearest(str(reduction), REDUCTIONS)}")
    return str(name)


def reduce_losses(who: str, values: Operand, sample_weight: object, mask: object, reduction: str) -> Operand:
    """`values` times the weights, as one number.

    "sum" is their sum; "sum_over_batch_size" and "mean" divide it by the number of values, of those the mask leaves
    if there is one; "mean_with_sample_weight" divides it by the sum of the weights; "none" leaves them as they are.
    What would be divided by 0 is 0.

    Errors: `ShapeError` for weights that do not fit.
    """
    is_mean = reduction in ("sum_over_batch_size", "mean")
    weights = merge_weights(who, sample_weight, mask, values.dtype, is_mean=is_mean)
    if weights is not None:
        weights, values = align_weights(who, weights, values)
        values = values * weights
    if reduction == "none" or not values.ndim:
        return values
    is_empty = any(is_exactly(size, 0) for size in values.shape)
    if reduction == "sum" or is_empty:
        return total(values)
    if reduction == "mean_with_sample_weight" and weights is not None:
        return divide_no_nan(total(values), total(weights))
    return mean(values)


def merge_weights(who: str, sample_weight: object, mask: object, dtype: str, *, is_mean: bool) -> Operand | None:
    """Weights and mask as weights: 0 where the mask is not true.

    For a mean what the mask leaves counts `total / left`, so that the mean is that of what is left.
    """
    weights = None if sample_weight is None else as_weights(who, sample_weight, dtype)
    if mask is None:
        return weights
    is_kept = as_operand(mask, "bool")
    kept = cast_to(is_kept, dtype)
    if is_mean:
        size = product(dimensions(kept))
        count = float(size) if isinstance(size, int) else cast_to(size, dtype)
        kept = choose(is_kept, divide_no_nan(count, total(kept)), 0.0)
    if weights is None:
        return kept
    weights, kept = align_weights(who, weights, kept) if weights.ndim <= kept.ndim else align_weights(
        who, kept, weights)
    return weights * kept
