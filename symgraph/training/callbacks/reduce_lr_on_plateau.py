"""ReduceLROnPlateau: a smaller learning rate once a number has stopped getting better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.training.callbacks.learning_rates import log_learning_rate, read_learning_rate
from symgraph.training.callbacks.monitor import MonitorCallback


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor`, down to `min_lr`, after `patience` epochs without getting better.

    After that, `cooldown` epochs go by before it counts again. The logs get the rate as `learning_rate`.

    A `monitor` that is not in the logs gives a warning in each epoch. Errors: `TrainingError` for a factor of 1 or
    more, for an optimizer whose rate is a schedule, and where `mode="auto"` cannot tell which way is better.

    >>> import symgraph as sg
    >>> slower = sg.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.2, patience=5, min_lr=0.001)
    """

    def __init__(self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, verbose: int = 0,
                 mode: str = "auto", min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self._check_numbers(factor=factor, patience=patience, cooldown=cooldown, min_lr=min_lr)
        if factor >= 1.0:
            raise TrainingError(f"ReduceLROnPlateau: factor must be less than 1, got {factor}")
        self.factor, self.min_lr, self.patience = factor, min_lr, patience
        self.verbose, self.cooldown = verbose, cooldown
        self.cooldown_counter = self.wait = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.best = None
        self.cooldown_counter = self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether it waits after a reduction."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        log_learning_rate(type(self).__name__, self.model, logs)
        current = self.current(logs or {}, "reduce the learning rate by")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.is_better(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch: int) -> bool:
        old = read_learning_rate(type(self).__name__, self.model)
        if not old > np.float32(self.min_lr):
            return False
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return True

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "cooldown_counter": self.cooldown_counter, "wait": self.wait}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        self.cooldown_counter, self.wait = state["cooldown_counter"], state["wait"]
