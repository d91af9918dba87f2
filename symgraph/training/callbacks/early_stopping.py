"""EarlyStopping: no more epochs once a number has stopped getting better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.value import Array
from symgraph.training.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stops training after `patience` epochs in which `monitor` did not get better by more than `min_delta`.

    With a `baseline`, only epochs better than it count. Before the epoch `start_from_epoch` nothing is watched.
    `restore_best_weights` brings the weights of the best epoch back at the end, also where all epochs were trained.
    `verbose=1` says what was done.

    A `monitor` that is not in the logs gives a warning in each epoch. Errors: `TrainingError` where `mode="auto"`
    cannot tell which way is better, and for what is no number.

    >>> import symgraph as sg
    >>> stop = sg.callbacks.EarlyStopping(monitor="loss", patience=3)
    """

    def __init__(self, monitor: str = "val_loss", min_delta: float = 0, patience: int = 0, verbose: int = 0,
                 mode: str = "auto", baseline: float | None = None, restore_best_weights: bool = False,
                 start_from_epoch: int = 0) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self._check_numbers(patience=patience, start_from_epoch=start_from_epoch,
                            **{} if baseline is None else {"baseline": baseline})
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        current = self.current(logs or {}, "stop by")
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self.is_better(current, self.best):
            self.best = current
            self._keep(epoch)
            if self.baseline is None or self.is_better(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "wait": self.wait, "stopped_epoch": self.stopped_epoch,
                "best_epoch": self.best_epoch, "best_weights": self.best_weights}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self.wait, self.stopped_epoch, self.best_epoch = state["wait"], state["stopped_epoch"], state["best_epoch"]
        self.best_weights = state["best_weights"]
