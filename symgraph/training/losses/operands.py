"""What losses and metrics are given, made to fit each other: dtypes, ranks, sizes, weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import DtypeError, OpError, ShapeError, TrainingError
from symgraph.core.tensor import Operand
from symgraph.core.types import Shape, is_floating, is_integer
from symgraph.ops.activations import as_float
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.shape import expand_dims, squeeze
from symgraph.ops.sizes import is_symbolic


def as_pair(who: str, y_true: object, y_pred: object) -> tuple[Operand, Operand]:
    """Targets and predictions as floats of one dtype and rank, of sizes that are equal where both are known.

    A last axis of size 1 that only one of them has is taken away, or given to the other where that is a vector.
    A target that is a single number stays one.

    Errors: `ShapeError` naming both shapes.
    """
    prediction = as_float(y_pred)
    target, prediction = match_ranks(as_targets(who, y_true, prediction.dtype), prediction)
    if target.ndim:
        check_equal_shapes(who, target, prediction)
    return target, prediction


def as_targets(who: str, y_true: object, dtype: str) -> Operand:
    """Targets as floats of this dtype.

    Errors: `DtypeError` for strings and complex numbers.
    """
    target = as_operand(y_true)
    if not (is_floating(target.dtype) or is_integer(target.dtype) or target.dtype == "bool"):
        raise DtypeError(f"{who}: the targets are {target.dtype}, expected numbers")
    return cast_to(target, dtype)


def match_ranks(a: Operand, b: Operand, *, is_vector_kept: bool = False) -> tuple[Operand, Operand]:
    """Two operands whose ranks differ by a last axis of size 1, made of one rank; others as they are.

    The axis is taken away; beside a vector it is added instead, unless `is_vector_kept`.
    """
    if a.ndim == b.ndim + 1 and is_one(a.shape[-1]):
        if b.ndim == 1 and not is_vector_kept:
            return a, expand_dims(b, -1)
        return squeeze(a, -1), b
    if b.ndim == a.ndim + 1 and is_one(b.shape[-1]):
        if a.ndim == 1 and not is_vector_kept:
            return expand_dims(a, -1), b
        return a, squeeze(b, -1)
    return a, b


def is_one(dim: object) -> bool:
    """Whether a dimension is known to be 1."""
    return isinstance(dim, int) and dim == 1


def fits(a: Shape, b: Shape) -> bool:
    """Whether two shapes are equal as far as they are known."""
    return len(a) == len(b) and all(
        x == y or not isinstance(x, int) or not isinstance(y, int) for x, y in zip(a, b, strict=True))


def check_equal_shapes(who: str, target: Operand, prediction: Operand) -> None:
    """Raise `ShapeError` where targets and predictions are known to differ in shape."""
    if not fits(target.shape, prediction.shape):
        raise ShapeError(f"{who}: targets of shape {target.shape} do not fit predictions of shape {prediction.shape}; "
                         "the shapes must be equal")


def align_weights(who: str, weights: Operand, values: Operand) -> tuple[Operand, Operand]:
    """Weights and values of one rank: weights for the first axes of `values` get axes of size 1 behind.

    Errors: `ShapeError` where the weights do not broadcast to the values.
    """
    if not weights.ndim or not values.ndim:
        return weights, values
    values, weights = match_ranks(values, weights)
    if weights.ndim < values.ndim:
        weights = expand_dims(weights, tuple(range(weights.ndim, values.ndim)))
    sizes = tuple(v if is_one(w) else w for w, v in zip(weights.shape, values.shape, strict=False))
    if weights.ndim > values.ndim or not fits(sizes, values.shape):
        raise ShapeError(f"{who}: sample weights of shape {weights.shape} do not fit values of shape {values.shape}; "
                         "give one weight a sample, or one a value")
    return weights, values


def as_weights(who: str, sample_weight: object, dtype: str) -> Operand:
    """Sample weights as an operand of this dtype.

    Errors: `DtypeError` for strings and complex numbers.
    """
    return as_targets(f"{who}: sample weights", sample_weight, dtype)


def check_labels(who: str, labels: Operand, classes: object, ignored: int | None = None) -> None:
    """Raise `OpError` where a class number is not a whole number from 0 to `classes`; symbols are not looked at."""
    if is_symbolic(labels) or not isinstance(classes, int):
        return
    values = np.asarray(labels)
    is_wrong = ~((values >= 0) & (values < classes) & (values == np.floor(values)))
    if ignored is not None:
        is_wrong &= values != ignored
    if is_wrong.any():
        place = tuple(int(i) for i in np.argwhere(is_wrong)[0])
        raise OpError(f"{who}: label {values[place].item()!r} at {list(place)} is no class; "
                      f"with {classes} classes labels are whole numbers from 0 to {classes - 1}")


def as_class_axis(who: str, axis: object, rank: int) -> int:
    """The axis of the classes, from 0 on.

    Errors: `TrainingError` for what is no axis of a tensor of this rank.
    """
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or not -rank <= axis < rank:
        raise TrainingError(f"{who}: axis must be a whole number from {-rank} to {rank - 1}, got {axis!r}")
    return int(axis) % rank


def check_share(who: str, name: str, value: float) -> float:
    """An argument that is a number from 0 to 1.

    Errors: `TrainingError` naming it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise TrainingError(f"{who}: {name} must be a number from 0 to 1, got {value!r}")
    return float(value)


def one_word_of(who: str, name: str, value: object, words: Sequence[object]) -> None:
    """Raise `TrainingError` where an argument is none of the words there are."""
    if not any(value == word for word in words):
        raise TrainingError(f"{who}: {name} must be one of {', '.join(map(repr, words))}, got {value!r}")
