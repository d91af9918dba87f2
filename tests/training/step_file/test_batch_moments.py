"""ONNX Runtime's BatchNormalization, in training, writes over its inputs: nobody else may read them."""

import numpy as np

import symgraph as sg
from symgraph.ops.normalization import normalize_batch


def test_normalizing_a_batch_gives_the_same_each_time_with_constants_for_scale_and_offset(rng):
    x = rng.normal(3, 2, size=(6, 4)).astype(np.float32)
    step = sg.function(lambda x: normalize_batch(x, -1))
    wanted = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3)

    for _ in range(3):
        y, mean, variance = step(sg.tensor(x))
        np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(mean.numpy(), x.mean(0), rtol=1e-5)
        np.testing.assert_allclose(variance.numpy(), x.var(0), rtol=1e-4)


def test_zeros_and_ones_beside_a_normalized_batch_stay_zeros_and_ones(rng):
    x = rng.normal(3, 2, size=(6, 4)).astype(np.float32)
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    step = sg.function(lambda x: normalize_batch(x, -1)[0] * ones + zeros)

    first, second = (step(sg.tensor(x)).numpy() for _ in range(2))

    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first.mean(0), zeros, atol=1e-5)


def test_one_bad_batch_does_not_spoil_the_next(rng):
    x = rng.normal(size=(6, 4)).astype(np.float32)
    step = sg.function(lambda x: normalize_batch(x, -1)[1])
    step(sg.tensor(np.full((6, 4), np.nan, np.float32)))

    np.testing.assert_allclose(step(sg.tensor(x)).numpy(), x.mean(0), rtol=1e-4, atol=1e-6)
