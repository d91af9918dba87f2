"""Recurrent layers that keep their states from call to call: as Keras does, eagerly, in prediction and in training."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.errors import GraphError, LayerError
from symgraph.core.structure import flatten

HERE = Path(__file__).resolve().parent
CASES = json.loads((HERE / "stateful.json").read_text())
BATCH, STEPS, SIZE = 2, 3, 4
KINDS = ["SimpleRNN", "GRU", "LSTM"]


def label(case):
    inner = "+".join(each["layer"] for each in case.get("inner", ()))
    options = [f"{k}={v}" for k, v in case.get("arguments", {}).items() if k != "units"]
    return "-".join([case["layer"], *filter(None, [inner, *options, "mask" if case["mask"] else ""])])


every_case = pytest.mark.parametrize("number", range(len(CASES)), ids=map(label, CASES))


def recorded(number):
    with np.load(HERE / "stateful.npz") as file:
        return {k.split("/")[1]: file[k] for k in file.files if k.startswith(f"{number}/")}


def numbered(found, name):
    return [found[f"{name}{i}"] for i in range(sum(k.startswith(name) and k[len(name):].isdigit() for k in found))]


def make_layer(case):
    inner = [getattr(layers, each["layer"]) for each in case.get("inner", ())]
    if case["layer"] == "Bidirectional":
        return layers.Bidirectional(inner[0](stateful=True, **case["inner"][0]["arguments"]))
    if case["layer"] == "RNN":
        cells = [make(**each["arguments"]) for make, each in zip(inner, case["inner"], strict=True)]
        return layers.RNN(cells, stateful=True)
    return getattr(layers, case["layer"])(stateful=True, **case["arguments"])


def make_model(case, weights=None):
    x = y = sg.Input(batch_shape=(BATCH, STEPS, SIZE))
    if case["mask"]:
        y = layers.Masking()(y)
    layer = make_layer(case)
    y = layer(y)
    y = y[:, 0] if len(y.shape) == 3 else y
    model = sg.Model(x, layers.Dense(2)(y))
    if weights is not None:
        model.set_weights(weights)
    return model, layer


def states_of(layer):
    each = [layer] if isinstance(layer, layers.RNN) else [layer.forward_layer, layer.backward_layer]
    return [v.numpy() for one in each for v in flatten(one.states)]


def check(found, expected):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-5, atol=2e-6)


def check_all(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        check(a, b)


@every_case
def test_predicting_goes_on_where_it_ended_as_in_keras(number):
    found = recorded(number)
    model, layer = make_model(CASES[number], numbered(found, "weight"))

    check(model.predict(found["x"], batch_size=BATCH), found["first"])
    check(model.predict(found["x"]), found["second"])
    check_all(states_of(layer), numbered(found, "state"))
    check(model.predict_on_batch(found["x"][:BATCH]), found["third"])
    check(model(found["x"][BATCH:2 * BATCH]), found["fourth"])


@every_case
def test_training_keeps_the_states_from_step_to_step_as_in_keras(number):
    found = recorded(number)
    model, layer = make_model(CASES[number], numbered(found, "weight"))
    model.compile(sg.optimizers.SGD(0.1), "mse")

    history = model.fit(found["x"], found["y"], batch_size=BATCH, shuffle=False, epochs=2, verbose=0)

    check(history.history["loss"], found["losses"][0])
    check_all(states_of(layer), numbered(found, "trained_state"))


@every_case
def test_training_with_states_that_start_anew_in_every_epoch_as_in_keras(number):
    found = recorded(number)
    model, _ = make_model(CASES[number], numbered(found, "weight"))
    model.compile(sg.optimizers.SGD(0.1), "mse")
    model.predict(found["x"])
    begin = sg.callbacks.LambdaCallback(on_epoch_begin=lambda *_: model.reset_states())

    history = model.fit(found["x"], found["y"], batch_size=BATCH, shuffle=False, epochs=2, verbose=0, callbacks=[begin])

    check(history.history["loss"], found["losses"][1])
    check(model.evaluate(found["x"], found["y"], batch_size=BATCH, verbose=0), found["evaluated"])
    check_all(model.get_weights(), numbered(found, "trained_weight"))


@every_case
def test_eager_training_keeps_the_same_states(number):
    found = recorded(number)
    model, layer = make_model(CASES[number], numbered(found, "weight"))
    model.compile(sg.optimizers.SGD(0.1), "mse", run_eagerly=True)

    history = model.fit(found["x"], found["y"], batch_size=BATCH, shuffle=False, epochs=2, verbose=0)

    check(history.history["loss"], found["losses"][0])
    check_all(states_of(layer), numbered(found, "trained_state"))


@every_case
def test_states_are_none_of_the_weights(number):
    model, layer = make_model(CASES[number])
    states = [v for one in ([layer] if isinstance(layer, layers.RNN) else [layer.forward_layer, layer.backward_layer])
              for v in flatten(one.states)]

    for holder in (layer, model):
        assert not set(states) & set((*holder.weights, *holder.variables, *holder.non_trainable_weights))
        assert all(v.trainable for v in holder.weights)
    assert all(not v.trainable and v.name.endswith("/rnn_state") for v in states)


# Layers alone.


def draw(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def halves(kind, rng, **options):
    """A layer that keeps its states, one that does not, with the same weights; sequences of 6 steps."""
    kept, plain = getattr(layers, kind)(5, stateful=True, **options), getattr(layers, kind)(5, **options)
    x = draw(rng, BATCH, 6, SIZE)
    plain(x)
    kept(x)
    kept.set_weights(plain.get_weights())
    kept.reset_state()
    return kept, plain, x


@pytest.mark.parametrize("options", [{}, {"activation": "relu"}, {"return_sequences": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_two_halves_of_a_sequence_are_the_whole(kind, options, rng):
    kept, plain, x = halves(kind, rng, **options)

    found = [kept(x[:, :3]).numpy(), kept(x[:, 3:]).numpy()]

    expected = plain(x).numpy()
    check(np.concatenate(found, axis=1) if expected.ndim == 3 else found[1], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_states_returned_are_those_kept(kind, rng):
    kept, _, x = halves(kind, rng, return_state=True)

    _, *states = kept(x)

    for a, b in zip(states, kept.states, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("kind", KINDS)
def test_initial_states_that_are_given_are_used_and_the_last_ones_kept(kind, rng):
    kept, plain, x = halves(kind, rng, return_state=True)
    given = [sg.tensor(draw(rng, BATCH, 5)) for _ in kept.states]
    kept(x)

    y, *_ = kept(x, initial_state=given)

    expected, *last = plain(x, initial_state=given)
    check(y, expected)
    check_all([v.numpy() for v in kept.states], last)


def test_a_step_that_is_left_out_leaves_the_state():
    kept = layers.GRU(3, stateful=True)
    x, nothing = np.ones((BATCH, STEPS, SIZE), np.float32), np.zeros((BATCH, STEPS), bool)
    kept(x)
    before = kept.states[0].numpy()

    kept(x, mask=np.array([[False] * STEPS, [True] * STEPS]))
    one_goes_on = kept.states[0].numpy()
    kept(x, mask=nothing)

    np.testing.assert_array_equal(one_goes_on[0], before[0])
    assert not np.array_equal(one_goes_on[1], before[1])
    np.testing.assert_array_equal(kept.states[0].numpy(), one_goes_on)


def test_states_of_stacked_cells_are_nested_as_the_cells_are(rng):
    cells = [layers.LSTMCell(3), layers.StackedRNNCells([layers.GRUCell(2), layers.SimpleRNNCell(4)])]
    layer = layers.RNN(cells, return_state=True, stateful=True)

    _, *states = layer(draw(rng, BATCH, STEPS, SIZE))

    shapes = [[(2, 3), (2, 3)], [[(2, 2)], [(2, 4)]]]
    assert [[s.shape for s in states[0]], [[s.shape for s in each] for each in states[1]]] == shapes
    assert [[v.shape for v in layer.states[0]], [[v.shape for v in each] for each in layer.states[1]]] == shapes
    assert layer.cell.state_size == [[3, 3], [2, 4]]
    for a, b in zip(flatten(states), flatten(layer.states), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_states_of_stacked_cells_are_taken_nested_or_flat(rng):
    layer = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])
    x, (h, c, g) = draw(rng, BATCH, STEPS, SIZE), (sg.tensor(draw(rng, BATCH, n)) for n in (3, 3, 2))

    nested, flat = layer(x, initial_state=[[h, c], [g]]), layer(x, initial_state=[h, c, g])

    np.testing.assert_array_equal(nested.numpy(), flat.numpy())
    assert not np.array_equal(nested.numpy(), layer(x).numpy())


class Counting(layers.Layer):
    """A cell that starts from 10 and adds the mean of its inputs."""

    state_size = 1

    def get_initial_state(self, batch_size):
        return sg.ones((batch_size, 1)) * 10.0

    def call(self, inputs, states):
        y = states[0] + sg.mean(inputs, axis=-1, keepdims=True)
        return y, [y]


def test_a_cell_of_ones_own_says_where_states_start():
    layer = layers.RNN(Counting(), stateful=True)
    ones = np.ones((BATCH, STEPS, SIZE), np.float32)

    found = [layer(ones).tolist()[0] for _ in range(2)]
    layer.reset_state()

    assert found == [[13.0], [16.0]] and layer(ones).tolist()[0] == [13.0]


def test_a_shared_layer_goes_on_from_call_to_call_within_a_model(rng):
    layer = layers.SimpleRNN(3, stateful=True)
    a, b = (sg.Input(batch_shape=(BATCH, STEPS, SIZE), name=name) for name in "ab")
    model = sg.Model([a, b], [layer(a), layer(b)])
    x = draw(rng, BATCH, 2 * STEPS, SIZE)

    _, last = model.predict([x[:, :STEPS], x[:, STEPS:]])

    plain = layers.SimpleRNN(3)
    plain(x)
    plain.set_weights(layer.get_weights())
    check(last, plain(x))


@pytest.mark.parametrize("policy", ["float64", "mixed_float16"])
def test_states_have_the_dtype_of_the_weights(policy, rng):
    layer = layers.LSTM(3, stateful=True, dtype=policy)
    x = sg.Input(batch_shape=(BATCH, STEPS, SIZE))
    model = sg.Model(x, layer(x))

    y = model.predict(draw(rng, 2 * BATCH, STEPS, SIZE))

    assert y.dtype == layer.compute_dtype and {v.dtype for v in layer.states} == {layer.variable_dtype}
    check(layer.states[0].numpy(), y[BATCH:])


def test_a_custom_training_loop_keeps_states_and_cuts_gradients_between_steps(rng):
    layer = layers.GRU(3, stateful=True)
    x = draw(rng, BATCH, STEPS, SIZE)
    layer(x)

    @sg.function
    def slope(x):
        with sg.GradientTape() as tape:
            loss = sg.sum(layer(x) ** 2)
        return tape.gradient(loss, layer.trainable_weights)

    plain = layers.GRU(3)
    plain(x)
    plain.set_weights(layer.get_weights())
    with sg.GradientTape() as tape:
        loss = sg.sum(plain(x, initial_state=[layer.states[0].value]) ** 2)
    expected = tape.gradient(loss, plain.trainable_weights)

    check_all(slope(x), [dw.numpy() for dw in expected])
    check(layer.states[0].numpy(), plain(x, initial_state=[plain(x)]).numpy())


# Models.


def one_layer(**options):
    x = sg.Input(batch_shape=(BATCH, STEPS, SIZE))
    layer = layers.LSTM(3, stateful=True, **options)
    return sg.Model(x, layer(x)), layer


def test_predicting_with_a_bar_or_a_dataset_keeps_states_as_well(rng, capsys):
    x = draw(rng, 4 * BATCH, STEPS, SIZE)
    model, _ = one_layer()
    expected = model.predict(x)
    batches = [x[i:i + BATCH] for i in range(0, 8, BATCH)]
    ways = [lambda: model.predict(x, verbose=1), lambda: model.predict(iter(batches)),
            lambda: np.concatenate([model.predict_on_batch(batch) for batch in batches]),
            lambda: np.concatenate([model(batch).numpy() for batch in batches])]

    for way in ways:
        model.reset_state()
        np.testing.assert_allclose(way(), expected, rtol=1e-6, atol=1e-6)
    assert "4/4" in capsys.readouterr().out


def test_looking_at_a_tensor_inside_leaves_the_states(rng):
    model, layer = one_layer()
    x = draw(rng, BATCH, STEPS, SIZE)
    model.predict(x)
    before = states_of(layer)

    model.execute(x, layer.name)

    check_all(states_of(layer), before)


def test_models_inside_of_models_keep_and_reset_states(rng):
    inner, layer = one_layer()
    x = sg.Input(batch_shape=(BATCH, STEPS, SIZE))
    model = sg.Sequential([x, inner, layers.Dense(1)])
    data = draw(rng, BATCH, STEPS, SIZE)

    first, second = model.predict(data), model.predict(data)
    model.reset_states()

    assert not np.array_equal(first, second)
    assert not np.concatenate(states_of(layer)).any()
    np.testing.assert_array_equal(model.predict(data), first)


class Own(sg.Model):
    """A model with a call of its own."""

    def __init__(self):
        super().__init__()
        self.recurrent = layers.GRU(3, stateful=True)

    def call(self, inputs):
        return self.recurrent(inputs) * 2.0


def test_a_model_of_ones_own_is_called_on_a_batch_first(rng):
    model = Own()
    x = draw(rng, 4 * BATCH, STEPS, SIZE)
    model(x[:BATCH])
    model.reset_state()

    found = model.predict(x, batch_size=BATCH)

    model.reset_state()
    expected = [model(x[i:i + BATCH]).numpy() for i in range(0, len(x), BATCH)]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-6, atol=1e-6)


def test_a_clone_has_states_of_its_own(rng):
    model, layer = one_layer()
    model.predict(draw(rng, BATCH, STEPS, SIZE))

    twin = sg.utils.clone_model(model)

    (other,) = [each for each in twin.layers if isinstance(each, layers.LSTM)]
    assert other.stateful and not set(other.states) & set(layer.states)
    assert not np.concatenate(states_of(other)).any() and np.concatenate(states_of(layer)).any()
    assert len(twin.weights) == len(model.weights) == 3


def test_a_layer_of_ones_own_that_counts_its_calls_counts_predictions(rng):
    class Counter(layers.Layer):
        def build(self, input_shape):
            self.count = self.add_weight((), "zeros", trainable=False, name="count")

        def call(self, inputs):
            self.count.assign_add(1.0)
            return inputs

    layer, x = Counter(), sg.Input((3,))
    model = sg.Model(x, layer(x))

    model.predict(np.zeros((10, 3), np.float32), batch_size=4)

    assert float(layer.count) == 3.0


def test_an_interrupted_training_goes_on_with_its_states(rng, tmp_path):
    x, y = draw(rng, 4 * BATCH, STEPS, SIZE), draw(rng, 4 * BATCH, 3)
    options = dict(batch_size=BATCH, shuffle=False, verbose=0)

    def made():
        sg.utils.set_random_seed(1)
        model, layer = one_layer()
        model.compile("sgd", "mse")
        return model, layer

    class Interrupt(sg.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    whole, layer = made()
    whole.fit(x, y, epochs=4, **options)
    part, _ = made()
    with pytest.raises(KeyboardInterrupt):
        part.fit(x, y, epochs=4, callbacks=[sg.callbacks.BackupAndRestore(tmp_path / "backup"), Interrupt()], **options)
    resumed, other = made()

    resumed.fit(x, y, epochs=4, callbacks=[sg.callbacks.BackupAndRestore(tmp_path / "backup")], **options)

    for a, b in ((whole.get_weights(), resumed.get_weights()), (states_of(layer), states_of(other))):
        for found, expected in zip(a, b, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_saved_weights_hold_no_states(rng, tmp_path):
    model, layer = one_layer()
    x = draw(rng, BATCH, STEPS, SIZE)
    first = model.predict(x)
    model.save_weights(tmp_path / "weights.ckpt")
    other, _ = one_layer()

    other.load_weights(tmp_path / "weights.ckpt")

    np.testing.assert_allclose(other.predict(x), first, rtol=1e-6)
    assert np.concatenate(states_of(layer)).any()


# Files.


def test_an_exported_file_starts_every_run_with_the_present_states_and_a_warning_says_so(rng, tmp_path):
    model, layer = one_layer()
    x = draw(rng, BATCH, STEPS, SIZE)
    model.predict(x)
    with pytest.warns(UserWarning, match=rf"keeps no states; {layer.name}/rnn_state are constants.*return_state"):
        model.export(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])

    runs = [session.run(None, {session.get_inputs()[0].name: x})[0] for _ in range(2)]

    np.testing.assert_array_equal(*runs)
    np.testing.assert_allclose(runs[0], model.predict(x), rtol=1e-5, atol=1e-6)


def test_a_file_of_a_training_step_has_the_states_among_its_state(rng, tmp_path):
    x, y = draw(rng, BATCH, STEPS, SIZE), draw(rng, BATCH, 3)
    model, layer = one_layer()
    model.compile("sgd", "mse")
    model.predict(x)
    model.export_train_step(tmp_path / "step.onnx", y=y)
    step = sg.TrainStep.load(tmp_path / "step.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "step.onnx", providers=["CPUExecutionProvider"])
    outputs, state = [output.name for output in session.get_outputs()], step.initial_state()

    losses = []
    for _ in range(3):
        results = dict(zip(outputs, session.run(None, {step.x[0]: x, step.y[0]: y, **state}), strict=True))
        state = {name: results[following] for name, following in step.state.items()}
        losses.append(results[step.loss])

    expected = [model.train_on_batch(x, y) for _ in range(3)]
    np.testing.assert_allclose(np.cumsum(losses) / [1, 2, 3], expected, rtol=1e-5)
    kept = [state[name] for name in step.state if "rnn_state" in name]
    check_all(kept, states_of(layer))
    step.load_into(other := one_layer()[0], state)
    np.testing.assert_allclose(other.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)


# What is refused.


def test_an_unknown_size_of_batches_is_refused_where_the_layer_is_built():
    with pytest.raises(LayerError, match=r"stateful: the size of the batches must be known.*batch_shape"):
        layers.GRU(3, stateful=True)(sg.Input((STEPS, SIZE)))


def test_a_batch_of_another_size_is_refused_and_the_states_stay(rng):
    layer = layers.GRU(3, stateful=True)
    layer(draw(rng, BATCH, STEPS, SIZE))
    before = states_of(layer)

    with pytest.raises(LayerError, match=r"states of a batch of 2, and got one of 3; give it only batches of 2"):
        layer(draw(rng, 3, STEPS, SIZE))
    check_all(states_of(layer), before)


@pytest.mark.parametrize("verbose", [0, 1])
def test_samples_that_do_not_make_whole_batches_are_refused_before_anything_runs(verbose, rng):
    model, layer = one_layer()

    with pytest.raises(LayerError, match=r"batches of exactly 2, got 5 samples"):
        model.predict(draw(rng, 5, STEPS, SIZE), verbose=verbose)
    assert not np.concatenate(states_of(layer)).any()


def test_training_in_batches_of_another_size_is_refused(rng):
    model, _ = one_layer()
    model.compile("sgd", "mse")

    with pytest.raises(LayerError, match=r"a batch of 2, and got one of 8; .*batch_size=2"):
        model.fit(draw(rng, 8, STEPS, SIZE), draw(rng, 8, 3), verbose=0)


def test_a_function_for_batches_of_any_size_is_refused(rng):
    layer = layers.GRU(3, stateful=True)
    f = sg.function(lambda x: layer(x))
    f(draw(rng, BATCH, STEPS, SIZE))

    with pytest.raises(LayerError, match=r"a batch of 2, and got one of unknown size"):
        f(draw(rng, 3, STEPS, SIZE))


def test_a_layer_that_keeps_states_in_a_loop_is_refused(rng):
    layer = layers.GRU(3, stateful=True)
    layer(draw(rng, BATCH, STEPS, SIZE))

    with pytest.raises(GraphError, match=r"assigns variable .*rnn_state"):
        sg.function(lambda xs: sg.map(layer, xs))(draw(rng, 4, BATCH, STEPS, SIZE))


def test_both_directions_keep_states_or_none():
    with pytest.raises(LayerError, match="stateful of both layers must be the same"):
        layers.Bidirectional(layers.GRU(3), backward_layer=layers.GRU(3, go_backwards=True, stateful=True))


def test_a_layer_without_states_has_nothing_to_reset():
    layer = layers.Bidirectional(layers.GRU(3))
    layer(np.ones((BATCH, STEPS, SIZE), np.float32))

    layer.reset_state()

    assert layer.forward_layer.states is None and not layer.stateful
