"""Types of values: dtypes by NumPy's names, shapes with known, named and unknown dimensions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import onnx
from onnx import TensorProto, TypeProto
from onnx.helper import tensor_dtype_to_np_dtype

from symgraph.core.errors import DtypeError, ShapeError, nearest

type_aliases = {"float": "float32", "double": "float64", "half": "float16", "int": "int32", "str": "string"}

Dim = int | str | None
"""A known size, a named one, or an unknown one."""

Shape = tuple[Dim, ...]


def _dtype_names() -> dict[str, int]:
    names = {}
    for code in TensorProto.DataType.values():
        if code == TensorProto.UNDEFINED:
            continue
        names["string" if code == TensorProto.STRING else tensor_dtype_to_np_dtype(code).name] = code
    return names


ELEM_TYPES: dict[str, int] = _dtype_names()
"""dtype name -> the number ONNX gives it."""

DTYPE_NAMES: dict[int, str] = {code: name for name, code in ELEM_TYPES.items()}

FLOATS = ("float16", "bfloat16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


@cache
def numpy_dtype(dtype: str) -> np.dtype[np.generic]:
    """The NumPy dtype that holds `dtype` (`object` for strings, ml_dtypes for bfloat16 and smaller)."""
    return np.dtype(tensor_dtype_to_np_dtype(ELEM_TYPES[dtype]))


@lru_cache(maxsize=1024)
def as_dtype(dtype: object) -> str:
    """The canonical name of a dtype given as a name, a NumPy dtype, a scalar type or an ONNX number.

    >>> as_dtype(np.float16), as_dtype("double"), as_dtype(bool)
    ('float16', 'float64', 'bool')
    """
    if isinstance(dtype, str):
        name = type_aliases.get(dtype, dtype)
    elif dtype is float:
        name = "float32"
    elif dtype is int:
        name = "int32"
    elif isinstance(dtype, int) and not isinstance(dtype, bool):
        name = DTYPE_NAMES.get(dtype, str(dtype))
    else:
        try:
            found = np.dtype(dtype)  # type: ignore[call-overload]
        except TypeError:
            raise DtypeError(f"{dtype!r} is not a dtype; {nearest(str(dtype), ELEM_TYPES)}") from None
        name = "string" if found.kind in "OUST" else found.newbyteorder("=").name
    if name not in ELEM_TYPES:
        raise DtypeError(f"{dtype!r} is not a dtype; {nearest(str(name), ELEM_TYPES, limit=30)}")
    return name


def is_floating(dtype: str) -> bool:
    """Whether `dtype` holds real numbers with a fraction (float64 down to float4)."""
    return dtype.startswith(("float", "bfloat"))


def is_integer(dtype: str) -> bool:
    """Whether `dtype` holds whole numbers; `bool` does not count."""
    return dtype.startswith(("int", "uint"))


@lru_cache(maxsize=1024)
def promote_dtypes(a: str, b: str) -> str:
    """The dtype of a result of `a` and `b`, as Keras has it: a float wins over every integer.

    >>> promote_dtypes("int64", "float16"), promote_dtypes("uint8", "int8"), promote_dtypes("bool", "int32")
    ('float16', 'int16', 'int32')
    """
    if a == b or b == "bool":
        return a
    if a == "bool":
        return b
    if a in FLOATS and b in FLOATS:
        return "float32" if {a, b} == {"float16", "bfloat16"} else max(a, b, key=FLOATS.index)
    if a in FLOATS and is_integer(b):
        return a
    if b in FLOATS and is_integer(a):
        return b
    for family in (SIGNED, UNSIGNED):
        if a in family and b in family:
            return max(a, b, key=family.index)
    if a in UNSIGNED and b in SIGNED:
        a, b = b, a
    if a in SIGNED and b in UNSIGNED:
        wider = SIGNED[min(UNSIGNED.index(b) + 1, 3)]
        return "float32" if b == "uint64" else max(a, wider, key=SIGNED.index)
    raise DtypeError(f"{a} and {b} have no common dtype; cast one of them")


@dataclass(frozen=True, slots=True)
class TensorType:
    """A tensor's dtype and shape; `shape` is None where even the rank is unknown.

    >>> print(TensorType("float32", ("N", None, 3)), TensorType("int64", ()), TensorType("bool", None))
    float32[N, ?, 3] int64[] bool[...]
    """

    dtype: str
    shape: Shape | None

    def __str__(self) -> str:
        return f"{self.dtype}[{'...' if self.shape is None else format_dims(self.shape)}]"


@dataclass(frozen=True, slots=True)
class SequenceType:
    """A list of values of one type; `element` is None where it is unknown."""

    element: ValueType | None

    def __str__(self) -> str:
        return f"sequence({self.element or '?'})"


@dataclass(frozen=True, slots=True)
class OptionalType:
    """A value that may be absent."""

    element: ValueType | None

    def __str__(self) -> str:
        return f"optional({self.element or '?'})"


@dataclass(frozen=True, slots=True)
class MapType:
    """A dictionary from `key` dtype to values."""

    key: str
    value: ValueType | None

    def __str__(self) -> str:
        return f"map({self.key}, {self.value or '?'})"


@dataclass(frozen=True, slots=True)
class SparseTensorType:
    """A tensor stored by its non-zero entries."""

    dtype: str
    shape: Shape | None

    def __str__(self) -> str:
        return f"sparse {TensorType(self.dtype, self.shape)}"


ValueType = TensorType | SequenceType | OptionalType | MapType | SparseTensorType


def is_unknown(value_type: ValueType | None) -> bool:
    """Whether not even the rank of a value is known."""
    return value_type is None or (isinstance(value_type, TensorType) and value_type.shape is None)


def format_dims(shape: Iterable[Dim]) -> str:
    """`N, ?, 3`: dimensions as they are printed."""
    return ", ".join("?" if d is None else str(d) for d in shape)


def as_shape(shape: object) -> Shape:
    """Turn what a user gives for a shape (an int, a list, NumPy integers, names) into a `Shape`."""
    if isinstance(shape, int | str | np.integer) or shape is None:
        shape = (shape,)
    dims: list[Dim] = []
    for dim in shape:  # type: ignore[attr-defined]
        if dim is None or isinstance(dim, str):
            dims.append(dim or None)
        elif isinstance(dim, int | np.integer) and not isinstance(dim, bool) and dim >= 0:
            dims.append(int(dim))
        else:
            raise ShapeError(f"shape {shape!r} has the dimension {dim!r}; give whole numbers from 0, names, or None")
    return tuple(dims)


def type_from_proto(proto: TypeProto) -> ValueType | None:
    """The type an ONNX `TypeProto` describes; None where it describes nothing."""
    kind = proto.WhichOneof("value")
    if kind in ("tensor_type", "sparse_tensor_type"):
        tensor = getattr(proto, kind)
        if tensor.elem_type == TensorProto.UNDEFINED:
            return None
        if tensor.elem_type not in DTYPE_NAMES:
            raise DtypeError(f"element type {tensor.elem_type} is not one that ONNX {onnx.__version__} knows")
        shape: Shape | None = None
        if tensor.HasField("shape"):
            shape = tuple(_dim_from_proto(d) for d in tensor.shape.dim)
        make = TensorType if kind == "tensor_type" else SparseTensorType
        return make(DTYPE_NAMES[tensor.elem_type], shape)
    if kind == "sequence_type":
        return SequenceType(type_from_proto(proto.sequence_type.elem_type))
    if kind == "optional_type":
        return OptionalType(type_from_proto(proto.optional_type.elem_type))
    if kind == "map_type":
        key = DTYPE_NAMES.get(proto.map_type.key_type)
        if key is None:
            raise DtypeError(f"map key type {proto.map_type.key_type} is not one that ONNX knows")
        return MapType(key, type_from_proto(proto.map_type.value_type))
    return None


def _dim_from_proto(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    return dim.dim_param or None


def type_to_proto(value_type: ValueType | None) -> TypeProto:
    """The ONNX `TypeProto` of a type; an empty one for None."""
    proto = TypeProto()
    match value_type:
        case TensorType(dtype, shape) | SparseTensorType(dtype, shape):
            is_dense = isinstance(value_type, TensorType)
            tensor = proto.tensor_type if is_dense else proto.sparse_tensor_type
            tensor.elem_type = ELEM_TYPES[dtype]
            if shape is not None:
                tensor.shape.SetInParent()
                for dim in shape:
                    _add_dim(tensor.shape, dim)
        case SequenceType(element):
            proto.sequence_type.elem_type.CopyFrom(type_to_proto(element))
        case OptionalType(element):
            proto.optional_type.elem_type.CopyFrom(type_to_proto(element))
        case MapType(key, value):
            proto.map_type.key_type = ELEM_TYPES[key]
            proto.map_type.value_type.CopyFrom(type_to_proto(value))
    return proto


def _add_dim(shape: onnx.TensorShapeProto, dim: Dim) -> None:
    entry = shape.dim.add()
    if isinstance(dim, int):
        entry.dim_value = dim
    elif dim is not None:
        entry.dim_param = dim
