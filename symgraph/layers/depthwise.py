"""Convolutions that treat each channel by itself."""

from __future__ import annotations

from typing import Any

from symgraph.core.tensor import Operand
from symgraph.layers import constraints, regularizers
from symgraph.layers.convolutional import ConvolutionLayer, Sizes
from symgraph.ops.convolution import depthwise_conv, separable_conv

__all__ = ["DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"]


class DepthwiseConv(ConvolutionLayer):
    """One filter bank per channel, nothing summed over channels: one class for every rank."""

    def __init__(
            self, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid", depth_multiplier: int = 1,
            data_format: str | None = None, dilation_rate: Sizes = 1, activation: object = None, use_bias: bool = True,
            depthwise_initializer: object = "glorot_uniform", bias_initializer: object = "zeros",
            depthwise_regularizer: object = None, bias_regularizer: object = None, activity_regularizer: object = None,
            depthwise_constraint: object = None, bias_constraint: object = None, **options: Any) -> None:
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         bias_initializer, bias_regularizer, activity_regularizer, bias_constraint, **options)
        self.depth_multiplier = self.whole("depth_multiplier", depth_multiplier)
        self.depthwise_initializer = depthwise_initializer
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer, name="kernel",
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint)
        self.add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Operand) -> Any:
        return self.activated(depthwise_conv(
            inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate))


class DepthwiseConv1D(DepthwiseConv):
    """`y[t, c * m + j] = activation(sum over k of x[t * stride + k * dilation, c] * kernel[k, c, j] + bias)`.

    `(batch, steps, channels) -> (batch, new_steps, channels * m)`, `m` being `depth_multiplier`; channels second
    with `"channels_first"` (ONNX Conv with a group per channel).

    Weights: `kernel` (k, channels, m), glorot_uniform; `bias` (channels * m,), zeros.
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """`y[..., c * m + j] = activation(sum over the window of x[..., c] * kernel[..., c, j] + bias)`.

    `(batch, height, width, channels) -> (batch, new_height, new_width, channels * m)`, `m` being
    `depth_multiplier`; channels second with `"channels_first"` (ONNX Conv with a group per channel).

    Weights: `kernel` (k, l, channels, m), glorot_uniform; `bias` (channels * m,), zeros.
    """

    rank = 2


class SeparableConv(ConvolutionLayer):
    """A depthwise convolution, then one with a window of a single point: one class for every rank."""

    def __init__(
            self, filters: int, kernel_size: Sizes, strides: Sizes = 1, padding: str = "valid",
            data_format: str | None = None, dilation_rate: Sizes = 1, depth_multiplier: int = 1,
            activation: object = None, use_bias: bool = True, depthwise_initializer: object = "glorot_uniform",
            pointwise_initializer: object = "glorot_uniform", bias_initializer: object = "zeros",
            depthwise_regularizer: object = None, pointwise_regularizer: object = None, bias_regularizer: object = None,
            activity_regularizer: object = None, depthwise_constraint: object = None,
            pointwise_constraint: object = None, bias_constraint: object = None, **options: Any) -> None:
        super().__init__(kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
                         bias_initializer, bias_regularizer, activity_regularizer, bias_constraint, **options)
        self.filters = self.whole("filters", filters)
        self.depth_multiplier = self.whole("depth_multiplier", depth_multiplier)
        self.depthwise_initializer = depthwise_initializer
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_initializer = pointwise_initializer
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.pointwise_constraint = constraints.get(pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = self.input_channels(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer, name="depthwise_kernel",
            regularizer=self.depthwise_regularizer, constraint=self.depthwise_constraint)
        self.pointwise_kernel = self.add_weight(
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters), self.pointwise_initializer,
            name="pointwise_kernel", regularizer=self.pointwise_regularizer, constraint=self.pointwise_constraint)
        self.add_bias(self.filters)

    def call(self, inputs: Operand) -> Any:
        return self.activated(separable_conv(
            inputs, self.depthwise_kernel, self.pointwise_kernel, self.strides, self.padding, self.data_format,
            self.dilation_rate))


class SeparableConv1D(SeparableConv):
    """`activation(depthwise(x) @ pointwise_kernel + bias)`: `(batch, steps, channels) -> (batch, new_steps, filters)`.

    Weights: `depthwise_kernel` (k, channels, depth_multiplier) and `pointwise_kernel`
    (1, channels * depth_multiplier, filters), glorot_uniform; `bias` (filters,), zeros.
    """

    rank = 1


class SeparableConv2D(SeparableConv):
    """`activation(depthwise(x) @ pointwise_kernel + bias)`:
    `(batch, height, width, channels) -> (batch, new_height, new_width, filters)`.

    Weights: `depthwise_kernel` (k, l, channels, depth_multiplier) and `pointwise_kernel`
    (1, 1, channels * depth_multiplier, filters), glorot_uniform; `bias` (filters,), zeros.

    Source: Chollet 2016, https://arxiv.org/abs/1610.02357
    """

    rank = 2
