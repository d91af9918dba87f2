"""Picking by booleans, and the places where elements are not zero."""

from __future__ import annotations

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import is_integer
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.shape import reshape
from symgraph.ops.sizes import as_axis, as_sizes, dimension, product

__all__ = ["boolean_mask", "nonzero", "unravel_index"]


def boolean_mask(x: object, mask: object, axis: int = 0) -> Operand:
    """The elements of `x` where `mask` is true, the axes of the mask, from `axis` on, made one (ONNX Compress).

    Errors: `ShapeError` where known sizes of the mask are not those of `x`.

    >>> import symgraph as sg
    >>> sg.ops.boolean_mask([1, 2, 3], [True, False, True]).tolist()
    [1, 3]
    """
    x, mask = as_operand(x), as_operand(mask, "bool")
    axis = as_axis(axis, x.ndim, "boolean_mask")
    given = x.shape[axis:axis + mask.ndim]
    if not mask.ndim or len(given) < mask.ndim or any(
            isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(given, mask.shape, strict=True)):
        raise ShapeError(f"boolean_mask: a mask of shape {mask.shape} does not fit {x.type} from axis {axis} on")
    if mask.ndim > 1:
        sizes = [dimension(x, i) for i in range(x.ndim)]
        merged = product(sizes[axis:axis + mask.ndim])
        x = reshape(x, (*sizes[:axis], merged, *sizes[axis + mask.ndim:]))
        mask = reshape(mask, (-1,))
    return apply("Compress", x, mask, axis=axis)


def find_places(x: Operand) -> Operand:
    """ONNX NonZero, `[rank, count]`, which ONNX Runtime has for some dtypes only."""
    return apply("NonZero", x if x.dtype in ("bool", "float32", "int32", "int64", "uint8") else cast_to(x, "bool"))


@method
def nonzero(x: object) -> tuple[Operand, ...]:
    """The places of the elements that are not zero: one int64 vector for each axis (ONNX NonZero).

    Errors: `ShapeError` for a scalar.

    >>> import symgraph as sg
    >>> [i.tolist() for i in sg.ops.nonzero([[0, 7], [8, 0]])]
    [[0, 1], [1, 0]]
    """
    x = as_operand(x)
    if not x.ndim:
        raise ShapeError("nonzero: a scalar has no places; reshape it to (1,)")
    places = find_places(x)
    return tuple(apply("Gather", places, np.int64(i), axis=0) for i in range(x.ndim))


def unravel_index(indices: object, shape: object) -> tuple[Operand, ...]:
    """The places, one tensor for each axis of `shape`, of elements counted in row-major order.

    Negative numbers count from the end. Sizes may be scalar symbols.

    >>> import symgraph as sg
    >>> [i.tolist() for i in sg.ops.unravel_index([4, -1], (2, 3))]
    [[1, 1], [1, 2]]
    """
    numbers = as_operand(indices)
    if not is_integer(numbers.dtype):
        raise DtypeError(f"unravel_index: indices must be whole numbers, got {numbers.dtype}; cast them")
    sizes = as_sizes(shape, "unravel_index")
    whole = numbers if numbers.dtype in ("int32", "int64") else cast_to(numbers, "int32")
    places: list[Operand] = []
    rest = whole
    for size in reversed(sizes):
        divisor = as_operand(size, whole.dtype)
        place = apply("Mod", rest, divisor)
        places.insert(0, cast_to(place, numbers.dtype))
        rest = apply("Div", apply("Sub", rest, place), divisor)
    return tuple(places)
