"""The variables that training reads and changes, found in a model: under which names, and at which places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symgraph.core.structure import flatten
from symgraph.core.variable import Variable
from symgraph.layers.layer import Layer
from symgraph.ops.seeds import SeedGenerator, global_generator
from symgraph.training.optimizers.base import Optimizer

if TYPE_CHECKING:
    from symgraph.training.trainer import Trainer


@dataclass(frozen=True)
class Found:
    """What a variable is called, as no other of its model is, and where it stands.

    The place says the same in every model of the same making, whatever its layers are called: `weight 3 of 8`,
    `adam/weight 3 of 8/momentum`.
    """

    name: str
    place: str


def variables_of(model: Trainer) -> dict[Variable, Found]:
    """The weights, the seeds of random layers, what optimizers remember, and what else the model holds.

    Metrics are left out. The global random generator is the last.
    """
    weights = model.weights
    found = {v: (v.name, f"weight {i} of {len(weights)}") for i, v in enumerate(weights)}
    seeds = kept = 0
    for owner, value in held_by(model):
        if isinstance(value, SeedGenerator):
            found.setdefault(value.state, (f"{owner}/{value.state.name}", f"seed {seeds}"))
            seeds += 1
        elif isinstance(value, Optimizer):
            for v in value.variables:
                found.setdefault(v, (v.name, _place_in_optimizer(v.name, weights)))
        elif isinstance(value, Variable) and value not in found:
            found[value] = value.name, f"kept {kept}"
            kept += 1
    found.setdefault(global_generator().state, (global_generator().state.name,) * 2)
    names, places = (unique(column) for column in zip(*found.values(), strict=True))
    return {v: Found(name, place) for v, name, place in zip(found, names, places, strict=True)}


def unique(wanted: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """These names in order, with a number where another has the name already.

    >>> unique(["a", "b", "a"], ["b"])
    ['a', 'b_1', 'a_1']
    """
    known, names = set(taken), []
    for name in wanted:
        free, number = name, 0
        while free in known:
            number += 1
            free = f"{name}_{number}"
        known.add(free)
        names.append(free)
    return names


def held_by(model: Layer) -> Iterator[tuple[str, Any]]:
    """What is an attribute of the model or of a layer inside, alone or in lists and dicts, with the owner's name."""
    for layer, _ in model._walk_layers():
        for value in list(vars(layer).values()):
            for leaf in flatten(value):
                yield layer.name, leaf


def _place_in_optimizer(name: str, weights: list[Variable]) -> str:
    """`adam/weight 0 of 2/momentum` for `adam/dense_kernel_momentum`."""
    optimizer, _, rest = name.partition("/")
    prefixes = [(f"{v.path.replace('/', '_')}_", i) for i, v in enumerate(weights)]
    prefix, number = max(((p, i) for p, i in prefixes if rest.startswith(p)), key=lambda x: len(x[0]), default=("", -1))
    return name if not prefix else f"{optimizer}/weight {number} of {len(weights)}/{rest.removeprefix(prefix)}"
