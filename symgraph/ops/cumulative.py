"""Running sums, products and maxima, and differences."""

from __future__ import annotations

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.joining import concat
from symgraph.ops.promotion import as_operand, cast_to, promote
from symgraph.ops.shape import ravel, reshape, unchanged
from symgraph.ops.sizes import INT64_MAX, as_axis, dimension, dimensions, ints, vector

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff"]


@method
def cumsum(x: object, axis: int | None = None, dtype: object = None) -> Operand:
    """`y_i = x_0 + ... + x_i` along `axis`; without it, of all elements in one row (ONNX CumSum).

    Booleans and small integers are summed in int32 (uint32 for unsigned ones).

    >>> import symgraph as sg
    >>> sg.ops.cumsum([1, 2, 3]).tolist()
    [1, 3, 6]
    """
    x, axis = _running(x, axis, dtype, "cumsum")
    return apply("CumSum", x, axis)


@method
def cumprod(x: object, axis: int | None = None, dtype: object = None) -> Operand:
    """`y_i = x_0 * ... * x_i` along `axis`; without it, of all elements in one row.

    Booleans and small integers are multiplied in int32 (uint32 for unsigned ones).
    """
    x, axis = _running(x, axis, dtype, "cumprod")
    return _scanned("CumProd", "Mul", x, axis)


@method
def cummax(x: object, axis: int | None = None) -> Operand:
    """`y_i = max(x_0, ..., x_i)` along `axis`; without it, of all elements in one row."""
    x, axis = _running(x, axis, None, "cummax")
    return _scanned("CumMax", "Max", x, axis)


@method
def cummin(x: object, axis: int | None = None) -> Operand:
    """`y_i = min(x_0, ..., x_i)` along `axis`; without it, of all elements in one row."""
    x, axis = _running(x, axis, None, "cummin")
    return _scanned("CumMin", "Min", x, axis)


def _running(x: object, axis: int | None, dtype: object, who: str) -> tuple[Operand, int]:
    x = as_operand(x) if dtype is None else as_operand(as_operand(x), dtype)
    if x.dtype in ("bool", "int8", "int16"):
        x = cast_to(x, "int32")
    elif x.dtype in ("uint8", "uint16"):
        x = cast_to(x, "uint32")
    if axis is None:
        return ravel(x), 0
    return x, as_axis(axis, x.ndim, who)


def _scanned(name: str, op: str, x: Operand, axis: int) -> Operand:
    result: Operand = apply_composite(name, _doubled, x, op=op, axis=axis)
    return result


def _doubled(x: Operand, *, op: str, axis: int) -> Operand:
    """An associative `op` over all beginnings: after step k every element holds itself and the 2^k - 1 before it."""
    from symgraph.ops.loops import while_loop

    size = as_operand(dimension(x, axis), "int64")

    def step(y: Operand, reach: Operand) -> tuple[Operand, Operand]:
        cut = vector([reach])
        head = apply("Slice", y, ints(0), cut, ints(axis))
        late = apply("Slice", y, cut, ints(INT64_MAX), ints(axis))
        early = apply("Slice", y, ints(0), apply("Sub", vector([size]), cut), ints(axis))
        return reshape(concat([head, apply(op, early, late)], axis=axis), dimensions(x)), apply("Add", reach, reach)

    start = apply("Identity", Tensor(np.array(1, np.int64)))
    y, _ = while_loop(lambda y, reach: apply("Less", reach, size), step, (x, start))
    return y  # type: ignore[no-any-return]


@method
def diff(a: object, n: int = 1, axis: int = -1) -> Operand:
    """`y_i = x_{i+1} - x_i` along `axis`, `n` times over; of booleans, whether they differ.

    Errors: `ShapeError` for a scalar or a negative `n`.
    """
    x = as_operand(a)
    axis = as_axis(axis, x.ndim, "diff")
    if n < 0:
        raise ShapeError(f"diff: n counts from 0, got {n}")
    for _ in range(n):
        late, early = promote(apply("Slice", x, ints(1), ints(INT64_MAX), ints(axis)),
                              apply("Slice", x, ints(0), ints(-1), ints(axis)))
        x = apply("Xor" if x.dtype == "bool" else "Sub", late, early)
    return unchanged(x)
