"""Training of models: `compile`, what one step does, and the loops `fit`, `evaluate` and `train_on_batch`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import TrainingError
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand
from symgraph.layers.layer import Layer
from symgraph.ops.sizes import dimension
from symgraph.training import fitting, optimizers, step_file
from symgraph.training.compiled_losses import CompiledLoss, add_up
from symgraph.training.compiled_metrics import CompiledMetrics
from symgraph.training.data.class_weights import check_class_weight
from symgraph.training.data.unpacking import as_batch, unpack_x_y_sample_weight
from symgraph.training.metrics_base import Metric
from symgraph.training.metrics_mean import Mean
from symgraph.training.optimizers.base import Optimizer
from symgraph.training.optimizers.loss_scale import LossScaleOptimizer
from symgraph.training.steps import StepFunction, as_arrays, as_tensors
from symgraph.training.targets import check_targets


class Trainer(Layer):
    """The part of a model that trains it.

    A model of your own may override `train_step(data)` and `test_step(data)`, which see one batch
    `(x, y, sample_weight)` and give the logs, `compute_loss` and `compute_metrics`. What they do with ops and
    `assign` becomes part of the compiled step; `compile(run_eagerly=True)` runs them as plain Python.
    """

    stop_training = False
    """Set it to end `fit` after the present epoch; callbacks do."""

    history: Any = None
    """What the last `fit` returned."""

    _progress: Any = None
    _target_types: Any = None
    optimizer: Any = None
    loss: Any = None
    run_eagerly = False
    steps_per_execution = 1
    _compiled_loss: CompiledLoss | None = None
    _compiled_metrics: CompiledMetrics | None = None
    _loss_tracker: Mean | None = None
    _made_for: object = None
    _batch_loss: Operand | None = None

    def compile(
            self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
            weighted_metrics: Any = None, run_eagerly: bool = False, steps_per_execution: int = 1,
            jit_compile: Any = "auto", auto_scale_loss: bool = True) -> None:
        """Say how to train: with which optimizer, loss and metrics. Names, objects, lists or dicts by output.

        `loss_weights` weigh the losses of several outputs; `weighted_metrics` see the sample weights, `metrics` do not.
        With `run_eagerly` steps are plain Python on values, to debug; otherwise each is one compiled graph, whatever
        `jit_compile` says. Callbacks hear of batches every `steps_per_execution` steps. Under the policy
        "mixed_float16" the optimizer is put into a `LossScaleOptimizer`, unless `auto_scale_loss` is False.

        Errors: `TrainingError` for unknown names, listing the nearest.
        """
        made = optimizers.get(optimizer)
        if made is None:
            raise TrainingError(f'model "{self.name}": compile needs an optimizer, got None')
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise TrainingError(f'model "{self.name}": steps_per_execution must be a whole number from 1 on, '
                                f"got {steps_per_execution!r}")
        if auto_scale_loss and self.compute_dtype == "float16" and self.variable_dtype == "float32" and not isinstance(
                made, LossScaleOptimizer):
            made = LossScaleOptimizer(made)
        self.optimizer: Optimizer = made
        self.loss = loss
        self.run_eagerly = run_eagerly
        self.steps_per_execution = steps_per_execution
        names = self._output_log_names()
        self._compiled_loss = None if loss is None else CompiledLoss(loss, loss_weights, names)
        self._compiled_metrics = (None if not metrics and not weighted_metrics
                                  else CompiledMetrics(metrics, weighted_metrics, names))
        self._loss_tracker = Mean(name="loss")
        self._compile_arguments = {
            "optimizer": optimizer, "loss": loss, "loss_weights": loss_weights, "metrics": metrics,
            "weighted_metrics": weighted_metrics, "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution, "jit_compile": jit_compile, "auto_scale_loss": auto_scale_loss}
        self.stop_training = False
        self._forget_steps()

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._loss_tracker is not None

    def _output_log_names(self) -> Any:
        """What logs call the outputs; None where they are not known yet."""
        return None

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise TrainingError(f'model "{self.name}": call compile(optimizer, loss) before {method}')

    # One step.

    def train_step(self, data: Any) -> dict[str, Any]:
        """One step of training on a batch `(x, y, sample_weight)`; gives the logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._track(x, self.compute_loss(x, y, y_pred, sample_weight, training=True))
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        if not variables:
            raise TrainingError(f'model "{self.name}" has no trainable weights; set trainable=True on a layer, or load '
                                "the file with trainable=True")
        self.optimizer.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """One step of evaluation on a batch `(x, y, sample_weight)`; gives the logs."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._track(x, self.compute_loss(x, y, y_pred, sample_weight, training=False))
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
            self._compiled_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """The results of all metrics by name."""
        logs: dict[str, Any] = {}
        for metric in self.metrics:
            if metric is self._loss_tracker and not self._tracks_loss:
                continue
            result = metric.result()
            logs.update(result if isinstance(result, Mapping) else {metric.name: result})
        if self._compiled_metrics is not None:
            logs.update(self._compiled_metrics.result())
        return logs

    _tracks_loss = False

    def _track(self, x: Any, loss: Any) -> Any:
        """Take the loss of a batch into the mean of the epoch, by the number of its samples."""
        first = next((leaf for leaf in flatten(x) if isinstance(leaf, Operand)), None)
        count = dimension(first, 0) if first is not None and first.ndim else 1
        self._batch_loss = loss
        self._tracks_loss = True
        if self._loss_tracker is not None:
            self._loss_tracker.update_state(loss, count)
        return loss

    # Metrics.

    @property
    def metrics(self) -> list[Metric]:
        """The mean of the loss, the metrics that are attributes of the model or its layers, the losses of outputs."""
        found: dict[Metric, None] = {}
        if self._loss_tracker is not None:
            found[self._loss_tracker] = None
        for layer, _ in self._walk_layers():
            for value in vars(layer).values():
                if isinstance(value, list | tuple | Metric):
                    found.update((m, None) for m in flatten(value) if isinstance(m, Metric))
        if self._compiled_loss is not None:
            found.update((m, None) for m in self._compiled_loss.metrics)
        return list(found)

    @property
    def all_metrics(self) -> list[Metric]:
        """`metrics`, and those that `compile` was given."""
        return [*self.metrics, *(() if self._compiled_metrics is None else self._compiled_metrics.metrics)]

    @property
    def metrics_names(self) -> list[str]:
        """The names of the logs, the loss first; those of metrics are known once data was seen."""
        return list(dict.fromkeys(["loss", *self.get_metrics_result()])) if self.compiled else []

    def reset_metrics(self) -> None:
        """Start all metrics anew."""
        for metric in self.metrics:
            metric.reset_state()
        if self._compiled_metrics is not None:
            self._compiled_metrics.reset_state()

    # Loops.

    def fit(
            self, x: Any = None, y: Any = None, batch_size: int | None = None, epochs: int = 1, verbose: Any = "auto",
            callbacks: Any = None, validation_split: float = 0.0, validation_data: Any = None, shuffle: Any = True,
            class_weight: Any = None, sample_weight: Any = None, initial_epoch: int = 0,
            steps_per_epoch: int | None = None, validation_steps: int | None = None,
            validation_batch_size: int | None = None, validation_freq: Any = 1) -> Any:
        """Train on arrays in batches of 32 (unless said otherwise), or on anything that gives batches.

        `x` and `y` are arrays, lists of them, or dicts by name; or `x` is a `sg.data.Dataset`, a generator, a
        `PyDataset`, a PyTorch `DataLoader` or any other iterable of `(x, y)` or `(x, y, sample_weight)`. `shuffle`
        draws a new order for each epoch, the same ones for the same `sg.random.set_seed`. `validation_split` keeps the
        last part of the rows back; `validation_data` is `(x, y)`, `(x, y, sample_weight)` or a dataset.
        `class_weight` is a weight by class number. `verbose` is 0 (silent), 1 (a bar), 2 (a line an epoch), "auto" (1).

        Gives a `History`: its `history` has the logs of all epochs by name. Interrupted, the model stays as it was
        after the last whole step, and `model.history` has the epochs so far.

        Errors: `TrainingError`, `ShapeError`, `DtypeError` for data that fit neither model nor losses.
        """
        self._require_compiled("fit")
        return fitting.fit(
            self, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
            class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size,
            validation_freq)

    def fit_dataset(self, dataset: Any, epochs: int = 1, batches_per_epoch: int | None = None, **options: Any) -> Any:
        """`fit` on a dataset, as TensorFlow.js calls it."""
        return self.fit(dataset, epochs=epochs, steps_per_epoch=batches_per_epoch, **options)

    def evaluate(
            self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: Any = "auto",
            sample_weight: Any = None, steps: int | None = None, callbacks: Any = None, return_dict: bool = False,
            ) -> Any:
        """The loss and the metrics on data given as for `fit`: a number, a list in the order of `metrics_names`, or,
        with `return_dict`, a dict.

        Errors: as `fit`.
        """
        self._require_compiled("evaluate")
        logs = fitting.evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks)
        return logs if return_dict else self._in_order(logs)

    def evaluate_dataset(self, dataset: Any, batches: int | None = None, **options: Any) -> Any:
        """`evaluate` on a dataset, as TensorFlow.js calls it."""
        return self.evaluate(dataset, steps=batches, **options)

    def train_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
                       return_dict: bool = False) -> Any:
        """One step on one batch; gives the logs since `reset_metrics`, as `evaluate` does.

        Errors: as `fit`.
        """
        self._require_compiled("train_on_batch")
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss and metrics of one batch, added to those since `reset_metrics`; given as `evaluate` does.

        Errors: as `fit`.
        """
        self._require_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    def _on_batch(self, kind: str, x: Any, y: Any, sample_weight: Any, class_weight: Any, return_dict: bool) -> Any:
        weights = None if class_weight is None else check_class_weight(class_weight)
        batch, structure = as_batch((x, y, sample_weight), weights)
        self._ready(structure.x, kind == "train")
        self._check_targets(structure, batch.y, training=kind == "train")
        logs = self._run_step(kind, structure.pack(batch))
        found = {name: fitting.as_number(value) for name, value in logs.items()}
        return found if return_dict else self._in_order(found)

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """The values of logs: those of `metrics` first, the others by name; a lone one by itself."""
        own = [m.name for m in self.metrics if m.name in logs]
        values = [logs[name] for name in dict.fromkeys([*own, *sorted(logs)])]
        return values[0] if len(values) == 1 else values

    # Files.

    def export_train_step(self, path: str | os.PathLike[str], y: Any = None, sample_weight: Any = None,
                          opset: int | None = None, metadata: Mapping[str, str] | None = None) -> None:
        """Write the whole training step, for batches of any size, as one ONNX file that any ONNX Runtime trains.

        Inputs are the data, the targets, with `sample_weight` the weights of the samples, and the state: all that may
        change from step to step, such as weights, what the optimizer remembers, its learning rate, and seeds. Frozen
        weights are constants. Outputs are the loss and the metrics of the batch, and the next state. The file says
        which is which and what the state is at the start: `sg.TrainStep.load`. Targets are as the model was last
        trained on, as the example `y` if given, or else as the losses take them; `sample_weight` is True for one
        weight a sample, or an example.

        Errors: `TrainingError` before `compile` and for a model that has no inputs yet, `UnsupportedOpError` where an
        operator does not exist at `opset`, `LimitError` for more than 2 GB, `ResourceError` where the disk is full.
        """
        model: Any = self
        step_file.export_train_step(model, path, y=y, sample_weight=sample_weight, opset=opset, metadata=metadata)

    def export_grad(self, path: str | os.PathLike[str], y: Any = None, sample_weight: Any = None,
                    training: bool = False, opset: int | None = None, metadata: Mapping[str, str] | None = None,
                    ) -> None:
        """Write the loss of a batch and its gradients with respect to all trainable weights as one ONNX file.

        The state are the weights that training changes; arguments and errors as `export_train_step`. With `training`
        layers such as dropout act as in training, and what they change, moving means and seeds, has a next value.
        """
        model: Any = self
        step_file.export_grad(model, path, y=y, sample_weight=sample_weight, training=training, opset=opset,
                              metadata=metadata)

    def export_eval(self, path: str | os.PathLike[str], y: Any = None, sample_weight: Any = None,
                    opset: int | None = None, metadata: Mapping[str, str] | None = None) -> None:
        """Write predictions, loss and metrics of a batch, as `test_step` has them, as one ONNX file.

        The state are the weights that training changes, as far as they are read. Arguments and errors as
        `export_train_step`.
        """
        model: Any = self
        step_file.export_eval(model, path, y=y, sample_weight=sample_weight, opset=opset, metadata=metadata)

    # Compiled steps.

    def _forget_steps(self) -> None:
        self._step_functions: dict[str, StepFunction] = {}

    def _step_function(self, kind: str) -> StepFunction:
        """The step of "train", "test" or "predict", traced anew where what it is made of has changed."""
        made_for = (tuple(self.trainable_variables), self.optimizer, getattr(self.optimizer, "_learning_rate", None))
        if self._made_for is None or len(self._made_for[0]) != len(made_for[0]) or any(  # type: ignore[index, arg-type]
                a is not b for a, b in zip((*self._made_for[0], *self._made_for[1:]),  # type: ignore[index]
                                           (*made_for[0], *made_for[1:]), strict=True)):
            self._forget_steps()
            object.__setattr__(self, "_made_for", made_for)  # a learning rate is no weight of the model
        found = self._step_functions.get(kind)
        if found is None:
            found = self._step_functions[kind] = StepFunction(getattr(self, f"{kind}_step"), f"{self.name}_{kind}_step")
        return found

    def _ready(self, types: Any, training: bool) -> None:
        """Build the model for inputs of these types, and the optimizer's state, where that is still to do."""
        self._build_for(types)
        if training and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def _build_for(self, types: Any) -> None:
        raise TrainingError(f'"{self.name}" is no model')

    def _check_targets(self, structure: Any, targets: list[Any], *, training: bool) -> None:
        """Say what is wrong with targets before anything runs on them, unless the step or the loss is one's own."""
        kind = "train_step" if training else "test_step"
        is_own = any(getattr(type(self), name) is not getattr(Trainer, name) for name in (kind, "compute_loss"))
        if self._compiled_loss is not None and not self._compiled_loss.is_empty and not is_own:
            y = None if structure.y is None else pack(structure.y, targets)
            check_targets(self._compiled_loss, y, self.output)  # type: ignore[attr-defined]

    def _run_step(self, kind: str, batch: Any) -> dict[str, Any]:
        """One step on arrays, compiled or, with `run_eagerly`, as plain Python; the logs as arrays."""
        if self.run_eagerly:
            return as_arrays(getattr(self, f"{kind}_step")(as_tensors(batch)))  # type: ignore[no-any-return]
        return self._step_function(kind)(batch)  # type: ignore[no-any-return]

