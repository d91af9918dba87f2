"""What operands two values of different kinds become: one dtype, Python numbers following the tensors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import cast

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.errors import DtypeError
from symgraph.core.memory import program_constants
from symgraph.core.scope import autocast_dtype
from symgraph.core.tensor import Operand
from symgraph.core.types import (
    ELEM_TYPES,
    FLOATS,
    TensorType,
    as_dtype,
    is_floating,
    is_integer,
    numpy_dtype,
    promote_dtypes,
)
from symgraph.core.value import Tensor, as_array, convert_array, scalar_fits
from symgraph.core.variable import autocast

__all__ = ["as_operand", "cast_to", "common_dtype", "promote", "promote_to_float"]

Number = bool | int | float | complex

MAX_SCALARS = 1024
"""So many numbers are kept as tensors."""

_SCALARS: dict[tuple[float, str], Tensor] = {}


def cast_to(x: Operand, dtype: str) -> Operand:
    """`x` with another dtype; `x` itself where it has it already (ONNX Cast)."""
    if isinstance(x.type, TensorType) and x.type.dtype == dtype:
        return x
    return cast(Operand, apply_op("Cast", x, to=ELEM_TYPES[dtype]))


def as_operand(x: object, dtype: object = None) -> Operand:
    """`x` as an operand: operands as they are, everything else as a tensor; cast where `dtype` says another.

    Errors: `DtypeError` or `ShapeError` for what cannot be a tensor, or a number that `dtype` cannot hold.
    """
    if autocast_dtype() is not None:
        x = autocast(x)
    if dtype is None:
        return x if isinstance(x, Operand) else Tensor(as_array(x))
    name = as_dtype(dtype)
    if isinstance(x, Operand):
        return cast_to(x, name)
    return _weak_operand(x, name) if _is_weak(x) else Tensor(as_array(x, name))


def promote(*values: object) -> tuple[Operand, ...]:
    """Operands of one dtype made of `values`.

    Tensors and NumPy values of different dtypes promote (a float wins over every integer, else the wider
    one). Python numbers, and lists of them, take the dtype of the others; a Python float beside integers or
    booleans makes float32, a Python integer beside booleans int32. Beside operands of unknown type, as
    patterns have, nothing is cast.

    Errors: `DtypeError` for dtypes without a common one, or a number out of the range of the dtype.

    >>> import numpy as np
    >>> [x.dtype for x in promote(np.int8([1]), 2)], [x.dtype for x in promote(np.int8([1]), 2.5)]
    (['int8', 'int8'], ['float32', 'float32'])
    """
    if autocast_dtype() is not None:
        values = tuple(autocast(x) for x in values)
    if len(values) == 2:
        same = _promote_pair(*values)
        if same is not None:
            return same
    if any(isinstance(x, Operand) and x.type is None for x in values):
        return tuple(as_operand(x) for x in values)
    dtype = common_dtype(values)
    return tuple(_weak_operand(x, dtype) if _is_weak(x) else cast_to(as_operand(x), dtype) for x in values)


def _promote_pair(a: object, b: object) -> tuple[Operand, Operand] | None:
    """The everyday cases, without detours: two tensors of one dtype, or a tensor and a number it surely holds."""
    if isinstance(a, Operand) and isinstance(a.type, TensorType):
        if isinstance(b, Operand):
            return (a, b) if isinstance(b.type, TensorType) and a.type.dtype == b.type.dtype else None
        number = _plain_number(b, a.type.dtype)
        return None if number is None else (a, number)
    if isinstance(b, Operand) and isinstance(b.type, TensorType):
        number = _plain_number(a, b.type.dtype)
        return None if number is None else (number, b)
    return None


def _plain_number(x: object, dtype: str) -> Tensor | None:
    """A plain number as a scalar of `dtype`, kept for the next time; None where more is to be checked."""
    if type(x) is not float and type(x) is not int:
        return None
    if not (-60000 < x < 60000 if dtype in FLOATS else type(x) is int and 0 <= x < 128 and is_integer(dtype)):
        return None
    if not x:  # 0.0 == -0.0
        return Tensor(np.array(x, numpy_dtype(dtype)))
    scalar = _SCALARS.get((x, dtype))
    if scalar is None:
        if len(_SCALARS) >= MAX_SCALARS:
            _SCALARS.clear()
        made: list[Tensor] = []
        with program_constants(lambda: made):
            made.append(Tensor(np.array(x, numpy_dtype(dtype))))
        scalar = _SCALARS[x, dtype] = made[0]
    return scalar


def common_dtype(values: Iterable[object]) -> str:
    """The one dtype that `promote` gives `values`."""
    strong: list[str] = []
    weak: list[str] = []
    for x in values:
        if _is_weak(x):
            weak.append(_weak_dtype(x))
        else:
            strong.append(_strong_dtype(x))
    if not strong:
        return reduce(promote_dtypes, weak)
    dtype = reduce(promote_dtypes, strong)
    for kind in weak:
        if kind.startswith("complex") or "string" in (kind, dtype):
            if kind != dtype and not (kind.startswith("complex") and dtype.startswith("complex")):
                raise DtypeError(f"{dtype} and {kind} have no common dtype; cast one of them")
        elif kind == "float32" and (is_integer(dtype) or dtype == "bool"):
            dtype = "float32"
        elif is_integer(kind) and dtype == "bool":
            dtype = kind
    return dtype


def _is_weak(x: object) -> bool:
    """Whether `x` has no dtype of its own: a Python number, or a list of them."""
    if isinstance(x, list | tuple | range):
        return not any(_has_dtype(item) for item in x)
    return isinstance(x, Number | str | bytes) and not isinstance(x, np.generic)


def _has_dtype(x: object) -> bool:
    if isinstance(x, list | tuple):
        return any(_has_dtype(item) for item in x)
    return isinstance(x, Operand | np.ndarray | np.generic)


def _weak_dtype(x: object) -> str:
    if isinstance(x, bool):
        return "bool"
    if isinstance(x, float):
        return "float32"
    return as_dtype(as_array(list(x) if isinstance(x, range) else x).dtype)


def _strong_dtype(x: object) -> str:
    if isinstance(x, Operand):
        return x.dtype
    if isinstance(x, np.ndarray | np.generic) and x.dtype.kind != "O":
        return as_dtype(x.dtype)
    return as_dtype(as_array(x).dtype)


def _weak_operand(x: object, dtype: str) -> Tensor:
    if isinstance(x, Number):
        if not scalar_fits(x, dtype):
            raise _does_not_fit(x, dtype)
        return Tensor(convert_array(np.array(x), dtype))
    array = as_array(x)
    if is_integer(dtype) and array.size:
        for extreme in (array.min(), array.max()):
            if not scalar_fits(extreme.item(), dtype):
                raise _does_not_fit(extreme.item(), dtype)
    return Tensor(as_array(x, dtype))


def _does_not_fit(x: object, dtype: str) -> DtypeError:
    return DtypeError(f"{dtype} cannot hold {x!r}; cast the tensor beside it to a dtype that can")


def promote_to_float(*values: object) -> tuple[Operand, ...]:
    """`promote`, with integers and booleans made float32."""
    operands = promote(*values) if len(values) > 1 else (as_operand(values[0]),)
    first = operands[0]
    if not isinstance(first, Operand) or not isinstance(first.type, TensorType) or is_floating(first.type.dtype):
        return operands
    return tuple(cast_to(x, "float32") for x in operands)
