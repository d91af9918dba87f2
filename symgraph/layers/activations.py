"""Activation functions by name, as layers take them: `Dense(8, activation="relu")`. Public as `sg.activations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.errors import LayerError, nearest
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
    if identifier is None:
        return linear
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if callable(identifier):
        return identifier
    found = _BY_NAME.get(identifier) if isinstance(identifier, str) else None
    if found is None:
        raise LayerError(f"no activation {identifier!r}; {nearest(str(identifier), _BY_NAME, limit=40)}")
    return found


def serialize(activation: Activation) -> str:
    """The name of an activation function, which `get` takes.

    Errors: `LayerError` for a function that is not one of these.
    """
    for name, function in _BY_NAME.items():
        if function is activation:
            return name
    raise LayerError(f"{activation!r} is not one of sg.activations, so it has no name to be found by")


def deserialize(config: object) -> Activation:
    """The activation of a name, or of what Keras writes for one: `{"class_name": "function", "config": "relu"}`.

    Errors: `LayerError` with the nearest names there are.
    """
    if not isinstance(config, Mapping):
        return get(config)
    name = config.get("class_name")
    if name == "function":
        return get(config.get("config"))
    from symgraph.layers import activation as layers

    if name not in layers.__all__:
        raise LayerError(f"no activation layer {name!r}; {nearest(str(name), layers.__all__)}")
    layer: Activation = getattr(layers, str(name)).from_config(config.get("config") or {})
    return layer


_BY_NAME: dict[str, Activation] = {
    name: globals()[name] for name in __all__ if name not in ("deserialize", "get", "serialize")}
