"""Windows of images as columns of numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.diagonals import counting
from symgraph.ops.promotion import as_operand
from symgraph.ops.rearranging import pad
from symgraph.ops.shape import reshape, transpose
from symgraph.ops.sizes import Size, dimension, ints, minus, plus, quotient, times
from symgraph.ops.spatial import per_axis

__all__ = ["fold", "unfold"]

Ints = int | Sequence[int]


def unfold(x: object, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Operand:
    """Windows of `[N, C, H, W]` images as columns, `[N, C * kh * kw, L]`.

    Errors: `ShapeError` for another rank.
    """
    x = as_operand(x)
    if x.ndim != 4:
        raise ShapeError(f"unfold: takes images [N, C, H, W], got {x.type}")
    k, d, s = (per_axis("unfold", name, value, 2) for name, value in (
        ("kernel_size", kernel_size), ("dilation", dilation), ("stride", stride)))
    p = _padding("unfold", padding)
    x = pad(x, [(0, 0), (0, 0), (p[0], p[0]), (p[1], p[1])]) if any(p) else x
    n, c = dimension(x, 0), dimension(x, 1)
    counts = [_count(dimension(x, 2 + i), k[i], d[i], s[i]) for i in (0, 1)]
    for i in (0, 1):
        x = apply("Gather", x, _places(counts[i], k[i], d[i], s[i]), axis=2 + 2 * i)
    columns = transpose(x, (0, 1, 2, 4, 3, 5))
    return reshape(columns, (n, times(c, k[0] * k[1]), times(counts[0], counts[1])))


def fold(x: object, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0,
         stride: Ints = 1) -> Operand:
    """The images `[N, C, H, W]` in which each column of `[N, C * kh * kw, L]` is added at its window (ONNX Col2Im).

    Errors: `ShapeError` for another rank.
    """
    x = as_operand(x)
    if x.ndim != 3:
        raise ShapeError(f"fold: takes columns [N, C * kh * kw, L], got {x.type}")
    size, k, d, s = (per_axis("fold", name, value, 2) for name, value in (
        ("output_size", output_size), ("kernel_size", kernel_size), ("dilation", dilation), ("stride", stride)))
    p = _padding("fold", padding)
    return apply("Col2Im", x, ints(*size), ints(*k), dilations=d, pads=(*p, *p), strides=s)


def _padding(who: str, padding: Ints) -> tuple[int, int]:
    p = (padding, padding) if isinstance(padding, int) else tuple(padding)
    if len(p) != 2 or min(p) < 0:
        raise ShapeError(f"{who}: padding is a whole number from 0 on, or two of them, got {padding!r}")
    return p[0], p[1]


def _count(size: Size, kernel: int, dilation: int, stride: int) -> Size:
    return quotient(plus(minus(size, dilation * (kernel - 1) + 1), stride), stride)


def _places(count: Size, kernel: int, dilation: int, stride: int) -> Operand:
    """`i dilation + j stride`, for all i of the kernel and all j of the windows."""
    starts = apply("Mul", counting(count), np.int64(stride))
    return apply("Add", Tensor(np.arange(kernel)[:, None] * dilation), starts)
