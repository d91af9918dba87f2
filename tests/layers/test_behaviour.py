"""What single layers promise besides their formula."""

import numpy as np
import pytest

from symgraph import layers
from symgraph.core.errors import LayerError
from symgraph.core.scope import tracing
from symgraph.core.tensor import SymbolicTensor
from symgraph.layers import activations
from symgraph.ops import random_numbers as random
from symgraph.training.model import Model

NOISE = [layers.Dropout, layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise, layers.SpatialDropout1D]


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize("cls", NOISE)
def test_noise_is_for_training_only(cls):
    layer = cls(0.5, seed=3)
    x = ones(4, 5, 6)

    np.testing.assert_array_equal(layer(x).numpy(), x)
    assert not np.array_equal(layer(x, training=True).numpy(), x)


@pytest.mark.parametrize("cls", NOISE)
def test_noise_differs_from_call_to_call_and_repeats_with_its_seed(cls):
    x = ones(4, 5, 6)
    first, again = cls(0.5, seed=3), cls(0.5, seed=3)

    a, b = first(x, training=True).numpy(), first(x, training=True).numpy()

    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(again(x, training=True).numpy(), a)


@pytest.mark.parametrize("cls", NOISE)
def test_noise_keeps_the_mean(cls):
    random.set_seed(1)
    x = np.random.default_rng(0).standard_normal((200, 20, 30)).astype(np.float32)

    y = cls(0.3)(x, training=True).numpy()

    assert abs(y.mean() - x.mean()) < 0.02
    if cls is layers.AlphaDropout:
        assert abs(y.std() - x.std()) < 0.02


def test_noise_on_symbols_is_idle_unless_training():
    x = layers.Input((4,))

    idle, active = layers.Dropout(0.5)(x), layers.Dropout(0.5)(x, training=True)

    assert idle.node.op.name == "Identity"
    assert active.shape == (None, 4) and active.node.op.name != "Identity"


def test_dropout_drops_together_along_axes_of_noise_shape_one():
    y = layers.Dropout(0.5, noise_shape=(None, 1, None), seed=1)(ones(8, 9, 10), training=True).numpy()

    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))


@pytest.mark.parametrize(("data_format", "axes"), [("channels_last", (1, 2)), ("channels_first", (2, 3))])
def test_spatial_dropout_drops_whole_channels(data_format, axes):
    y = layers.SpatialDropout2D(0.5, data_format, seed=1)(ones(6, 7, 7, 7), training=True).numpy()

    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y.min(axes), y.max(axes))


def test_batch_normalization_updates_nothing_while_a_model_is_made():
    layer = layers.BatchNormalization()

    layer(layers.Input((3,)), training=True)

    np.testing.assert_array_equal(layer.moving_mean.numpy(), np.zeros(3))


def test_batch_normalization_records_its_updates_in_a_trace():
    layer = layers.BatchNormalization()
    layer(ones(2, 3))

    with tracing() as trace:
        layer(layers.Input((3,)), training=True)
        first = trace.updates[layer.moving_mean]
        layer(layers.Input((3,)), training=True)

    assert set(trace.updates) == {layer.moving_mean, layer.moving_variance}
    assert all(isinstance(x, SymbolicTensor) for x in trace.updates.values())
    assert trace.updates[layer.moving_mean] is not first
    np.testing.assert_array_equal(layer.moving_mean.numpy(), np.zeros(3))


def test_a_frozen_batch_normalization_infers_even_while_training(rng):
    layer = layers.BatchNormalization(trainable=False)
    x = rng.standard_normal((8, 3)).astype(np.float32)

    y = layer(x, training=True).numpy()

    np.testing.assert_allclose(y, x / np.sqrt(1.001), rtol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), np.zeros(3))
    assert layer.trainable_weights == []


def test_half_precision_normalizes_numbers_whose_squares_overflow():
    x = np.float16([[600.0, 800.0, 1000.0, 1200.0]])

    for layer in (layers.BatchNormalization(dtype="float16"), layers.LayerNormalization(dtype="float16"),
                  layers.GroupNormalization(2, dtype="float16"), layers.RMSNormalization(dtype="float16")):
        assert np.isfinite(layer(x, training=True).numpy()).all()


def test_flatten_is_one_reshape_when_only_the_batch_is_open():
    flat = layers.Flatten()(layers.Input((2, 4)))

    assert flat.shape == (None, 8)
    assert flat.node.op.name == "Reshape" and flat.node.inputs[1].numpy().tolist() == [-1, 8]


def test_flatten_of_open_sizes_follows_them(rng):
    x = layers.Input((None, 4, None))
    model = Model(x, layers.Flatten()(x))

    assert model.output.shape == (None, None)
    assert model.predict(ones(2, 3, 4, 5)).shape == (2, 60)
    assert model.predict_on_batch(ones(0, 3, 4, 5)).shape == (0, 60)


def test_reshape_of_open_sizes_takes_what_is_left():
    x = layers.Input((None, 4))
    model = Model(x, layers.Reshape((2, -1))(x))

    assert model.predict(ones(3, 6, 4)).shape == (3, 2, 12)


def test_a_named_dimension_goes_through_layers():
    x = layers.Input(("time", 3), batch_size="N")

    assert layers.Dense(4)(x).shape == ("N", "time", 4)
    assert layers.BatchNormalization()(x).shape == ("N", "time", 3)
    assert layers.Add()([x, x]).shape == ("N", "time", 3)


def test_lambda_applies_any_function_with_its_arguments():
    layer = layers.Lambda(lambda x, power: x ** power, arguments={"power": 3})

    assert layer(np.float32([2.0])).tolist() == [8.0]
    assert type(layer).from_config(layer.get_config())(np.float32([2.0])).tolist() == [8.0]


def test_lambda_and_identity_take_several_tensors():
    assert layers.Lambda(lambda xs: xs[0] + xs[1])([ones(2), ones(2)]).tolist() == [2.0, 2.0]
    a, b = layers.Identity()([ones(2), ones(3)])
    assert (a.shape, b.shape) == ((2,), (3,))


def test_embedding_starts_from_given_weights():
    table = np.arange(6, dtype=np.float32).reshape(3, 2)

    layer = layers.Embedding(3, 2, weights=[table])

    np.testing.assert_array_equal(layer(np.int32([2, 0])).numpy(), table[[2, 0]])
    assert "weights" not in layer.get_config()


def test_an_activation_may_be_a_name_a_function_a_layer_or_a_config():
    x = np.float32([[-1.0, 2.0]])
    keras = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
    layer = {"module": "keras.layers", "class_name": "LeakyReLU", "config": {"negative_slope": 0.5}}

    for activation in ("relu", activations.relu, layers.ReLU(), keras):
        assert layers.Activation(activation)(x).tolist() == [[0.0, 2.0]]
    assert layers.Activation(layer)(x).tolist() == [[-0.5, 2.0]]
    assert layers.Activation(None)(x).tolist() == x.tolist()


@pytest.mark.parametrize("name", [n for n in activations.__all__ if n not in ("get", "serialize", "deserialize")])
def test_every_activation_is_found_by_its_name(name):
    function = activations.get(name)

    assert function is getattr(activations, name)
    assert activations.get(activations.serialize(function)) is function


def test_activations_have_keras_defaults():
    x = np.float32([1.0])

    np.testing.assert_allclose(activations.gelu(x).numpy(), [0.8413447], rtol=1e-6)
    np.testing.assert_allclose(activations.leaky_relu(-x).numpy(), [-0.2], rtol=1e-6)
    np.testing.assert_allclose(activations.relu(x * 9, max_value=6.0).numpy(), [6.0])


def test_a_function_of_ones_own_has_no_name_to_be_found_by():
    with pytest.raises(LayerError, match=r"not one of sg\.activations"):
        activations.serialize(lambda x: x)


def test_aliases_are_the_same_classes():
    assert layers.MaxPool2D is layers.MaxPooling2D and layers.Convolution2D is layers.Conv2D
    assert layers.GlobalAvgPool1D is layers.GlobalAveragePooling1D


def test_build_takes_the_shapes_of_the_arguments_it_names():
    class Mix(layers.Layer):
        def build(self, left_shape, right_shape, extra_shape=None):
            self.seen = left_shape, right_shape, extra_shape

        def call(self, left, right, extra=None):
            return left + right

    layer, other = Mix(), Mix()
    layer(ones(2, 3), right=ones(3))
    other(layers.Input((3,)), layers.Input((1,)), layers.Input((4,)))

    assert layer.seen == ((2, 3), (3,), None)
    assert other.seen == ((None, 3), (None, 1), (None, 4))
