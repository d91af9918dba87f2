"""Elements of datasets: nestings of arrays, strings and numbers, taken apart, put together, handed to functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError, TrainingError
from symgraph.core.structure import flatten, in_order_of, map_structure, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, as_dtype, numpy_dtype, promote_dtypes
from symgraph.core.value import Tensor, as_array
from symgraph.training.data.columns import Array, dense, is_one_array

Element = Any
"""A nesting of tuples, lists and dicts; inside the pipeline its leaves are NumPy arrays, strings, Python numbers."""


def as_element(value: Any) -> Element:
    """What a user or a file gave as an element, with NumPy arrays for tensors and for lists of numbers.

    Arrays that someone else could still change are copied.
    """
    if isinstance(value, np.ndarray):
        return value.copy() if value.flags.writeable or not value.flags.owndata else value
    if isinstance(value, np.generic | str | bytes | bool | int | float) or value is None:
        return value
    if isinstance(value, Tensor):
        return value.numpy()
    if isinstance(value, Mapping):
        return {key: as_element(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        if isinstance(value, list) and is_one_array(value):
            return as_array(value)
        parts = [as_element(part) for part in value]
        if isinstance(value, list):
            return parts
        make: Any = type(value)
        return make(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, Operand) or any(hasattr(value, name) for name in ("__array__", "detach", "__dlpack__")):
        return as_element(dense("an element", value))
    return value


def handed_out(element: Element) -> Any:
    """The element as users see it: tensors for arrays."""
    if isinstance(element, np.ndarray):
        return Tensor(element)
    if isinstance(element, np.generic):
        return Tensor(np.array(element))
    return map_structure(handed_out, element) if isinstance(element, tuple | list | dict) else element


def call(function: Callable[..., Any], element: Element) -> Any:
    """`function` of an element: of its parts, where it is a tuple."""
    given = handed_out(element)
    return function(*given) if type(given) is tuple else function(given)


def stack(elements: Sequence[Element]) -> Element:
    """One element of many: their arrays one above the other, nested as they are.

    Errors: `ShapeError` where arrays differ in shape, `TrainingError` where elements differ in their nesting.
    """
    return join(elements, stack_leaves)


def join(elements: Sequence[Element], combine: Callable[[list[Any], int], Array]) -> Element:
    """One element of many, with `combine(leaves, number)` of the leaves in each place.

    Errors: `TrainingError` where elements differ in their nesting.
    """
    first = elements[0]
    if not isinstance(first, tuple | list | dict):
        return combine(list(elements), 0)
    outline = map_structure(lambda _: 0, first)
    for number, element in enumerate(elements):
        if map_structure(lambda _: 0, element) != outline:
            raise TrainingError(f"element {number} of the batch is nested as {shown(element)}, "
                                f"the first as {shown(first)}")
    columns = [flatten(in_order_of(element, first)) for element in elements]
    return pack(first, [combine(list(leaves), i) for i, leaves in enumerate(zip(*columns, strict=True))])


def stack_leaves(leaves: list[Any], number: int) -> Array:
    """Arrays one above the other; numbers and strings as one array."""
    first, what = leaves[0], f"array {number} of the elements"
    if not isinstance(first, np.ndarray):
        return _of_scalars(leaves, what)
    out = np.empty((len(leaves), *first.shape), dtype_of(leaves, what))
    for i, leaf in enumerate(leaves):
        if np.shape(leaf) != first.shape:
            raise ShapeError(f"{what} cannot be batched: the first has shape {first.shape}, element {i} "
                             f"{np.shape(leaf)}; padded_batch fills shorter ones up")
        out[i, ...] = leaf
    return out


def dtype_of(leaves: Sequence[Any], what: str) -> np.dtype[Any]:
    """The dtype for what all of these arrays and numbers hold.

    Errors: `DtypeError` for numbers beside strings.
    """
    first = leaves[0].dtype
    others = {(x if isinstance(x, np.ndarray | np.generic) else as_array(x)).dtype for x in leaves} - {first}
    try:
        return numpy_dtype(reduce(promote_dtypes, map(as_dtype, others), as_dtype(first))) if others else first
    except DtypeError as error:
        raise DtypeError(f"{what} cannot be batched: {error}") from None


def _of_scalars(leaves: list[Any], what: str) -> Array:
    if isinstance(leaves[0], str | bytes):
        return np.array(leaves, object)
    if isinstance(leaves[0], np.generic):
        return np.array(leaves)
    if not isinstance(leaves[0], bool | int | float):
        raise TrainingError(f"{what} cannot be batched: they are of type {type(leaves[0]).__name__}, "
                            "no numbers or strings")
    return as_array(leaves)


def rows(element: Element) -> list[Element]:
    """The elements that one batch is made of.

    Errors: `ShapeError` where arrays have different numbers of rows, or none.
    """
    leaves = flatten(element)
    lengths = {len(leaf) if np.ndim(leaf) else None for leaf in leaves}
    if len(lengths) != 1 or None in lengths:
        raise ShapeError(f"unbatch needs arrays with one number of rows, got {shown(element)}")
    count = len(leaves[0])
    return [pack(element, [leaf[i] for leaf in leaves]) for i in range(count)]


def types_of(element: Element) -> Any:
    """A `TensorType` for each array of the element."""
    return map_structure(_type_of, element)


def _type_of(leaf: Any) -> Any:
    if isinstance(leaf, str | bytes):
        return TensorType("string", ())
    if leaf is None or not isinstance(leaf, np.ndarray | np.generic | bool | int | float):
        return type(leaf)
    array = leaf if isinstance(leaf, np.ndarray | np.generic) else as_array(leaf)
    return TensorType(as_dtype(array.dtype), array.shape)


def shown(element: Element) -> str:
    """The element's nesting, for messages: `(float32[3], int64[])`."""
    return str(map_structure(str, types_of(element))).replace("'", "")


def number_of(value: Any, who: str, least: int) -> int:
    """A whole number that a user gave.

    Errors: `TrainingError`.
    """
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise TrainingError(f"{who} is a whole number of at least {least}, got {value!r}")
    return int(value)
