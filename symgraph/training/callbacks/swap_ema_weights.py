"""SwapEMAWeights: evaluation with the averages of the weights, training with the weights themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.core.value import Array
from symgraph.core.variable import Variable
from symgraph.training.callbacks.callback import Callback


class SwapEMAWeights(Callback):
    """While the model is evaluated or predicts, its weights are the averages its optimizer keeps (`use_ema=True`).

    With `swap_on_epoch=True` also at the end of an epoch, for callbacks after this one, as `ModelCheckpoint`, until
    the next begins. The averages themselves do not change, so training ends with them as weights in any case. What is
    interrupted or ends with an error leaves the model its own weights.

    Errors: `TrainingError` for an optimizer that keeps no averages, or has made no step.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._own: list[Array] | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._swap_out()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.swap_on_epoch:
            self._swap_in()

    def on_train_end(self, logs: Any = None) -> None:
        self._own = None

    def give_up(self) -> None:
        self._swap_out()

    def on_test_begin(self, logs: Any = None) -> None:
        self._swap_in()

    def on_test_end(self, logs: Any = None) -> None:
        self._swap_out()

    def on_predict_begin(self, logs: Any = None) -> None:
        self._swap_in()

    def on_predict_end(self, logs: Any = None) -> None:
        self._swap_out()

    def _swap_in(self) -> None:
        if self._own is not None:
            return
        averages = self._averages()
        self._own = [v.numpy() for v in averages]
        for v, average in averages.items():
            v.assign(average.numpy())

    def _swap_out(self) -> None:
        if self._own is None:
            return
        for v, array in zip(self._averages(), self._own, strict=True):
            v.assign(array)
        self._own = None

    def _averages(self) -> dict[Variable, Variable]:
        optimizer = getattr(self.model, "optimizer", None)
        averages = getattr(getattr(optimizer, "inner_optimizer", optimizer), "averages", None)
        if not averages:
            raise TrainingError("SwapEMAWeights needs an optimizer that keeps averages of weights and has made a step; "
                                f"give it use_ema=True, got {optimizer!r}")
        return dict(averages)

    def get_state(self) -> dict[str, Any]:
        return {"own": self._own}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._own = state["own"]
