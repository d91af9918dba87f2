"""Layers that bring what passes through them to mean 0 and variance 1, or to length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import promote_dtypes
from symgraph.core.variable import Variable
from symgraph.layers import constraints, regularizers
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.layer import Layer
from symgraph.layers.masking import as_step_mask
from symgraph.ops.arithmetic import add, multiply, square, subtract, true_divide
from symgraph.ops.comparison import logical_or
from symgraph.ops.creation import zeros_like
from symgraph.ops.indexing import where
from symgraph.ops.normalization import (
    batch_normalization,
    group_normalization,
    layer_normalization,
    moments,
    normalize,
    normalize_batch,
    rms_normalization,
)
from symgraph.ops.powers import rsqrt
from symgraph.ops.promotion import cast_to
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.ops.shape import expand_dims, reshape, squeeze
from symgraph.ops.statistics import var

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"]

Axes = int | Sequence[int]


class ScaledLayer(CheckedLayer):
    """A normalization whose result is scaled by `gamma` and shifted by `beta`, both learned.

    Inputs and weights are not cast: it computes in float32 at least, and casts the result.
    """

    autocast = False

    supports_masking = True

    def __init__(
            self, epsilon: float, center: bool, scale: bool, beta_initializer: object, gamma_initializer: object,
            beta_regularizer: object, gamma_regularizer: object, beta_constraint: object, gamma_constraint: object,
            **options: Any) -> None:
        super().__init__(**options)
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or epsilon < 0:
            raise self.error(f"epsilon must be a number from 0 on, got {epsilon!r}")
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = beta_initializer
        self.gamma_initializer = gamma_initializer
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Variable | None = None
        self.beta: Variable | None = None

    def add_scale(self, sizes: Sequence[int]) -> None:
        """Make `gamma` and `beta`, as far as they are wanted."""
        if self.scale:
            self.gamma = self.add_weight(sizes, self.gamma_initializer, name="gamma",
                                         regularizer=self.gamma_regularizer, constraint=self.gamma_constraint)
        if self.center:
            self.beta = self.add_weight(sizes, self.beta_initializer, name="beta",
                                        regularizer=self.beta_regularizer, constraint=self.beta_constraint)


class BatchNormalization(ScaledLayer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, for each channel. Any shape, which stays.

    While training, mean and variance (biased) are those of the batch, and `moving = momentum * moving +
    (1 - momentum) * batch`; otherwise, and with `trainable=False`, they are the moving ones
    (ONNX BatchNormalization). `axis` is the channels': 1 after layers with `"channels_first"`. With a mask, of all axes
    but the last, the mean and variance of the batch are those of what counts.

    Weights: `gamma` (channels,), ones; `beta`, zeros; not trainable `moving_mean`, zeros, `moving_variance`, ones.

    Source: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167
    """

    min_ndim = 2

    def __init__(
            self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
            scale: bool = True, beta_initializer: object = "zeros", gamma_initializer: object = "ones",
            moving_mean_initializer: object = "zeros", moving_variance_initializer: object = "ones",
            beta_regularizer: object = None, gamma_regularizer: object = None, beta_constraint: object = None,
            gamma_constraint: object = None, synchronized: bool = False, **options: Any) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
                         gamma_regularizer, beta_constraint, gamma_constraint, **options)
        self.axis = self.whole("axis", axis, low=-(2**31))
        self.momentum = self.share("momentum", momentum)
        if synchronized:
            raise self.error("synchronized: batches are not spread over devices in this version")
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer

    def build(self, input_shape: Any) -> None:
        channels = self.known_size(input_shape, self.axis)
        self.axes = {self.axis: channels}
        self.ndim = len(input_shape)
        self.add_scale((channels,))
        self.moving_mean = self.add_weight((channels,), self.moving_mean_initializer, trainable=False,
                                           name="moving_mean")
        self.moving_variance = self.add_weight((channels,), self.moving_variance_initializer, trainable=False,
                                               name="moving_variance")

    def call(self, inputs: Operand, training: bool = False, mask: Any = None) -> Operand:
        x = _wide(self, inputs)
        if mask is not None:
            mask = as_step_mask(self, mask, x, axes=range(x.ndim - 1))
        is_training, own = training and self.trainable, self.axis % x.ndim
        if is_training and mask is None and x.dtype == "float32" and own in (1, x.ndim - 1):
            y, mean, variance = normalize_batch(x, own, _like(self.beta, x), _like(self.gamma, x), self.epsilon)
            self._follow(self.moving_mean, mean)
            self._follow(self.moving_variance, variance)
            return cast_to(y, self.compute_dtype)
        if is_training:
            mean, variance = _moments(x, [axis for axis in range(x.ndim) if axis != own], mask)
            self._follow(self.moving_mean, mean)
            self._follow(self.moving_variance, variance)
        else:
            mean, variance = (_like(v, x) for v in (self.moving_mean, self.moving_variance))
        y = batch_normalization(x, mean, variance, self.axis, _like(self.beta, x), _like(self.gamma, x), self.epsilon)
        return cast_to(y, self.compute_dtype)

    def _follow(self, moving: Variable, batch: Operand) -> None:
        new = add(multiply(_like(moving.latest(), batch), self.momentum), multiply(batch, 1 - self.momentum))
        moving.assign(cast_to(new, moving.dtype))


class LayerNormalization(ScaledLayer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, mean and variance along `axis` (ONNX LayerNormalization).

    Any shape, which stays. With `rms_scaling` (which Keras deprecates) `gamma * x / sqrt(variance + epsilon)`.

    Weights: `gamma`, ones, and `beta`, zeros, of the sizes along `axis`.

    Source: Ba et al. 2016, https://arxiv.org/abs/1607.06450
    """

    min_ndim = 1

    def __init__(
            self, axis: Axes = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
            beta_initializer: object = "zeros", gamma_initializer: object = "ones", beta_regularizer: object = None,
            gamma_regularizer: object = None, beta_constraint: object = None, gamma_constraint: object = None,
            rms_scaling: bool = False, **options: Any) -> None:
        super().__init__(epsilon, center and not rms_scaling, scale or rms_scaling, beta_initializer, gamma_initializer,
                         beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint, **options)
        self.axis = axis
        self.rms_scaling = rms_scaling

    def build(self, input_shape: Any) -> None:
        self.axes = _sizes_along(self, self.axis, input_shape)
        self.add_scale(tuple(self.axes.values()))

    def call(self, inputs: Operand) -> Operand:
        x, axes = _wide(self, inputs), tuple(self.axes or ())
        if not self.rms_scaling:
            y = layer_normalization(x, _like(self.gamma, x), _like(self.beta, x), axes, self.epsilon)
            return cast_to(y, self.compute_dtype)
        sizes = {axis % x.ndim: size for axis, size in (self.axes or {}).items()}
        gamma = reshape(_like(self.gamma, x), [sizes.get(axis, 1) for axis in range(x.ndim)])
        variance = var(x, axis=axes, keepdims=True)
        return cast_to(multiply(multiply(x, rsqrt(add(variance, self.epsilon))), gamma), self.compute_dtype)


class RMSNormalization(CheckedLayer):
    """`scale * x / sqrt(mean(x^2) + epsilon)`, the mean along `axis`. Any shape, which stays.

    Weights: `scale`, ones, of the sizes along `axis`.

    Source: Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467
    """

    min_ndim = 1
    autocast = False

    def __init__(self, axis: Axes = -1, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis
        self.epsilon = float(epsilon)

    def build(self, input_shape: Any) -> None:
        self.axes = _sizes_along(self, self.axis, input_shape)
        self.scale = self.add_weight(tuple(self.axes.values()), "ones", name="scale")

    def call(self, inputs: Operand) -> Operand:
        x, axes = _wide(self, inputs), tuple(self.axes or ())
        return cast_to(rms_normalization(x, _like(self.scale, x), axes, self.epsilon), self.compute_dtype)


class GroupNormalization(ScaledLayer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, mean and variance of each example and group of channels.

    Any shape, which stays; `groups` divides the channels along `axis`, -1 is a group for each channel.

    Weights: `gamma` (channels,), ones; `beta` (channels,), zeros.

    Source: Wu and He 2018, https://arxiv.org/abs/1803.08494
    """

    min_ndim = 2

    def __init__(
            self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
            beta_initializer: object = "zeros", gamma_initializer: object = "ones", beta_regularizer: object = None,
            gamma_regularizer: object = None, beta_constraint: object = None, gamma_constraint: object = None,
            **options: Any) -> None:
        super().__init__(epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer,
                         gamma_regularizer, beta_constraint, gamma_constraint, **options)
        self.groups = groups if groups == -1 else self.whole("groups", groups)
        self.axis = self.whole("axis", axis, low=-(2**31))

    def build(self, input_shape: Any) -> None:
        channels = self.known_size(input_shape, self.axis)
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise self.error(f"expects a number of channels that is a multiple of groups {self.groups}, got {channels} "
                             f"in an input of shape {tuple(input_shape)}")
        self.axes = {self.axis: channels}
        self.ndim = len(input_shape)
        self.add_scale((channels,))

    def call(self, inputs: Operand) -> Operand:
        x = _wide(self, inputs)
        y = group_normalization(x, self.groups, _like(self.gamma, x), _like(self.beta, x), self.axis, self.epsilon)
        return cast_to(y, self.compute_dtype)


class UnitNormalization(CheckedLayer):
    """`x / sqrt(sum(x^2))`, the sum along `axis`: vectors of length 1. Any shape, which stays."""

    min_ndim = 1
    supports_masking = True
    autocast = False

    def __init__(self, axis: Axes = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        _sizes_along(self, self.axis, input_shape, is_known=False)

    def call(self, inputs: Operand) -> Operand:
        axis = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        return cast_to(normalize(_wide(self, inputs), axis=axis, order=2, epsilon=1e-12), self.compute_dtype)


def _moments(x: Operand, axes: list[int], mask: Operand | None) -> tuple[Operand, Operand]:
    """Mean and biased variance along `axes`, of what counts: divided by the number of it, and 1e-7."""
    if mask is None:
        return moments(x, axes=axes)
    is_there = logical_or(expand_dims(mask, -1), zeros_like(x, "bool"))
    count = add(reduce_sum(cast_to(is_there, x.dtype), axis=axes, keepdims=True), 1e-7)
    mean = true_divide(reduce_sum(where(is_there, x, 0), axis=axes, keepdims=True), count)
    squares = square(where(is_there, subtract(x, mean), 0))
    variance = true_divide(reduce_sum(squares, axis=axes, keepdims=True), count)
    return squeeze(mean, axis=axes), squeeze(variance, axis=axes)


def _sizes_along(layer: CheckedLayer, axis: Axes, input_shape: Any, *, is_known: bool = True) -> dict[int, int]:
    """The sizes along the axes, in the order of the axes."""
    rank = len(input_shape)
    for a in (axis,) if isinstance(axis, int) else axis:
        if not -rank <= a < rank:
            raise layer.error(f"axis {a} is out of range for an input of shape {tuple(input_shape)}")
    wanted = (axis,) if isinstance(axis, int) else sorted(axis, key=lambda a: a % rank)
    return {a: layer.known_size(input_shape, a) for a in wanted} if is_known else {}


def _wide(layer: Layer, x: Operand) -> Operand:
    """`x` in the dtype of the layer, and in float32 at least: sums of squares overflow in less."""
    return cast_to(x, promote_dtypes(promote_dtypes(x.dtype, layer.compute_dtype), "float32"))


def _like(x: Any, y: Operand) -> Any:
    """`x` in the dtype of `y`; None stays."""
    return None if x is None else cast_to(x, y.dtype)
