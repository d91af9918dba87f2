"""Mistakes are told where the layer is made or applied, with its name, what it got and what it expected."""

import numpy as np
import pytest

from symgraph import layers
from symgraph.core.errors import LayerError, SymgraphError


def applied(layer, *shapes, **options):
    symbols = [layers.Input(shape, **options) for shape in shapes]
    return lambda: layer(symbols[0] if len(symbols) == 1 else symbols)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: layers.Dense(0, name="mine"), "units must be a whole number from 1 on, got 0"),
    (lambda: layers.Dense(2.5, name="mine"), r"units .*2\.5"),
    (lambda: layers.Dense(2, activation="rleu", name="mine"), 'no activation \'rleu\'; did you mean "relu"'),
    (lambda: layers.Conv2D(0, 3, name="mine"), "filters"),
    (lambda: layers.Conv2D(4, 0, name="mine"), "kernel_size"),
    (lambda: layers.Conv2D(4, (3, 3, 3), name="mine"), "kernel_size must be a whole number or 2 of them"),
    (lambda: layers.Conv2D(4, 3, padding="causal", name="mine"), "one of 'valid', 'same', got 'causal'"),
    (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2, name="mine"), "only one of them may be greater than 1"),
    (lambda: layers.Conv2D(4, 3, data_format="last", name="mine"), "data_format .*'channels_last', 'channels_first'"),
    (lambda: layers.Conv2D(4, 3, groups=3, name="mine"), "filters 4 must be a multiple of groups 3"),
    (lambda: layers.Conv2DTranspose(4, 3, output_padding=1, name="mine"), "output_padding .* less than strides"),
    (lambda: layers.MaxPooling2D(-1, name="mine"), "pool_size"),
    (lambda: layers.Dropout(1.5, name="mine"), "rate must be a number from 0 to 1"),
    (lambda: layers.GaussianNoise(-1.0, name="mine"), "stddev"),
    (lambda: layers.ReLU(max_value=-1.0, name="mine"), "max_value"),
    (lambda: layers.Permute((1, 3), name="mine"), "dims must be the axes from 1 to 2"),
    (lambda: layers.Reshape((-1, -1), name="mine"), "one -1"),
    (lambda: layers.UpSampling2D(interpolation="lanczos3", name="mine"), "interpolation .*lanczos3"),
    (lambda: layers.Cropping2D((1, 2, 3), name="mine"), "cropping"),
    (lambda: layers.BatchNormalization(momentum=2, name="mine"), "momentum"),
    (lambda: layers.EinsumDense("abc->ab", 3, name="mine"), "equation must be like"),
    (lambda: layers.Dot((1, 2, 3), name="mine"), "axes"),
    (lambda: layers.Masking(float("nan"), name="mine"), "NaN, which equals nothing"),
    (lambda: layers.Masking("none", name="mine"), "mask_value must be a number, or a tensor of numbers, got 'none'"),
    (lambda: layers.LSTM(2, name="mine")(sequences=None), "expects one tensor, got None"),
    (lambda: layers.Lambda(3, name="mine"), "function must be callable"),
    (applied(layers.Dense(2, name="mine"), (None,)), r"needs a known size along axis -1 .*\(None, None\)"),
    (applied(layers.Dense(2, name="mine"), ()), r"expects at least 2 dimensions, got float32\[\?\]"),
    (applied(layers.Dense(2, name="mine"), (3,), (3,)), "expects one tensor, got 2"),
    (applied(layers.Conv2D(4, 3, groups=2, name="mine"), (8, 8, 3)), "multiple of groups 2, got 3"),
    (applied(layers.Cropping1D(4, name="mine"), (8, 2)), "leaves nothing of axis 1"),
    (applied(layers.Reshape((5,), name="mine"), (2, 3)), r"fill target_shape \(5,\), got float32\[\?, 2, 3\]"),
    (applied(layers.Reshape((4, -1), name="mine"), (2, 3)), r"fill target_shape \(4, -1\)"),
    (applied(layers.GroupNormalization(3, name="mine"), (4,)), "multiple of groups 3, got 4"),
    (applied(layers.LayerNormalization(3, name="mine"), (4,)), "axis 3 is out of range"),
    (applied(layers.BatchNormalization(2, name="mine"), (4,)), "axis 2 is out of range"),
    (applied(layers.EinsumDense("ab,bc->ac", 3, name="mine"), (4, 4)), "does not fit an input of shape"),
    (applied(layers.EinsumDense("abc,cd->abd", (9, 3), name="mine"), (4, 4)), "says b is 9, but it is 4"),
    (applied(layers.Add(name="mine"), (3, 4), (3, 5)), r"shapes \(\?, 3, 4\) and \(\?, 3, 5\) do not broadcast"),
    (applied(layers.Add(name="mine"), (3, 4)), "expects a list of tensors"),
    (applied(layers.Subtract(name="mine"), (3,), (3,), (3,)), "exactly 2 tensors in its list, got 3"),
    (applied(layers.Concatenate(name="mine"), (3, 4), (2, 5)), r"\(\?, 3, 4\) and \(\?, 2, 5\) may differ"),
    (applied(layers.Concatenate(3, name="mine"), (3, 4), (2, 5)), "axis 3 is out of range"),
    (applied(layers.Dot(1, name="mine"), (3,), (4,)), r"\(\?, 3\) and \(\?, 4\) differ along axes .*3 and 4"),
    (applied(layers.Dot(0, name="mine"), (3,), (3,)), "axis 0 is no axis behind the batch"),
    (lambda: layers.Add(name="mine")([]), "at least 1 tensors in its list, got 0"),
])
def test_a_mistake_is_reported_with_the_name_of_the_layer(make, message):
    with pytest.raises(LayerError, match=f'layer "mine".*: .*{message}'):
        make()


@pytest.mark.parametrize(("layer", "fits", "differs", "message"), [
    (layers.Dense(4, name="four"), (3,), (5,), r"last dimension is 3, got float32\[\?, 5\]"),
    (layers.Conv2D(4, 3, name="four"), (8, 8, 3), (8, 8, 1), "last dimension is 3, got"),
    (layers.Conv2D(4, 3, data_format="channels_first", name="four"), (3, 8, 8), (1, 8, 8), "dimension 1 is 3, got"),
    (layers.BatchNormalization(name="four"), (3,), (2,), "last dimension is 3, got"),
    (layers.LayerNormalization(name="four"), (3,), (2,), "last dimension is 3, got"),
    (layers.PReLU(name="four"), (3, 2), (4, 2), "dimension 1 is 3, got"),
    (layers.EinsumDense("...b,bc->...c", 4, name="four"), (3,), (2,), "last dimension is 3, got"),
])
def test_a_layer_that_was_built_keeps_to_its_sizes(layer, fits, differs, message):
    layer(layers.Input(fits))

    with pytest.raises(LayerError, match=rf'layer "four".*{message}'):
        layer(layers.Input(differs))
    with pytest.raises(LayerError, match=r"test_errors\.py:"):
        layer(np.zeros((2, *differs), np.float32))


def test_a_row_outside_of_an_embedding_is_an_error():
    layer = layers.Embedding(4, 2)

    with pytest.raises(SymgraphError, match=r"(?i)bounds"):
        layer(np.int32([[0, 4]]))


def test_an_unknown_regularizer_is_refused_when_the_layer_is_made():
    with pytest.raises(LayerError, match=r"no regularizer 'l3'; there are: L1, l1"):
        layers.Dense(4, kernel_regularizer="l3")
