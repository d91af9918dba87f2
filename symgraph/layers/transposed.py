"""Transposed convolutions: from what a convolution gives back to the size of what it took."""

from __future__ import annotations

from typing import Any

from symgraph.core.tensor import Operand
from symgraph.layers import constraints, regularizers
from symgraph.layers.convolutional import ConvolutionLayer, Sizes
from symgraph.ops.convolution import conv_transpose

__all__ = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]


class ConvTranspose(ConvolutionLayer):
    """`activation(sum over inputs of x * kernel, laid out with strides, + bias)`: one class for every rank."""

    def __init__(
            self, filters: int, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
            output_padding: Sizes | None = None, data_format: str | None = None, dilation_rate: Sizes = 1,
            activation: object = None, use_bias: bool = True, kernel_initializer: object = "glorot_uniform",
            bias_initializer: object = "zeros", kernel_regularizer: object = None, bias_regularizer: object = None,
            activity_regularizer: object = None, kernel_constraint: object = None, bias_constraint: object = None,
            **options: Any) -> None:
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         bias_initializer, bias_regularizer, activity_regularizer, bias_constraint, **options)
        self.filters = self.whole("filters", filters)
        self.output_padding = None if output_padding is None else self.wholes(
            "output_padding", output_padding, self.rank, low=0)
        for extra, stride in zip(self.output_padding or (), self.strides, strict=False):
            if extra >= stride:
                raise self.error(f"output_padding {self.output_padding} must be less than strides {self.strides}")
        self.kernel_initializer = kernel_initializer
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, self.filters, channels), self.kernel_initializer, name="kernel",
            regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        self.add_bias(self.filters)

    def call(self, inputs: Operand) -> Any:
        return self.activated(conv_transpose(
            inputs, self.kernel, self.strides, self.padding, self.output_padding, self.data_format, self.dilation_rate))


class Conv1DTranspose(ConvTranspose):
    """`y[t * stride + k * dilation] += kernel[k] @ x[t]`, then `activation(y + bias)` (ONNX ConvTranspose).

    `(batch, steps, channels) -> (batch, new_steps, filters)`; channels second with `"channels_first"`.
    `new_steps` is `steps * stride` for `"same"`, `steps * stride + max(k - stride, 0)` for `"valid"`.

    Weights: `kernel` (k, filters, channels), glorot_uniform; `bias` (filters,), zeros.
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """`y[i * stride + k * dilation, ...] += kernel[k, l] @ x[i, j]`, then `activation(y + bias)` (ONNX ConvTranspose).

    `(batch, height, width, channels) -> (batch, new_height, new_width, filters)`; channels second with
    `"channels_first"`.

    Weights: `kernel` (k, l, filters, channels), glorot_uniform; `bias` (filters,), zeros.

    >>> import symgraph as sg
    >>> sg.layers.Conv2DTranspose(8, 2, strides=2).apply(sg.Input((14, 14, 3))).shape
    (None, 28, 28, 8)
    """

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """`y[i * stride + k * dilation, ...] += kernel[k, l, n] @ x[i, j, m]`, then `activation(y + bias)`.

    `(batch, depth, height, width, channels) -> (batch, new_depth, new_height, new_width, filters)`; channels
    second with `"channels_first"` (ONNX ConvTranspose).

    Weights: `kernel` (k, l, n, filters, channels), glorot_uniform; `bias` (filters,), zeros.
    """

    rank = 3
