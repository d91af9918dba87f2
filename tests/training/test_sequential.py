import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import LayerError, ShapeError


def layers():
    return [sg.layers.Dense(4, activation="relu", name="a"), sg.layers.Dense(2, name="b")]


def functional(name):
    x = sg.Input((3,))
    return sg.Model(x, sg.layers.Dense(4, activation="relu")(x), name=name)


@pytest.mark.parametrize("build", [
    lambda: sg.Sequential([sg.Input((3,)), *layers()]),
    lambda: sg.Sequential([sg.layers.InputLayer((3,)), *layers()]),
    lambda: sg.Sequential([sg.layers.Dense(4, activation="relu", name="a", input_shape=(3,)), layers()[1]]),
    lambda: sg.Sequential([sg.layers.Dense(4, activation="relu", name="a", input_dim=3), layers()[1]]),
    lambda: sg.Sequential([sg.Sequential([sg.Input((3,)), layers()[0]], name="a"), layers()[1]]),
    lambda: sg.Sequential([functional("a"), layers()[1]]),
    lambda: sg.Sequential([sg.Model.from_graph(functional("a").graph, name="a"), layers()[1]]),
], ids=["Input", "InputLayer", "input_shape", "input_dim", "Sequential", "Model", "graph"])
def test_a_known_input_builds_at_once(build):
    model = build()

    assert model.built
    assert [layer.name for layer in model.layers] == ["a", "b"]
    assert model.output.shape == (None, 2)
    assert model.count_params() == 26


@pytest.mark.parametrize("touch", [
    lambda model: model.build((None, 3)),
    lambda model: model(np.ones((2, 3), np.float32)),
    lambda model: model.predict(np.ones((2, 3), np.float32)),
    lambda model: model(sg.Input((3,))),
], ids=["build", "call", "predict", "symbol"])
def test_an_unknown_input_is_built_later(touch):
    model = sg.Sequential(layers())

    assert not model.built
    touch(model)
    assert model.count_params() == 26 and model.input.shape == (None, 3)


def test_before_it_is_built_it_says_what_is_missing():
    with pytest.raises(LayerError, match="no inputs and outputs yet"):
        _ = sg.Sequential(layers()).outputs
    with pytest.raises(LayerError, match="no layers"):
        sg.Sequential().predict(np.ones((2, 3), np.float32))


def test_a_model_at_the_bottom_that_was_made_for_data_leaves_the_input_open():
    inner = sg.Sequential(layers())
    inner(np.ones((2, 3), np.float32))

    assert not sg.Sequential([inner, sg.layers.Dense(1)]).built


def test_layers_are_added_and_taken_off():
    model = sg.Sequential([sg.Input((3,))])
    for layer in layers():
        model.add(layer)
    top = model.pop()

    assert top.name == "b"
    assert model.predict(np.ones((2, 3), np.float32)).shape == (2, 4)
    assert len(model.weights) == 2


def test_the_same_name_twice_is_refused():
    with pytest.raises(LayerError, match='"a"'):
        sg.Sequential([layers()[0], layers()[0]])


def test_weights_keep_their_names_when_built_late():
    model = sg.Sequential(layers())
    model.build((None, 3))

    assert [v.name for v in model.weights] == ["a/kernel", "a/bias", "b/kernel", "b/bias"]


def test_an_embedding_at_the_bottom_takes_whole_numbers():
    model = sg.Sequential([sg.layers.Embedding(10, 4, input_shape=(3,)), sg.layers.Flatten()])

    assert model.input.dtype == "int32"
    assert model.predict(np.int32([[1, 2, 3]])).shape == (1, 12)


def test_building_a_layer_by_hand_builds_it_once():
    layer = sg.layers.Dense(2)
    layer.build((None, 3))

    assert layer(np.ones((1, 3), np.float32)).shape == (1, 2)
    assert len(layer.weights) == 2


def test_an_input_made_for_whole_numbers_takes_floats_that_follow():
    model = sg.Sequential([sg.layers.Dense(1, kernel_initializer="ones")])
    assert model.predict(np.array([[1], [2]])).tolist() == [[1], [2]]

    assert model.predict(np.array([[1.5], [2.5]])).tolist() == [[1.5], [2.5]]
    assert model(np.array([[0.5]])).numpy().tolist() == [[0.5]]
    assert len(model.weights) == 2


def test_an_input_made_for_data_takes_other_sizes_where_the_layers_do():
    model = sg.Sequential([sg.layers.Embedding(9, 4), sg.layers.GRU(3), sg.layers.Dense(1)])
    weights = [model.predict(np.ones((2, 5), np.int64), verbose=0)] and model.get_weights()

    assert model.predict(np.ones((2, 7), np.int64)).shape == model(np.ones((2, 6), np.int64)).shape == (2, 1)
    assert model.input.shape == (None, None)
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))


def test_sizes_that_the_layers_do_not_take_are_named_and_change_nothing():
    model = sg.Sequential([sg.layers.Dense(1)])
    model.predict(np.ones((2, 4), np.float32))

    with pytest.raises(ShapeError, match=r"got float32\[2, 3\], expected float32\[\?, 4\]"):
        model.predict(np.ones((2, 3), np.float32))
    assert model.input.shape == (None, 4) and model.predict(np.ones((2, 4), np.float32)).shape == (2, 1)
