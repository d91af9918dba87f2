"""TerminateOnNaN: no further step once the loss is not a number."""

from __future__ import annotations

import math
from typing import Any

from symgraph.core.errors import NonFiniteError
from symgraph.training.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite: after the batch, or at once with `raise_error=True`.

    Neither way touches what was saved before: files stay that would be written over or deleted at the end otherwise.
    `NanGuard` also says where it came from.

    Errors: `NonFiniteError` with `raise_error=True`.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise NonFiniteError(f"the loss is {loss} at batch {batch}; training stops")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
