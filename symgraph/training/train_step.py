"""Files that hold a training step: what their inputs and outputs are, the state at the start, and the way back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.errors import SymgraphError, TrainingError, nearest
from symgraph.core.variable import Variable
from symgraph.layers.layer import Layer
from symgraph.training.step_roles import Array, read_step
from symgraph.training.step_variables import variables_of

if TYPE_CHECKING:
    from symgraph.training.model import Model


@dataclass(frozen=True)
class TrainStep:
    """What a file of `export_train_step`, `export_grad` or `export_eval` takes and gives, by name.

    `x`, `y` and `sample_weight` list the inputs for a batch; `state` maps each input of the state to the output with
    its next value, None where the step leaves it as it is. `loss`, `metrics` (by their names in logs), `predictions`
    and `gradients` (by the input of the weight) are outputs. `kind` is "train", "grad" or "eval". `variables` says
    what a model calls the values of the state, `places` where in a model they stand.

    Run the file with any ONNX Runtime: feed a batch and the state, take the next state from the outputs.

    >>> import symgraph as sg, onnxruntime
    >>> model = sg.Sequential([sg.layers.Dense(1, input_shape=(2,), name="line")], name="fit")
    >>> model.compile(sg.optimizers.SGD(0.1), "mse")
    >>> model.export_train_step("step.onnx")
    >>> step = sg.TrainStep.load("step.onnx")
    >>> step.y, step.loss, step.state["line/kernel"]
    (['y'], 'loss', 'line/kernel/next')
    >>> session = onnxruntime.InferenceSession("step.onnx", providers=["CPUExecutionProvider"])
    >>> outputs, state = [output.name for output in session.get_outputs()], step.initial_state()
    >>> batch = {step.x[0]: np.eye(2, dtype=np.float32), step.y[0]: np.ones((2, 1), np.float32)}
    >>> for _ in range(50):
    ...     results = dict(zip(outputs, session.run(None, {**batch, **state})))
    ...     state = {name: results[following] for name, following in step.state.items()}
    >>> float(results[step.loss]) < 0.01
    True
    >>> step.load_into(model, state)
    >>> bool(model.predict(np.eye(2, dtype=np.float32)).mean() > 0.9)
    True
    """

    kind: str
    x: list[str]
    y: list[str]
    sample_weight: list[str]
    state: dict[str, str | None]
    variables: dict[str, str]
    places: dict[str, str]
    loss: str
    metrics: dict[str, str]
    predictions: list[str]
    gradients: dict[str, str]
    initial: Mapping[str, Array] = field(repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | bytes) -> TrainStep:
        """Read what a file, or its bytes, says of itself.

        Errors: `FormatError` for a file that holds no step, that a newer symgraph wrote, or whose parts do not fit.
        """
        roles, initial = read_step(path)
        return cls(**roles, initial=initial)

    def initial_state(self) -> dict[str, Array]:
        """The state at the start by input name: the values when the file was written."""
        return {name: np.array(value) for name, value in self.initial.items()}

    def load_into(self, model: Model, state: Mapping[str, Any]) -> None:
        """Set the weights of `model` to those in `state`, and the seeds of its layers.

        Where it is compiled with the same optimizer, what that remembers is set too, so that training goes on where
        the file stopped. Weights are found by name; in a model whose layers are called otherwise by their order.

        Errors: `TrainingError` naming all that is missing, unknown, or of another shape or dtype; then nothing is set.
        """
        if not isinstance(model, Layer) or not hasattr(model, "optimizer"):
            raise TrainingError(f"load_into sets the weights of a model, got {type(model).__name__}")
        if not isinstance(state, Mapping):
            raise TrainingError("load_into takes a state as a dict of arrays by input name, as initial_state() gives "
                                f"it; got {type(state).__name__}")
        if not model.weights:
            raise TrainingError(f'model "{model.name}" has no weights yet; call it on data before a state is loaded')
        if model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        problems = [f"{name} is missing" for name in self.state if name not in state]
        problems += [f"there is no {name}; {nearest(name, self.state)}" for name in state if name not in self.state]
        known = variables_of(model)
        by_name = {found.name: v for v, found in known.items()}
        by_place = {found.place: v for v, found in known.items()}
        is_named = all(self.variables[name] in by_name for name in self._weights)
        pairs: list[tuple[Variable, Array]] = []
        for name in self.state:
            v = by_name.get(self.variables[name]) if is_named else by_place.get(self.places[name])
            if v is None and name in self._weights:
                problems.append(f"{name} ({self.places[name]}) has no counterpart")
            if v is None or name not in state:
                continue
            try:
                pairs.append((v, v._fitting(state[name])))
            except (SymgraphError, TypeError, ValueError) as error:
                problems.append(f"{name}: {error}")
        if problems:
            shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" if len(problems) > 8 else "")
            raise TrainingError(f'the state does not fit model "{model.name}", and nothing was set: {shown}')
        for v, value in pairs:
            v.assign(value)

    @property
    def _weights(self) -> list[str]:
        return [name for name, place in self.places.items() if place.startswith("weight ")]

    def __repr__(self) -> str:
        parts = [f"x={self.x}", f"y={self.y}", *([f"sample_weight={self.sample_weight}"] if self.sample_weight else [])]
        metrics = f", metrics={list(self.metrics)}" if self.metrics else ""
        return f"<TrainStep of kind {self.kind!r}: {', '.join(parts)}, {len(self.state)} tensors of state{metrics}>"
