"""The metrics of a model: what `compile` makes of metrics for one output or for many, and their names in logs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symgraph.core.errors import DtypeError, OpError, ShapeError, TrainingError
from symgraph.core.scope import not_tracing
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.core.types import Shape
from symgraph.core.variable import Variable
from symgraph.layers.masking import mask_of
from symgraph.ops.promotion import as_operand
from symgraph.training import metrics as catalogue
from symgraph.training.metrics.base import Metric
from symgraph.training.output_parts import Outputs, arrange_targets, leaves_of, log_name, shape_of

BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")
"""Words that mean another metric for another output."""


@dataclass(frozen=True)
class OutputMetric:
    """A metric of one output, and whether it is weighted."""

    output: int
    metric: Metric
    is_weighted: bool


class CompiledMetrics(Metric):
    """The metrics of all outputs. `weighted_metrics` are given the sample weights, `metrics` are not.

    Each is a list of names, functions and `Metric`s for one output; for several a list with an entry for each (None,
    one metric or a list of them), or a dict by name, nested as the outputs are. A lone metric is that of every output.

    In logs a metric is called what it is given as, after the name of its output where there are several; one more of
    the same name gets a number, or, among the weighted ones, `weighted_` first.

    >>> import symgraph as sg
    >>> metrics = CompiledMetrics(["mae"], ["mae"])
    >>> metrics.update_state(sg.tensor([[1.0], [2.0]]), sg.tensor([[3.0], [2.0]]), sg.tensor([0.0, 1.0]))
    >>> {name: float(x) for name, x in metrics.result().items()}
    {'mae': 1.0, 'weighted_mae': 0.0}
    """

    def __init__(self, metrics: Any = None, weighted_metrics: Any = None, output_names: Any = None) -> None:
        super().__init__(name="compile_metrics")
        self._given = (("metrics", metrics), ("weighted_metrics", weighted_metrics))
        self._names = output_names
        self._outputs: Outputs | None = None
        self._of_outputs: tuple[OutputMetric, ...] = ()
        seen: list[Metric] = []
        for what, given in self._given:
            for x in leaves_of(given):
                _check(x, what, seen)

    @property
    def built(self) -> bool:
        """Whether it is known what belongs to which output."""
        return self._outputs is not None

    @property
    def given(self) -> list[str]:
        """What was given, by name: first those without weights."""
        return [log_name(x, x) for _, given in self._given for x in leaves_of(given) if x is not None]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, once built: first those without weights."""
        return [x.metric for x in self._of_outputs]

    @property
    def variables(self) -> list[Variable]:
        """The state of the metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Make the metrics of outputs like `y_pred`: operands, of which only shapes are looked at.

        Errors: `TrainingError` for metrics of outputs that do not exist.
        """
        outputs = Outputs(y_pred, self._names)
        targets = arrange_targets(outputs, y_true, set())
        for what, given in self._given:
            if isinstance(given, Metric) and outputs.count > 1:
                raise TrainingError(f'{what}: the metric object "{given.name}" is given to {outputs.count} outputs, '
                                    "and it has one state only; give one for each, or its name")
        shapes = [(shape_of(y), shape_of(p)) for y, p in zip(targets, flatten(y_pred), strict=True)]
        with not_tracing():
            self._of_outputs = tuple(
                OutputMetric(i, _as_metric(x, *shapes[i]), what == "weighted_metrics")
                for what, given in self._given for i, own in enumerate(_by_output(outputs, given, what))
                for x in own)
        self._outputs = outputs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch in. `sample_weight` is one for all outputs, or a list or dict by output.

        The masks of predictions count for metrics that are means, and for those whose `update_state` has a `mask`.

        Errors: `TrainingError` for an output with metrics and without targets.
        """
        if self._outputs is None:
            self.build(y_true, y_pred)
        assert self._outputs is not None
        targets = arrange_targets(self._outputs, y_true, set())
        predictions = [as_operand(p) for p in flatten(y_pred)]
        weights = self._outputs.weights(sample_weight)
        for i, metric, is_weighted in ((x.output, x.metric, x.is_weighted) for x in self._of_outputs):
            if targets[i] is None:
                raise TrainingError(f'{self._outputs.describe(i)} has the metric "{metric.name}" and no target')
            options: dict[str, Any] = {}
            if is_weighted and weights[i] is not None:
                options["sample_weight"] = weights[i]
            mask = mask_of(predictions[i])
            if mask is not None and "mask" in inspect.signature(metric.update_state).parameters:
                options["mask"] = mask
            try:
                metric.update_state(targets[i], predictions[i], **options)
            except (DtypeError, OpError, ShapeError) as error:
                raise type(error)(f"{self._outputs.describe(i)}: {error}") from error

    def result(self) -> dict[str, Operand]:  # type: ignore[override]
        """The numbers now, by their names in logs. A metric whose result is a dict gives its entries."""
        results: dict[str, Operand] = {}
        for x in self._of_outputs:
            result = x.metric.result()
            if isinstance(result, Mapping):
                for name, own in result.items():
                    results[_free(str(name), results)] = own
            else:
                results[self._log_name(x, results)] = result
        return results

    def reset_state(self) -> None:
        """Start all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()

    def _log_name(self, x: OutputMetric, taken: Mapping[str, object]) -> str:
        assert self._outputs is not None
        output = self._outputs.names[x.output] if self._outputs.count > 1 else None
        prefix = f"{output}_" if output else ""
        name = f"{prefix}{x.metric.name}"
        if x.is_weighted and name in taken:
            name = f"{prefix}weighted_{x.metric.name}"
        return _free(name, taken)


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number where it is taken."""
    count = 0
    found = name
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    return found


def _by_output(outputs: Outputs, given: Any, what: str) -> list[list[Any]]:
    """The metrics of each output, as lists."""
    is_alone = outputs.count == 1 and isinstance(given, list | tuple)
    found = [given] if is_alone else outputs.each(given, what)
    return [[] if x is None else leaves_of(x) for x in found]


def _as_metric(identifier: Any, y_true: Shape, y_pred: Shape) -> Metric:
    is_by_shape = isinstance(identifier, str) and identifier.lower() in BY_SHAPE
    metric = catalogue.for_output(identifier.lower() if is_by_shape else identifier, y_true, y_pred)
    if isinstance(identifier, str):
        metric.name = identifier
    elif not isinstance(identifier, Metric | Mapping | type):
        metric.name = log_name(identifier, identifier)
    return metric


def _check(metric: Any, what: str, seen: list[Metric]) -> None:
    """Find a metric that does not exist, or is there twice, when it is given, not when the model first runs."""
    if isinstance(metric, Metric):
        if any(metric is other for other in seen):
            raise TrainingError(f'{what}: the metric object "{metric.name}" is given twice, and it has one state only; '
                                "give two objects, or its name twice")
        seen.append(metric)
    elif isinstance(metric, str):
        if metric.lower() not in BY_SHAPE:
            catalogue.get(metric)
    elif not (metric is None or isinstance(metric, Mapping) or callable(metric)):
        raise TrainingError(f"{what}: {metric!r} is no metric; give a name, a function or a Metric")
