"""Categorical numbers: classes drawn by their log-probabilities."""

from __future__ import annotations

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.errors import DtypeError, OpError, ShapeError
from symgraph.core.gradient import not_differentiable
from symgraph.core.scope import current_trace
from symgraph.core.tensor import Operand
from symgraph.core.types import as_dtype, is_integer
from symgraph.core.value import Tensor, scalar_fits
from symgraph.ops.applying import apply
from symgraph.ops.loops import while_loop
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.random_words import any_of, fraction, random_words
from symgraph.ops.seeds import Seed, draw_key
from symgraph.ops.sizes import as_size, ints, is_symbolic, vector

__all__ = ["categorical"]

not_differentiable("its results are numbers of classes", "RandomCategorical", domain=DOMAIN)


def categorical(logits: object, num_samples: object, dtype: object = "int32", seed: Seed = None) -> Operand:
    """`num_samples` classes for each row of `logits`, drawn with the probabilities `softmax(logits)`.

    `logits`: `(batch, classes)`, unnormalised log-probabilities; a class with -inf is never drawn. Gives
    `(batch, num_samples)` whole numbers from 0 to below `classes`: how many of the cumulative sums of the
    probabilities, in float64, are not above a uniform number. `seed` as in `uniform`.

    A row that has no distribution (NaN, inf, or nothing but -inf), where this is known only when the draw runs, gives
    -1, in an unsigned `dtype` the largest number.

    Errors: `ShapeError` for `logits` that are no matrix or have no classes, `OpError` for a row without a
    distribution, `DtypeError` for a `dtype` that cannot hold the classes.

    >>> import symgraph as sg
    >>> sg.random.categorical([[0.0, float("-inf")], [-1000.0, 0.0]], 3, seed=1).tolist()
    [[0, 0, 0], [1, 1, 1]]
    """
    name = as_dtype("int32" if dtype is None else dtype)
    x = as_operand(logits, "float64")
    size = as_size(num_samples, "categorical")
    if not is_integer(name):
        raise DtypeError(f"categorical: dtype must be an integer, got {name}")
    if x.ndim != 2:
        raise ShapeError(f"categorical: logits have the shape (batch, classes), got {x.shape}")
    if isinstance(size, int) and size < 0:
        raise ShapeError(f"categorical: num_samples must be a whole number from 0 on, got {size}")
    classes = x.shape[1]
    if isinstance(classes, int):
        if not classes:
            raise ShapeError(f"categorical: there are no classes in logits of shape {x.shape}")
        if not scalar_fits(classes - 1, name):
            raise DtypeError(f"categorical: {name} cannot hold the classes 0 to {classes - 1}; ask for a wider dtype")
    if isinstance(x, Tensor):
        _check_rows(x.numpy())
    is_recorded = current_trace() is not None or is_symbolic(x) or isinstance(size, Operand)
    key, number = draw_key(seed, is_symbolic=is_recorded)
    operands = (key, np.int64(number), x)
    if is_recorded and isinstance(size, int):
        result: Operand = apply_composite("RandomCategorical", _categorical_body, *operands, dtype=name, samples=size)
    else:
        result = apply_composite("RandomCategorical", _categorical_body, *operands, vector([size]), dtype=name)
    return result


def _check_rows(logits: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    has_none = ~(np.isfinite(logits) | (logits == -np.inf)).all(axis=1) | (logits == -np.inf).all(axis=1)
    if has_none.any():
        row = int(np.argmax(has_none))
        raise OpError(f"categorical: row {row} of the logits has NaN, inf, or nothing but -inf: {logits[row]}")


def _categorical_body(key: Operand, number: Operand, logits: Operand, *dynamic: Operand, dtype: str,
                      samples: int | None = None) -> Operand:
    columns = dynamic[0] if samples is None else ints(samples)
    sizes = apply("Concat", apply("Shape", logits, start=0, end=1), columns, axis=0)
    shifted = apply("Sub", logits, apply("ReduceMax", logits, ints(1)))
    sums = apply("CumSum", apply("Exp", shifted), np.int64(1))
    total = apply("ReduceMax", sums, ints(1))
    is_usable = apply("And", apply("Greater", total, 0.0), apply("Less", total, float("inf")))
    u = fraction(random_words(key, number, sizes, 2), "float64")
    found = _first_above(sums, apply("Mul", u, apply("Where", is_usable, total, 0.0)), sizes)
    return cast_to(apply("Where", is_usable, found, np.int64(-1)), dtype)


def _first_above(ascending: Operand, x: Operand, sizes: Operand) -> Operand:
    """The place of the first number in each row of `ascending` that is above those in the row of `x`, by bisection."""
    classes = apply("Shape", ascending, start=1, end=2)
    last = apply("Sub", classes, np.int64(1))

    def step(low: Operand, high: Operand) -> tuple[Operand, Operand]:
        middle = apply("Div", apply("Add", low, high), np.int64(2))
        is_right = apply("LessOrEqual", apply("GatherElements", ascending, middle, axis=1), x)
        return (apply("Where", is_right, apply("Min", apply("Add", middle, np.int64(1)), high), low),
                apply("Where", is_right, high, middle))

    start = (apply("Expand", np.int64(0), sizes), apply("Expand", last, sizes))
    low: Operand = while_loop(lambda low, high: any_of(apply("Less", low, high)), step, start)[0]
    return low
