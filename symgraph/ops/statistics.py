"""Variance, order statistics, and the reductions that pass over NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.errors import OpError
from symgraph.core.gradient import gradient_of
from symgraph.core.tensor import Operand, method
from symgraph.core.types import ELEM_TYPES, is_floating
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.cumulative import cumprod, cumsum
from symgraph.ops.powers import sqrt
from symgraph.ops.promotion import as_operand, cast_to, promote_to_float
from symgraph.ops.reductions import Axis, argmax, argmin, axes_of, max, mean, min, prod, reduce, refuse_empty, sum

__all__ = [
    "median", "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "percentile", "quantile", "std",
    "var",
]


@method
def var(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`mean((x - mean(x))²)` over `axis`; integers as float32."""
    (x,) = promote_to_float(x)
    return cast(Operand, apply_composite("Variance", _var, x, axes=axes_of(x, axis), keepdims=int(keepdims)))


def _var(x: Operand, axes: tuple[int, ...], keepdims: int) -> Operand:
    centred = apply("Sub", x, mean(x, axes, keepdims=True))
    return mean(apply("Mul", centred, centred), axes, bool(keepdims))


@method
def std(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """The square root of `var`; of equal elements its gradient is 0."""
    return _deviation(var(x, axis, keepdims))


def _deviation(variance: Operand) -> Operand:
    return cast(Operand, apply_composite("Deviation", sqrt, variance))


@gradient_of("Deviation", domain=DOMAIN)
def _deviation_gradient(dy: Operand, y: Operand, variance: Operand) -> Operand:
    """`dy / 2√v`, and 0 at 0, whose infinity times the zeros of the variance's gradient would be NaN."""
    is_zero = apply("Equal", variance, 0)
    return apply("Where", is_zero, 0, dy * 0.5 / apply("Where", is_zero, 1, y))


@method
def quantile(x: object, q: object, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Operand:
    """The values below which the fractions `q` of the elements over `axis` lie; NaN where there is one.

    Between two elements, `method` is "linear", "lower", "higher", "nearest" or "midpoint". Where `q` is a list,
    the first dimension of the result is its.

    >>> import symgraph as sg
    >>> float(sg.ops.quantile([1.0, 2.0, 4.0], 0.75))
    3.0
    """
    return _quantile("Quantile", x, q, axis, method, keepdims, skip=False)


@method
def nanquantile(x: object, q: object, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Operand:
    """`quantile` of the elements that are not NaN; NaN where all are."""
    return _quantile("NanQuantile", x, q, axis, method, keepdims, skip=True)


@method
def percentile(x: object, q: object, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Operand:
    """`quantile` with `q` in percent."""
    return quantile(x, _percent(q), axis, method, keepdims)


@method
def nanpercentile(x: object, q: object, axis: Axis = None, method: str = "linear", keepdims: bool = False) -> Operand:
    """`nanquantile` with `q` in percent."""
    return nanquantile(x, _percent(q), axis, method, keepdims)


@method
def median(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """The middle element over `axis`, or the mean of the two in the middle; NaN where there is one."""
    return quantile(x, 0.5, axis, keepdims=keepdims)


@method
def nanmedian(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`median` of the elements that are not NaN; NaN where all are."""
    return nanquantile(x, 0.5, axis, keepdims=keepdims)


def _percent(q: object) -> object:
    if isinstance(q, Operand) and not isinstance(q, Tensor):
        return apply("Div", *promote_to_float(q), 100.0)
    return np.asarray(q.numpy() if isinstance(q, Tensor) else q, np.float64) / 100.0


METHODS_BETWEEN = ("linear", "lower", "higher", "nearest", "midpoint")


def _quantile(name: str, x: object, q: object, axis: Axis, method: str, keepdims: bool, *, skip: bool) -> Operand:
    if method not in METHODS_BETWEEN:
        raise OpError(f"quantile: no method {method!r} between two elements; there are: {', '.join(METHODS_BETWEEN)}")
    (x,) = promote_to_float(x)
    fractions = q if isinstance(q, Operand) else Tensor(np.array(q, np.float64))
    if isinstance(fractions, Tensor) and fractions.size and (
            fractions.numpy().min() < 0 or fractions.numpy().max() > 1):
        raise OpError(f"quantile: q must lie between 0 and 1, got {fractions.tolist()}")
    fractions = apply("Cast", fractions, to=ELEM_TYPES[x.dtype])
    return cast(Operand, apply_composite(
        name, _sorted_quantile, x, fractions, axes=axes_of(x, axis), method=method, keepdims=int(keepdims),
        skip=int(skip)))


def _sorted_quantile(
        x: Operand, q: Operand, axes: tuple[int, ...], method: str, keepdims: int, skip: int) -> Operand:
    rank, kept = x.ndim, [i for i in range(x.ndim) if i not in axes]
    kept_shape = apply("Gather", apply("Shape", x), np.array(kept, np.int64))
    rows = apply("Reshape", apply("Transpose", x, perm=[*kept, *axes]) if rank else x,
                 apply("Concat", kept_shape, np.array([-1], np.int64), axis=0))
    is_nan = apply("IsNaN", rows)
    present = apply("Where", is_nan, as_operand(np.inf, x.dtype), rows)
    width = apply("Shape", rows, start=len(kept), end=len(kept) + 1)
    ordered, _ = apply_many("TopK", present, width, outputs=2, axis=-1, largest=0)
    nans = apply("ReduceSum", apply("Cast", is_nan, to=ELEM_TYPES["int64"]), np.array([-1], np.int64))
    count = apply("Sub", width, nans) if skip else apply("Add", apply("Mul", nans, np.int64(0)), width)
    columns = apply("Reshape", q, np.array([1] * len(kept) + [-1], np.int64))
    last = apply("Max", apply("Sub", count, np.int64(1)), np.int64(0))
    place = apply("Mul", columns, apply("Cast", last, to=ELEM_TYPES[x.dtype]))
    picked = _between(ordered, place, method)
    lost = apply("Equal", count, np.int64(0)) if skip else apply("Greater", nans, np.int64(0))
    result = apply("Where", lost, as_operand(np.nan, x.dtype), picked)
    front = apply("Transpose", result, perm=[len(kept), *range(len(kept))])
    dims = apply("Shape", x)
    if keepdims:
        ones = [1 if i in axes else 0 for i in range(rank)]
        dims = apply("Where", np.array(ones, bool), np.int64(1), dims) if rank else dims
    else:
        dims = kept_shape
    return apply("Reshape", front, apply("Concat", apply("Shape", q), dims, axis=0))


def _between(ordered: Operand, place: Operand, method: str) -> Operand:
    lower, upper = apply("Floor", place), apply("Ceil", place)
    if method == "nearest":
        return _pick(ordered, apply("Round", place))
    if method == "lower":
        return _pick(ordered, lower)
    if method == "higher":
        return _pick(ordered, upper)
    low, high = _pick(ordered, lower), _pick(ordered, upper)
    if method == "midpoint":
        is_between = apply("Cast", apply("Not", apply("Equal", lower, upper)), to=ELEM_TYPES[place.dtype])
        weight = apply("Mul", is_between, as_operand(0.5, place.dtype))
    else:
        weight = apply("Sub", place, lower)
    is_same = apply("And", apply("Equal", low, high), apply("IsInf", low))  # infinities have no difference
    step = apply("Sub", apply("Where", is_same, as_operand(0.0, place.dtype), high),
                 apply("Where", is_same, as_operand(0.0, place.dtype), low))
    return apply("Add", low, apply("Mul", step, weight))


def _pick(ordered: Operand, place: Operand) -> Operand:
    return apply("GatherElements", ordered, apply("Cast", place, to=ELEM_TYPES["int64"]), axis=-1)


def _fill(x: object, number: float) -> Operand:
    """`x` with a number for NaN."""
    x = as_operand(x)
    if not is_floating(x.dtype):
        return x
    return apply("Where", apply("IsNaN", x), as_operand(number, x.dtype), x)


@method
def nansum(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`sum` of the elements that are not NaN."""
    return sum(_fill(x, 0.0), axis, keepdims)


@method
def nanprod(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`prod` of the elements that are not NaN."""
    return prod(_fill(x, 1.0), axis, keepdims)


@method
def nancumsum(x: object, axis: int | None = None) -> Operand:
    """`cumsum` with NaN counted as 0."""
    return cumsum(_fill(x, 0.0), axis)


@method
def nancumprod(x: object, axis: int | None = None) -> Operand:
    """`cumprod` with NaN counted as 1."""
    return cumprod(_fill(x, 1.0), axis)


@method
def nanmean(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`mean` of the elements that are not NaN; NaN where all are."""
    (x,) = promote_to_float(x)
    return cast(Operand, apply_composite("NanMean", _nanmean, x, axes=axes_of(x, axis), keepdims=int(keepdims)))


def _nanmean(x: Operand, axes: tuple[int, ...], keepdims: int) -> Operand:
    return _mean_where(apply("Not", apply("IsNaN", x)), x, axes, keepdims)


def _mean_where(is_present: Operand, x: Operand, axes: tuple[int, ...], keepdims: int) -> Operand:
    """The mean of the elements of `x` that are present; NaN where none is."""
    count = reduce("ReduceSum", cast_to(is_present, x.dtype), axes, keepdims=bool(keepdims))
    present = apply("Where", is_present, x, as_operand(0.0, x.dtype))
    return apply("Div", reduce("ReduceSum", present, axes, keepdims=bool(keepdims)), count)


@method
def nanvar(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`var` of the elements that are not NaN; NaN where all are."""
    (x,) = promote_to_float(x)
    return cast(Operand, apply_composite("NanVariance", _nanvar, x, axes=axes_of(x, axis), keepdims=int(keepdims)))


def _nanvar(x: Operand, axes: tuple[int, ...], keepdims: int) -> Operand:
    is_present = apply("Not", apply("IsNaN", x))
    centred = apply("Sub", x, _mean_where(is_present, x, axes, 1))
    safe = apply("Where", is_present, centred, as_operand(0.0, x.dtype))  # NaN times a gradient of 0 would be NaN
    return _mean_where(is_present, apply("Mul", safe, safe), axes, keepdims)


@method
def nanstd(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """The square root of `nanvar`; of equal elements its gradient is 0."""
    return _deviation(nanvar(x, axis, keepdims))


@method
def nanmax(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`max` of the elements that are not NaN; NaN where all are."""
    return _nan_extreme("NanMax", max, -np.inf, x, axis, keepdims=keepdims)


@method
def nanmin(x: object, axis: Axis = None, keepdims: bool = False) -> Operand:
    """`min` of the elements that are not NaN; NaN where all are."""
    return _nan_extreme("NanMin", min, np.inf, x, axis, keepdims=keepdims)


def _nan_extreme(name: str, function: Callable[..., Operand], number: float, x: object, axis: Axis, *,
                 keepdims: bool) -> Operand:
    x = as_operand(x)
    axes = axes_of(x, axis)
    if not is_floating(x.dtype) or not axes:
        return function(x, axis, keepdims)
    refuse_empty(name.lower(), x, axis)
    return cast(Operand, apply_composite(
        name, _extreme_of_numbers, x, op="ReduceMax" if number < 0 else "ReduceMin", number=number, axes=axes,
        keepdims=int(keepdims)))


def _extreme_of_numbers(x: Operand, op: str, number: float, axes: tuple[int, ...], keepdims: int) -> Operand:
    missing = apply("Cast", apply("IsNaN", x), to=ELEM_TYPES["int8"])
    all_missing = apply("Cast", reduce("ReduceMin", missing, axes, keepdims=bool(keepdims)), to=ELEM_TYPES["bool"])
    extreme = reduce(op, _fill(x, number), axes, keepdims=bool(keepdims))
    return apply("Where", all_missing, as_operand(np.nan, x.dtype), extreme)


@method
def nanargmax(x: object, axis: int | None = None, keepdims: bool = False) -> Operand:
    """`argmax` of the elements that are not NaN; the first position where all are."""
    return argmax(_fill(x, -np.inf), axis, keepdims)


@method
def nanargmin(x: object, axis: int | None = None, keepdims: bool = False) -> Operand:
    """`argmin` of the elements that are not NaN; the first position where all are."""
    return argmin(_fill(x, np.inf), axis, keepdims)
