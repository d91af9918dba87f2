"""Putting tensors together, taking them apart, repeating them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import OpError, ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.promotion import as_operand, promote
from symgraph.ops.shape import atleast_1d, atleast_2d, atleast_3d, expand_dims, ravel, reshape, unchanged
from symgraph.ops.sizes import (
    Size,
    as_axis,
    as_sizes,
    dimension,
    dimensions,
    ints,
    is_exactly,
    is_symbolic,
    plus,
    quotient,
    remainder,
    smaller,
    times,
    vector,
)

__all__ = [
    "append", "array_split", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "repeat", "split",
    "stack", "tile", "unstack", "vsplit", "vstack",
]


@method
def concat(xs: Sequence[object] | Operand, *more: object, axis: int = 0) -> Operand:
    """Tensors one after the other along `axis`, in the dtype they promote to (ONNX Concat).

    All have the same rank, and the same sizes along the other axes. As a method: `x.concat(y, axis=1)`.

    Errors: `ShapeError` for none at all, or for scalars; `OpError` for sizes that differ.

    >>> import symgraph as sg
    >>> sg.ops.concat([[1, 2], [3]]).tolist()
    [1, 2, 3]
    """
    if isinstance(xs, Operand) and (more or not xs.ndim):
        xs = [xs]
    if len(more) == 1 and isinstance(more[0], int) and not isinstance(more[0], bool):
        axis, more = more[0], ()
    if len(more) == 1 and isinstance(more[0], list | tuple):
        more = tuple(more[0])
    parts = _parts((*xs, *more), "concat")
    ranks = {x.ndim for x in parts}
    if len(ranks) > 1 or 0 in ranks:
        raise ShapeError("concat: the tensors must have one rank, from 1 on, got "
                         + ", ".join(str(x.type) for x in parts))
    axis = as_axis(axis, parts[0].ndim, "concat")
    return unchanged(parts[0]) if len(parts) == 1 else apply("Concat", *parts, axis=axis)


def concatenate(xs: Sequence[object] | Operand, axis: int | None = 0) -> Operand:
    """Tensors one after the other along `axis`; with None, all elements in one row."""
    return concat([ravel(x) for x in xs]) if axis is None else concat(xs, axis=axis)


def _parts(xs: Sequence[object], who: str) -> tuple[Operand, ...]:
    xs = tuple(xs)
    if not xs:
        raise ShapeError(f"{who}: needs at least one tensor")
    return promote(*xs) if len(xs) > 1 else (as_operand(xs[0]),)


@method
def append(x1: object, x2: object, axis: int | None = None) -> Operand:
    """`x2` after `x1` along `axis`; with None, all elements in one row."""
    return concatenate([x1, x2], axis)


@method
def stack(x: Sequence[object] | Operand, *more: object, axis: int = 0) -> Operand:
    """Tensors of one shape side by side along a new axis: `[N, M] x k -> [k, N, M]`.

    Errors: `ShapeError` for none at all or different ranks, `OpError` for sizes that differ.
    """
    if isinstance(x, Operand) and (more or not x.ndim):
        x = [x]
    if len(more) == 1 and isinstance(more[0], int) and not isinstance(more[0], bool):
        axis, more = more[0], ()
    if len(more) == 1 and isinstance(more[0], list | tuple):
        more = tuple(more[0])
    parts = _parts((*x, *more), "stack")
    if len({part.ndim for part in parts}) > 1:
        raise ShapeError("stack: the tensors must have one shape, got " + ", ".join(str(p.type) for p in parts))
    axis = as_axis(axis, parts[0].ndim + 1, "stack")
    return concat([expand_dims(part, axis) for part in parts], axis=axis)


def vstack(xs: Sequence[object]) -> Operand:
    """Tensors below each other: rows from vectors, then along the first axis."""
    return concat([atleast_2d(x) for x in xs], axis=0)


def hstack(xs: Sequence[object]) -> Operand:
    """Tensors side by side: vectors along their axis, others along the second."""
    parts = [atleast_1d(x) for x in xs]
    return concat(parts, axis=0 if parts and parts[0].ndim == 1 else 1)


def dstack(xs: Sequence[object]) -> Operand:
    """Tensors behind each other, along a third axis."""
    return concat([atleast_3d(x) for x in xs], axis=2)


@method
def split(x: object, indices_or_sections: object, axis: int = 0) -> list[Operand]:
    """`x` cut along `axis`: into a number of equal parts, or at the given indices (ONNX Split).

    Errors: `ShapeError` where a known size does not divide; an open one fails when it runs.

    >>> import symgraph as sg
    >>> [part.tolist() for part in sg.ops.split([1, 2, 3, 4], 2)]
    [[1, 2], [3, 4]]
    """
    x = as_operand(x)
    axis = as_axis(axis, x.ndim, "split")
    if not isinstance(indices_or_sections, int | np.integer):
        return _split_at(x, as_sizes(indices_or_sections, "split"), axis)
    count, have = int(indices_or_sections), x.shape[axis]
    if count < 1 or (isinstance(have, int) and have % count):
        raise ShapeError(f"split: axis {axis} of {x.type} does not divide into {count} equal parts")
    if isinstance(have, int):
        return _split_sizes(x, [have // count] * count, axis)
    if count == 1:
        return [unchanged(x)]
    sizes = dimensions(x)
    grid = reshape(x, (*sizes[:axis], count, -1 if all(isinstance(d, int) for i, d in enumerate(x.shape) if i != axis)
                       else quotient(sizes[axis], count), *sizes[axis + 1:]))
    return [apply("Gather", grid, np.int64(i), axis=axis) for i in range(count)]


@method
def array_split(x: object, indices_or_sections: object, axis: int = 0) -> list[Operand]:
    """`x` cut along `axis` as `split` does; the first parts are one longer where the size does not divide."""
    x = as_operand(x)
    axis = as_axis(axis, x.ndim, "array_split")
    if not isinstance(indices_or_sections, int | np.integer):
        return _split_at(x, as_sizes(indices_or_sections, "array_split"), axis)
    count = int(indices_or_sections)
    if count < 1:
        raise ShapeError(f"array_split: needs at least one part, got {count}")
    have = dimension(x, axis)
    if isinstance(have, int):
        return _split_sizes(x, [have // count + (i < have % count) for i in range(count)], axis)
    base, rest = quotient(have, count), remainder(have, count)
    return _split_at(x, [plus(times(base, i), smaller(rest, i)) for i in range(1, count)], axis)


def hsplit(x: object, indices_or_sections: object) -> list[Operand]:
    """`x` cut along its second axis, a vector along its only one."""
    x = as_operand(x)
    return split(x, indices_or_sections, axis=0 if x.ndim == 1 else 1)


def vsplit(x: object, indices_or_sections: object) -> list[Operand]:
    """`x` cut along its first axis."""
    return split(x, indices_or_sections, axis=0)


def dsplit(x: object, indices_or_sections: object) -> list[Operand]:
    """`x` cut along its third axis."""
    return split(x, indices_or_sections, axis=2)


def _split_sizes(x: Operand, sizes: Sequence[int], axis: int) -> list[Operand]:
    if len(sizes) == 1:
        return [unchanged(x)]
    return list(apply_many("Split", x, ints(*sizes), axis=axis, outputs=len(sizes)))


def _split_at(x: Operand, places: Sequence[Size], axis: int) -> list[Operand]:
    have = x.shape[axis]
    bounds = [0, *places, have]
    if all(isinstance(b, int) for b in bounds):
        cuts = [range(have)[slice(b)].stop for b in places]  # type: ignore[arg-type]
        edges = [0, *cuts, have]
        if edges == sorted(edges):  # type: ignore[type-var]
            return _split_sizes(x, [b - a for a, b in itertools.pairwise(edges)], axis)  # type: ignore[operator]
    from symgraph.ops.getitem import getitem

    before = (slice(None),) * axis
    return [getitem(x, (*before, slice(a, b))) for a, b in zip([0, *places], [*places, None], strict=True)]


@method
def unstack(x: object, num: int | None = None, axis: int = 0) -> list[Operand]:
    """The slices of `x` along `axis`, without that axis; `num` says how many where the size is open.

    Errors: `ShapeError` where it is open and `num` is not given, or where they differ.
    """
    x = as_operand(x)
    axis = as_axis(axis, x.ndim, "unstack")
    have = x.shape[axis]
    if not isinstance(have, int) and num is None:
        raise ShapeError(f"unstack: the size of axis {axis} of {x.type} is open; give num=")
    if isinstance(have, int) and num not in (None, have):
        raise ShapeError(f"unstack: axis {axis} of {x.type} has {have} slices, num is {num}")
    count = have if isinstance(have, int) else num
    return [apply("Gather", x, np.int64(i), axis=axis) for i in range(count)]  # type: ignore[arg-type]


@method
def tile(x: object, repeats: object) -> Operand:
    """`x` repeated as a whole, `repeats` times along each axis (ONNX Tile); missing axes are put before.

    Errors: `ShapeError` for negative numbers.
    """
    x = as_operand(x)
    counts = as_sizes(repeats, "tile")
    if any(isinstance(n, int) and n < 0 for n in counts):
        raise ShapeError(f"tile: cannot repeat a negative number of times: {repeats!r}")
    counts = [*[1] * (x.ndim - len(counts)), *counts]
    if len(counts) > x.ndim:
        x = expand_dims(x, tuple(range(len(counts) - x.ndim)))
    return apply("Tile", x, vector(counts)) if not all(is_exactly(n, 1) for n in counts) else unchanged(x)


@method
def repeat(x: object, repeats: object, axis: int | None = None) -> Operand:
    """Every element repeated along `axis` (None: of all in one row), by one number or by one for each.

    Errors: `ShapeError` for negative numbers, `OpError` where there is not one number for each element.
    """
    x = as_operand(x)
    if axis is None:
        x, axis = ravel(x), 0
    axis = as_axis(axis, x.ndim, "repeat")
    if is_symbolic(repeats) and repeats.ndim == 1:  # type: ignore[attr-defined]
        return apply("Gather", x, _repeated_places(repeats), axis=axis)  # type: ignore[arg-type]
    counts = as_sizes(repeats, "repeat")
    if any(isinstance(n, int) and n < 0 for n in counts):
        raise ShapeError(f"repeat: cannot repeat a negative number of times: {repeats!r}")
    have = x.shape[axis]
    if len(counts) == 1:
        return _repeat_evenly(x, counts[0], axis)
    if not all(isinstance(n, int) for n in counts):
        return apply("Gather", x, _repeated_places(vector(counts)), axis=axis)
    if isinstance(have, int) and have != len(counts):
        raise OpError(f"repeat: axis {axis} of {x.type} needs {have} numbers of repeats, got {len(counts)}")
    return apply("Gather", x, Tensor(np.repeat(np.arange(len(counts)), counts)), axis=axis)


def _repeat_evenly(x: Operand, count: Size, axis: int) -> Operand:
    if is_exactly(count, 1):
        return unchanged(x)
    sizes = dimensions(x)
    tiled = tile(expand_dims(x, axis + 1), [1] * (axis + 1) + [count] + [1] * (x.ndim - axis - 1))
    return reshape(tiled, (*sizes[:axis], times(sizes[axis], count), *sizes[axis + 1:]))


def _repeated_places(counts: Operand) -> Operand:
    """`[2, 0, 1] -> [0, 0, 2]`: for each element of the result, how many running sums are not above its place."""
    counts = as_operand(counts, "int64")
    ends = apply("CumSum", counts, np.int64(0))
    total = apply("ReduceSum", counts, ints(0), keepdims=0)
    places = apply("Range", np.int64(0), total, np.int64(1))
    passed = apply("GreaterOrEqual", apply("Unsqueeze", places, ints(1)), ends)
    return apply("ReduceSum", as_operand(passed, "int64"), ints(1), keepdims=0)
