"""Activation functions by name, as layers take them: `Dense(8, activation="relu")`. Public as `sg.activations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.errors import LayerError, nearest
from symgraph.core.tensor import Operand
from symgraph.ops import activations as ops
from symgraph.ops.activations import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
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
from symgraph.ops.arithmetic import minimum, multiply, subtract
from symgraph.ops.comparison import greater_equal
from symgraph.ops.indexing import where
from symgraph.ops.mathematics import exp as exponential
from symgraph.ops.promotion import as_operand
from symgraph.ops.trigonometry import tanh

__all__ = [
    "celu", "deserialize", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu",
    "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold",
]

Activation = Callable[..., Any]


def linear(x: object) -> Operand:
    """`x` itself."""
    return as_operand(x)


def relu(x: object, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Operand:
    """`max(x, 0)`; in general `x` from `threshold` on, below it `negative_slope * (x - threshold)`, at most `max_value`.

    >>> import symgraph as sg
    >>> sg.activations.relu(sg.tensor([-1.0, 2.0, 9.0]), max_value=6.0).tolist()
    [0.0, 2.0, 6.0]
    """
    if threshold:
        x = as_operand(x)
        below = multiply(subtract(x, threshold), negative_slope)
        y = where(greater_equal(x, threshold), x, below)
    elif negative_slope:
        y = leaky_relu(x, negative_slope)
    else:
        y = ops.relu(x)
    return y if max_value is None else minimum(y, max_value)  # type: ignore[return-value]


def gelu(x: object, approximate: bool = False) -> Operand:
    """`x * Phi(x)`, `Phi` the standard normal distribution function; `approximate` takes the one with tanh for it."""
    return ops.gelu(x, approximate=approximate)


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
    """The name of an activation function, which `get` takes."""
    for name, function in _BY_NAME.items():
        if function is activation:
            return name
    raise LayerError(f"{activation!r} is not one of sg.activations, so it has no name to be found by")


def deserialize(config: object) -> Activation:
    """The activation of a name, or of what Keras writes for one: `{"class_name": "function", "config": "relu"}`."""
    if not isinstance(config, Mapping):
        return get(config)
    name = config.get("class_name")
    if name == "function":
        return get(config.get("config"))
    from symgraph.layers import activation as layers

    cls = getattr(layers, str(name), None)
    if cls is None:
        raise LayerError(f"no activation layer {name!r}; {nearest(str(name), layers.__all__)}")
    layer: Activation = cls.from_config(config.get("config") or {})
    return layer


_NOT_FUNCTIONS = {"get", "serialize", "deserialize"}
_BY_NAME: dict[str, Activation] = {name: globals()[name] for name in __all__ if name not in _NOT_FUNCTIONS}
