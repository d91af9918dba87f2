"""Activation functions by name, as layers take them: `Dense(8, activation="relu")`. Public as `sg.activations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.errors import LayerError
from symgraph.core.registry import Registry
from symgraph.ops.activations import (
    celu,
    elu,
    exponential,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    sparsemax,
    squareplus,
    swish,
    tanh_shrink,
    threshold,
)
from symgraph.ops.trigonometry import tanh

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu",
    "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
]

Activation = Callable[..., Any]


def get(identifier: object) -> Activation:
    """The activation function of a name; functions and layers as they are; `linear` for None.

    Errors: `LayerError` with the nearest names there are.

    >>> import symgraph as sg
    >>> sg.activations.get("relu")(sg.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    found: Activation = _REGISTRY.get(identifier)
    return found


def serialize(activation: Activation) -> Any:
    """The name of an activation function, which `get` takes; a layer as its class and arguments.

    Errors: `LayerError` for a function without a name.
    """
    return _REGISTRY.serialize(activation)


def deserialize(config: object, custom_objects: Mapping[str, Any] | None = None) -> Activation:
    """The activation of a name, or of what Keras writes for one: `{"class_name": "function", "config": "relu"}`.

    `custom_objects` are functions of your own by name.

    Errors: `LayerError` with the nearest names there are.
    """
    found: Activation = _REGISTRY.deserialize(config, custom_objects)
    return found


def _layers() -> dict[str, type]:
    """The activations that are layers."""
    from symgraph.layers import activation  # whose layers take activations of this module

    return {name: getattr(activation, name) for name in activation.__all__}


_FUNCTIONS: dict[str, Activation] = {
    name: globals()[name] for name in __all__ if name not in ("deserialize", "get", "serialize")}

_REGISTRY = Registry("activation", LayerError, ("activations",), _FUNCTIONS, _layers, default=linear, listed=40)
