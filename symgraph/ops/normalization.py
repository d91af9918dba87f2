"""Normalisations: by moments of the batch, of layers, groups, instances; by norms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import OpError, ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import numpy_dtype
from symgraph.ops.activations import as_float
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.shape import reshape
from symgraph.ops.sizes import as_axes, as_axis, dimension, dimensions, ints, vector

__all__ = [
    "batch_normalization", "group_normalization", "instance_normalization", "layer_normalization", "moments",
    "normalize", "rms_normalization",
]

Axes = int | Sequence[int]

EPSILON = 1e-7


@method
def moments(x: object, axes: Axes | None = None, keepdims: bool = False) -> tuple[Operand, Operand]:
    """The mean `m` and the variance `mean((x - m)^2)` over `axes`; over all without.

    Half precision is computed in float32.

    >>> import symgraph as sg
    >>> [float(x) for x in sg.ops.moments([1.0, 3.0])]
    [2.0, 1.0]
    """
    x = as_float(x)
    wide = cast_to(x, "float32") if x.dtype in ("float16", "bfloat16") else x
    over = ints(*as_axes(axes, x.ndim, "moments"))
    mean, _, variance = _centred(wide, over)
    if not keepdims:
        mean, variance = apply("Squeeze", mean, over), apply("Squeeze", variance, over)
    return cast_to(mean, x.dtype), cast_to(variance, x.dtype)


def _centred(x: Operand, axes: Operand) -> tuple[Operand, Operand, Operand]:
    """The mean, what lies beyond it, and the variance; all with the axes kept."""
    mean = apply("ReduceMean", x, axes)
    beyond = apply("Sub", x, mean)
    return mean, beyond, apply("ReduceMean", apply("Mul", beyond, beyond), axes)


@method
def normalize(x: object, axis: Axes = -1, order: float = 2, epsilon: float = 1e-12) -> Operand:
    """`x / max(|x|_order, epsilon)` along `axis`; the order is a number from 1 on, or infinity.

    >>> import symgraph as sg
    >>> sg.ops.normalize([3.0, 4.0]).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    x = as_float(x)
    axes = ints(*as_axes(axis, x.ndim, "normalize"))
    if not order >= 1:
        raise OpError(f"normalize: order is a number from 1 on, or infinity, got {order!r}")
    if order == 2:
        norm = apply("ReduceL2", x, axes)
    elif order == 1:
        norm = apply("ReduceL1", x, axes)
    elif math.isinf(order):
        norm = apply("ReduceMax", apply("Abs", x), axes)
    else:
        exponent, inverse = (as_operand(p, x.dtype) for p in (float(order), 1 / order))
        norm = apply("Pow", apply("ReduceSum", apply("Pow", apply("Abs", x), exponent), axes), inverse)
    return apply("Div", x, apply("Max", norm, epsilon))


def batch_normalization(x: object, mean: object, variance: object, axis: int, offset: object = None,
                        scale: object = None, epsilon: float = 1e-3) -> Operand:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, all four vectors along `axis`.

    ONNX BatchNormalization where `axis` is the last one or 1, and the dtype is not float64.
    """
    x = as_float(x)
    axis = as_axis(axis, x.ndim, "batch_normalization")
    mean_, variance_ = (as_operand(v, x.dtype) for v in (mean, variance))
    for name, v in (("mean", mean_), ("variance", variance_)):
        _check_size("batch_normalization", name, v, x, axis)
    is_last = axis == x.ndim - 1
    if x.ndim < 2 or not (axis == 1 or is_last) or x.dtype == "float64":
        y = apply("Div", apply("Sub", x, _along(mean_, axis, x)),
                  apply("Sqrt", apply("Add", _along(variance_, axis, x), epsilon)))
        return _scaled(y, scale, offset, axis, x)
    gamma = _filled(1.0, mean_) if scale is None else as_operand(scale, x.dtype)
    beta = _filled(0.0, mean_) if offset is None else as_operand(offset, x.dtype)
    if axis == 1:
        return apply("BatchNormalization", x, gamma, beta, mean_, variance_, epsilon=epsilon)
    y = apply("Transpose", x, perm=(0, x.ndim - 1, *range(1, x.ndim - 1)))
    y = apply("BatchNormalization", y, gamma, beta, mean_, variance_, epsilon=epsilon)
    return apply("Transpose", y, perm=(0, *range(2, x.ndim), 1))


def normalize_batch(x: Operand, axis: int, offset: object = None, scale: object = None, epsilon: float = 1e-3,
                    ) -> tuple[Operand, Operand, Operand]:
    """`batch_normalization` by the mean and the biased variance of the batch, which come second and third.

    ONNX BatchNormalization in training mode: `axis` is the last one or 1, the dtype float32.
    """
    axis = as_axis(axis, x.ndim, "normalize_batch")
    channels = dimension(x, axis)
    zeros, ones = (apply("Expand", as_operand(v, x.dtype), vector([channels])) for v in (0.0, 1.0))
    gamma, beta = (v if given is None else as_operand(given, x.dtype) for v, given in ((ones, scale), (zeros, offset)))
    is_first = axis == 1
    y = x if is_first else apply("Transpose", x, perm=(0, x.ndim - 1, *range(1, x.ndim - 1)))
    y, mean, variance = apply_many("BatchNormalization", y, gamma, beta, *_unused_moments(y), epsilon=epsilon,
                                   momentum=0.0, training_mode=1, outputs=3)
    return y if is_first else apply("Transpose", y, perm=(0, *range(2, x.ndim), 1)), mean, variance


def _unused_moments(x: Operand) -> tuple[Operand, Operand]:
    """Two tensors of one number a channel, made anew in each run.

    In training ONNX Runtime writes the moments of the batch over the old ones, be they constants that others read, or
    arrays of the user. With momentum 0 the old ones do not count.
    """
    axes = ints(0, *range(2, x.ndim))
    corner = apply("Slice", x, ints(*[0] * (x.ndim - 1)), ints(*[1] * (x.ndim - 1)), axes)
    total = apply("ReduceSum", corner, axes, keepdims=0)
    return apply("Neg", total), apply("Abs", total)


@method
def layer_normalization(x: object, gamma: object = None, beta: object = None, axis: Axes = -1,
                        epsilon: float = EPSILON) -> Operand:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the moments of `x` over `axis`.

    `gamma` and `beta` have the shape of the axes. ONNX LayerNormalization where the axes are the last ones and
    the dtype is not float64. Ba et al. 2016.
    """
    x = as_float(x)
    axes = tuple(sorted(as_axes(axis, x.ndim, "layer_normalization")))
    if axes == tuple(range(x.ndim - len(axes), x.ndim)) and x.dtype != "float64" and axes:
        over = [dimension(x, a) for a in axes]
        scale = (apply("Expand", as_operand(1.0, x.dtype), vector(over)) if gamma is None
                 else as_operand(gamma, x.dtype))
        shift = None if beta is None else as_operand(beta, x.dtype)
        return apply("LayerNormalization", x, scale, shift, axis=axes[0], epsilon=epsilon)
    _, beyond, variance = _centred(x, ints(*axes))
    y = apply("Div", beyond, apply("Sqrt", apply("Add", variance, epsilon)))
    return _scaled(y, gamma, beta, axes, x)


@method
def rms_normalization(x: object, scale: object = None, axis: Axes = -1, epsilon: float = EPSILON) -> Operand:
    """`x / sqrt(mean(x^2) + epsilon) * scale` over `axis` (Zhang and Sennrich 2019)."""
    x = as_float(x)
    axes = tuple(sorted(as_axes(axis, x.ndim, "rms_normalization")))
    mean_square = apply("ReduceMean", apply("Mul", x, x), ints(*axes))
    y = apply("Div", x, apply("Sqrt", apply("Add", mean_square, epsilon)))
    return _scaled(y, scale, None, axes, x)


def group_normalization(x: object, groups: int, gamma: object = None, beta: object = None, axis: int = -1,
                        epsilon: float = 1e-3) -> Operand:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with moments over all but the batch, in each of
    `groups` groups of neighbouring channels; `axis` is that of the channels. Wu and He 2018.

    Errors: `ShapeError` where the number of channels is open or does not divide.
    """
    x = as_float(x)
    axis = as_axis(axis, x.ndim, "group_normalization")
    channels = x.shape[axis]
    if axis == 0 or not isinstance(channels, int) or groups < 1 or channels % groups:
        raise ShapeError(f"group_normalization: axis {axis} of shape {x.shape} does not fall into {groups} groups")
    sizes = dimensions(x)
    split = reshape(x, (*sizes[:axis], groups, channels // groups, *sizes[axis + 1:]))
    over = ints(*(a for a in range(1, split.ndim) if a != axis))
    _, beyond, variance = _centred(split, over)
    y = apply("Div", beyond, apply("Sqrt", apply("Add", variance, epsilon)))
    before, after = dimensions(y)[:axis], dimensions(y)[axis + 2:]
    return _scaled(reshape(y, (*before, channels, *after)), gamma, beta, axis, x)


def instance_normalization(x: object, gamma: object = None, beta: object = None, axis: int = -1,
                           epsilon: float = 1e-3) -> Operand:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`, with the moments of each channel of each example.

    `axis` is that of the channels. Ulyanov et al. 2016.
    """
    x = as_float(x)
    axis = as_axis(axis, x.ndim, "instance_normalization")
    _, beyond, variance = _centred(x, ints(*(a for a in range(1, x.ndim) if a != axis)))
    y = apply("Div", beyond, apply("Sqrt", apply("Add", variance, epsilon)))
    return _scaled(y, gamma, beta, axis, x)


def _scaled(y: Operand, scale: object, offset: object, axes: Axes, like: Operand) -> Operand:
    """`y * scale + offset`, with the vectors along `axes`; None is left out."""
    if scale is not None:
        y = apply("Mul", y, _along(as_operand(scale, like.dtype), axes, like))
    return y if offset is None else apply("Add", y, _along(as_operand(offset, like.dtype), axes, like))


def _along(v: Operand, axes: Axes, like: Operand) -> Operand:
    """`v`, whose axes are `axes` of `like`, in a shape that broadcasts with it."""
    places = (axes,) if isinstance(axes, int) else tuple(axes)
    if v.ndim not in (0, len(places)):
        raise ShapeError(f"a scale or an offset of shape {v.shape} does not belong to the axes {places} "
                         f"of {like.shape}")
    if v.ndim == 0 or places == tuple(range(like.ndim - len(places), like.ndim)):
        return v
    return apply("Unsqueeze", v, ints(*(a for a in range(like.ndim) if a not in places)))


def _check_size(who: str, name: str, v: Operand, x: Operand, axis: int) -> None:
    size = x.shape[axis]
    if v.ndim != 1 or (isinstance(size, int) and isinstance(v.shape[0], int) and v.shape[0] != size):
        raise ShapeError(f"{who}: {name} must be a vector of size {size}, axis {axis} of {x.shape}, "
                         f"got shape {v.shape}")


def _filled(value: float, like: Operand) -> Operand:
    size = dimension(like, 0)
    if isinstance(size, int):
        return as_operand(np.full(size, value, numpy_dtype(like.dtype)))
    return apply("Expand", as_operand(value, like.dtype), vector([size]))
