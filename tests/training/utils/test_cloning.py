"""clone_model: the same layers anew, in models of every kind."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.utils import clone_model, get_source_inputs, is_keras_tensor

layers = sg.layers


def sequential():
    return sg.Sequential([sg.Input((4,), name="x"), layers.Dense(3, activation="relu", name="a"),
                          layers.Dense(2, name="b", kernel_regularizer="l2")], name="stack")


def functional():
    x = sg.Input((4,), name="x")
    hidden = layers.Dense(4, activation="tanh", name="shared")
    y = layers.add([hidden(hidden(x)), x])
    return sg.Model(x, layers.Dense(2, name="head")(layers.Dropout(0.5, name="drop")(y)), name="network")


def several():
    a, b = sg.Input((4,), name="a"), sg.Input((3,), name="b", batch_size=None)
    y = layers.concatenate([layers.Dense(2)(a), b])
    return sg.Model({"a": a, "b": b}, {"sum": sg.sum(y, axis=-1), "y": layers.Dense(1)(y * 2.0)}, name="several")


def nested():
    x = sg.Input((4,), name="x")
    return sg.Model(x, sequential()(functional_to_four()(x)), name="outer")


def functional_to_four():
    x = sg.Input((4,), name="inner_x")
    return sg.Model(x, layers.Dense(4, name="inner_dense")(x), name="inner")


def with_variables():
    x = sg.Input((4,), name="x")
    w = sg.Variable(np.float32([1, 2, 3, 4]), name="w")
    return sg.Model(x, x * w, name="ops")


def wrapped():
    x = sg.Input((5, 4), name="x")
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both")(x)
    y = layers.TimeDistributed(layers.Dense(2), name="each")(y)
    return sg.Model(x, layers.BatchNormalization(name="norm")(y), name="wrapped")


def masked():
    x = sg.Input((5,), name="x", dtype="int32")
    y = layers.Embedding(7, 3, mask_zero=True, name="words")(x)
    return sg.Model(x, layers.GRU(2, name="gru")(y), name="masked")


MODELS = {f.__name__: f for f in (sequential, functional, several, nested, with_variables, wrapped, masked)}


def data(model):
    rng = np.random.default_rng(0)
    values = {x.name: rng.integers(0, 7, (6, *x.shape[1:])).astype(x.dtype) for x in model.inputs}
    return values if len(values) > 1 else next(iter(values.values()))


def flat(result):
    return [np.asarray(x) for x in (result.values() if isinstance(result, dict) else [result])]


@pytest.mark.parametrize("name", MODELS)
def test_a_twin_with_the_same_weights_computes_the_same(name):
    model = MODELS[name]()

    twin = clone_model(model)
    twin.set_weights(model.get_weights())

    assert type(twin) is type(model) and twin.name == model.name
    assert [w.name for w in twin.weights] == [w.name for w in model.weights]
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    assert [type(layer) for layer in twin.layers] == [type(layer) for layer in model.layers]
    assert twin.input_names == model.input_names
    for found, wanted in zip(flat(twin.predict(data(model))), flat(model.predict(data(model))), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", MODELS)
def test_a_twin_shares_nothing(name):
    model = MODELS[name]()
    before = [np.array(w) for w in model.get_weights()]

    twin = clone_model(model)
    twin.set_weights([w + 1 for w in twin.get_weights()])

    assert not set(twin.weights) & set(model.weights)
    assert not any(a is b for a in twin.layers for b in model.layers)
    for found, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_first_values_are_drawn_anew():
    model = functional()

    twin = clone_model(model)

    assert not np.array_equal(twin.get_layer("head").kernel.numpy(), model.get_layer("head").kernel.numpy())


def test_a_shared_layer_is_shared_in_the_twin():
    twin = clone_model(functional())

    assert sum(w.name.startswith("shared") for w in twin.weights) == 2


def test_dropout_of_a_twin_drops_in_training():
    twin = clone_model(functional())
    x = np.ones((50, 4), np.float32)

    assert not np.array_equal(twin(x, training=True).numpy(), twin(x, training=True).numpy())
    np.testing.assert_array_equal(twin(x).numpy(), twin(x).numpy())


def test_what_is_frozen_stays_frozen():
    model = functional()
    model.get_layer("shared").trainable = False

    twin = clone_model(model)

    assert [w.name for w in twin.trainable_weights] == [w.name for w in model.trainable_weights]
    model.trainable = False
    assert clone_model(model).trainable_weights == []


def test_a_stack_that_is_not_built_stays_so():
    model = sg.Sequential([layers.Dense(3), layers.Dense(2)])

    twin = clone_model(model)

    assert not twin.built and twin.predict(np.ones((2, 5), np.float32)).shape == (2, 2)
    assert not model.built


def test_an_imported_model_can_be_cloned(tmp_path):
    model = sequential()
    model.export(tmp_path / "model.onnx")
    imported = sg.load_onnx(tmp_path / "model.onnx", trainable=True)

    twin = clone_model(imported)

    assert not set(twin.weights) & set(imported.weights) and len(twin.weights) == len(imported.weights)
    np.testing.assert_array_equal(twin.predict(data(model)), imported.predict(data(model)))


def test_functions_and_classes_among_the_arguments_need_not_be_registered():
    class Threes(sg.initializers.Initializer):
        def values(self, shape, dtype):
            return np.full(shape, 3.0)

    def halve(x):
        return x / 2

    x = sg.Input((2,))
    model = sg.Model(x, layers.Dense(1, activation=halve, kernel_initializer=Threes())(
        layers.Activation(lambda x: x + 1)(x)))

    twin = clone_model(model)

    assert twin.predict(np.ones((1, 2), np.float32)).tolist() == [[6.0]]


def test_a_model_class_without_a_call_of_its_own_is_kept():
    class Custom(sg.Model):
        pass

    x = sg.Input((2,))
    assert type(clone_model(Custom(x, layers.Dense(1)(x)))) is Custom


def test_a_model_with_a_call_of_its_own_is_made_from_its_config():
    class Own(sg.Model):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units, self.dense = units, layers.Dense(units)

        def call(self, inputs):
            return self.dense(inputs)

    with pytest.raises(sg.LayerError, match="Own, which must define get_config"):
        clone_model(Own(3))
    Own.get_config = lambda self: {"units": self.units}
    assert clone_model(Own(3)).predict(np.ones((2, 2), np.float32)).shape == (2, 3)


# Arguments.


def test_input_tensors_are_built_upon():
    x = sg.Input((4,), batch_size=7, name="mine")

    assert clone_model(functional(), input_tensors=x).inputs == [x]
    assert clone_model(functional(), input_tensors=[x * 2.0]).outputs[0].shape == (7, 2)
    assert clone_model(sequential(), input_tensors=x).inputs == [x]


@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_clone_function_makes_the_layers(name):
    def wider(layer):
        config = layer.get_config()
        if isinstance(layer, layers.Dense) and layer.name in ("b", "head"):
            config["units"] = 9
        return type(layer).from_config(config)

    assert clone_model(MODELS[name](), clone_function=wider).output_shape == (None, 9)


def test_clone_function_is_asked_for_models_inside_or_for_their_layers():
    seen = []

    def noted(layer):
        seen.append(layer.name)
        return clone_model(layer) if isinstance(layer, sg.Model) else type(layer).from_config(layer.get_config())

    clone_model(nested(), clone_function=noted)
    whole = list(seen)
    seen.clear()
    clone_model(nested(), clone_function=noted, recursive=True)

    assert whole == ["inner", "stack"]
    assert seen == ["inner_dense", "a", "b"]


def test_call_function_applies_the_layers():
    seen = []

    def call(layer, *args, **kwargs):
        seen.append(layer.name)
        return layer(*args, **kwargs)

    twin = clone_model(functional(), call_function=call)

    assert seen[:2] == ["shared", "shared"] and seen[-2:] == ["drop", "head"] and twin.output_shape == (None, 2)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: clone_model(layers.Dense(2)), "expects a model"),
    (lambda: clone_model(functional(), recursive=True), "give clone_function"),
    (lambda: clone_model(functional(), clone_function=lambda layer: None), "must return a layer, got None"),
    (lambda: clone_model(functional(), input_tensors=[sg.Input((4,)), sg.Input((4,))]), "has 1 inputs"),
    (lambda: clone_model(functional(), input_tensors=np.ones((1, 4))), "which are symbols"),
    (lambda: clone_model(sequential(), input_tensors=sg.Input((4,)) * 2.0), "starts at an sg.Input"),
    (lambda: clone_model(sequential(), input_tensors=[sg.Input((4,))] * 2), "one input, got 2"),
    (lambda: clone_model(sequential(), call_function=lambda layer, x: x), "call_function is for"),
])
def test_what_cannot_be_done_is_told(make, words):
    with pytest.raises(sg.LayerError, match=words):
        make()


def test_a_variable_inside_of_a_loop_is_not_copied_quietly():
    x, w = sg.Input((4,), name="x"), sg.Variable(np.float32(2), name="w")
    y = sg.ops.fori_loop(0, 3, lambda i, y: y * w, x)

    with pytest.raises(sg.LayerError, match="'w' inside of a loop"):
        clone_model(sg.Model(x, y * w))


# Where symbols come from.


def test_source_inputs_come_in_the_order_of_use():
    a, b, c = (sg.Input((2,), name=n) for n in "abc")
    y = layers.add([c, a]) + sg.ops.fori_loop(0, 2, lambda i, y: y * b, a)

    assert get_source_inputs(y) == [c, a, b]
    assert get_source_inputs([a, y]) == [a, c, b]
    with pytest.raises(sg.GraphError, match="only symbols"):
        get_source_inputs(np.ones(2))


def test_symbols_are_told_from_values():
    x = sg.Input((2,))

    assert is_keras_tensor(x) and is_keras_tensor(x + 1)
    assert not any(map(is_keras_tensor, (sg.tensor([1.0]), sg.Variable(1.0), np.ones(2), None)))


def test_arrays_among_the_arguments_are_kept():
    x = sg.Input((3, 2))
    model = sg.Model(x, layers.Masking(mask_value=np.float32([1, 2]))(x))

    assert clone_model(model).layers[1].mask_value.tolist() == [1, 2]


@pytest.mark.parametrize("name", ["sequential", "functional"])
def test_a_compiled_model_gives_a_compiled_one_at_its_start(name):
    model = MODELS[name]()
    metric = sg.metrics.MeanAbsoluteError(name="distance")
    model.compile(sg.optimizers.Adam(0.5), sg.losses.Huber(2.0), metrics=[metric, "mse"])
    x, y = np.ones((8, 4), np.float32), np.zeros((8, 2), np.float32)
    model.fit(x, y, epochs=2, verbose=0)

    twin = clone_model(model)

    assert twin.compiled and twin.optimizer is not model.optimizer and twin.loss.delta == 2.0
    assert float(twin.optimizer.learning_rate) == 0.5 and int(twin.optimizer.iterations) == 0
    history = twin.fit(x, y, epochs=3, verbose=0).history
    assert set(history) == {"loss", "distance", "mse"} and int(twin.optimizer.iterations) == 3
    assert int(model.optimizer.iterations) == 2
