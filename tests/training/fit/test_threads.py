"""Threads that predict, evaluate and assign while another one trains see whole steps."""

import threading

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.snapshots import snapshot

X, Y = np.ones((1600, 4), np.float32), np.ones((1600, 3), np.float32)


class Twins(layers.Layer):
    """Two weights that get the same gradients: equal after every whole step, and all their elements, too."""

    def build(self, input_shape):
        self.one = self.add_weight((128, 128), initializer="zeros", name="one")
        self.other = self.add_weight((128, 128), initializer="zeros", name="other")

    def call(self, x):
        parts = [sg.max(self.one), sg.max(self.other), sg.mean(self.one) + sg.mean(self.other)]
        return sg.reshape(sg.stack(parts), (1, 3)) * sg.ones_like(x[:, :1])


def twins():
    model = sg.Sequential([sg.Input((4,)), Twins()])
    model.compile(sg.optimizers.SGD(1e-3), "mse")
    model.fit(X[:64], Y[:64], verbose=0)
    return model


def in_threads(*works):
    """Run each again and again until the block is over, and raise what one of them raised."""
    return _Threads(works)


class _Threads:
    def __init__(self, works):
        self.stop, self.errors, self.rounds = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.repeat, args=(work,), daemon=True) for work in works]

    def repeat(self, work):
        try:
            while not self.stop.is_set():
                work()
                self.rounds += 1
        except BaseException as error:
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in self.threads)
        if self.errors:
            raise self.errors[0]


def fit_until(model, threads, is_enough):
    """Train until the other threads have done what they are to."""
    for _ in range(1000):
        model.fit(X, Y, verbose=0)
        if is_enough() or threads.errors:
            return


@pytest.mark.parametrize("rows", [3, 70], ids=["a batch", "several batches"])
def test_predictions_are_those_of_whole_steps(rows):
    model, seen = twins(), set()

    def predict():
        y = model.predict(X[:rows], verbose=0)
        assert (y[:, 0] == y[:, 1]).all()
        assert len(np.unique(y[:, 0])) == 1
        seen.add(float(y[0, 0]))

    with in_threads(predict, predict) as threads:
        fit_until(model, threads, lambda: len(seen) > 3)

    assert len(seen) > 3


def test_weights_read_together_are_those_of_one_step():
    model = twins()

    def read():
        one, other = snapshot(model.weights)
        assert (one == one[0, 0]).all() and (other == one).all()

    with in_threads(read, read) as threads:
        fit_until(model, threads, lambda: threads.rounds > 50)


def test_another_thread_may_change_the_learning_rate():
    model = twins()
    rates = iter(np.linspace(1e-3, 1e-4, 100_000))

    with in_threads(lambda: model.optimizer.learning_rate.assign(next(rates))) as threads:
        fit_until(model, threads, lambda: threads.rounds > 100)
    before = model.get_weights()[0]
    thread = threading.Thread(target=model.optimizer.learning_rate.assign, args=(0.0,))
    thread.start()
    thread.join()
    model.fit(X, Y, verbose=0)

    assert before.any() and (model.get_weights()[0] == before).all()


def test_weights_that_another_thread_assigns_are_trained_on():
    model = twins()
    zeros = [np.zeros((128, 128), np.float32)] * 2

    with in_threads(lambda: model.set_weights(zeros)) as threads:
        fit_until(model, threads, lambda: threads.rounds > 50)
    model.set_weights(zeros)
    model.reset_metrics()

    assert model.train_on_batch(X, Y) == pytest.approx(1.0)


def test_two_models_train_at_the_same_time():
    models, alone = [twins(), twins()], twins()

    def fit(model):
        model.fit(X[:320], Y[:320], epochs=20, shuffle=False, verbose=0)

    threads = [threading.Thread(target=fit, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    fit(alone)

    for model in models:
        np.testing.assert_array_equal(model.get_weights()[0], alone.get_weights()[0])


def test_models_that_share_weights_train_and_evaluate_at_the_same_time_without_waiting_for_ever():
    shared = Twins()
    x, z = sg.Input((4,)), sg.Input((4,))
    one, other = sg.Model(x, shared(x)), sg.Model(z, shared(z))
    for model in (one, other):
        model.compile(sg.optimizers.SGD(1e-3), "mse")
        model.fit(X[:64], Y[:64], verbose=0)

    with in_threads(lambda: other.fit(X[:320], Y[:320], verbose=0),
                    lambda: other.predict(X[:70], verbose=0)) as threads:
        fit_until(one, threads, lambda: threads.rounds > 10)

    assert np.isfinite(one.evaluate(X, Y, verbose=0))
