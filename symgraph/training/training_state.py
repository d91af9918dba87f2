"""The whole state of a training under way: what `fit` needs to go on as if it had never stopped.

That is every variable (weights, the optimizer's state, metrics, random generators), the epoch and step, where the data
stand, and what the callbacks remember.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from symgraph.core.errors import CheckpointError, TrainingError
from symgraph.core.value import Array
from symgraph.core.variable import Variable
from symgraph.ops.seeds import SeedGenerator, global_generator
from symgraph.runtime.devices import provider_name, resolve_providers
from symgraph.runtime.ort import onnxruntime
from symgraph.training.optimizers.base import Optimizer
from symgraph.training.step_variables import held_by
from symgraph.training.weights_files import matched, numbered

_KIND = "training"
_FIELDS = {"kind": str, "epoch": int, "step": int, "stop_training": bool, "optimizer": str, "feed": dict,
           "metrics": list, "callbacks": dict, "plans": dict, "logs": dict, "seed": int, "given_seed": int | None,
           "machine": str}


def gather(model: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and data of the training that `model` is in, for `write_checkpoint`."""
    progress = model._progress
    arrays = {name: v.numpy() for name, v in variables_of(model).items()}
    data = {
        "kind": _KIND, "epoch": progress.epoch, "step": progress.step, "stop_training": bool(model.stop_training),
        "optimizer": _optimizer(model), "metrics": _metrics(model), "feed": progress.feed.state(),
        "callbacks": progress.callbacks.get_state(),
        "plans": {kind: function.get_plan() for kind, function in model._step_functions.items()},
        "logs": progress.logs(), "seed": global_generator().seed,
        "given_seed": global_generator().given, "machine": _machine()}
    return arrays, data


def restore(model: Any, path: Path, arrays: Mapping[str, Array], data: Any, *, any_version: bool = False) -> None:
    """Go on where `gather` was called: `model` is in `fit`, which has just begun.

    Errors: `CheckpointError` where model, optimizer, data or seed are others than those of the checkpoint, or symgraph,
    ONNX Runtime or the provider, which may round differently (with `any_version` that is a warning); then nothing is
    changed.
    """
    try:
        _restore(model, path, arrays, data, any_version=any_version)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; to start anew, delete that file") from None


def _restore(model: Any, path: Path, arrays: Mapping[str, Array], data: Any, *, any_version: bool) -> None:
    if not isinstance(data, Mapping) or data.get("kind") != _KIND:
        raise CheckpointError(f"{path}: a checkpoint of something else than a training")
    if wrong := [k for k, kind in _FIELDS.items() if not isinstance(data.get(k), kind)]:
        raise CheckpointError(f"{path}: its data are not complete ({', '.join(wrong)}); nothing was changed")
    for what, now in (("optimizer", _optimizer(model)), ("metrics", _metrics(model))):
        if data[what] != now:
            was, known = (", ".join(x) if isinstance(x, list) else x for x in (data[what], now))
            raise CheckpointError(f"{path}: does not fit: the interrupted run had the {what} {was}, this one has "
                                  f"{known}; nothing was changed")
    seeds = data["given_seed"], global_generator().given
    if None not in seeds and seeds[0] != seeds[1]:
        raise CheckpointError(f"{path}: the interrupted run had the seed {seeds[0]}, this one has {seeds[1]}; give "
                              "set_seed the same number; nothing was changed")
    others = f"was written with {data['machine']}, now it is {_machine()}" if data["machine"] != _machine() else ""
    if others and not any_version:
        raise CheckpointError(f"{path} {others}, which may round differently, so that numbers would not be those of a "
                              "run that was not interrupted; BackupAndRestore(any_version=True) goes on; nothing was "
                              "changed")
    progress = model._progress
    before = progress.feed.state()
    try:
        progress.feed.restore(data["feed"])
    except TrainingError as error:
        raise CheckpointError(f"{path}: {error}; nothing was changed") from None
    plans = {kind: model._step_function(kind).get_plan() for kind in data["plans"]}
    try:
        for kind, plan in data["plans"].items():
            model._step_function(kind).set_plan(plan)
        _try_step(model, data["epoch"])
        pairs = matched(str(path), *_without_those_of_tests(variables_of(model), arrays))
        progress.callbacks.set_state(data["callbacks"])
    except BaseException:
        progress.feed.restore(before)
        for kind, plan in plans.items():
            model._step_function(kind).set_plan(plan)
        raise
    for v, array in pairs:
        v.assign(array)
    global_generator().seed, global_generator().given = data["seed"], data["given_seed"]
    progress.epoch, progress.step = data["epoch"], data["step"]
    progress.is_resumed = progress.step > 0
    progress.keep_logs(data["logs"])
    model.stop_training = data["stop_training"]
    if others:
        warnings.warn(f"{path} {others}: numbers may differ in the last digits from those of a run that was not "
                      "interrupted", stacklevel=5)


def variables_of(model: Any) -> dict[str, Variable]:
    """Every variable that training changes, by what it belongs to and its number there."""
    found = numbered(model.weights, "weight ")
    held = [leaf for _, leaf in held_by(model)]
    optimizers = dict.fromkeys(x for x in (model.optimizer, *held) if isinstance(x, Optimizer))
    found |= numbered(dict.fromkeys(v for optimizer in optimizers for v in optimizer.variables), "optimizer ")
    for number, metric in enumerate(model.all_metrics):
        found |= numbered(dict.fromkeys(metric.variables), f"metric {number}.")
    generators = [global_generator(), *(x for x in held if isinstance(x, SeedGenerator))]
    found |= numbered(dict.fromkeys(x.state for x in generators), "random ")
    function = model._step_functions.get("train")
    state = () if function is None or function.state is None else function.state.variables
    others = dict.fromkeys([*(x for x in held if isinstance(x, Variable)), *state])
    known = set(found.values())
    return found | numbered((v for v in others if v not in known), "other ")


def _try_step(model: Any, epoch: int) -> None:
    """Compile the step, or run and undo it, for what it makes only then: metrics, optimizers, random generators."""
    feed = model._progress.feed
    batch = next(feed.batches(epoch), None)
    if batch is None:
        return
    if not model.run_eagerly:
        model._step_function("train").prepare(feed.structure.pack(batch), times=0)
        return
    before = {v: v.numpy() for v in variables_of(model).values()}
    try:
        model._run_step("train", feed.structure.pack(batch))
    finally:
        for v, array in before.items():
            v.assign(array)


def _without_those_of_tests(variables: Mapping[str, Variable], arrays: Mapping[str, Array],
                            ) -> tuple[Mapping[str, Variable], Mapping[str, Array]]:
    """Both without the metrics that only one of them has: those that a step of training does not know, made by the
    first evaluation, which starts them anew.
    """
    def is_known(name: str, others: set[str]) -> bool:
        return not name.startswith("metric ") or name.partition(":")[0] in others

    ours, theirs = ({name.partition(":")[0] for name in names} for names in (variables, arrays))
    return ({name: v for name, v in variables.items() if is_known(name, theirs)},
            {name: array for name, array in arrays.items() if is_known(name, ours)})


def _metrics(model: Any) -> list[str]:
    """What the metrics are called, and what those of `compile` were given as."""
    given = [] if model._compiled_metrics is None else model._compiled_metrics.given
    return [m.name for m in model.all_metrics] + given


def _optimizer(model: Any) -> str:
    """The class and arguments of the optimizer, without a learning rate that is a number: that is part of the state."""
    if model.optimizer is None:
        return "none"
    config = {k: v for k, v in _without_rates(model.optimizer.get_config()).items() if k != "name"}
    return f"{type(model.optimizer).__name__}({', '.join(f'{k}={v!r}' for k, v in config.items())})"


def _without_rates(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _without_rates(v) if isinstance(v, Mapping) else v for k, v in config.items()
            if k != "learning_rate" or isinstance(v, Mapping)}


def _machine() -> str:
    """What the numbers depend on besides the state."""
    providers = ", ".join(provider_name(p) for p in resolve_providers())
    return f"symgraph {version('symgraph')}, onnxruntime {onnxruntime().__version__} ({providers})"
