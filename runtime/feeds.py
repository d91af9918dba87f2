"""Values on their way into ONNX Runtime and back: arrays of every dtype, strings, lists, optionals and maps."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.errors import DtypeError, GraphError, ShapeError, SymgraphError, nearest
from symgraph.core.tensor import Operand
from symgraph.core.types import (
    ELEM_TYPES,
    FLOATS,
    SIGNED,
    UNSIGNED,
    MapType,
    OptionalType,
    SequenceType,
    TensorType,
    ValueType,
    as_dtype,
    is_floating,
    is_integer,
    numpy_dtype,
)
from symgraph.core.value import Array, as_array, convert_array
from symgraph.runtime.ort import Run, onnxruntime, run_function

PLAIN = frozenset((*FLOATS, *SIGNED, *UNSIGNED, "bool", "string")) - {"bfloat16"}
"""dtypes that ONNX Runtime takes and gives as NumPy arrays; the others travel as their bits."""

_NIBBLES = frozenset({"int4", "uint4", "float4_e2m1fn"})
_CRUMBS = frozenset({"int2", "uint2"})
PACKED = _NIBBLES | _CRUMBS
"""dtypes of which ONNX stores several in a byte, and NumPy one."""


def is_plain(value_type: ValueType | None) -> bool:
    """Whether values of this type go in and out as NumPy arrays, lists and dictionaries."""
    match value_type:
        case TensorType(dtype, _):
            return dtype in PLAIN
        case SequenceType(element) | OptionalType(element):
            return is_plain(element)
    return True


def bare_run(session: Any, output_types: Sequence[ValueType | None]) -> Run:
    """The session's run function: NumPy arrays of every dtype in and out, as cheap as the dtypes allow."""
    plain = run_function(session)
    inputs = session.get_inputs()
    if all(map(is_plain, output_types)) and not any(_is_odd(x.type) for x in inputs):
        return plain
    if all(map(is_plain, output_types)):
        def run_plain(names: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> list[Any]:
            return session.run(names, {name: as_feed(x) for name, x in feeds.items()}, options)  # type: ignore[no-any-return]

        return run_plain
    dtypes = [t.dtype if isinstance(t, TensorType) else None for t in output_types]

    def run(names: Sequence[str], feeds: Mapping[str, Any], options: Any = None) -> list[Any]:
        values = {name: as_ort_value(x) for name, x in feeds.items()}
        results = session.run_with_ort_values(list(names), values, options)
        return [from_ort_value(x, dtype) for x, dtype in zip(results, dtypes, strict=True)]

    return run


def _is_odd(onnx_type: str) -> bool:
    return any(sign in onnx_type for sign in ("bfloat16", "float8", "float4", "int4", "int2", "float6"))


def as_feed(value: Any) -> Any:
    """A value as `InferenceSession.run` takes it: arrays of dtypes that NumPy lacks become OrtValues."""
    if isinstance(value, np.ndarray) and value.dtype.isbuiltin != 1 and value.dtype != object:
        return as_ort_value(value)
    return value


def as_ort_value(array: Array) -> Any:
    """The array as an OrtValue; it shares the array's memory wherever NumPy and ONNX store it alike."""
    ort = onnxruntime()
    dtype = as_dtype(array.dtype)
    if dtype in PLAIN:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    code = ELEM_TYPES[dtype]
    if dtype not in PACKED:
        bits = np.ascontiguousarray(array).reshape(array.shape).view(f"u{array.dtype.itemsize}")
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, code)
    packed = pack(array)
    value = ort.OrtValue.ortvalue_from_shape_and_type(list(array.shape), code)
    ctypes.memmove(value.data_ptr(), packed.ctypes.data, packed.nbytes)
    return value


def from_ort_value(value: Any, dtype: str | None) -> Any:
    """What an OrtValue holds, as an array of its own."""
    if dtype is None or dtype in PLAIN:
        return value.numpy()
    shape = tuple(value.shape())
    target = numpy_dtype(dtype)
    count = int(np.prod(shape, dtype=object))
    per_byte = 2 if dtype in _NIBBLES else 4 if dtype in _CRUMBS else 1
    size = -(-count // per_byte) * (1 if per_byte > 1 else target.itemsize)
    bits = np.frombuffer(ctypes.string_at(value.data_ptr(), size), np.uint8).copy() if size else np.empty(0, np.uint8)
    return unpack(bits, shape, dtype) if per_byte > 1 else bits.view(target).reshape(shape)


def pack(array: Array) -> Array:
    """4-bit or 2-bit numbers as ONNX stores them: several in a byte, the first lowest."""
    bits = 4 if as_dtype(array.dtype) in _NIBBLES else 2
    per_byte = 8 // bits
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8) & (2**bits - 1)
    raw = np.pad(raw, (0, -raw.size % per_byte)).reshape(-1, per_byte)
    packed = np.zeros(len(raw), np.uint8)
    for position in range(per_byte):
        packed |= raw[:, position] << (bits * position)
    return packed


def unpack(packed: Array, shape: tuple[int, ...], dtype: str) -> Array:
    """The inverse of `pack`."""
    bits = 4 if dtype in _NIBBLES else 2
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    raw = ((packed[:, None] >> shifts) & (2**bits - 1)).reshape(-1)[:int(np.prod(shape, dtype=object))]
    if dtype.startswith("int"):
        raw = ((raw ^ (1 << (bits - 1))).astype(np.int8) - (1 << (bits - 1))).astype(numpy_dtype(dtype))
    elif dtype.startswith("uint"):
        raw = raw.astype(numpy_dtype(dtype))
    else:
        raw = raw.view(numpy_dtype(dtype))
    unpacked: Array = raw.reshape(shape)
    return unpacked


def check_feed(name: str, value: Any, wanted: ValueType | None) -> Any:
    """The value as ONNX Runtime takes it for an input of this type.

    Strided and big-endian arrays, tensors, Python numbers and lists are converted; lists and numbers take the
    declared dtype. Errors name the input, what it got and what it expected.
    """
    match wanted:
        case TensorType():
            return _check_tensor(name, value, wanted)
        case SequenceType(element):
            if not isinstance(value, list | tuple):
                raise DtypeError(f"input {name!r}: got {_shown(value)}, expected {wanted}: give a list of arrays")
            return [check_feed(f"{name}[{i}]", x, element) for i, x in enumerate(value)]
        case OptionalType(element):
            return None if value is None else check_feed(name, value, element)
        case MapType():
            if not isinstance(value, Mapping):
                raise DtypeError(f"input {name!r}: got {_shown(value)}, expected {wanted}: give a dictionary")
            return {k: x.item() if isinstance(x, np.generic) else x for k, x in value.items()}
    return as_array(value) if not isinstance(value, np.ndarray) else value


def _check_tensor(name: str, value: Any, wanted: TensorType) -> Array:
    if value is None:
        raise DtypeError(f"input {name!r}: got None, expected {wanted}")
    array = _as_declared(name, value, wanted)
    got = TensorType(as_dtype(array.dtype), array.shape)
    if got.dtype != wanted.dtype:
        raise DtypeError(f"input {name!r}: got {got}, expected {wanted}; {_cast_hint(wanted.dtype)}")
    if not _fits(array.shape, wanted):
        raise ShapeError(f"input {name!r}: got {got}, expected {wanted}")
    if got.dtype == "string" and any(isinstance(x, bytes) for x in array.flat):
        array = _decoded(name, array)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _as_declared(name: str, value: Any, wanted: TensorType) -> Array:
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OUS":
        return value
    is_untyped = isinstance(value, bool | int | float | complex | str | list | tuple | range) and not (
        isinstance(value, np.generic))
    try:
        array = as_array(value)
    except SymgraphError as error:
        raise type(error)(f"input {name!r}: {error}; expected {wanted}") from None
    if not is_untyped or as_dtype(array.dtype) == wanted.dtype:
        return array
    kind = array.dtype.kind
    is_number = kind in "biuf" and wanted.dtype not in ("bool", "string")
    loses = (kind == "f" and not is_floating(wanted.dtype)) or (
        kind in "iu" and is_integer(wanted.dtype) and array.size and not _holds_all(wanted.dtype, array))
    if array.size and (not is_number or loses):
        raise DtypeError(f"input {name!r}: got {_shown(value)}, expected {wanted}: the numbers do not fit")
    return as_array(value, wanted.dtype) if array.size else convert_array(array, wanted.dtype)


def _holds_all(dtype: str, array: Array) -> bool:
    if dtype not in (*SIGNED, *UNSIGNED):
        return True
    info = np.iinfo(dtype)
    return bool(info.min <= array.min() and array.max() <= info.max)


def _fits(shape: tuple[int, ...], wanted: TensorType) -> bool:
    return wanted.shape is None or (len(shape) == len(wanted.shape) and all(
        not isinstance(want, int) or want == got for got, want in zip(shape, wanted.shape, strict=True)))


def _decoded(name: str, array: Array) -> Array:
    try:
        texts = [x.decode() if isinstance(x, bytes) else x for x in array.flat]
    except UnicodeDecodeError:
        raise DtypeError(f"input {name!r}: ONNX Runtime takes text only, got bytes that are not UTF-8") from None
    return np.array(texts, object).reshape(array.shape)


def _cast_hint(dtype: str) -> str:
    known = f"np.{dtype}" if hasattr(np, dtype) else f"{'object' if dtype == 'string' else f'ml_dtypes.{dtype}'}"
    return f"cast it with .astype({known})"


def _shown(value: Any) -> str:
    if isinstance(value, Operand):
        return str(value.type)
    if isinstance(value, np.ndarray | np.generic):
        return str(TensorType(as_dtype(value.dtype), value.shape))
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def check_names(given: Iterable[str], wanted: Sequence[str], who: str) -> None:
    """Every input is given and nothing else.

    Errors: `GraphError` naming the missing and the unknown ones, with the inputs there are.
    """
    names = list(given)
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if name not in wanted]
    if missing or unknown:
        parts = [f"no value for input {', '.join(map(repr, missing))}"] if missing else []
        if unknown:
            parts.append(f"no input is called {', '.join(map(repr, unknown))}")
        hint = nearest(str(unknown[0]), wanted) if unknown else f"there are: {', '.join(wanted)}"
        raise GraphError(f"{who}: {'; '.join(parts)}; {hint}")
