"""Pooling over windows, and over all of space."""

from __future__ import annotations

from typing import Any, ClassVar

from symgraph.core.tensor import Operand
from symgraph.layers.checked import SpatialLayer
from symgraph.layers.convolutional import Sizes
from symgraph.layers.masking import as_step_mask
from symgraph.ops.arithmetic import true_divide
from symgraph.ops.casting import cast
from symgraph.ops.indexing import where
from symgraph.ops.pooling import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
)
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.ops.shape import expand_dims

__all__ = [
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D", "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "MaxPooling1D",
    "MaxPooling2D", "MaxPooling3D",
]


class Pooling(SpatialLayer):
    """One number for each window and channel. `strides` are `pool_size` unless given."""

    pools_maximum: ClassVar[bool]

    def __init__(self, pool_size: Sizes = 2, strides: Sizes | None = None, padding: str = "valid",
                 data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.pool_size = self.wholes("pool_size", pool_size, self.rank)
        self.strides = self.pool_size if strides is None else self.wholes("strides", strides, self.rank)
        self.padding = self.one_of("padding", padding, ("valid", "same"))

    def call(self, inputs: Operand) -> Operand:
        pool = max_pool if self.pools_maximum else average_pool
        return pool(inputs, self.pool_size, self.strides, self.padding, self.data_format)


class MaxPooling1D(Pooling):
    """`y[t] = max over the window of x[t * stride + k]`: `(batch, steps, channels) -> (batch, new_steps, channels)`.

    Channels second with `"channels_first"`. `"same"` padding never wins (ONNX MaxPool).
    """

    rank, pools_maximum = 1, True


class MaxPooling2D(Pooling):
    """`y[i, j] = max over the window`: `(batch, height, width, channels) -> (batch, new_height, new_width, channels)`.

    Channels second with `"channels_first"`. `"same"` padding never wins (ONNX MaxPool).

    >>> import symgraph as sg
    >>> sg.layers.MaxPooling2D().apply(sg.Input((28, 28, 8))).shape
    (None, 14, 14, 8)
    """

    rank, pools_maximum = 2, True


class MaxPooling3D(Pooling):
    """`y[i, j, k] = max over the window`, for `(batch, depth, height, width, channels)`.

    Channels second with `"channels_first"`. `"same"` padding never wins (ONNX MaxPool).
    """

    rank, pools_maximum = 3, True


class AveragePooling1D(Pooling):
    """`y[t] = mean over the window of x[t * stride + k]`: `(batch, steps, channels) -> (batch, new_steps, channels)`.

    Channels second with `"channels_first"`. `"same"` padding does not count (ONNX AveragePool).
    """

    rank, pools_maximum = 1, False


class AveragePooling2D(Pooling):
    """`y[i, j] = mean over the window`: `(batch, height, width, channels) -> (batch, new_height, new_width, channels)`.

    Channels second with `"channels_first"`. `"same"` padding does not count (ONNX AveragePool).
    """

    rank, pools_maximum = 2, False


class AveragePooling3D(Pooling):
    """`y[i, j, k] = mean over the window`, for `(batch, depth, height, width, channels)`.

    Channels second with `"channels_first"`. `"same"` padding does not count (ONNX AveragePool).
    """

    rank, pools_maximum = 3, False


class GlobalPooling(SpatialLayer):
    """One number for each channel; the axes of space stay with size 1 where `keepdims` is set."""

    pools_maximum: ClassVar[bool]

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.keepdims = keepdims

    def call(self, inputs: Operand) -> Operand:
        pool = global_max_pool if self.pools_maximum else global_average_pool
        return pool(inputs, self.data_format, keepdims=self.keepdims)


class GlobalMaxPooling1D(GlobalPooling):
    """`max over t of x[t]`: `(batch, steps, channels) -> (batch, channels)` (ONNX ReduceMax)."""

    rank, pools_maximum = 1, True


class GlobalMaxPooling2D(GlobalPooling):
    """`max over i, j of x[i, j]`: `(batch, height, width, channels) -> (batch, channels)` (ONNX ReduceMax)."""

    rank, pools_maximum = 2, True


class GlobalMaxPooling3D(GlobalPooling):
    """`max over i, j, k of x[i, j, k]`: `(batch, depth, height, width, channels) -> (batch, channels)`."""

    rank, pools_maximum = 3, True


class GlobalAveragePooling1D(GlobalPooling):
    """`mean over t of x[t]`: `(batch, steps, channels) -> (batch, channels)` (ONNX ReduceMean).

    With a mask `(batch, steps)` the mean is over the steps where it is True; over none it is NaN.
    """

    rank, pools_maximum = 1, False
    supports_masking = True

    def call(self, inputs: Operand, mask: Any = None) -> Operand:
        if mask is None:
            return super().call(inputs)
        (steps,) = self.spatial_axes
        is_there = expand_dims(as_step_mask(self, mask, inputs, axes=(0, steps)), self.channel_axis)
        total, count = (reduce_sum(x, axis=steps, keepdims=self.keepdims) for x in (
            where(is_there, inputs, 0), cast(is_there, inputs.dtype)))
        return true_divide(total, count)

    def compute_mask(self, inputs: Operand, previous_mask: Any = None) -> None:
        """None: there are no steps left."""


class GlobalAveragePooling2D(GlobalPooling):
    """`mean over i, j of x[i, j]`: `(batch, height, width, channels) -> (batch, channels)` (ONNX ReduceMean)."""

    rank, pools_maximum = 2, False


class GlobalAveragePooling3D(GlobalPooling):
    """`mean over i, j, k of x[i, j, k]`: `(batch, depth, height, width, channels) -> (batch, channels)`."""

    rank, pools_maximum = 3, False


class AdaptivePooling(SpatialLayer):
    """As many numbers for each channel as asked for, whatever the size: bin `i` of `o` spans `floor(i n / o)` up to
    `ceil((i + 1) n / o)`.
    """

    pools_maximum: ClassVar[bool]

    def __init__(self, output_size: Sizes, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.output_size = self.wholes("output_size", output_size, self.rank)

    def call(self, inputs: Operand) -> Operand:
        pool = adaptive_max_pool if self.pools_maximum else adaptive_average_pool
        return pool(inputs, self.output_size, self.data_format)


class AdaptiveMaxPooling1D(AdaptivePooling):
    """`max over each bin`: `(batch, steps, channels) -> (batch, o, channels)`, bins by `output_size`."""

    rank, pools_maximum = 1, True


class AdaptiveMaxPooling2D(AdaptivePooling):
    """`max over each bin`: `(batch, height, width, channels) -> (batch, o, p, channels)`, bins by `output_size`."""

    rank, pools_maximum = 2, True


class AdaptiveMaxPooling3D(AdaptivePooling):
    """`max over each bin` of volumes, three sizes in `output_size`: `(batch, o, p, q, channels)`."""

    rank, pools_maximum = 3, True


class AdaptiveAveragePooling1D(AdaptivePooling):
    """`mean over each bin`: `(batch, steps, channels) -> (batch, o, channels)`, bins by `output_size`."""

    rank, pools_maximum = 1, False


class AdaptiveAveragePooling2D(AdaptivePooling):
    """`mean over each bin`: `(batch, height, width, channels) -> (batch, o, p, channels)`, bins by `output_size`."""

    rank, pools_maximum = 2, False


class AdaptiveAveragePooling3D(AdaptivePooling):
    """`mean over each bin` of volumes, three sizes in `output_size`: `(batch, o, p, q, channels)`."""

    rank, pools_maximum = 3, False
