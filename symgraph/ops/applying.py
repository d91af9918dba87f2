"""Applying ONNX operators, with the result types that type checkers want."""

from __future__ import annotations

from typing import Any, cast

from symgraph.core.apply import apply_op
from symgraph.core.tensor import Operand

__all__ = ["apply", "apply_many"]


def apply(name: str, *inputs: object, **attributes: Any) -> Operand:
    """The first output of an ONNX operator."""
    return cast(Operand, apply_op(name, *inputs, **attributes))


def apply_many(name: str, *inputs: object, outputs: int, **attributes: Any) -> tuple[Any, ...]:
    """All outputs of an ONNX operator, one included."""
    results = apply_op(name, *inputs, outputs=outputs, **attributes)
    return results if isinstance(results, tuple) else (results,)
