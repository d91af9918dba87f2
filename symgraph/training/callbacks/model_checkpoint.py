"""ModelCheckpoint: the model in a file after every epoch, or whenever it is better than before."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training.callbacks.monitor import MonitorCallback
from symgraph.training.callbacks.save_frequency import SaveFrequency
from symgraph.training.weights_files import save_weights

_MODELS = (".keras", ".h5", ".onnx")
_WEIGHTS = (".weights.h5", ".ckpt")


class ModelCheckpoint(MonitorCallback):
    """Writes the model to `filepath` after each epoch, or every `save_freq` batches.

    The end of the name says how: `.keras` or `.h5` (`model.save`), `.onnx` (`model.export`); with `save_weights_only`
    `.weights.h5` (`model.save_weights`) or `.ckpt` (`sg.callbacks.load_weights` reads it). Names may have numbers in
    them, `"{epoch:02d}-{val_loss:.2f}.onnx"`: the epoch, the batch, both counted from 1, and the logs.

    With `save_best_only` it writes only when `monitor` is better than ever before, and than `initial_value_threshold`.
    A model whose loss is NaN or infinite is never written, so that the last good file stays; a warning tells.

    Errors: `TrainingError` for other names, for a model without such a method when training begins, and where
    `mode="auto"` cannot tell which way is better.

    >>> import symgraph as sg
    >>> best = sg.callbacks.ModelCheckpoint("best.onnx", monitor="val_loss", save_best_only=True)
    """

    def __init__(self, filepath: str | os.PathLike[str], monitor: str = "val_loss", verbose: int = 0,
                 save_best_only: bool = False, save_weights_only: bool = False, mode: str = "auto",
                 save_freq: int | str = "epoch", initial_value_threshold: float | None = None) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = save_freq
        self._frequency = SaveFrequency(type(self).__name__, save_freq)
        self._epoch = 0
        ends = _WEIGHTS if save_weights_only else _MODELS
        if not self.filepath.endswith(ends):
            what = "weights" if save_weights_only else "a whole model"
            raise TrainingError(f"ModelCheckpoint: the file of {what} must end in {' or '.join(ends)}, got "
                                f"{self.filepath!r}")

    def uses(self, hook: str) -> bool:
        return super().uses(hook) and (hook != "on_train_batch_end" or self.save_freq != "epoch")

    def on_train_begin(self, logs: Any = None) -> None:
        self._writer(self.filepath)  # whether the model can be written so is said before it is trained

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._frequency.is_due(batch):
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch: int, batch: int | None, logs: Mapping[str, Any]) -> None:
        path = self._path(epoch, batch, logs)
        if not self._is_wanted(epoch, logs, path):
            return
        write = self._writer(path)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(path):
            raise TrainingError(f"ModelCheckpoint: {path} is a directory, expected the name of a file")
        write(path)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _is_wanted(self, epoch: int, logs: Mapping[str, Any], path: str) -> bool:
        loss = logs.get("loss")
        if isinstance(loss, float) and not math.isfinite(loss):
            warnings.warn(f"ModelCheckpoint: the loss is {loss}, so the model is not written to {path}", stacklevel=4)
            return False
        if not self.save_best_only:
            self._say(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if not isinstance(current, float):
            reason = "is not there" if current is None else f"is no single number ({current!r})"
            warnings.warn(f"ModelCheckpoint: {self.monitor!r} {reason}, so the model is written without looking at it; "
                          f"there are: {', '.join(logs) or 'none'}", stacklevel=4)
            return True
        known = "None" if self.best is None else f"{self.best:.5f}"
        if not self.is_better(current, self.best):
            self._say(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {known}")
            return False
        self._say(f"\nEpoch {epoch + 1}: {self.monitor} improved from {known} to {current:.5f}, saving model to {path}")
        self.best = current
        return True

    def _say(self, message: str) -> None:
        if self.verbose > 0:
            print(message)

    def _path(self, epoch: int, batch: int | None, logs: Mapping[str, Any]) -> str:
        known = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**known)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise TrainingError(f"ModelCheckpoint: {self.filepath!r} cannot be filled in ({error}); there are: "
                                f"{', '.join(known)}") from None

    def _writer(self, path: str) -> Callable[[str], object]:
        model = self.model
        if path.endswith(".ckpt"):
            return lambda path: save_weights(model, path)
        if path.endswith(".onnx"):
            return lambda path: model.export(path)
        method = "save_weights" if self.save_weights_only else "save"
        found = getattr(model, method, None)
        if found is None:
            ours = ".ckpt" if self.save_weights_only else ".onnx"
            raise TrainingError(f"ModelCheckpoint: {type(model).__name__} has no {method}() to write {path}; "
                                f"use a name that ends in {ours}")
        return lambda path: found(path, overwrite=True)

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), **self._frequency.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self._frequency.set_state(state)
