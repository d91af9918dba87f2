"""Optimizers by their names and configurations."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from symgraph.core.errors import TrainingError, nearest
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


def get(identifier: object) -> Optimizer | None:
    """The optimizer that `identifier` names: a name in any case, a configuration, a class, or the optimizer itself.

    A configuration is what `serialize` gives. None stays None.

    Errors: `TrainingError` listing the nearest names.

    >>> get("adam").get_config()["beta_2"]
    0.999
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if inspect.isclass(identifier) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    raise TrainingError(f"{identifier!r} is no optimizer; give a name, a configuration, a class or an optimizer")


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The class name and the arguments, from which `deserialize` makes an equal optimizer, without its state."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer that `serialize` wrote down; `custom_objects` are classes of your own by name.

    Errors: `TrainingError` for an unknown class, and for arguments the class does not take.
    """
    name = config.get("class_name")
    if not isinstance(name, str):
        raise TrainingError(f"the configuration of an optimizer has no class_name: {dict(config)!r}")
    cls = (custom_objects or {}).get(name) or {key.lower(): cls for key, cls in CLASSES.items()}.get(name.lower())
    if cls is None:
        close = {key.lower(): key for key in CLASSES}
        raise TrainingError(f"no optimizer {name!r}; {nearest(name.lower(), close, limit=20)}")
    made: Optimizer = cls.from_config(config.get("config") or {}, custom_objects)
    return made
