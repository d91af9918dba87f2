"""The layers most models start from: Dense, Embedding, and plain functions as layers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating, is_integer
from symgraph.core.value import Tensor, as_array
from symgraph.layers import constraints, regularizers
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.layer import Layer
from symgraph.layers.masking import carry
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import add
from symgraph.ops.casting import cast
from symgraph.ops.comparison import not_equal
from symgraph.ops.indexing import choose
from symgraph.ops.linalg import matmul
from symgraph.ops.reductions import any as any_of
from symgraph.ops.shape import squeeze

__all__ = ["Dense", "Embedding", "Identity", "Lambda", "Masking"]


class Dense(CheckedLayer):
    """`activation(x @ kernel + bias)`: `(batch, ..., n) -> (batch, ..., units)`.

    Weights: `kernel` (n, units), glorot_uniform; `bias` (units,), zeros.

    >>> import symgraph as sg
    >>> sg.layers.Dense(4, activation="relu").apply(sg.Input((3,))).shape
    (None, 4)
    """

    min_ndim = 2
    supports_masking = True

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
    negative ones count from the end. With `mask_zero` the output's mask is `x != 0`: 0 is padding.

    Weights: `embeddings` (input_dim, output_dim), uniform from -0.05 to 0.05, or `weights` if given.

    >>> import symgraph as sg
    >>> sg.layers.Embedding(100, 8).apply(sg.Input((5,), dtype="int32")).shape
    (None, 5, 8)
    """

    input_dtype = "int32"
    autocast = False

    def __init__(
            self, input_dim: int, output_dim: int, embeddings_initializer: object = "uniform",
            embeddings_regularizer: object = None, embeddings_constraint: object = None, mask_zero: bool = False,
            weights: Any = None, activity_regularizer: object = None, **options: Any) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
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
        return cast(apply("Gather", self.embeddings, inputs), self.compute_dtype)

    def compute_mask(self, inputs: Operand, previous_mask: Any = None) -> Operand | None:
        """`inputs != 0` with `mask_zero`, else None."""
        return not_equal(inputs, 0) if self.mask_zero else None

    def get_config(self) -> dict[str, Any]:
        """The arguments without `weights`, which are not configuration."""
        return {k: v for k, v in super().get_config().items() if k != "weights"}


class Masking(CheckedLayer):
    """`x`, with 0 for the steps whose numbers are all `mask_value`: the output's mask is False there.

    `(batch, steps, ...)`, any rank from 1 on; the mask is without the last axis. `mask_value` is a number, or a tensor
    that broadcasts against the input.

    >>> import symgraph as sg
    >>> y = sg.layers.Masking(-1.0)(np.array([[[3.0, -1.0], [-1.0, -1.0]]]))
    >>> y.tolist(), y.mask.tolist()
    ([[[3.0, -1.0], [0.0, 0.0]]], [[True, False]])
    """

    min_ndim = 1
    supports_masking = True

    def __init__(self, mask_value: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        if isinstance(mask_value, Mapping):
            mask_value = np.asarray(mask_value["config"]["value"], mask_value["config"]["dtype"])
        try:
            is_nan = np.isnan(np.asarray(mask_value, np.float64)).any()
        except (TypeError, ValueError):
            raise self.error(f"mask_value must be a number, or a tensor of numbers, got {mask_value!r}") from None
        if is_nan:
            raise self.error("mask_value is NaN, which equals nothing, so no step would ever be masked; give another "
                             "number, or the mask itself to the layers that take one")
        self.mask_value = mask_value

    def call(self, inputs: Operand) -> Operand:
        is_there = any_of(not_equal(inputs, self._value(inputs)), axis=-1, keepdims=True)
        return carry(choose(is_there, inputs, 0), squeeze(is_there, axis=-1))

    def compute_mask(self, inputs: Operand, previous_mask: Any = None) -> Operand:
        """Whether any number of a step is not `mask_value`."""
        return any_of(not_equal(inputs, self._value(inputs)), axis=-1)

    def _value(self, inputs: Operand) -> Operand:
        return Tensor(as_array(self.mask_value, inputs.dtype if is_floating(inputs.dtype) else None))

    def get_config(self) -> dict[str, Any]:
        """The arguments; `mask_value` as a number, or as Keras writes a tensor."""
        value = np.asarray(self.mask_value)
        written = value.item() if not value.ndim else {
            "class_name": "__tensor__", "config": {"value": value.tolist(), "dtype": value.dtype.name}}
        return {**super().get_config(), "mask_value": written}


class Identity(Layer):
    """`x` itself. Any shape, which stays; lists of tensors too."""

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """`function(x)`, with `arguments` as keyword arguments: any function of tensors as a layer.

    A function that has an argument `mask` or `training` is told these. `mask` is a function of the inputs and their
    mask that gives that of the output, or this mask itself; without it a mask of the inputs ends here.

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
        self.function = function
        self.mask = mask
        self.supports_masking = mask is not None
        self.arguments = dict(arguments or {})
        self._wanted = {"mask", "training"} & set(_parameters_of(function))

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        told = {"mask": mask, "training": training}
        return self.function(inputs, **{**self.arguments, **{k: told[k] for k in self._wanted}})

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """What `mask` says."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """The arguments; `function` is the function itself."""
        return {**super().get_config(), "function": self.function}


def _parameters_of(function: Callable[..., Any]) -> Iterable[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # a function of C without a signature
        return ()
