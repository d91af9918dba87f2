"""A training that is killed: `python -m tests.training.callbacks.interrupted FOLDER SAVE_FREQ SECONDS`.

It goes on from the backup in FOLDER, ends itself with SIGKILL after so many seconds of training (0: never), and prints
a hash of all weights and the history when it comes to its end.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time

import numpy as np

import symgraph as sg

EPOCHS = 4


def build() -> sg.Model:
    """A model with everything that has a state: dropout, moving statistics, Adam, metrics."""
    sg.random.set_seed(3)
    model = sg.Sequential([
        sg.layers.Dense(8, activation="relu", input_shape=(4,)), sg.layers.Dropout(0.3),
        sg.layers.BatchNormalization(), sg.layers.GaussianNoise(0.1), sg.layers.Dense(1)])
    model.compile(sg.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9), "mse", metrics=["mae"])
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(86, 4)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def watchers() -> list[sg.callbacks.Callback]:
    """Callbacks that remember something."""
    return [sg.callbacks.EarlyStopping(patience=3, restore_best_weights=True),
            sg.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.5),
            sg.callbacks.SwapEMAWeights(),
            sg.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)]


def fit(model: sg.Model, callbacks: list[sg.callbacks.Callback], **options: object) -> sg.callbacks.History:
    x, y = data()
    arguments = {"batch_size": 8, "epochs": EPOCHS, "verbose": 0, "validation_split": 0.2, **options}
    return model.fit(x, y, callbacks=callbacks, **arguments)


def fingerprint(model: sg.Model, history: sg.callbacks.History) -> str:
    """All that a run leaves, in a few letters."""
    text = json.dumps([history.epoch, history.history], sort_keys=True).encode()
    return hashlib.sha256(text + b"".join(w.tobytes() for w in model.get_weights())).hexdigest()


class Killed(sg.callbacks.Callback):
    """Ends the process some time after the first step, wherever it is then; steps take a little longer for it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.seconds:
            timer = threading.Timer(self.seconds, os.kill, (os.getpid(), signal.SIGKILL))
            timer.daemon = True
            timer.start()
            self.seconds = 0.0
        time.sleep(0.005)


if __name__ == "__main__":
    folder, save_freq, seconds = sys.argv[1:]
    freq = save_freq if save_freq == "epoch" else int(save_freq)
    model = build()
    backup = sg.callbacks.BackupAndRestore(folder, save_freq=freq, double_checkpoint=freq == 1)
    print(fingerprint(model, fit(model, [backup, *watchers(), Killed(float(seconds))])))
