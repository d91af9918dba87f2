"""LearningRateScheduler: a learning rate for each epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training.callbacks.callback import Callback
from symgraph.training.callbacks.learning_rates import log_learning_rate, read_learning_rate
from symgraph.training.callbacks.logs import number


class LearningRateScheduler(Callback):
    """Sets the learning rate to `schedule(epoch, learning_rate)`, or `schedule(epoch)`, when an epoch begins.

    The logs get the rate as `learning_rate`. `verbose=1` says what was set.

    Errors: `TrainingError` where the schedule gives no number, or the rate of the optimizer is a schedule itself.

    >>> import symgraph as sg
    >>> halved = sg.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        if not callable(schedule):
            raise TrainingError(f"LearningRateScheduler: schedule must be a function of epoch and learning rate, got "
                                f"{schedule!r}")
        self.schedule, self.verbose = schedule, verbose
        self._epoch: int | None = None
        self._resumed: int | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._epoch = self._resumed = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        was_set, self._epoch, self._resumed = epoch == self._resumed, epoch, None
        if was_set:  # this epoch began before the interruption
            return
        old = read_learning_rate(type(self).__name__, self.model)
        given = self.schedule(epoch, old) if _takes_two(self.schedule) else self.schedule(epoch)
        new = number(given)
        if isinstance(given, bool) or not isinstance(new, float):
            raise TrainingError(f"LearningRateScheduler: the schedule must give a number, gave {given!r} for epoch "
                                f"{epoch}")
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {new}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        log_learning_rate(type(self).__name__, self.model, logs)

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self._epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._epoch = self._resumed = state["epoch"]


def _takes_two(schedule: Callable[..., Any]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a builtin does not say what it takes
        return True
    return True
