"""Convolutions over sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.layers import constraints, regularizers
from symgraph.layers.checked import SpatialLayer
from symgraph.ops.arithmetic import add
from symgraph.ops.convolution import conv
from symgraph.ops.shape import reshape

__all__ = ["Conv1D", "Conv2D", "Conv3D"]

Sizes = int | Sequence[int]


class ConvolutionLayer(SpatialLayer):
    """What all convolutions share: their windows, and `activation(windows(x) + bias)`."""

    paddings: tuple[str, ...] = ("valid", "same")

    def __init__(
            self, kernel_size: Sizes, strides: Sizes, padding: str, data_format: str | None, dilation_rate: Sizes,
            activation: object, use_bias: bool, bias_initializer: object, bias_regularizer: object,
            activity_regularizer: object, bias_constraint: object, **options: Any) -> None:
        super().__init__(data_format, activity_regularizer=activity_regularizer, **options)
        self.kernel_size = self.wholes("kernel_size", kernel_size, self.rank)
        self.strides = self.wholes("strides", strides, self.rank)
        self.dilation_rate = self.wholes("dilation_rate", dilation_rate, self.rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise self.error(f"strides {self.strides} and dilation_rate {self.dilation_rate}: only one of them may be "
                             "greater than 1")
        self.padding = self.one_of("padding", padding, self.paddings)
        self.activation = self.as_activation(activation)
        self.use_bias = use_bias
        self.bias_initializer = bias_initializer
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)

    def input_channels(self, input_shape: Any) -> int:
        """The number of channels of the input, fixed from here on."""
        channels = self.known_size(input_shape, self.channel_axis)
        if not channels:
            raise self.error(f"needs inputs with channels, got shape {tuple(input_shape)}")
        self.axes = {self.channel_axis: channels}
        return channels

    def add_bias(self, channels: int) -> None:
        """Make the bias, if there is to be one."""
        if self.use_bias:
            self.bias = self.add_weight((channels,), self.bias_initializer, name="bias",
                                        regularizer=self.bias_regularizer, constraint=self.bias_constraint)

    def activated(self, y: Operand) -> Any:
        """`activation(y + bias)`."""
        if self.use_bias:
            bias = self.bias if self.channel_axis == -1 else reshape(self.bias, (-1,) + (1,) * self.rank)
            y = add(y, bias)
        return self.activation(y)


class Conv(ConvolutionLayer):
    """`activation(sum over the window of x * kernel + bias)`: one class for every rank."""

    def __init__(
            self, filters: int, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
            data_format: str | None = None, dilation_rate: Sizes = 1, groups: int = 1, activation: object = None,
            use_bias: bool = True, kernel_initializer: object = "glorot_uniform", bias_initializer: object = "zeros",
            kernel_regularizer: object = None, bias_regularizer: object = None, activity_regularizer: object = None,
            kernel_constraint: object = None, bias_constraint: object = None, **options: Any) -> None:
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         bias_initializer, bias_regularizer, activity_regularizer, bias_constraint, **options)
        self.filters = self.whole("filters", filters)
        self.groups = self.whole("groups", groups)
        if self.filters % self.groups:
            raise self.error(f"filters {filters} must be a multiple of groups {groups}")
        self.kernel_initializer = kernel_initializer
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        if channels % self.groups:
            raise self.error(f"expects a number of channels that is a multiple of groups {self.groups}, got {channels} "
                             f"in an input of shape {tuple(input_shape)}")
        self.kernel = self.add_weight(
            (*self.kernel_size, channels // self.groups, self.filters), self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        self.add_bias(self.filters)

    def call(self, inputs: Operand) -> Any:
        return self.activated(
            conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate))


class Conv1D(Conv):
    """`y[t] = activation(sum over k of x[t * stride + k * dilation] @ kernel[k] + bias)` (ONNX Conv).

    `(batch, steps, channels) -> (batch, new_steps, filters)`; channels second with `"channels_first"`.
    `padding="causal"` pads only the past. With `groups` each group of filters sees its own part of the channels.

    Weights: `kernel` (k, channels / groups, filters), glorot_uniform; `bias` (filters,), zeros.
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(Conv):
    """`y[i, j] = activation(sum over k, l of x[i * stride + k * dilation, ...] @ kernel[k, l] + bias)` (ONNX Conv).

    `(batch, height, width, channels) -> (batch, new_height, new_width, filters)`; channels second with
    `"channels_first"`. With `groups` each group of filters sees its own part of the channels.

    Weights: `kernel` (k, l, channels / groups, filters), glorot_uniform; `bias` (filters,), zeros.

    >>> import symgraph as sg
    >>> sg.layers.Conv2D(8, 3, padding="same").apply(sg.Input((28, 28, 1))).shape
    (None, 28, 28, 8)
    """

    rank = 2


class Conv3D(Conv):
    """`y[i, j, m] = activation(sum over k, l, n of x[i * stride + k * dilation, ...] @ kernel[k, l, n] + bias)`.

    `(batch, depth, height, width, channels) -> (batch, new_depth, new_height, new_width, filters)`; channels
    second with `"channels_first"` (ONNX Conv).

    Weights: `kernel` (k, l, n, channels / groups, filters), glorot_uniform; `bias` (filters,), zeros.
    """

    rank = 3
