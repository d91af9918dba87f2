"""Applying ONNX operators, with the result types that type checkers want.

Some operators take no bfloat16 at opset 21, such as Conv, MaxPool and Elu: they compute in float32, between casts.
"""

from __future__ import annotations

from typing import Any, cast

from symgraph.core.apply import apply_op
from symgraph.core.errors import OpError
from symgraph.core.op import find_op
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES, TensorType

__all__ = ["apply", "apply_many"]


def apply(name: str, *inputs: object, **attributes: Any) -> Operand:
    """The first output of an ONNX operator."""
    try:
        return cast(Operand, apply_op(name, *inputs, **attributes))
    except OpError:
        if not (widened := _unsupported(name, inputs)):
            raise
    return cast(Operand, _apply_wide(name, inputs, widened, 1, attributes)[0])


def apply_many(name: str, *inputs: object, outputs: int, **attributes: Any) -> tuple[Any, ...]:
    """All outputs of an ONNX operator, one included."""
    try:
        results = apply_op(name, *inputs, outputs=outputs, **attributes)
    except OpError:
        if not (widened := _unsupported(name, inputs)):
            raise
        return _apply_wide(name, inputs, widened, outputs, attributes)
    return results if isinstance(results, tuple) else (results,)


def _is_bfloat16(x: object) -> bool:
    return isinstance(x, Operand) and isinstance(x.type, TensorType) and x.type.dtype == "bfloat16"


def _unsupported(name: str, inputs: tuple[object, ...]) -> set[str]:
    """The type variables of the operator that are bfloat16 here, but must not be."""
    op = find_op(name)
    return {op.constraint(i)[0] for i, x in enumerate(inputs)
            if _is_bfloat16(x) and "tensor(bfloat16)" not in op.constraint(i)[1]}


def _apply_wide(name: str, inputs: tuple[object, ...], widened: set[str], outputs: int, attributes: dict[str, Any],
                ) -> tuple[Any, ...]:
    """The operator on float32 in place of bfloat16, with results in bfloat16."""
    op = find_op(name)
    assert op.schema is not None
    wide = [apply_op("Cast", x, to=ELEM_TYPES["float32"]) if _is_bfloat16(x) and op.constraint(i)[0] in widened else x
            for i, x in enumerate(inputs)]
    results = apply_op(name, *wide, outputs=outputs, **attributes)
    formal = op.schema.outputs
    return tuple(
        apply_op("Cast", y, to=ELEM_TYPES["bfloat16"]) if formal[min(i, len(formal) - 1)].type_str in widened else y
        for i, y in enumerate(results if isinstance(results, tuple) else (results,)))
