"""Changing and asking for dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.core.errors import DtypeError
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.scope import current_trace
from symgraph.core.tensor import Operand, method
from symgraph.core.types import as_dtype, is_floating, is_integer, promote_dtypes
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to

__all__ = ["array", "astype", "cast", "convert_to_numpy", "convert_to_tensor", "copy", "dtype", "is_bool", "is_float",
           "is_int", "is_tensor", "result_type", "saturate_cast"]


@method
def cast(x: object, dtype: object) -> Operand:
    """`x` with another dtype (ONNX Cast): floats lose their fraction, numbers other than 0 become true.

    Errors: `DtypeError` for an unknown dtype.

    >>> import symgraph as sg
    >>> sg.ops.cast([-1.7, 0.0, 2.9], "int32").tolist()
    [-1, 0, 2]
    """
    return cast_to(as_operand(x), as_dtype(dtype))


@gradient_of("Cast")
def _cast_gradient(dy: Operand, y: Operand, x: Operand, **attributes: object) -> Operand:
    return cast_to(dy, x.dtype)


@gradient_of("CastLike")
def _cast_like_gradient(dy: Operand, y: Operand, x: Operand, like: Operand, **attributes: object) -> Gradients:
    return cast_to(dy, x.dtype), None


@gradient_of("Identity")
def _identity_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy


@method
def astype(x: object, dtype: object) -> Operand:
    """`x` with another dtype, as NumPy names it."""
    return cast(x, dtype)


@method
def saturate_cast(x: object, dtype: object) -> Operand:
    """`x` with another dtype, numbers out of its range at its nearest end; NaN becomes 0 in integers.

    >>> import symgraph as sg
    >>> sg.ops.saturate_cast([-5.0, 20.0, 300.0], "uint8").tolist()
    [0, 20, 255]
    """
    x, name = as_operand(x), as_dtype(dtype)
    if not is_integer(name) or x.dtype == "bool" or name == x.dtype:
        return cast_to(x, name)
    limits = np.iinfo(name)
    low, high = int(limits.min), int(limits.max)
    if is_floating(x.dtype):
        return _saturate_float(x, name, low, high)
    own = np.iinfo(x.dtype)
    if low > int(own.min):
        x = apply("Max", x, as_operand(low, x.dtype))
    if high < int(own.max):
        x = apply("Min", x, as_operand(high, x.dtype))
    return cast_to(x, name)


def _saturate_float(x: Operand, name: str, low: int, high: int) -> Operand:
    """Ends that the float dtype cannot hold are put in as integers, after the cast."""
    x = apply("Where", apply("IsNaN", x), as_operand(0.0, x.dtype), x)
    wide = cast_to(x, "float32") if x.dtype in ("float16", "bfloat16") else x
    end = as_operand(float(high), wide.dtype)
    inside = cast_to(apply("Where", apply("Less", wide, end), apply(
        "Max", wide, as_operand(float(low), wide.dtype)), as_operand(0.0, wide.dtype)), name)
    return apply("Where", apply("Less", wide, end), inside, as_operand(high, name))


def convert_to_tensor(x: object, dtype: object = None) -> Operand:
    """`x` as a tensor: whole numbers int32, others float32, NumPy arrays in their own dtype; symbols stay symbols.

    Errors: `DtypeError` or `ShapeError` for what cannot be a tensor.

    >>> import symgraph as sg
    >>> sg.ops.convert_to_tensor([1, 2, 3]).dtype
    'int32'
    """
    return as_operand(x, dtype)


def array(x: object, dtype: object = None) -> Operand:
    """`x` as a tensor, as `convert_to_tensor`."""
    return as_operand(x, dtype)


def copy(x: object) -> Operand:
    """`x` as a tensor of its own; as tensors never change, the same one serves."""
    x = as_operand(x)
    return x.value if isinstance(x, Variable) and current_trace() is None else x


def convert_to_numpy(x: object) -> np.ndarray[Any, Any]:
    """The value of `x` as a NumPy array that may be written to.

    Errors: TypeError for a symbol, which has no value.
    """
    return np.array(as_operand(x))


def dtype(x: object) -> str:
    """The dtype of a tensor, or of what becomes one, by its name.

    >>> dtype([1, 2]), dtype(0.5)
    ('int32', 'float32')
    """
    return as_operand(x).dtype


def is_tensor(x: object) -> bool:
    """Whether `x` is a tensor, a variable or a symbol."""
    return isinstance(x, Operand)


def _dtype_of(x: object) -> str:
    if isinstance(x, Operand):
        return x.dtype
    return as_dtype(x.dtype) if isinstance(x, np.ndarray | np.generic) else as_dtype(x)


def is_float(x: object) -> bool:
    """Whether a tensor, or a dtype, is of floats."""
    return is_floating(_dtype_of(x))


def is_int(x: object) -> bool:
    """Whether a tensor, or a dtype, is of integers."""
    return is_integer(_dtype_of(x))


def is_bool(x: object) -> bool:
    """Whether a tensor, or a dtype, is of booleans."""
    return _dtype_of(x) == "bool"


def result_type(*dtypes: object) -> str:
    """The dtype that tensors of these dtypes promote to; tensors may stand for theirs.

    Errors: `DtypeError` where there is none.

    >>> result_type("int32", "float16"), result_type("int8", "uint8")
    ('float16', 'int16')
    """
    if not dtypes:
        raise DtypeError("result_type: give at least one dtype")
    result = _dtype_of(dtypes[0])
    for dtype in dtypes[1:]:
        result = promote_dtypes(result, _dtype_of(dtype))
    return result
