"""Values: immutable tensors, and how NumPy arrays and Python numbers become them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from symgraph.core.errors import DisposedError, DtypeError, ShapeError
from symgraph.core.memory import ledger, tidy_scope
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, as_dtype, as_shape, is_floating, is_integer, numpy_dtype

Array = npt.NDArray[Any]


class Buffer(Protocol):
    """Memory of a device, as the runtime holds it."""

    def numpy(self) -> Array: ...
    def device_name(self) -> str: ...


@lru_cache(maxsize=4096)
def _value_type(dtype: np.dtype[Any], shape: tuple[int, ...]) -> TensorType:
    return TensorType(as_dtype(dtype), shape)


class Tensor(Operand):
    """An immutable array of numbers. Ops on it run at once.

    `mask` says which of its steps count, where a layer has said so; ops do not hand it on.

    >>> import symgraph as sg
    >>> sg.tensor([[1.0, 2.0]]).shape
    (1, 2)
    """

    __slots__ = ("_buffer", "_is_counted", "_kept", "_size", "hint", "mask", "type")

    def __init__(
            self, array: Array | Buffer, value_type: TensorType | None = None, name: str | None = None) -> None:
        """Take over `array` without copying it: it must never change again."""
        if isinstance(array, np.ndarray):
            value_type = value_type or _value_type(array.dtype, array.shape)
            self._size = array.nbytes
            array.setflags(write=False)
        else:
            assert value_type is not None and value_type.shape is not None
            self._size = numpy_dtype(value_type.dtype).itemsize * _product(value_type.shape)
        self.type = value_type
        self.hint = name  # the name it had in a file
        self.mask: Operand | None = None
        self._buffer: Array | Buffer | None = array
        self._kept = False
        self._is_counted = True
        ledger.change(1, self._size)
        scope = tidy_scope()
        if scope is not None:
            scope.append(self)

    def numpy(self) -> Array:
        """The value as a NumPy array that cannot be written to; `np.array(x)` makes one that can."""
        buffer = self._buffer if self._buffer is not None else self.buffer
        if isinstance(buffer, np.ndarray):
            return buffer
        array = buffer.numpy()
        array.flags.writeable = False
        return array

    @property
    def buffer(self) -> Array | Buffer:
        """The memory behind the value: a NumPy array, or the runtime's own on another device."""
        if self._buffer is None:
            raise DisposedError(f"this {type(self).__name__} of type {self.type} was used after dispose(); "
                                "sg.keep(x) keeps one that a tidy() would free")
        return self._buffer

    @property
    def device(self) -> str:
        """Where the value lies, such as `"CPU:0"`."""
        buffer = self.buffer
        return "CPU:0" if isinstance(buffer, np.ndarray) else buffer.device_name()

    @property
    def size(self) -> int:
        """The number of elements."""
        return _product(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes the value takes."""
        return self._size

    @property
    def is_disposed(self) -> bool:
        """Whether `dispose` was called."""
        return self._buffer is None

    def dispose(self) -> None:
        """Free the memory now; any later use raises `DisposedError`. Twice is once."""
        if self._buffer is not None:
            self._buffer = None
            if self._is_counted:
                ledger.change(-1, -self._size)

    def __del__(self) -> None:
        if getattr(self, "_buffer", None) is not None and self._is_counted:
            ledger.change(-1, -self._size)

    def item(self) -> Any:
        """The only element as a Python number."""
        return self.numpy().item()

    def tolist(self) -> Any:
        """The value as nested Python lists."""
        return self.numpy().tolist()

    def print(self) -> None:
        """Print the value."""
        print(self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **options: Any) -> Any:
        return np.array(self.numpy()).__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if not is_integer(self.dtype):
            raise TypeError(f"a {self.dtype} tensor is no index")
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item() if spec and not self.shape else self, spec) if spec else str(self)

    def __str__(self) -> str:
        return str(self.numpy())

    def __repr__(self) -> str:
        if self._buffer is None:
            return f"<{type(self).__name__} {self.type}, disposed>"
        values = np.array2string(self.numpy(), separator=", ", threshold=100)
        gap = "\n" if "\n" in values else " "
        return f"<{type(self).__name__} shape={self.shape} dtype={self.dtype}, value={gap}{values}>"

    def __reduce__(self) -> tuple[Callable[..., Tensor], tuple[Any, ...]]:
        return Tensor, (np.array(self.numpy()), None, self.hint)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: object) -> Tensor:
        return self


def _product(shape: Iterable[object]) -> int:
    size = 1
    for dim in shape:
        assert isinstance(dim, int)
        size *= dim
    return size


def as_array(value: object, dtype: str | None = None) -> Array:
    """A NumPy array of `value` that nobody else can change: ints become int32, Python floats float32.

    NumPy arrays keep their dtype (and become native-endian); anything with `__array__` or DLPack works.

    Errors: `DtypeError` for ragged or non-numeric data, `ShapeError` for what cannot be an array.
    """
    if isinstance(value, Tensor):
        array = value.numpy()
        return array if dtype is None or value.dtype == dtype else convert_array(array, dtype)
    is_typed = isinstance(value, np.ndarray | np.generic) or (
        hasattr(value, "__array__") and not isinstance(value, list | tuple))
    try:
        if not is_typed and hasattr(value, "__dlpack__"):
            value, is_typed = np.from_dlpack(value), True
        array = np.array(value)
    except (ValueError, TypeError) as error:
        raise ShapeError(f"{type(value).__name__} cannot become a tensor: {error}") from None
    if array.dtype.kind in "SU":
        array = array.astype(object)
    elif array.dtype.kind == "O":
        if not all(isinstance(x, str | bytes) for x in array.flat):
            raise DtypeError(f"a tensor holds numbers, booleans or strings, got {_odd(array)}")
    elif array.dtype.kind in "mMV" and not _is_known(array.dtype):
        raise DtypeError(f"a tensor holds numbers, booleans or strings, got dtype {array.dtype}")
    if dtype is None and not is_typed:
        dtype = _python_dtype(array)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    return array if dtype is None else convert_array(array, dtype)


def _odd(array: Array) -> str:
    odd = next(x for x in array.flat if not isinstance(x, str | bytes))
    return f"an element of type {type(odd).__name__}"


def _is_known(dtype: np.dtype[Any]) -> bool:
    try:
        as_dtype(dtype)
    except DtypeError:
        return False
    return True


def _python_dtype(array: Array) -> str | None:
    """The dtype of data without one: whole numbers int32 (int64 where they need it), others float32."""
    kind = array.dtype.kind
    if kind in "iu":
        fits = array.size == 0 or (array.max() <= 2**31 - 1 and array.min() >= -(2**31))
        return "int32" if fits else None
    return {"f": "float32", "c": "complex64"}.get(kind)


def convert_array(array: Array, dtype: str) -> Array:
    """`array` as `dtype`, without a copy where it is that already."""
    dtype = as_dtype(dtype)
    target = numpy_dtype(dtype)
    if array.dtype == target:
        return array
    with np.errstate(all="ignore"):
        if dtype == "string":
            return np.array([str(x) for x in array.flat], object).reshape(array.shape)
        return array.astype(target)


def tensor(values: object, shape: object = None, dtype: object = None) -> Tensor:
    """A tensor of `values`; flat values take the given `shape`. Whole numbers are int32, others float32.

    Errors: `ShapeError` where the number of values does not fill the shape.

    >>> import symgraph as sg
    >>> sg.tensor([1, 2, 3, 4, 5, 6], [2, 3]).tolist()
    [[1, 2, 3], [4, 5, 6]]
    """
    if isinstance(values, Operand) and not isinstance(values, Tensor) and not hasattr(values, "assign"):
        raise TypeError(f"{values!r} has no value yet, so it cannot become a tensor of values")
    array = as_array(values, None if dtype is None else as_dtype(dtype))
    if shape is not None:
        wanted = as_shape(shape)
        if any(not isinstance(d, int) for d in wanted) or _product(wanted) != array.size:
            raise ShapeError(f"{array.size} values do not fill the shape {list(wanted)}")
        array = array.reshape([d for d in wanted if isinstance(d, int)])
    return Tensor(array)


def scalar_fits(value: complex, dtype: str) -> bool:
    """Whether a Python number can become `dtype` without losing what it says (`0.5` cannot be an int)."""
    if isinstance(value, complex):
        return dtype.startswith("complex")
    if isinstance(value, float):
        return is_floating(dtype) or dtype.startswith("complex")
    if dtype == "bool":
        return isinstance(value, bool)
    if is_integer(dtype) and not isinstance(value, bool):
        bits = int(dtype.lstrip("uint"))
        low, high = (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return low <= value <= high
    return dtype != "string"
