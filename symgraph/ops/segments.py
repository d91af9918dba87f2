"""Reductions of rows that share a number."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating, is_integer, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.shape import broadcast_to, expand_dims
from symgraph.ops.sizes import Size, as_size, dimensions, ints

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]


def segment_sum(data: object, segment_ids: object, num_segments: object = None, sorted: bool = False) -> Operand:
    """`y[i] = sum of data[j] where segment_ids[j] = i`, along the first axis (ONNX ScatterND).

    Without `num_segments` there are as many as the largest number asks. `sorted` changes nothing.

    Errors: `ShapeError` where `segment_ids` is not one number a row; a number out of range fails when it runs.

    >>> import symgraph as sg
    >>> sg.ops.segment_sum([1, 2, 3], [0, 2, 0], 3).tolist()
    [4, 0, 2]
    """
    return _reduce_segments("segment_sum", "add", data, segment_ids, num_segments)


def segment_prod(data: object, segment_ids: object, num_segments: object = None, sorted: bool = False) -> Operand:
    """The product of the rows of each number, as `segment_sum`; 1 where there are none."""
    return _reduce_segments("segment_prod", "mul", data, segment_ids, num_segments)


def segment_max(data: object, segment_ids: object, num_segments: object = None, sorted: bool = False) -> Operand:
    """The largest of the rows of each number, as `segment_sum`; -inf, or the least integer, where there are none."""
    return _reduce_segments("segment_max", "max", data, segment_ids, num_segments)


def segment_min(data: object, segment_ids: object, num_segments: object = None, sorted: bool = False) -> Operand:
    """The smallest of the rows of each number, as `segment_sum`; inf, or the largest integer, where there are none."""
    return _reduce_segments("segment_min", "min", data, segment_ids, num_segments)


def _reduce_segments(who: str, reduction: str, data: object, segment_ids: object, num_segments: object) -> Operand:
    x, numbers = as_operand(data), as_operand(segment_ids)
    if not is_integer(numbers.dtype):
        raise DtypeError(f"{who}: segment_ids must be whole numbers, got {numbers.dtype}; cast them")
    rows, count = x.shape[:1], numbers.shape[:1]
    if numbers.ndim != 1 or not x.ndim or (
            isinstance(rows[0], int) and isinstance(count[0], int) and rows[0] != count[0]):
        raise ShapeError(f"{who}: needs one number for each row of {x.type}, got {numbers.type}")
    numbers = cast_to(numbers, "int64")
    length = _segment_count(numbers) if num_segments is None else as_size(num_segments, who)
    blank = broadcast_to(Tensor(np.array(_neutral(reduction, x.dtype))), (length, *dimensions(x)[1:]))
    return apply("ScatterND", blank, expand_dims(numbers, 1), x, reduction=reduction)


def _segment_count(numbers: Operand) -> Size:
    largest = apply("ReduceMax", apply("Concat", numbers, ints(-1), axis=0), ints(0), keepdims=0)
    return apply("Add", largest, np.int64(1))


def _neutral(reduction: str, dtype: str) -> Any:
    """What changes nothing when it is combined with another number."""
    kind: Any = numpy_dtype(dtype).type
    if reduction in ("add", "mul"):
        return kind(reduction == "mul")
    sign = -1 if reduction == "max" else 1
    if is_floating(dtype):
        return kind(sign * np.inf)
    limits = np.iinfo(kind)
    return kind(limits.min if reduction == "max" else limits.max)
