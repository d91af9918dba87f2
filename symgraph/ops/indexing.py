"""Taking elements by index, putting others in their places, choosing between elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.inference import known_data
from symgraph.core.tensor import Operand, method
from symgraph.core.types import as_dtype, is_integer
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.joining import concat
from symgraph.ops.masks import boolean_mask, find_places, nonzero
from symgraph.ops.promotion import as_operand, cast_to, promote
from symgraph.ops.shape import broadcast_shape, broadcast_to, expand_dims, ravel, reshape, transpose, unchanged
from symgraph.ops.sizes import (
    Size,
    as_axis,
    as_size,
    as_sizes,
    dimension,
    dimensions,
    ints,
    is_exactly,
    plus,
    vector,
)

__all__ = [
    "argwhere", "compress", "extract", "gather", "gather_nd", "multi_hot", "one_hot", "scatter", "scatter_update",
    "select", "slice", "slice_update", "take", "take_along_axis", "where",
]


def _as_indices(indices: object, who: str) -> Operand:
    index = as_operand(np.array(indices, np.int64) if isinstance(indices, list | tuple) and not len(indices)
                       else indices)
    if not is_integer(index.dtype):
        raise DtypeError(f"{who}: indices must be whole numbers, got {index.dtype}; cast them")
    return index if index.dtype in ("int32", "int64") else cast_to(index, "int64")


@method
def slice(inputs: object, start_indices: object, shape: object) -> Operand:
    """The block of `inputs` that begins at `start_indices` and has the given `shape` (ONNX Slice).

    A size of -1 is all that is left. Starts and sizes may be scalar symbols.

    Errors: `ShapeError` for a block that is known to reach over the end; one that does so when it runs fails there.

    >>> import symgraph as sg
    >>> sg.ops.slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).tolist()
    [[2, 3], [5, 6]]
    """
    x = as_operand(inputs)
    starts, wanted = _block(x, start_indices, as_sizes(shape, "slice"), "slice")
    ends = [dimension(x, i) if is_exactly(size, -1) else plus(start, size)
            for i, (start, size) in enumerate(zip(starts, wanted, strict=True))]
    axes = [i for i in range(x.ndim) if not (is_exactly(starts[i], 0) and _is_same(ends[i], x.shape[i]))]
    if not axes:
        return unchanged(x)
    block = apply("Slice", x, vector([starts[i] for i in axes]), vector([ends[i] for i in axes]), ints(*axes))
    if all(isinstance(size, int) and size >= 0 for size in wanted) and block.shape != tuple(wanted):
        return reshape(block, wanted)
    return block


def _is_same(size: Size, dim: object) -> bool:
    """Whether a size is known to be that of a dimension, by number or by name."""
    if isinstance(size, int):
        return isinstance(dim, int) and size == dim
    data = known_data(size)
    return data is not None and isinstance(dim, str) and data.item() == dim


def _block(x: Operand, start_indices: object, sizes: list[Size], who: str) -> tuple[list[Size], list[Size]]:
    starts = as_sizes(start_indices, who)
    if len(starts) != x.ndim or len(sizes) != x.ndim:
        raise ShapeError(f"{who}: {x.type} needs {x.ndim} starts and sizes, got {len(starts)} and {len(sizes)}")
    for start, size, have in zip(starts, sizes, x.shape, strict=True):
        if isinstance(start, int) and (start < 0 or is_exactly(size, -2)):
            raise ShapeError(f"{who}: starts count from 0, got {start}")
        if isinstance(start, int) and isinstance(size, int) and isinstance(have, int) and (
                start + max(size, 0) > have or size < -1):
            raise ShapeError(f"{who}: a block of size {size} from {start} on is not inside {x.type}")
    return starts, sizes


@method
def slice_update(inputs: object, start_indices: object, updates: object) -> Operand:
    """`inputs` with the block that begins at `start_indices` replaced by `updates` (ONNX Slice and Concat).

    Errors: `ShapeError` for a block that is known to reach over the end.

    >>> import symgraph as sg
    >>> sg.ops.slice_update([1, 2, 3, 4], [1], [0, 0]).tolist()
    [1, 0, 0, 4]
    """
    x = as_operand(inputs)
    block = as_operand(updates, x.dtype)
    sizes: list[Size] = list(dimensions(block))
    starts, _ = _block(x, start_indices, sizes, "slice_update")
    axes = [i for i in range(x.ndim)
            if not (is_exactly(starts[i], 0) and _is_same(sizes[i], x.shape[i]))]
    return _replace(x, block, [(i, starts[i], plus(starts[i], sizes[i])) for i in axes])


def _replace(x: Operand, block: Operand, spans: Sequence[tuple[int, Size, Size]]) -> Operand:
    """`x` with `block` in it: what lies before, the middle (replaced along the other axes), what lies after."""
    if not spans:
        return block
    (axis, start, end), *rest = spans
    middle = _cut(x, axis, start, end) if rest else x
    pieces = [_replace(middle, block, rest)]
    if not is_exactly(start, 0):
        pieces.insert(0, _cut(x, axis, 0, start))
    if not _is_same(end, x.shape[axis]):
        pieces.append(_cut(x, axis, end, 2**63 - 1))
    return concat(pieces, axis=axis)


def _cut(x: Operand, axis: int, start: Size, end: Size) -> Operand:
    return apply("Slice", x, vector([start]), vector([end]), ints(axis))


@method
def take(x: object, indices: object, axis: int | None = None) -> Operand:
    """The slices of `x` at `indices` along `axis`; without it, of all elements in one row (ONNX Gather).

    Negative indices count from the end; one out of range fails.

    >>> import symgraph as sg
    >>> sg.ops.take([10, 20, 30], [-1, 0]).tolist()
    [30, 10]
    """
    x = as_operand(x)
    if axis is None:
        x, axis = ravel(x), 0
    return apply("Gather", x, _as_indices(indices, "take"), axis=as_axis(axis, x.ndim, "take"))


@method
def gather(x: object, indices: object, axis: int = 0) -> Operand:
    """The slices of `x` at `indices` along `axis`: the axis gives way to those of `indices` (ONNX Gather)."""
    return take(x, indices, axis)


@method
def gather_nd(x: object, indices: object, batch_dims: int = 0) -> Operand:
    """`x[indices[..., 0], indices[..., 1], ...]`, after `batch_dims` axes that both share (ONNX GatherND).

    >>> import symgraph as sg
    >>> sg.ops.gather_nd([[1, 2], [3, 4]], [[0, 1], [1, 0]]).tolist()
    [2, 3]
    """
    return apply("GatherND", as_operand(x), cast_to(_as_indices(indices, "gather_nd"), "int64"),
                 batch_dims=batch_dims or None)


@method
def take_along_axis(x: object, indices: object, axis: int | None = -1) -> Operand:
    """Elements of `x` at `indices` along `axis`, place by place (ONNX GatherElements).

    The other axes broadcast. Without `axis`, `x` is all elements in one row.

    Errors: `ShapeError` where the ranks differ or known sizes do not broadcast.
    """
    x, index = as_operand(x), _as_indices(indices, "take_along_axis")
    if axis is None:
        x, axis = ravel(x), 0
    axis = as_axis(axis, x.ndim, "take_along_axis")
    if x.ndim != index.ndim:
        raise ShapeError(f"take_along_axis: {x.type} and indices of shape {index.shape} differ in rank")
    others = [i for i in range(x.ndim) if i != axis]
    if any(x.shape[i] != index.shape[i] or x.shape[i] is None for i in others):
        x, index = _spread(x, index, axis)
    return apply("GatherElements", x, index, axis=axis)


def _spread(x: Operand, index: Operand, axis: int) -> tuple[Operand, Operand]:
    """Both broadcast along every axis but `axis`."""
    def without(y: Operand) -> Operand:
        return apply("Slice", y, ints(0), ints(0), ints(axis))

    common = list(broadcast_shape(without(x), without(index)))
    return (broadcast_to(x, [*common[:axis], dimension(x, axis), *common[axis + 1:]]),
            broadcast_to(index, [*common[:axis], dimension(index, axis), *common[axis + 1:]]))


@method
def where(condition: object, x1: object = None, x2: object = None) -> Operand | tuple[Operand, ...]:
    """`condition ? x1 : x2`, element by element, in the dtype the two promote to (ONNX Where).

    With `condition` alone: the places where it is true, as `nonzero` gives them.

    Errors: `TypeError` where only one of `x1` and `x2` is given; `OpError` for shapes that do not broadcast.

    >>> import symgraph as sg
    >>> sg.ops.where([True, False], 1, [5, 6]).tolist()
    [1, 6]
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise TypeError("where takes a condition alone, or a condition and two values")
    return choose(condition, x1, x2)


def choose(condition: object, x1: object, x2: object) -> Operand:
    """`where` with three arguments."""
    a, b = promote(x1, x2)
    return apply("Where", as_operand(condition, "bool"), a, b)


@gradient_of("Where", broadcasts=True)
def _where_gradient(dy: Operand, y: Operand, condition: Operand, x1: Operand, x2: Operand) -> Gradients:
    return None, lambda: apply("Where", condition, dy, 0.0), lambda: apply("Where", condition, 0.0, dy)


@method
def argwhere(x: object) -> Operand:
    """The places of the elements that are not zero, one row each: `[count, rank]` (ONNX NonZero)."""
    return transpose(find_places(as_operand(x)))


def one_hot(x: object, num_classes: int, axis: int = -1, dtype: object = "float32", sparse: bool = False) -> Operand:
    """`y[..., k] = (x[...] == k)` for k < `num_classes`, along a new axis. Any other number gives zeros only.

    Errors: `DtypeError` for an `x` that is not of integers, and for `sparse=True`.

    >>> import symgraph as sg
    >>> sg.ops.one_hot([1, -1], 3).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if sparse:
        raise DtypeError("one_hot: symgraph has no sparse tensors; leave sparse= out")
    x = as_operand(x)
    if not is_integer(x.dtype):
        raise DtypeError(f"one_hot: class numbers must be whole numbers, got {x.dtype}; cast them")
    axis = as_axis(axis, x.ndim + 1, "one_hot")
    count = as_size(num_classes, "one_hot")
    x = cast_to(x, "int64")
    classes = Tensor(np.arange(count)) if isinstance(count, int) else apply("Range", np.int64(0), count, np.int64(1))
    after = x.ndim - axis
    if after:
        classes = expand_dims(classes, tuple(range(1, after + 1)))
    return cast_to(apply("Equal", expand_dims(x, axis), classes), as_dtype(dtype))


def multi_hot(inputs: object, num_classes: int | None = None, axis: int = -1, dtype: object = "float32",
              sparse: bool = False, num_tokens: int | None = None) -> Operand:
    """1 for every class that occurs in a row of `inputs`: `[..., n] -> [..., num_classes]`, as Keras has it.

    Errors: as `one_hot`.

    >>> import symgraph as sg
    >>> sg.ops.multi_hot([[0, 2], [1, 1]], 3).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    count = num_classes if num_classes is not None else num_tokens
    if count is None:
        raise ShapeError("multi_hot: needs num_classes")
    x = as_operand(inputs)
    hot = one_hot(x, count, axis=axis, dtype="int32", sparse=sparse)
    reduced = 1 if x.ndim > 1 else 0
    return cast_to(apply("ReduceMax", hot, ints(reduced), keepdims=0), as_dtype(dtype))


def scatter(indices: object, values: object, shape: object) -> Operand:
    """Zeros of the given `shape` with `values` added at `indices` (ONNX ScatterND): equal places add up.

    `indices`: `[..., k]`, places in the first k axes; `values`: `[..., rest of shape]`.

    >>> import symgraph as sg
    >>> sg.ops.scatter([[0], [2], [2]], [1, 2, 3], (4,)).tolist()
    [1, 0, 5, 0]
    """
    index, updates = cast_to(_as_indices(indices, "scatter"), "int64"), as_operand(values)
    dtype = updates.dtype
    if dtype == "bool":
        updates = cast_to(updates, "int32")
    zero = Tensor(np.zeros(1, np.asarray(0).astype(updates.dtype).dtype))
    blank = apply("Expand", reshape(zero, ()), vector(as_sizes(shape, "scatter")))
    return cast_to(apply("ScatterND", blank, index, updates, reduction="add"), dtype)


_REDUCTIONS = (None, "add", "mul", "max", "min")


@method
def scatter_update(inputs: object, indices: object, updates: object, reduction: str | None = None) -> Operand:
    """`inputs` with `updates` at the places `indices` (ONNX ScatterND). Of equal places one wins.

    With `reduction` ("add", "mul", "max", "min") what stands there is combined with the updates.

    Errors: `OpError` for shapes that do not fit.

    >>> import symgraph as sg
    >>> sg.ops.scatter_update([1, 2, 3], [[1]], [9]).tolist()
    [1, 9, 3]
    """
    if reduction not in _REDUCTIONS:
        raise ShapeError(f"scatter_update: reduction is one of {_REDUCTIONS}, got {reduction!r}")
    x = as_operand(inputs)
    return apply("ScatterND", x, cast_to(_as_indices(indices, "scatter_update"), "int64"),
                 as_operand(updates, x.dtype), reduction=reduction)


@method
def compress(condition: object, x: object, axis: int | None = None) -> Operand:
    """The slices of `x` along `axis` where `condition` is true; without `axis`, of all elements (ONNX Compress).

    `condition` may be shorter than the axis; what is beyond it is left out.
    """
    x, mask = as_operand(x), as_operand(condition, "bool")
    if axis is None:
        x, axis = ravel(x), 0
    if mask.ndim != 1:
        raise ShapeError(f"compress: the condition must be a vector, got shape {mask.shape}")
    axis = as_axis(axis, x.ndim, "compress")
    have, given = x.shape[axis], mask.shape[0]
    if isinstance(have, int) and isinstance(given, int) and given > have:
        raise ShapeError(f"compress: {given} conditions for axis {axis} of {x.type}")
    return apply("Compress", x, mask, axis=axis)


def extract(condition: object, x: object) -> Operand:
    """The elements of `x` where `condition` is true, in one row."""
    return boolean_mask(ravel(x), ravel(as_operand(condition, "bool")))


def select(condlist: Sequence[object], choicelist: Sequence[object], default: object = 0) -> Operand:
    """For each element the first choice whose condition is true, else `default`.

    Errors: `ShapeError` where there are not as many conditions as choices.
    """
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    *choices, result = promote(*choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        result = choose(condition, choice, result)
    return result
