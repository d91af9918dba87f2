"""Embeddings that lead back."""

import numpy as np
import pytest

from symgraph import layers
from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import LayerError
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.training.model import Model

KERAS = [-1.259661078453064, 1.8868564367294312, 0.7748266458511353, -0.21034085750579834, -1.3861563205718994,
         0.7659805417060852, 0.5759071707725525, -1.2247934341430664, 0.8967661261558533, 1.2747459411621094]
"""The scores below in Keras 3.15.1."""


def filled(layer, rng):
    layer(np.array([[0]]))
    layer.set_weights([rng.standard_normal(w.shape).astype(np.float32) for w in layer.get_weights()])
    return layer


def test_scores_are_those_of_keras(rng):
    rng.standard_normal(72 + 4)  # what the recording drew before
    layer = filled(layers.ReversibleEmbedding(5, 3, logit_soft_cap=2.0), rng)

    scores = layer(rng.standard_normal((1, 2, 3)).astype(np.float32), reverse=True)

    np.testing.assert_allclose(scores.numpy().ravel(), KERAS, rtol=1e-5)


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_way_back_is_a_product_with_its_matrix(rng, is_tied):
    layer = filled(layers.ReversibleEmbedding(5, 3, tie_weights=is_tied), rng)
    x = layers.Input((4,), dtype="int32")
    model = Model(x, layer(layer(x), reverse=True))
    numbers = rng.integers(0, 5, (2, 4)).astype(np.int32)

    table = layer.get_weights()[0]
    matrix = table.T if is_tied else layer.get_weights()[1]

    np.testing.assert_allclose(model.predict(numbers), table[numbers] @ matrix, rtol=1e-5, atol=1e-6)
    assert [v.path.split("/")[-1] for v in layer.weights] == ["embeddings"] + ["reverse_embeddings"] * (not is_tied)


def test_a_tied_table_has_gradients_from_both_ends(rng):
    layer = filled(layers.ReversibleEmbedding(5, 3), rng)
    table = layer.get_weights()[0].astype(np.float64)

    with GradientTape() as tape:
        total = reduce_sum(layer(layer(np.array([2])), reverse=True))

    expected = np.tile(table[2], (5, 1))
    expected[2] += table.sum(0)
    np.testing.assert_allclose(tape.gradient(total, layer.embeddings).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_vectors_carry_the_mask_of_padding_and_scores_none():
    layer = layers.ReversibleEmbedding(5, 3, mask_zero=True)
    y = layer(np.array([[3, 0]]))

    assert y.mask.tolist() == [[True, False]]
    assert layer(y, reverse=True).mask is None


def test_a_cap_is_positive():
    with pytest.raises(LayerError, match="logit_soft_cap must be a positive number, got 0"):
        layers.ReversibleEmbedding(5, 3, logit_soft_cap=0)
