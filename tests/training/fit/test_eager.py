"""Eager training equals compiled training: losses of all epochs, and weights, for models of all kinds."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from tests.training.fit.models import classes, data, two_outputs

X, Y = data()
RNG = np.random.default_rng(1)
SERIES, TOKENS = RNG.normal(size=(40, 5, 3)).astype(np.float32), RNG.integers(0, 10, (40, 7))
IMAGES = RNG.normal(size=(24, 8, 8, 2)).astype(np.float32)


def stack(*inside, optimizer="sgd", loss="mse", **options):
    model = sg.Sequential(list(inside))
    model.compile(optimizer() if callable(optimizer) else optimizer, loss, **options)
    return model


def sgd(**options):
    return lambda: sg.optimizers.SGD(0.01, **options)


class Block(layers.Layer):
    """A layer with layers inside, and a loss."""

    def __init__(self, units):
        super().__init__()
        self.dense, self.dropout = layers.Dense(units), layers.Dropout(0.2)
        self.normalization = layers.BatchNormalization()

    def call(self, x, training=False):
        y = self.normalization(self.dense(x), training=training)
        self.add_loss(0.01 * sg.mean(sg.square(y)))
        return self.dropout(sg.relu(y), training=training)


class Blocks(sg.Model):
    """A model with a `call` of its own that uses one layer twice."""

    def __init__(self):
        super().__init__()
        self.first, self.twice, self.out = Block(4), Block(4), layers.Dense(1)

    def call(self, x, training=False):
        x = self.first(x, training=training)
        return self.out(self.twice(self.twice(x, training=training), training=training))


def subclassed():
    model = Blocks()
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def nested():
    inner = sg.Sequential([layers.Dense(4, activation="tanh"), layers.Dropout(0.3), layers.Dense(4)])
    x = sg.Input((4,))
    model = sg.Model(x, layers.Dense(1)(inner(inner(x))))
    model.compile("sgd", "mse")
    return model


def several():
    model = two_outputs()
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"], [1.0, 0.5], metrics=[["mae"], ["acc"]])
    return model


def onnx():
    source = sg.Sequential([sg.Input((4,)), layers.Dense(5, activation="tanh"), layers.BatchNormalization(),
                            layers.Dense(1)])
    source.export("model.onnx")
    model = sg.load_onnx("model.onnx", trainable=True)
    model.compile("sgd", "mse")
    return model


CASES = {
    "batch normalization": (lambda: stack(layers.Dense(6), layers.BatchNormalization(), layers.Dense(1)), (X, Y)),
    "dropout and noise": (lambda: stack(layers.Dense(6), layers.Dropout(0.5), layers.GaussianNoise(0.1),
                                        layers.Dense(1)), (X, Y)),
    "penalties": (lambda: stack(layers.Dense(6, kernel_regularizer="l2", activity_regularizer="l1"),
                                layers.Dense(1)), (X, Y)),
    "constraints": (lambda: stack(layers.Dense(6, kernel_constraint="non_neg"), layers.Dense(1)), (X, Y)),
    "averages": (lambda: stack(layers.Dense(6), layers.Dense(1), optimizer=sgd(
        use_ema=True, ema_overwrite_frequency=3)), (X, Y)),
    "accumulation": (lambda: stack(layers.Dense(6), layers.Dense(1), optimizer=sgd(gradient_accumulation_steps=3)),
                     (X, Y)),
    "clipnorm": (lambda: stack(layers.Dense(6), layers.Dense(1), optimizer=sgd(clipnorm=0.1)), (X, Y)),
    "global clipnorm": (lambda: stack(layers.Dense(6), layers.Dense(1), optimizer=sgd(global_clipnorm=0.1)), (X, Y)),
    "clipvalue": (lambda: stack(layers.Dense(6), layers.Dense(1), optimizer=sgd(clipvalue=0.1)), (X, Y)),
    "schedule": (lambda: stack(layers.Dense(1), optimizer=lambda: sg.optimizers.SGD(
        sg.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))), (X, Y)),
    "loss scaling": (lambda: stack(layers.Dense(6), layers.Dense(1), optimizer=lambda: sg.optimizers.LossScaleOptimizer(
        sg.optimizers.SGD(0.01))), (X, Y)),
    "convolutions": (lambda: stack(layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
                                   layers.Dense(3, activation="softmax"), loss="sparse_categorical_crossentropy",
                                   metrics=["acc"]), (IMAGES, np.arange(24) % 3)),
    "recurrence": (lambda: stack(layers.LSTM(4, dropout=0.2), layers.Dense(1)), (SERIES, Y[:40])),
    "masks": (lambda: stack(layers.Embedding(10, 4, mask_zero=True), layers.GRU(4), layers.Dense(1)), (TOKENS, Y[:40])),
    "masked steps": (lambda: stack(layers.Embedding(10, 4, mask_zero=True), layers.LSTM(4, return_sequences=True),
                                   layers.Dense(1), metrics=["mae"]), (TOKENS, np.ones((40, 7, 1), np.float32))),
    "a call of one's own": (subclassed, (X, Y)),
    "nested models": (nested, (X, Y)),
    "several outputs": (several, (X, [Y, classes()])),
    "an imported file": (onnx, (X, Y)),
}


@pytest.mark.parametrize("name", CASES)
def test_eager_training_equals_compiled_training(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, (x, y) = CASES[name]
    histories, weights = [], []
    for run_eagerly in (False, True):
        sg.random.set_seed(5)
        model = make()
        model.run_eagerly = run_eagerly
        histories.append(model.fit(x, y, batch_size=16, epochs=2, verbose=0).history)
        weights.append(model.get_weights())

    compiled, eager = histories
    for log, values in compiled.items():
        np.testing.assert_allclose(eager[log], values, rtol=1e-5, atol=1e-6, err_msg=log)
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


class Seen(layers.Layer):
    """Remembers the shapes of what it is called with."""

    def __init__(self, calls):
        super().__init__()
        self.seen = calls.append

    def call(self, x):
        self.seen(tuple(x.shape))
        return x


def test_eager_steps_run_the_code_of_layers_in_every_step():
    calls = []

    model = sg.Sequential([sg.Input((4,)), Seen(calls), layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    calls.clear()
    model.fit(X, Y, batch_size=20, verbose=0)

    assert calls == [(20, 4), (20, 4), (10, 4)]


def test_dropout_differs_in_every_step_and_is_the_same_for_the_same_seed():
    def outputs():
        seen = []

        class Looking(sg.Sequential):
            def train_step(self, data):
                x, _ = data
                return {"kept": sg.sum(self(x, training=True) * np.arange(1.0, 9.0, dtype=np.float32))}

        model = Looking([sg.Input((8,)), layers.Dropout(0.5, seed=3)])
        model.compile("sgd", "mse")
        ones = np.ones((1, 8), np.float32)
        for _ in range(6):
            seen.append(model.train_on_batch(ones, ones))
        return seen

    first = outputs()
    assert len(set(first)) > 3
    assert outputs() == first


def test_two_runs_with_one_seed_are_bit_for_bit_the_same():
    def run():
        sg.random.set_seed(6)
        model = stack(layers.Dense(6), layers.Dropout(0.5), layers.Dense(1), optimizer="adam")
        return model.fit(X, Y, epochs=2, verbose=0).history, [w.tobytes() for w in model.get_weights()]

    assert run() == run()
