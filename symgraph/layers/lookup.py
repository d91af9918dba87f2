"""Layers by their class names and configurations. Public as `sg.layers.serialize` and `sg.layers.deserialize`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from symgraph.core.errors import DtypeError, LayerError
from symgraph.core.registry import Registry
from symgraph.layers.dtype_policy import DTypePolicy
from symgraph.layers.layer import Layer

__all__ = ["deserialize", "serialize"]


def serialize(layer: Layer) -> dict[str, Any]:
    """The class name and the arguments, from which `deserialize` makes an equal layer, without its weights."""
    config: dict[str, Any] = _REGISTRY.serialize(layer)
    return config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer that `serialize`, or Keras, wrote down; `custom_objects` are classes of your own by name.

    Errors: `LayerError` for an unknown class, listing the nearest, and for arguments the class does not take.

    >>> import symgraph as sg
    >>> sg.layers.deserialize({"class_name": "Dense", "config": {"units": 3}}).units
    3
    """
    return _REGISTRY.deserialize(config, custom_objects)


def _classes() -> dict[str, type]:
    from symgraph import layers  # all of them, which are there by the time one is asked for

    found = {name: getattr(layers, name) for name in layers.__all__}
    return {name: cls for name, cls in found.items() if inspect.isclass(cls) and issubclass(cls, Layer)}


_REGISTRY = Registry("layer", LayerError, ("layers",), _classes, base=Layer, only_objects=True, listed=30)

_POLICIES = Registry("dtype policy", DtypeError, ("", "dtype_policies"), {"DTypePolicy": DTypePolicy},
                     {"FloatDTypePolicy": DTypePolicy, "Policy": DTypePolicy}, base=DTypePolicy, only_objects=True)
