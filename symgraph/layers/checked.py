"""Layers that say which inputs and which arguments they take, so that a mistake is told where it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import LayerError
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType
from symgraph.layers import activations
from symgraph.layers.arguments import call_parameters
from symgraph.layers.layer import Layer

DATA_FORMATS = ("channels_last", "channels_first")


class CheckedLayer(Layer):
    """A layer of one input tensor that is checked before `build` and `call`.

    A subclass says what it takes: `ndim`, the rank, or `min_ndim`, the smallest one; and in `build` `axes`, the
    sizes that its weights fix from then on, by axis.
    """

    ndim: int | None = None
    min_ndim: int = 0
    axes: Mapping[int, int] | None = None

    def _ensure_built(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        first = list(call_parameters(type(self)))[1]
        self._check_inputs(args[0] if args else kwargs.get(first))
        super()._ensure_built(args, kwargs)

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, Operand):
            got = f"{len(inputs)} of them" if isinstance(inputs, list | tuple | dict) else repr(inputs)
            raise self.error(f"expects one tensor, got {got}")
        if not isinstance(inputs.type, TensorType) or inputs.type.shape is None:
            raise self.error(f"needs to know the rank of its input, got {inputs.type or 'an unknown type'}")
        if self.ndim is not None and inputs.ndim != self.ndim:
            raise self.error(f"expects {self.ndim} dimensions, got {inputs.type}")
        if inputs.ndim < self.min_ndim:
            raise self.error(f"expects at least {self.min_ndim} dimensions, got {inputs.type}")
        for axis, size in (self.axes or {}).items():
            dim = inputs.shape[axis] if axis < inputs.ndim else 0
            if isinstance(dim, int) and dim != size:
                place = "last dimension" if axis == -1 else f"dimension {axis}"
                raise self.error(f"expects inputs whose {place} is {size}, got {inputs.type}")

    def known_size(self, input_shape: Any, axis: int, what: str = "the input") -> int:
        """The size of `input_shape` along `axis`, which weights depend on.

        Errors: `LayerError` where there is no such axis, or it is open.
        """
        if not -len(input_shape) <= axis < len(input_shape):
            raise self.error(f"axis {axis} is out of range for {what} of shape {tuple(input_shape)}")
        size = input_shape[axis]
        if not isinstance(size, int):
            raise self.error(f"needs a known size along axis {axis} of {what}, got shape {tuple(input_shape)}")
        return size

    def whole(self, name: str, value: object, low: int = 1) -> int:
        """An argument that is a whole number, at least `low`."""
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise self.error(f"{name} must be a whole number from {low} on, got {value!r}")
        return int(value)

    def wholes(self, name: str, value: object, count: int, low: int = 1) -> tuple[int, ...]:
        """An argument that is `count` whole numbers, or one that stands for all of them."""
        values = value if isinstance(value, list | tuple | np.ndarray) else (value,) * count
        if len(values) != count:
            raise self.error(f"{name} must be a whole number or {count} of them, got {value!r}")
        return tuple(self.whole(name, v, low) for v in values)

    def one_of(self, name: str, value: object, choices: tuple[str, ...]) -> str:
        """An argument that is one of some words, in either case."""
        word = value.lower() if isinstance(value, str) else value
        if word not in choices:
            raise self.error(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
        return str(word)

    def share(self, name: str, value: object) -> float:
        """An argument that is a number from 0 to 1."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
            raise self.error(f"{name} must be a number from 0 to 1, got {value!r}")
        return float(value)

    def as_activation(self, identifier: object) -> activations.Activation:
        """An activation function by its name, or as it is.

        Errors: `LayerError` naming the nearest activations there are.
        """
        try:
            return activations.get(identifier)
        except LayerError as error:
            raise self.error(str(error)) from None


class SpatialLayer(CheckedLayer):
    """A layer over sequences, images or volumes: `rank` axes of space, and one of channels.

    Inputs are `(batch, *space, channels)`, or `(batch, channels, *space)` with `data_format="channels_first"`.
    """

    rank: int = 2

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.ndim = self.rank + 2
        self.data_format = self.one_of("data_format", data_format or "channels_last", DATA_FORMATS)

    @property
    def channel_axis(self) -> int:
        """The axis of the channels."""
        return 1 if self.data_format == "channels_first" else -1

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of space."""
        first = 2 if self.data_format == "channels_first" else 1
        return tuple(range(first, first + self.rank))
