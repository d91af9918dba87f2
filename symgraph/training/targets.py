"""Targets before training starts: whether they are there, fit the outputs, and are what the losses take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeGuard

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.errors import DtypeError, OpError, ShapeError, TrainingError
from symgraph.core.scope import Trace, tracing
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.core.types import Shape, TensorType, as_dtype, is_floating, is_integer
from symgraph.training.compiled_losses import CompiledLoss
from symgraph.training.losses.classification import (
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from symgraph.training.losses.ctc import ctc
from symgraph.training.losses.objects import Loss, LossFunctionWrapper
from symgraph.training.losses.operands import as_class_axis, is_one
from symgraph.training.output_parts import shape_of

Type = tuple[Any, Shape]

_NO_NUMBERS = {"U": "strings", "S": "strings", "O": "Python objects", "m": "dates", "M": "dates"}

BLOCK = 1 << 18
"""How many class numbers are looked at at once: few enough to stay in the cache."""

_OF_CLASSES = (sparse_categorical_crossentropy, categorical_generalized_cross_entropy, ctc)
_ONE_HOT = (categorical_crossentropy, categorical_focal_crossentropy)


def check_targets(losses: CompiledLoss, targets: Any, outputs: Any, *, first_row: int = 0) -> None:
    """Raise where `targets` are not such as the losses of a model with these outputs take.

    `outputs` are symbols or values, nested as the model's; only their types are looked at. Shapes are judged by the
    losses themselves, called on symbols; of losses of your own they show when the model first runs. Class numbers are
    all looked at, once. `first_row` is added to the rows in messages, for a part of the data.

    Errors, all naming the output: `TrainingError` for missing targets, those of outputs that do not exist, and class
    numbers that are none; `DtypeError` for what are no numbers; `ShapeError`.

    >>> import symgraph as sg
    >>> losses = CompiledLoss("sparse_categorical_crossentropy", output_names=["digit"])
    >>> check_targets(losses, np.array([3, 10]), sg.Input((10,)))
    Traceback (most recent call last):
    ...
    symgraph.core.errors.TrainingError: output "digit": target 10 in row 1 is no class; the 10 classes are 0 to 9
    """
    found = losses.flat_targets(targets, outputs)
    predictions = flatten(outputs)
    types = tuple(_type_of(x) for x in (*found, *predictions))
    for i, y in enumerate(found):
        if y is not None:
            _check_dtype(y, losses.outputs.describe(i))
    ours = [(loss, part.outputs, losses.outputs.describe(part.outputs)) for part in losses.losses
            if isinstance(part.outputs, int) for loss in part.losses if _is_ours(loss)]
    if types not in losses.fitting:
        for loss, i, who in ours:
            _check_shape(loss, types[i], types[len(found) + i], who)
        losses.fitting.add(types)
    for loss, i, who in ours:
        _check_classes(loss, found[i], shape_of(predictions[i]), who, first_row)


def class_checks(losses: CompiledLoss, targets: Any, outputs: Any) -> list[tuple[int, Callable[[Any], None]]]:
    """What is to look at in targets like these, batch after batch: their number among all, and a function that raises
    as `check_targets` does where class numbers are none.
    """
    leaves = flatten(targets)
    found = losses.flat_targets(targets, outputs)
    shapes = [shape_of(x) for x in flatten(outputs)]
    checks: list[tuple[int, Callable[[Any], None]]] = []
    for part in losses.losses:
        for loss in part.losses:
            if isinstance(part.outputs, int) and _is_ours(loss) and loss.fn in _OF_CLASSES:
                who = losses.outputs.describe(part.outputs)
                number = next(i for i, y in enumerate(leaves) if y is found[part.outputs])
                checks.append((number, partial(_check_classes, loss, shape=shapes[part.outputs], who=who)))
    return checks


def _is_ours(loss: Loss) -> TypeGuard[LossFunctionWrapper]:
    """Whether a loss is of the catalogue, so that it may be called on symbols whatever the model does."""
    return isinstance(loss, LossFunctionWrapper) and all(
        x.__module__.startswith("symgraph.") for x in (type(loss), loss.fn))


def _type_of(x: Any) -> Type | None:
    """Dtype and shape, with the number of samples left open."""
    if x is None:
        return None
    data = x if isinstance(x, Operand) else np.asarray(x)
    shape: Shape = data.shape
    return data.dtype, (None, *shape[1:]) if shape else ()


def _check_dtype(y: Any, who: str) -> None:
    dtype = y.dtype if isinstance(y, Operand) else np.asarray(y).dtype
    if not isinstance(dtype, str) and dtype.kind in _NO_NUMBERS:
        is_text = dtype.kind in "US" or isinstance(next(np.asarray(y).flat, None), str | bytes)
        what = "strings" if is_text else _NO_NUMBERS[dtype.kind]
        advice = "; number the classes first, as with np.unique(y, return_inverse=True)" if is_text else ""
        raise DtypeError(f"{who}: the targets are {what} ({dtype}), expected numbers{advice}")
    name = as_dtype(dtype)
    if not (is_floating(name) or is_integer(name) or name == "bool"):
        raise DtypeError(f"{who}: the targets are {name}, expected numbers")


def _check_shape(loss: LossFunctionWrapper, y: Type | None, p: Type | None, who: str) -> None:
    assert y is not None and p is not None
    target, prediction = (placeholder(TensorType(as_dtype(dtype), shape)) for dtype, shape in (y, p))
    try:
        with tracing(Trace()):
            loss(target, prediction)
    except (ShapeError, OpError, DtypeError) as error:
        raise type(error)(f"{who}: {error}{_advice(loss, y[1], p[1])}") from None


def _advice(loss: LossFunctionWrapper, y: Shape, p: Shape) -> str:
    """What to do about targets whose shape is that of another loss."""
    if loss.fn in _ONE_HOT and (len(y) == len(p) - 1 or (len(y) == len(p) and is_one(y[-1]))):
        return "; for class numbers there is sparse_categorical_crossentropy"
    if loss.fn is sparse_categorical_crossentropy and y[1:] == p[1:]:
        return "; for one-hot targets there is categorical_crossentropy"
    return ""


def _check_classes(loss: LossFunctionWrapper, y: Any, shape: Shape, who: str, first_row: int = 0) -> None:
    if loss.fn not in _OF_CLASSES or not shape_of(y):
        return
    classes = shape[as_class_axis(who, loss.arguments.get("axis", -1), len(shape))]
    if not isinstance(classes, int):
        return
    ignored = loss.arguments.get("ignore_class")
    labels = np.asarray(y)
    rows = max(1, BLOCK // max(1, labels[:1].size))
    for start in range(0, len(labels), rows):
        place = _first_wrong(labels[start:start + rows], classes, ignored)
        if place is None:
            continue
        row, *rest = place
        value = labels[(start + row, *rest)].item()
        inside = f" at {rest}" if labels[0].size > 1 else ""
        also = "" if ignored is None else f", and {ignored} is ignored"
        raise TrainingError(f"{who}: target {value} in row {first_row + start + row}{inside} is no class; "
                            f"the {classes} classes are 0 to {classes - 1}{also}")


def _first_wrong(labels: np.ndarray[Any, Any], classes: int, ignored: int | None) -> list[int] | None:
    """Where the first of some labels is that is no class."""
    if labels.dtype.kind in "iub" and labels.min() >= 0 and labels.max() < classes:
        return None
    is_wrong = ~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))
    if ignored is not None:
        is_wrong &= labels != ignored
    return [int(i) for i in np.argwhere(is_wrong)[0]] if is_wrong.any() else None
