"""Random numbers: uniform, normal, truncated normal, whole numbers, dropout. Public as `sg.random`.

Every number is a pure function of a key and its position (`philox.py`): the same on every provider, whatever
ran before. On values one compiled graph runs; on symbols, and in traced functions, a draw is one node.

Uniform floats are the top bits of a word, exactly. Normal numbers are the quantile function of a word: one
logarithm in float64, the rest sums, products and a quotient, which are the same on every machine. Other
distributions have files of their own, `random_gamma.py` and so on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import DtypeError, OpError, ShapeError
from symgraph.core.tensor import Operand
from symgraph.core.types import as_dtype, is_floating, is_integer, numpy_dtype
from symgraph.core.value import scalar_fits
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.random_binomial import binomial
from symgraph.ops.random_categorical import categorical
from symgraph.ops.random_gamma import beta, gamma
from symgraph.ops.random_order import shuffle
from symgraph.ops.random_words import (
    Number,
    Shape,
    draw,
    float_dtype,
    fraction,
    random_words,
    standard_normal,
    wide,
)
from symgraph.ops.seeds import Seed, SeedGenerator, draw_key, make_default_seed, set_seed
from symgraph.ops.sizes import is_symbolic

__all__ = ["SeedGenerator", "beta", "binomial", "categorical", "dropout", "gamma", "make_default_seed", "normal",
           "randint", "set_seed", "shuffle", "truncated_normal", "uniform"]


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
    name = float_dtype("uniform", dtype, others=is_integer)
    if is_integer(name):
        return randint(shape, minval, maxval, name, seed)  # type: ignore[arg-type]
    bounds = (as_operand(x, wide(name)) for x in (minval, maxval, _below(minval, maxval, name)))
    return draw("RandomUniform", _uniform_body, shape, seed, *bounds, dtype=name)


def normal(shape: Shape, mean: Number = 0.0, stddev: Number = 1.0, dtype: object = None, seed: Seed = None
           ) -> Operand:
    """Normal numbers `mean + stddev * Q(u)`, `Q` the normal quantile function of a uniform `u`.

    float32 unless `dtype` says another; float64 results have float32's resolution. `seed` as in `uniform`.

    >>> import symgraph as sg
    >>> sg.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    name = float_dtype("normal", dtype)
    return draw("RandomNormal", _normal_body, shape, seed, as_operand(mean, wide(name)),
                 as_operand(stddev, wide(name)), dtype=name, bound=1.0)


def truncated_normal(shape: Shape, mean: Number = 0.0, stddev: Number = 1.0, dtype: object = None,
                     seed: Seed = None) -> Operand:
    """Normal numbers, given that they lie within two standard deviations of the mean.

    `mean + stddev * Q(u)` with `u` uniform between the probabilities of -2 and 2. `seed` as in `uniform`.

    >>> import symgraph as sg
    >>> bool((abs(sg.random.truncated_normal((100,), seed=1).numpy()) <= 2).all())
    True
    """
    name = float_dtype("truncated_normal", dtype)
    return draw("RandomTruncatedNormal", _normal_body, shape, seed, as_operand(mean, wide(name)),
                 as_operand(stddev, wide(name)), dtype=name, bound=math.erf(math.sqrt(2.0)))


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
    return draw("RandomInteger", _integer_body, shape, seed, *map(as_operand, wrapped), dtype=name)


def dropout(inputs: object, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None
            ) -> Operand:
    """`inputs / (1 - rate)` with a share `rate` of the elements set to zero, at random.

    `noise_shape` has an entry for each axis: 1 drops along the whole axis at once, None is the size of
    `inputs`. `seed` as in `uniform`.

    Errors: `OpError` for a rate outside 0 to 1, `ShapeError` for a noise shape that does not fit.

    >>> import symgraph as sg
    >>> sorted(set(sg.random.dropout(sg.tensor([1.0] * 100), 0.5, seed=1).tolist()))
    [0.0, 2.0]
    """
    x = as_operand(inputs)
    if not is_floating(x.dtype):
        x = cast_to(x, "float32")
    if not isinstance(rate, int | float | np.number) or not 0 <= rate <= 1:
        raise OpError(f"dropout: rate is the share of elements to drop, from 0 to 1, got {rate!r}")
    if noise_shape is not None and len(noise_shape) != x.ndim:
        raise ShapeError(f"dropout: noise_shape {tuple(noise_shape)} has {len(noise_shape)} entries, "
                         f"the inputs have shape {x.shape}")
    if any(isinstance(a, int) and isinstance(b, int) and a not in (1, b)
           for a, b in zip(noise_shape or (), x.shape, strict=False)):
        raise ShapeError(f"dropout: each entry of noise_shape is 1, None or the size of the inputs, got "
                         f"{tuple(noise_shape or ())} for shape {x.shape}")
    if rate == 0:
        return x
    key, number = draw_key(seed, is_symbolic=is_symbolic(x))
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    noise = () if noise_shape is None else tuple(-1 if d is None else int(d) for d in noise_shape)
    result: Operand = apply_composite(
        "RandomDropout", _dropout_body, x, key, np.int64(number), np.float32(rate), as_operand(scale, x.dtype),
        noise_shape=noise)
    return result


def _uniform_body(key: Operand, number: Operand, low: Operand, high: Operand, limit: Operand, *dynamic: Operand,
                  dtype: str, shape: tuple[int, ...] | None = None) -> Operand:
    bits = random_words(key, number, dynamic[0] if shape is None else shape, 2 if dtype == "float64" else 1)
    scaled = apply("Add", apply("Mul", fraction(bits, dtype), apply("Sub", high, low)), low)
    return cast_to(apply("Min", scaled, limit), dtype)


def _normal_body(key: Operand, number: Operand, mean: Operand, stddev: Operand, *dynamic: Operand, dtype: str,
                 bound: float, shape: tuple[int, ...] | None = None) -> Operand:
    (word,) = random_words(key, number, dynamic[0] if shape is None else shape)
    unit = standard_normal(word, bound)
    scaled = apply("Mul", cast_to(unit, stddev.dtype), stddev)
    return cast_to(apply("Add", scaled, mean), dtype)


def _integer_body(key: Operand, number: Operand, low: Operand, span: Operand, *dynamic: Operand, dtype: str,
                  shape: tuple[int, ...] | None = None) -> Operand:
    high, rest = (cast_to(x, "uint64") for x in random_words(key, number, dynamic[0] if shape is None else shape, 2))
    word = apply("BitwiseOr", apply("BitShift", high, np.uint64(32), direction="LEFT"), rest)
    return cast_to(apply("Add", apply("Mod", word, span), low), dtype)


def _dropout_body(x: Operand, key: Operand, number: Operand, rate: Operand, scale: Operand, *,
                  noise_shape: tuple[int, ...]) -> Operand:
    whole = apply("Shape", x)
    if noise_shape:
        given = np.array(noise_shape, np.int64)
        whole = apply("Where", given < 0, whole, given)
    kept = apply("GreaterOrEqual", fraction(random_words(key, number, whole), "float32"), rate)
    return apply("Where", kept, apply("Mul", x, scale), as_operand(0.0, x.dtype))


def _below(low: Number, high: Number, dtype: str) -> Number:
    """The largest number below `high`, so that rounding never reaches it."""
    if isinstance(low, Operand | np.ndarray) or isinstance(high, Operand | np.ndarray) or not low < high:
        return high
    kind = numpy_dtype(dtype)
    return np.nextafter(np.array(high, kind), np.array(low, kind))
