"""Reductions: sums, products, extremes, means, and questions about all elements.

`axis` is None for all axes, an int or a tuple of ints; `keepdims` keeps reduced axes with size 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import ShapeError
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.types import ELEM_TYPES, TensorType, as_dtype, is_floating
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import maximum, minimum, multiply, true_divide
from symgraph.ops.promotion import as_operand, cast_to, promote, promote_to_float

__all__ = ["all", "amax", "amin", "any", "argmax", "argmin", "average", "count_nonzero", "logsumexp", "max", "mean",
           "min", "prod", "ptp", "sum"]

Axis = int | Iterable[int] | None


def axes_of(x: Operand, axis: Axis) -> tuple[int, ...]:
    """The axes that `axis` names, counted from the front; all for None.

    Errors: `ShapeError` for an axis that `x` does not have, or one named twice.
    """
    rank = x.ndim
    if axis is None:
        return tuple(range(rank))
    given = given_axes(axis)
    for number in given:
        if not -rank <= number < rank:
            raise ShapeError(f"axis {number} is not among the {rank} axes of {x.type}")
    found = tuple(int(number) % rank for number in given)
    if len(set(found)) != len(found):
        raise ShapeError(f"axes {given} of {x.type} name an axis twice")
    return found


def given_axes(axis: int | Iterable[int]) -> tuple[int, ...]:
    """The axes that `axis` names, as they were given."""
    return (int(axis),) if isinstance(axis, int | np.integer) else tuple(map(int, axis))


def reduce(op: str, x: Operand, axis: Axis, *, keepdims: bool) -> Operand:
    """Apply an ONNX reduction over `axis`."""
    if axis is None:
        return apply(op, x, keepdims=int(keepdims))
    axes = given_axes(axis) if x.type is None else axes_of(x, axis)
    return apply(op, x, Tensor(np.array(axes, np.int64)), keepdims=int(keepdims)) if axes else x


def _summand(x: object, dtype: object = None) -> Operand:
    """`x` in the dtype it is summed in: booleans and small integers as 32 bits."""
    x = as_operand(x)
    if dtype is not None:
        return cast_to(x, as_dtype(dtype))
    if not isinstance(x.type, TensorType):
        return x
    wide = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}
    return cast_to(x, wide.get(x.dtype, x.dtype))


@method
def sum(x: object, axis: Axis = None, keepdims: bool = False, dtype: object = None) -> Operand:
    """`Σ x` over `axis`; 0 where there is nothing. Booleans count as int32 (ONNX ReduceSum).

    >>> import symgraph as sg
    >>> sg.ops.sum([[1, 2], [3, 4]], axis=0).tolist(), int(sg.ops.sum([True, True]))
    ([4, 6], 2)
    """
    return reduce("ReduceSum", _summand(x, dtype), axis, keepdims=keepdims)


@method
def prod(x: object, axis: Axis = None, keepdims: bool = False, dtype: object = None) -> Operand:
    """`Π x` over `axis`; 1 where there is nothing (ONNX ReduceProd)."""
    return reduce("ReduceProd", _summand(x, dtype), axis, keepdims=keepdims)


@method
def mean(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`Σ x / n` over `axis`; integers as float32; NaN where there is known to be nothing (ONNX ReduceMean)."""
    (x,) = promote_to_float(x)
    if _is_empty(x, axis):
        return true_divide(sum(x, axis, keepdims), 0.0)
    return reduce("ReduceMean", x, axis, keepdims=keepdims)


@method
def average(x: object, axis: Axis = None, weights: object = None) -> Operand:
    """`Σ w x / Σ w` over `axis`; `weights` of one dimension belong to the one axis given.

    Errors: `ShapeError` where the weights do not fit.
    """
    if weights is None:
        return mean(x, axis)
    x, w = promote_to_float(x, weights)
    if w.ndim != x.ndim:
        if w.ndim != 1 or not isinstance(axis, int):
            raise ShapeError(f"average: weights {w.type} need the shape of {x.type}, or one dimension and one axis")
        shape = [1] * x.ndim
        shape[axis] = -1
        w = apply("Reshape", w, np.array(shape, np.int64))
        total = sum(w)
    else:
        total = sum(w, axis)
    return true_divide(sum(multiply(x, w), axis), total)


def _is_empty(x: Operand, axis: Axis) -> bool:
    """Whether nothing is known to be there to reduce."""
    return x.type is not None and 0 in [x.shape[i] for i in axes_of(x, axis) if isinstance(x.shape[i], int)]


def refuse_empty(who: str, x: Operand, axis: Axis) -> None:
    """Raise where nothing is known to be there to choose from.

    Errors: `ShapeError`.
    """
    if _is_empty(x, axis):
        along = "any axis" if axis is None else f"axis {axis}"
        raise ShapeError(f"{who}: {x.type} has nothing along {along}, so there is no element to give")


def _extreme(who: str, x: object, axis: Axis, *, keepdims: bool, initial: object) -> Operand:
    x = as_operand(x)
    if initial is not None:
        x, bound = promote(x, initial)
    if x.type is None:
        return reduce(f"Reduce{who}", x, axis, keepdims=keepdims)
    if initial is None:
        refuse_empty(who.lower(), x, axis)
    if _is_empty(x, axis):  # the reduction of nothing differs between versions of ONNX Runtime, a sum does not
        return apply("Add", reduce("ReduceSum", x, axis, keepdims=keepdims), bound)
    if is_floating(x.dtype):
        result = _propagating(who, x, axis, keepdims)
    else:
        result = _from_signed(reduce(f"Reduce{who}", _as_signed(x), axis, keepdims=keepdims), x.dtype)
    if initial is None:
        return result
    return (maximum if who == "Max" else minimum)(result, bound)


_TOP_BIT = np.int64(-(2**63))


def _as_signed(x: Operand) -> Operand:
    """Integers of the same order in a dtype that ONNX's extremes take: 16 bits as int32, uint64 turned to int64."""
    if x.dtype == "uint64":
        return apply("BitwiseXor", cast_to(x, "int64"), _TOP_BIT)
    return cast_to(x, "int32") if x.dtype in ("int16", "uint16", "bool") else x


def _from_signed(x: Operand, dtype: str) -> Operand:
    return cast_to(apply("BitwiseXor", x, _TOP_BIT) if dtype == "uint64" else x, dtype)


def _propagating(who: str, x: Operand, axis: Axis, keepdims: bool) -> Operand:
    """The ONNX reduction drops or keeps NaN as the memory lies; here NaN always wins, as in NumPy."""
    axes = axes_of(x, axis)
    if not axes:
        return x
    return cast(Operand, apply_composite(who, _with_nan, x, op=f"Reduce{who}", axes=axes, keepdims=int(keepdims)))


def _with_nan(x: Operand, op: str, axes: tuple[int, ...], keepdims: int) -> Operand:
    where = Tensor(np.array(axes, np.int64))
    has_nan = apply("ReduceMax", apply("Cast", apply("IsNaN", x), to=ELEM_TYPES["uint8"]), where, keepdims=keepdims)
    extreme = apply(op, x, where, keepdims=keepdims)
    return apply("Where", cast_to(has_nan, "bool"), as_operand(float("nan"), x.dtype), extreme)


@method
def max(x: object, axis: Axis = None, keepdims: bool = False, initial: object = None) -> Operand:
    """The largest element over `axis`, at least `initial`; NaN where there is one (ONNX ReduceMax).

    Errors: `ShapeError` where there is nothing and no `initial`.
    """
    return _extreme("Max", x, axis, keepdims=keepdims, initial=initial)


@method
def min(x: object, axis: Axis = None, keepdims: bool = False, initial: object = None) -> Operand:
    """The smallest element over `axis`, at most `initial`; NaN where there is one (ONNX ReduceMin).

    Errors: `ShapeError` where there is nothing and no `initial`.
    """
    return _extreme("Min", x, axis, keepdims=keepdims, initial=initial)


@method
def ptp(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`max - min` over `axis`."""
    x = as_operand(x)
    return apply("Sub", max(x, axis, keepdims), min(x, axis, keepdims))


@method
def any(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """Whether any element over `axis` is not 0; false where there is nothing."""
    x = cast_to(as_operand(x), "bool")
    return cast(Operand, apply_composite("Any", _any, x, axes=axes_of(x, axis), keepdims=int(keepdims)))


def _any(x: Operand, axes: tuple[int, ...], keepdims: int) -> Operand:
    """By a sum, because ReduceMax fails where there is nothing."""
    count = reduce("ReduceSum", cast_to(x, "int32"), axes, keepdims=bool(keepdims))
    return cast_to(count, "bool")


@method
def all(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """Whether all elements over `axis` are not 0; true where there is nothing."""
    x = cast_to(as_operand(x), "bool")
    return cast(Operand, apply_composite("All", _all, x, axes=axes_of(x, axis), keepdims=int(keepdims)))


def _all(x: Operand, axes: tuple[int, ...], keepdims: int) -> Operand:
    return apply("Not", _any(apply("Not", x), axes, keepdims))


@method
def count_nonzero(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """How many elements over `axis` are not 0, as int32."""
    return sum(cast_to(as_operand(x), "bool"), axis, keepdims)


@method
def argmax(x: object, axis: int | None = None, keepdims: bool = False) -> Operand:
    """The int32 position of the first largest element along `axis`, of all elements where it is None (ONNX ArgMax).

    What NaN does is left to ONNX Runtime.

    Errors: `ShapeError` where there is nothing.
    """
    return _position("ArgMax", x, axis, keepdims=keepdims)


@method
def argmin(x: object, axis: int | None = None, keepdims: bool = False) -> Operand:
    """The int32 position of the first smallest element along `axis`, of all elements where it is None (ONNX ArgMin).

    What NaN does is left to ONNX Runtime.

    Errors: `ShapeError` where there is nothing.
    """
    return _position("ArgMin", x, axis, keepdims=keepdims)


def _position(op: str, x: object, axis: int | None, *, keepdims: bool) -> Operand:
    x = as_operand(x)
    refuse_empty(op.lower(), x, axis)
    source = _as_signed(x)
    if axis is not None:
        (axis,) = axes_of(source, axis)
        return cast_to(apply(op, source, axis=axis, keepdims=int(keepdims)), "int32")
    flat = apply("Reshape", source, np.array([-1], np.int64))
    position = cast_to(apply(op, flat, axis=0, keepdims=0), "int32")
    return apply("Reshape", position, np.ones(x.ndim, np.int64)) if keepdims else position


@method
def logsumexp(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`ln Σ eˣ` over `axis` without overflow on the way (ONNX ReduceLogSumExp)."""
    (x,) = promote_to_float(x)
    return reduce("ReduceLogSumExp", x, axis, keepdims=keepdims)


amax, amin = max, min
METHODS.update(amax=amax, amin=amin)
