"""The layers most models start from: Dense, Embedding, and plain functions as layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import is_integer
from symgraph.layers import constraints, regularizers
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.layer import Layer
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import add
from symgraph.ops.casting import cast
from symgraph.ops.linalg import matmul

__all__ = ["Dense", "Embedding", "Identity", "Lambda"]


class Dense(CheckedLayer):
    """`activation(x @ kernel + bias)`: `(batch, ..., n) -> (batch, ..., units)`.

    Weights: `kernel` (n, units), glorot_uniform; `bias` (units,), zeros.

    >>> import symgraph as sg
    >>> sg.layers.Dense(4, activation="relu").apply(sg.Input((3,))).shape
    (None, 4)
    """

    min_ndim = 2

    def __init__(
            self, units: int, activation: object = None, use_bias: bool = True,
            kernel_initializer: object = "glorot_uniform", bias_initializer: object = "zeros",
            kernel_regularizer: object = None, bias_regularizer: object = None, activity_regularizer: object = None,
            kernel_constraint: object = None, bias_constraint: object = None, **options: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = self.whole("units", units)
        self.activation = self.as_activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer
        self.bias_initializer = bias_initializer
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        n = self.known_size(input_shape, -1)
        self.axes = {-1: n}
        self.kernel = self.add_weight((n, self.units), self.kernel_initializer, name="kernel",
                                      regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias",
                                        regularizer=self.bias_regularizer, constraint=self.bias_constraint)

    def call(self, inputs: Operand) -> Any:
        y = matmul(inputs, self.kernel)
        return self.activation(add(y, self.bias) if self.use_bias else y)


class Embedding(CheckedLayer):
    """`embeddings[x]`, a row for each whole number: `(batch, ...) -> (batch, ..., output_dim)` (ONNX Gather).

    Floats are cast to int32. A number past the end is an error when it runs;
    negative ones count from the end.

    Weights: `embeddings` (input_dim, output_dim), uniform from -0.05 to 0.05, or `weights` if given.

    >>> import symgraph as sg
    >>> sg.layers.Embedding(100, 8).apply(sg.Input((5,), dtype="int32")).shape
    (None, 5, 8)
    """

    input_dtype = "int32"

    def __init__(
            self, input_dim: int, output_dim: int, embeddings_initializer: object = "uniform",
            embeddings_regularizer: object = None, embeddings_constraint: object = None, mask_zero: bool = False,
            weights: Any = None, activity_regularizer: object = None, **options: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        if mask_zero:
            raise self.error("mask_zero: this version hands no masks on yet; give them to recurrent layers with mask=")
        self.input_dim = self.whole("input_dim", input_dim)
        self.output_dim = self.whole("output_dim", output_dim)
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self._given = weights

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings",
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint)
        if self._given is not None:
            self.set_weights(self._given if isinstance(self._given, list | tuple) else [self._given])
            self._given = None

    def call(self, inputs: Operand) -> Operand:
        if inputs.dtype not in ("int32", "int64"):
            inputs = cast(inputs, "int64" if is_integer(inputs.dtype) else "int32")
        return apply("Gather", self.embeddings, inputs)

    def get_config(self) -> dict[str, Any]:
        """The arguments without `weights`, which are not configuration."""
        return {k: v for k, v in super().get_config().items() if k != "weights"}


class Identity(Layer):
    """`x` itself. Any shape, which stays; lists of tensors too."""

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """`function(x)`, with `arguments` as keyword arguments: any function of tensors as a layer.

    A function has no configuration that could be written to a file: `get_config` holds the function itself. For
    a layer that can be saved, or has weights, write a subclass of `sg.layers.Layer`.

    >>> import symgraph as sg
    >>> sg.layers.Lambda(lambda x: x ** 2).apply(sg.tensor([3.0])).tolist()
    [9.0]
    """

    def __init__(self, function: Callable[..., Any], output_shape: object = None, mask: object = None,
                 arguments: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        if not callable(function):
            raise self.error(f"function must be callable, got {function!r}")
        if mask is not None:
            raise self.error("mask: this version hands no masks on yet; give them to recurrent layers with mask=")
        self.function = function
        self.arguments = dict(arguments or {})

    def call(self, inputs: Any) -> Any:
        return self.function(inputs, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        """The arguments; `function` is the function itself."""
        return {**super().get_config(), "function": self.function}
