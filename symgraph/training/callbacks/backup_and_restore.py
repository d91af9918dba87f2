"""BackupAndRestore: a training that was interrupted goes on as if it had not been."""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.core.errors import CheckpointError, TrainingError
from symgraph.core.value import Array
from symgraph.training.callbacks.callback import Callback
from symgraph.training.callbacks.save_frequency import SaveFrequency
from symgraph.training.checkpoints import SUFFIX, latest_checkpoint, read_checkpoint, write_checkpoint
from symgraph.training.training_state import gather, restore


class BackupAndRestore(Callback):
    """Saves the whole state of the training in `backup_dir`, and goes on from there when `fit` is called again.

    It does so after each epoch, or every `save_freq` batches. A run that goes on gives, bit for bit, what one would
    have given that was never interrupted: weights, the optimizer, metrics, random numbers, the order of the data and
    what the other callbacks remember are all restored. The process may end at any moment, in writing too. With
    `double_checkpoint` the state before is kept as well, in case the disk damages the last one. At the end of training
    the files are deleted, unless `delete_checkpoint=False`.

    A state whose loss or weights are NaN or infinite is not saved, and then nothing is deleted.

    Other versions of symgraph or ONNX Runtime, or another provider, may round differently: with `any_version=True` a
    run goes on nevertheless, with a warning.

    Errors: `CheckpointError` where the model, the optimizer, the data, the seed given to `set_seed` or, without
    `any_version`, these versions are others than those of the backup, or where it is damaged; `ResourceError` where it
    cannot be written.
    """

    runs_last = True

    def __init__(self, backup_dir: str | os.PathLike[str], save_freq: int | str = "epoch",
                 double_checkpoint: bool = False, delete_checkpoint: bool = True, *, any_version: bool = False) -> None:
        super().__init__()
        if not os.fspath(backup_dir):
            raise TrainingError("BackupAndRestore: backup_dir is empty, expected a folder")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self.any_version = any_version
        self._frequency = SaveFrequency(type(self).__name__, save_freq)
        self._next = 0
        self._is_finite = True

    def uses(self, hook: str) -> bool:
        return super().uses(hook) and (hook != "on_train_batch_end" or self.save_freq != "epoch")

    @property
    def _paths(self) -> list[Path]:
        folder = Path(self.backup_dir)
        return [folder / f"backup{SUFFIX}", *([folder / f"backup-2{SUFFIX}"] if self.double_checkpoint else [])]

    def on_train_begin(self, logs: Any = None) -> None:
        self._is_finite = True
        self._next = 0
        path = latest_checkpoint(self.backup_dir)
        if path is not None:
            arrays, data = read_checkpoint(path)
            restore(self.model, path, arrays, data, any_version=self.any_version)
            self._next = (self._paths.index(path) + 1) % len(self._paths) if path in self._paths else 0
        elif damaged := [str(p) for p in self._paths if p.exists()]:
            raise CheckpointError(f"BackupAndRestore: no backup in {self.backup_dir} can be read; delete "
                                  f"{' and '.join(damaged)} to start anew")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._frequency.is_due(batch):
            self._save(logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {})

    def _save(self, logs: Mapping[str, Any]) -> None:
        arrays, data = gather(self.model)
        problem = _not_finite(logs, arrays)
        self._is_finite = problem is None
        if problem is not None:
            warnings.warn(f"BackupAndRestore: {problem}, so the state is not saved; the backup before it stays",
                          stacklevel=4)
            return
        write_checkpoint(self._paths[self._next], arrays, data)
        self._next = (self._next + 1) % len(self._paths)

    def on_train_end(self, logs: Any = None) -> None:
        if not self.delete_checkpoint or not self._is_finite or _not_finite(logs or {}, {}):
            return
        for path in self._paths:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not there, or with other files in it
            os.rmdir(self.backup_dir)

    def get_state(self) -> dict[str, Any]:
        return self._frequency.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._frequency.set_state(state)


def _not_finite(logs: Mapping[str, Any], arrays: Mapping[str, Array]) -> str | None:
    """What is NaN or infinite: the loss, or a weight."""
    loss = logs.get("loss")
    if isinstance(loss, float) and not math.isfinite(loss):
        return f"the loss is {loss}"
    for name, array in arrays.items():
        if name.startswith("weight ") and array.dtype.kind not in "biu" and not np.isfinite(array).all():
            return f"{name} is not finite"
    return None
