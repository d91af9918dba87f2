"""Gradients of taking elements by index and of putting them: each is the other turned round.

Where several elements are put in one place without a reduction, each gets the gradient of that place; where several
are the extreme one, they share it equally.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from symgraph.core.gradient import Gradients, gradient_of, not_differentiable
from symgraph.core.inference import known_data
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.promotion import cast_to
from symgraph.ops.reduction_gradient import left_after
from symgraph.ops.shape import expand_dims, moveaxis, reshape_like
from symgraph.ops.sizes import dimension, dimensions, ints, minus, vector

not_differentiable("its outputs are places, whole numbers", "NonZero")
not_differentiable("only the shape of its input counts", "EyeLike", "ConstantOfShape")

Scatter = Callable[..., Operand]
"""`scatter(data, updates, reduction="add")`, at places already given."""
Gather = Callable[[Operand], Operand]
"""The elements of a tensor at those places."""


def blank(x: Operand, value: float = 0.0) -> Operand:
    """`value` in every place of the shape of `x`, without a constant of that size."""
    return filled(apply("Shape", x), x.dtype, value)


def filled(shape: Operand, dtype: str, value: float = 0.0) -> Operand:
    """`value` in every place of a shape."""
    return apply("Expand", apply("Cast", value, to=ELEM_TYPES[dtype]), shape)


def add_up(scatter: Scatter, dy: Operand, shape: Operand) -> Operand:
    """Zeros of a shape with `dy` added; in float32 for what ONNX Runtime has no kernel for."""
    if dy.dtype in ("float32", "float64"):
        return scatter(filled(shape, dy.dtype), dy, reduction="add")
    added = scatter(filled(shape, "float32"), cast_to(dy, "float32"), reduction="add")
    return cast_to(added, dy.dtype)


def put_back(dy: Operand, x: Operand, take: Callable[[Operand], Operand]) -> Operand:
    """The gradient of any choice of the elements of `x`: `take` makes the same choice among their numbers."""
    numbers = reshape_like(apply("Range", 0, apply("Size", x), 1), x)
    places = apply("Reshape", take(numbers), ints(-1, 1))
    length = apply("Reshape", apply("Size", x), ints(1))
    flat = add_up(partial(_scatter_nd, indices=places), apply("Reshape", dy, ints(-1)), length)
    return reshape_like(flat, x)


def _scatter_nd(data: Operand, updates: Operand, reduction: str, indices: Operand) -> Operand:
    return apply("ScatterND", data, indices, updates, reduction=reduction)


@gradient_of("Gather")
def _gather_gradient(dy: Operand, y: Operand, x: Operand, indices: Operand, *, axis: int = 0) -> Operand:
    return slices_back(dy, x, indices, axis % x.ndim)


def slices_back(dy: Operand, x: Operand, indices: Operand, axis: int) -> Operand:
    """Zeros with the slices of `dy` added at `indices` along `axis`."""
    number = known_data(indices) if not indices.ndim else None
    if number is not None and isinstance(number.item(), int):
        return _slice_back(dy, x, int(number.item()), axis)
    rank = indices.ndim
    taken = tuple(range(axis, axis + rank))
    scatter = partial(_scatter_nd, indices=expand_dims(cast_to(indices, "int64"), rank))
    shape = apply("Shape", x) if axis == 0 else vector(
        [dimension(x, i) for i in (axis, *range(axis), *range(axis + 1, x.ndim))])
    rows = add_up(scatter, moveaxis(dy, taken, tuple(range(rank))), shape)
    return moveaxis(rows, 0, axis)


def _slice_back(dy: Operand, x: Operand, number: int, axis: int) -> Operand:
    last = minus(dimension(x, axis), 1)
    before, after = (number, minus(last, number)) if number >= 0 else (minus(last, -number - 1), -number - 1)
    others = [0] * axis, [0] * (x.ndim - axis - 1)
    return apply("Pad", expand_dims(dy, axis), vector([*others[0], before, *others[1], *others[0], after, *others[1]]))


@gradient_of("GatherElements")
def _gather_elements_gradient(dy: Operand, y: Operand, x: Operand, indices: Operand, *, axis: int = 0) -> Operand:
    return add_up(_elements(indices, axis)[0], dy, apply("Shape", x))


@gradient_of("GatherND")
def _gather_nd_gradient(dy: Operand, y: Operand, x: Operand, indices: Operand, *, batch_dims: int = 0) -> Operand:
    if batch_dims:
        indices = _with_batch(indices, batch_dims)
    return add_up(partial(_scatter_nd, indices=indices), dy, apply("Shape", x))


def _with_batch(indices: Operand, batch_dims: int) -> Operand:
    """Places that begin with their own place in the batch."""
    shape = vector((*dimensions(indices)[:-1], 1))
    own = []
    for i in range(batch_dims):
        places = apply("Range", np.int64(0), apply("Gather", shape, np.int64(i)), np.int64(1))
        column = apply("Reshape", places, ints(*(-1 if j == i else 1 for j in range(indices.ndim))))
        own.append(apply("Expand", column, shape))
    return apply("Concat", *own, indices, axis=-1)


@gradient_of("ScatterElements", "Scatter")
def _scatter_elements_gradient(dy: Operand, y: Operand, x: Operand, indices: Operand, updates: Operand, *,
                               axis: int = 0, reduction: str = "none") -> Gradients:
    return _scatter_gradient(dy, y, x, updates, *_elements(indices, axis), reduction)


@gradient_of("ScatterND")
def _scatter_nd_gradient(dy: Operand, y: Operand, x: Operand, indices: Operand, updates: Operand, *,
                         reduction: str = "none") -> Gradients:
    return _scatter_gradient(dy, y, x, updates, partial(_scatter_nd, indices=indices),
                             lambda z: apply("GatherND", z, indices), reduction)


def _elements(indices: Operand, axis: int) -> tuple[Scatter, Gather]:
    def scatter(data: Operand, updates: Operand, reduction: str) -> Operand:
        return apply("ScatterElements", data, indices, updates, axis=axis, reduction=reduction)

    return scatter, lambda z: apply("GatherElements", z, indices, axis=axis)


def _scatter_gradient(dy: Operand, y: Operand, x: Operand, updates: Operand, scatter: Scatter, gather: Gather,
                      reduction: str) -> Gradients:
    if reduction == "none":
        return lambda: scatter(dy, blank(updates), reduction="none"), lambda: None, lambda: gather(dy)
    if reduction == "add":
        return dy, None, lambda: gather(dy)
    if reduction == "mul":
        return (lambda: dy * scatter(blank(x, 1.0), updates, reduction="mul"), None,
                lambda: _factor_gradient(dy, x, updates, scatter, gather))
    share = _share(dy, y, x, updates, scatter, gather)
    return (lambda: apply("Where", apply("Equal", x, y), share, 0.0), None,
            lambda: apply("Where", apply("Equal", updates, gather(y)), gather(share), 0.0))


def _factor_gradient(dy: Operand, x: Operand, updates: Operand, scatter: Scatter, gather: Gather) -> Operand:
    """The product of all other factors of the same place."""
    is_zero = apply("Equal", updates, 0.0)
    factor = apply("Where", is_zero, 1.0, updates)

    def sum_of_others(z: Operand) -> Operand:
        return gather(add_up(scatter, z, apply("Shape", x))) - z

    others = left_after(is_zero, updates, sum_of_others) / factor
    return gather(dy * scatter(x, factor, reduction="mul")) * others


def _share(dy: Operand, y: Operand, x: Operand, updates: Operand, scatter: Scatter, gather: Gather) -> Operand:
    """`dy` divided by how many elements are the extreme one of its place."""
    kind = ELEM_TYPES[x.dtype]
    is_chosen = apply("Cast", apply("Equal", updates, gather(y)), to=kind)
    number = apply("Cast", apply("Equal", x, y), to=kind) + add_up(scatter, is_chosen, apply("Shape", x))
    return dy / apply("Max", number, 1.0)


@gradient_of("Compress")
def _compress_gradient(dy: Operand, y: Operand, x: Operand, condition: Operand, *, axis: int | None = None) -> Operand:
    places = apply("Reshape", apply("NonZero", condition), ints(-1))
    if axis is not None:
        return slices_back(dy, x, places, axis % x.ndim)
    return reshape_like(slices_back(dy, apply("Reshape", x, ints(-1)), places, 0), x)


@gradient_of("OneHot")
def _one_hot_gradient(dy: Operand, y: Operand, indices: Operand, depth: Operand, values: Operand, *, axis: int = -1,
                      ) -> Gradients:
    """The sums of the gradient over the places of the two values, off and on."""
    whole = ELEM_TYPES["int64"]
    hot = apply("OneHot", apply("Cast", indices, to=whole), apply("Cast", depth, to=whole), ints(0, 1), axis=axis)
    is_on = apply("Cast", hot, to=ELEM_TYPES["bool"])
    sums = [apply("Reshape", apply("ReduceSum", z, keepdims=0), ints(1)) for z in (
        apply("Where", is_on, 0.0, dy), apply("Where", is_on, dy, 0.0))]
    return None, None, apply("Concat", *sums, axis=0)


@gradient_of("TopK", every_output=True)
def _top_k_gradient(dys: tuple[Operand | None, ...], ys: tuple[Operand | None, ...], x: Operand,
                    count: Operand | None = None, *, axis: int = -1, k: int | None = None, largest: int = 1,
                    sorted: int = 1) -> Operand | None:
    """Back to the places that the values came from."""
    dy, places = dys[0], ys[1]
    return None if dy is None or places is None else add_up(_elements(places, axis)[0], dy, apply("Shape", x))


@gradient_of("Unique", every_output=True)
def _unique_gradient(dys: tuple[Operand | None, ...], ys: tuple[Operand | None, ...], x: Operand, *,
                     axis: int | None = None, sorted: int = 1) -> Operand | None:
    """Back to the first of equal elements."""
    if dys[0] is None:
        return None
    places = ys[1] if len(ys) > 1 else None
    if places is None:
        _, places = apply_many("Unique", x, axis=axis, sorted=sorted, outputs=2)
    if axis is not None:
        return slices_back(dys[0], x, places, axis % x.ndim)
    return reshape_like(slices_back(dys[0], apply("Reshape", x, ints(-1)), places, 0), x)


@gradient_of("TensorScatter")
def _tensor_scatter_gradient(dy: Operand, y: Operand, past: Operand, update: Operand, starts: Operand | None = None,
                             *, axis: int = -2, mode: str = "linear") -> Gradients:
    """What was there, with zeros where it was overwritten; and the gradient at the places written."""
    rank, axis = update.ndim, axis % update.ndim
    places = apply("Reshape", apply("Range", np.int64(0), dimension(update, axis), np.int64(1)),
                   ints(*(-1 if i == axis else 1 for i in range(rank))))
    if starts is not None:
        places = places + apply("Reshape", starts, ints(-1, *[1] * (rank - 1)))
    if mode == "circular":
        places = apply("Mod", places, dimension(past, axis))
    scatter, gather = _elements(apply("Expand", places, apply("Shape", update)), axis)
    return lambda: scatter(dy, blank(update), reduction="none"), lambda: gather(dy)
