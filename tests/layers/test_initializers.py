"""Initializers: values, variances, configurations and seeds."""

import math

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.scope import Trace, tracing

initializers = sg.initializers
RANDOM = ["glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "orthogonal",
          "random_normal", "random_uniform", "truncated_normal", "variance_scaling"]
EVERY = [*RANDOM, "constant", "identity", "ones", "zeros"]

VALUES = {
    "zeros": (initializers.Zeros(), np.zeros((2, 3))),
    "ones": (initializers.Ones(), np.ones((2, 3))),
    "constant": (initializers.Constant(2.5), np.full((2, 3), 2.5)),
    "constant array": (initializers.Constant([1.0, 2.0, 3.0]), np.broadcast_to([1.0, 2.0, 3.0], (2, 3))),
    "identity": (initializers.Identity(2.0), 2 * np.eye(2, 3)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
@pytest.mark.parametrize("case", VALUES)
def test_values_that_are_not_random(case, dtype):
    initializer, expected = VALUES[case]

    x = initializer((2, 3), dtype)

    assert isinstance(x, sg.Tensor) and x.dtype == dtype
    np.testing.assert_array_equal(x, expected.astype(dtype))


@pytest.mark.parametrize("name", EVERY)
def test_float32_unless_asked(name):
    assert initializers.get(name)((4, 4)).dtype == "float32"


FANS = {(): (1, 1), (7,): (7, 7), (3, 5): (3, 5), (4, 3, 5): (12, 20), (2, 3, 6, 8): (36, 48)}


@pytest.mark.parametrize("shape", FANS)
def test_fans_of_dense_and_convolution_kernels(shape):
    assert initializers.compute_fans(shape) == FANS[shape]


SCALES = {  # what Keras documents: the standard deviation for a (3, 3, 64, 32) kernel
    "glorot_normal": math.sqrt(2 / (576 + 288)), "glorot_uniform": math.sqrt(2 / (576 + 288)),
    "he_normal": math.sqrt(2 / 576), "he_uniform": math.sqrt(2 / 576),
    "lecun_normal": math.sqrt(1 / 576), "lecun_uniform": math.sqrt(1 / 576),
    "variance_scaling": math.sqrt(1 / 576), "random_normal": 0.05, "random_uniform": 0.1 / math.sqrt(12),
    "truncated_normal": 0.05 * 0.87962566103423978,
}


@pytest.mark.parametrize("name", SCALES)
def test_the_standard_deviation_is_what_the_name_says(name):
    x = initializers.get({"class_name": name, "config": {"seed": 1}})((3, 3, 64, 32)).numpy()

    assert abs(x.mean()) < 0.02 * SCALES[name]
    assert x.std() == pytest.approx(SCALES[name], rel=0.02)


@pytest.mark.parametrize(("name", "limit"), [
    ("glorot_uniform", math.sqrt(6 / (576 + 288))), ("he_uniform", math.sqrt(6 / 576)),
    ("lecun_normal", 2 * math.sqrt(1 / 576) / 0.87962566103423978)])
def test_numbers_stay_within_their_limits(name, limit):
    x = initializers.get(name)((3, 3, 64, 32)).numpy()

    assert 0.98 * limit < np.abs(x).max() <= limit


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (2, 3, 4, 5), (3, 2, 50)])
def test_orthogonal_rows_or_columns(shape):
    x = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64").numpy().reshape(-1, shape[-1])
    product = x.T @ x if x.shape[0] >= x.shape[1] else x @ x.T

    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_a_configuration_makes_an_equal_initializer(name):
    initializer = initializers.get(name)
    config = initializers.serialize(initializer)

    back = initializers.get(config)

    assert type(back) is type(initializer) and initializers.serialize(back) == config


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_fixes_the_values(name):
    make = type(initializers.get(name))

    a, b, c = make(seed=1), make(seed=1), make(seed=2)

    np.testing.assert_array_equal(a((4, 4)), b((4, 4)))
    np.testing.assert_array_equal(a((4, 4)), a((4, 4)))
    assert not np.array_equal(a((4, 4)), c((4, 4)))


@pytest.mark.parametrize("name", RANDOM)
def test_without_a_seed_set_seed_fixes_the_values(name):
    sg.random.set_seed(5)
    a, b = initializers.get(name)((4, 4)).numpy(), initializers.get(name)((4, 4)).numpy()
    sg.random.set_seed(5)

    np.testing.assert_array_equal(initializers.get(name)((4, 4)), a)
    assert not np.array_equal(a, b)


def test_a_seed_generator_gives_new_values_at_each_call():
    initializer = initializers.RandomNormal(seed=sg.random.SeedGenerator(1))

    assert not np.array_equal(initializer((4,)), initializer((4,)))
    back = initializers.get(initializers.serialize(initializer))
    assert isinstance(back.seed, sg.random.SeedGenerator) and back.seed.seed == 1


@pytest.mark.parametrize("name", EVERY)
def test_weights_have_values_even_while_a_function_is_traced(name):
    with tracing(Trace()):
        x = initializers.get(name)((4, 4))

    assert isinstance(x, sg.Tensor)


def test_get_takes_names_classes_configurations_and_functions():
    def mine(shape, dtype=None):
        return np.full(shape, 3.0)

    assert initializers.get(None) is None
    assert initializers.get(mine) is mine
    assert isinstance(initializers.get("HeNormal"), initializers.HeNormal)
    assert isinstance(initializers.get(initializers.HeNormal), initializers.HeNormal)
    assert initializers.get({"class_name": "Constant", "config": {"value": 3}})((1,)).tolist() == [3.0]
    assert initializers.get({"class_name": "Zeros", "module": "keras.initializers", "registered_name": None})


BAD = {
    "name": (lambda: initializers.get("he_norml"), 'did you mean "he_normal"'),
    "config": (lambda: initializers.get({"class_name": "Ones", "config": {"gain": 1}}), "Ones.*gain"),
    "no class": (lambda: initializers.get({"config": {}}), "class_name"),
    "object": (lambda: initializers.get(3.5), "3.5"),
    "mode": (lambda: initializers.VarianceScaling(mode="fan_on"), "fan_in"),
    "distribution": (lambda: initializers.VarianceScaling(distribution="unifrom"), 'did you mean "uniform"'),
    "scale": (lambda: initializers.VarianceScaling(scale=0.0), "positive"),
    "identity": (lambda: initializers.Identity()((2, 3, 4)), r"\(2, 3, 4\)"),
    "orthogonal": (lambda: initializers.Orthogonal()((2,)), r"\(2,\)"),
    "open shape": (lambda: initializers.Ones()((None, 2)), "known shape"),
    "constant shape": (lambda: initializers.Constant([1.0, 2.0])((3,)), r"\(2,\).*\(3,\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_initializer_is_told_with_what_there_is(case):
    call, message = BAD[case]

    with pytest.raises(sg.SymgraphError, match=message):
        call()


@pytest.mark.parametrize("name", ["VarianceScaling", "GlorotUniform", "HeNormal", "LecunUniform"])
def test_fans_may_be_said_by_axes(name):
    make = getattr(initializers, name)
    plain = make(seed=1, input_axes=None, output_axes=None)
    assert "input_axes" not in plain.get_config()
    by_axes = make(seed=1, input_axes=[0], output_axes=[1, 2])
    assert type(by_axes).from_config(by_axes.get_config()).get_config() == by_axes.get_config()
    assert by_axes.get_config()["output_axes"] == [1, 2]
    flat = plain((64, 12)).numpy().reshape(64, 3, 4)
    np.testing.assert_array_equal(by_axes((64, 3, 4)).numpy(), flat)
