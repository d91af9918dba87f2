"""Inputs of models: symbols that no op has made."""

from __future__ import annotations

from typing import Any

from symgraph.core.defaults import floatx
from symgraph.core.errors import ShapeError
from symgraph.core.tensor import SymbolicTensor
from symgraph.core.types import TensorType, as_shape
from symgraph.layers.layer import Layer, unique_layer_name


class InputLayer(Layer):
    """An input of a model."""

    def __init__(
            self, shape: object = None, batch_size: object = None, dtype: object = None, name: str | None = None,
            batch_shape: object = None) -> None:
        super().__init__(name=name or unique_layer_name("input_layer"), dtype=dtype or floatx())
        if batch_shape is None:
            if shape is None:
                raise ShapeError("an input needs its shape, without the batch: Input(shape=(28, 28, 1))")
            batch_shape = (batch_size, *as_shape(shape))
        self.batch_shape = as_shape(batch_shape)
        symbol = SymbolicTensor(TensorType(self.dtype, self.batch_shape), name=self.name)
        self.built = True
        self.record_call((), {}, symbol)

    @property
    def input(self) -> Any:
        """The symbol."""
        return self.output


def Input(shape: object = None, batch_size: object = None, dtype: object = None, name: str | None = None,
          batch_shape: object = None) -> SymbolicTensor:
    """A symbol for an input of a model. `shape` is without the batch dimension, which is open unless given.

    Dimensions may be numbers, None (open) or names (`Input(("time", 3), batch_size="N")`).

    >>> import symgraph as sg
    >>> sg.Input((28, 28, 1), name="image")
    <SymbolicTensor 'image': float32[?, 28, 28, 1]>
    """
    symbol: SymbolicTensor = InputLayer(shape, batch_size, dtype, name, batch_shape).output
    return symbol
