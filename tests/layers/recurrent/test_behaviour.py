"""What the recorded numbers do not show: operators, dropout, cells alone, compiled training, errors."""

import json

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.errors import LayerError

KINDS = ["SimpleRNN", "GRU", "LSTM"]


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("kind", "operator"), [("SimpleRNN", "RNN"), ("GRU", "GRU"), ("LSTM", "LSTM")])
@pytest.mark.parametrize(("activation", "is_operator"), [("tanh", True), ("relu", False)])
def test_usual_activations_are_one_operator_and_others_a_scan(kind, operator, activation, is_operator):
    symbol = layers.Input((None, 3))

    y = getattr(layers, kind)(4, activation=activation)(symbol)

    found, rest = set(), [y]
    while rest:
        x = rest.pop()
        if getattr(x, "node", None) is not None:
            found.add(x.node.op.name)
            rest += [i for i in x.node.inputs if isinstance(i, sg.SymbolicTensor)]
    assert (operator in found, "Scan" in found) == (is_operator, not is_operator)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_step_by_step_is_the_layer(rng, kind):
    layer, cell = getattr(layers, kind)(4, return_state=True), getattr(layers, f"{kind}Cell")(4)
    x = draw(rng, 2, 5, 3)
    y, *states = layer(x)
    state = cell.get_initial_state(2)
    cell(x[:, 0], state)
    cell.set_weights(layer.get_weights())

    for i in range(5):
        h, state = cell(x[:, i], state)

    np.testing.assert_allclose(h.numpy(), y.numpy(), rtol=1e-5, atol=1e-6)
    for found, expected in zip(state, states, strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}])
def test_dropout_disturbs_training_only(rng, kind, rates):
    layer, plain = getattr(layers, kind)(8, seed=3, **rates), getattr(layers, kind)(8)
    x = draw(rng, 4, 5, 6)
    layer(x)
    plain(x)
    plain.set_weights(layer.get_weights())

    np.testing.assert_array_equal(layer(x).numpy(), plain(x).numpy())
    assert np.abs(layer(x, training=True).numpy() - plain(x).numpy()).max() > 1e-3


def test_dropout_drops_the_same_inputs_at_every_step():
    layer = layers.SimpleRNN(3, activation="linear", kernel_initializer="identity", recurrent_initializer="zeros",
                             dropout=0.5, seed=1, return_sequences=True)

    y = layer(np.ones((50, 4, 3), np.float32), training=True).numpy()

    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.repeat(y[:, :1], 4, axis=1))


def test_the_bias_of_the_forget_gate_starts_as_one():
    layer = layers.LSTM(2)
    layer.apply(layers.Input((None, 3)))

    assert layer.get_weights()[2].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_mask_in_front_and_behind_is_the_sequence_without_those_steps(rng):
    layer = layers.GRU(4)
    x = draw(rng, 1, 6, 3)

    y = layer(x, mask=np.array([[False, True, True, True, False, False]]))

    np.testing.assert_allclose(y.numpy(), layer(x[:, 1:4]).numpy(), rtol=1e-5, atol=1e-6)


def test_several_cells_are_layers_one_on_the_other(rng):
    lower, upper = layers.LSTM(4, return_sequences=True), layers.GRU(5)
    stacked = layers.RNN([layers.LSTMCell(4), layers.GRUCell(5)], return_state=True)
    x = draw(rng, 2, 6, 3)
    expected = upper(lower(x))
    stacked(x)
    stacked.set_weights([*lower.get_weights(), *upper.get_weights()])

    y, *states = stacked(x)

    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    assert [[s.shape for s in each] for each in states] == [[(2, 4), (2, 4)], [(2, 5)]]


@pytest.mark.parametrize("options", [{}, {"activation": "relu"}, {"dropout": 0.3}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_step_trains(rng, kind, options):
    layer = getattr(layers, kind)(4, seed=1, **options)
    x, target = draw(rng, 8, 5, 3), draw(rng, 8, 4) * 0.1
    layer(x)
    layer.set_weights([draw(rng, *w.shape) * 0.5 for w in layer.get_weights()])

    @sg.function
    def step(x, target):
        with sg.GradientTape() as tape:
            loss = ((layer(x, training=True) - target) ** 2).mean()
        for v, g in zip(layer.trainable_weights, tape.gradient(loss, layer.trainable_weights), strict=True):
            v.assign(v - 0.1 * g)
        return loss

    def error():
        return float(np.mean((layer(x).numpy() - target) ** 2))

    before = error()
    for _ in range(30):
        step(x, target)

    assert error() < 0.8 * before


def test_bidirectional_makes_its_layers_anew(rng):
    inner = layers.LSTM(4, name="mine")
    layer = layers.Bidirectional(inner)

    layer(draw(rng, 2, 5, 3))

    assert not inner.weights
    assert [v.path.split("/")[1] for v in layer.weights] == ["forward_mine"] * 3 + ["backward_mine"] * 3


def test_bidirectional_makes_cells_anew_and_comes_back_from_its_configuration(rng):
    cells = [layers.GRUCell(3), layers.LSTMCell(2)]
    layer = layers.Bidirectional(layers.RNN(cells, return_sequences=True), merge_mode=None)
    x = draw(rng, 2, 5, 3)
    layer(x)

    twin = layers.Bidirectional.from_config(json.loads(json.dumps(layer.get_config())))
    twin(x)
    twin.set_weights(layer.get_weights())

    assert len(layer.weights) == 12
    for found, expected in zip(twin(x), layer(x), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_time_distributed_is_the_layer_at_every_step(rng):
    inner = layers.Conv2D(2, 3)
    x = draw(rng, 2, 4, 6, 6, 3)

    y = layers.TimeDistributed(inner)(x).numpy()

    for i in range(4):
        np.testing.assert_allclose(y[:, i], inner(x[:, i]).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU"])
def test_a_cell_takes_its_one_state_by_itself_and_gives_it_so(rng, kind):
    cell, x, h = getattr(layers, f"{kind}Cell")(4), draw(rng, 2, 3), draw(rng, 2, 4)
    y, (state,) = cell(x, [h])

    alone, alone_state = cell(x, h)

    assert np.array_equal(alone, y) and np.array_equal(alone_state, state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_whole_numbers_are_sequences_as_well(rng, kind, activation):
    layer, x = getattr(layers, kind)(4, activation), rng.integers(-2, 3, (2, 5, 3))

    assert np.array_equal(layer(x), layer(x.astype(np.float32)))


def of_size_3(layer):
    layer(np.ones((2, 5, 3), np.float32))
    return layer


@pytest.mark.parametrize(("make", "message"), [
    (lambda: layers.LSTM(0), "units must be a whole number from 1 on, got 0"),
    (lambda: layers.LSTM(4, activation="tanj"), "tanh"),
    (lambda: layers.LSTM(4, dropout=2), "dropout must be a number from 0 to 1"),
    (lambda: layers.LSTM(4)(np.ones((2, 3), np.float32)), "expects 3 dimensions"),
    (lambda: layers.LSTM(4)(np.ones((2, 3, 4, 5), np.float32)), "expects 3 dimensions"),
    (lambda: layers.RNN(layers.LSTMCell(4))(np.ones((2, 3), np.float32)), "expects at least 3 dimensions"),
    (lambda: layers.RNN([]), "needs at least one cell"),
    (lambda: of_size_3(layers.GRU(4))(np.ones((2, 5, 4), np.float32)), "whose last dimension is 3"),
    (lambda: layers.LSTM(4)(np.ones((2, 5, 3), np.float32), initial_state=[np.ones((2, 4), np.float32)]),
     "initial_state must be 2 states, got 1"),
    (lambda: layers.GRU(4)(np.ones((2, 5, 3), np.float32), initial_state=np.ones((2, 3), np.float32)),
     r"expects an initial_state of shape \(2, 4\), got float32\[2, 3\]"),
    (lambda: layers.GRU(4, "relu")(np.ones((2, 5, 3), np.float32), initial_state=np.ones((1, 4), np.float32)),
     r"expects an initial_state of shape \(2, 4\), got float32\[1, 4\]"),
    (lambda: layers.LSTMCell(4)(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)),
     "expects a list of 2 states, got 1"),
    (lambda: layers.GRUCell(4)(np.ones((2, 3), np.float32), []), "expects a list of 1 states, got 0"),
    (lambda: layers.GRUCell(4)(np.ones((2, 3), np.float32), [np.ones((2, 3), np.float32)]),
     r"expects states of shape \(batch, 4\), got float32\[2, 3\]"),
    (lambda: layers.RNN(layers.Dense(3)), "a cell is a layer"),
    (lambda: layers.Bidirectional(layers.Dense(3)), "needs recurrent layers"),
    (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), "merge_mode must be one of"),
    (lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)), "go_backwards"),
    (lambda: layers.Bidirectional(layers.GRU(4))(np.ones((2, 5, 3), np.float32), np.ones((2, 4), np.float32)),
     "initial_state is a list, .*; got one tensor"),
    (lambda: layers.Bidirectional(layers.GRU(4))(np.ones((2, 5, 3), np.float32), [np.ones((2, 4), np.float32)]),
     "initial_state is a list, .*; got 1"),
    (lambda: layers.TimeDistributed(3), "needs a layer, got 3"),
    (lambda: layers.TimeDistributed({"class_name": "Dnse", "config": {}}), "Dnse"),
])
def test_mistakes_are_named(make, message):
    with pytest.raises(LayerError, match=message):
        make()
