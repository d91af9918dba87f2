"""Training, gradients and evaluation as ONNX files that any stock ONNX Runtime runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx import GraphProto, ModelProto

from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import LimitError, TrainingError
from symgraph.core.scope import warn_user
from symgraph.core.structure import flatten
from symgraph.core.types import type_to_proto
from symgraph.runtime.exporter import clear_errors, to_model
from symgraph.runtime.files import replacing
from symgraph.runtime.tensors import write_tensor
from symgraph.runtime.writer import MAX_MODEL_BYTES
from symgraph.training.step_graph import StepBuilder, StepGraph

if TYPE_CHECKING:
    from symgraph.training.model import Model

KEY = "symgraph.step"
"""The entry of a file's metadata that says what its inputs and outputs are."""

VERSION = 1


def export_train_step(model: Model, path: str | os.PathLike[str], **options: Any) -> None:
    """`Model.export_train_step`."""
    model._require_compiled("export_train_step")
    _export(model, path, "train", lambda batch: _logged(model, "train", batch), **options)


def export_eval(model: Model, path: str | os.PathLike[str], **options: Any) -> None:
    """`Model.export_eval`."""
    model._require_compiled("export_eval")

    def step(batch: Any) -> dict[str, Any]:
        results = _logged(model, "test", batch)
        return {**results, "predictions": flatten(model(batch[0], training=False))}

    _export(model, path, "eval", step, **options)


def export_grad(model: Model, path: str | os.PathLike[str], *, training: bool = False, **options: Any) -> None:
    """`Model.export_grad`."""
    model._require_compiled("export_grad")

    def step(batch: Any) -> dict[str, Any]:
        x, y, weight = batch
        weights = model.trainable_variables
        with GradientTape() as tape:
            loss = model._loss_of(x, y, model(x, training=training), weight, training=training)
        found = dict(zip(weights, tape.gradient(loss, weights), strict=True))
        absent = ", ".join(v.name for v, g in found.items() if g is None)
        if len(found) == sum(g is None for g in found.values()):
            raise TrainingError(f'model "{model.name}": the loss depends on no trainable weight, so there are no '
                                f"gradients; there are: {absent or 'none'}")
        if absent:
            warn_user(f'model "{model.name}": no gradients for {absent}, on which the loss does not depend; they are '
                      "not in the file")
        return {"loss": loss, "gradients": {v: g for v, g in found.items() if g is not None}}

    _export(model, path, "grad", step, **options)


def _logged(model: Model, kind: str, batch: Any) -> dict[str, Any]:
    """The loss and the metrics of a batch that `train_step` or `test_step` gives, metrics started anew."""
    model.reset_metrics()
    model._batch_loss = None
    logs = model._step(kind)(batch)
    loss, model._batch_loss = model._batch_loss, None
    if loss is None and "loss" not in logs:
        raise TrainingError(f'model "{model.name}": its {kind}_step gives no "loss" among '
                            f"{', '.join(logs) or 'nothing'}")
    return {"loss": logs["loss"] if loss is None else loss, "metrics": _without_loss(logs)}


def _without_loss(logs: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            found.update(_without_loss(value))
        elif name != "loss":
            found[name] = value
    return found


def _export(model: Model, path: str | os.PathLike[str], kind: str, step: Any, y: Any = None, sample_weight: Any = None,
            opset: int | None = None, metadata: Mapping[str, str] | None = None) -> None:
    if metadata and KEY in metadata:
        raise TrainingError(f'the metadata "{KEY}" says what the inputs and outputs are; give yours another name')
    built = StepBuilder(model, y, sample_weight).build(kind, step)
    save_step(built, path, opset, metadata)


def save_step(step: StepGraph, path: str | os.PathLike[str], opset: int | None = None,
              metadata: Mapping[str, str] | None = None) -> None:
    """Write a step as one ONNX file; the state at its start stands where ONNX has a place for it, in `training_info`.

    Errors: `LimitError` for more than 2 GB, `UnsupportedOpError` where an operator does not exist at `opset`,
    `ResourceError` where the disk is full; then there is no file, or the old one.
    """
    _check_size(step, sum(v.nbytes for v in step.variables.values()) + sum(x.nbytes for x in step.graph.constants))
    model = to_model(step.graph, opset=opset, metadata={**(metadata or {}), KEY: json.dumps(_roles(step))}).model
    _name_nodes(model.graph)
    for value in model.graph.input:
        value.doc_string = _description(step, value.name)
    _add_state(model, step)
    _check_size(step, model.ByteSize())
    target = Path(os.path.realpath(path))
    with clear_errors(target), replacing(target) as file:
        file.write(model.SerializeToString(deterministic=True))


def _roles(step: StepGraph) -> dict[str, Any]:
    return {"version": VERSION, "kind": step.kind, "x": step.x, "y": step.y, "sample_weight": step.sample_weight,
            "state": step.state, "variables": {name: found.name for name, found in step.found.items()},
            "places": {name: found.place for name, found in step.found.items()}, "loss": step.loss,
            "metrics": step.metrics, "predictions": step.predictions, "gradients": step.gradients}


def _description(step: StepGraph, name: str) -> str:
    """What an input is, for who opens the file in a viewer."""
    parts = {"data": step.x, "target": step.y, "sample weight": step.sample_weight}
    found = next((role for role, names in parts.items() if name in names), None)
    following = step.state.get(name)
    return found or (f"state; its next value is {following!r}" if following else "state")


def _name_nodes(graph: GraphProto) -> None:
    """Name nodes after what they make: fusions of ONNX Runtime give new nodes the names of old ones, with a suffix,
    and refuse to load a file where two of them are called the same.
    """
    taken = {node.name for node in graph.node}
    for node in graph.node:
        name = next(filter(None, node.output), "")
        if not node.name and name not in taken:
            node.name = name
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _name_nodes(inner)


def _add_state(model: ModelProto, step: StepGraph) -> None:
    info = model.training_info.add()
    info.initialization.name = "initial_state"
    for name, v in step.variables.items():
        write_tensor(info.initialization.initializer.add(), v.numpy(), f"{name}/initial")
        info.initialization.output.add(name=f"{name}/initial").type.CopyFrom(type_to_proto(v.type))
        info.initialization_binding.add(key=name, value=f"{name}/initial")
        following = step.state[name]
        if following is not None:
            info.update_binding.add(key=name, value=following)


def _check_size(step: StepGraph, size: int) -> None:
    if size > MAX_MODEL_BYTES:
        raise LimitError(f"{step.graph.name}: its weights and what the optimizer remembers take {size} bytes, one ONNX "
                         f"file at most {MAX_MODEL_BYTES}; freeze layers, or take an optimizer that remembers less")

