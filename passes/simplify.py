"""Arithmetic that does nothing, under IEEE rules: NaN, infinities and the sign of zero stay."""

from __future__ import annotations

from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, is_floating, is_integer
from symgraph.ops.onnx_op import onnx
from symgraph.passes.rules import Rule, rule


def _is_floating(x: Operand) -> bool:
    return isinstance(x.type, TensorType) and is_floating(x.type.dtype)


def _is_integer(x: Operand) -> bool:
    return isinstance(x.type, TensorType) and is_integer(x.type.dtype)


SIMPLIFICATIONS: tuple[Rule, ...] = (
    rule(lambda x: x * 1.0, lambda x: x, name="multiply_by_one"),
    rule(lambda x: x / 1.0, lambda x: x, when=_is_floating, name="divide_by_one"),
    rule(lambda x: x - 0.0, lambda x: x, name="subtract_zero"),
    rule(lambda x: x + -0.0, lambda x: x, when=_is_floating, name="add_negative_zero"),
    rule(lambda x: x + 0, lambda x: x, when=_is_integer, name="add_zero_to_integers"),
    rule(lambda x: onnx("Neg", onnx("Neg", x)), lambda x: x, name="negate_twice"),
    rule(lambda x: onnx("Not", onnx("Not", x)), lambda x: x, name="not_twice"),
    rule(lambda x: onnx("Relu", onnx("Relu", x)), lambda x: onnx("Relu", x), name="relu_twice"),
    rule(lambda x: onnx("Abs", onnx("Abs", x)), lambda x: onnx("Abs", x), name="abs_twice"),
)
"""`x*1 -> x`, `x/1 -> x`, `x-0 -> x`, `x+(-0.0) -> x`; `x+0 -> x` for whole numbers only, because -0.0 + 0.0 is 0.0."""
