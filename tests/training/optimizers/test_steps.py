"""Whole steps: a network trained eagerly and in one compiled graph, minimize, None gradients, constraints, scaling."""

import copy
import pickle

import numpy as np
import pytest

import symgraph as sg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 5)).astype(np.float32)
Y = RNG.normal(size=(16, 2)).astype(np.float32)


def network():
    sg.clear_session()
    layers = [sg.layers.Dense(8, activation="tanh", kernel_regularizer="l2",
                              kernel_initializer=sg.initializers.GlorotUniform(seed=1)),
              sg.layers.Dense(2, kernel_constraint=sg.constraints.MaxNorm(0.7), bias_constraint="non_neg",
                              kernel_initializer=sg.initializers.GlorotUniform(seed=2))]
    return sg.Sequential([sg.layers.InputLayer((5,)), *layers])


def training(model, optimizer):
    def step(x, y):
        with sg.GradientTape() as tape:
            loss = sg.mean(sg.square(model(x, training=True) - y)) + sum(model.losses)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    return step


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "lamb", "muon"])
def test_a_compiled_step_of_a_network_equals_the_eager_one(name):
    results = []
    for wrap in (lambda step: step, sg.function):
        model = network()
        step = wrap(training(model, sg.optimizers.get({"class_name": name, "config": {"learning_rate": 0.01}})))
        losses = [float(step(X, Y)) for _ in range(10)]
        results.append([np.array(losses), *model.get_weights()])
        assert losses[-1] < losses[0]
    for eager, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-6, atol=1e-6)


def test_a_compiled_step_is_traced_once_and_counts_on():
    model, optimizer = network(), sg.optimizers.Adam()
    step = sg.function(training(model, optimizer))
    for _ in range(5):
        step(X, Y)
    assert len(step.graphs) == 1
    assert optimizer.iterations.item() == 5


def test_a_compiled_step_sees_a_learning_rate_assigned_later():
    w, optimizer = sg.Variable([1.0]), sg.optimizers.SGD(0.5)

    @sg.function
    def step(g):
        optimizer.apply_gradients([(g, w)])
        return optimizer.learning_rate

    step(np.ones(1, np.float32))
    optimizer.learning_rate = 0.25
    assert float(step(np.ones(1, np.float32))) == 0.25
    assert w.numpy().tolist() == [0.25]


def test_constraints_hold_after_every_step():
    model = network()
    step = training(model, sg.optimizers.SGD(0.5))
    for _ in range(3):
        step(X, Y)
    kernel, bias = model.layers[-1].get_weights()
    assert np.linalg.norm(kernel, axis=0).max() <= 0.7 + 1e-6
    assert bias.min() >= 0


def test_minimize_takes_a_function_or_a_value_with_its_tape():
    w, optimizer = sg.Variable(3.0), sg.optimizers.SGD(0.1, loss_scale_factor=4.0)
    assert float(optimizer.minimize(lambda: w * w, [w])) == 9.0
    np.testing.assert_allclose(w.numpy(), 2.4, rtol=1e-6)
    with sg.GradientTape() as tape:
        loss = w * w
    optimizer.minimize(loss, [w], tape=tape)
    np.testing.assert_allclose(w.numpy(), 1.92, rtol=1e-6)
    optimizer.minimize(lambda: w * w)
    np.testing.assert_allclose(w.numpy(), 1.536, rtol=1e-6)


def test_minimize_is_part_of_a_compiled_function():
    w, optimizer = sg.Variable(3.0), sg.optimizers.SGD(0.1)

    @sg.function
    def step(x):
        return optimizer.minimize(lambda: w * x, [w])

    assert float(step(sg.tensor(2.0))) == 6.0
    np.testing.assert_allclose(w.numpy(), 2.8, rtol=1e-6)


def test_a_gradient_of_none_leaves_its_variable_alone_with_a_warning():
    a, b, optimizer = sg.Variable(1.0, name="a"), sg.Variable(1.0, name="b"), sg.optimizers.Adam(0.1)
    with pytest.warns(UserWarning, match="no gradients for b") as warned:
        optimizer.apply_gradients([(sg.tensor(1.0), a), (None, b)])
    assert warned[0].filename == __file__
    assert a.item() < 1 == b.item()


def test_no_gradients_at_all_are_no_step():
    optimizer = sg.optimizers.Adam()
    assert optimizer.apply_gradients([]).item() == 0


def test_weights_in_float16_stay_in_float16():
    w = sg.Variable(np.ones(3, np.float16))
    for name in ("sgd", "adam", "nadam", "ftrl", "adafactor"):
        optimizer = sg.optimizers.get(name)
        optimizer.apply_gradients([(np.ones(3, np.float32), w)])
        assert w.dtype == "float16"
        assert np.isfinite(w.numpy()).all()


def test_weight_decay_leaves_out_what_is_excluded():
    kernel, bias = sg.Variable([2.0], name="dense/kernel"), sg.Variable([2.0], name="dense/bias")
    optimizer = sg.optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.apply_gradients([(np.zeros(1, np.float32), v) for v in (kernel, bias)])
    assert (kernel.item(), bias.item()) == (1.5, 2.0)


def test_embeddings_are_trained_by_the_adam_of_muon():
    table = sg.Variable(np.ones((4, 3), np.float32), name="embedding/embeddings")
    kernel = sg.Variable(np.ones((4, 3), np.float32), name="dense/kernel")
    optimizer = sg.optimizers.Muon()
    assert (optimizer.is_for_adam(table), optimizer.is_for_adam(kernel)) == (True, False)


def scaled_steps(wrap):
    w = sg.Variable([1.0, 2.0])
    optimizer = sg.optimizers.LossScaleOptimizer(sg.optimizers.Adam(0.1), initial_scale=8.0, dynamic_growth_steps=2)

    def step(g):
        optimizer.apply_gradients([(optimizer.scale_loss(g), w)])
        return optimizer.dynamic_scale * 1

    run, seen = wrap(step), []
    for value in (1.0, 2.0, np.inf, 0.5, -1.0, np.nan):
        scale = run(np.array([value, 1.0], np.float32))
        seen.append([*w.numpy(), float(scale), optimizer.step_counter.item(), optimizer.iterations.item()])
    return np.array(seen)


def test_loss_scaling_leaves_out_steps_that_are_not_finite_and_doubles_after_good_ones():
    seen = scaled_steps(lambda step: step)
    w, inner = sg.Variable([1.0, 2.0]), sg.optimizers.Adam(0.1)
    for row, value in zip(seen, (1.0, 2.0, None, 0.5, -1.0, None), strict=True):
        if value is not None:
            inner.apply_gradients([(np.array([value, 1.0], np.float32), w)])
        np.testing.assert_allclose(row[:2], w.numpy(), rtol=1e-6)
    keras = [[0.900001, 1.900001], [0.8034839, 1.8000023], [0.8034839, 1.8000023],  # 3.15 on torch
             [0.7167276, 1.7000029], [0.6748724, 1.6000041], [0.6748724, 1.6000041]]
    np.testing.assert_allclose(seen[:, :2], keras, rtol=1e-6)
    assert seen[:, 2:].tolist() == [[8, 1, 1], [16, 0, 2], [8, 0, 2], [8, 1, 3], [16, 0, 4], [8, 0, 4]]


def test_loss_scaling_is_part_of_a_compiled_step():
    np.testing.assert_allclose(scaled_steps(sg.function), scaled_steps(lambda step: step), rtol=1e-6)


def test_averages_take_the_place_of_the_weights_at_the_end():
    w, optimizer = sg.Variable(1.0), sg.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for g in (1.0, 2.0):
        optimizer.apply_gradients([(sg.tensor(g), w)])
    assert w.item() == -2.0
    optimizer.finalize_variable_values([w])
    assert w.item() == -1.0


def test_the_whole_state_can_be_saved_and_set():
    w, optimizer = sg.Variable([1.0, 2.0]), sg.optimizers.Nadam(0.1)
    step = sg.tensor([0.5, -1.0])
    optimizer.apply_gradients([(step, w)])
    state, value = [v.numpy() for v in optimizer.variables], w.numpy()
    optimizer.apply_gradients([(step, w)])
    expected = w.numpy()

    again, other = sg.Variable(value), sg.optimizers.Nadam(0.1)
    other.build([again])
    other.set_weights(state)
    other.apply_gradients([(step, again)])
    np.testing.assert_array_equal(again.numpy(), expected)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "Adamax", "Nadam", "Adagrad", "Adadelta", "Adafactor",
                                  "Ftrl", "Lion", "Lamb", "Muon"])
def test_weights_of_any_rank_and_float_dtype_are_trained(name):
    for value in (np.float32(2.0), np.full(3, 2.0), np.full((2, 3), 2.0, np.float32), np.full((2, 3, 2), 2.0)):
        w = sg.Variable(value)
        getattr(sg.optimizers, name)(0.1).apply_gradients([(np.ones_like(value), w)])
        assert w.dtype == value.dtype
        assert (w.numpy() < 2.0).all()


def test_the_state_outlives_tidy_and_adds_nothing_after_the_first_step():
    w, optimizer = sg.Variable([1.0, 2.0]), sg.optimizers.Adam(0.1)

    def step():
        return optimizer.minimize(lambda: sg.sum(w * w), [w])

    sg.tidy(step)
    before = sg.memory()
    sg.tidy(step)
    assert sg.memory() == before
    assert not any(v.is_disposed for v in optimizer.variables)


def test_copies_of_an_optimizer_are_whole():
    w, optimizer = sg.Variable([1.0, 2.0]), sg.optimizers.Adam(0.1)
    optimizer.apply_gradients([(sg.tensor([1.0, -1.0]), w)])
    for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        again.learning_rate = 0.5
        for new, old in zip(again.variables[2:], optimizer.variables[2:], strict=True):
            np.testing.assert_array_equal(new.numpy(), old.numpy())
        assert (again.variables[1].item(), optimizer.variables[1].item()) == (0.5, np.float32(0.1))
