"""Diagonals and triangles."""

from __future__ import annotations

import numpy as np

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import is_integer
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.indexing import choose
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.rearranging import pad
from symgraph.ops.shape import expand_dims, moveaxis, reshape
from symgraph.ops.sizes import (
    Size,
    as_axis,
    dimension,
    dimensions,
    ints,
    larger,
    minus,
    plus,
    smaller,
    times,
    vector,
)

__all__ = ["diag", "diagflat", "diagonal", "trace", "tril", "triu"]


def counting(count: Size) -> Operand:
    """`0, 1, ..., count - 1` in int64."""
    if isinstance(count, int):
        return Tensor(np.arange(count, dtype=np.int64))
    return apply("Range", np.int64(0), count, np.int64(1))


@method
def diagonal(x: object, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Operand:
    """`y[..., i] = x[..., i, i + offset]`, of the plane of two axes, as the new last axis.

    Errors: `ShapeError` for fewer than two axes, or the same one twice.

    >>> import symgraph as sg
    >>> sg.ops.diagonal([[1, 2], [3, 4]]).tolist()
    [1, 4]
    """
    x = as_operand(x)
    first, second = as_axis(axis1, x.ndim, "diagonal"), as_axis(axis2, x.ndim, "diagonal")
    if first == second:
        raise ShapeError(f"diagonal: needs two different axes, got {axis1} and {axis2}")
    x = moveaxis(x, (first, second), (-2, -1))
    *batch, rows, columns = dimensions(x)
    start: Size = offset if offset >= 0 else times(columns, -offset)
    count = larger(smaller(minus(rows, max(-offset, 0)), minus(columns, max(offset, 0))), 0)
    stop = plus(start, times(count, plus(columns, 1)))
    flat = reshape(x, (*batch, times(rows, columns)))
    if isinstance(count, int) and count == 0:
        start = stop = 0
    return apply("Slice", flat, vector([start]), vector([stop]), ints(x.ndim - 2), vector([plus(columns, 1)]))


@method
def diag(x: object, k: int = 0) -> Operand:
    """The diagonal `k` of a matrix; of a vector, the matrix that has it there and zeros elsewhere.

    Errors: `ShapeError` for other ranks.
    """
    x = as_operand(x)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ShapeError(f"diag: takes a vector or a matrix, got {x.type}")
    size = plus(dimension(x, 0), abs(k))
    places = counting(size)
    is_on = apply("Equal", apply("Add", expand_dims(places, 1), np.int64(k)), places)
    spread = expand_dims(pad(x, (0, abs(k))), 1 if k >= 0 else 0)
    return choose(is_on, spread, Tensor(np.zeros((), np.bool_)))


def diagflat(x: object, k: int = 0) -> Operand:
    """The matrix with all elements of `x` in its diagonal `k`."""
    return diag(reshape(x, (-1,)), k)


@method
def trace(x: object, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Operand:
    """`sum_i x[..., i, i + offset]`, of the plane of two axes; of small integers and booleans in int32."""
    y = diagonal(x, offset, axis1, axis2)
    if y.dtype == "bool" or (is_integer(y.dtype) and y.dtype not in ("int64", "uint32", "uint64")):
        y = cast_to(y, "int32" if not y.dtype.startswith("uint") else "uint32")
    return apply("ReduceSum", y, ints(y.ndim - 1), keepdims=0)


@method
def tril(x: object, k: int = 0) -> Operand:
    """`x` with zeros above its diagonal `k`, for every matrix of the last two axes (ONNX Trilu)."""
    return _triangle(x, k, is_upper=False)


@method
def triu(x: object, k: int = 0) -> Operand:
    """`x` with zeros below its diagonal `k`, for every matrix of the last two axes (ONNX Trilu)."""
    return _triangle(x, k, is_upper=True)


def _triangle(x: object, k: int, *, is_upper: bool) -> Operand:
    x = as_operand(x)
    if x.ndim < 2:
        raise ShapeError(f"{'triu' if is_upper else 'tril'}: needs at least two axes, got {x.type}")
    return apply("Trilu", x, *((np.int64(k),) if k else ()), upper=int(is_upper))
