"""The base of all callbacks: what happens during `fit`, `evaluate` and `predict` can be listened to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from symgraph.training.callbacks.callback_list import CallbackList

Hook = TypeVar("Hook", bound=Callable[..., Any])


def _nothing(hook: Hook) -> Hook:
    """Mark a hook that does nothing, so that loops need not call it."""
    hook._does_nothing = True  # type: ignore[attr-defined]
    return hook


class Callback:
    """What is told about training, testing and predicting, by its methods `on_…`. One of your own overrides some.

    `epoch` and `batch` count from 0. `logs` are numbers by name: of a batch, the mean loss and the metrics since the
    epoch began; of an epoch, the same with those of validation as `val_…`. What a callback adds to the logs of an
    epoch, as `logs["learning_rate"] = …`, those after it see, the history too.

    `model` is the model in question, `params` what the loop was started with: `verbose`, `epochs`, `steps`.
    `get_state` and `set_state` are for a training that goes on where it was interrupted: a callback that remembers
    something from epoch to epoch gives it away as numbers, strings, lists, dicts and NumPy arrays.

    >>> import symgraph as sg
    >>> class Losses(sg.callbacks.Callback):
    ...     def on_train_batch_end(self, batch, logs=None):
    ...         print(batch, logs["loss"])
    >>> sg.callbacks.CallbackList([Losses()]).on_train_batch_end(0, {"loss": 0.5})
    0 0.5
    """

    runs_last = False
    """Whether it is called after all others, whatever its place in the list."""

    callback_list: CallbackList | None = None
    """The list it is called in."""

    def __init__(self) -> None:
        self.params: Mapping[str, Any] | None = None
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model in question."""
        return self._model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take what the loop was started with."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self._model = model

    def uses(self, hook: str) -> bool:
        """Whether this hook does anything; a loop leaves out what is only there for hooks that do nothing.

        >>> import symgraph as sg
        >>> sg.callbacks.Callback().uses("on_train_batch_end")
        False
        """
        names = (hook, hook.replace("train_", "")) if hook.startswith("on_train_batch") else (hook,)
        return any(not getattr(getattr(self, name), "_does_nothing", False) for name in names)

    def get_state(self) -> dict[str, Any]:
        """What it remembers from one epoch to the next; nothing unless it says otherwise."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Remember what `get_state` gave: called after `on_train_begin` where training goes on."""

    def give_up(self) -> None:
        """The loop ends with an error or is interrupted: put back what is changed for a while only."""

    @_nothing
    def on_train_begin(self, logs: Any = None) -> None:
        """Training begins."""

    @_nothing
    def on_train_end(self, logs: Any = None) -> None:
        """Training is over; `logs` are those of the last epoch."""

    @_nothing
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """An epoch of training begins."""

    @_nothing
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """An epoch of training is over, with its validation."""

    @_nothing
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A step of training begins."""
        self.on_batch_begin(batch, logs=logs)

    @_nothing
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """A step of training is over."""
        self.on_batch_end(batch, logs=logs)

    @_nothing
    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The older name of `on_train_batch_begin`."""

    @_nothing
    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """The older name of `on_train_batch_end`."""

    @_nothing
    def on_test_begin(self, logs: Any = None) -> None:
        """`evaluate` begins, or the validation of an epoch."""

    @_nothing
    def on_test_end(self, logs: Any = None) -> None:
        """`evaluate` is over, or the validation of an epoch; `logs` are its results."""

    @_nothing
    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch of `evaluate` or of validation begins."""

    @_nothing
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch of `evaluate` or of validation is over."""

    @_nothing
    def on_predict_begin(self, logs: Any = None) -> None:
        """`predict` begins."""

    @_nothing
    def on_predict_end(self, logs: Any = None) -> None:
        """`predict` is over."""

    @_nothing
    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """A batch of `predict` begins."""

    @_nothing
    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """A batch of `predict` is over; `logs["outputs"]` is what came out."""
