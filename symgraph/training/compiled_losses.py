"""The loss of a model: what `compile` makes of losses and their weights, for one output or for many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.errors import DtypeError, OpError, ShapeError, TrainingError
from symgraph.core.scope import not_tracing
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.core.types import Shape
from symgraph.core.variable import Variable
from symgraph.layers.masking import mask_of
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import mean
from symgraph.ops.sizes import dimension
from symgraph.training import losses as catalogue
from symgraph.training.losses.classification import (
    binary_crossentropy,
    categorical_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from symgraph.training.losses.ctc import ctc
from symgraph.training.losses.objects import (
    CTC,
    CategoricalGeneralizedCrossEntropy,
    Circle,
    Loss,
    LossFunctionWrapper,
    SparseCategoricalCrossentropy,
)
from symgraph.training.losses.operands import is_one
from symgraph.training.losses.reduction import reduce_losses
from symgraph.training.losses.similarity import circle
from symgraph.training.metrics.mean import Mean
from symgraph.training.output_parts import Outputs, Part, arrange_targets, leaves_of, log_name, pick, shape_of

DTYPE = "float32"

_BY_SHAPE = ("crossentropy", "ce")

_OF_LABELS: dict[Callable[..., Operand], type[Loss]] = {
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy, ctc: CTC, circle: Circle,
    categorical_generalized_cross_entropy: CategoricalGeneralizedCrossEntropy,
}
"""Functions of class numbers, and the losses that leave these as they are."""


@dataclass(frozen=True)
class OutputLoss:
    """What the losses of one output add up from. `outputs` is its number, or several, nested as the outputs are."""

    name: str
    outputs: Any
    losses: tuple[Loss, ...]
    weights: tuple[Any, ...]


class CompiledLoss:
    """The losses of all outputs as one number: `Σ weight loss(y_true, y_pred)`.

    `loss` is a name, a function, a `Loss`, or a list or dict of these for several outputs, nested as they are; a lone
    one is that of every output, several for one output are added up, None is no loss. A loss for a part of nested
    outputs gets that part as it is nested. `loss_weights` are numbers (or variables) in the same nesting, 1 where there
    is none. A loss whose reduction is "none" counts with the mean of what it gives.

    With several losses `metrics` holds one mean for each, `{output}_loss`, of the loss without its weight.

    >>> import symgraph as sg
    >>> total = CompiledLoss(["mse", "mae"], [1.0, 0.5], ["mean", "width"])
    >>> y, p = [sg.ones((2, 1)), sg.ones((2, 1))], [sg.zeros((2, 1)), 3.0 * sg.ones((2, 1))]
    >>> float(total(y, p)), {m.name: float(m.result()) for m in total.metrics}
    (2.0, {'mean_loss': 1.0, 'width_loss': 2.0})
    """

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: Any = None) -> None:
        self._given = loss
        self._given_weights = loss_weights
        self._names = output_names
        self._outputs: Outputs | None = None
        self._losses: tuple[OutputLoss, ...] = ()
        self._trackers: tuple[Mean, ...] = ()
        self.fitting: set[object] = set()
        """Types of targets and predictions that the losses were found to take."""
        for x in leaves_of(loss):
            _check(x)
        for x in flatten(loss_weights):
            _check_weight(x)

    @property
    def built(self) -> bool:
        """Whether it is known what belongs to which output."""
        return self._outputs is not None

    @property
    def outputs(self) -> Outputs:
        """The outputs and their names, once built."""
        if self._outputs is None:
            raise TrainingError("the loss is not built yet: it has not seen the outputs of the model")
        return self._outputs

    @property
    def is_empty(self) -> bool:
        """Whether no output has a loss."""
        return all(x is None for x in leaves_of(self._given))

    @property
    def losses(self) -> tuple[OutputLoss, ...]:
        """The losses by output, once built."""
        return self._losses

    @property
    def metrics(self) -> list[Mean]:
        """The means of the losses of the outputs, where there are several."""
        return list(self._trackers)

    @property
    def variables(self) -> list[Variable]:
        """The state of `metrics`."""
        return [v for metric in self._trackers for v in metric.variables]

    def reset_state(self) -> None:
        """Start the means anew."""
        for metric in self._trackers:
            metric.reset_state()

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Find the losses of outputs like `y_pred`: operands, of which only shapes are looked at.

        Errors: `TrainingError` for losses, weights or targets of outputs that do not exist.
        """
        outputs = Outputs(y_pred, self._names)
        parts = [own for part in outputs.parts(self._given, "loss") for own in _spread(outputs, part)]
        has_loss = {number for part in parts for number in flatten(part.outputs)}
        targets = arrange_targets(outputs, y_true, has_loss)
        shapes = [(shape_of(y), shape_of(p)) for y, p in zip(targets, flatten(y_pred), strict=True)]
        weights = outputs.each(self._given_weights, "loss_weights")
        made = (_output_loss(outputs, part, shapes, weights) for part in parts)
        self._losses = tuple(x for x in made if x.losses)
        with not_tracing():
            several = self._losses if len(self._losses) > 1 else ()
            self._trackers = tuple(Mean(name=f"{x.name}_loss") for x in several)
        self._outputs = outputs

    def targets(self, y_true: Any, y_pred: Any) -> Any:
        """The targets nested as the outputs are, None for an output without.

        Errors: `TrainingError` where a target is missing, and for one of an output that does not exist.
        """
        flat = self.flat_targets(y_true, y_pred)
        return pick(self.outputs.structure, flat)

    def flat_targets(self, y_true: Any, y_pred: Any) -> list[Any]:
        """The same as `targets`, in the order of the outputs."""
        if not self.built:
            self.build(y_true, y_pred)
        return arrange_targets(self.outputs, y_true, {i for x in self._losses for i in flatten(x.outputs)})

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Operand:
        """The weighted sum of the losses, a float32 scalar; the means of the outputs take their losses in.

        `sample_weight` is one for all outputs, or a list or dict by output. The masks of predictions count.

        Errors: `TrainingError` where no output has a loss, or one with a loss no target; `ShapeError` for shapes that
        do not fit.
        """
        targets = self.flat_targets(y_true, y_pred)
        predictions = [as_operand(p) for p in flatten(y_pred)]
        weights = self.outputs.weights(sample_weight)
        values = []
        for i, part in enumerate(self._losses):
            first = flatten(part.outputs)[0]
            try:
                terms = [_value(loss, part.outputs, targets, predictions, weights[first]) for loss in part.losses]
            except (DtypeError, OpError, ShapeError) as error:
                raise type(error)(f"{self.outputs.describe(first)}: {error}") from error
            if self._trackers:
                p = predictions[first]
                self._trackers[i].update_state(add_up(terms), dimension(p, 0) if p.ndim else None)
            values += [x if w is None else x * cast_to(as_operand(w), DTYPE)
                       for x, w in zip(terms, part.weights, strict=True)]
        return add_up(values)


def add_up(losses: list[Operand], who: str = "the model") -> Operand:
    """The sum of losses.

    Errors: `TrainingError` where there are none.
    """
    if not losses:
        raise TrainingError(f"{who} has nothing to minimise: give compile a loss, or let a layer add one with add_loss")
    result = losses[0]
    for x in losses[1:]:
        result = result + x
    return result


def as_loss(identifier: Any, y_true: Shape, y_pred: Shape) -> Loss:
    """The loss of one output, given the shapes of its targets and predictions.

    "crossentropy" is binary where the last axis of predictions is 1, or missing; sparse where targets have an axis
    less, or a last one of 1; else categorical. Functions are called for every sample, and the mean taken.

    >>> as_loss("crossentropy", (None,), (None, 10))
    <SparseCategoricalCrossentropy 'crossentropy'>
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        is_sparse = len(y_true) < len(y_pred) or (bool(y_true) and is_one(y_true[-1]))
        is_binary = len(y_pred) < 2 or is_one(y_pred[-1])
        found: Any = (binary_crossentropy if is_binary else
                      sparse_categorical_crossentropy if is_sparse else categorical_crossentropy)
    else:
        found = catalogue.get(identifier)
    if isinstance(found, Loss):
        return found
    name = log_name(identifier, found)
    return _OF_LABELS[found](name=name) if found in _OF_LABELS else LossFunctionWrapper(found, name=name)


def _spread(outputs: Outputs, part: Part) -> list[Part]:
    """A lone loss is that of every output, not one of all of them together."""
    if part.path or isinstance(part.outputs, int):
        return [part]
    return [Part(outputs.paths[i], i, part.given) for i in range(outputs.count)]


def _output_loss(outputs: Outputs, part: Part, shapes: list[tuple[Shape, Shape]], weights: list[Any]) -> OutputLoss:
    numbers = flatten(part.outputs)
    given = list(part.given) if isinstance(part.given, list | tuple) else [part.given]
    weight = weights[numbers[0]]
    if any(weights[i] is not weight for i in numbers):
        raise TrainingError(f'loss_weights: the loss of "{"/".join(map(str, part.path))}" is one of '
                            f"{len(numbers)} outputs together; give it one weight")
    own = list(weight) if isinstance(weight, list | tuple) else [weight] * len(given)
    if len(own) != len(given):
        raise TrainingError(f"loss_weights: got {len(own)} for the {len(given)} losses of "
                            f"{outputs.describe(numbers[0])}")
    losses = [None if x is None else as_loss(x, *shapes[numbers[0]]) for x in given]
    kept = [(loss, w) for loss, w in zip(losses, own, strict=True) if loss is not None]
    name = outputs.label(part.path, part.outputs, kept[0][0].name if kept else "")
    return OutputLoss(name, part.outputs, tuple(x for x, _ in kept), tuple(w for _, w in kept))


def _check(loss: Any) -> None:
    """Find a loss that does not exist when it is given, not when the model first runs."""
    if not isinstance(loss, str) or loss.lower() not in _BY_SHAPE:
        catalogue.get(loss)


def _check_weight(weight: Any) -> None:
    is_number = isinstance(weight, int | float | np.number | Operand) and not isinstance(weight, bool)
    if not (weight is None or is_number) or shape_of(weight) != ():
        raise TrainingError(f"loss_weights are numbers, in a list or a dict by output; got {weight!r}")


def _value(loss: Loss, part: Any, targets: list[Any], predictions: list[Operand], weight: Any) -> Operand:
    """One loss of one output, or of a part of the outputs, as a float32 scalar."""
    if isinstance(part, int):
        value = loss(targets[part], predictions[part], weight, mask_of(predictions[part]))
    else:
        y, p = pick(part, targets), pick(part, predictions)
        values = loss.fn(y, p, **loss.arguments) if isinstance(loss, LossFunctionWrapper) else loss.call(y, p)
        value = reduce_losses(loss.name, as_operand(values), weight, None, loss.reduction)
    value = cast_to(value, DTYPE)
    return mean(value) if value.ndim else value
