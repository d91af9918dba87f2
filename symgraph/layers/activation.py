"""Layers that apply one function to each element, or along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import promote_dtypes
from symgraph.layers import constraints, regularizers
from symgraph.layers.checked import CheckedLayer
from symgraph.ops.activations import elu, leaky_relu, relu, softmax
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import multiply
from symgraph.ops.casting import cast
from symgraph.ops.comparison import greater
from symgraph.ops.indexing import where
from symgraph.ops.promotion import as_operand

__all__ = ["ELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU"]


class Activation(CheckedLayer):
    """`activation(x)`: a function, or the name of one in `sg.activations`. Any shape, which stays.

    >>> import symgraph as sg
    >>> sg.layers.Activation("relu").apply(sg.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    supports_masking = True

    def __init__(self, activation: object, **options: Any) -> None:
        super().__init__(**options)
        self.activation = self.as_activation(activation)

    def call(self, inputs: Operand) -> Any:
        return self.activation(inputs)


class ReLU(CheckedLayer):
    """`max(x, 0)`; with other arguments `x` from `threshold` on, below it `negative_slope * (x - threshold)`, and
    at most `max_value`. Any shape, which stays.
    """

    supports_masking = True

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0,
                 **options: Any) -> None:
        super().__init__(**options)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if (value is None and name != "max_value") or (value is not None and value < 0):
                raise self.error(f"{name} must be a number from 0 on, got {value!r}")
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    def call(self, inputs: Operand) -> Operand:
        return relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(CheckedLayer):
    """`x` where `x > 0`, else `negative_slope * x`. Any shape, which stays."""

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        if negative_slope is None or negative_slope < 0:
            raise self.error(f"negative_slope must be a number from 0 on, got {negative_slope!r}")
        self.negative_slope = negative_slope

    def call(self, inputs: Operand) -> Operand:
        return leaky_relu(inputs, self.negative_slope)


class PReLU(CheckedLayer):
    """`x` where `x > 0`, else `alpha * x`, `alpha` learned (ONNX PRelu). Any shape, which stays.

    Weights: `alpha` (zeros) of the shape of one example, with size 1 along `shared_axes`, counted with the batch as 0.

    Source: He et al. 2015, https://arxiv.org/abs/1502.01852
    """

    min_ndim = 1
    supports_masking = True

    def __init__(
            self, alpha_initializer: object = "zeros", alpha_regularizer: object = None,
            alpha_constraint: object = None, shared_axes: int | Sequence[int] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.alpha_initializer = alpha_initializer
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        axes = (shared_axes,) if isinstance(shared_axes, int) else shared_axes or ()
        self.shared_axes = tuple(self.whole("an entry of shared_axes", axis) for axis in axes)

    def build(self, input_shape: Any) -> None:
        own = [axis for axis in range(1, len(input_shape)) if axis not in self.shared_axes]
        self.axes = {axis: self.known_size(input_shape, axis) for axis in own}
        self.ndim = len(input_shape)
        shape = [self.axes.get(axis, 1) for axis in range(1, len(input_shape))]
        self.alpha = self.add_weight(shape, self.alpha_initializer, regularizer=self.alpha_regularizer,
                                     constraint=self.alpha_constraint, name="alpha")

    def call(self, inputs: Operand) -> Operand:
        return apply("PRelu", inputs, self.alpha)


class ELU(CheckedLayer):
    """`x` where `x > 0`, else `alpha * (exp(x) - 1)`. Any shape, which stays."""

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs: Operand) -> Operand:
        return elu(inputs, self.alpha)


class Softmax(CheckedLayer):
    """`exp(x) / sum(exp(x))` along `axis`, one axis or several. Any shape, which stays.

    Where `mask` is False, or a number up to 0.5, `x` counts as -1e9 (-3e4 in float16), and the result is 0. The mask
    broadcasts against `x`.
    """

    min_ndim = 1
    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, inputs: Operand, mask: Any = None) -> Operand:
        x = cast(inputs, promote_dtypes(inputs.dtype, "float32"))  # sums in half precision would be far off
        if mask is None:
            return cast(softmax(x, self.axis), self.compute_dtype)
        mask = self._as_mask(mask, inputs)
        least = -3e4 if inputs.dtype == "float16" else -1e9
        return cast(where(mask, softmax(where(mask, x, least), self.axis), 0), self.compute_dtype)

    def _as_mask(self, mask: Any, inputs: Operand) -> Operand:
        mask = as_operand(mask)
        if mask.dtype == "string" or mask.ndim > inputs.ndim or any(
                isinstance(a, int) and isinstance(b, int) and a not in (1, b)
                for a, b in zip(mask.shape[::-1], inputs.shape[::-1], strict=False)):
            raise self.error(f"mask must broadcast against the input {inputs.type}, got {mask.type}")
        return mask if mask.dtype == "bool" else greater(mask, 0.5)


class ThresholdedReLU(CheckedLayer):
    """`x` where `x > theta`, else 0. Any shape, which stays."""

    supports_masking = True

    def __init__(self, theta: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        if theta is None or theta < 0:
            raise self.error(f"theta must be a number from 0 on, got {theta!r}")
        self.theta = theta

    def call(self, inputs: Operand) -> Operand:
        return multiply(inputs, cast(greater(inputs, self.theta), inputs.dtype))
