"""Random bits from counters: Philox4x32-10 (Salmon et al. 2011) in ordinary ONNX integer operators.

The bits are a pure function of a key, a step and a stream, so every provider gives the same ones.
"""

from __future__ import annotations

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES
from symgraph.ops.sizes import ints

__all__ = ["counter_words", "philox", "random_bits"]

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)

Words = tuple[Operand, ...]


def philox(counter: Words, key: Words) -> Words:
    """Ten rounds of Philox on four counter words and two key words, all uint32 of shapes that broadcast.

    A round is `(hi1 ^ c1 ^ k0, lo1, hi0 ^ c3 ^ k1, lo0)` with `hi, lo` the halves of the products of
    `c0` and `c2` with two constants; the key grows by two other constants from round to round.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for number in range(ROUNDS):
        if number:
            k0, k1 = (_sum(k, w) for k, w in zip((k0, k1), WEYL, strict=True))
        high0, low0 = _wide_product(c0, MULTIPLIERS[0])
        high1, low1 = _wide_product(c2, MULTIPLIERS[1])
        c0, c2 = _xor(high1, _xor(c1, k0)), _xor(high0, _xor(c3, k1))
        c1, c3 = low1, low0
    return c0, c1, c2, c3


def _wide_product(x: Operand, factor: int) -> tuple[Operand, Operand]:
    """The high and the low half of a product; int64 has its bits, and a kernel in every ONNX Runtime."""
    product = apply_op("Mul", apply_op("Cast", x, to=ELEM_TYPES["int64"]), np.int64(factor))
    return counter_words(product)[::-1]


def _sum(x: Operand, term: int) -> Operand:
    """`x + term` modulo 2^32, which old ONNX Runtimes can only add as int64."""
    total = apply_op("Add", apply_op("Cast", x, to=ELEM_TYPES["int64"]), np.int64(term))
    result: Operand = apply_op("Cast", total, to=ELEM_TYPES["uint32"])
    return result


def _split_words(x: Operand) -> tuple[Operand, Operand]:
    """The low and the high half of uint64 numbers."""
    high = apply_op("BitShift", x, np.uint64(32), direction="RIGHT")
    return apply_op("Cast", x, to=ELEM_TYPES["uint32"]), apply_op("Cast", high, to=ELEM_TYPES["uint32"])


def _xor(a: Operand, b: Operand) -> Operand:
    result: Operand = apply_op("BitwiseXor", a, b)
    return result


def counter_words(x: Operand) -> tuple[Operand, Operand]:
    """The low and the high 32 bits of int64 numbers."""
    return _split_words(apply_op("Cast", x, to=ELEM_TYPES["uint64"]))


def random_bits(state: Operand, stream: Operand, count: Operand | int, turn: Operand | int = 0) -> Operand:
    """`count` random uint32 numbers, a flat tensor.

    `state` is int64 `[seed, step]`, `stream` tells the draws of one step apart. Block i of four numbers is
    `philox((i, stream, step), seed)`. Each `turn` from 0 on takes the blocks that follow those of the one before.
    """
    seed, step = zip(*(apply_op("Split", words, ints(1, 1), outputs=2) for words in counter_words(state)), strict=True)
    blocks = (count + 3) // 4 if isinstance(count, int) else apply_op("Div", apply_op("Add", count, 3), 4)
    index = apply_op("Range", np.int64(0), _scalar(blocks), np.int64(1))
    if not (isinstance(turn, int) and turn == 0):
        index = apply_op("Add", index, apply_op("Mul", _scalar(turn), _scalar(blocks)))
    words = philox((apply_op("Cast", index, to=ELEM_TYPES["uint32"]),
                    apply_op("Cast", stream, to=ELEM_TYPES["uint32"]), *step), seed)
    end = ints(count) if isinstance(count, int) else apply_op("Reshape", count, [1])
    bits: Operand = apply_op("Slice", apply_op("Concat", *words, axis=0), ints(0), end, ints(0))
    return bits


def _scalar(x: Operand | int) -> Operand | np.int64:
    return np.int64(x) if isinstance(x, int) else x
