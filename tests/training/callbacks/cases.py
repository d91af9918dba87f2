"""Callbacks, series of logs they are given, and a loop that calls them in the order of `fit`: for Keras and for us."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

RECORDED = Path(__file__).with_name("recorded.json")
BATCHES = 3


def series(**columns: list[float]) -> list[dict[str, float]]:
    """Logs of epochs from values by name."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


DOWN = [1.0, 0.8, 0.7, 0.71, 0.69, 0.69, 0.695, 0.5, 0.5, 0.52, 0.49, 0.6]
UP = [0.1, 0.3, 0.25, 0.31, 0.32, 0.32, 0.3, 0.5, 0.49, 0.48, 0.47, 0.9]
FLAT = [0.5] * 8
SERIES = {
    "down": series(loss=DOWN, val_loss=[x + 0.1 for x in DOWN]),
    "up": series(accuracy=UP, loss=DOWN, val_accuracy=UP[::-1]),
    "flat": series(loss=FLAT, val_loss=FLAT),
    "worse": series(loss=[0.1 * i for i in range(8)], val_loss=[0.1 * i for i in range(8)]),
    "one": series(loss=[0.5], val_loss=[0.25]),
}
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("EarlyStopping", {}, "down"),
    ("EarlyStopping", {"patience": 2, "verbose": 1}, "down"),
    ("EarlyStopping", {"monitor": "loss", "patience": 1, "min_delta": 0.05}, "down"),
    ("EarlyStopping", {"monitor": "loss", "patience": 2, "min_delta": -0.05}, "down"),
    ("EarlyStopping", {"monitor": "accuracy", "mode": "max", "patience": 2}, "up"),
    ("EarlyStopping", {"monitor": "accuracy", "mode": "min", "patience": 2}, "up"),
    ("EarlyStopping", {"patience": 3, "restore_best_weights": True, "verbose": 1}, "down"),
    ("EarlyStopping", {"patience": 20, "restore_best_weights": True, "verbose": 1}, "worse"),
    ("EarlyStopping", {"patience": 2, "baseline": 0.75}, "down"),
    ("EarlyStopping", {"patience": 2, "baseline": 0.1, "restore_best_weights": True}, "down"),
    ("EarlyStopping", {"patience": 1, "start_from_epoch": 4}, "worse"),
    ("EarlyStopping", {"patience": 1, "start_from_epoch": 3, "restore_best_weights": True}, "down"),
    ("EarlyStopping", {"patience": 0}, "flat"),
    ("EarlyStopping", {"patience": 0}, "one"),
    ("ReduceLROnPlateau", {"patience": 1}, "flat"),
    ("ReduceLROnPlateau", {"patience": 2, "factor": 0.5, "verbose": 1}, "down"),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.2, "min_lr": 0.01, "verbose": 1}, "flat"),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.5, "cooldown": 2}, "flat"),
    ("ReduceLROnPlateau", {"patience": 2, "factor": 0.5, "cooldown": 1}, "worse"),
    ("ReduceLROnPlateau", {"monitor": "accuracy", "mode": "max", "patience": 2, "factor": 0.3}, "up"),
    ("ReduceLROnPlateau", {"monitor": "loss", "min_delta": 0.2, "patience": 1}, "down"),
    ("ModelCheckpoint", {"filepath": "model.keras", "verbose": 1}, "down"),
    ("ModelCheckpoint", {"filepath": "at-{epoch:02d}-{val_loss:.2f}.keras"}, "down"),
    ("ModelCheckpoint", {"filepath": "best.keras", "save_best_only": True, "verbose": 1}, "down"),
    ("ModelCheckpoint", {"filepath": "best.keras", "save_best_only": True, "initial_value_threshold": 0.7}, "down"),
    ("ModelCheckpoint", {"filepath": "up.keras", "save_best_only": True, "monitor": "accuracy", "mode": "max"}, "up"),
    ("ModelCheckpoint", {"filepath": "w-{epoch}.weights.h5", "save_weights_only": True, "verbose": 1}, "flat"),
    ("ModelCheckpoint", {"filepath": "b-{epoch}-{batch}.keras", "save_freq": 2}, "down"),
    ("ModelCheckpoint", {"filepath": "in/a/folder/{epoch}.keras", "save_freq": 5, "verbose": 1}, "flat"),
    ("ModelCheckpoint", {"filepath": "best-{batch}.keras", "save_best_only": True, "monitor": "loss", "save_freq": 2},
     "down"),
    ("CSVLogger", {"filename": "log.csv"}, "down"),
    ("CSVLogger", {"filename": "log.csv", "separator": ";"}, "up"),
    ("CSVLogger", {"filename": "old.csv", "append": True}, "one"),
    ("CSVLogger", {"filename": "new.csv", "append": True}, "flat"),
    ("CSVLogger", {"filename": "train.csv"}, "train only"),
    ("CSVLogger", {"filename": "gap.csv"}, "val later"),
    ("LearningRateScheduler", {"schedule": "halve", "verbose": 1}, "flat"),
    ("LearningRateScheduler", {"schedule": "by epoch"}, "flat"),
]
SERIES["train only"] = series(loss=DOWN[:3], accuracy=UP[:3])
SERIES["val later"] = [{"loss": 1.0}, {"loss": 0.5, "val_loss": 0.75}, {"loss": 0.25}]
SCHEDULES = {"halve": lambda epoch, rate: rate * 0.5 if epoch else rate, "by epoch": lambda epoch: 0.1 / (1 + epoch)}


def name_of(case: tuple[str, dict[str, Any], str]) -> str:
    """A case as text."""
    kind, arguments, logs = case
    return f"{kind}({', '.join(f'{k}={v}' for k, v in arguments.items())}) on {logs}"


class Optimizer:
    """A learning rate that is kept as float32."""

    def __init__(self) -> None:
        self.rate = np.float32(0.1)

    @property
    def learning_rate(self) -> Any:
        return self.rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self.rate = np.float32(value)


class Model:
    """What callbacks want of a model: its only weight is the number of the epoch."""

    def __init__(self) -> None:
        self.optimizer = Optimizer()
        self.stop_training = False
        self.weight = -1
        self.saved: list[str] = []
        self.metrics: list[Any] = []

    def get_weights(self) -> list[Any]:
        return [np.array(self.weight)]

    def set_weights(self, weights: list[Any]) -> None:
        self.weight = int(weights[0])

    def save(self, path: str, overwrite: bool = True) -> None:
        Path(path).write_text(str(self.weight))
        self.saved.append(str(path))

    save_weights = save


def run(callbacks: Any, case: tuple[str, dict[str, Any], str]) -> dict[str, Any]:
    """What happens when a callback of the module `callbacks` is given the logs of a case, in the current directory."""
    kind, arguments, name = case
    arguments = {k: SCHEDULES[v] if k == "schedule" else v for k, v in arguments.items()}
    Path("old.csv").write_bytes(b"epoch,loss,val_loss\r\n7,1.0,1.0\r\n")
    model, rates, seen = Model(), [], []
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        callback = getattr(callbacks, kind)(**arguments)
        called = callbacks.CallbackList([callback], add_history=True, model=model, epochs=len(SERIES[name]))
        called.on_train_begin()
        for epoch, logs in enumerate(SERIES[name]):
            model.weight = epoch
            called.on_epoch_begin(epoch)
            rates.append(float(model.optimizer.learning_rate))
            for batch in range(BATCHES):
                called.on_train_batch_begin(batch)
                called.on_train_batch_end(batch, {"loss": logs["loss"] + 0.25 * (BATCHES - batch)})
            called.on_epoch_end(epoch, dict(logs))
            seen.append(epoch)
            if model.stop_training:
                break
        called.on_train_end()
    files = {str(p): p.read_bytes().decode() for p in sorted(Path().rglob("*")) if p.is_file()}
    return {"epochs": seen, "weight": model.weight, "rates": rates, "saved": [os.path.relpath(p) for p in model.saved],
            "files": files, "output": output.getvalue(), "history": model.history.history}
