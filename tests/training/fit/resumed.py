"""A training to be killed at any moment: `python -m tests.training.fit.resumed KIND SAVE_FREQ FOLDER`.

It goes on from the backup in FOLDER, says `begun` after its first step, and at its end a hash of all that a training
leaves: weights, the optimizer's state, the history and the best weights that ModelCheckpoint kept.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import symgraph as sg
from symgraph import layers
from symgraph.training.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from symgraph.training.training_state import variables_of

EPOCHS, ROWS, BATCH = 6, 100, 8
KINDS = ("arrays", "dataset", "eager", "two optimizers")


class TwoOptimizers(sg.Sequential):
    """A step of one's own: the first layer and the others are trained by optimizers that are attributes."""

    def __init__(self, stack: list[Any]) -> None:
        super().__init__(stack)
        self.both = [sg.optimizers.Adam(0.01), sg.optimizers.RMSprop(0.01)]
        self.noise = {"seeds": sg.random.SeedGenerator(5)}

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        with sg.GradientTape() as tape:
            y_pred = self(x + 0.1 * sg.random.normal(sg.shape(x), seed=self.noise["seeds"]), training=True)
            loss = self.compute_loss(x, y, y_pred)
        weights = self.trainable_weights
        gradients = tape.gradient(loss, weights)
        self.both[0].apply(gradients[:2], weights[:2])
        self.both[1].apply(gradients[2:], weights[2:])
        self._loss_tracker.update_state(loss)
        return {"loss": self._loss_tracker.result(), "largest": sg.max(y_pred)}


def build(kind: str) -> sg.Model:
    sg.random.set_seed(3)
    stack = [sg.Input((4,)), layers.Dense(8, activation="relu"), layers.Dropout(0.3), layers.BatchNormalization(),
             layers.Dense(1)]
    model = (TwoOptimizers if kind == "two optimizers" else sg.Sequential)(stack)
    model.compile(sg.optimizers.Adam(0.02), "mse", metrics=["mae"], run_eagerly=kind == "eager")
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(ROWS, 4)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def fit(kind: str, model: sg.Model, folder: Path, callbacks: list[Callback]) -> sg.callbacks.History:
    """Shuffled, with a smaller last batch, and callbacks that remember."""
    x, y = data()
    watching = [EarlyStopping(patience=3, restore_best_weights=True), ReduceLROnPlateau(patience=1, min_delta=0.3),
                ModelCheckpoint(folder / "best.ckpt", save_best_only=True, save_weights_only=True)]
    options: dict[str, Any] = {"epochs": EPOCHS, "verbose": 0, "callbacks": [*callbacks, *watching],
                               "validation_data": (x[80:], y[80:])}
    if kind != "dataset":
        return model.fit(x[:78], y[:78], batch_size=BATCH, **options)
    return model.fit(sg.data.Dataset.from_tensor_slices((x[:78], y[:78])).shuffle(50, seed=4).batch(BATCH), **options)


def fingerprint(model: sg.Model, history: sg.callbacks.History, folder: Path) -> str:
    """All that a run leaves, in a few letters."""
    content = hashlib.sha256(json.dumps([history.epoch, history.history], sort_keys=True).encode())
    for name, v in variables_of(model).items():
        if not name.startswith(("metric", "random 0")):  # the global generator serves what else the process does, too
            content.update(v.numpy().tobytes())
    model.load_weights(folder / "best.ckpt")
    for w in model.get_weights():
        content.update(w.tobytes())
    return content.hexdigest()


class Slowly(Callback):
    """Says when the first step is done; steps take a little longer, to be killed in."""

    is_first = True

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.is_first:
            self.is_first = False
            print("begun", flush=True)
        time.sleep(0.005)


def run(kind: str, save_freq: str, folder: Path, *more: Callback) -> str:
    """Train until the end, from the backup if there is one."""
    freq = save_freq if save_freq == "epoch" else int(save_freq)
    model = build(kind)
    history = fit(kind, model, folder, [BackupAndRestore(folder / "backup", save_freq=freq), *more])
    return fingerprint(model, history, folder)


if __name__ == "__main__":
    print(run(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Slowly()))
