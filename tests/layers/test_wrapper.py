"""Layers around a layer: what `Wrapper` gives, and the spectral norm of a kernel."""

import json

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.errors import LayerError

KERAS_KERNEL = [0.0284414142370224, -0.02988342195749283, 0.14486990869045258, 0.023729439824819565,
                -0.12117369472980499, 0.08179637044668198]
KERAS_U = [[0.45077934861183167, -0.3007184863090515, 0.8057141304016113, 0.23914673924446106]]
"""Of the kernel below, after one step of training in Keras 3.15.1 on torch."""


def normalized(kernel, u, iterations):
    """The kernel divided by its largest singular value, as power iteration finds it, in float64."""
    w = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    for _ in range(iterations):
        v = u @ w.T / np.linalg.norm(u @ w.T)
        u = v @ w / np.linalg.norm(v @ w)
    return kernel / (v @ w @ u.T).item(), u


def test_a_training_step_divides_the_kernel_as_in_keras(rng):
    layer = layers.SpectralNormalization(layers.Conv2D(4, 3, use_bias=False), power_iterations=2)
    x = np.ones((1, 5, 5, 2), np.float32)
    layer(x)
    kernel, u = rng.standard_normal((3, 3, 2, 4)), rng.standard_normal((1, 4))
    layer.set_weights([kernel.astype(np.float32), u.astype(np.float32)])

    y = layer(x, training=True)

    expected, new_u = normalized(kernel, u, 2)
    np.testing.assert_allclose(layer.get_weights()[0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.get_weights()[1], new_u, rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[0].ravel()[:6], KERAS_KERNEL, rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[1], KERAS_U, rtol=1e-5)
    assert float(sg.sum(y)) == pytest.approx(13.05974006652832, rel=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_largest_singular_value_becomes_one_eager_and_compiled(rng, policy):
    x = rng.standard_normal((8, 5)).astype(np.float32)
    kernel = rng.standard_normal((5, 4)).astype(np.float32)
    found = []
    for compile_ in (lambda f: f, sg.function):
        layer = layers.SpectralNormalization(layers.Dense(4, use_bias=False), 30, dtype=policy)
        layer(x)
        layer.set_weights([kernel, np.ones((1, 4), np.float32)])

        def step(x, layer=layer):
            with sg.GradientTape() as tape:
                y = layer(x, training=True)
                loss = sg.sum(sg.cast(y, "float32") ** 2)
            return loss, tape.gradient(loss, layer.trainable_weights)[0]

        loss, dw = compile_(step)(sg.tensor(x))
        found.append((float(loss), dw.numpy(), layer.kernel.numpy()))
        assert np.linalg.norm(layer.kernel.numpy(), 2) == pytest.approx(1, abs=1e-4)

    for eager, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-4 if policy == "float32" else 1e-2, atol=1e-4)
    np.testing.assert_allclose(found[0][1], 2 * x.T @ (x @ found[0][2]), rtol=1e-3 if policy == "float32" else 2e-2,
                               atol=1e-3 if policy == "float32" else 0.1)


def test_without_training_and_of_zeros_the_kernel_stays(rng):
    layer = layers.SpectralNormalization(layers.Dense(3, kernel_initializer="zeros"))
    x = np.ones((1, 4), np.float32)
    layer(x)
    u = layer.vector_u.numpy()

    y = layer(x, training=True)

    assert np.isfinite(y.numpy()).all()
    np.testing.assert_array_equal(layer.kernel.numpy(), 0)
    np.testing.assert_array_equal(layer.vector_u.numpy(), u)
    layer.kernel.assign(rng.standard_normal((4, 3)))
    before = layer.kernel.numpy()
    layer(x)
    np.testing.assert_array_equal(layer.kernel.numpy(), before)


def test_weights_come_in_the_order_of_keras():
    layer = layers.SpectralNormalization(layers.Dense(3, name="inner"), name="outer")
    layer(layers.Input((4,)))

    assert [v.path for v in layer.weights] == ["outer/inner/kernel", "outer/vector_u", "outer/inner/bias"]
    assert [v.path for v in layer.trainable_weights] == ["outer/inner/kernel", "outer/inner/bias"]


def test_a_wrapper_of_ones_own_has_the_weights_and_the_configuration_of_the_layer_inside():
    class Doubled(layers.Wrapper):
        def call(self, inputs):
            return 2 * self.layer(inputs)

    layer = Doubled(layers.Dense(3, use_bias=False))
    x = np.ones((1, 4), np.float32)
    y = layer(x)
    twin = Doubled.from_config(json.loads(json.dumps(layer.get_config())))
    twin(x)
    twin.set_weights(layer.get_weights())

    assert len(layer.weights) == 1
    np.testing.assert_allclose(y.numpy(), 2 * x @ layer.layer.kernel.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(twin(x).numpy(), y.numpy())


@pytest.mark.parametrize(("call", "message"), [
    (lambda: layers.Wrapper(3), "needs a layer, got 3"),
    (lambda: layers.SpectralNormalization(layers.Dense(2), 0), "power_iterations must be a whole number from 1 on"),
    (lambda: layers.SpectralNormalization(layers.ReLU())(layers.Input((3,))), "needs a layer with a kernel"),
])
def test_mistakes_are_told(call, message):
    with pytest.raises(LayerError, match=message):
        call()
