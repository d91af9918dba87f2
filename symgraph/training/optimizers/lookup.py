"""Optimizers by their names and configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.core.registry import Registry
from symgraph.training.optimizers.adafactor import Adafactor
from symgraph.training.optimizers.adam import Adam, Adamax, AdamW, Lamb, Nadam
from symgraph.training.optimizers.adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from symgraph.training.optimizers.base import Optimizer
from symgraph.training.optimizers.loss_scale import LossScaleOptimizer
from symgraph.training.optimizers.muon import Muon
from symgraph.training.optimizers.sgd import SGD, Lion

CLASSES: dict[str, type[Optimizer]] = {
    cls.__name__: cls for cls in (
        SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Adafactor, Ftrl, Lion, Lamb, Muon,
        LossScaleOptimizer)}


_REGISTRY = Registry(
    "optimizer", TrainingError, ("optimizers",), {name.lower(): cls for name, cls in CLASSES.items()}, CLASSES,
    base=Optimizer, expected="a name, a configuration, a class or an optimizer", only_objects=True)


def get(identifier: object) -> Optimizer | None:
    """The optimizer that `identifier` names: a name in any case, a configuration, a class, or the optimizer itself.

    A configuration is what `serialize` gives. None stays None.

    Errors: `TrainingError` listing the nearest names.

    >>> get("adam").get_config()["beta_2"]
    0.999
    """
    found: Optimizer | None = _REGISTRY.get(identifier)
    return found


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The class name and the arguments, from which `deserialize` makes an equal optimizer, without its state."""
    config: dict[str, Any] = _REGISTRY.serialize(optimizer)
    return config


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer that `serialize` wrote down; `custom_objects` are classes of your own by name.

    Errors: `TrainingError` for an unknown class, and for arguments the class does not take.
    """
    made: Optimizer = _REGISTRY.deserialize(config, custom_objects)
    return made
