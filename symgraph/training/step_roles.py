"""What a file of a training step says of itself, read and checked: roles of inputs and outputs, the initial state."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, ValueInfoProto

from symgraph.core.errors import FormatError, LimitError
from symgraph.core.types import TensorType, as_dtype, type_from_proto
from symgraph.runtime.files import ExternalFiles, Limits, read_model
from symgraph.runtime.tensors import read_tensor
from symgraph.training.checkpoint_data import read_json
from symgraph.training.step_file import KEY, VERSION

Array = np.ndarray[Any, Any]

KINDS = ("train", "grad", "eval")


def read_step(source: str | os.PathLike[str] | bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The roles in a file, and the state at the start by input name.

    Errors: `FormatError` for a file that holds no step, that a newer symgraph wrote, or in which names, types and the
    state do not fit together; `LimitError` for what is too large.
    """
    limits = Limits()
    model, path, who = read_model(source, limits)
    try:
        roles = _roles(model, who)
        return roles, _initial_state(model, roles, who, ExternalFiles(path, who), limits)
    except UnicodeError as error:
        raise FormatError(f"{who}: a name or a text is not UTF-8 ({error})") from None


def _roles(model: ModelProto, who: str) -> dict[str, Any]:
    text: list[str | bytes] = [entry.value for entry in model.metadata_props if entry.key == KEY]
    if not text:
        raise FormatError(f"{who} is no training step; Model.export_train_step, export_grad and export_eval write "
                          "them, load_onnx reads other ONNX files")
    try:  # protobuf gives bytes where a text is not UTF-8
        roles = read_json(text[0].encode() if isinstance(text[0], str) else text[0])
    except (FormatError, LimitError) as error:
        raise type(error)(f"{who}: its metadata {KEY!r} is {error}") from None
    version = roles.get("version") if isinstance(roles, dict) else None
    if type(version) is not int or version < 1:
        raise FormatError(f"{who}: its metadata {KEY!r} says no version")
    if version > VERSION:
        raise FormatError(f"{who} was written by a newer symgraph (version {version} of this kind of file, known are "
                          f"those up to {VERSION}); update symgraph")
    for field, (is_sound, wanted) in _FIELDS.items():
        if not is_sound(roles.get(field)):
            raise FormatError(f"{who}: its metadata {KEY!r} has {_shown(roles.get(field))} as {field!r}, "
                              f"expected {wanted}")
    _check_names(model, roles, who)
    return {field: roles[field] for field in _FIELDS}


def _check_names(model: ModelProto, roles: dict[str, Any], who: str) -> None:
    """Every input has one role, every output that has a role exists."""
    weights = {t.name for t in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    given = [*roles["x"], *roles["y"], *roles["sample_weight"], *roles["state"]]
    if len(set(given)) != len(given) or set(given) != set(inputs):
        odd = sorted({name for name in given if given.count(name) > 1} or set(given) ^ set(inputs), key=str)
        raise FormatError(f"{who}: its metadata {KEY!r} and its inputs do not fit: {', '.join(map(repr, odd[:8]))}")
    outputs = {value.name for value in model.graph.output}
    used = [roles["loss"], *roles["predictions"], *roles["metrics"].values(), *roles["gradients"].values(),
            *(name for name in roles["state"].values() if name is not None)]
    if missing := [name for name in used if name not in outputs]:
        raise FormatError(f"{who}: its metadata {KEY!r} names outputs that it does not have: "
                          f"{', '.join(map(repr, missing[:8]))}")
    for field in ("variables", "places", "gradients"):
        if odd := sorted(set(roles[field]) - set(roles["state"])):
            raise FormatError(f"{who}: its metadata {KEY!r} has {odd[0]!r} in {field!r} and not in 'state'")
        if field != "gradients" and (odd := [name for name in roles["state"] if name not in roles[field]]):
            raise FormatError(f"{who}: its metadata {KEY!r} has no {odd[0]!r} in {field!r}")


def _initial_state(model: ModelProto, roles: dict[str, Any], who: str, files: ExternalFiles, limits: Limits,
                   ) -> dict[str, Array]:
    if len(model.training_info) != 1:
        raise FormatError(f"{who}: it has {len(model.training_info)} entries of training_info, and the state at the "
                          "start stands in one; perhaps a tool that rewrote the file has left it out")
    info = model.training_info[0]
    tensors = {t.name: t for t in info.initialization.initializer}
    bound = {entry.key: entry.value for entry in info.initialization_binding}
    inputs = {value.name: value for value in model.graph.input}
    found: dict[str, Array] = {}
    for name in roles["state"]:
        if bound.get(name) not in tensors:
            raise FormatError(f"{who}: its training_info has no state at the start for {name!r}")
        found[name] = array = read_tensor(tensors[bound[name]], files, limits)
        wanted = _type_of(inputs[name])
        if wanted != TensorType(as_dtype(array.dtype), array.shape):
            raise FormatError(f"{who}: the state at the start for {name!r} is {array.dtype}{list(array.shape)}, "
                              f"the input is {wanted}")
    return found


def _type_of(value: ValueInfoProto) -> object:
    return type_from_proto(value.type)


def _is_name(x: object) -> bool:
    return isinstance(x, str) and bool(x)


def _is_list(x: object) -> bool:
    return isinstance(x, list) and all(map(_is_name, x))


def _is_map(x: object) -> bool:
    return isinstance(x, dict) and all(map(_is_name, x.values()))


def _is_state(x: object) -> bool:
    return isinstance(x, dict) and all(value is None or _is_name(value) for value in x.values())


_NAMES = (_is_list, "a list of names")
_MAP = (_is_map, "names by name")
_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "kind": (lambda x: x in KINDS, f"one of {', '.join(KINDS)}"), "x": _NAMES, "y": _NAMES, "sample_weight": _NAMES,
    "state": (_is_state, "names or null by name"), "variables": _MAP, "places": _MAP, "loss": (_is_name, "a name"),
    "metrics": _MAP, "predictions": _NAMES, "gradients": _MAP}
"""What is said of inputs and outputs, and what it must be."""


def _shown(x: object) -> str:
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."
