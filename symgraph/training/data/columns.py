"""Columns: arrays of a user, of whatever library, read row by row into NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symgraph.core.errors import DtypeError, ShapeError, TrainingError
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, as_dtype
from symgraph.core.value import as_array
from symgraph.core.variable import Variable

Array = npt.NDArray[Any]
Index = npt.NDArray[np.intp]
Rows = slice | Index

CONVERT_AT_ONCE = 2**28
"""Bytes up to which an array is converted as a whole, where it must be; larger ones are batch by batch."""


class Column:
    """The rows of one array, in the dtype they are delivered in: float64 as float32, others as they are."""

    __slots__ = ("array", "dtype", "is_indexable", "length", "name", "row_shape")

    def __init__(self, name: str, array: Any, dtype: np.dtype[Any] | None = None) -> None:
        self.name = name
        self.array = array
        self.length = int(array.shape[0])
        self.row_shape = tuple(int(d) for d in array.shape[1:])
        self.dtype = delivered(array.dtype) if dtype is None else dtype
        flags = array.flags if isinstance(array, np.ndarray) else None
        self.is_indexable = flags is not None and bool(flags.c_contiguous and flags.aligned) and array.dtype.isnative

    @property
    def type(self) -> TensorType:
        """dtype and shape of a batch."""
        return TensorType(as_dtype(self.dtype), (None, *self.row_shape))

    def new(self, count: int) -> Array:
        """Memory for so many rows."""
        return np.empty((count, *self.row_shape), self.dtype)

    def rows(self, rows: Rows) -> Array:
        """These rows, of the array's own dtype."""
        return np.asarray(self.array[rows])

    def reader(self, out: Array) -> Callable[[Rows], None]:
        """What reads as many rows as `out` has into it, with as little around the copy as there can be."""
        array = self.array
        if not self.is_indexable or array.dtype != out.dtype or not out.flags.c_contiguous:
            return lambda rows: self.read(rows, out)
        take = array.take

        def read(rows: Rows) -> None:
            if type(rows) is slice:
                out[...] = array[rows]
            else:
                take(rows, 0, out, "clip")

        return read

    def read(self, rows: Rows, out: Array) -> None:
        """Write these rows into `out`, cast to its dtype."""
        out[...] = self.rows(rows)

    def part(self, start: int, stop: int) -> Any:
        """The rows between, as an array of the kind that was given, without a copy where that can be."""
        return self.array[start:stop]


class SparseColumn(Column):
    """The rows of a SciPy sparse matrix, made dense batch by batch."""

    __slots__ = ()

    def rows(self, rows: Rows) -> Array:
        dense: Array = self.array[rows].toarray()
        return dense


class StoredColumn(Column):
    """The rows of an array on disk that takes only growing indices, such as h5py's."""

    __slots__ = ()

    def rows(self, rows: Rows) -> Array:
        if isinstance(rows, slice):
            return np.asarray(self.array[rows])
        growing, places = np.unique(rows, return_inverse=True)
        part: Array = np.asarray(self.array[growing])
        return part[places]


def native(dtype: Any) -> np.dtype[Any]:
    """`dtype` in the byte order of this machine; `object` for strings."""
    dtype = np.dtype(dtype)
    return np.dtype(object) if dtype.kind in "SU" else dtype.newbyteorder("=")


def delivered(dtype: Any) -> np.dtype[Any]:
    """The dtype that data of `dtype` is delivered in: float32 for wider floats, native byte order."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f" and dtype.itemsize > 4:
        return np.dtype(np.float32)
    return native(dtype)


def columns_of(name: str, value: Any, *, keep_dtype: bool = False) -> Any:
    """`value` with a `Column` for every array in it, nested as it was given; None stays None.

    Columns deliver wide floats as float32, unless `keep_dtype`.

    A list whose first element, however deep, is a number is one array, and so is a tuple of numbers.

    Errors: `DtypeError` for objects that are no numbers, `ShapeError` for what has no rows, each with the name.
    """
    if value is None:
        return None
    return _nested(name, value, keep_dtype)


def _nested(name: str, value: Any, keep_dtype: bool) -> Any:
    if isinstance(value, Mapping):
        return {key: _nested(f"{name}[{key!r}]", part, keep_dtype) for key, part in value.items()}
    if isinstance(value, list | tuple) and not is_one_array(value):
        parts = [_nested(f"{name}[{i}]", part, keep_dtype) for i, part in enumerate(value)]
        if isinstance(value, list):
            return parts
        make: Any = type(value)
        return make(*parts) if hasattr(value, "_fields") else tuple(parts)
    return column(name, value, keep_dtype=keep_dtype)


def weights_of(value: Any) -> Any:
    """`value` with a float32 column for every array of sample weights in it."""
    if hasattr(value, "to_frame"):
        value = value.to_numpy()
    weights = columns_of("sample_weight", value)
    for part in [] if weights is None else flatten(weights):
        if part.array.dtype.kind not in "biuf":
            raise DtypeError(f"{part.name} has dtype {part.array.dtype}; sample weights are numbers")
        part.dtype = np.dtype(np.float32)
        part.is_indexable = part.is_indexable and part.array.dtype == np.float32
    return weights


def is_arrays(x: Any) -> bool:
    """Whether `x` is an array, or a nesting of arrays, rather than something that gives batches."""
    if isinstance(x, Operand | np.ndarray | np.generic | Mapping | bool | int | float):
        return True
    if isinstance(x, list | tuple):
        return True
    return any(hasattr(x, name) for name in ("shape", "__array__", "to_numpy", "__dlpack__", "tocsr"))


def is_one_array(value: object) -> bool:
    """Whether a list or tuple holds numbers, rather than arrays: tuples of lists are several arrays."""
    if isinstance(value, tuple) and value and isinstance(value[0], list | tuple):
        return False
    while isinstance(value, list | tuple):
        if not value:
            return True
        value = value[0]
    return isinstance(value, bool | int | float | complex | str | bytes | np.generic)


def column(name: str, value: Any, *, keep_dtype: bool = False) -> Column:
    """The column of one array.

    Errors: `DtypeError`, `ShapeError`, `TrainingError`.
    """
    if value is None:
        raise TrainingError(f"{name} is None, where an array was expected")
    if hasattr(value, "tocsr"):
        matrix = value.tocsr()
        return SparseColumn(name, matrix, matrix.dtype if keep_dtype else delivered(matrix.dtype))
    if _is_stored(value):
        return StoredColumn(name, value)
    array = dense(name, value)
    if array.ndim == 0:
        raise ShapeError(f"{name} is a single number, {array}; samples lie along the first axis of an array "
                         "(dataset.batch(32) makes batches of single samples)")
    if not keep_dtype and array.ndim == 1 and hasattr(value, "to_frame"):
        array = array[:, None]  # a series of pandas is a column, as in Keras
    dtype = native(array.dtype) if keep_dtype else delivered(array.dtype)
    is_plain = array.dtype == dtype and array.flags.aligned and array.flags.c_contiguous
    if not is_plain and array.nbytes <= CONVERT_AT_ONCE and not _is_mapped(array):
        array = np.ascontiguousarray(array, dtype)
    return Column(name, array, dtype)


def dense(name: str, value: Any) -> Array:
    """A NumPy array of `value`, sharing its memory where that can be: of NumPy, pandas, PyTorch, or anything else."""
    try:
        array = _as_numpy(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") if isinstance(error, DtypeError | ShapeError) else ShapeError(
            f"{name}: {type(value).__name__} cannot become an array: {error}") from None
    if array.dtype.kind == "O" and not all(isinstance(x, str | bytes) for x in array.flat):
        array = _of_objects(name, value, array)
    if array.dtype.kind in "mMV":
        try:
            as_dtype(array.dtype)
        except DtypeError:
            raise DtypeError(f"{name} has dtype {array.dtype}; data are numbers, booleans or strings") from None
    return array


def _as_numpy(value: Any) -> Array:
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if isinstance(value, Variable):
        return value.numpy()
    if hasattr(value, "detach"):
        return np.asarray(value.detach().cpu().numpy())
    for method in ("to_numpy", "numpy"):
        if hasattr(value, method):
            return np.asarray(getattr(value, method)())
    return np.asarray(value) if hasattr(value, "__array__") else as_array(value)


def _of_objects(name: str, value: Any, array: Array) -> Array:
    """Numbers that came as Python objects, as tables of mixed columns give them."""
    if hasattr(value, "to_numpy") and all(isinstance(x, bool | int | float | np.generic) for x in array.flat):
        return np.array(array.tolist())
    kinds = sorted({type(x).__name__ for x in array.flat})
    raise DtypeError(f"{name} has dtype object, with elements of type {', '.join(kinds)}; "
                     f'data are numbers, booleans or strings: {name}.astype("float32") where the values are numbers')


def _is_stored(value: Any) -> bool:
    return not isinstance(value, np.ndarray) and all(
        hasattr(value, name) for name in ("shape", "dtype", "chunks", "__getitem__")) and len(value.shape) > 0


def _is_mapped(array: Array) -> bool:
    """Whether the memory is a file's."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return hasattr(base, "madvise")


def count_rows(columns: Sequence[Column], *, allow_none: bool = False) -> int:
    """The number of samples that all columns agree on.

    Errors: `TrainingError` where they differ, with all names and counts, or where there are none.
    """
    if not columns:
        raise TrainingError("there is no array in x, so there is nothing to learn from")
    counts = {part.length for part in columns}
    if len(counts) > 1:
        shown = ", ".join(f"{part.name}: {part.length}" for part in columns)
        raise TrainingError(f"the arrays have different numbers of samples ({shown}); "
                            "row i of each belongs to sample i")
    (count,) = counts
    if count == 0 and not allow_none:
        raise TrainingError(f"{columns[0].name} has no samples (its shape is {(0, *columns[0].row_shape)})")
    return count
