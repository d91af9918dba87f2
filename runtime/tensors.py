"""Tensors in files: ONNX's many ways to store an array, each checked before it is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import SparseTensorProto, TensorProto, numpy_helper
from onnx.helper import tensor_dtype_to_field

from symgraph.core.errors import DtypeError, FormatError, LimitError
from symgraph.core.types import DTYPE_NAMES, ELEM_TYPES, as_dtype, numpy_dtype
from symgraph.runtime.files import ExternalFiles, Limits

Array = np.ndarray[Any, Any]

PACKED_BITS = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2, "float6_e2m3fn": 6,
               "float6_e3m2fn": 6}
"""Dtypes of which several elements share a byte in a file."""


def stored_bytes(dtype: str, count: int) -> int:
    """How many bytes a file takes for `count` elements."""
    bits = PACKED_BITS.get(dtype)
    return count * numpy_dtype(dtype).itemsize if bits is None else (count * bits + 7) // 8


def read_tensor(proto: TensorProto, files: ExternalFiles, limits: Limits) -> Array:
    """The array a tensor stores; external data is mapped, not read.

    Errors: `DtypeError` for an element type that ONNX does not know, `FormatError` where the dims and the data
    do not fit, `LimitError` for what is too large; all name the tensor.
    """
    who = f"{files.who}: tensor {proto.name!r}"
    dtype = DTYPE_NAMES.get(proto.data_type)
    if dtype is None:
        raise DtypeError(f"{who} has the element type {proto.data_type}, which ONNX does not know")
    dims = _checked_dims(who, proto.dims, limits)
    count = math.prod(dims)
    size = stored_bytes(dtype, count)
    if size > limits.tensor_bytes:
        raise LimitError(f"{who} has the dims {list(dims)}, which takes {size} bytes; "
                         f"the limit is {limits.tensor_bytes} (Limits.tensor_bytes)")
    if proto.HasField("segment"):
        raise FormatError(f"{who} is stored in segments, which ONNX has not kept")
    if proto.data_location == TensorProto.EXTERNAL:
        if dtype == "string":
            raise FormatError(f"{who} holds strings, which cannot be external data")
        return _from_bytes(proto, dtype, dims, files.data(proto, size))
    if proto.HasField("raw_data"):
        raw = proto.raw_data
        if dtype == "string" or len(raw) != size:
            raise FormatError(f"{who} has the dims {list(dims)} of {dtype}, which take {size} bytes, "
                              f"but its raw data has {len(raw)}")
        return _from_bytes(proto, dtype, dims, raw)
    return _from_field(who, proto, dtype, dims, count)


def _checked_dims(who: str, given: Sequence[int], limits: Limits) -> tuple[int, ...]:
    dims = tuple(given)
    if any(d < 0 for d in dims):
        raise FormatError(f"{who} has the dims {list(dims)}; none may be negative")
    if len(dims) > limits.rank:
        raise LimitError(f"{who} has {len(dims)} dims, the limit is {limits.rank} (Limits.rank)")
    return dims


def _from_bytes(proto: TensorProto, dtype: str, dims: tuple[int, ...], data: bytes | memoryview) -> Array:
    if dtype in PACKED_BITS:
        copy = TensorProto(data_type=proto.data_type, dims=dims, raw_data=bytes(data))
        return numpy_helper.to_array(copy)
    target = numpy_dtype(dtype)
    array: Array = np.frombuffer(data, target.newbyteorder("<") if target.kind in "iufc" else target).reshape(dims)
    array = array.astype(target, copy=False)
    return array if array.flags.aligned else array.copy()


def _from_field(who: str, proto: TensorProto, dtype: str, dims: tuple[int, ...], count: int) -> Array:
    stored = len(getattr(proto, tensor_dtype_to_field(proto.data_type)))
    expected = count * 2 if dtype.startswith("complex") else count
    if PACKED_BITS.get(dtype, 8) < 6:
        expected = stored_bytes(dtype, count)
    if stored != expected:
        raise FormatError(
            f"{who} has the dims {list(dims)} of {dtype}, which take {expected} entries, it holds {stored}")
    try:
        if dtype == "string":
            array: Array = np.empty(count, object)
            array[:] = [text.decode("utf-8") for text in proto.string_data]
            return array.reshape(dims)
        array = numpy_helper.to_array(proto)
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"{who} cannot be read: {error}") from None
    return array


def read_sparse(proto: SparseTensorProto, files: ExternalFiles, limits: Limits) -> Array:
    """The dense array of a sparse tensor.

    Errors: as `read_tensor`, and `FormatError` for indices outside.
    """
    who = f"{files.who}: sparse tensor {proto.values.name!r}"
    values = read_tensor(proto.values, files, limits)
    indices = read_tensor(proto.indices, files, limits)
    dims = _checked_dims(who, proto.dims, limits)
    size = math.prod(dims) * values.itemsize
    if size > limits.sparse_bytes:
        raise LimitError(f"{who} has the dims {list(dims)}, which takes {size} bytes; "
                         f"the limit is {limits.sparse_bytes} (Limits.sparse_bytes)")
    shapes = (values.size,), (values.size, len(dims))
    if indices.dtype != np.int64 or values.ndim != 1 or indices.shape not in shapes:
        raise FormatError(f"{who} of {len(dims)} dims has values of shape {values.shape} and "
                          f"{indices.dtype} indices of shape {indices.shape}")
    bounds = np.array(dims if indices.ndim == 2 else math.prod(dims), np.int64)
    if (indices < 0).any() or (indices >= bounds).any():
        raise FormatError(f"{who} has indices outside of its dims {list(dims)}")
    dense = np.zeros(dims, values.dtype)
    if indices.ndim == 2:
        dense[tuple(indices.T)] = values
    else:
        dense.reshape(-1)[indices] = values
    return dense


def write_tensor(proto: TensorProto, array: Array, name: str) -> TensorProto:
    """Store an array in `proto`, inline."""
    dtype = as_dtype(array.dtype)
    if dtype in PACKED_BITS:
        proto.CopyFrom(numpy_helper.from_array(array, name))
        return proto
    proto.name = name
    proto.data_type = ELEM_TYPES[dtype]
    proto.dims.extend(array.shape)
    if dtype == "string":
        proto.string_data.extend(text if isinstance(text, bytes) else str(text).encode() for text in array.flat)
    else:
        proto.raw_data = stored_data(array)
    return proto


def stored_data(array: Array) -> bytes:
    """The bytes of an array as a file has them: little-endian, elements of less than a byte packed."""
    if as_dtype(array.dtype) in PACKED_BITS:
        return bytes(numpy_helper.from_array(array).raw_data)
    if array.dtype.kind in "iufc" and array.dtype.newbyteorder("<") != array.dtype:
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()
