"""Penalties of weights: their numbers, and how layers gather them."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import LayerError, ShapeError

R = sg.regularizers
W = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def mean_cosine(w):
    unit = w / np.linalg.norm(w, axis=1, keepdims=True)
    cosines = np.abs(unit @ unit.T)[np.triu_indices(len(w), 1)]
    return cosines.mean()


@pytest.mark.parametrize(("regularizer", "expected"), [
    (R.L1(), 0.01 * np.abs(W).sum()),
    (R.L1(0.5), 0.5 * np.abs(W).sum()),
    (R.L2(), 0.01 * (W**2).sum()),
    (R.L2(0), 0.0),
    (R.L1L2(), 0.0),
    (R.L1L2(0.5, 0.25), 0.5 * np.abs(W).sum() + 0.25 * (W**2).sum()),
    (R.L1L2(l2=0.25), 0.25 * (W**2).sum()),
    (R.OrthogonalRegularizer(), 0.01 * mean_cosine(W)),
    (R.OrthogonalRegularizer(0.5, "columns"), 0.5 * mean_cosine(W.T)),
], ids=repr)
def test_the_penalty_is_the_formula(regularizer, expected):
    made = regularizer(sg.Variable(W))
    assert made.shape == ()
    np.testing.assert_allclose(made.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("regularizer", [
    R.L1(0.5), R.L2(0.25), R.L1L2(0.5, 0.25), R.OrthogonalRegularizer(0.1, "columns")], ids=repr)
def test_a_configuration_makes_an_equal_regularizer(regularizer):
    again = R.get(R.serialize(regularizer))
    assert (type(again), again.get_config()) == (type(regularizer), regularizer.get_config())


def test_names_classes_and_functions_are_found():
    assert [type(R.get(x)) for x in ("l1", "L1", R.L1)] == [R.L1] * 3
    assert type(R.get("l1_l2")) is R.L1L2
    assert type(R.get("orthogonal_regularizer")) is R.OrthogonalRegularizer
    assert R.get(sg.sum) is sg.sum
    assert R.get(None) is None


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: R.get("l3"), LayerError, ["'l3'", "l1, L2"]),
    (lambda: R.get(5), LayerError, ["5"]),
    (lambda: R.get({"config": {}}), LayerError, ["class_name"]),
    (lambda: R.get({"class_name": "L1", "config": {"l2": 1}}), LayerError, ["L1", "l2"]),
    (lambda: R.L1(-1.0), LayerError, ["l1", "-1.0"]),
    (lambda: R.L2(float("nan")), LayerError, ["l2", "nan"]),
    (lambda: R.OrthogonalRegularizer(mode="diagonal"), LayerError, ["rows", "diagonal"]),
    (lambda: R.OrthogonalRegularizer()(sg.ones((3,))), ShapeError, ["matrix", "(3,)"]),
    (lambda: sg.layers.Dense(2, kernel_regularizer="l3"), LayerError, ["'l3'"]),
])
def test_mistakes_are_named(make, error, words):
    with pytest.raises(error) as raised:
        make()
    for word in words:
        assert word in str(raised.value)


def test_a_model_gathers_the_penalties_of_its_layers():
    inner = sg.layers.Dense(3, kernel_regularizer="l2", bias_regularizer=lambda b: sg.sum(b) + 1.0)
    outer = sg.layers.Conv1D(2, 1, kernel_regularizer=R.L1(0.5))
    model = sg.Sequential([sg.layers.InputLayer((4, 5)), inner, outer])

    penalties = [float(x) for x in model.losses]

    kernel, _ = inner.get_weights()
    np.testing.assert_allclose(penalties, [0.01 * (kernel**2).sum(), 1.0, 0.5 * np.abs(outer.get_weights()[0]).sum()],
                               rtol=1e-6)
    inner.trainable = False
    assert len(model.losses) == 1


def test_penalties_have_gradients_in_eager_and_compiled_mode():
    layer = sg.layers.Dense(3, kernel_regularizer=R.L2(0.5))
    layer.build((None, 4))

    def gradient():
        with sg.GradientTape() as tape:
            loss = layer.losses[0]
        return tape.gradient(loss, layer.kernel)

    for each in (gradient, sg.function(gradient)):
        np.testing.assert_allclose(each().numpy(), layer.kernel.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("layer", "shape"), [
    (sg.layers.Dense(2, kernel_regularizer="l2", bias_regularizer="l1"), (None, 3)),
    (sg.layers.EinsumDense("ab,bc->ac", (2,), bias_axes="c", kernel_regularizer="l2", bias_regularizer="l1"),
     (None, 3)),
    (sg.layers.Conv2D(2, 1, kernel_regularizer="l2", bias_regularizer="l1"), (None, 3, 3, 2)),
    (sg.layers.Conv2DTranspose(2, 1, kernel_regularizer="l2", bias_regularizer="l1"), (None, 3, 3, 2)),
    (sg.layers.DepthwiseConv2D(1, depthwise_regularizer="l2", bias_regularizer="l1"), (None, 3, 3, 2)),
    (sg.layers.SeparableConv2D(2, 1, depthwise_regularizer="l2", pointwise_regularizer="l1"), (None, 3, 3, 2)),
    (sg.layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l1"), (None, 3)),
    (sg.layers.LayerNormalization(gamma_regularizer="l2", beta_regularizer="l1"), (None, 3)),
], ids=lambda x: getattr(x, "name", None))
def test_every_layer_with_weights_takes_regularizers(layer, shape):
    layer.apply(sg.symbol(shape))
    assert [type(v.regularizer) for v in layer.weights if v.regularizer] == [R.L2, R.L1]
    assert len(layer.losses) == 2


def test_embeddings_and_slopes_take_them_too():
    table = sg.layers.Embedding(5, 2, embeddings_regularizer="l2", embeddings_constraint="unit_norm")
    table.apply(sg.symbol((None, 3), "int32"))
    slopes = sg.layers.PReLU(alpha_regularizer="l1", alpha_constraint="non_neg")
    slopes.apply(sg.symbol((None, 3)))
    assert (type(table.embeddings.regularizer), type(table.embeddings.constraint)) == (R.L2, sg.constraints.UnitNorm)
    assert (type(slopes.alpha.regularizer), type(slopes.alpha.constraint)) == (R.L1, sg.constraints.NonNeg)


def test_the_configuration_of_a_layer_keeps_its_regularizer():
    layer = sg.layers.Dense(2, kernel_regularizer=R.L1(0.5), bias_constraint="non_neg")
    again = sg.layers.Dense.from_config(layer.get_config())
    again.build((None, 3))
    assert again.kernel.regularizer.l1 == 0.5
    assert type(again.bias.constraint) is sg.constraints.NonNeg


def test_copies_of_a_variable_keep_its_regularizer_and_constraint():
    import copy
    import pickle

    layer = sg.layers.Dense(2, kernel_regularizer=R.L1(0.5), kernel_constraint="non_neg")
    layer.build((None, 3))
    for again in (copy.deepcopy(layer.kernel), pickle.loads(pickle.dumps(layer.kernel))):
        assert again.regularizer.get_config() == {"l1": 0.5}
        assert type(again.constraint) is sg.constraints.NonNeg
