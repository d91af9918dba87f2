"""CSVLogger: the logs of the epochs as a table in a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.training.callbacks.callback import Callback


class CSVLogger(Callback):
    """Writes a row an epoch: the epoch and the logs by name, in the order of the names; NA for what is missing.

    The first epoch says which columns there are; without validation in it, each has its `val_` column all the same.
    `append=True` goes on with a file that is there. Where training goes on after an interruption, rows of epochs
    that are done again are dropped.

    Errors: `TrainingError` where the file cannot be written, when training begins or, on a full disk, later.

    >>> import symgraph as sg
    >>> callbacks = sg.callbacks.CallbackList([sg.callbacks.CSVLogger("log.csv")])
    >>> callbacks.on_train_begin()
    >>> callbacks.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.25})
    >>> callbacks.on_train_end()
    >>> from pathlib import Path
    >>> Path("log.csv").read_text().split()
    ['epoch,loss,val_loss', '0,0.5,0.25']
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep, self.append = separator, append
        self.keys: list[str] | None = None
        self._begins_at: int | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.keys = None
        with self._open() as file:  # nothing is cut off before it is known whether training goes on
            self._begins_at = file.tell() if self.append else 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        given = dict(logs or {})
        if self.keys is None:
            names = sorted(given)
            has_validation = any(name.startswith("val_") for name in names)
            self.keys = names if has_validation else [*names, *(f"val_{name}" for name in names)]
        with self._open() as file:
            self._cut(file)
            writer = csv.writer(file, delimiter=self.sep)
            if file.tell() == 0:
                writer.writerow(["epoch", *self.keys])
            writer.writerow([epoch, *(_cell(given.get(name, "NA")) for name in self.keys)])

    def on_train_end(self, logs: Any = None) -> None:
        with self._open() as file:
            self._cut(file)

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        try:
            with open(self.filename, "a", newline="", encoding="utf-8") as file:
                yield file
        except OSError as error:
            raise TrainingError(f"CSVLogger: cannot write {self.filename}: {error.strerror}") from None

    def _cut(self, file: TextIO) -> None:
        """Drop what stands in the file after the place to begin at, before the first row."""
        if self._begins_at is not None:
            file.truncate(self._begins_at)
            file.seek(0, os.SEEK_END)
        self._begins_at = None

    def get_state(self) -> dict[str, Any]:
        size = self._begins_at if self._begins_at is not None else (
            Path(self.filename).stat().st_size if os.path.exists(self.filename) else 0)
        return {"keys": self.keys, "size": size}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.keys = state["keys"]
        there = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        if there < state["size"]:
            raise TrainingError(f"CSVLogger: {self.filename} has {there} bytes, but had {state['size']} when training "
                                "was interrupted; put it back, or delete the backup to start anew")
        self._begins_at = state["size"]


def _cell(value: Any) -> Any:
    """A value as it stands in the table: sequences as `"[1, 2]"`."""
    if isinstance(value, str) or not isinstance(value, Iterable) or (isinstance(value, np.ndarray) and not value.ndim):
        return value
    return f'"[{", ".join(map(str, value))}]"'
