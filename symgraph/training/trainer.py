"""Training of models: `compile`, the loops `fit` and `evaluate`, single batches, and steps as files."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training import fitting, optimizers, step_file
from symgraph.training.callbacks.logs import numbers
from symgraph.training.compiled_losses import CompiledLoss
from symgraph.training.compiled_metrics import CompiledMetrics
from symgraph.training.data.class_weights import check_class_weight
from symgraph.training.data.unpacking import as_batch
from symgraph.training.metrics.mean import Mean
from symgraph.training.model_steps import ModelSteps
from symgraph.training.optimizers.loss_scale import LossScaleOptimizer


class Trainer(ModelSteps):
    """The part of a model that trains it."""

    stop_training = False
    """Set it to end `fit` after the present step, as callbacks do; the epoch ends with its validation."""

    stop_evaluating = False
    """Set it to end `evaluate` after the present batch."""

    stop_predicting = False
    """Set it to end `predict` after the present batch, where it hears of callbacks."""

    history: Any = None
    """What the last `fit` returned."""

    _compile_arguments: dict[str, Any]
    _progress: Any = None
    _target_types: Any = None
    loss: Any = None
    steps_per_execution = 1

    def compile(
            self, optimizer: Any = "rmsprop", loss: Any = None, loss_weights: Any = None, metrics: Any = None,
            weighted_metrics: Any = None, run_eagerly: bool = False, steps_per_execution: int = 1,
            jit_compile: Any = "auto", auto_scale_loss: bool = True) -> None:
        """Say how to train: with which optimizer, loss and metrics. Names, objects, lists or dicts by output.

        `loss_weights` weigh the losses of several outputs; `weighted_metrics` see the sample weights, `metrics` do not.
        With `run_eagerly` steps are plain Python on values, to debug; otherwise each is one compiled graph, whatever
        `jit_compile` says. Callbacks hear of batches every `steps_per_execution` steps. Under the policy
        "mixed_float16" the optimizer is put into a `LossScaleOptimizer`, unless `auto_scale_loss` is False. Without an
        optimizer (None) a model can be evaluated.

        Errors: `TrainingError` for unknown names, listing the nearest.
        """
        made = optimizers.get(optimizer)
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise TrainingError(f'model "{self.name}": steps_per_execution must be a whole number from 1 on, '
                                f"got {steps_per_execution!r}")
        is_mixed = self.compute_dtype == "float16" and self.variable_dtype == "float32"
        if auto_scale_loss and is_mixed and made is not None and not isinstance(made, LossScaleOptimizer):
            made = LossScaleOptimizer(made)
        names = self._output_log_names()
        losses = None if loss is None else CompiledLoss(loss, loss_weights, names)
        measures = None if not metrics and not weighted_metrics else CompiledMetrics(metrics, weighted_metrics, names)
        self.optimizer, self.loss = made, loss
        self.run_eagerly, self.steps_per_execution = run_eagerly, steps_per_execution
        self._compiled_loss, self._compiled_metrics = losses, measures
        self._loss_tracker = Mean(name="loss")
        self.__dict__["_compile_arguments"] = {  # variables among them, loss weights, are no weights of the model
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
        if x is None:
            raise TrainingError("x is None; give arrays")
        weights = None if class_weight is None else check_class_weight(class_weight)
        batch, structure = as_batch((x, y, sample_weight), weights)
        self._ready_for(kind, structure)
        self._check_targets(structure, batch.y, training=kind == "train")
        logs = numbers(self._run_step(kind, structure.pack(batch)))
        return logs if return_dict else self._in_order(logs)

    @property
    def metrics_names(self) -> list[str]:
        """What the numbers are called that `evaluate` gives, in their order; those of metrics are known once data was
        seen.
        """
        return self._ordered(["loss", *numbers(self.get_metrics_result())]) if self.compiled else []

    def _in_order(self, logs: dict[str, Any]) -> Any:
        """The values of logs; a lone one by itself."""
        return next(iter(logs.values())) if len(logs) == 1 else [logs[name] for name in self._ordered(logs)]

    def _ordered(self, names: Collection[str]) -> list[str]:
        """Names of logs: those of `metrics` first, the others by the alphabet."""
        own = [m.name for metric in self.metrics
               for m in (metric.metrics if isinstance(metric, CompiledMetrics) else [metric])]
        return list(dict.fromkeys([*(name for name in own if name in names), *sorted(names)]))

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
