"""NanGuard stops at the step, says where it came from, and leaves the model as it was before."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.training.callbacks import NanGuard, TerminateOnNaN
from symgraph.training.non_finite import describe, find_non_finite


def data(rng):
    return rng.normal(size=(64, 4)).astype(np.float32), rng.normal(size=(64, 3)).astype(np.float32)


def model(*layers, optimizer="sgd", **options):
    made = sg.Sequential(list(layers) or [sg.layers.Dense(8, activation="relu", input_shape=(4,)), sg.layers.Dense(3)])
    made.compile(optimizer, "mse", **options)
    return made


def fit(made, x, y=None, guard=None, **options):
    arguments = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
    return made.fit(x, y, callbacks=[guard or NanGuard()], **arguments)


def is_finite(made):
    return all(np.isfinite(w).all() for w in made.get_weights())


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}], ids=["compiled", "eager"])
@pytest.mark.parametrize("spoil, text", [
    (lambda x, y, w: y.__setitem__((20, 1), np.nan),
     r"the loss is nan after step 3 of epoch 1: the target y is nan at \[4, 1\] \(1 of 24 values\), in row 20 of the"),
    (lambda x, y, w: x.__setitem__(slice(17, 19), np.inf),
     r"after step 3 of epoch 1: the input 'data' is inf at \[1, 0\] \(8 of 32 values\), in rows 17, 18 of the data"),
    (lambda x, y, w: w.__setitem__(9, -np.inf),
     r"after step 2 of epoch 1: the sample weight is -inf at \[1\] \(1 of 8 values\), in row 9 of the data"),
], ids=["target", "input", "weight"])
def test_the_data_are_named_with_their_rows(spoil, text, options, rng):
    x, y = data(rng)
    weight = np.ones(64, np.float32)
    spoil(x, y, weight)
    made = sg.Model(symbol := sg.Input((4,), name="data"), sg.layers.Dense(3).apply(symbol))
    made.compile("sgd", "mse", **options)

    with pytest.raises(sg.core.errors.NonFiniteError, match=text):
        fit(made, x, y, sample_weight=weight)
    assert is_finite(made)


def test_rows_are_those_of_the_data_when_they_are_shuffled(rng):
    x, y = data(rng)
    y[41] = np.nan

    with pytest.raises(sg.core.errors.NonFiniteError, match="in row 41 of the data"):
        fit(model(), x, y, shuffle=True)


def test_the_right_one_of_several_inputs_and_outputs_is_named(rng):
    a, b = sg.Input((2,), name="a"), sg.Input((2,), name="b")
    made = sg.Model([a, b], [sg.layers.Dense(1, name="p").apply(a), sg.layers.Dense(1, name="q").apply(b)])
    made.compile("sgd", "mse")
    x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    bad = y.copy()
    bad[5] = np.nan

    with pytest.raises(sg.core.errors.NonFiniteError, match=r"the target y of output 'q'.* in row 5 of"):
        fit(made, [x, x], [y, bad])
    with pytest.raises(sg.core.errors.NonFiniteError, match="the input 'b' is nan"):
        fit(made, [x, x * np.nan], [y, y])


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}], ids=["compiled", "eager"])
def test_the_first_layer_that_goes_wrong_is_named(options, rng):
    x, y = data(rng)
    made = model(sg.layers.Dense(3, input_shape=(4,), name="fine"),
                 sg.layers.Activation(lambda t: sg.log(t), name="bad"), sg.layers.Dense(3, name="later"), **options)

    with pytest.raises(sg.core.errors.NonFiniteError, match=(
            r"the loss is nan after step 1 of epoch 1: the output of Log is nan at .* its operands lie from -.* to .* "
            r'\(in layer ".*bad", test_nan_guard\.py:\d+\); the model is as it was before step 1')):
        fit(made, x, y)
    assert is_finite(made)


def test_an_overflow_is_found_where_it_begins(rng):
    x, y = data(rng)
    made = model(sg.layers.Dense(3, input_shape=(4,), name="fine"), sg.layers.Activation("exponential", name="steep"),
                 sg.layers.Activation(lambda t: t / t, name="ratio"))

    with pytest.raises(sg.core.errors.NonFiniteError, match=(
            r"the output of Exp is inf .*steep.*; the first NaN comes out of Div \(.*ratio")):
        fit(made, x * 1000, y)


def test_weights_that_were_spoilt_before_are_named(rng):
    x, y = data(rng)
    made = model()
    made.layers[0].weights[0].assign(np.full((4, 8), np.nan, np.float32))

    with pytest.raises(sg.core.errors.NonFiniteError, match="the weight 'dense.*/kernel' is nan .* before it; "
                       r"NanGuard\(check_weights=True\) finds the step"):
        fit(made, x, y)


def test_with_check_weights_the_step_that_spoils_them_is_found(rng):
    x, y = data(rng)
    made = model(sg.layers.Dense(3, input_shape=(4,)), optimizer=sg.optimizers.SGD(1e38))

    with pytest.raises(sg.core.errors.NonFiniteError, match=(
            r"the weight 'dense.*/kernel' is .*inf .* after step 1 of epoch 1: the output of .* is .*inf")):
        fit(made, x * 1000, y, NanGuard(check_weights=True))
    assert is_finite(made)


def test_with_several_steps_at_once_all_their_batches_are_looked_at(rng):
    x, y = data(rng)
    y[20, 1] = np.nan

    with pytest.raises(sg.core.errors.NonFiniteError, match=r"after steps 1 to 4 of epoch 1: the target y .* row 20"):
        fit(model(steps_per_execution=4), x, y)


def test_a_batch_of_a_generator_is_looked_at_too(rng):
    x, y = data(rng)

    def batches():
        yield x[:8], y[:8]
        while True:
            yield x[:8], np.full((8, 3), np.nan, np.float32)

    with pytest.raises(sg.core.errors.NonFiniteError, match="after step 2 of epoch 1: the target y is nan"):
        fit(model(), batches(), steps_per_epoch=3, batch_size=None)


def test_a_validation_that_is_not_finite_stops_it(rng):
    x, y = data(rng)

    with pytest.raises(sg.core.errors.NonFiniteError, match="the validation loss is nan after epoch 1"):
        fit(model(), x, y, validation_data=(x * np.nan, y))


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}], ids=["compiled", "eager"])
def test_the_model_is_as_it_was_before_the_step(options, rng):
    x, y = data(rng)
    sg.random.set_seed(1)
    good = model(optimizer="adam", **options)
    fit(good, x[:24], y[:24], epochs=1)
    bad = y.copy()
    bad[24:] = np.nan
    sg.random.set_seed(1)
    made = model(optimizer="adam", **options)
    with pytest.raises(sg.core.errors.NonFiniteError):
        fit(made, x, bad)

    for a, b in zip([*good.weights, *good.optimizer.variables], [*made.weights, *made.optimizer.variables],
                    strict=True):
        assert (a.numpy() == b.numpy()).all(), a.name


def test_training_that_stays_finite_goes_on(rng):
    assert len(fit(model(), *data(rng), NanGuard(check_weights=True)).epoch) == 2


# TerminateOnNaN.

def test_terminate_on_nan_ends_the_training(rng, capsys):
    x, y = data(rng)
    y[20, 1] = np.nan

    assert fit(model(), x, y, TerminateOnNaN()).epoch == [0]
    assert "Batch 2: Invalid loss, terminating training" in capsys.readouterr().out


def test_terminate_on_nan_may_raise(rng):
    x, y = data(rng)
    y[20, 1] = np.nan

    with pytest.raises(RuntimeError, match="the loss is nan at batch 2"):
        fit(model(), x, y, TerminateOnNaN(raise_error=True))


# The finder by itself.

def graph_of(f, *shapes):
    inputs = [sg.Input(shape, name=name) for shape, name in zip(shapes, "abc", strict=False)]
    return sg.Graph(inputs, [f(*inputs)])


FINE = np.array([[1.0, 2.0]], np.float32)


@pytest.mark.parametrize("f, text", [
    (lambda a: sg.sqrt(a - 1.5), "Sqrt is nan at [0, 0] (1 of 2 values); its operands lie from -0.5 to 0.5"),
    (lambda a: 1.0 / (a - 1.0), "Div is inf at [0, 0] (1 of 2 values); its operands lie from 0 to 1"),
    (lambda a: sg.exp(a * 100.0), "Exp is inf at [0, 0] (2 of 2 values); its operands lie from 100 to 200"),
    (lambda a: sg.sum(sg.log(a - 1.0)), "Log is -inf at [0, 0] (1 of 2 values); its operands lie from 0 to 1"),
], ids=["sqrt", "div", "exp", "log"])
def test_the_finder_names_the_operator(f, text):
    found = find_non_finite(graph_of(f, (2,)), {"a": FINE})

    assert found.kind == "tensor" and found.text.startswith(f"the output of {text}")


def test_the_finder_finds_nothing_where_the_outputs_are_finite():
    masked = graph_of(lambda a: sg.softmax(sg.where(a > 1.5, a, -np.inf)), (2,))

    assert find_non_finite(masked, {"a": FINE}) is None


def test_the_finder_looks_at_inputs_then_variables():
    v = sg.Variable(np.array([1.0, np.nan], np.float32), name="v")
    graph = graph_of(lambda a, b: a * v + b, (2,), (2,))

    assert find_non_finite(graph, {"a": FINE, "b": FINE}).text == "the variable 'v' is nan at [1] (1 of 2 values)"
    assert find_non_finite(graph, {"a": FINE, "b": FINE * np.inf}, {"b": "the bias"}).text == (
        "the bias is inf at [0, 0] (2 of 2 values)")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_finder_knows_all_floats(dtype):
    x = sg.Input((2,), name="a", dtype=dtype)
    graph = sg.Graph([x], [sg.cast(x, "float32") / (sg.cast(x, "float32") - 1.0), x * x])

    assert find_non_finite(graph, {"a": sg.cast(FINE, dtype).numpy()}).text.startswith("the output of Div is inf")


@pytest.mark.parametrize("value, text", [
    (np.ones(3), None), (np.array([1, 2]), None), (np.array(np.inf), "x is inf"), (np.array(["a"]), None),
    (np.array([1, np.nan * 1j]), "x is (nan+nanj) at [1] (1 of 2 values)"), (np.zeros(0), None),
], ids=str)
def test_arrays_are_described(value, text):
    assert describe("x", value) == text


def test_many_rows_are_counted():
    assert describe("x", np.full((9, 1), np.nan), rows=range(10, 19)) == (
        "x is nan at [0, 0] (9 of 9 values), in rows 10, 11, 12, 13, 14 and 4 more of the data")
