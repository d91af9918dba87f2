"""Applying ops in dtypes that ONNX Runtime has kernels for: cast there exactly, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES, TensorType

__all__ = ["apply", "apply_many"]

KERNELS: Mapping[str, tuple[str, ...]] = {
    "CumSum": ("float32", "float64", "int32", "int64"),
    "Einsum": ("float32", "float64", "int32", "int64"),
    "Expand": ("bool", "float32", "float64", "float16", "int8", "int16", "int32", "int64", "string", "uint8", "uint16",
               "uint32", "uint64"),
    "MatMul": ("float32", "float64", "int32", "int64", "uint32", "uint64"),
    "NonZero": ("bool", "float32", "int32", "int64", "uint8"),
    "Pad": ("bool", "float32", "float64", "int8", "int32", "int64", "uint8", "uint32", "uint64"),
    "Range": ("float32", "float64", "int16", "int32", "int64"),
    "ReduceMax": ("float32", "float64", "int8", "int32", "int64", "uint8"),
    "ReduceSum": ("float32", "float64", "int32", "int64"),
    "Tile": ("bool", "float32", "float64", "int8", "int16", "int32", "int64", "string", "uint8", "uint16", "uint32",
             "uint64"),
    "TopK": ("float32", "float64", "int8", "int16", "int32", "int64", "uint8"),
    "Trilu": ("bool", "float32", "float64", "int32", "int64"),
    "Unique": ("float32", "float64", "int8", "int64", "string"),
    "Where": ("float32", "float64", "int8", "int32", "int64", "string", "uint8", "uint32"),
}
"""Where ONNX Runtime's CPU provider lacks kernels of an op for some dtypes: those it has for the first type variable."""

_WIDER: Mapping[str, tuple[str, ...]] = {
    "bool": ("uint8", "int32", "int64", "float32"),
    "int8": ("int16", "int32", "int64"),
    "int16": ("int32", "int64"),
    "int32": ("int64",),
    "uint8": ("int16", "uint32", "int32", "int64"),
    "uint16": ("uint32", "int32", "int64"),
    "uint32": ("uint64", "int64"),
    "uint64": ("int64",),
    "float16": ("float32",),
    "bfloat16": ("float32",),
    "float32": ("float64",),
}


def apply(name: str, *inputs: object, **attributes: object) -> Operand:
    """The one output of an ONNX operator, in a dtype that has a kernel where its own has none."""
    result: Operand = apply_many(name, *inputs, outputs=1, **attributes)[0]
    return result


def apply_many(name: str, *inputs: object, outputs: int | Sequence[bool], **attributes: object) -> tuple[Any, ...]:
    """All outputs of an ONNX operator, in a dtype that has a kernel where its own has none."""
    supported = KERNELS.get(name)
    if supported is not None:
        variable = _data_variable(name)
        dtype = next((x.type.dtype for i, x in enumerate(inputs)
                      if isinstance(x, Operand) and isinstance(x.type, TensorType)
                      and find_op(name).constraint(i)[0] == variable), None)
        wide = None if dtype is None or dtype in supported else next(
            (d for d in _WIDER.get(dtype, ()) if d in supported), None)
        if dtype is not None and wide is not None:
            return _apply_wide(name, inputs, attributes, outputs, variable, dtype, wide)
    results = apply_op(name, *inputs, outputs=outputs, **attributes)
    return results if isinstance(results, tuple) else (results,)


def _data_variable(name: str) -> str:
    return "T1" if name == "ConstantOfShape" else "V" if name == "Identity" else "T"


def _apply_wide(name: str, inputs: tuple[object, ...], attributes: Mapping[str, object],
                outputs: int | Sequence[bool], variable: str, dtype: str, wide: str) -> tuple[Any, ...]:
    op = find_op(name)
    assert op.schema is not None
    widened = tuple(apply_op("Cast", x, to=ELEM_TYPES[wide])
                    if op.constraint(i)[0] == variable and isinstance(x, Operand) else x for i, x in enumerate(inputs))
    results = apply_op(op, *widened, outputs=outputs, **attributes)
    results = results if isinstance(results, tuple) else (results,)
    formal = [p.type_str for p in op.schema.outputs]
    return tuple(apply_op("Cast", x, to=ELEM_TYPES[dtype]) if x is not None and t == variable else x
                 for x, t in zip(results, formal, strict=False))
