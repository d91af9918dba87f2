"""Files that hold a training step: what their inputs and outputs are, and the state at the start."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.errors import FormatError, TrainingError, nearest
from symgraph.core.value import as_array
from symgraph.core.variable import Variable
from symgraph.runtime.files import ExternalFiles, Limits, read_model
from symgraph.runtime.tensors import read_tensor
from symgraph.training.step_file import KEY, VERSION

if TYPE_CHECKING:
    from symgraph.training.trainer import Trainer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class TrainStep:
    """What a file of `export_train_step`, `export_grad` or `export_eval` takes and gives, by name.

    `x`, `y` and `sample_weight` list the inputs for a batch; `state` maps each input of the state to the output with
    its next value (None in files that change nothing). `loss`, `metrics`, `predictions` and `gradients` (by weight)
    are outputs. Run it with any ONNX Runtime: feed a batch and the state, take the next state from the outputs.

    >>> import symgraph as sg, tempfile, os, onnxruntime
    >>> model = sg.Sequential([sg.layers.Dense(1, input_shape=(2,), name="line")])
    >>> model.compile(sg.optimizers.SGD(0.1), "mse")
    >>> path = os.path.join(tempfile.mkdtemp(), "step.onnx")
    >>> model.export_train_step(path)
    >>> step = sg.TrainStep.load(path)
    >>> step.x, step.y, step.loss, step.state["line/kernel"]
    (['input_layer'], ['y'], 'loss', 'line/kernel/next')
    """

    kind: str
    x: list[str]
    y: list[str]
    sample_weight: list[str]
    state: dict[str, str | None]
    variables: dict[str, str]
    loss: str
    metrics: dict[str, str]
    predictions: list[str]
    gradients: dict[str, str]
    initial: Mapping[str, Array] = field(repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | bytes) -> TrainStep:
        """Read what a file says of itself.

        Errors: `FormatError` for a file that holds no step, or that a newer symgraph wrote.
        """
        limits = Limits()
        model, where, who = read_model(path, limits)
        roles = next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
        if roles is None:
            raise FormatError(f"{who} is no training step; Model.export_train_step, export_grad and export_eval write "
                              "them, load_onnx reads other ONNX files")
        try:
            known = json.loads(roles)
            version = known.pop("version")
            if version != VERSION:
                raise FormatError(f"{who} was written by a newer symgraph (version {version} of this kind of file, "
                                  f"known are those up to {VERSION}); update symgraph")
            (info,) = model.training_info
            files = ExternalFiles(where, who)
            arrays = {t.name: read_tensor(t, files, limits) for t in info.initialization.initializer}
            initial = {entry.key: arrays[entry.value] for entry in info.initialization_binding}
            return cls(**known, initial={name: initial[name] for name in known["state"]})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{who}: what it says of its inputs and outputs does not hold: {error}") from None

    def initial_state(self) -> dict[str, Array]:
        """The state at the start by input name: the values when the file was written."""
        return {name: np.array(value) for name, value in self.initial.items()}

    def load_into(self, model: Trainer, state: Mapping[str, Any]) -> None:
        """Set the weights of `model` to those in `state`, and what its optimizer remembers as far as it goes by it, too.

        Errors: `TrainingError` naming what is missing, unknown or of another shape; then nothing is set.
        """
        optimizer = [] if model.optimizer is None else model.optimizer.variables
        known = {v.name: v for v in (*optimizer, *model.weights)}
        problems = [f"{name} is missing" for name in self.state if name not in state]
        problems += [f"there is no {name}; {nearest(name, self.state)}" for name in state if name not in self.state]
        pairs: list[tuple[Variable, Array]] = []
        for name, path in self.variables.items():
            v = known.get(path)
            if v is not None and name in state:
                value = as_array(state[name])
                pairs.append((v, value))
                if value.shape != v.shape:
                    problems.append(f"{name} has shape {value.shape}, that of the model {v.shape}")
        of_weights = {v.name for v in model.weights}
        if of_weights.isdisjoint(self.variables.values()):
            problems.append(f"it has none of the weights {', '.join(of_weights)}")
        if problems:
            raise TrainingError(f'the state does not fit model "{model.name}": {"; ".join(problems)}')
        for v, value in pairs:
            v.assign(value)

    def __repr__(self) -> str:
        parts = [f"x={self.x}", f"y={self.y}", *([f"sample_weight={self.sample_weight}"] if self.sample_weight else [])]
        metrics = f", metrics={list(self.metrics)}" if self.metrics else ""
        return f"<TrainStep of kind {self.kind!r}: {', '.join(parts)}, {len(self.state)} tensors of state{metrics}>"
