"""Pools: the largest or the mean element of windows, of all space, or of a given number of bins."""

from __future__ import annotations

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import OpError, nearest
from symgraph.core.tensor import Operand
from symgraph.ops import pooling_gradient as pooling_gradient
from symgraph.ops.activations import as_float
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import dimension, ints, plus, quotient
from symgraph.ops.spatial import (
    Ints,
    channels_first,
    is_channels_last,
    original_format,
    padded_same,
    per_axis,
    same_padding,
    spatial_rank,
)

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "global_average_pool", "global_max_pool", "max_pool",
]


def max_pool(inputs: object, pool_size: Ints, strides: Ints | None = None, padding: str = "valid",
             data_format: str | None = None) -> Operand:
    """The largest element of each window (ONNX MaxPool).

    `inputs` are (batch, space, channels) with 1 to 3 spatial axes, or (batch, channels, space) with
    `data_format="channels_first"`. `strides` are the pool size unless given. With padding "same" the output is
    `ceil(size / stride)` long, and what lies outside is not looked at.

    >>> import symgraph as sg
    >>> sg.ops.max_pool(sg.tensor([[[1.0], [3.0], [2.0]]]), 2, padding="same").tolist()
    [[[3.0], [2.0]]]
    """
    return _pool("max_pool", "MaxPool", inputs, pool_size, strides, padding, data_format)


def average_pool(inputs: object, pool_size: Ints, strides: Ints | None = None, padding: str = "valid",
                 data_format: str | None = None) -> Operand:
    """The mean of each window, of what lies inside the inputs (ONNX AveragePool). Arguments as in `max_pool`."""
    return _pool("average_pool", "AveragePool", inputs, pool_size, strides, padding, data_format)


def _pool(who: str, op: str, inputs: object, pool_size: Ints, strides: Ints | None, padding: str,
          data_format: str | None) -> Operand:
    x = as_float(inputs)
    rank = spatial_rank(who, x)
    is_last = is_channels_last(who, data_format)
    window = per_axis(who, "pool_size", pool_size, rank)
    steps = window if strides is None else per_axis(who, "strides", strides, rank)
    if padding not in ("valid", "same"):
        raise OpError(f"{who}: no padding {padding!r}; {nearest(str(padding), ('valid', 'same'))}")
    x = channels_first(x, is_last=is_last)
    pads, automatic = None, None
    if padding == "same":
        pads = same_padding(who, x.shape[2:], window, steps, (1,) * rank)
        if pads is None and op == "MaxPool" and any(k < s for k, s in zip(window, steps, strict=True)):
            x = padded_same(x, window, steps, (1,) * rank, -np.inf)
        elif pads is None:
            automatic = "SAME_UPPER"
    y = apply(op, x, kernel_shape=window, strides=steps, pads=pads, auto_pad=automatic)
    return original_format(y, is_last=is_last)


def global_max_pool(inputs: object, data_format: str | None = None, keepdims: bool = False) -> Operand:
    """The largest element of each channel (ONNX ReduceMax over space)."""
    return _global_pool("global_max_pool", "ReduceMax", inputs, data_format, keepdims=keepdims)


def global_average_pool(inputs: object, data_format: str | None = None, keepdims: bool = False) -> Operand:
    """The mean of each channel (ONNX ReduceMean over space)."""
    return _global_pool("global_average_pool", "ReduceMean", inputs, data_format, keepdims=keepdims)


def _global_pool(who: str, op: str, inputs: object, data_format: str | None, *, keepdims: bool) -> Operand:
    x = as_float(inputs)
    first = 1 if is_channels_last(who, data_format) else 2
    rank = spatial_rank(who, x)
    return apply(op, x, ints(*range(first, first + rank)), keepdims=int(keepdims))


def adaptive_max_pool(inputs: object, output_size: Ints, data_format: str | None = None) -> Operand:
    """The largest element of each of `output_size` bins; bin i spans `floor(i n / o)` to `ceil((i + 1) n / o)`."""
    return _adaptive_pool("adaptive_max_pool", "AdaptiveMaxPool", inputs, output_size, data_format)


def adaptive_average_pool(inputs: object, output_size: Ints, data_format: str | None = None) -> Operand:
    """The mean of each of `output_size` bins; bin i spans `floor(i n / o)` to `ceil((i + 1) n / o)`."""
    return _adaptive_pool("adaptive_average_pool", "AdaptiveAveragePool", inputs, output_size, data_format)


def _adaptive_pool(who: str, name: str, inputs: object, output_size: Ints, data_format: str | None) -> Operand:
    x = as_float(inputs)
    rank = spatial_rank(who, x)
    first = 1 if is_channels_last(who, data_format) else 2
    sizes = per_axis(who, "output_size", output_size, rank)
    result: Operand = apply_composite(name, _adaptive_body, x, first=first, sizes=sizes, is_mean="Average" in name)
    return result


def _adaptive_body(x: Operand, *, first: int, sizes: tuple[int, ...], is_mean: bool) -> Operand:
    for axis, count in enumerate(sizes, start=first):
        x = _bins(x, axis, count, is_mean=is_mean)
    return x


def _bins(x: Operand, axis: int, count: int, *, is_mean: bool) -> Operand:
    """Reduce one axis to `count` bins: gather the longest bin for each, then leave out what lies behind its end."""
    size = dimension(x, axis)
    number = np.arange(count, dtype=np.int64)
    whole = as_operand(np.int64(size) if isinstance(size, int) else size)
    starts = apply("Div", apply("Mul", whole, number), np.int64(count))
    ends = apply("Div", apply("Add", apply("Mul", whole, number + 1), np.int64(count - 1)), np.int64(count))
    longest = plus(quotient(plus(size, count - 1), count), 1)
    offsets = apply("Range", np.int64(0), longest if isinstance(longest, Operand) else np.int64(longest), np.int64(1))
    places = apply("Add", apply("Unsqueeze", starts, ints(1)), offsets)
    ends = apply("Unsqueeze", ends, ints(1))
    gathered = apply("Gather", x, apply("Min", places, apply("Sub", ends, np.int64(1))), axis=axis)
    if not is_mean:
        return apply("ReduceMax", gathered, ints(axis + 1), keepdims=0)
    shape = [1] * (x.ndim + 1)
    shape[axis], shape[axis + 1] = count, -1
    inside = cast_to(apply("Reshape", apply("Less", places, ends), ints(*shape)), x.dtype)
    total = apply("ReduceSum", apply("Mul", gathered, inside), ints(axis + 1), keepdims=0)
    return apply("Div", total, apply("ReduceSum", inside, ints(axis + 1), keepdims=0))
