"""Attention of many heads, as products of matrices that ONNX Runtime and our passes know."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.core.types import promote_dtypes
from symgraph.ops.activations import softmax
from symgraph.ops.arithmetic import add, multiply
from symgraph.ops.indexing import where
from symgraph.ops.linalg import matmul
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.shape import expand_dims, reshape, shape, transpose
from symgraph.ops.sizes import dimension, product

__all__ = ["attend"]

LOWEST = float(np.float64(np.finfo(np.float32).min) * 0.7)
"""What is added to the scores of keys that count for nothing. It swallows any score: a row of nothing is uniform."""


def attend(query: Operand, key: Operand, value: Operand, axes: Sequence[int], mask: Operand | None = None, *,
           is_zeroed: bool = False, drop: Callable[[Operand], Operand] | None = None) -> tuple[Operand, Operand]:
    """`softmax(query keyᵀ / sqrt(size)) value` along `axes`, and the weights. In half precision the softmax is float32.

    `query`, `key` and `value` are (batch, ..., heads, size). Where `key` and `value` have fewer heads, each serves
    neighbouring heads of `query`. The result is like `query`, of the size of `value`. The weights have the axes that
    are not among `axes`, the heads, `axes` of the queries, then those of the keys. The boolean `mask` is like them, or
    lacks axes before the last ones. A query without a key takes the mean of the values, or 0 where `is_zeroed`. `drop`
    is applied to the weights.
    """
    rank, count = query.ndim, len(axes)
    lead = (*(i for i in range(rank - 2) if i not in axes), rank - 2)
    n = len(lead)
    q = multiply(_merge(transpose(query, (*lead, *axes, rank - 1)), n, count), 1 / math.sqrt(_size(query, -1)))
    k = _merge(transpose(key, (*lead, rank - 1, *axes)), n + 1, count)
    v = _merge(transpose(value, (*lead, *axes, rank - 1)), n, count)
    heads, groups = _size(query, -2), _size(key, -2)
    if heads != groups:
        q = _regroup(q, n, groups)
    scores = matmul(q, k)
    if heads != groups or count > 1:
        rows, columns = ([dimension(x, axis) for axis in axes] for x in (query, key))
        scores = reshape(scores, (*shape(scores)[:n - 1], heads, *rows, *columns))
    weights = _masked_softmax(scores, mask, count, is_zeroed=is_zeroed)
    mixing = _merge(_merge(weights if drop is None else drop(weights), n, count), n + 1, count)
    mixed = matmul(mixing if heads == groups else _regroup(mixing, n, groups), v)
    if heads != groups or count > 1:
        mixed = reshape(mixed, (*shape(mixed)[:n - 1], heads, *rows, _size(value, -1)))
    order = (*lead, *axes, rank - 1)
    return transpose(mixed, [order.index(i) for i in range(rank)]), weights


def _masked_softmax(scores: Operand, mask: Operand | None, count: int, *, is_zeroed: bool) -> Operand:
    """The softmax along the last `count` axes, of what the mask leaves."""
    x = cast_to(scores, promote_dtypes(scores.dtype, "float32"))
    if mask is not None:
        missing = scores.ndim - mask.ndim
        mask = expand_dims(mask, tuple(range(mask.ndim - 2 * count, mask.ndim - 2 * count + missing)))
        x = add(x, where(mask, as_operand(0.0, x.dtype), as_operand(LOWEST, x.dtype)))
    y = x
    if count > 1:
        y = reshape(softmax(_merge(x, x.ndim - count, count)), shape(x))
    else:
        y = softmax(x)
    if mask is not None and is_zeroed:
        y = multiply(y, cast_to(mask, y.dtype))
    return cast_to(y, scores.dtype)


def _merge(x: Operand, first: int, count: int) -> Operand:
    """`count` axes from `first` on made one."""
    if count == 1:
        return x
    sizes = shape(x)
    return reshape(x, (*sizes[:first], product(sizes[first:first + count]), *sizes[first + count:]))


def _regroup(x: Operand, n: int, groups: int) -> Operand:
    """(..., heads, rows, columns), the heads the last of `n` axes, the rows of neighbouring heads one under another.

    So all queries that share keys are one matrix.
    """
    sizes = shape(x)
    return reshape(x, (*sizes[:n - 1], groups, product([_size(x, n - 1) // groups, sizes[n]]), *sizes[n + 1:]))


def _size(x: Operand, axis: int) -> int:
    size = x.shape[axis]
    assert isinstance(size, int)
    return size
