"""Sorting, searching in what is sorted, and counting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import is_floating, is_integer
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.creation import linspace
from symgraph.ops.getitem import getitem
from symgraph.ops.indexing import choose
from symgraph.ops.promotion import as_operand, cast_to, promote
from symgraph.ops.shape import expand_dims, ravel
from symgraph.ops.sizes import Size, as_axis, as_size, dimension, ints, vector

__all__ = [
    "argpartition", "argsort", "bincount", "digitize", "histogram", "in_top_k", "isin", "searchsorted", "sort", "top_k",
    "unique",
]


def _ordered(x: Operand, axis: int, *, descending: bool = False) -> tuple[Operand, Operand]:
    """Sorted values and int64 places; equal ones stay in order (ONNX TopK)."""
    key = cast_to(x, "int32") if x.dtype == "bool" else x
    values, places = apply_many("TopK", key, vector([dimension(x, axis)]), axis=axis, largest=int(descending),
                                outputs=2)
    return (cast_to(values, "bool") if x.dtype == "bool" else values), places


def _without_nan(x: Operand) -> tuple[Operand, Operand | None]:
    """`x` with infinity for NaN, which TopK does not order, and where that was."""
    if not is_floating(x.dtype):
        return x, None
    is_nan = apply("IsNaN", x)
    return choose(is_nan, float("inf"), x), is_nan


@method
def sort(x: object, axis: int | None = -1) -> Operand:
    """The elements in ascending order along `axis` (None: all in one row); NaN come last (ONNX TopK).

    >>> import symgraph as sg
    >>> sg.ops.sort([3, 1, 2]).tolist()
    [1, 2, 3]
    """
    x, axis = _row(x, axis, "sort")
    key, is_nan = _without_nan(x)
    values, _ = _ordered(key, axis)
    if is_nan is None:
        return values
    _, later = _ordered(cast_to(is_nan, "int32"), axis)
    return choose(apply("GatherElements", is_nan, later, axis=axis), float("nan"), values)


@method
def argsort(x: object, axis: int | None = -1) -> Operand:
    """The int32 places in which the elements of `x` are ascending along `axis`; stable, NaN come last (ONNX TopK)."""
    x, axis = _row(x, axis, "argsort")
    key, is_nan = _without_nan(x)
    _, places = _ordered(key, axis)
    if is_nan is not None:
        ordered = cast_to(apply("GatherElements", is_nan, places, axis=axis), "int32")
        places = apply("GatherElements", places, _ordered(ordered, axis)[1], axis=axis)
    return cast_to(places, "int32")


def argpartition(x: object, kth: int, axis: int = -1) -> Operand:
    """The places of the elements in an order in which place `kth` is as if sorted, smaller ones before it; int32.

    All are sorted, which is such an order.
    """
    x = as_operand(x)
    size = x.shape[as_axis(axis, x.ndim, "argpartition")]
    if isinstance(size, int) and not -size <= kth < size:
        raise ShapeError(f"argpartition: there is no place {kth} along axis {axis} of {x.type}")
    return argsort(x, axis)


def _row(x: object, axis: int | None, who: str) -> tuple[Operand, int]:
    x = as_operand(x)
    if axis is None:
        return ravel(x), 0
    return x, as_axis(axis, x.ndim, who)


@method
def top_k(x: object, k: object, sorted: bool = True) -> tuple[Operand, Operand]:
    """The `k` largest elements along the last axis, and their int32 places (ONNX TopK).

    Of equal ones the first come first. `x` must not hold NaN.

    Errors: `ShapeError` for a scalar, or a `k` known to be larger than the axis.

    >>> import symgraph as sg
    >>> [y.tolist() for y in sg.ops.top_k([1, 4, 3], 2)]
    [[4, 3], [1, 2]]
    """
    x = as_operand(x)
    axis = as_axis(-1, x.ndim, "top_k")
    count: Size = as_size(k, "top_k")
    have = x.shape[axis]
    if isinstance(count, int) and (count < 0 or (isinstance(have, int) and count > have)):
        raise ShapeError(f"top_k: the last axis of {x.type} does not have {count} elements")
    key = cast_to(x, "int32") if x.dtype == "bool" else x
    values, places = apply_many("TopK", key, vector([count]), axis=axis, sorted=int(sorted), outputs=2)
    return cast_to(values, x.dtype), cast_to(places, "int32")


def in_top_k(targets: object, predictions: object, k: int) -> Operand:
    """Whether fewer than `k` scores of a row of `predictions` are above that of its target: `[N], [N, C] -> [N]`.

    A score that is not finite is never in.
    """
    place, scores = as_operand(targets), as_operand(predictions)
    if not is_integer(place.dtype) or place.ndim != scores.ndim - 1:
        raise ShapeError(f"in_top_k: needs whole numbers [N] and scores [N, C], got {place.type} and {scores.type}")
    own = apply("GatherElements", scores, expand_dims(cast_to(place, "int64"), -1), axis=-1)
    above = apply("ReduceSum", cast_to(apply("Greater", scores, own), "int64"), ints(scores.ndim - 1), keepdims=0)
    number = apply("Squeeze", own, ints(-1))
    is_finite = apply("Not", apply("Or", apply("IsNaN", number), apply("IsInf", number)))
    return apply("And", apply("Less", above, np.int64(k)), is_finite)


def searchsorted(sorted_sequence: object, values: object, side: str = "left") -> Operand:
    """How many elements of a sorted vector are below each value ("left"), or not above it ("right"); int32.

    Every value is compared with every element: made for short vectors, as of bins.

    Errors: `ShapeError` where `sorted_sequence` is not a vector or `side` is another word.
    """
    edges, x = promote(sorted_sequence, values)
    if edges.ndim != 1:
        raise ShapeError(f"searchsorted: the sorted sequence must be a vector, got {edges.type}")
    if side not in ("left", "right"):
        raise ShapeError(f"searchsorted: side is 'left' or 'right', got {side!r}")
    if x.dtype == "bool":
        edges, x = cast_to(edges, "int32"), cast_to(x, "int32")
    is_passed = apply("Less" if side == "left" else "LessOrEqual", edges, expand_dims(x, x.ndim))
    return apply("ReduceSum", cast_to(is_passed, "int32"), ints(x.ndim), keepdims=0)


def digitize(x: object, bins: object) -> Operand:
    """The int32 number of the bin each value falls in: `bins[i - 1] <= x < bins[i]`, for ascending `bins`."""
    return searchsorted(bins, x, side="right")


def bincount(x: object, weights: object = None, minlength: int = 0, sparse: bool = False) -> Operand:
    """How often each number from 0 on occurs in the vector `x`, or the sum of the `weights` there.

    By ONNX ScatterElements. The result is int32, or of the weights' dtype, and as long as the largest number
    asks, at least `minlength`.

    Errors: `DtypeError` for an `x` that is not of integers; `ShapeError` where it is not a vector.
    """
    numbers = as_operand(x)
    if sparse:
        raise DtypeError("bincount: symgraph has no sparse tensors; leave sparse= out")
    if not is_integer(numbers.dtype):
        raise DtypeError(f"bincount: counts whole numbers, got {numbers.dtype}; cast them")
    if numbers.ndim != 1:
        raise ShapeError(f"bincount: takes a vector, got {numbers.type}")
    numbers = cast_to(numbers, "int64")
    added = as_operand(weights) if weights is not None else apply(
        "ConstantOfShape", vector([dimension(numbers, 0)]), value=np.ones(1, np.int32))
    with_minimum = apply("Concat", numbers, ints(minlength - 1), axis=0)
    length = apply("Add", apply("ReduceMax", with_minimum, ints(0), keepdims=1), np.int64(1))
    blank = apply("Expand", cast_to(Tensor(np.zeros((), np.int32)), added.dtype), length)
    return apply("ScatterElements", blank, numbers, added, axis=0, reduction="add")


def histogram(x: object, bins: int = 10, range: Sequence[float] | None = None) -> tuple[Operand, Operand]:
    """How many elements of `x` fall in each of `bins` bins of equal width (int32), and the `bins + 1` edges.

    The bins reach from the least to the largest element, or over `range`; the last one holds its upper edge.
    Every element is compared with every edge.

    Errors: `ShapeError` for no bins, or a `range` that does not ascend.

    >>> import symgraph as sg
    >>> [y.tolist() for y in sg.ops.histogram([1.0, 2.0, 1.5, 3.0], bins=2)]
    [[2, 2], [1.0, 2.0, 3.0]]
    """
    x = ravel(x)
    x = x if is_floating(x.dtype) else cast_to(x, "float32")
    if bins < 1 or (range is not None and not range[0] <= range[1]):
        raise ShapeError(f"histogram: needs at least one bin and a range that ascends, got {bins} and {range}")
    low, high = (as_operand(float(end), x.dtype) for end in range) if range is not None else (
        apply(op, x, ints(0), keepdims=0) for op in ("ReduceMin", "ReduceMax"))
    half = apply("Where", apply("Equal", low, high), as_operand(0.5, x.dtype), as_operand(0.0, x.dtype))
    edges = linspace(apply("Sub", low, half), apply("Add", high, half), bins + 1, dtype=x.dtype)
    assert isinstance(edges, Operand)
    rows = expand_dims(x, 1)
    is_below = apply("Less", rows, getitem(edges, slice(None, -1)))
    is_outside = apply("Greater", rows, getitem(edges, slice(-1, None)))
    passed = [apply("ReduceSum", cast_to(y, "int32"), ints(0), keepdims=0) for y in (is_below, is_outside)]
    below = apply("Concat", passed[0], apply("Sub", cast_to(vector([dimension(x, 0)]), "int32"), passed[1]), axis=0)
    counts = apply("Sub", getitem(below, slice(1, None)), getitem(below, slice(None, -1)))
    return counts, edges


def isin(x1: object, x2: object, assume_unique: bool = False, invert: bool = False) -> Operand:
    """Which elements of `x1` are among those of `x2`, or with `invert` are not; all are compared with all.

    >>> import symgraph as sg
    >>> sg.ops.isin([1, 2, 3], [3, 1]).tolist()
    [True, False, True]
    """
    x, y = promote(x1, x2)
    is_same = apply("Equal", expand_dims(x, x.ndim), ravel(y))
    count = apply("ReduceSum", cast_to(is_same, "int32"), ints(x.ndim), keepdims=0)
    return apply("Equal" if invert else "Greater", count, np.int32(0))


def unique(x: object, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None) -> Operand | tuple[Operand, ...]:
    """The different elements (or slices along `axis`) in ascending order (ONNX Unique).

    Also, where asked for, the int64 places of their first occurrence, their number for every element, and how
    often each occurs. How many there are is an open dimension of a symbol.
    """
    x = as_operand(x)
    wanted = (True, return_index, return_inverse, return_counts)
    dtype = x.dtype
    if dtype == "bool" or dtype == "int32":
        x = cast_to(x, "int64")
    last = max(i for i, w in enumerate(wanted) if w)
    attributes = {} if axis is None else {"axis": as_axis(axis, x.ndim, "unique")}
    found: Any = apply_op("Unique", x, outputs=wanted[:last + 1], **attributes)
    results = tuple(y for y in (found if isinstance(found, tuple) else (found,)) if y is not None)
    results = (cast_to(results[0], dtype), *results[1:])
    return results if len(results) > 1 else cast(Operand, results[0])
