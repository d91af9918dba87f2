"""What one step of a model does, in training, evaluation and prediction, and how it is run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import TrainingError
from symgraph.core.scope import eager_step
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, as_dtype
from symgraph.layers.layer import Layer
from symgraph.ops.sizes import dimension
from symgraph.training.compiled_losses import add_up
from symgraph.training.compiled_metrics import CompiledMetrics
from symgraph.training.data.feed import Batch
from symgraph.training.data.unpacking import pack_x_y_sample_weight, unpack_x_y_sample_weight
from symgraph.training.input_checks import check_inputs
from symgraph.training.metrics.base import Metric
from symgraph.training.metrics.mean import Mean
from symgraph.training.steps import StepFunction, as_arrays, as_tensors
from symgraph.training.targets import check_targets, class_checks
from symgraph.training.undoing import undone_on_error

_NOT_METRICS = frozenset(("_loss_tracker", "_compiled_metrics", "_weights", "_sublayers", "_calls", "_losses"))
"""Attributes of layers that are no metrics, or those that a model inside of another has for its own training."""


class ModelSteps(Layer):
    """The part of a model that says what a step is. A model of your own may override what is here.

    `train_step(data)`, `test_step(data)` and `predict_step(data)` see one batch: `x`, `(x, y)` or
    `(x, y, sample_weight)`, whatever was given. The first two give the logs by name, with dicts inside if need be.
    What they do with ops and `assign` becomes part of the compiled step; with `compile(run_eagerly=True)` they run as
    plain Python.

    >>> import symgraph as sg
    >>> class Halved(sg.Sequential):
    ...     def train_step(self, data):
    ...         x, y = data
    ...         with sg.GradientTape() as tape:
    ...             y_pred = self(x, training=True)
    ...             loss = self.compute_loss(y=y, y_pred=y_pred)
    ...         weights = self.trainable_weights
    ...         gradients = tape.gradient(loss, weights)
    ...         self.optimizer.apply_gradients([(g / 2.0, w) for g, w in zip(gradients, weights)])
    ...         for metric in self.metrics:
    ...             if metric.name == "loss":
    ...                 metric.update_state(loss)
    ...             else:
    ...                 metric.update_state(y, y_pred)
    ...         return {metric.name: metric.result() for metric in self.metrics}
    >>> model = Halved([sg.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile(sg.optimizers.SGD(0.5), "mse", metrics=["mae"])
    >>> model.fit(np.ones((4, 1), "float32"), np.ones((4, 1)), verbose=0).history
    {'loss': [1.0], 'mae': [1.0]}
    >>> model.get_weights()[0].tolist()
    [[0.5]]
    """

    optimizer: Any = None
    run_eagerly = False
    _compiled_loss: Any = None
    _compiled_metrics: CompiledMetrics | None = None
    _loss_tracker: Mean | None = None
    _tracks_loss = False
    _batch_loss: Operand | None = None
    _step_functions: dict[str, StepFunction]

    # What a step does.

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training on a batch; gives the logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            variables = self._to_train()
            loss = self._track(x, self._loss_of(x, y, y_pred, sample_weight, training=True))
            scaled = self.optimizer.scale_loss(loss)
        self.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation on a batch; gives the logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._track(x, self._loss_of(x, y, y_pred, sample_weight, training=False))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The outputs for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
                     training: bool = True) -> Any:
        """The loss of a batch, a scalar: that of the outputs, and what layers add."""
        terms = list(self.losses)
        if self._compiled_loss is not None and not self._compiled_loss.is_empty:
            terms.insert(0, self._compiled_loss(y, y_pred, sample_weight))
        return add_up(terms, f'model "{self.name}"')

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Take a batch into the metrics and give all their results."""
        if self._compiled_metrics is not None:
            losses = self._compiled_loss
            targets = y if y is None or losses is None or losses.is_empty else losses.targets(y, y_pred)
            self._compiled_metrics.update_state(targets, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name."""
        logs: dict[str, Any] = {}
        for metric in self.metrics:
            if metric is self._loss_tracker and not self._tracks_loss:
                continue
            result = metric.result()
            logs.update(result if isinstance(result, Mapping) else {metric.name: result})
        return logs

    @property
    def metrics(self) -> list[Metric]:
        """The mean of the loss, the metrics of `compile`, the losses of outputs, then the metrics that are attributes
        of the model or its layers.

        Those of `compile` are one, called "compile_metrics", whose `update_state` takes the targets and the outputs.
        """
        found: dict[Metric, None] = {}
        if self._loss_tracker is not None:
            found[self._loss_tracker] = None
        if self._compiled_metrics is not None:
            found[self._compiled_metrics] = None
        if self._compiled_loss is not None:
            found.update((m, None) for m in self._compiled_loss.metrics)
        for layer, _ in self._walk_layers():
            for name, value in vars(layer).items():
                if isinstance(value, list | tuple | Metric) and name not in _NOT_METRICS:
                    found.update((m, None) for m in flatten(value) if isinstance(m, Metric))
        return list(found)

    @property
    def all_metrics(self) -> list[Metric]:
        """`metrics`, and all that `compile` was given, even where a class of yours overrides `metrics`."""
        own = () if self._compiled_metrics is None else (self._compiled_metrics,)
        return list(dict.fromkeys([*self.metrics, *own]))

    def reset_metrics(self) -> None:
        """Start all metrics anew."""
        for metric in self.all_metrics:
            metric.reset_state()

    def _to_train(self) -> list[Any]:
        if self.optimizer is None:
            raise TrainingError(f'model "{self.name}" was compiled without an optimizer, so it can be evaluated but '
                                "not trained; give compile one")
        variables = self.trainable_variables
        if not variables:
            raise TrainingError(f'model "{self.name}" has no trainable weights; set trainable=True on a layer, or load '
                                "the file with trainable=True")
        return variables

    def _loss_of(self, x: Any, y: Any, y_pred: Any, sample_weight: Any, *, training: bool) -> Any:
        """`compute_loss`, which may know nothing of `training`."""
        parameters = inspect.signature(self.compute_loss).parameters.values()
        is_asked = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)
        options = {"training": training} if is_asked else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **options)

    def _track(self, x: Any, loss: Any) -> Any:
        """Take the loss of a batch into the mean of the epoch, by the number of its samples."""
        first = next((leaf for leaf in flatten(x) if isinstance(leaf, Operand)), None)
        count = dimension(first, 0) if first is not None and first.ndim else 1
        self._batch_loss = loss
        self._tracks_loss = True
        if self._loss_tracker is not None:
            self._loss_tracker.update_state(loss, count)
        return loss

    # How it is run.

    def _has_own(self, name: str) -> bool:
        """Whether a method of this class is overridden, or that of this object is."""
        return getattr(getattr(self, name), "__func__", None) is not getattr(ModelSteps, name)

    def _step(self, kind: str) -> Callable[[Any], Any]:
        """The step as a function of a batch `(x, y, sample_weight)`, None for what is not there."""
        def step(batch: Any) -> Any:
            results = getattr(self, f"{kind}_step")(pack_x_y_sample_weight(*batch))
            if kind != "predict" and not isinstance(results, Mapping):
                raise TrainingError(f'model "{self.name}": {kind}_step gives its logs as a dict by name, such as '
                                    f'{{"loss": loss}}, gave {type(results).__name__}')
            return results

        return step

    def _forget_steps(self) -> None:
        self._step_functions = {}

    def _made_of(self) -> tuple[Any, ...]:
        """What the compiled steps depend on besides the batch."""
        walked = self._walk_weights()
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        return (self.optimizer, getattr(inner, "_learning_rate", None), *(v for v, _ in walked),
                *(is_trained for _, is_trained in walked), *(is_trained for _, is_trained in self._walk_layers()))

    def _step_function(self, kind: str) -> StepFunction:
        """The step of "train", "test" or "predict", traced anew where what it is made of has changed."""
        found = self._step_functions.get(kind)
        if found is None or not _are_same(found.made_of, self._made_of()):
            step = self._step(kind)

            def run(batch: Any) -> Any:
                results = step(batch)
                made.made_of = self._made_of()  # after the layers that the step itself has built
                return results

            found = made = self._step_functions[kind] = StepFunction(run, f"{self.name}_{kind}_step", self._made_of())
        return found

    def _run_step(self, kind: str, batch: Any) -> dict[str, Any]:
        """One step on arrays, compiled or, with `run_eagerly`, as plain Python; the logs as arrays."""
        if self.run_eagerly:
            with undone_on_error(self), eager_step():
                return as_arrays(self._step(kind)(as_tensors(batch)))  # type: ignore[no-any-return]
        return self._step_function(kind)(batch)  # type: ignore[no-any-return]

    # What must be there before.

    def _ready(self, types: Any, training: bool) -> None:
        """Build the model for inputs of these types, and the optimizer's state, where that is still to do."""
        self._build_for(types)
        if training and not self._has_own("train_step"):
            self._build_optimizer()

    def _build_optimizer(self) -> None:
        variables = self._to_train()
        self.optimizer.build(variables)
        if new := [v.path for v in variables if v not in self.optimizer._indices]:
            raise TrainingError(f'model "{self.name}": its optimizer has no state for {", ".join(new[:8])}'
                                f"{' and others' if len(new) > 8 else ''}: it began with other weights, of another "
                                "model or before these were trainable; call compile again with a new optimizer")

    def _ready_for(self, kind: str, structure: Any) -> None:
        """The same for a step on such batches. One of your own builds what it uses, and is not bound to `call`."""
        is_connected = self._is_connected  # type: ignore[attr-defined]
        if is_connected or not self._has_own(f"{kind}_step"):
            self._ready(structure.x, training=kind == "train")
            if not self._has_own(f"{kind}_step"):
                check_inputs(self, structure.x)

    def _build_for(self, types: Any) -> None:
        raise TrainingError(f'"{self.name}" is no model')

    def _check_batch(self, structure: Any, batch: Batch, *, training: bool) -> None:
        """Say what is wrong with the inputs and the targets of a batch, whose types may differ from those before."""
        if not self._has_own("train_step" if training else "test_step"):
            types = [TensorType(as_dtype(a.dtype), (None, *a.shape[1:])) for a in batch.x]
            check_inputs(self, pack(structure.x, types))
        self._check_targets(structure, batch.y, training=training)

    def _check_targets(self, structure: Any, targets: list[Any], *, training: bool) -> None:
        """Say what is wrong with targets before anything runs on them, unless the step or the loss is one's own."""
        if self._knows_targets(training=training):
            y = None if structure.y is None else pack(structure.y, targets)
            check_targets(self._compiled_loss, y, self.output)

    def _class_checks(self, structure: Any, targets: list[Any], *, training: bool) -> list[Any]:
        """What of that is to be looked at in every batch: the number of a target, and a function that raises."""
        if structure.y is None or not self._knows_targets(training=training):
            return []
        return class_checks(self._compiled_loss, pack(structure.y, targets), self.output)

    def _knows_targets(self, *, training: bool) -> bool:
        is_own = self._has_own("train_step" if training else "test_step") or self._has_own("compute_loss")
        return self._compiled_loss is not None and not self._compiled_loss.is_empty and not is_own


def _are_same(known: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    return len(known) == len(now) and all(a is b for a, b in zip(known, now, strict=True))
