"""What holds of every layer: one row each, symbols = values, any batch, any dtype, and back from its configuration."""

import json

import numpy as np
import pytest

from symgraph import layers
from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import LayerError
from symgraph.layers.layer import Layer
from symgraph.ops.casting import cast
from symgraph.training.model import Model

SPATIAL = {1: (9,), 2: (9, 8), 3: (6, 5, 7)}
RANKS = {"1D": 1, "2D": 2, "3D": 3}


def spatial(name, channels=4, last=True):
    """The shape of an example for `name`, which says its rank."""
    space = SPATIAL[next(rank for suffix, rank in RANKS.items() if suffix in name)]
    return (*space, channels) if last else (channels, *space)


def row(name, shape, *more, dtype="float32", **arguments):
    """A layer, its arguments, and the shapes of its inputs without the batch."""
    label = "-".join([name, *(f"{k}={v}" for k, v in arguments.items())]).replace(" ", "")
    return pytest.param(name, arguments, (shape, *more), dtype, id=label)


WINDOWED = [
    ("Conv1D", dict(filters=6, kernel_size=3)),
    ("Conv1D", dict(filters=6, kernel_size=3, padding="causal", dilation_rate=2)),
    ("Conv1D", dict(filters=6, kernel_size=2, strides=2, padding="same", groups=2, activation="relu")),
    ("Conv2D", dict(filters=6, kernel_size=3, padding="same", activation="tanh")),
    ("Conv2D", dict(filters=6, kernel_size=(2, 3), strides=(2, 1), groups=2, use_bias=False)),
    ("Conv2D", dict(filters=3, kernel_size=3, strides=2, padding="same")),
    ("Conv3D", dict(filters=3, kernel_size=(2, 1, 3), padding="same")),
    ("Conv1DTranspose", dict(filters=3, kernel_size=3, strides=2, padding="same")),
    ("Conv2DTranspose", dict(filters=3, kernel_size=(2, 3), strides=(2, 1), activation="relu")),
    ("Conv2DTranspose", dict(filters=3, kernel_size=3, strides=3, padding="same", output_padding=1)),
    ("Conv3DTranspose", dict(filters=2, kernel_size=2, strides=2)),
    ("DepthwiseConv1D", dict(kernel_size=3, depth_multiplier=2)),
    ("DepthwiseConv2D", dict(kernel_size=3, padding="same", dilation_rate=2)),
    ("SeparableConv1D", dict(filters=5, kernel_size=3, padding="same")),
    ("SeparableConv2D", dict(filters=5, kernel_size=3, depth_multiplier=2, strides=2)),
    ("MaxPooling1D", dict()), ("MaxPooling1D", dict(pool_size=3, strides=1, padding="same")),
    ("MaxPooling2D", dict()), ("MaxPooling2D", dict(pool_size=(2, 3), strides=2, padding="same")),
    ("MaxPooling3D", dict(pool_size=2, strides=1)),
    ("AveragePooling1D", dict(pool_size=2, padding="same")), ("AveragePooling2D", dict(pool_size=3, padding="same")),
    ("AveragePooling2D", dict(pool_size=(2, 3), strides=1)), ("AveragePooling3D", dict()),
    *((f"Global{kind}Pooling{rank}D", dict(keepdims=rank == 2))
      for kind in ("Max", "Average") for rank in (1, 2, 3)),
    *((f"Adaptive{kind}Pooling{rank}D", dict(output_size=4)) for kind in ("Max", "Average") for rank in (1, 2, 3)),
    ("Cropping2D", dict(cropping=((1, 0), (2, 3)))), ("Cropping3D", dict(cropping=(1, 2, 1))),
    ("ZeroPadding1D", dict(padding=(1, 2))), ("ZeroPadding2D", dict(padding=((1, 0), (2, 3)))),
    ("ZeroPadding2D", dict(padding=2)), ("ZeroPadding3D", dict(padding=(1, 0, 2))),
    ("UpSampling2D", dict(size=(2, 3))), ("UpSampling2D", dict(interpolation="bilinear")),
    ("UpSampling2D", dict(interpolation="bicubic")), ("UpSampling3D", dict(size=2)),
    ("SpatialDropout2D", dict(rate=0.5)), ("SpatialDropout3D", dict(rate=0.5)),
]
"""Layers over space that take `data_format`."""

GRU_CELL = {"class_name": "GRUCell", "config": {"units": 4}}
LSTM_CELL = {"class_name": "LSTMCell", "config": {"units": 3}}

ROWS = [
    row("Dense", (5,), units=4), row("Dense", (3, 5), units=4, activation="relu", use_bias=False),
    row("EinsumDense", (3, 5), equation="abc,cd->abd", output_shape=(None, 6), bias_axes="d"),
    row("EinsumDense", (2, 3, 5), equation="...c,cd->...d", output_shape=6, activation="softmax"),
    row("Embedding", (7,), dtype="int32", input_dim=11, output_dim=3),
    row("Activation", (3, 4), activation="gelu"), row("Identity", (3, 4)), row("Masking", (3, 4), mask_value=0.5),
    row("ReLU", (3, 4)), row("ReLU", (3, 4), max_value=1.0, negative_slope=0.1, threshold=0.2),
    row("LeakyReLU", (3, 4)), row("PReLU", (3, 4), alpha_initializer="ones", shared_axes=[1]),
    row("ELU", (4,), alpha=0.5), row("Softmax", (3, 4)), row("Softmax", (3, 4), axis=[1, 2]),
    row("ThresholdedReLU", (4,), theta=0.3),
    row("BatchNormalization", (3, 4)), row("BatchNormalization", (4, 3, 2), axis=1, center=False),
    row("BatchNormalization", (4,), scale=False),
    row("LayerNormalization", (3, 4)), row("LayerNormalization", (3, 4, 2), axis=[2, 1], scale=False),
    row("LayerNormalization", (3, 4, 2), axis=1), row("LayerNormalization", (3, 4), axis=1, rms_scaling=True),
    row("GroupNormalization", (3, 5, 4), groups=2), row("GroupNormalization", (4, 3), groups=-1, axis=1),
    row("RMSNormalization", (3, 4)), row("RMSNormalization", (3, 4), axis=1), row("UnitNormalization", (3, 4)),
    row("UnitNormalization", (3, 4), axis=[1, 2]),
    row("Dropout", (3, 4), rate=0.5), row("AlphaDropout", (3, 4), rate=0.5), row("GaussianDropout", (3, 4), rate=0.5),
    row("GaussianNoise", (3, 4), stddev=0.5), row("SpatialDropout1D", (3, 4), rate=0.5),
    row("Flatten", (3, 4, 2)), row("Flatten", (3, 4, 2), data_format="channels_first"), row("Flatten", ()),
    row("Reshape", (3, 4), target_shape=(2, 6)), row("Reshape", (3, 4), target_shape=(2, -1)),
    row("Permute", (3, 4, 2), dims=(3, 1, 2)), row("RepeatVector", (4,), n=3),
    row("Cropping1D", (9, 4), cropping=(1, 2)), row("UpSampling1D", (9, 4), size=3),
    *(row(name, (3, 4), (3, 4), (3, 1)) for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")),
    row("Add", (3, 4), (4,)), row("Add", (3, 4)), row("Subtract", (3, 4), (1, 4)),
    row("Concatenate", (3, 4), (3, 2)), row("Concatenate", (3, 4), (1, 4), axis=1), row("Dot", (5,), (5,), axes=1),
    row("Dot", (3, 5), (4, 5), axes=2, normalize=True), row("Dot", (5, 3), (4, 5), axes=(1, -1)),
    *(row(name, spatial(name), **arguments) for name, arguments in WINDOWED),
    row("SimpleRNN", (5, 3), units=4), row("SimpleRNN", (5, 3), units=4, activation="relu", return_sequences=True),
    row("GRU", (5, 3), units=4, return_sequences=True),
    row("GRU", (5, 3), units=4, reset_after=False, go_backwards=True),
    row("LSTM", (5, 3), units=4, return_sequences=True, go_backwards=True),
    row("LSTM", (5, 3), units=4, use_bias=False),
    row("LSTM", (5, 3), units=4, recurrent_activation="hard_sigmoid", dropout=0.3, recurrent_dropout=0.3),
    row("RNN", (5, 3), cell={"class_name": "StackedRNNCells", "config": {"cells": [GRU_CELL, LSTM_CELL]}}),
    row("Bidirectional", (5, 3), layer={"class_name": "LSTM", "config": {"units": 4, "return_sequences": True}}),
    row("Bidirectional", (5, 3), layer={"class_name": "GRU", "config": {"units": 4}}, merge_mode="ave"),
    row("TimeDistributed", (5, 3), layer={"class_name": "Dense", "config": {"units": 4}}),
    row("Attention", (5, 4), (7, 4)), row("Attention", (5, 4), (7, 3), (7, 4), use_scale=True, score_mode="concat"),
    row("AdditiveAttention", (5, 4), (7, 4)), row("AdditiveAttention", (2, 5, 4), (2, 7, 4), use_scale=False),
    row("MultiHeadAttention", (5, 4), (7, 4), num_heads=2, key_dim=3),
    row("MultiHeadAttention", (5, 4), (7, 3), (7, 6), num_heads=2, key_dim=3, value_dim=5, output_shape=(2, 3)),
    row("MultiHeadAttention", (2, 5, 4), (2, 7, 4), num_heads=2, key_dim=3, attention_axes=[2], use_bias=False),
    row("MultiHeadAttention", (2, 5, 4), (3, 7, 4), num_heads=2, key_dim=3, use_gate=True),
    row("MultiHeadAttention", (5, 4), (5, 4), num_heads=2, key_dim=3, sliding_window=2),
    row("GroupQueryAttention", (5, 4), (7, 4), head_dim=3, num_query_heads=4, num_key_value_heads=2),
    row("GroupQueryAttention", (5, 4), (7, 3), head_dim=3, num_query_heads=2, num_key_value_heads=1, use_gate=True),
    row("ActivityRegularization", (3, 4), l1=0.1, l2=0.2),
    row("ReversibleEmbedding", (7,), dtype="int32", input_dim=11, output_dim=3, tie_weights=False),
    row("SpectralNormalization", (3, 5), layer={"class_name": "Dense", "config": {"units": 4}}, power_iterations=2),
    row("SpectralNormalization", (9, 2), layer={"class_name": "Conv1D", "config": {"filters": 3, "kernel_size": 2}}),
]

TAKE_SEVERAL = ("MultiHeadAttention", "GroupQueryAttention")
"""Layers of several arguments; others of several inputs take a list."""

TAKE_A_LIST = (layers.merging.MergeLayer, layers.Attention)

every_layer = pytest.mark.parametrize(("name", "arguments", "shapes", "dtype"), ROWS)


def make(kind, arguments, **options):
    return getattr(layers, kind)(**arguments, **options)


def draw(rng, shapes, dtype, batch=3):
    """Arrays of a batch: one, or a list for layers of several inputs."""
    if dtype == "int32":
        return [rng.integers(0, 11, (batch, *shape)).astype(np.int32) for shape in shapes]
    return [rng.standard_normal((batch, *shape)).astype(dtype) for shape in shapes]


def given(name, xs):
    return xs if name in TAKE_SEVERAL or issubclass(getattr(layers, name), TAKE_A_LIST) else xs[0]


def apply(layer, x, **options):
    return layer(*x, **options) if type(layer).__name__ in TAKE_SEVERAL else layer(x, **options)


def randomize(rng, layer):
    """Weights away from zeros and ones; variances stay positive."""
    layer.set_weights([np.abs(rng.standard_normal(w.shape)).astype(w.dtype) + 0.1 for w in layer.get_weights()])


def model_of(layer, name, shapes, dtype, **options):
    symbols = [layers.Input(shape, dtype=dtype) for shape in shapes]
    return Model(given(name, symbols), apply(layer, given(name, symbols), **options))


@every_layer
def test_symbols_compute_what_values_do(rng, name, arguments, shapes, dtype):
    layer = make(name, arguments)
    model = model_of(layer, name, shapes, dtype)
    randomize(rng, layer)
    x = given(name, draw(rng, shapes, dtype))

    eager = apply(layer, x).numpy()

    assert all(d in (None, size) for d, size in zip(model.output.shape, eager.shape, strict=True))
    assert None not in model.output.shape[1:]
    np.testing.assert_allclose(model.predict(x), eager, rtol=1e-5, atol=1e-6)


@every_layer
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_any_batch_runs(rng, name, arguments, shapes, dtype, batch):
    layer = make(name, arguments)
    model = model_of(layer, name, shapes, dtype)
    x = given(name, draw(rng, shapes, dtype, batch))

    expected = (batch, *model.output.shape[1:])
    assert model.predict_on_batch(x).shape == expected
    assert apply(layer, x).shape == expected


@every_layer
def test_the_configuration_makes_an_equal_layer(rng, name, arguments, shapes, dtype):
    layer = make(name, arguments)
    x = given(name, draw(rng, shapes, dtype))
    apply(layer, x)
    randomize(rng, layer)

    config = layer.get_config()
    twin = type(layer).from_config(json.loads(json.dumps(config)))
    apply(twin, x)
    twin.set_weights(layer.get_weights())

    np.testing.assert_array_equal(apply(twin, x).numpy(), apply(layer, x).numpy())
    assert json.dumps(twin.get_config()) == json.dumps(config)


@every_layer
@pytest.mark.filterwarnings("ignore::symgraph.runtime.eager.KernelFallbackWarning")  # float64: the reference runs
@pytest.mark.parametrize("precision", ["float16", "float64"])
def test_other_precisions_agree(rng, name, arguments, shapes, dtype, precision):
    layer, twin = make(name, arguments), make(name, arguments, dtype=precision)
    x = given(name, draw(rng, shapes, dtype))
    apply(layer, x)
    apply(twin, x)
    randomize(rng, layer)
    twin.set_weights(layer.get_weights())

    y = apply(twin, x)

    assert y.dtype == precision
    tolerance = 3e-2 if precision == "float16" else 2e-5
    np.testing.assert_allclose(y.numpy(), apply(layer, x).numpy(), rtol=tolerance, atol=tolerance)


@every_layer
@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_float16", 3e-2), ("mixed_bfloat16", 2e-1)])
def test_mixed_precision_computes_in_half_and_keeps_float32(rng, name, arguments, shapes, dtype, policy, tolerance):
    layer, mixed = make(name, arguments), make(name, arguments, dtype=policy)
    model = model_of(mixed, name, shapes, dtype)
    x = given(name, draw(rng, shapes, dtype))
    with GradientTape(persistent=True) as tape:
        apply(layer, x)
        randomize(rng, layer)
        mixed.set_weights(layer.get_weights())
        expected, y = apply(layer, x), apply(mixed, x)
        wide = [cast(expected, "float32"), cast(y, "float32")]

    assert y.dtype == mixed.compute_dtype == policy.removeprefix("mixed_")
    assert {v.dtype for v in mixed.weights} <= {"float32"} and mixed.dtype == "float32"
    close([y], [expected], tolerance)
    close([model.predict(x)], [y], tolerance)
    full, half = (tape.gradient(total, made.trainable_weights, unconnected_gradients="zero")
                    for total, made in zip(wide, (layer, mixed), strict=True))
    assert {dx.dtype for dx in full + half} <= {"float32"}
    close(half, full, 2 * tolerance)


def close(actual, desired, tolerance):
    """Near, measured by the largest number of all."""
    actual, desired = (np.concatenate([np.ravel(np.asarray(a, np.float32)) for a in each] or [[]])
                       for each in (actual, desired))
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance * max(1, np.abs(desired).max(initial=0)))


@every_layer
def test_the_output_shape_is_known_before_the_layer_is_applied(rng, name, arguments, shapes, dtype):
    layer = make(name, arguments)
    batched = [(None, *shape) for shape in shapes]

    shape = (layer.compute_output_shape(*batched) if name in TAKE_SEVERAL
             else layer.compute_output_shape(batched if given(name, shapes) is shapes else batched[0]))

    assert shape == model_of(layer, name, shapes, dtype).output.shape


@pytest.mark.parametrize(("name", "arguments"), [
    pytest.param(name, arguments, id="-".join([name, *map(str, arguments.values())]).replace(" ", ""))
    for name, arguments in WINDOWED])
class TestOverSpace:
    def test_open_sizes_compute_what_known_ones_do(self, rng, name, arguments):
        layer = make(name, arguments)
        x = rng.standard_normal((2, *spatial(name))).astype(np.float32)
        symbol = layers.Input((*(None,) * (x.ndim - 2), x.shape[-1]))
        model = Model(symbol, layer(symbol))
        randomize(rng, layer)

        np.testing.assert_allclose(model.predict(x), layer(x).numpy(), rtol=1e-5, atol=1e-5)

    def test_channels_first_is_channels_last_transposed(self, rng, name, arguments):
        last, first = make(name, arguments), make(name, arguments, data_format="channels_first")
        x = rng.standard_normal((2, *spatial(name))).astype(np.float32)
        turned = np.moveaxis(x, -1, 1)
        last(x)
        first(turned)
        randomize(rng, last)
        first.set_weights(last.get_weights())

        y, y_first = last(x).numpy(), first(turned).numpy()

        np.testing.assert_allclose(y_first, np.moveaxis(y, -1, 1), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("shape", [(4,), (3, 3, 3, 3, 4)])
    def test_a_wrong_rank_is_reported_with_the_name_of_the_layer(self, name, arguments, shape):
        layer = make(name, arguments, name="mine")
        rank = layer.ndim

        with pytest.raises(LayerError, match=rf'layer "mine" \({name}\): expects {rank} dimensions, got float32'):
            layer(layers.Input(shape))


CELLS = {"GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}
"""They take states besides inputs: `recurrent/test_behaviour.py`."""


def test_every_layer_has_a_row():
    classes = {cls.__name__ for cls in map(layers.__dict__.get, layers.__all__)
               if isinstance(cls, type) and issubclass(cls, Layer)}

    assert classes - {r.values[0] for r in ROWS} == {"Layer", "InputLayer", "Lambda", "Wrapper", *CELLS}
