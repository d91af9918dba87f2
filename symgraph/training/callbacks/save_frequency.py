"""When something is saved: after each epoch, or after so many batches, however many a step takes at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.errors import TrainingError


class SaveFrequency:
    """Counts batches; `is_due(batch)` is asked after each, or after several.

    Errors: `TrainingError` for another `save_freq` than "epoch" and a number from 1 on.

    >>> from symgraph.training.callbacks.save_frequency import SaveFrequency
    >>> every_three = SaveFrequency("backup", 3)
    >>> [every_three.is_due(batch) for batch in (0, 1, 2, 3, 0, 1)]
    [False, False, True, False, False, True]
    """

    def __init__(self, who: str, save_freq: int | str) -> None:
        is_number = isinstance(save_freq, int) and not isinstance(save_freq, bool) and save_freq > 0
        if save_freq != "epoch" and not is_number:
            raise TrainingError(f'{who}: save_freq must be "epoch" or a number of batches, got {save_freq!r}')
        self.save_freq = save_freq
        self._count = 0
        self._last: int | None = None

    def is_due(self, batch: int) -> bool:
        """Whether `save_freq` batches are done since it was last due."""
        if isinstance(self.save_freq, str):
            return False
        is_new_epoch = self._last is None or batch <= self._last
        self._count += batch + 1 if is_new_epoch else batch - (self._last or 0)
        self._last = batch
        if self._count < self.save_freq:
            return False
        self._count = 0
        return True

    def get_state(self) -> dict[str, Any]:
        """What is counted."""
        return {"batches": self._count, "last_batch": self._last}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Count on from what `get_state` gave."""
        self._count, self._last = state["batches"], state["last_batch"]
