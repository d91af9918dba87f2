"""Any ONNX operator by its own name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.core.apply import apply_op
from symgraph.core.op import find_op

__all__ = ["onnx"]


def onnx(name: str, *inputs: object, domain: str = "", outputs: int | Sequence[bool] = 1, **attributes: Any) -> Any:
    """Apply the ONNX operator `name` of `domain` ("" or "ai.onnx.ml") to symbols, values, arrays and numbers.

    `outputs` is how many outputs are wanted, or which; attributes have their ONNX names. An operator that came
    after the default opset is found too; a graph with it is written with the opset it needs.

    Errors: `UnsupportedOpError` for an unknown operator, with near names; `OpError` for wrong operands and attributes.

    >>> import symgraph as sg
    >>> sg.ops.onnx("LeakyRelu", [-1.0, 2.0], alpha=0.5).tolist()
    [-0.5, 2.0]
    """
    return apply_op(find_op(name, domain), *inputs, outputs=outputs, **attributes)
