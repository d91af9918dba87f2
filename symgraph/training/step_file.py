"""Training, gradients and evaluation as ONNX files that any stock ONNX Runtime runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symgraph import passes
from symgraph.autodiff.lifting import lift_variables
from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import LimitError, TrainingError
from symgraph.core.graph import Graph
from symgraph.core.structure import flatten, map_structure, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, type_to_proto
from symgraph.core.variable import Variable
from symgraph.passes.freeze import freeze
from symgraph.runtime.exporter import clear_errors, to_model
from symgraph.runtime.files import replacing
from symgraph.runtime.tensors import write_tensor
from symgraph.runtime.writer import MAX_MODEL_BYTES
from symgraph.training.compiled_losses import CompiledLoss
from symgraph.training.data.unpacking import as_batch
from symgraph.training.function import HOLE, trace
from symgraph.training.losses_objects import CTC, Loss

if TYPE_CHECKING:
    from symgraph.training.trainer import Trainer

KEY = "symgraph.step"
"""The entry of a file's metadata that says what its inputs and outputs are."""

VERSION = 1

BATCH = "batch"
"""The name of the open size that all of a batch share."""


@dataclass
class StepGraph:
    """A graph for a file: what its inputs and outputs are, and the variables whose values come in as inputs."""

    kind: str
    graph: Graph
    x: list[str]
    y: list[str]
    sample_weight: list[str]
    state: dict[str, str | None]
    variables: dict[str, Variable]
    loss: str | None = None
    metrics: dict[str, str] = field(default_factory=dict)
    predictions: list[str] = field(default_factory=list)
    gradients: dict[str, str] = field(default_factory=dict)


def export_train_step(model: Trainer, path: str | os.PathLike[str], **options: Any) -> None:
    """`Model.export_train_step`."""
    model._require_compiled("export_train_step")

    def step(batch: Any) -> Any:
        model.reset_metrics()
        model._batch_loss = None
        logs = model.train_step(batch)
        return {"loss": _loss_of(model, logs), "metrics": _without_loss(logs)}

    _export(model, path, "train", step, **options)


def export_eval(model: Trainer, path: str | os.PathLike[str], **options: Any) -> None:
    """`Model.export_eval`."""
    model._require_compiled("export_eval")

    def step(batch: Any) -> Any:
        model.reset_metrics()
        x, y, weight = batch
        predictions = model(x, training=False)
        loss = model.compute_loss(x, y, predictions, weight, training=False)
        logs = model.compute_metrics(x, y, predictions, weight)
        return {"loss": loss, "metrics": _without_loss(logs), "predictions": flatten(predictions)}

    _export(model, path, "eval", step, **options)


def export_grad(model: Trainer, path: str | os.PathLike[str], *, training: bool = False, **options: Any) -> None:
    """`Model.export_grad`."""
    model._require_compiled("export_grad")

    def step(batch: Any) -> Any:
        x, y, weight = batch
        weights = model.trainable_variables
        with GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=training), weight, training=training)
        gradients = tape.gradient(loss, weights)
        if absent := [v.name for v, g in zip(weights, gradients, strict=True) if g is None]:
            raise TrainingError(f'model "{model.name}": the loss depends on no {", ".join(absent)}; '
                                "set trainable=False on these layers")
        return {"loss": loss, "gradients": {v.name: g for v, g in zip(weights, gradients, strict=True)}}

    _export(model, path, "grad", step, **options)


def _loss_of(model: Trainer, logs: Mapping[str, Any]) -> Any:
    """The loss of the batch: what the step computed, or what a step of one's own calls so."""
    if model._batch_loss is not None:
        return model._batch_loss
    if "loss" not in logs:
        raise TrainingError(f'model "{model.name}": its train_step gives no "loss" among {", ".join(logs) or "nothing"}')
    return logs["loss"]


def _without_loss(logs: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            found.update(_without_loss(value))
        elif name != "loss":
            found[name] = value
    return found


def _export(model: Trainer, path: str | os.PathLike[str], kind: str, step: Callable[[Any], Any], y: Any = None,
            sample_weight: bool = False, opset: int | None = None, metadata: Mapping[str, str] | None = None) -> None:
    save_step(build_step(model, kind, step, y, sample_weight=sample_weight), path, opset, metadata)


def build_step(model: Trainer, kind: str, step: Callable[[Any], Any], y: Any = None, *, sample_weight: bool = False,
               ) -> StepGraph:
    """Trace a step for batches of any size and make a graph of it that takes the state as inputs."""
    model._ready(None, kind == "train")
    batch = (map_structure(lambda x: _open(x.type), model.input), _target_types(model, y),
             TensorType("float32", (BATCH,)) if sample_weight else None)
    types = [t for t in flatten(batch) if t is not None]
    structure = pack(batch, [None if t is None else HOLE for t in flatten(batch)])
    names = {part: _names(part, types, model) for part, types in zip(("x", "y", "sample_weight"), batch, strict=True)}
    flat = [name for part in names.values() for name in part]
    if model._compiled_metrics is not None and not model._compiled_metrics.built:
        trace(step, types, ((structure,), {}), flat)  # so that the metrics are there which the step sets to their start
    traced = trace(step, types, ((structure,), {}), flat, name=f"{model.name}_{kind}")
    count = len(flatten(traced.outputs))
    following = dict(zip(traced.assigned, traced.graph.outputs[count:], strict=False))
    state = _state(model, traced.graph, following, kind)
    results = _result_names(model, traced.outputs)
    named = dict(zip(state, _unique([v.name for v in state], [*flat, *results]), strict=True))
    is_training = kind == "train"
    outputs = [*traced.graph.outputs[:count], *(following.get(v, v) for v in state if is_training)]
    graph = freeze(Graph(traced.graph.inputs, outputs, input_names=flat, name=traced.graph.name), keep=state)
    lifted, variables = lift_variables(graph)
    input_names = [*flat, *(named[v] for v in variables)]
    next_names = {name: f"{name}/next" if is_training else None for name in named.values()}
    graph = Graph(lifted.inputs, lifted.outputs, name=graph.name, input_names=input_names,
                  output_names=[*results, *(name for name in next_names.values() if name is not None)])
    roles = pack(traced.outputs, results)
    return StepGraph(kind, passes.optimize(graph, passes.TRAINING), variables={name: v for v, name in named.items()},
                     state=next_names, **names, loss=roles["loss"], metrics=roles.get("metrics", {}),
                     predictions=roles.get("predictions", []), gradients=roles.get("gradients", {}))


def _open(value_type: TensorType) -> TensorType:
    """The type of a batch of any size."""
    first, *rest = value_type.shape or (None,)
    return TensorType(value_type.dtype, (BATCH if first is None else first, *rest))


def _target_types(model: Trainer, y: Any) -> Any:
    """The types of targets: those of the example `y`, else those the model was last trained on, else what losses want."""
    if y is not None:
        return map_structure(_open, as_batch((y, y, None))[1].y)
    if model._target_types is not None:
        return map_structure(_open, model._target_types)
    if model.loss is None:
        return None
    losses = CompiledLoss(model.loss, output_names=model._output_log_names())
    losses.build(model.output, model.output)
    wanted = {i: part.losses[0] for part in losses.losses for i in flatten(part.outputs)}
    return pack(model.output, [_target_type(wanted.get(i), x.type) for i, x in enumerate(model.outputs)])


def _target_type(loss: Loss | None, prediction: TensorType) -> TensorType | None:
    if loss is None:
        return None
    shape = (BATCH, *(prediction.shape or ())[1:])
    if isinstance(loss, CTC):
        return TensorType("int64", (BATCH, None))
    return TensorType("int64", shape[:-1]) if loss.is_of_labels else TensorType(loss.dtype, shape)


def _names(part: str, types: Any, model: Trainer) -> list[str]:
    """Names for the inputs of a part of the batch: those of the model's inputs, `y`, `y_OUTPUT`, `sample_weight`."""
    count = sum(t is not None for t in flatten(types))
    if part == "x":
        return list(model.input_names)
    if part == "y" and count > 1 and count == len(model.output_names):
        return [f"y_{name}" for name in model.output_names]
    return [part] if count == 1 else [f"{part}_{i}" for i in range(count)]


def _state(model: Trainer, graph: Graph, following: Mapping[Variable, Operand], kind: str) -> list[Variable]:
    """What comes in as inputs: weights of layers that are trained, and, in training, the rest that it goes by.

    Metrics start anew with every step.
    """
    weights = [v for layer, is_trainable in model._walk_layers() if is_trainable for v in layer._weights]
    wanted = dict.fromkeys(v for v in model.weights if v in set(weights))
    if kind == "train":
        metrics = {v for m in model.all_metrics for v in m.variables}
        wanted.update(dict.fromkeys(model.optimizer.variables))
        wanted.update((v, None) for v in following if v not in metrics)
    read = set(graph.variables)
    return [v for v in wanted if v in read]


def _result_names(model: Trainer, structure: Mapping[str, Any]) -> list[str]:
    names = ["loss", *structure.get("metrics", ())]
    names += list(model.output_names) if "predictions" in structure else []
    names += [f"{name}/gradient" for name in structure.get("gradients", ())]
    return _unique(names, model.input_names)


def _unique(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    known, found = set(taken), []
    for wanted in names:
        name, number = wanted, 0
        while name in known:
            number += 1
            name = f"{wanted}_{number}"
        known.add(name)
        found.append(name)
    return found


def save_step(step: StepGraph, path: str | os.PathLike[str], opset: int | None = None,
              metadata: Mapping[str, str] | None = None) -> None:
    """Write a step as one ONNX file; the state at its start stands where ONNX has a place for it, in `training_info`.

    Errors: `LimitError` for more than 2 GB, `UnsupportedOpError` where an operator does not exist at `opset`,
    `ResourceError` where the disk is full; then there is no file, or the old one.
    """
    roles = {"version": VERSION, "kind": step.kind, "x": step.x, "y": step.y, "sample_weight": step.sample_weight,
             "state": step.state, "variables": {name: v.name for name, v in step.variables.items()},
             "loss": step.loss, "metrics": step.metrics, "predictions": step.predictions, "gradients": step.gradients}
    model = to_model(step.graph, opset=opset, metadata={**(metadata or {}), KEY: json.dumps(roles)}).model
    size = model.ByteSize() + sum(v.nbytes for v in step.variables.values())
    if size > MAX_MODEL_BYTES:
        raise LimitError(f"this step takes {size} bytes, one ONNX file takes at most {MAX_MODEL_BYTES}")
    info = model.training_info.add()
    info.initialization.name = "initial_state"
    for name, v in step.variables.items():
        write_tensor(info.initialization.initializer.add(), v.numpy(), f"{name}/initial")
        info.initialization.output.add(name=f"{name}/initial").type.CopyFrom(type_to_proto(v.type))
        info.initialization_binding.add(key=name, value=f"{name}/initial")
        following = step.state[name]
        if following is not None:
            info.update_binding.add(key=name, value=following)
    target = Path(os.path.realpath(path))
    with clear_errors(target), replacing(target) as file:
        file.write(model.SerializeToString())
