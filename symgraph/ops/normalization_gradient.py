"""Gradient rules of normalisations: with `h = (x - m)/s`, `dx = (g - mean(g) - h·mean(g·h))/s` for `g = dy·scale`."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.core.composite import apply_composite
from symgraph.core.gradient import Gradients, expansion_of, gradient_of
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.promotion import cast_to
from symgraph.ops.sizes import ints
from symgraph.ops.summing import sum_to

Many = tuple[Operand | None, ...]


def _mean(x: Operand, axes: Sequence[int]) -> Operand:
    return apply("ReduceMean", x, ints(*axes))


def _inverse_deviation(x: Operand, axes: Sequence[int], epsilon: float) -> tuple[Operand, Operand]:
    """`x - mean(x)`, and `1/√(variance + epsilon)`."""
    beyond = x - _mean(x, axes)
    return beyond, apply("Reciprocal", apply("Sqrt", _mean(beyond * beyond, axes) + epsilon))


def _normalized_gradient(g: Operand, h: Operand, inverse: Operand, axes: Sequence[int]) -> Operand:
    """The gradient of `x` in `h = (x - mean)/deviation`, given that of h."""
    return (g - _mean(g, axes) - h * _mean(g * h, axes)) * inverse


def _per_channel(v: Operand, rank: int) -> Operand:
    """A vector over the channels, which are axis 1, to be broadcast."""
    return apply("Unsqueeze", v, ints(*range(1, rank - 1))) if rank > 2 else v


def _over_channels(x: Operand) -> Operand:
    """The sum over all but the channels: over the image first, where that is cheap."""
    if x.ndim > 2:
        x = apply("ReduceSum", x, ints(*range(2, x.ndim)), keepdims=0)
    return apply("ReduceSum", x, ints(0), keepdims=0)


@gradient_of("BatchNormalization", every_output=True)
def _batch_normalization_gradient(
        dys: Many, ys: Many, x: Operand, scale: Operand, bias: Operand, mean: Operand, variance: Operand, *,
        epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0, spatial: int = 1) -> Gradients:
    """`y = (x - m)/√(v + ε)·scale + bias`, by the moments given, or in training by those of the batch.

    Versions before 14 train where more than one output is asked for.
    """
    if training_mode or sum(y is not None for y in ys) > 1:
        return _batch_training_gradient(dys, ys, x, scale, epsilon, momentum)
    return tuple(apply_composite("BatchNormalizationGrad", _batch_inference_gradient, dys[0], x, scale, mean, variance,
                                 epsilon=epsilon))


def _batch_inference_gradient(dy: Operand, x: Operand, scale: Operand, mean: Operand, variance: Operand, *,
                              epsilon: float) -> tuple[Operand, ...]:
    inverse = apply("Reciprocal", apply("Sqrt", variance + epsilon))
    total, rank = _over_channels(dy), x.ndim
    d_scale = _over_channels(dy * (x - _per_channel(mean, rank))) * inverse
    factor = scale * inverse
    return (dy * _per_channel(factor, rank), d_scale, total, -total * factor,
            -0.5 * d_scale * factor * inverse)


def _batch_training_gradient(dys: Many, ys: Many, x: Operand, scale: Operand, epsilon: float, momentum: float,
                             ) -> Gradients:
    """`dx = a dy + b (x - m) + c` with numbers a, b, c for each channel, so that the sums over dy are all there is.

    The running moments are `momentum·old + (1 - momentum)·of the batch`: those of the batch where momentum is 0.
    """
    axes, rank = (0, *range(2, x.ndim)), x.ndim
    dy, d_mean, d_variance = (*dys[:3], None, None)[:3]
    given, spread = (*ys[1:3], None, None)[:2] if momentum == 0 else (None, None)
    beyond = x - (_mean(x, axes) if given is None else _per_channel(given, rank))
    variance = apply("Squeeze", _mean(beyond * beyond, axes), ints(*axes)) if spread is None else spread
    count, share = apply("Div", apply("Size", x), apply("Size", scale)), 1 - momentum
    number, nothing = cast_to(count, x.dtype), apply("Sub", variance, variance)
    slope, shift = nothing, nothing
    to_affine: Gradients = (None, None)
    if dy is not None:
        inverse = apply("Reciprocal", apply("Sqrt", variance + epsilon))
        total, d_scale = _over_channels(dy), _over_channels(dy * beyond) * inverse
        factor, to_affine = scale * inverse, (d_scale, total)
        slope, shift = -(factor * inverse) * d_scale / number, -factor * total / number
    if d_variance is not None:
        slope = slope + (2 * share) * d_variance / number
    if d_mean is not None:
        shift = shift + share * d_mean / number
    dx = beyond * _per_channel(slope, rank) + _per_channel(shift, rank)
    if dy is not None:
        dx = dy * _per_channel(factor, rank) + dx
    return (dx, *to_affine, None if d_mean is None else momentum * d_mean,
            None if d_variance is None else momentum * d_variance)


@gradient_of("LayerNormalization", every_output=True)
def _layer_normalization_gradient(
        dys: Many, ys: Many, x: Operand, scale: Operand, bias: Operand | None = None, *, axis: int = -1,
        epsilon: float = 1e-5, stash_type: int = 1) -> Gradients:
    """Mean and 1/deviation, the other outputs, are float32: also for float64, which needs its own."""
    dtype = x.dtype
    wide = "float32" if dtype in ("float16", "bfloat16") and stash_type == 1 else dtype
    axes = range(axis % x.ndim, x.ndim)
    mean, inverse = (*ys[1:], None, None)[:2]
    if wide != "float32":
        beyond, inverse = _inverse_deviation(x, axes, epsilon)
    else:
        if mean is None or inverse is None:  # passes make one of this and of the operator that gave y
            operands = (x, scale) if bias is None else (x, scale, bias)
            _, mean, inverse = apply_many("LayerNormalization", *operands, axis=axis, epsilon=epsilon,
                                          stash_type=stash_type, outputs=3)
        beyond = cast_to(x, wide) - mean
    h = beyond * inverse
    dy, d_mean, d_inverse = (*dys, None, None)[:3]
    parts = []
    if dy is not None:
        parts.append(_normalized_gradient(cast_to(dy * scale, wide), h, inverse, axes))
    if d_mean is not None:
        parts.append(_spread_mean(cast_to(d_mean, wide), h, axes))
    if d_inverse is not None:
        parts.append(_spread_mean(-cast_to(d_inverse, wide) * inverse * inverse, h, axes) * h)
    dx = cast_to(sum(parts[1:], parts[0]), dtype)
    if dy is None:
        return (dx,)
    return dx, lambda: sum_to(dy * cast_to(h, dtype), scale), (lambda: sum_to(dy, bias)) if bias is not None else None


def _spread_mean(d: Operand, x: Operand, axes: Sequence[int]) -> Operand:
    """The gradient of x in `mean(x)`, given that of the mean."""
    shape = apply("Shape", x)
    count = apply("ReduceProd", apply("Gather", shape, ints(*axes)), keepdims=0)
    return apply("Expand", d / cast_to(count, x.dtype), shape)


@gradient_of("InstanceNormalization")
def _instance_normalization_gradient(dy: Operand, y: Operand, x: Operand, scale: Operand, bias: Operand, *,
                                     epsilon: float = 1e-5) -> Gradients:
    return tuple(apply_composite("InstanceNormalizationGrad", _instance_gradient, dy, x, scale, epsilon=epsilon))


def _instance_gradient(dy: Operand, x: Operand, scale: Operand, *, epsilon: float) -> tuple[Operand, ...]:
    axes = range(2, x.ndim)
    beyond, inverse = _inverse_deviation(x, axes, epsilon)
    h = beyond * inverse
    return (_normalized_gradient(dy * _per_channel(scale, x.ndim), h, inverse, axes), _over_channels(dy * h),
            _over_channels(dy))


@expansion_of("GroupNormalization")
def _group_normalization(x: Operand, scale: Operand, bias: Operand, *, num_groups: int, epsilon: float = 1e-5,
                         stash_type: int = 1) -> Operand:
    """Before version 21 scale and bias are one number a group, from then on one a channel."""
    wide = cast_to(x, "float32") if x.dtype in ("float16", "bfloat16") and stash_type == 1 else x
    beyond, inverse = _inverse_deviation(apply("Reshape", wide, ints(0, num_groups, -1)), (2,), epsilon)
    h = cast_to(apply("Reshape", beyond * inverse, apply("Shape", x), allowzero=1), x.dtype)
    return h * _per_channel(_each_channel(scale, x), x.ndim) + _per_channel(_each_channel(bias, x), x.ndim)


def _each_channel(v: Operand, x: Operand) -> Operand:
    """A vector over groups, or over channels, as one over channels."""
    column = apply("Unsqueeze", v, ints(1))
    times = apply("Div", apply("Shape", x, start=1, end=2), apply("Shape", v))
    return apply("Reshape", apply("Expand", column, apply("Concat", apply("Shape", v), times, axis=0)), ints(-1))


@expansion_of("RMSNormalization")
def _rms_normalization(x: Operand, scale: Operand, *, axis: int = -1, epsilon: float = 1e-5,
                       stash_type: int = 1) -> Operand:
    wide = cast_to(x, "float32") if x.dtype in ("float16", "bfloat16") and stash_type == 1 else x
    mean_square = _mean(wide * wide, range(axis % x.ndim, x.ndim))
    return cast_to(wide * apply("Reciprocal", apply("Sqrt", mean_square + epsilon)), x.dtype) * scale


@expansion_of("MeanVarianceNormalization")
def _mean_variance_normalization(x: Operand, *, axes: tuple[int, ...] = (0, 2, 3)) -> Operand:
    beyond = x - _mean(x, axes)
    return beyond / (apply("Sqrt", _mean(beyond * beyond, axes)) + 1e-9)


@expansion_of("LRN")
def _local_response_normalization(x: Operand, *, size: int, alpha: float = 1e-4, beta: float = 0.75,
                                  bias: float = 1.0) -> Operand:
    """The squares of `size` neighbouring channels are summed: half before, half behind."""
    before = (size - 1) // 2
    pads = ints(0, before, *[0] * (x.ndim - 2), 0, size - 1 - before, *[0] * (x.ndim - 2))
    padded = apply("Pad", x * x, pads)
    channels = apply("Shape", x, start=1, end=2)
    total = apply("Slice", padded, ints(0), channels, ints(1))
    for i in range(1, size):
        total = total + apply("Slice", padded, ints(i), channels + i, ints(1))
    return x / (bias + alpha / size * total) ** beta


@gradient_of("LpNormalization")
def _lp_normalization_gradient(dy: Operand, y: Operand, x: Operand, *, axis: int = -1, p: int = 2) -> Operand:
    """0 where the norm is 0: there the output is a constant."""
    norm = apply("ReduceL1" if p == 1 else "ReduceL2", x, ints(axis))
    is_zero = apply("Equal", norm, 0)
    slope = apply("Sign", x) if p == 1 else y
    dx = (dy - slope * apply("ReduceSum", dy * y, ints(axis))) / apply("Where", is_zero, 1, norm)
    return apply("Where", is_zero, 0, dx)
