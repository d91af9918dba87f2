"""Windows of images as columns of numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import ShapeError
from symgraph.core.gradient import gradient_of
from symgraph.core.inference import known_data
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.diagonals import counting
from symgraph.ops.promotion import as_operand
from symgraph.ops.rearranging import pad
from symgraph.ops.shape import expand_dims, reshape, reshape_like, transpose
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


@gradient_of("Col2Im")
def _fold_gradient(dy: Operand, y: Operand, x: Operand, image_shape: Operand, block_shape: Operand, *,
                   dilations: tuple[int, ...] | None = None, pads: tuple[int, ...] | None = None,
                   strides: tuple[int, ...] | None = None) -> Operand:
    """The windows of the gradient, as columns."""
    rank = dy.ndim - 2
    known = known_data(block_shape)
    if pads is not None and any(pads):
        dy = apply("Pad", dy, ints(0, 0, *pads[:rank], 0, 0, *pads[rank:]))
    for i in range(rank):
        size: Size = known[i] if known is not None and isinstance(known[i], int) else apply(
            "Gather", block_shape, np.int64(i))
        d, s = dilations[i] if dilations else 1, strides[i] if strides else 1
        count = quotient(plus(minus(dimension(dy, 2 + 2 * i), plus(times(minus(size, 1), d), 1)), s), s)
        dy = apply("Gather", dy, _places(count, size, d, s), axis=2 + 2 * i)
    order = (0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 3 + 2 * rank, 2))
    return reshape_like(apply("Transpose", dy, perm=order), x)


def _padding(who: str, padding: Ints) -> tuple[int, int]:
    p = (padding, padding) if isinstance(padding, int) else tuple(padding)
    if len(p) != 2 or min(p) < 0:
        raise ShapeError(f"{who}: padding is a whole number from 0 on, or two of them, got {padding!r}")
    return p[0], p[1]


def _count(size: Size, kernel: int, dilation: int, stride: int) -> Size:
    return quotient(plus(minus(size, dilation * (kernel - 1) + 1), stride), stride)


def _places(count: Size, kernel: Size, dilation: int, stride: int) -> Operand:
    """`i dilation + j stride`, for all i of the kernel and all j of the windows."""
    starts = apply("Mul", counting(count), np.int64(stride))
    rows = Tensor(np.arange(kernel)[:, None] * dilation) if isinstance(kernel, int) else apply(
        "Mul", expand_dims(counting(kernel), 1), np.int64(dilation))
    return apply("Add", rows, starts)
