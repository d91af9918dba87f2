"""From random words to numbers: what every distribution is made of, and how a draw becomes one node."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import DtypeError, OpError, ShapeError
from symgraph.core.scope import current_trace
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import TensorType, as_dtype
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.philox import random_bits
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.seeds import Seed, draw_key
from symgraph.ops.sizes import Size, as_sizes, ints, times, vector

Shape = int | Sequence[Any] | Operand
Number = float | Operand | np.ndarray[Any, Any]
Array = np.ndarray[Any, Any]

UNIFORM_BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
"""As many bits as the dtype's significand has: every result is exact, below 1, and equally likely."""


def draw(name: str, body: Callable[..., Operand], shape: Shape, seed: Seed, *parameters: Operand,
         **attributes: Any) -> Operand:
    """One node, or one run, of `body`. A shape that is known is part of a node; a run takes it as an operand.

    Errors: `ShapeError` for a shape that cannot be, or that a parameter does not broadcast to.
    """
    sizes = as_sizes(shape, name)
    is_recorded = current_trace() is not None or any(isinstance(x, SymbolicTensor) for x in (*sizes, *parameters))
    if any(isinstance(s, int) and s < 0 for s in sizes):
        raise ShapeError(f"{name}: the shape {tuple(sizes)} has a negative entry")
    for x in parameters:
        if isinstance(x.type, TensorType) and x.type.shape is not None and not _fills(x.type.shape, sizes):
            raise ShapeError(f"{name}: a parameter of shape {x.shape} does not broadcast to the shape {tuple(sizes)}")
    key, number = draw_key(seed, is_symbolic=is_recorded)
    operands = (key, np.int64(number), *parameters)
    if is_recorded and all(isinstance(s, int) for s in sizes):
        result: Operand = apply_composite(name, body, *operands, shape=tuple(sizes), **attributes)
    else:
        result = apply_composite(name, body, *operands, vector(sizes), **attributes)
    return result


def _fills(dims: Sequence[object], sizes: Sequence[object]) -> bool:
    """Whether a tensor of these dimensions broadcasts to `sizes`, as far as both are known."""
    if len(dims) > len(sizes):
        return False
    pairs = zip(reversed(dims), reversed(sizes), strict=False)
    return all(not isinstance(a, int) or a == 1 or not isinstance(b, int) or a == b for a, b in pairs)


def float_dtype(who: str, dtype: object, others: Callable[[str], bool] = lambda dtype: False) -> str:
    """The dtype asked for, float32 where none is.

    Errors: `DtypeError` for one that is no float, nor among `others`.
    """
    name = as_dtype("float32" if dtype is None else dtype)
    if name not in UNIFORM_BITS and not others(name):
        raise DtypeError(f"{who}: dtype must be one of {', '.join(UNIFORM_BITS)}, got {name}")
    return name


def wide(dtype: str) -> str:
    """The dtype that numbers of `dtype` are computed in."""
    return "float64" if dtype == "float64" else "float32"


def parameter(who: str, name: str, value: object, is_allowed: Callable[[Array], Array], wanted: str) -> Operand:
    """A parameter of a distribution in float64.

    Errors: `OpError` where its value is known and not allowed, `DtypeError` for what is no number.
    """
    try:
        x = as_operand(value, "float64")
    except ValueError:
        raise DtypeError(f"{who}: {name} must be {wanted}, got {value!r}") from None
    if isinstance(x, Tensor):
        array = x.numpy()
        wrong = ~is_allowed(array)
        if wrong.any():
            raise OpError(f"{who}: {name} must be {wanted}, got {array[wrong].flat[0]}")
    return x


def element_count(shape: Operand | tuple[int, ...]) -> Size:
    """How many elements a tensor of this shape has."""
    return math.prod(shape) if isinstance(shape, tuple) else apply("ReduceProd", shape, keepdims=0)


def random_words(key: Operand, number: Operand, shape: Operand | tuple[int, ...], words: int = 1,
                 turn: Operand | int = 0) -> tuple[Operand, ...]:
    """`words` tensors of `shape`, each full of random uint32. Every `turn` from 0 on gives others."""
    count = element_count(shape)
    bits = random_bits(key, number, times(count, words), turn)
    parts = (bits,) if words == 1 else apply_many("Split", bits, vector([count] * words), outputs=words)
    sizes = ints(*shape) if isinstance(shape, tuple) else shape
    return tuple(apply("Reshape", part, sizes, allowzero=1) for part in parts)


def fraction(words: Sequence[Operand], dtype: str) -> Operand:
    """Uniform numbers from 0 to below 1: the top bits of a word, of two for float64, as a fraction."""
    size = UNIFORM_BITS[dtype]
    if dtype == "float64":
        high, low = (cast_to(apply("BitShift", word, np.uint32(shift), direction="RIGHT"), dtype)
                     for word, shift in zip(words, (5, 6), strict=True))
        return scaled(apply("Add", scaled(high, 2.0**26), low), 2.0**-53)
    top = apply("BitShift", words[0], np.uint32(32 - size), direction="RIGHT")
    return scaled(cast_to(top, "float32"), 2.0**-size)


def inner_fraction(word: Operand) -> Operand:
    """Uniform float64 numbers between 0 and 1, neither of them: `(word + 1/2) / 2^32`."""
    return scaled(apply("Add", cast_to(word, "float64"), 0.5), 2.0**-32)


def scaled(x: Operand, factor: float) -> Operand:
    """`factor · x`."""
    return apply("Mul", x, factor)


_QUANTILE = ((1.25331414, 0.447435081, 0.0909962878, 0.0125212651, 0.00113772321, 5.92861361e-05, 1.90992694e-07),
             (1.0, 0.0952018797, 0.0346499868, 0.00231118291, 0.000248341821, 3.73553053e-06))
"""Q((1 + x) / 2) = x P(w) / R(w) with w = -log(1 - x^2): P and R, to 3.3e-7 of Q for all 2^32 words."""


def standard_normal(word: Operand, bound: float = 1.0) -> Operand:
    """Normal float32 numbers, the quantile function of a word; `bound` is the probability of what is left of them."""
    x = apply("Add", scaled(cast_to(word, "float64"), bound * 2.0**-31), bound * (2.0**-32 - 1))
    w = apply("Neg", apply("Log", apply("Mul", apply("Sub", 1.0, x), apply("Add", x, 1.0))))
    x, w = cast_to(x, "float32"), cast_to(w, "float32")
    numerator, denominator = (polynomial(coefficients, w) for coefficients in _QUANTILE)
    return apply("Mul", x, apply("Div", numerator, denominator))


def polynomial(coefficients: tuple[float, ...], x: Operand) -> Operand:
    """`c0 + c1 x + c2 x² + …`."""
    result = apply("Add", apply("Mul", x, coefficients[-1]), coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        result = apply("Add", apply("Mul", result, x), coefficient)
    return result


def steady(x: Operand) -> Operand:
    """float64 numbers rounded to 32 bits of significand.

    Machines differ in the last bit of an exponential; rounded, it does not show (Veltkamp's splitting).
    """
    stretched = scaled(x, 2.0**21 + 1)
    return apply("Sub", stretched, apply("Sub", stretched, x))


def any_of(x: Operand) -> Operand:
    """Whether any of the booleans is true, where there may be none."""
    return apply("Greater", apply("ReduceSum", cast_to(x, "int64"), keepdims=0), np.int64(0))
