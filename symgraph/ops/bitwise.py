"""Bitwise operators on integers; on booleans they are the logical ones."""

from __future__ import annotations

from symgraph.core.errors import DtypeError
from symgraph.core.gradient import not_differentiable
from symgraph.core.tensor import METHODS, Operand, method
from symgraph.core.types import TensorType, is_integer
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to, promote

__all__ = ["bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
           "bitwise_xor", "invert", "left_shift", "right_shift"]


not_differentiable("it works on the bits of integers", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot",
                   "BitShift")
not_differentiable("it reads bits as another dtype", "BitCast")


def _bitwise(who: str, op: str, of_bool: str, x1: object, x2: object) -> Operand:
    x, y = promote(x1, x2)
    return apply(of_bool if _kind(who, x) == "bool" else op, x, y)


def _kind(who: str, x: Operand) -> str:
    if not isinstance(x.type, TensorType):
        return ""
    dtype = x.type.dtype
    if dtype != "bool" and not is_integer(dtype):
        raise DtypeError(f"{who}: works on integers and booleans, got {x.type}; cast it first")
    return dtype


@method
def bitwise_and(x1: object, x2: object) -> Operand:
    """The bits set in both; "and" of booleans (ONNX BitwiseAnd, And)."""
    return _bitwise("bitwise_and", "BitwiseAnd", "And", x1, x2)


@method
def bitwise_or(x1: object, x2: object) -> Operand:
    """The bits set in one or both; "or" of booleans (ONNX BitwiseOr, Or)."""
    return _bitwise("bitwise_or", "BitwiseOr", "Or", x1, x2)


@method
def bitwise_xor(x1: object, x2: object) -> Operand:
    """The bits set in exactly one; "xor" of booleans (ONNX BitwiseXor, Xor)."""
    return _bitwise("bitwise_xor", "BitwiseXor", "Xor", x1, x2)


@method
def bitwise_not(x: object) -> Operand:
    """The bits not set: `-x - 1`; "not" of booleans (ONNX BitwiseNot, Not)."""
    x = as_operand(x)
    return apply("Not" if _kind("bitwise_not", x) == "bool" else "BitwiseNot", x)


_UNSIGNED = {"int8": "uint8", "int16": "uint16", "int32": "uint32", "int64": "uint64"}


@method
def left_shift(x1: object, x2: object) -> Operand:
    """`x1 · 2^x2`: the bits moved up, those beyond the dtype dropped (ONNX BitShift)."""
    x, y, dtype = _shift_operands("left_shift", x1, x2)
    if dtype not in _UNSIGNED:
        return apply("BitShift", x, y, direction="LEFT")
    unsigned = _UNSIGNED[dtype]
    shifted = apply("BitShift", cast_to(x, unsigned), cast_to(y, unsigned), direction="LEFT")
    return cast_to(shifted, dtype)


@method
def right_shift(x1: object, x2: object) -> Operand:
    """`⌊x1 / 2^x2⌋`: the bits moved down; negative numbers stay negative (ONNX BitShift)."""
    x, y, dtype = _shift_operands("right_shift", x1, x2)
    if dtype not in _UNSIGNED:
        return apply("BitShift", x, y, direction="RIGHT")
    unsigned = _UNSIGNED[dtype]
    is_negative = apply("Less", x, as_operand(0, dtype))
    natural = apply("Where", is_negative, apply("BitwiseNot", x), x)
    shifted = apply("BitShift", cast_to(natural, unsigned), cast_to(y, unsigned), direction="RIGHT")
    back = cast_to(shifted, dtype)
    return apply("Where", is_negative, apply("BitwiseNot", back), back)


def _shift_operands(who: str, x1: object, x2: object) -> tuple[Operand, Operand, str]:
    x, y = promote(x1, x2)
    dtype = _kind(who, x)
    if dtype == "bool":
        x, y, dtype = cast_to(x, "int32"), cast_to(y, "int32"), "int32"
    return x, y, dtype


bitwise_invert = invert = bitwise_not
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift
METHODS.update(bitwise_invert=bitwise_invert, invert=invert, bitwise_left_shift=bitwise_left_shift,
               bitwise_right_shift=bitwise_right_shift)
