"""Layers around one other layer: what they have in common, and the spectral normalization of its kernel."""

from __future__ import annotations

from typing import Any

from symgraph.autodiff.custom import stop_gradient
from symgraph.core.scope import layer_scope
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating
from symgraph.core.variable import Variable
from symgraph.layers.initializers import TruncatedNormal
from symgraph.layers.layer import Layer
from symgraph.layers.rnn import layer_from
from symgraph.ops.arithmetic import add, maximum, multiply, square, subtract, true_divide
from symgraph.ops.casting import cast
from symgraph.ops.comparison import equal
from symgraph.ops.indexing import where
from symgraph.ops.linalg import matmul
from symgraph.ops.powers import rsqrt
from symgraph.ops.reductions import all as all_of
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.ops.shape import reshape, transpose

__all__ = ["SpectralNormalization", "Wrapper"]


class Wrapper(Layer):
    """A layer around `layer`, whose weights are among its own. One of your own overrides `call`.

    >>> import symgraph as sg
    >>> class Doubled(sg.layers.Wrapper):
    ...     def call(self, inputs):
    ...         return 2 * self.layer(inputs)
    >>> Doubled(sg.layers.Dense(4)).apply(sg.Input((3,))).shape
    (None, 4)
    """

    def __init__(self, layer: Any, **options: Any) -> None:
        super().__init__(**options)
        self.layer: Layer = layer_from(layer)
        if not isinstance(self.layer, Layer):
            raise self.error(f"needs a layer, got {layer!r}")

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of the layer inside."""
        if not self.layer.built:
            with layer_scope(self.layer.name):
                self.layer.build(input_shape)
            self.layer.built = True


class SpectralNormalization(Wrapper):
    """`layer`, whose kernel W (or embeddings) is divided by its largest singular value before each training step.

    `power_iterations` steps of `v = u Wᵀ / |u Wᵀ|`, `u = v W / |v W|` find it: `W = W / (v W uᵀ)`, W as a matrix whose
    last axis stays. The kernel keeps the new value; gradients are those with respect to it. A kernel of zeros stays.

    Weights: those of the layer, and `vector_u` (1, channels), not trainable, truncated normal of deviation 0.02.

    Errors: `LayerError` for a layer without kernel and embeddings.

    Source: Miyato et al. 2018, https://arxiv.org/abs/1802.05957

    >>> import symgraph as sg
    >>> layer = sg.layers.SpectralNormalization(sg.layers.Dense(2, use_bias=False), power_iterations=20)
    >>> _ = layer(sg.ones((1, 3)), training=True)
    >>> bool(abs(np.linalg.norm(layer.layer.kernel.numpy(), 2) - 1) < 1e-3)
    True
    """

    autocast = False

    def __init__(self, layer: Any, power_iterations: int = 1, **options: Any) -> None:
        super().__init__(layer, **options)
        if isinstance(power_iterations, bool) or not isinstance(power_iterations, int) or power_iterations < 1:
            raise self.error(f"power_iterations must be a whole number from 1 on, got {power_iterations!r}")
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of the layer, and `vector_u`."""
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", getattr(self.layer, "embeddings", None))
        if not isinstance(kernel, Variable):
            raise self.error(f"needs a layer with a kernel or embeddings, got {self.layer!r}")
        self.kernel = kernel
        self.vector_u = self.add_weight((1, kernel.shape[-1]), TruncatedNormal(stddev=0.02), kernel.dtype,
                                        trainable=False, name="vector_u")

    def call(self, inputs: Operand, training: bool = False) -> Any:
        """The outputs of the layer."""
        if training:
            self._normalize()
        y = self.layer(inputs, training=training)
        return cast(y, self.compute_dtype) if isinstance(y, Operand) and is_floating(y.dtype) else y

    def _normalize(self) -> None:
        old = stop_gradient(self.kernel.latest())
        w = reshape(old, (-1, old.shape[-1]))
        u, v = self.vector_u.latest(), None
        for _ in range(self.power_iterations):
            v = _unit(matmul(u, transpose(w)))
            u = _unit(matmul(v, w))
        sigma = matmul(matmul(v, w), transpose(u))
        is_zero = all_of(equal(old, 0))
        new = where(is_zero, old, true_divide(old, where(is_zero, 1, reshape(sigma, ()))))
        self.vector_u.assign(where(is_zero, self.vector_u.latest(), u))
        self.kernel.assign(add(self.kernel.latest(), subtract(new, old)))


def _unit(x: Operand) -> Operand:
    """A vector of length 1."""
    return multiply(x, rsqrt(maximum(reduce_sum(square(x)), 1e-12)))
