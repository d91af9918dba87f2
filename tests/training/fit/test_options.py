"""What optimizers, policies, layers and files promise for training, looked at over whole fits."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from tests.training.fit.models import data, line, same_weights

X, Y = data()


def stack(*inside, optimizer="sgd", loss="mse", **options):
    model = sg.Sequential(list(inside))
    model.compile(optimizer, loss, **options)
    return model


def twins(make):
    """Two models that start with the same weights."""
    one, other = make(), make()
    other.set_weights(one.get_weights())
    return one, other


def test_gradients_accumulated_over_steps_are_those_of_one_large_batch():
    few = stack(sg.Input((4,)), layers.Dense(6), layers.Dense(1), optimizer=sg.optimizers.SGD(0.01))
    many = stack(sg.Input((4,)), layers.Dense(6), layers.Dense(1),
                 optimizer=sg.optimizers.SGD(0.01, gradient_accumulation_steps=4))
    many.set_weights(few.get_weights())
    few.fit(X[:40], Y[:40], batch_size=40, epochs=3, shuffle=False, verbose=0)
    many.fit(X[:40], Y[:40], batch_size=10, epochs=3, shuffle=False, verbose=0)

    for a, b in zip(few.get_weights(), many.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert int(few.optimizer.iterations) == int(many.optimizer.iterations) == 3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_comes_to_the_same_loss(policy):
    losses = {}
    for name in ("float32", policy):
        sg.random.set_seed(2)
        sg.config.set_dtype_policy(name)
        try:
            model = stack(layers.Dense(16, activation="relu"), layers.Dense(1), optimizer=sg.optimizers.Adam(0.01))
            losses[name] = model.fit(X, Y, batch_size=10, epochs=20, verbose=0).history["loss"]
        finally:
            sg.config.set_dtype_policy("float32")

    assert losses["float32"][-1] < 0.2 * losses["float32"][0]
    np.testing.assert_allclose(losses[policy][5:], losses["float32"][5:], rtol=0.05, atol=0.02)  # once the scale fits
    assert isinstance(model.optimizer, sg.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    assert all(w.dtype == np.float32 for w in model.get_weights())


def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_halved():
    optimizer = sg.optimizers.LossScaleOptimizer(sg.optimizers.SGD(0.01), initial_scale=1024.0)
    model = line(optimizer)
    before = model.get_weights()
    model.train_on_batch(X * 1e30, Y)

    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert float(optimizer.dynamic_scale) == 512.0
    model.train_on_batch(X, Y)
    assert (model.get_weights()[0] != before[0]).any()


def test_the_schedule_of_an_optimizer_inside_may_change_between_fits():
    model = line(sg.optimizers.LossScaleOptimizer(sg.optimizers.SGD(0.1)))
    model.fit(X, Y, verbose=0)
    for rate in (0.0, 0.1):
        model.optimizer.learning_rate = sg.optimizers.schedules.ExponentialDecay(rate, 5, 0.9)
        before = model.get_weights()[0]
        model.fit(X, Y, verbose=0)
        assert (model.get_weights()[0] == before).all() == (rate == 0.0)


def test_at_the_end_weights_become_their_moving_averages():
    averaged, plain = twins(lambda: line(sg.optimizers.SGD(0.1)))
    averaged.compile(sg.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    expected, path = None, []

    class Path(sg.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            path.append(self.model.get_weights()[0])

    plain.fit(X, Y, batch_size=10, shuffle=False, verbose=0, callbacks=[Path()])
    averaged.fit(X, Y, batch_size=10, shuffle=False, verbose=0)
    for w in path:
        expected = w if expected is None else 0.5 * expected + 0.5 * w

    np.testing.assert_allclose(averaged.get_weights()[0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("options", "norm"), [
    ({"clipnorm": 0.1}, lambda gs: max(np.sqrt((g**2).sum()) for g in gs)),
    ({"global_clipnorm": 0.1}, lambda gs: np.sqrt(sum((g**2).sum() for g in gs))),
    ({"clipvalue": 0.1}, lambda gs: max(np.abs(g).max() for g in gs))], ids=["one", "all", "values"])
def test_clipped_gradients_are_at_most_what_was_said(options, norm):
    model = line(sg.optimizers.SGD(1.0, **options))
    before = model.get_weights()
    model.train_on_batch(10 * X, Y)
    steps = [a - b for a, b in zip(before, model.get_weights(), strict=True)]

    assert norm(steps) == pytest.approx(0.1, rel=1e-4)


def test_constraints_hold_after_every_step():
    seen = []

    class Looks(sg.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kernel = self.model.get_weights()[0]
            seen.append(kernel.min() >= 0 and np.linalg.norm(kernel, axis=0).max() <= 0.5 + 1e-6)

    model = stack(layers.Dense(6, kernel_constraint=lambda w: sg.constraints.MaxNorm(0.5)(sg.relu(w))), layers.Dense(1),
                  optimizer=sg.optimizers.SGD(0.1))
    model.fit(X, -Y, batch_size=10, verbose=0, callbacks=[Looks()])

    assert seen == [True] * 5


def test_batch_normalization_learns_the_moments_of_its_inputs():
    model = stack(layers.BatchNormalization(momentum=0.5), layers.Dense(1))
    model.fit(3.0 * X + 1.0, Y, batch_size=50, epochs=25, shuffle=False, verbose=0)
    _, _, mean, variance = model.layers[0].get_weights()

    np.testing.assert_allclose(mean, (3 * X + 1).mean(0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(variance, (3 * X + 1).var(0), rtol=1e-3)


@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_padding_that_is_masked_changes_neither_loss_nor_gradients(layer):
    def make():
        return stack(layers.Embedding(10, 4, mask_zero=True), layer(5), layers.Dense(1),
                     optimizer=sg.optimizers.SGD(0.1))

    tokens = np.random.default_rng(0).integers(1, 10, (20, 4))
    padded = np.pad(tokens, ((0, 0), (0, 3)))
    short, long = make(), make()
    for model in (short, long):
        model.predict(tokens, verbose=0)
    long.set_weights(short.get_weights())
    a = short.fit(tokens, Y[:20], batch_size=10, epochs=2, shuffle=False, verbose=0).history["loss"]
    b = long.fit(padded, Y[:20], batch_size=10, epochs=2, shuffle=False, verbose=0).history["loss"]

    np.testing.assert_allclose(a, b, rtol=1e-5)
    for one, other in zip(short.get_weights(), long.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_stateful_layers_go_on_from_batch_to_batch():
    series = np.random.default_rng(0).normal(size=(5, 12, 3)).astype(np.float32)
    stateful = stack(sg.Input(batch_shape=(5, 4, 3)), layers.GRU(4, stateful=True), layers.Dense(1),
                     optimizer=sg.optimizers.SGD(0.0))
    whole = stack(sg.Input((12, 3)), layers.GRU(4), layers.Dense(1))
    whole.set_weights(stateful.get_weights())
    for i in range(3):
        stateful.reset_metrics()
        loss = stateful.train_on_batch(series[:, 4 * i:4 * i + 4], np.ones((5, 1), np.float32))

    assert loss == pytest.approx(whole.test_on_batch(series, np.ones((5, 1), np.float32)), rel=1e-5)


def test_an_imported_file_is_trained_further(tmp_path):
    source = stack(sg.Input((4,)), layers.Dense(8, activation="tanh"), layers.BatchNormalization(), layers.Dense(1))
    source.fit(X, Y, verbose=0)
    source.export(tmp_path / "model.onnx")
    model = sg.load_onnx(tmp_path / "model.onnx", trainable=True)
    model.compile(sg.optimizers.Adam(0.05), "mse", metrics=["mae"])
    before = model.evaluate(X, Y, verbose=0)[0]
    history = model.fit(X, Y, epochs=30, batch_size=10, validation_data=(X, Y), verbose=0).history

    assert source.evaluate(X, Y, verbose=0) == pytest.approx(before, rel=1e-4)
    assert history["val_loss"][-1] < 0.2 * before
    model.export(tmp_path / "trained.onnx")
    np.testing.assert_allclose(sg.load_onnx(tmp_path / "trained.onnx").predict(X), model.predict(X, verbose=0),
                               rtol=1e-4, atol=1e-5)


def test_a_frozen_model_inside_of_another_keeps_its_weights():
    inner = sg.Sequential([layers.Dense(4, activation="relu"), layers.BatchNormalization(), layers.Dense(3)])
    x = sg.Input((4,))
    model = sg.Model(x, layers.Dense(1)(inner(x)))
    inner.trainable = False
    model.compile("adam", "mse")
    before = inner.get_weights()
    model.fit(X, Y, verbose=0)

    assert all((a == b).all() for a, b in zip(before, inner.get_weights(), strict=True))
    assert len(model.trainable_variables) == 2


def test_thawing_a_model_thaws_the_layers_inside_which_may_be_frozen_one_by_one():
    inner = sg.Sequential([sg.Input((4,)), layers.Dense(4, name="a"), layers.Dense(3, name="b")])
    model = sg.Sequential([sg.Input((4,)), inner, layers.Dense(1, name="c")])
    model.trainable = False
    assert model.trainable_variables == [] and not inner.layers[0].trainable
    model.trainable = True
    inner.layers[0].trainable = False

    assert [v.name.split("/")[-2] for v in model.trainable_variables] == ["b", "b", "c", "c"]


def test_without_a_step_there_are_no_averages_to_end_with():
    models = [line(sg.optimizers.SGD(0.1, use_ema=True)),
              line(sg.optimizers.LossScaleOptimizer(sg.optimizers.SGD(0.1, use_ema=True)))]
    before = [model.get_weights()[0] for model in models]

    models[0].fit(X, Y, epochs=1, initial_epoch=1, verbose=0)
    models[1].fit(X * 1e30, Y, batch_size=50, verbose=0)  # a step that overflows is left out

    assert all((w == model.get_weights()[0]).all() for w, model in zip(before, models, strict=True))


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_an_epoch_that_is_to_stop_as_it_begins_has_one_step(run_eagerly):
    class Stops(sg.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    model = line(run_eagerly=run_eagerly)
    history = model.fit(X, Y, batch_size=10, epochs=4, verbose=0, callbacks=[Stops()]).history

    assert int(model.optimizer.iterations) == 5 + 1
    assert len(history["loss"]) == 2 and history["loss"][0] != history["loss"][1]


def test_learning_rate_schedules_count_steps_over_epochs():
    model = line(sg.optimizers.SGD(sg.optimizers.schedules.PiecewiseConstantDecay([5, 10], [0.1, 0.01, 0.0])))
    model.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    before = model.get_weights()[0]
    model.fit(X, Y, batch_size=10, epochs=1, verbose=0)
    after = model.get_weights()[0]
    model.fit(X, Y, batch_size=10, epochs=1, verbose=0)

    assert np.abs(after - before).max() < 0.05  # the eleventh step alone has a rate, the last but one
    assert (model.get_weights()[0] == after).all()


def test_two_fits_are_one_longer_fit():
    parts, whole = twins(lambda: line(sg.optimizers.Adam(0.01)))
    for _ in range(2):
        parts.fit(X, Y, batch_size=25, epochs=2, shuffle=False, verbose=0)
    whole.fit(X, Y, batch_size=25, epochs=4, shuffle=False, verbose=0)

    assert same_weights(parts, whole)
