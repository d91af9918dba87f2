"""What convolutions, pools and image ops share: data formats, window arguments, and TensorFlow's SAME padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.core.errors import OpError, ShapeError, nearest
from symgraph.core.tensor import Operand
from symgraph.core.types import Dim
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand
from symgraph.ops.sizes import dimension, larger, minus, plus, quotient, times, vector

__all__ = [
    "channels_first", "is_channels_last", "kernel_first", "original_format", "padded_same", "per_axis",
    "same_padding", "spatial_rank",
]

Ints = int | Sequence[int]

FORMATS = ("channels_last", "channels_first")


def is_channels_last(who: str, data_format: str | None) -> bool:
    """Whether channels are the last axis, as they are unless `data_format` says otherwise.

    Errors: `OpError` for a format that is neither.
    """
    if data_format is None:
        return True
    if data_format not in FORMATS:
        raise OpError(f"{who}: no data format {data_format!r}; {nearest(str(data_format), FORMATS)}")
    return data_format == "channels_last"


def spatial_rank(who: str, x: Operand) -> int:
    """The number of axes besides batch and channels: 1 to 3.

    Errors: `ShapeError` for another rank.
    """
    rank = x.ndim - 2
    if not 1 <= rank <= 3:
        raise ShapeError(f"{who}: inputs have a batch, 1 to 3 spatial axes and channels, got shape {x.shape}")
    return rank


def channels_first(x: Operand, *, is_last: bool) -> Operand:
    """`x` in ONNX's layout: batch, channels, space."""
    return apply("Transpose", x, perm=(0, x.ndim - 1, *range(1, x.ndim - 1))) if is_last else x


def original_format(x: Operand, *, is_last: bool) -> Operand:
    """`x` from ONNX's layout back to the user's."""
    return apply("Transpose", x, perm=(0, *range(2, x.ndim), 1)) if is_last else x


def kernel_first(kernel: Operand) -> Operand:
    """A kernel of Keras's layout (space, a, b) in ONNX's (b, a, space)."""
    rank = kernel.ndim
    return apply("Transpose", kernel, perm=(rank - 1, rank - 2, *range(rank - 2)))


def per_axis(who: str, name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each spatial axis, from one for all or a list.

    Errors: `OpError` for a wrong count, or a number below `least`.
    """
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * rank
    if len(values) != rank or any(isinstance(v, bool) or not hasattr(v, "__index__") or v < least for v in values):
        raise OpError(f"{who}: {name} is a whole number from {least}, or {rank} of them, got {value!r}")
    return tuple(int(v) for v in values)


def same_padding(who: str, space: Sequence[Dim], window: Sequence[Dim], strides: tuple[int, ...],
                 dilations: tuple[int, ...]) -> list[int] | None:
    """The zeros before and after each axis, in ONNX's order, that make the output `ceil(size / stride)` long.

    `max((ceil(n / s) - 1) s + (k - 1) d + 1 - n, 0)` in all, the smaller half before. None where a size
    is open and the stride is not 1, so that only a run can tell.

    Errors: `ShapeError` for a window of unknown size.
    """
    before, after = [], []
    for n, k, s, d in zip(space, window, strides, dilations, strict=True):
        if not isinstance(k, int):
            raise ShapeError(f"{who}: padding 'same' needs a window of known size, got {tuple(window)}")
        extent = (k - 1) * d + 1
        if s == 1 or extent == 1:
            total = extent - 1
        elif isinstance(n, int):
            total = max((-(-n // s) - 1) * s + extent - n, 0)
        else:
            return None
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def padded_same(x: Operand, window: Sequence[int], strides: tuple[int, ...], dilations: tuple[int, ...],
                value: float = 0.0) -> Operand:
    """`x` in ONNX's layout, padded as `same_padding` says, whatever sizes it has when it runs (ONNX Pad)."""
    before, after = [], []
    for axis, (k, s, d) in enumerate(zip(window, strides, dilations, strict=True), start=2):
        n = dimension(x, axis)
        steps = minus(quotient(plus(n, s - 1), s), 1)
        total = larger(minus(plus(times(steps, s), (k - 1) * d + 1), n), 0)
        half = quotient(total, 2)
        before.append(half)
        after.append(minus(total, half))
    return apply("Pad", x, vector([0, 0, *before, 0, 0, *after]), as_operand(value, x.dtype))
