"""Random numbers: uniform, normal, truncated normal, whole numbers, dropout. Public as `sg.random`.

Every number is a pure function of a key and its position (`philox.py`): the same on every provider, whatever
ran before. On values one compiled graph runs; on symbols, and in traced functions, a draw is one node.

Uniform floats are the top bits of a word, exactly. Normal numbers are the quantile function of a word: one
logarithm in float64, the rest sums, products and a quotient, which are the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import DtypeError, OpError, ShapeError
from symgraph.core.scope import current_trace
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import ELEM_TYPES, as_dtype, is_floating, is_integer, numpy_dtype
from symgraph.core.value import scalar_fits
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.philox import random_bits
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.seeds import Seed, SeedGenerator, draw_key, make_default_seed, set_seed
from symgraph.ops.sizes import Size, as_sizes, ints, is_symbolic, times, vector

__all__ = ["SeedGenerator", "dropout", "make_default_seed", "normal", "randint", "set_seed", "truncated_normal",
           "uniform"]

Shape = int | Sequence[Any] | Operand
Number = float | Operand | np.ndarray[Any, Any]

_UNIFORM_BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
"""As many bits as the dtype's significand has: every result is exact, below 1, and equally likely."""


def uniform(shape: Shape, minval: Number = 0.0, maxval: Number = 1.0, dtype: object = None, seed: Seed = None
            ) -> Operand:
    """Numbers from `minval` up to, not including, `maxval`, all equally likely; float32 unless `dtype` says another.

    `seed`: an int gives the same numbers at every call, a `SeedGenerator` new ones, None draws from the global
    generator. An integer `dtype` is `randint`. Entries of `shape` may be scalar symbols.

    Errors: `DtypeError` for dtypes that are no numbers, `ShapeError` for shapes with unknown entries.

    >>> import symgraph as sg
    >>> x = sg.random.uniform((2, 3), -1, 1, seed=1)
    >>> x.shape, bool((abs(x.numpy()) <= 1).all())
    ((2, 3), True)
    """
    name = _float_dtype("uniform", dtype, others=is_integer)
    if is_integer(name):
        return randint(shape, minval, maxval, name, seed)  # type: ignore[arg-type]
    bounds = (as_operand(x, _wide(name)) for x in (minval, maxval, _below(minval, maxval, name)))
    return _draw("RandomUniform", _uniform_body, shape, seed, *bounds, dtype=name)


def normal(shape: Shape, mean: Number = 0.0, stddev: Number = 1.0, dtype: object = None, seed: Seed = None
           ) -> Operand:
    """Normal numbers `mean + stddev * Q(u)`, `Q` the normal quantile function of a uniform `u`.

    float32 unless `dtype` says another; float64 results have float32's resolution. `seed` as in `uniform`.

    >>> import symgraph as sg
    >>> sg.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    name = _float_dtype("normal", dtype)
    return _draw("RandomNormal", _normal_body, shape, seed, as_operand(mean, _wide(name)),
                 as_operand(stddev, _wide(name)), dtype=name, bound=1.0)


def truncated_normal(shape: Shape, mean: Number = 0.0, stddev: Number = 1.0, dtype: object = None,
                     seed: Seed = None) -> Operand:
    """Normal numbers, given that they lie within two standard deviations of the mean.

    `mean + stddev * Q(u)` with `u` uniform between the probabilities of -2 and 2. `seed` as in `uniform`.

    >>> import symgraph as sg
    >>> bool((abs(sg.random.truncated_normal((100,), seed=1).numpy()) <= 2).all())
    True
    """
    name = _float_dtype("truncated_normal", dtype)
    return _draw("RandomTruncatedNormal", _normal_body, shape, seed, as_operand(mean, _wide(name)),
                 as_operand(stddev, _wide(name)), dtype=name, bound=math.erf(math.sqrt(2.0)))


def randint(shape: Shape, minval: int, maxval: int, dtype: object = "int32", seed: Seed = None) -> Operand:
    """Whole numbers from `minval` up to, not including, `maxval`: `minval + word64 mod (maxval - minval)`.

    `seed` as in `uniform`.

    Errors: `OpError` where there is no number between `minval` and `maxval`, `DtypeError` for float dtypes.

    >>> import symgraph as sg
    >>> set(sg.random.randint((100,), 1, 7, seed=1).tolist()) == {1, 2, 3, 4, 5, 6}
    True
    """
    name = as_dtype("int32" if dtype is None else dtype)
    if not is_integer(name):
        raise DtypeError(f"randint: dtype must be an integer, got {name}; uniform draws floats")
    low, high = int(minval), int(maxval)
    if low >= high:
        raise OpError(f"randint: there is no whole number from minval {low} up to, not including, maxval {high}")
    if not (scalar_fits(low, name) and scalar_fits(high - 1, name)):
        raise DtypeError(f"randint: {name} cannot hold all of {low} to {high - 1}; ask for a wider dtype")
    wrapped = (np.uint64(x) for x in (low % 2**64, min(high - low, 2**64 - 1)))
    return _draw("RandomInteger", _integer_body, shape, seed, *map(as_operand, wrapped), dtype=name)


def dropout(inputs: object, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None
            ) -> Operand:
    """`inputs / (1 - rate)` with a share `rate` of the elements set to zero, at random.

    `noise_shape` has an entry for each axis: 1 drops along the whole axis at once, None is the size of
    `inputs`. `seed` as in `uniform`.

    Errors: `OpError` for a rate outside 0 to 1, `ShapeError` for a noise shape of another rank.

    >>> import symgraph as sg
    >>> sorted(set(sg.random.dropout(sg.tensor([1.0] * 100), 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    x = as_operand(inputs)
    if not is_floating(x.dtype):
        x = cast_to(x, "float32")
    if not 0 <= rate <= 1:
        raise OpError(f"dropout: rate is the share of elements to drop, from 0 to 1, got {rate!r}")
    if noise_shape is not None and len(noise_shape) != x.ndim:
        raise ShapeError(f"dropout: noise_shape {tuple(noise_shape)} has {len(noise_shape)} entries, "
                         f"the inputs have shape {x.shape}")
    if rate == 0:
        return x
    key, number = draw_key(seed, is_symbolic=is_symbolic(x))
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    noise = () if noise_shape is None else tuple(-1 if d is None else int(d) for d in noise_shape)
    result: Operand = apply_composite(
        "RandomDropout", _dropout_body, x, key, np.int64(number), np.float32(rate), as_operand(scale, x.dtype),
        noise_shape=noise)
    return result


def _draw(name: str, body: Callable[..., Operand], shape: Shape, seed: Seed, *parameters: Operand,
          **attributes: Any) -> Operand:
    """One node, or one run, of `body`. A shape that is known is part of a node; a run takes it as an operand."""
    sizes = as_sizes(shape, name)
    is_recorded = current_trace() is not None or any(isinstance(s, Operand) for s in sizes) or any(
        isinstance(x, SymbolicTensor) for x in parameters)
    if any(isinstance(s, int) and s < 0 for s in sizes):
        raise ShapeError(f"{name}: the shape {tuple(sizes)} has a negative entry")
    key, number = draw_key(seed, is_symbolic=is_recorded)
    operands = (key, np.int64(number), *parameters)
    if is_recorded and all(isinstance(s, int) for s in sizes):
        result: Operand = apply_composite(name, body, *operands, shape=tuple(sizes), **attributes)
    else:
        result = apply_composite(name, body, *operands, vector(sizes), **attributes)
    return result


def _bits(key: Operand, number: Operand, shape: Operand | tuple[int, ...], words: int = 1) -> tuple[Operand, ...]:
    """`words` tensors of `shape`, each full of random uint32."""
    if isinstance(shape, tuple):
        count: Size = math.prod(shape)
        shape = ints(*shape)
    else:
        count = apply("ReduceProd", shape, keepdims=0)
    bits = random_bits(key, number, times(count, words))
    parts = (bits,) if words == 1 else apply_many("Split", bits, vector([count] * words), outputs=words)
    return tuple(apply("Reshape", part, shape, allowzero=1) for part in parts)


def _fraction(bits: Sequence[Operand], dtype: str) -> Operand:
    """Uniform numbers from 0 to below 1: the top bits as a fraction."""
    size = _UNIFORM_BITS[dtype]
    if dtype == "float64":
        high, low = (apply("Cast", apply("BitShift", word, np.uint32(shift), direction="RIGHT"),
                              to=ELEM_TYPES[dtype]) for word, shift in zip(bits, (5, 6), strict=True))
        return _times(apply("Add", _times(high, 2.0**26), low), 2.0**-53)
    top = apply("BitShift", bits[0], np.uint32(32 - size), direction="RIGHT")
    return _times(apply("Cast", top, to=ELEM_TYPES["float32"]), 2.0**-size)


def _times(x: Operand, factor: float) -> Operand:
    result: Operand = apply("Mul", x, factor)
    return result


def _uniform_body(key: Operand, number: Operand, low: Operand, high: Operand, limit: Operand, *dynamic: Operand,
                  dtype: str, shape: tuple[int, ...] | None = None) -> Operand:
    bits = _bits(key, number, dynamic[0] if shape is None else shape, 2 if dtype == "float64" else 1)
    scaled = apply("Add", apply("Mul", _fraction(bits, dtype), apply("Sub", high, low)), low)
    return cast_to(apply("Min", scaled, limit), dtype)


_QUANTILE = ((1.25331414, 0.447435081, 0.0909962878, 0.0125212651, 0.00113772321, 5.92861361e-05, 1.90992694e-07),
             (1.0, 0.0952018797, 0.0346499868, 0.00231118291, 0.000248341821, 3.73553053e-06))
"""Q((1 + x) / 2) = x P(w) / R(w) with w = -log(1 - x^2): P and R, to 3.3e-7 of Q for all 2^32 words."""


def _normal_body(key: Operand, number: Operand, mean: Operand, stddev: Operand, *dynamic: Operand, dtype: str,
                 bound: float, shape: tuple[int, ...] | None = None) -> Operand:
    (bits,) = _bits(key, number, dynamic[0] if shape is None else shape)
    word = apply("Cast", bits, to=ELEM_TYPES["float64"])
    x = apply("Add", _times(word, bound * 2.0**-31), bound * (2.0**-32 - 1))
    w = apply("Neg", apply("Log", apply("Mul", apply("Sub", 1.0, x), apply("Add", x, 1.0))))
    x, w = cast_to(x, "float32"), cast_to(w, "float32")
    numerator, denominator = (_polynomial(coefficients, w) for coefficients in _QUANTILE)
    unit = apply("Mul", x, apply("Div", numerator, denominator))
    scaled = apply("Mul", cast_to(unit, stddev.dtype), stddev)
    return cast_to(apply("Add", scaled, mean), dtype)


def _polynomial(coefficients: tuple[float, ...], x: Operand) -> Operand:
    result = apply("Add", apply("Mul", x, coefficients[-1]), coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        result = apply("Add", apply("Mul", result, x), coefficient)
    return result


def _integer_body(key: Operand, number: Operand, low: Operand, span: Operand, *dynamic: Operand, dtype: str,
                  shape: tuple[int, ...] | None = None) -> Operand:
    high, rest = (cast_to(x, "uint64") for x in _bits(key, number, dynamic[0] if shape is None else shape, 2))
    word = apply("BitwiseOr", apply("BitShift", high, np.uint64(32), direction="LEFT"), rest)
    return cast_to(apply("Add", apply("Mod", word, span), low), dtype)


def _dropout_body(x: Operand, key: Operand, number: Operand, rate: Operand, scale: Operand, *,
                  noise_shape: tuple[int, ...]) -> Operand:
    whole = apply("Shape", x)
    if noise_shape:
        given = np.array(noise_shape, np.int64)
        whole = apply("Where", given < 0, whole, given)
    kept = apply("GreaterOrEqual", _fraction(_bits(key, number, whole), "float32"), rate)
    return apply("Where", kept, apply("Mul", x, scale), as_operand(0.0, x.dtype))


def _wide(dtype: str) -> str:
    """The dtype that numbers of `dtype` are computed in."""
    return "float64" if dtype == "float64" else "float32"


def _below(low: Number, high: Number, dtype: str) -> Number:
    """The largest number below `high`, so that rounding never reaches it."""
    if isinstance(low, Operand | np.ndarray) or isinstance(high, Operand | np.ndarray) or not low < high:
        return high
    kind = numpy_dtype(dtype)
    return np.nextafter(np.array(high, kind), np.array(low, kind))


def _float_dtype(who: str, dtype: object, others: Callable[[str], bool] = lambda dtype: False) -> str:
    name = as_dtype("float32" if dtype is None else dtype)
    if name not in _UNIFORM_BITS and not others(name):
        raise DtypeError(f"{who}: dtype must be one of {', '.join(_UNIFORM_BITS)}, got {name}")
    return name
