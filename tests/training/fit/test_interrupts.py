"""Ctrl-C at any moment: the model is as it was after a whole step, and goes on."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.training.callbacks import Callback
from symgraph.training.training_state import variables_of
from tests.training.fit.models import data

pytestmark = pytest.mark.usefixtures("interruptible")

X, Y = data(88)
STEPS = 11


def build(run_eagerly):
    sg.random.set_seed(3)
    model = sg.Sequential([sg.Input((4,)), layers.Dense(8, activation="relu"), layers.Dropout(0.3),
                           layers.BatchNormalization(), layers.Dense(1)])
    model.compile(sg.optimizers.Adam(0.01), "mse", metrics=["mae"], run_eagerly=run_eagerly)
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, kind, callbacks=()):
    """Long enough to be interrupted: eager steps take a few milliseconds, others less than a tenth of one."""
    sg.random.set_seed(4)
    epochs = 6 if model.run_eagerly else 60
    if kind == "arrays":
        return model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=[*callbacks])
    dataset = sg.data.Dataset.from_tensor_slices((X, Y)).shuffle(88, seed=1).batch(8).prefetch(2)
    return model.fit(dataset, epochs=epochs, verbose=0, callbacks=[*callbacks])


def trained(model):
    """Everything that a step changes besides metrics, which start anew in every epoch."""
    return [v.numpy().tobytes() for name, v in variables_of(model).items() if not name.startswith("metric")]


class Keep(Callback):
    """What the model was after each step."""

    def __init__(self):
        super().__init__()
        self.states = {}

    def on_train_begin(self, logs=None):
        self.states[0] = trained(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.states[int(self.model.optimizer.iterations)] = trained(self.model)


class Interrupt(Callback):
    """Sends the signal some time after the first step, or at once."""

    def __init__(self, seconds):
        super().__init__()
        self.timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))

    def uses(self, hook):
        return super().uses(hook) and (hook != "on_train_batch_end" or not self.timer.is_alive())

    def on_train_batch_end(self, batch, logs=None):
        if self.timer.ident is None:
            self.timer.start()


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_an_interrupted_model_is_as_it_was_after_a_whole_step(run_eagerly, kind, rng):
    keep = Keep()
    fit(build(run_eagerly), kind, [keep])
    threads = threading.active_count()
    interrupted = set()
    for seconds in [None, *rng.uniform(0.0, 0.03, 5)]:
        model = build(run_eagerly)
        interrupt = Interrupt(0.05 if seconds is None else seconds)
        with pytest.raises(KeyboardInterrupt):
            if seconds is None:  # while the step is traced and compiled
                interrupt.timer.start()
            fit(model, kind, [interrupt])
            time.sleep(5)  # it was too fast, so the signal comes now
        steps = int(model.optimizer.iterations)
        assert trained(model) == keep.states[steps]
        assert model._progress is None
        if model.history is not None:
            assert len(model.history.epoch) in (steps // STEPS, steps // STEPS - 1)
        interrupted.add(steps)
    assert len(interrupted) > 1
    assert np.isfinite(model.evaluate(X, Y, verbose=0)).all() and model.predict(X, verbose=0).shape == (88, 1)
    assert len(model.fit(X, Y, verbose=0).epoch) == 1
    assert threading.active_count() <= threads


PROGRAM = """
import numpy as np, symgraph as sg
x = np.ones((320, 4), np.float32)
def batches():
    while True:
        yield x[:32], x[:32, :1]
model = sg.Sequential([sg.layers.Dense(8, input_shape=(4,)), sg.layers.Dense(1)])
model.compile("sgd", "mse")
class Say(sg.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print("epoch", epoch, flush=True)
try:
    model.fit(batches(), steps_per_epoch=20, epochs=10**6, verbose=0, callbacks=[Say()])
except KeyboardInterrupt:
    print("epochs", len(model.history.epoch), np.isfinite(model.predict(x, verbose=0)).all(), flush=True)
    raise
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
def test_a_program_that_is_interrupted_ends_at_once_with_its_history():
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    for _ in range(3):
        assert program.stdout.readline().startswith("epoch")
    program.send_signal(signal.SIGINT)
    output, errors = program.communicate(timeout=20)

    last = output.splitlines()[-1].split()
    assert last[0] == "epochs" and int(last[1]) >= 2 and last[2] == "True"
    assert program.returncode in (-signal.SIGINT, 130) and errors.rstrip().endswith("KeyboardInterrupt")
