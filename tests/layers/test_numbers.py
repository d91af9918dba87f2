"""Layers against NumPy loops that share nothing with the ops."""

import itertools

import numpy as np
import pytest

from symgraph import layers


def close(y, expected, tolerance=1e-5):
    np.testing.assert_allclose(y.numpy(), expected, rtol=tolerance, atol=tolerance)


def windows(x, size, strides, dilation, padding, fill):
    """Every output place of (batch, height, width, channels), with its window of (batch, k, l, channels)."""
    pads = []
    for n, k, s, d in zip(x.shape[1:3], size, strides, dilation, strict=True):
        extent = (k - 1) * d + 1
        total = max((-(-n // s) - 1) * s + extent - n, 0) if padding == "same" else 0
        pads.append((total // 2, total - total // 2))
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    extents = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    counts = [(n - e) // s + 1 for n, e, s in zip(x.shape[1:3], extents, strides, strict=True)]
    for i, j in itertools.product(*map(range, counts)):
        top, left = i * strides[0], j * strides[1]
        yield (i, j), x[:, top:top + extents[0]:dilation[0], left:left + extents[1]:dilation[1]]


def gather(places):
    places = dict(places)
    height, width = (1 + max(place[axis] for place in places) for axis in (0, 1))
    return np.stack([np.stack([places[i, j] for j in range(width)], 1) for i in range(height)], 1)


def test_dense_is_a_sum_over_the_last_axis(rng):
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    layer = layers.Dense(5, activation="relu", bias_initializer="ones")

    y = layer(x)
    kernel, bias = layer.get_weights()

    expected = np.zeros((2, 3, 5))
    for b, t, unit in itertools.product(range(2), range(3), range(5)):
        total = bias[unit] + sum(float(x[b, t, k]) * float(kernel[k, unit]) for k in range(4))
        expected[b, t, unit] = max(total, 0.0)
    close(y, expected)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "strides", "dilation", "groups"), [
    ((3, 3), (1, 1), (1, 1), 1), ((2, 3), (2, 1), (1, 1), 2), ((3, 2), (1, 1), (2, 1), 1), ((5, 1), (3, 2), (1, 1), 1)])
def test_conv2d_is_a_sum_over_windows(rng, padding, size, strides, dilation, groups):
    x = rng.standard_normal((2, 7, 6, 4)).astype(np.float32)
    layer = layers.Conv2D(6, size, strides, padding, dilation_rate=dilation, groups=groups, bias_initializer="ones")

    y = layer(x)
    kernel, bias = layer.get_weights()

    def convolved(window):
        parts = zip(np.split(window, groups, -1), np.split(kernel, groups, -1), strict=True)
        return np.concatenate([np.einsum("bklc,klco->bo", w, k) for w, k in parts], -1) + bias

    close(y, gather((place, convolved(w)) for place, w in windows(x, size, strides, dilation, padding, 0.0)))


def test_causal_conv1d_sees_only_the_past(rng):
    x = rng.standard_normal((1, 6, 2)).astype(np.float32)
    layer = layers.Conv1D(1, 3, padding="causal", dilation_rate=2, use_bias=False)
    kernel = (layer(x), layer.get_weights()[0])[1]

    expected = [sum(x[0, t - 2 * (2 - k)] @ kernel[k] for k in range(3) if t - 2 * (2 - k) >= 0) for t in range(6)]
    close(layer(x), np.array(expected)[None])


@pytest.mark.parametrize(("padding", "strides"), [("valid", 1), ("valid", 3), ("same", 2)])
def test_conv1d_transpose_is_the_transposed_matrix_of_conv1d(rng, padding, strides):
    steps = 7
    transposed = layers.Conv1DTranspose(2, 3, strides, padding, use_bias=False)
    x = rng.standard_normal((1, steps, 4)).astype(np.float32)
    y = transposed(x).numpy()
    conv = layers.Conv1D(4, 3, strides, padding, use_bias=False)
    probe = np.eye(y.shape[1] * 2, dtype=np.float32).reshape(-1, y.shape[1], 2)
    conv(probe)
    conv.set_weights(transposed.get_weights())
    matrix = conv(probe).numpy().reshape(len(probe), -1)

    np.testing.assert_allclose(y.ravel(), matrix @ x.ravel(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("name", "reduce", "fill"), [
    ("MaxPooling2D", np.max, -np.inf), ("AveragePooling2D", np.nanmean, np.nan)])
def test_pooling_reduces_windows_without_the_padding(rng, padding, name, reduce, fill):
    x = rng.standard_normal((2, 7, 6, 3)).astype(np.float32)

    y = getattr(layers, name)((3, 2), strides=(2, 1), padding=padding)(x)

    close(y, gather((place, reduce(w, axis=(1, 2))) for place, w in windows(x, (3, 2), (2, 1), (1, 1), padding, fill)))


def test_batch_normalization_infers_with_moving_statistics(rng):
    x = rng.standard_normal((4, 3, 2)).astype(np.float32)
    layer = layers.BatchNormalization(epsilon=0.01)
    layer(x)
    gamma, beta, mean, variance = (rng.random(2).astype(np.float32) + 0.1 for _ in range(4))
    layer.set_weights([gamma, beta, mean, variance])

    close(layer(x), gamma * (x - mean) / np.sqrt(variance + 0.01) + beta)


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_trains_with_the_batch_and_follows_it(rng, axis):
    x = rng.standard_normal((5, 3, 4)).astype(np.float32) * 3 + 1
    layer = layers.BatchNormalization(axis, momentum=0.9, epsilon=0.01)

    y = layer(x, training=True)

    over = (0, 1) if axis == -1 else (0, 2)
    mean, variance = x.mean(over, keepdims=True), x.var(over, keepdims=True)
    close(y, (x - mean) / np.sqrt(variance + 0.01))
    close(layer.moving_mean, 0.1 * mean.ravel())
    close(layer.moving_variance, 0.9 + 0.1 * variance.ravel())


def test_embedding_takes_rows(rng):
    layer = layers.Embedding(5, 3)
    rows = np.int32([[0, 4], [2, 2]])

    y = layer(rows)

    np.testing.assert_array_equal(y.numpy(), layer.get_weights()[0][rows])
    np.testing.assert_array_equal(layer(rows.astype(np.float32)).numpy(), y.numpy())
    np.testing.assert_array_equal(layer(rows.astype(np.uint8)).numpy(), y.numpy())


def test_upsampling_repeats(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)

    np.testing.assert_array_equal(
        layers.UpSampling2D((2, 3))(x).numpy(), x.repeat(2, axis=1).repeat(3, axis=2))


def test_flatten_of_channels_first_has_the_order_of_channels_last(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)

    np.testing.assert_array_equal(
        layers.Flatten("channels_first")(np.moveaxis(x, -1, 1)).numpy(), layers.Flatten()(x).numpy())


@pytest.mark.parametrize(("shapes", "axes", "equation"), [
    (((2, 5), (2, 5)), 1, "bk,bk->b"), (((2, 5), (2, 5, 3)), 1, "bk,bkj->bj"),
    (((2, 3, 5), (2, 5)), (2, 1), "bik,bk->bi"), (((2, 3, 5), (2, 4, 5)), 2, "bik,bjk->bij"),
    (((2, 5, 3, 6), (2, 4, 5, 7)), (1, 2), "bkim,bjkn->bimjn")])
def test_dot_is_the_einsum_of_each_example(rng, shapes, axes, equation):
    x1, x2 = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)

    y = layers.dot([x1, x2], axes)

    expected = np.einsum(equation, x1, x2)
    close(y, expected if expected.ndim > 1 else expected[:, None])


@pytest.mark.parametrize(("name", "function"), [
    ("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply), ("maximum", np.maximum),
    ("minimum", np.minimum), ("average", lambda a, b: (a + b) / 2)])
def test_merge_functions_broadcast_behind_the_batch(rng, name, function):
    x1, x2 = rng.standard_normal((2, 3, 4)).astype(np.float32), rng.standard_normal((2, 4)).astype(np.float32)

    close(getattr(layers, name)([x1, x2]), function(x1, x2[:, None]))


def test_concatenate_joins_along_its_axis(rng):
    x1, x2 = rng.standard_normal((2, 3, 4)).astype(np.float32), rng.standard_normal((2, 1, 4)).astype(np.float32)

    np.testing.assert_array_equal(layers.concatenate([x1, x2], axis=1).numpy(), np.concatenate([x1, x2], 1))
