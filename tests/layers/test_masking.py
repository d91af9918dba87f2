"""How masks come about, travel and end: what the numbers of Keras in `masks/` do not show."""

import warnings

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.errors import GraphError, LayerError
from symgraph.layers.masking import mask_of

IDS = np.array([[3, 4, 0, 0], [1, 2, 5, 0]], np.int32)
MASK = IDS != 0


def embedded(**options):
    return layers.Embedding(9, 3, mask_zero=True, **options)(sg.tensor(IDS))


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


class Doubling(layers.Layer):
    supports_masking = True

    def call(self, inputs):
        return inputs * 2


class Cutting(layers.Layer):
    """One step less, and says so."""

    def call(self, inputs):
        return inputs[:, 1:]

    def compute_mask(self, inputs, previous_mask):
        return None if previous_mask is None else previous_mask[:, 1:]


class Summing(layers.Layer):
    """Takes a mask, and hands none on."""

    def call(self, inputs, mask=None):
        return (inputs if mask is None else sg.where(mask[..., None], inputs, 0)).sum(axis=1)

    def compute_mask(self, inputs, previous_mask):
        return None


class Pairing(layers.Layer):
    """Takes the mask of each of its arguments."""

    def call(self, left, right, left_mask=None, right_mask=None):
        self.seen = left_mask, right_mask
        return left + right

    def compute_mask(self, inputs, previous_mask):
        return None


# Layers of one's own.


def test_a_layer_that_supports_masks_hands_that_of_its_input_on():
    assert mask_of(Doubling()(embedded())).tolist() == MASK.tolist()


def test_a_layer_may_say_another_mask():
    y = Cutting()(embedded())

    assert mask_of(y).tolist() == MASK[:, 1:].tolist()
    assert Cutting.supports_masking


def test_a_layer_takes_the_mask_of_its_input(rng):
    x = embedded()

    y = Summing()(x)

    np.testing.assert_allclose(y.numpy(), (x.numpy() * MASK[..., None]).sum(axis=1), rtol=1e-6)
    assert mask_of(y) is None


def test_a_mask_that_is_given_wins_over_that_of_the_input():
    x, other = embedded(), np.array([[True, False, False, False]] * 2)

    y = Summing()(x, mask=other)

    np.testing.assert_array_equal(y.numpy(), x.numpy()[:, 0])


def test_each_of_several_arguments_has_a_mask_of_its_own():
    layer, x = Pairing(), embedded()

    layer(x, sg.ones((2, 4, 3)))

    left, right = layer.seen
    assert left is mask_of(x)
    assert right is None


def test_a_list_of_inputs_has_a_list_of_masks():
    class Seeing(layers.Layer):
        def call(self, inputs, mask=None):
            self.seen = mask
            return inputs[0]

        def compute_mask(self, inputs, previous_mask):
            return None

    layer, x = Seeing(), embedded()

    layer([x, sg.ones((2, 4, 3))])

    assert layer.seen[0] is mask_of(x)
    assert layer.seen[1] is None


def test_a_mask_set_by_a_layer_inside_stays():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Embedding(9, 3, mask_zero=True)

        def call(self, inputs):
            return self.inner(inputs)

    assert mask_of(Block()(IDS)).tolist() == MASK.tolist()
    assert mask_of(Block()(layers.Input((None,), dtype="int32"))).dtype == "bool"


def test_a_layer_that_returns_its_input_leaves_the_input_as_it_is():
    x = sg.tensor([[1.0, 0.0]])
    layer = layers.Lambda(lambda x: x, mask=lambda x, mask: x != 0)

    y = layer(x)

    assert mask_of(x) is None
    assert mask_of(y).tolist() == [[True, False]]
    assert mask_of(layer(y)).tolist() == [[True, False]]


def test_numbers_that_compute_mask_returns_become_bools():
    class Counting(Doubling):
        def compute_mask(self, inputs, previous_mask):
            return np.array([[1.0, 0.0]], np.float32)

    assert mask_of(Counting()(sg.ones((1, 2)))).tolist() == [[True, False]]


@pytest.mark.parametrize("layer", [
    layers.Flatten(), layers.Conv1D(2, 2), layers.GlobalMaxPooling1D(), layers.Reshape((2, 6)), layers.Permute((2, 1)),
    layers.Lambda(lambda x: x), layers.EinsumDense("abc,cd->abd", (None, 2))], ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("is_symbol", [False, True])
def test_where_a_mask_ends_without_use_there_is_a_warning(layer, is_symbol):
    x = embedded() if not is_symbol else layers.Embedding(9, 3, mask_zero=True)(layers.Input((4,), dtype="int32"))

    with pytest.warns(UserWarning, match=rf'"{layer.name}" .* does not support masks') as seen:
        y = layer(x)

    assert mask_of(y) is None
    assert seen[0].filename == __file__


def test_ops_hand_no_mask_on():
    assert mask_of(embedded() + 1) is None


def test_lambda_tells_its_function_mask_and_training():
    def function(x, mask, training, factor):
        return sg.where(mask[..., None], x, 0) * factor * (2 if training else 1)

    layer, x = layers.Lambda(function, mask=lambda x, mask: mask, arguments={"factor": 3}), embedded()

    np.testing.assert_allclose(layer(x, training=True).numpy(), x.numpy() * MASK[..., None] * 6, rtol=1e-6)
    assert mask_of(layer(x)) is mask_of(x)


def test_masking_takes_a_tensor_and_comes_back_from_its_configuration():
    value = np.array([1.0, 2.0], np.float32)
    x = np.array([[[1.0, 2.0], [2.0, 1.0]]], np.float32)

    layer = layers.Masking.from_config(layers.Masking(value).get_config())

    assert mask_of(layer(x)).tolist() == [[False, True]]
    assert layers.Masking.from_config(layers.Masking(-1).get_config()).mask_value == -1


def test_masking_of_half_precision_compares_in_it():
    x = np.array([[[0.1], [0.2]]], np.float16)

    assert mask_of(layers.Masking(0.1, dtype="float16")(x)).tolist() == [[False, True]]


def test_the_cast_to_the_dtype_of_a_layer_keeps_the_mask():
    x = embedded()
    ids = layers.Input((None,), dtype="int32")
    layer = layers.LSTM(2, dtype="float64", return_sequences=True)
    expected = layer(x)
    embedding = layers.Embedding(9, 3, mask_zero=True)
    model = sg.Model(ids, layer(embedding(ids)))
    embedding.set_weights([np.zeros((9, 3), np.float32)])

    assert mask_of(expected) is mask_of(x)
    assert mask_of(model(IDS)).tolist() == MASK.tolist()


# Models.


def tagger(rng):
    ids = layers.Input((None,), dtype="int32")
    embedding, inner = layers.Embedding(9, 3, mask_zero=True), layers.GRU(4, return_sequences=True)
    x = embedding(ids)
    model = sg.Model(ids, layers.Dense(2)(inner(x)))
    model.set_weights([draw(rng, *w.shape) for w in model.get_weights()])
    return model, x, inner


def test_padding_changes_nothing(rng):
    model, _, _ = tagger(rng)
    padded = np.pad(IDS, ((0, 0), (0, 3)))

    y = model.predict(IDS)

    np.testing.assert_allclose(model.predict(padded)[:, :4][MASK], y[MASK], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict(IDS[:1, :2]), y[:1, :2], rtol=1e-5, atol=1e-6)


def test_a_mask_is_a_tensor_of_the_model_like_any_other(rng):
    model, x, _ = tagger(rng)

    part = sg.Model(model.inputs, model.get_tensor(f"{x.name}/mask"))

    np.testing.assert_array_equal(part.predict(IDS), MASK)


def test_a_model_inside_another_takes_the_mask_of_its_input(rng):
    model, _, _ = tagger(rng)
    x = layers.Input((None, 3))
    inner = sg.Model(x, layers.Dense(2)(layers.GRU(4, return_sequences=True)(x)))
    inner.set_weights(model.get_weights()[1:])
    embedding = layers.Embedding(9, 3, mask_zero=True)
    ids = layers.Input((None,), dtype="int32")
    outer = sg.Model(ids, inner(embedding(ids)))
    embedding.set_weights(model.get_weights()[:1])
    expected = model.predict(IDS)

    on_values = inner(embedding(IDS))

    for y in (outer.predict(IDS), outer(IDS), on_values, inner(sg.tensor(embedding(IDS).numpy()), mask=MASK)):
        np.testing.assert_allclose(np.asarray(y), expected, rtol=1e-5, atol=1e-6)
    assert mask_of(on_values).tolist() == mask_of(outer(IDS)).tolist() == MASK.tolist()
    assert np.abs(inner.predict(embedding(IDS).numpy()) - expected).max() > 1e-3


def test_a_model_of_several_inputs_takes_a_mask_for_each(rng):
    a, b = layers.Input((None, 3), name="a"), layers.Input((None, 3), name="b")
    model = sg.Model({"a": a, "b": b}, layers.Add()([layers.GRU(2, return_sequences=True)(x) for x in (a, b)]))
    x, y = draw(rng, 2, 4, 3), draw(rng, 2, 4, 3)

    whole = model({"a": x, "b": y})
    found = model({"a": x, "b": y}, mask={"a": MASK, "b": None})

    np.testing.assert_allclose(found.numpy()[1, :3], whole.numpy()[1, :3], rtol=1e-5)
    assert np.abs(found.numpy()[0, 3] - whole.numpy()[0, 3]).max() > 1e-4
    with pytest.raises(LayerError, match="2 inputs, got 1 masks"):
        model({"a": x, "b": y}, mask=MASK)


def test_a_part_of_a_model_behind_a_mask_wants_it_as_an_input(rng):
    model, x, inner = tagger(rng)

    with pytest.raises(GraphError, match=f"the mask of '{x.name}' is needed too"):
        sg.Model(x, inner.output)
    tail = sg.Model([x, x.mask], model.output)

    value = model.layers[1](IDS)
    expected = model.predict(IDS)
    np.testing.assert_allclose(tail.predict([value.numpy(), MASK]), expected, rtol=1e-5, atol=1e-6)
    y = tail([sg.tensor(value.numpy()), sg.tensor(MASK)])
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert mask_of(y).tolist() == MASK.tolist()


def test_a_part_that_only_hands_a_mask_on_does_without(rng):
    x = layers.Embedding(9, 3, mask_zero=True)(layers.Input((None,), dtype="int32"))
    y = layers.Input((None, 3))
    inner = sg.Model(y, layers.Dense(2)(y))

    model = sg.Model(x, inner(layers.BatchNormalization()(x)))

    assert mask_of(model(draw(rng, 2, 4, 3))) is None
    assert mask_of(model.output) is x.mask


def test_a_compiled_function_may_return_its_masked_argument():
    x = embedded()

    assert mask_of(sg.function(lambda x: [x, x])(x)[1]).tolist() == MASK.tolist()


def test_a_mask_may_be_computed_by_ops(rng):
    ids, x = layers.Input((None,), dtype="int32"), layers.Input((None, 3))
    layer = layers.GRU(4, return_sequences=True)
    model = sg.Model([ids, x], layer(x, mask=sg.ops.not_equal(ids, 0)))
    value = draw(rng, 2, 4, 3)

    for y in (model([IDS, value]), model.predict([IDS, value])):
        np.testing.assert_allclose(np.asarray(y), layer(value, mask=MASK).numpy(), rtol=1e-5, atol=1e-6)


def test_a_model_opened_inside_a_layer_hands_masks_on(rng):
    model, _, _ = tagger(rng)
    cut = next(n for n in model.graph.nodes if n.op.name == "Gather").output

    opened = sg.Model([model.input, cut], model.output)

    ys = opened([IDS, model.layers[1].embeddings.numpy()[IDS]])
    np.testing.assert_allclose(ys.numpy(), model.predict(IDS), rtol=1e-5, atol=1e-6)
    assert mask_of(ys).tolist() == MASK.tolist()


def test_sequential_hands_masks_on(rng):
    model = sg.Sequential([layers.Input((None,), dtype="int32"), layers.Embedding(9, 3, mask_zero=True),
                           layers.Dropout(0.5), layers.LSTM(4), layers.Dense(1)])
    y = model.predict(IDS)

    np.testing.assert_allclose(model.predict(IDS[:1, :2]), y[:1], rtol=1e-5, atol=1e-6)
    assert mask_of(model(IDS)) is None


def test_the_loss_leaves_masked_steps_out(rng):
    model, _, _ = tagger(rng)
    target = draw(rng, 2, 4, 2)
    model.compile("sgd", "mse")

    found = model.evaluate(IDS, target, verbose=0)

    errors = ((model.predict(IDS) - target) ** 2).mean(axis=-1)
    np.testing.assert_allclose(found, errors[MASK].mean(), rtol=1e-5)


def test_training_does_not_see_masked_steps(rng):
    model, _, _ = tagger(rng)
    start = model.get_weights()
    target = draw(rng, 2, 4, 2)
    results = []
    for behind in (0.0, 100.0):
        model.set_weights(start)
        model.compile(sg.optimizers.SGD(0.1), "mse")
        model.train_on_batch(IDS, np.where(MASK[..., None], target, np.float32(behind)))
        results.append(model.get_weights())

    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(start, results[0], strict=True))


def test_a_compiled_function_takes_and_gives_masks(rng):
    layer = layers.GRU(4, return_sequences=True)
    layer(embedded())
    compiled = sg.function(lambda x: layer(x))

    for mask in (MASK, ~MASK, MASK[:, ::-1]):
        x = layers.Masking()(np.where(mask[..., None], draw(rng, 2, 4, 3), np.float32(0)))
        y = compiled(x)

        np.testing.assert_allclose(y.numpy(), layer(x).numpy(), rtol=1e-5, atol=1e-6)
        assert mask_of(y).tolist() == mask.tolist()
    assert len(compiled.graphs) == 1
    x = sg.tensor(draw(rng, 2, 4, 3))
    np.testing.assert_allclose(compiled(x).numpy(), layer(x).numpy(), rtol=1e-5, atol=1e-6)
    assert mask_of(compiled(x)) is None


@pytest.mark.parametrize("is_compiled", [False, True])
def test_a_checkpoint_takes_and_gives_masks(rng, is_compiled):
    layer = layers.GRU(4, return_sequences=True)
    x = embedded()
    expected = layer(x)
    block = sg.checkpoint(layer)

    def gradients(function, x):
        with sg.GradientTape() as tape:
            y = function(x)
            total = Summing()(y).sum()
        return [y, *tape.gradient(total, layer.trainable_weights)]

    for _ in range(2):
        y, *found = (sg.function(lambda x: gradients(block, x)) if is_compiled else lambda x: gradients(block, x))(x)
        assert mask_of(y).tolist() == MASK.tolist()
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-6)
        for a, b in zip(found, gradients(layer, x)[1:], strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)
    assert mask_of(block(sg.tensor(x.numpy()))) is None


def test_an_exported_model_has_its_mask_inside(rng, tmp_path):
    model, _, _ = tagger(rng)
    model.export(tmp_path / "model.onnx")

    found = sg.load_onnx(tmp_path / "model.onnx").predict(np.pad(IDS, ((0, 0), (0, 2))))

    np.testing.assert_allclose(found[:, :4][MASK], model.predict(IDS)[MASK], rtol=1e-5, atol=1e-6)


# Values.


def test_tidy_keeps_the_mask_of_what_it_returns():
    x = sg.tidy(embedded)
    kept = []
    sg.tidy(lambda: kept.append(sg.keep(embedded())))

    assert mask_of(x).tolist() == mask_of(kept[0]).tolist() == MASK.tolist()


def test_tapes_follow_a_value_that_gets_a_mask(rng):
    layer = layers.Lambda(lambda x: x, mask=lambda x, mask: x[..., 0] > 0)
    x = sg.tensor(draw(rng, 2, 4, 3))

    with sg.GradientTape() as tape:
        tape.watch(x)
        y = Summing()(layer(x)).sum()

    expected = np.broadcast_to(x.numpy()[..., :1] > 0, x.shape).astype(np.float32)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), expected)


# Recurrent layers.


KINDS = ["SimpleRNN", "GRU", "LSTM"]


@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_any_mask_is_what_the_cell_does_step_by_step(rng, kind, options):
    """The operator over the steps moved together, against a loop in NumPy over the cell."""
    layer = getattr(layers, kind)(3, return_sequences=True, return_state=True, **options)
    x, mask = draw(rng, 30, 7, 2), rng.random((30, 7)) < rng.random((30, 1))
    start = [sg.tensor(draw(rng, 30, 3)) for _ in range(layer.cell.states)]

    y, *states = layer(x, initial_state=start, mask=mask)

    now, held, expected = [s.numpy() for s in start], np.zeros((30, 3), np.float32), []
    for t in reversed(range(7)) if layer.go_backwards else range(7):
        h, new = layer.cell(x[:, t], now)
        now = [np.where(mask[:, t, None], a.numpy(), b) for a, b in zip(new, now, strict=True)]
        held = np.where(mask[:, t, None], h.numpy(), 0 if layer.zero_output_for_mask else held)
        expected.append(held)
    np.testing.assert_allclose(y.numpy(), np.stack(expected, axis=1), rtol=1e-5, atol=1e-6)
    for found, each in zip(states, now, strict=True):
        np.testing.assert_allclose(found.numpy(), each, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_masked_steps_hold_does_not_count(rng, kind, activation):
    layer = getattr(layers, kind)(3, activation=activation, return_sequences=True)
    x, mask = draw(rng, 4, 5, 2), rng.random((4, 5)) < 0.5
    broken = np.where(mask[..., None], x, np.float32(np.nan))

    def gradients(inputs):
        with sg.GradientTape() as tape:
            y = layer(inputs, mask=mask)
        return [y, *tape.gradient(y, layer.trainable_weights)]

    for found, expected in zip(gradients(broken), gradients(x), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backwards", [False, True])
def test_gradients_of_masked_layers_are_central_differences(rng, kind, backwards):
    """In float32 through the operator; the differences are of the layer in float64, through a Scan."""
    options = {"return_sequences": True, "return_state": True, "go_backwards": backwards}
    layer, exact = (getattr(layers, kind)(3, dtype=dtype, **options) for dtype in ("float32", "float64"))
    x, mask = draw(rng, 3, 5, 2), rng.random((3, 5)) < 0.6
    start = [draw(rng, 3, 3) for _ in range(layer.cell.states)]
    layer(x)
    weights = [draw(rng, *w.shape) * 0.7 for w in layer.get_weights()]
    layer.set_weights(weights)
    factors = [rng.standard_normal(y.shape) for y in layer(x, mask=mask)]

    def loss(which, inputs, states):
        outputs = which(inputs, initial_state=list(states), mask=mask)
        return sum((sg.cast(y, "float64") * f).sum() for y, f in zip(outputs, factors, strict=True))

    sources = [sg.tensor(a) for a in (x, *start)]
    with sg.GradientTape() as tape:
        tape.watch(sources)
        total = loss(layer, sources[0], sources[1:])
    found = tape.gradient(total, [*sources, *layer.trainable_weights])

    places = [a.astype(np.float64) for a in (x, *start, *weights)]
    count = 1 + len(start)
    exact(places[0])
    for which, (place, gradient) in enumerate(zip(places, found, strict=True)):
        direction = rng.standard_normal(place.shape)
        values = []
        for sign in (1, -1):
            moved = [*places[:which], place + sign * 1e-5 * direction, *places[which + 1:]]
            exact.set_weights(moved[count:])
            values.append(float(loss(exact, moved[0], moved[1:count])))
        expected = (values[0] - values[1]) / 2e-5
        np.testing.assert_allclose((gradient.numpy() * direction).sum(), expected, rtol=1e-3, atol=1e-4)


def test_gradients_do_not_reach_masked_steps(rng):
    layer, x = layers.LSTM(3, return_sequences=True), sg.tensor(draw(rng, 2, 4, 3))

    with sg.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, mask=MASK).sum()

    gradient = tape.gradient(y, x).numpy()
    assert (np.abs(gradient).max(axis=-1) > 0).tolist() == MASK.tolist()


def test_a_masked_layer_is_its_operator():
    symbol = layers.Input((None, 3))

    model = sg.Model(symbol, layers.LSTM(4)(layers.Masking()(symbol)))

    assert {"LSTM"} <= {n.op.name for n in model.graph.nodes}
    assert "Scan" not in {n.op.name for n in model.graph.nodes}


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_named_dimensions_stay(activation):
    x = layers.Masking()(layers.Input(("time", 3), batch_size="N"))

    y = layers.GRU(4, activation=activation, return_sequences=True)(x)

    assert y.shape == ("N", "time", 4)
    assert layers.GRU(4, activation=activation)(y).shape == ("N", 4)


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_at_all_gives_zeros_and_the_states_one_began_with(rng, kind):
    layer = getattr(layers, kind)(3, return_state=True)
    start = [sg.tensor(draw(rng, 2, 3)) for _ in range(layer.cell.states)]

    y, *states = layer(draw(rng, 2, 4, 3), initial_state=start, mask=np.zeros((2, 4), bool))

    assert not y.numpy().any()
    for found, expected in zip(states, start, strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_recurrent_dropout_with_a_mask_leaves_masked_steps_out(rng):
    layer = layers.GRU(4, recurrent_dropout=0.4, seed=1, return_sequences=True)

    y = layer(draw(rng, 2, 4, 3), mask=MASK, training=True).numpy()

    np.testing.assert_array_equal(y[0, 2:], np.repeat(y[0, 1:2], 2, axis=0))
    np.testing.assert_array_equal(y[1, 3], y[1, 2])


def test_with_initial_state_the_own_mask_of_the_sequences_is_not_used_and_said_so(rng):
    layer, x = layers.GRU(3), embedded()
    start = [sg.zeros((2, 3))]

    with pytest.warns(UserWarning, match=r"give mask=x\.mask") as seen:
        y = layer(x, initial_state=start)

    assert seen[0].filename == __file__
    np.testing.assert_array_equal(y.numpy(), layer(sg.tensor(x.numpy())).numpy())
    np.testing.assert_allclose(layer(x, initial_state=start, mask=x.mask).numpy(), layer(x).numpy(), rtol=1e-6)


# Mistakes.


@pytest.mark.parametrize(("make", "message"), [
    (lambda x: layers.LSTM(2, name="mine")(x, mask=np.ones((2, 3), bool)), r"must be \(2, 4\).*got bool\[2, 3\]"),
    (lambda x: layers.GRU(2, name="mine")(x, mask=np.ones((4,), bool)), r"must be \(2, 4\).*got bool\[4\]"),
    (lambda x: layers.LSTM(2, name="mine")(x, mask=np.full((2, 4), "x")), r"must be \(2, 4\).*got string\[2, 4\]"),
    (lambda x: layers.LSTM(2, name="mine")(x, mask="all"), r"must be \(2, 4\).*got 'all'"),
    (lambda x: layers.TimeDistributed(layers.Dense(2), name="mine")(x, mask=np.ones((2,), bool)),
     r"must be \(2, 4, \.\.\.\).*got bool\[2\]"),
    (lambda x: layers.GlobalAveragePooling1D(name="mine")(x, mask=np.ones((2, 5), bool)), r"got bool\[2, 5\]"),
    (lambda x: layers.BatchNormalization(name="mine")(x, mask=np.ones((2, 4, 2), bool)), r"got bool\[2, 4, 2\]"),
    (lambda x: layers.Dense(2, name="mine")(x, mask=np.ones((2, 4), bool)), "takes no mask; .* arguments inputs"),
    (lambda x: layers.Softmax(name="mine")(x, mask=np.ones((2, 4), bool)), "must broadcast against the input"),
    (lambda x: layers.Concatenate(name="mine").compute_mask([x, x], [None]), "for each of the 2 inputs"),
    (lambda x: layers.Add(name="mine").compute_mask([x, x], sg.ones((2, 4), "bool")), "must be a list"),
    (lambda x: layers.Lambda(lambda x: x, mask=lambda x, mask: "all", name="mine")(x), "compute_mask must return"),
    (lambda x: layers.Lambda(lambda x: x + 1, mask=np.full((2, 4), "x"), name="mine")(x), "compute_mask must return"),
])
def test_a_wrong_mask_is_named(rng, make, message):
    with pytest.raises(LayerError, match=message) as found:
        make(draw(rng, 2, 4, 3))

    assert '"mine"' in str(found.value)


def test_a_layer_without_masks_around_warns_of_nothing(rng):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.Flatten()(draw(rng, 2, 4, 3))
