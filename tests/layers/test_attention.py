"""What attention layers promise: their formula in float64, gradients, masks, dropout, operators, errors."""

import json

import numpy as np
import pytest

from symgraph import layers, passes
from symgraph.autodiff.tape import GradientTape
from symgraph.core.errors import LayerError
from symgraph.ops.masks import nonzero
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.runtime.exporter import save
from symgraph.training.function import function
from symgraph.training.model import Model, load_onnx


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(weights, query, value, key, mask=None, is_grouped=False):
    """Multi-head attention written out, in float64: each head by itself."""
    wq, bq, wk, bk, wv, bv, wo, bo = (w.astype(np.float64) for w in weights)
    q, k, v = (np.einsum("btd,dhk->bhtk", x.astype(np.float64), w) + b[None, :, None]
               for x, w, b in ((query, wq, bq), (key, wk, bk), (value, wv, bv)))
    if is_grouped:
        k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask[:, None], scores, -np.inf)
    p = softmax(scores)
    return np.einsum("bhtk,hkd->btd", p @ v, wo) + bo, p


def filled(layer, rng, *inputs, **kwargs):
    """The layer, built, with random weights."""
    layer(*inputs, **kwargs)
    layer.set_weights([rng.standard_normal(w.shape).astype(w.dtype) for w in layer.get_weights()])
    return layer


def draw(rng, *shapes):
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


MULTI_HEAD = [
    pytest.param(lambda **options: layers.MultiHeadAttention(3, 4, 5, **options), False, id="multi_head"),
    pytest.param(lambda **options: layers.GroupQueryAttention(4, 6, 2, **options), True, id="grouped"),
]
every_kind = pytest.mark.parametrize(("make", "is_grouped"), MULTI_HEAD)


@every_kind
def test_heads_compute_the_formula_in_float64(rng, make, is_grouped):
    q, v, k = draw(rng, (2, 5, 7), (2, 6, 8), (2, 6, 9))
    mask = rng.random((2, 5, 6)) < 0.5
    mask[..., 0] = True
    layer = filled(make(), rng, q, v, k)

    y, scores = layer(q, v, k, attention_mask=mask, return_attention_scores=True)

    expected, p = attention(layer.get_weights(), q, v, k, mask, is_grouped)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scores.numpy(), p, rtol=1e-4, atol=1e-6)


@every_kind
def test_gradients_are_those_of_finite_differences(rng, make, is_grouped):
    q, v, k = draw(rng, (2, 3, 4), (2, 5, 4), (2, 5, 4))
    mask = rng.random((2, 3, 5)) < 0.6
    mask[..., 1] = True
    layer = filled(make(dtype="float32"), rng, q, v, k)
    direction = rng.standard_normal((2, 3, 4))

    with GradientTape() as tape:
        total = reduce_sum(layer(q, v, k, attention_mask=mask) * direction.astype(np.float32))
    gradients = tape.gradient(total, layer.trainable_weights)

    weights = [w.astype(np.float64) for w in layer.get_weights()]
    for i, dw in enumerate(gradients):
        step = rng.standard_normal(weights[i].shape)
        ends = [attention([w + h * step if j == i else w for j, w in enumerate(weights)], q, v, k, mask, is_grouped)[0]
                for h in (1e-5, -1e-5)]
        slope = ((ends[0] - ends[1]) * direction).sum() / 2e-5
        assert (dw.numpy() * step).sum() == pytest.approx(slope, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("make", [
    pytest.param(lambda: layers.Attention(use_scale=True), id="dot"),
    pytest.param(lambda: layers.Attention(use_scale=True, score_mode="concat"), id="concat"),
    pytest.param(layers.AdditiveAttention, id="sum"),
])
def test_gradients_of_scores_are_those_of_finite_differences(rng, make):
    xs = draw(rng, (2, 3, 4), (2, 5, 4))
    layer = filled(make(), rng, xs)
    direction = rng.standard_normal((2, 3, 4)).astype(np.float32)

    with GradientTape() as tape:
        total = reduce_sum(layer(xs, use_causal_mask=True) * direction)
    gradients = tape.gradient(total, layer.trainable_weights)

    start = layer.get_weights()
    for i, dw in enumerate(gradients):
        step = rng.standard_normal(start[i].shape).astype(np.float32)
        ends = []
        for h in (1e-2, -1e-2):
            layer.set_weights([w + np.float32(h) * step if j == i else w for j, w in enumerate(start)])
            ends.append((layer(xs, use_causal_mask=True).numpy().astype(np.float64) * direction).sum())
        layer.set_weights(start)
        assert (dw.numpy() * step).sum() == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=5e-3, abs=5e-3)


@every_kind
def test_compiled_gradients_are_the_eager_ones(rng, make, is_grouped):
    q, v = draw(rng, (2, 5, 7), (2, 6, 7))
    layer = filled(make(), rng, q, v)

    def gradients(q, v):
        with GradientTape() as tape:
            total = reduce_sum(layer(q, v, use_causal_mask=True) ** 2)
        return tape.gradient(total, layer.trainable_weights)

    for compiled, eager in zip(function(gradients)(q, v), gradients(q, v), strict=True):
        np.testing.assert_allclose(compiled.numpy(), eager.numpy(), rtol=1e-4, atol=1e-3)


@every_kind
@pytest.mark.parametrize("shapes", [((1, 1, 8), (1, 1, 8)), ((3, 9, 8), (3, 2, 8)), ((0, 4, 8), (0, 4, 8)),
                                    ((2, 0, 8), (2, 3, 8))])
def test_one_model_takes_any_batch_and_length(rng, make, is_grouped, shapes):
    q, v = layers.Input((None, 8)), layers.Input((None, 8))
    layer = make()
    model = Model([q, v], layer(q, v, use_causal_mask=True))
    arrays = draw(rng, *shapes)

    y = model.predict_on_batch(arrays)

    assert y.shape == shapes[0]
    np.testing.assert_allclose(y, layer(*arrays, use_causal_mask=True).numpy(), rtol=1e-5, atol=1e-5)


def test_later_keys_change_nothing_under_a_causal_mask(rng):
    x, = draw(rng, (2, 6, 8))
    layer = filled(layers.MultiHeadAttention(2, 4), rng, x, x)
    changed = x.copy()
    changed[:, 4:] = 1e3

    before, after = (layer(a, a, use_causal_mask=True).numpy()[:, :4] for a in (x, changed))

    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_a_query_without_keys_takes_the_mean_of_the_values_or_nothing(rng):
    x, = draw(rng, (1, 3, 4))
    layer = filled(layers.MultiHeadAttention(1, 4), rng, x, x)
    layer.output_dense.set_weights([np.eye(4, dtype=np.float32)[None], np.zeros(4, np.float32)])
    mask = np.zeros((1, 3, 3), bool)

    mean, (nothing, scores) = layer(x, x, attention_mask=mask), layer(
        x, x, attention_mask=mask, return_attention_scores=True)

    values = layer.value_dense(x).numpy()[:, :, 0]
    np.testing.assert_allclose(mean.numpy(), np.repeat(values.mean(1, keepdims=True), 3, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(nothing.numpy(), 0)
    np.testing.assert_array_equal(scores.numpy(), 0)


def test_scores_that_are_far_off_do_not_break_a_row_of_nothing(rng):
    x, = draw(rng, (1, 3, 4))
    layer = filled(layers.MultiHeadAttention(1, 4), rng, x, x)

    with GradientTape() as tape:
        y = reduce_sum(layer(1e6 * x, 1e6 * x, attention_mask=np.zeros((1, 3, 3), bool)))
    gradients = tape.gradient(y, layer.trainable_weights)

    assert all(np.isfinite(a.numpy()).all() for a in (y, *gradients))


@pytest.mark.parametrize("make", [lambda: layers.MultiHeadAttention(2, 4), lambda: layers.GroupQueryAttention(4, 2, 1)])
def test_masks_that_the_inputs_carry_are_those_given(rng, make):
    numbers = np.array([[3, 1, 0, 0], [2, 2, 5, 0]], np.int32)
    embedding, layer = layers.Embedding(9, 8, mask_zero=True), make()
    x = embedding(numbers)
    bare = x.numpy()
    layer(bare, bare)

    y = layer(x, x)

    keep = numbers != 0
    expected = layer(bare, bare, attention_mask=keep[:, :, None] & keep[:, None, :])
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    named = layer(bare, bare, query_mask=keep, value_mask=keep)
    np.testing.assert_allclose(y.numpy(), named.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y.mask.numpy(), keep)


@pytest.mark.parametrize("make", [layers.Attention, layers.AdditiveAttention])
def test_attention_takes_the_masks_of_its_list(rng, make):
    numbers = np.array([[3, 1, 0, 0], [2, 2, 5, 0]], np.int32)
    embedding, layer = layers.Embedding(9, 8, mask_zero=True), make()
    x = embedding(numbers)
    queries, = draw(rng, (2, 3, 8))

    y = layer([queries, x])

    keep = numbers != 0
    np.testing.assert_allclose(y.numpy(), layer([queries, x.numpy()], mask=[None, keep]).numpy(), rtol=1e-6)
    assert y.mask is None
    np.testing.assert_array_equal(layer([x, x]).mask.numpy(), keep)
    np.testing.assert_array_equal(layer([x, x]).numpy()[~keep], 0)


@pytest.mark.parametrize("make", [
    lambda **o: layers.MultiHeadAttention(2, 4, **o), lambda **o: layers.GroupQueryAttention(4, 2, 2, **o)])
def test_dropout_is_for_training_and_repeats_with_its_seed(rng, make):
    x, = draw(rng, (2, 5, 8))
    layer, again, without = make(dropout=0.5, seed=3), make(dropout=0.5, seed=3), make()
    for each in (layer, again, without):
        each(x, x)
        each.set_weights(layer.get_weights())

    idle, trained = layer(x, x).numpy(), layer(x, x, training=True).numpy()

    np.testing.assert_allclose(idle, without(x, x).numpy(), rtol=1e-6)
    assert not np.allclose(idle, trained)
    np.testing.assert_array_equal(again(x, x, training=True).numpy(), trained)


def test_scores_are_returned_as_they_are_before_dropout(rng):
    x, = draw(rng, (1, 40, 8))
    layer = layers.MultiHeadAttention(1, 4, dropout=0.5, seed=1)

    _, scores = layer(x, x, training=True, return_attention_scores=True)

    np.testing.assert_allclose(scores.numpy().sum(-1), 1, rtol=1e-5)
    assert len(nonzero(scores)[0]) == 1600


def test_attention_drops_weights_while_training(rng):
    xs = [np.ones((1, 3, 4), np.float32), np.ones((1, 50, 4), np.float32)]

    y = layers.Attention(dropout=0.5, seed=1)(xs, training=True).numpy()

    assert 0.3 < y.mean() < 1.7 and not np.allclose(y, 1)


def test_projections_start_from_different_numbers(rng):
    x, = draw(rng, (1, 2, 8))
    layer = layers.MultiHeadAttention(2, 4, kernel_initializer=layers.initializers.GlorotUniform())
    layer(x, x)

    kernels = [w for w in layer.get_weights() if w.shape == (8, 2, 4)]

    assert len({w.tobytes() for w in kernels}) == 3


def test_regularizers_and_constraints_reach_every_projection(rng):
    x, = draw(rng, (1, 2, 8))
    layer = layers.MultiHeadAttention(2, 4, kernel_regularizer="l2", bias_regularizer="l1", kernel_constraint="non_neg",
                                      activity_regularizer="l2")
    layer(x, x)

    assert len(layer.losses) == 8 + 4
    assert sum(v.constraint is not None for v in layer.weights) == 4


def count(graph):
    return [str(node.op) for node in graph.nodes]


def test_attention_of_known_sizes_becomes_one_operator_of_onnxruntime():
    x = layers.Input((16, 64), batch_size=2)

    graph = passes.optimize(Model(x, layers.MultiHeadAttention(8, 8)(x, x)).graph, passes=passes.ONNXRUNTIME)

    assert count(graph) == ["com.microsoft::Attention", "MatMul", "Add"]


@pytest.mark.parametrize(("kind", "arguments", "most"), [
    ("MultiHeadAttention", {"num_heads": 4, "key_dim": 8}, 4),
    ("GroupQueryAttention", {"head_dim": 8, "num_query_heads": 4, "num_key_value_heads": 2}, 4),
])
def test_what_runs_is_products_one_softmax_and_few_transposes(kind, arguments, most):
    x = layers.Input((None, 32))

    names = count(passes.optimize(Model(x, getattr(layers, kind)(**arguments)(x, x)).graph))

    assert names.count("MatMul") == 4 and names.count("Softmax") == 1 and names.count("Transpose") <= most
    assert not {"Einsum", "Expand", "Tile", "Where"} & set(names)


def test_an_exported_model_gives_the_same(rng, tmp_path):
    x = layers.Input((None, 8), name="x")
    model = Model(x, layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    array, = draw(rng, (2, 5, 8))
    save(model.graph, tmp_path / "attention.onnx")

    np.testing.assert_allclose(load_onnx(tmp_path / "attention.onnx").predict(array), model.predict(array), rtol=1e-5)


def test_the_configuration_is_the_arguments_of_keras():
    config = layers.MultiHeadAttention(2, 4, name="mine", attention_axes=[1], seed=7).get_config()

    assert json.loads(json.dumps(config)) == {
        "name": "mine", "trainable": True, "dtype": config["dtype"], "num_heads": 2, "key_dim": 4, "value_dim": None,
        "dropout": 0.0, "use_bias": True, "output_shape": None, "attention_axes": [1], "sliding_window": None,
        "flash_attention": None, "kernel_initializer": "glorot_uniform", "bias_initializer": "zeros",
        "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
        "bias_constraint": None, "use_gate": False, "seed": 7}


def test_both_names_of_grouped_attention_are_the_same():
    assert layers.GroupedQueryAttention is layers.GroupQueryAttention


ERRORS = [
    (lambda: layers.MultiHeadAttention(0, 4), "num_heads must be a whole number from 1 on, got 0"),
    (lambda: layers.MultiHeadAttention(2, 4, sliding_window=0), "sliding_window must be a whole number from 1 on"),
    (lambda: layers.MultiHeadAttention(2, 4, dropout=2), "dropout must be a number from 0 to 1"),
    (lambda: layers.GroupQueryAttention(4, 3, 2), "num_query_heads 3 must be a multiple of num_key_value_heads 2"),
    (lambda: layers.Attention(score_mode="cosine"), "score_mode must be one of 'dot', 'concat'"),
    (lambda: layers.MultiHeadAttention(2, 4)(layers.Input((3, 8)), layers.Input((3, 8)), layers.Input((4, 8))),
     "value and key differ in their last dimension at most"),
    (lambda: layers.MultiHeadAttention(2, 4)(layers.Input((8,)), layers.Input((3, 8))),
     "expects query of at least 3 dimensions"),
    (lambda: layers.MultiHeadAttention(2, 4, attention_axes=0)(layers.Input((3, 8)), layers.Input((3, 8))),
     "attention_axes are axes between the batch and the last of 3, got"),
    (lambda: layers.MultiHeadAttention(2, 4)(layers.Input((2, 3, 8)), layers.Input((2, 3, 8)), use_causal_mask=True),
     "use_causal_mask needs attention along one axis"),
    (lambda: layers.MultiHeadAttention(2, 4)(layers.Input((3, 8)), layers.Input((3, 8)),
                                             attention_mask=np.ones((3,), bool)), "a mask has 2 to 4 dimensions here"),
    (lambda: layers.MultiHeadAttention(2, 4)(layers.Input((3, None)), layers.Input((3, 8))), "needs a known size"),
    (lambda: layers.MultiHeadAttention(2, 4)(layers.Input((3, 8))), "is called without value; its call has the arg"),
    (lambda: layers.MultiHeadAttention(2, 4)(layers.Input((3, 8)), layers.Input((5, 8)),
                                             attention_mask=np.ones((1, 3, 4), bool)),
     r"an attention_mask whose last dimensions are \(3, 5\), got bool\[1, 3, 4\]"),
    (lambda: layers.Attention()(layers.Input((3, 8))), "expects a list of tensors"),
    (lambda: layers.Attention()([layers.Input((3, 8)), layers.Input((3, 7))]), "query and key differ in size, 8 and 7"),
    (lambda: layers.Attention()([layers.Input((3, 8)), layers.Input((4, 8)), layers.Input((5, 8))]),
     "value and key differ in length, 4 and 5"),
    (lambda: layers.Attention()([layers.Input((3, 8))] * 2, mask=np.ones((2, 3), bool)), "mask is a list"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS, ids=[message for _, message in ERRORS])
def test_mistakes_are_told(call, message):
    with pytest.raises(LayerError, match=message):
        call()


def test_a_layer_that_is_built_refuses_other_sizes():
    layer = layers.MultiHeadAttention(2, 4, name="mine")
    layer(layers.Input((3, 8)), layers.Input((3, 8)))

    with pytest.raises(LayerError, match=r'layer "mine" \(MultiHeadAttention\): expects value whose last dimension is'):
        layer(layers.Input((3, 8)), layers.Input((3, 7)))
    with pytest.raises(LayerError, match="expects value and key of equal length"):
        layer(layers.Input((3, 8)), layers.Input((3, 8)), layers.Input((4, 8)))
