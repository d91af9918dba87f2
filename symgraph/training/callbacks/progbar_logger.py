"""ProgbarLogger: the progress of `fit`, `evaluate` and `predict`, printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training.callbacks.callback import Callback
from symgraph.training.progress_bar import Progbar, is_terminal, write

_INTERVAL = 0.1
_BATCH_ENDS = ("on_train_batch_end", "on_test_batch_end", "on_predict_batch_end")


class ProgbarLogger(Callback):
    """Prints where a loop stands: `verbose` 0 nothing, 1 a progress bar, 2 a line an epoch, "auto" as 1.

    Where the output is not a terminal there is no bar but a line an epoch, and of `predict` with "auto" nothing.
    The bar is drawn ten times a second at most, and the logs are read only then; without a bar no batch is looked at.

    Errors: `TrainingError` for another `verbose`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0
        self.target: int | None = None
        self.verbose = 1
        self.epochs = 1
        self.progbar: Progbar | None = None
        self._is_auto = False
        self._is_fit = False

    def set_params(self, params: Mapping[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        if verbose not in ("auto", 0, 1, 2):
            raise TrainingError('verbose must be 0 (silent), 1 (a bar), 2 (a line an epoch) or "auto", '
                                f"got {verbose!r}")
        self._is_auto = verbose == "auto"
        self.verbose = 1 if self._is_auto else int(verbose)
        self.epochs = params.get("epochs") or 1
        self.target = params.get("steps")

    def uses(self, hook: str) -> bool:
        if hook in _BATCH_ENDS:
            if not self.verbose or (self._is_fit and hook == "on_test_batch_end"):
                return False
            return self.target is None or (self.verbose == 1 and is_terminal()) or self._has_company(hook)
        return super().uses(hook)

    def _has_company(self, hook: str) -> bool:
        """Whether batches are looked at anyway; counting them, too, tells where an epoch was left early."""
        others = [c for c in self.callback_list or () if not isinstance(c, ProgbarLogger)]
        return any(c.uses(hook) for c in others)

    def on_train_begin(self, logs: Any = None) -> None:
        self._is_fit = True

    def on_train_end(self, logs: Any = None) -> None:
        self._is_fit = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begin(self.verbose)
        if self.verbose and self.epochs > 1:
            write(f"Epoch {epoch + 1}/{self.epochs}\n")

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._is_fit:
            self._begin(self.verbose)
        elif self.progbar is not None and not self.uses("on_train_batch_end") and self.target:
            self.progbar.update(self.target, finalize=False)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._begin(0 if self._is_auto and not is_terminal() else self.verbose)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._update(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._is_fit:
            self._update(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._update(batch, None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._end(logs)

    def on_test_end(self, logs: Any = None) -> None:
        if not self._is_fit:
            self._end(logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._end(None)

    def _begin(self, verbose: int) -> None:
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=verbose, interval=_INTERVAL, stateless_metrics=())

    def _update(self, batch: int, logs: Mapping[str, Any] | None) -> None:
        self.seen = batch + 1
        if self.progbar is not None and self.progbar.is_due:
            values = logs.items() if logs and self.progbar.verbose == 1 else ()
            self.progbar.update(self.seen, values, finalize=False)

    def _end(self, logs: Mapping[str, Any] | None) -> None:
        if self.progbar is None:
            return
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.seen or self.target, (logs or {}).items(), finalize=True)
        self.progbar = None
