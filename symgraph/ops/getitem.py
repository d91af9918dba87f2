"""`x[key]` as in NumPy: numbers, slices, None, ..., boolean and integer arrays, symbols among them."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import is_integer
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.masks import boolean_mask, nonzero
from symgraph.ops.plans import planned
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.shape import broadcast_shape, broadcast_to, expand_dims, transpose, unchanged
from symgraph.ops.sizes import (
    INT64_MAX,
    INT64_MIN,
    Size,
    as_size,
    ints,
    is_exactly,
    is_symbolic,
    vector,
)

__all__ = ["IndexRangeError", "get_item", "getitem"]


class IndexRangeError(ShapeError, IndexError):
    """An index that is known beforehand lies outside of its axis, or there are too many."""


@dataclass(frozen=True)
class _Part:
    """What one entry of a key does: to `axis` of the operand, or a new axis where that is None."""

    axis: int | None
    key: builtins.slice | int | Operand | None
    width: int = 1  # how many axes a boolean mask takes


@method
def getitem(x: object, key: object) -> Operand:
    """`x[key]` by NumPy's rules for basic and advanced indexing.

    Slices of all axes are one Slice node, one number or integer array is one Gather, several are one
    GatherND, one boolean mask is one Compress. Scalar symbols count as numbers.

    Errors: `IndexRangeError` (an IndexError) for a known index out of range or too many indices;
    an index that only the run tells fails there.

    >>> import symgraph as sg
    >>> sg.tensor([[1, 2, 3], [4, 5, 6]])[:, ::-1, None][0, 0].tolist()
    [3]
    """
    if type(x) is Tensor:
        return planned(x, key, _getitem)
    return _getitem(as_operand(x), key)


def get_item(x: object, key: object) -> Operand:
    """`x[key]`, as `getitem`."""
    return getitem(x, key)


def _getitem(x: Operand, key: object) -> Operand:
    x, parts = _before_reversal(x, _parse(x, key))
    arrays = [p for p in parts if isinstance(p.key, Operand) and (p.key.ndim or p.key.dtype == "bool")]
    if arrays:
        return _advanced(x, parts)
    return _basic(x, parts)


def _parse(x: Operand, key: object) -> list[_Part]:
    entries = [_as_entry(x, k) for k in (key if isinstance(key, tuple) else (key,))]
    if sum(e is ... for e in entries) > 1:
        raise IndexRangeError(f"{x.type}: an index has at most one '...', got {key!r}")
    used = sum(_width(e) for e in entries)
    if used > x.ndim:
        raise IndexRangeError(f"{x.type}: too many indices, {used} for {x.ndim} axes")
    if not any(e is ... for e in entries):
        entries.append(...)
    parts: list[_Part] = []
    axis = 0
    for entry in entries:
        if entry is ...:
            count = x.ndim - used
            parts += [_Part(axis + i, builtins.slice(None)) for i in range(count)] or [_Part(-1, None)]
            axis += count
        elif entry is None:
            parts.append(_Part(None, None))
        else:
            assert isinstance(entry, builtins.slice | int | Operand)
            parts.append(_Part(axis, entry, _width(entry)))
            axis += _width(entry)
    if parts and parts[-1].axis == -1 and key is not ...:
        parts.pop()
    return [_checked(x, part) for part in parts]


def _before_reversal(x: Operand, parts: list[_Part]) -> tuple[Operand, list[_Part]]:
    """`x[s:e:-k]` with an `s` from the end of an open axis, in two steps: `x[:s + 1][:e - s - 1:-k]`.

    In NumPy an `s` before the first element gives nothing; ONNX Slice would begin with the first element.
    """
    cuts: dict[int, tuple[Size, Size, Size]] = {}
    for i, part in enumerate(parts):
        if part.axis is None or not isinstance(part.key, builtins.slice) or isinstance(x.shape[part.axis], int):
            continue
        start, stop, step = part.key.start, part.key.stop, part.key.step
        if not (is_negative(step) and is_negative(start)) or start == -1:
            continue
        start, stop = int(start), None if stop is None else as_size(stop, "slice")
        cuts[part.axis] = (0, start + 1, 1)
        if isinstance(stop, int) and stop < 0:
            stop = stop - start - 1
            if stop >= 0:
                cuts[part.axis], stop = (0, 0, 1), None
        parts[i] = _Part(part.axis, builtins.slice(None, stop, step))
    return _slice(x, cuts), parts


def is_negative(k: object) -> bool:
    """Whether `k` is a known number below 0."""
    return hasattr(k, "__index__") and not is_symbolic(k) and int(k) < 0


def _as_entry(x: Operand, k: object) -> object:
    if k is None or k is ... or isinstance(k, builtins.slice):
        return k
    if isinstance(k, bool | np.bool_):
        return Tensor(np.array(k, np.bool_))
    if hasattr(k, "__index__") and not isinstance(k, Operand | np.ndarray):
        return operator.index(k)
    if isinstance(k, list | tuple):
        from symgraph.ops.joining import stack

        k = stack(k) if any(isinstance(i, Operand) for i in k) else (
            Tensor(np.array(k, np.int64)) if not len(k) else as_operand(k))
    if not isinstance(k, Operand | np.ndarray):
        raise DtypeError(f"{x.type} cannot be indexed by {k!r}; use whole numbers, slices, None, ..., or arrays "
                         "of whole numbers or booleans")
    k = as_operand(k)
    if k.dtype != "bool" and not is_integer(k.dtype):
        raise DtypeError(f"{x.type} cannot be indexed by {k.type}; cast it to int64 or bool")
    return int(k) if is_integer(k.dtype) and not k.ndim and not is_symbolic(k) else k


def _width(entry: object) -> int:
    if entry is None or entry is ...:
        return 0
    return entry.ndim if isinstance(entry, Operand) and entry.dtype == "bool" else 1


def _checked(x: Operand, part: _Part) -> _Part:
    """The part, with a number or array that is known to be out of range refused."""
    if part.axis is None or part.axis < 0 or part.axis >= x.ndim or isinstance(part.key, builtins.slice | None):
        return part
    have = x.shape[part.axis]
    if isinstance(part.key, Operand) and part.key.dtype == "bool":
        given = x.shape[part.axis:part.axis + part.width]
        for a, b in zip(given, part.key.shape, strict=True):
            if isinstance(a, int) and isinstance(b, int) and a != b:
                raise IndexRangeError(f"{x.type}: a boolean mask of shape {part.key.shape} does not fit {given}")
        return part
    if not isinstance(have, int) or is_symbolic(part.key):
        return part
    numbers = np.asarray(part.key)
    if numbers.size and not (-have <= numbers.min() and numbers.max() < have):
        worst = numbers.max() if numbers.max() >= have else numbers.min()
        raise IndexRangeError(f"{x.type}: index {worst} is out of range for axis {part.axis} of size {have}")
    return part


def _basic(x: Operand, parts: Sequence[_Part]) -> Operand:
    """Numbers, slices and new axes only."""
    parts = [p for p in parts if p.axis is None or p.axis >= 0]
    numbers = [p for p in parts if isinstance(p.key, int | Operand)]
    sliced = [p for p in parts if isinstance(p.key, builtins.slice) and not _is_whole(x, p)]
    y = x
    gone: list[int] = []
    if not sliced and numbers and [p.axis for p in numbers] == list(range(len(numbers))) and len(numbers) > 1:
        y = apply("GatherND", x, vector([_as_number(p.key) for p in numbers]))
        gone = [p.axis for p in numbers if p.axis is not None]
    elif len(numbers) + len(sliced) == 1 and numbers:
        y, gone = _gather_number(x, numbers[0]), [numbers[0].axis or 0]
    else:
        y, gone = _slice_and_pick(x, sliced, numbers)
    places = _new_places(parts, gone)
    return expand_dims(y, places) if places else (unchanged(x) if y is x else y)


def _slice_and_pick(x: Operand, sliced: Sequence[_Part], numbers: Sequence[_Part]) -> tuple[Operand, list[int]]:
    """One Slice for all slices and known numbers, one Squeeze for the numbers; a Gather for each unknown number."""
    known = [p for p in numbers if isinstance(p.key, int)]
    bounds = {p.axis: _bounds(x, p) for p in sliced}
    for p in known:
        assert isinstance(p.key, int)
        bounds[p.axis] = (p.key, p.key + 1 if p.key != -1 else INT64_MAX, 1)
    y = _slice(x, {axis or 0: b for axis, b in bounds.items()})
    if known:
        y = apply("Squeeze", y, ints(*(p.axis for p in known if p.axis is not None)))
    gone = [p.axis for p in known if p.axis is not None]
    for p in numbers:
        if p not in known and p.axis is not None:
            y = apply("Gather", y, cast_to(as_operand(p.key), "int64"), axis=p.axis - sum(a < p.axis for a in gone))
            gone.append(p.axis)
    return y, gone


def _slice(x: Operand, bounds: dict[int, tuple[Size, Size, Size]]) -> Operand:
    if not bounds:
        return x
    axes = sorted(bounds)
    starts, ends, steps = (vector([bounds[a][i] for a in axes]) for i in range(3))
    has_steps = not all(is_exactly(bounds[a][2], 1) for a in axes)
    return apply("Slice", x, starts, ends, ints(*axes), *((steps,) if has_steps else ()))


def _is_whole(x: Operand, part: _Part) -> bool:
    """Whether the slice takes the whole axis in order."""
    start, stop, step = _bounds(x, part)
    return is_exactly(start, 0) and is_exactly(step, 1) and (
        is_exactly(stop, INT64_MAX) or (isinstance(stop, int) and stop == x.shape[part.axis or 0]))


def _bounds(x: Operand, part: _Part) -> tuple[Size, Size, Size]:
    """Start, stop and step as ONNX Slice wants them."""
    key = part.key
    assert isinstance(key, builtins.slice) and part.axis is not None
    start, stop, step = (None if k is None else as_size(k, "slice") for k in (key.start, key.stop, key.step))
    have = x.shape[part.axis]
    step = 1 if step is None else step
    if is_exactly(step, 0):
        raise ShapeError(f"{x.type}: the step of a slice cannot be 0")
    if not isinstance(step, int):
        if start is None or stop is None:
            raise ShapeError(f"{x.type}: a slice whose step is a symbol needs a start and a stop")
        return start, stop, step
    if isinstance(have, int) and isinstance(start, int | None) and isinstance(stop, int | None):
        first, last, step = builtins.slice(start, stop, step).indices(have)
        return (0, 0, 1) if first < 0 else (first, INT64_MIN if last < 0 else last, step)
    if start is None:
        start = 0 if step > 0 else INT64_MAX
    if stop is None:
        stop = INT64_MAX if step > 0 else INT64_MIN
    return start, stop, step


def _as_number(key: object) -> Size:
    return key if isinstance(key, int) else cast_to(as_operand(key), "int64")


def _gather_number(x: Operand, part: _Part) -> Operand:
    number = _as_number(part.key)
    return apply("Gather", x, Tensor(np.array(number, np.int64)) if isinstance(number, int) else number,
                 axis=part.axis)


def _new_places(parts: Sequence[_Part], gone: Sequence[int]) -> tuple[int, ...]:
    """Where the new axes stand in the result."""
    places: list[int] = []
    position = 0
    for p in parts:
        if p.axis is None:
            places.append(position)
        position += p.axis is None or p.axis not in gone
    return tuple(places)


def _advanced(x: Operand, parts: Sequence[_Part]) -> Operand:
    """Slices and new axes first; then the arrays, with which plain numbers count as arrays of rank 0."""
    y = _slice(x, {p.axis or 0: _bounds(x, p) for p in parts
                   if isinstance(p.key, builtins.slice) and not _is_whole(x, p)})
    new = [i for i, p in enumerate(parts) if p.axis is None]
    if len(new) + len({p.axis for p in parts if p.axis is not None}) and new:
        places, position = [], 0
        for p in parts:
            if p.axis is None:
                places.append(position)
            position += 1 if p.axis is None else (p.width if p.axis >= 0 else 0)
        y = expand_dims(y, tuple(places))
    arrays: list[tuple[int, Operand, int]] = []  # axis of y, index, position among the parts
    axis = 0
    for position, p in enumerate(parts):
        if isinstance(p.key, int | Operand):
            arrays += _index_arrays(y, axis, p, position)
        axis += 1 if p.axis is None else (p.width if p.axis >= 0 else 0)
    positions = sorted({position for _, _, position in arrays})
    is_together = positions == list(range(positions[0], positions[-1] + 1))
    masks = [p for p in parts if isinstance(p.key, Operand) and p.key.dtype == "bool"]
    if len(masks) == 1 and len(positions) == 1 and masks[0].width:
        assert isinstance(masks[0].key, Operand)
        first = sum(1 if p.axis is None else (p.width if p.axis >= 0 else 0) for p in parts[:positions[0]])
        return boolean_mask(y, masks[0].key, axis=first)
    return _pick(y, [(a, index) for a, index, _ in arrays], is_together=is_together)


def _index_arrays(y: Operand, axis: int, part: _Part, position: int) -> list[tuple[int, Operand, int]]:
    key = part.key if isinstance(part.key, Operand) else Tensor(np.array(part.key, np.int64))
    if key.dtype != "bool":
        return [(axis, cast_to(key, "int64"), position)]
    if not part.width:
        raise DtypeError(f"{y.type} cannot be indexed by a single boolean; use sg.where or sg.cond")
    return [(axis + i, index, position) for i, index in enumerate(nonzero(key))]


def _pick(y: Operand, arrays: Sequence[tuple[int, Operand]], *, is_together: bool) -> Operand:
    """`y[..., i, ..., j, ...]`: the axes of the arrays give way to the one shape they broadcast to."""
    tall = [(axis, index) for axis, index in arrays if index.ndim]
    if len(tall) == 1 and (is_together or len(arrays) == 1 or tall[0][0] == 0):
        axis, index = tall[0]
        for other, number in sorted(((a, i) for a, i in arrays if not i.ndim), key=lambda pair: -pair[0]):
            y = apply("Gather", y, number, axis=other)
            axis -= other < axis
        return apply("Gather", y, index, axis=axis)
    indices = _broadcast_indices([index for _, index in arrays])
    axes = [axis for axis, _ in arrays]
    rest = [axis for axis in range(y.ndim) if axis not in axes]
    rank = indices.ndim - 1
    picked = apply("GatherND", transpose(y, axes + rest), indices)
    before = sum(axis < axes[0] for axis in rest) if is_together else 0
    order = [rank + i for i in range(before)] + list(range(rank)) + [rank + i for i in range(before, len(rest))]
    return transpose(picked, order)


def _broadcast_indices(indices: Sequence[Operand]) -> Operand:
    """The index arrays in one shape, stacked along a new last axis."""
    if not any(is_symbolic(index) for index in indices):
        try:
            return Tensor(np.stack(np.broadcast_arrays(*map(np.asarray, indices)), axis=-1))
        except ValueError:
            shown = ", ".join(str(index.shape) for index in indices)
            raise IndexRangeError(f"index arrays of shapes {shown} do not broadcast") from None
    wanted = broadcast_shape(*indices)
    spread = [broadcast_to(index, wanted) for index in indices]
    return apply("Concat", *(expand_dims(index, index.ndim) for index in spread), axis=-1)
