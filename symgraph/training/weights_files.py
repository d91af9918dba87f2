"""The weights of a model as a checkpoint file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.errors import CheckpointError
from symgraph.core.value import Array
from symgraph.core.variable import Variable
from symgraph.training.checkpoints import read_checkpoint, write_checkpoint

_KIND = "weights"


def save_weights(model: Any, path: str | os.PathLike[str]) -> None:
    """Write all weights of a model or layer to a checkpoint file, which appears whole or not at all.

    Errors: `CheckpointError` for a model that has made no weights yet, and as `write_checkpoint`.

    >>> import symgraph as sg
    >>> model = sg.Sequential([sg.layers.Dense(1, input_shape=(2,))])
    >>> sg.callbacks.save_weights(model, "model.ckpt")
    >>> sg.callbacks.load_weights(model, "model.ckpt")
    """
    _check_built(model, "saved")
    write_checkpoint(path, {name: v.numpy() for name, v in numbered(model.weights).items()}, {"kind": _KIND})


def load_weights(model: Any, path: str | os.PathLike[str]) -> None:
    """Set all weights to those in a file that `save_weights` wrote, in their order; names may differ.

    Errors: `CheckpointError` listing all that does not fit, or for a model that has made no weights yet, and then
    nothing is set; `FormatError` for other files.
    """
    _check_built(model, "loaded")
    arrays, data = read_checkpoint(path)
    if not isinstance(data, Mapping) or data.get("kind") != _KIND:
        raise CheckpointError(f"{path}: a checkpoint of something else than weights")
    assign_all(os.fspath(path), numbered(model.weights), arrays)


def _check_built(model: Any, verb: str) -> None:
    if not model.built and not model.weights:
        raise CheckpointError(f'"{model.name}" has no weights yet; call it on data, or give its first layer an '
                              f"input_shape, before its weights are {verb}")


def numbered(variables: Iterable[Variable], kind: str = "") -> dict[str, Variable]:
    """Variables by number and path, so that names are unique and come in order: `0:dense/kernel`."""
    return {f"{kind}{number}:{v.path}": v for number, v in enumerate(variables)}


def assign_all(who: str, variables: Mapping[str, Variable], arrays: Mapping[str, Array]) -> None:
    """Set variables, by the name before the colon, where all of them fit.

    Errors: `CheckpointError` listing what does not fit; then nothing is set.
    """
    for v, array in matched(who, variables, arrays):
        v.assign(array)


def matched(who: str, variables: Mapping[str, Variable], arrays: Mapping[str, Array]) -> list[tuple[Variable, Array]]:
    """Variables and the arrays for them, by the name before the colon.

    Errors: `CheckpointError` listing what does not fit.
    """
    found = {name.partition(":")[0]: (name, array) for name, array in arrays.items()}
    wanted = {name.partition(":")[0]: (name, v) for name, v in variables.items()}
    problems = [f"{found[key][0]} is {_type(found[key][1])}, expected {_type(v)}" for key, (_, v) in wanted.items()
                if key in found and _type(found[key][1]) != _type(v)]
    problems += [f"{name} is missing" for key, (name, _) in wanted.items() if key not in found]
    problems += [f"{name} is in the file only" for key, (name, _) in found.items() if key not in wanted]
    if problems:
        raise CheckpointError(f"{who}: does not fit ({_first(problems)}); nothing was changed")
    return [(v, found[key][1]) for key, (_, v) in wanted.items()]


def _type(x: Variable | Array) -> str:
    return f"{x.dtype if isinstance(x, Variable) else np.asarray(x).dtype.name}{list(x.shape)}"


def _first(problems: Sequence[str], limit: int = 8) -> str:
    more = f"; and {len(problems) - limit} more" if len(problems) > limit else ""
    return "; ".join(problems[:limit]) + more
