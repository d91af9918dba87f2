"""CallbackList: several callbacks, called as one by the loops of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from symgraph.core.errors import CheckpointError, TrainingError
from symgraph.training.callbacks.callback import Callback
from symgraph.training.callbacks.history import History
from symgraph.training.callbacks.logs import Logs, numbers
from symgraph.training.callbacks.progbar_logger import ProgbarLogger


class CallbackList(Callback):
    """Callbacks called in their order, which is that of the list with `runs_last` ones at its end.

    `callbacks` is one or a nest of lists of them. `add_history` and `add_progbar` add a `History` and a
    `ProgbarLogger` at the end where there is none. `params` (`verbose`, `epochs`, `steps`) go to all of them.

    Hooks of batches are called only where they do something, and get lazy `Logs`; a loop asks (`uses`), and need not
    stop after each batch where there are none. Logs of epochs are plain dicts of Python numbers, the same one for all
    callbacks.

    Errors: `TrainingError` for what is no callback.

    >>> import symgraph as sg
    >>> sg.callbacks.CallbackList([sg.callbacks.History()]).uses("on_train_batch_end")
    False
    """

    def __init__(self, callbacks: Any = None, add_history: bool = False, add_progbar: bool = False, model: Any = None,
                 **params: Any) -> None:
        super().__init__()
        self.callbacks = list(_flat(callbacks))
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self.callbacks.sort(key=lambda callback: callback.runs_last)
        self._used: dict[str, list[Callable[..., Any]]] = {}
        for callback in self.callbacks:
            callback.callback_list = self
        self.set_model(model)
        self.set_params(params)

    def __iter__(self) -> Iterator[Callback]:
        return iter(self.callbacks)

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        self.callbacks = sorted([*self.callbacks, *_flat(callback)], key=lambda each: each.runs_last)
        self._used.clear()
        callback.callback_list = self
        self.set_model(self.model)
        if self.params:
            callback.set_params(self.params)

    @property
    def history(self) -> History | None:
        """The last `History` among them."""
        return next((c for c in reversed(self.callbacks) if isinstance(c, History)), None)

    def set_params(self, params: Mapping[str, Any]) -> None:
        self.params = params
        self._used.clear()
        for callback in self.callbacks if params else ():
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        super().set_model(model)
        self._used.clear()
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    # State.

    def get_state(self) -> dict[str, Any]:
        """The states of those callbacks that have one, by class, and by number where there are several of a class."""
        states = ((name, callback.get_state()) for name, callback in self._named())
        return {name: state for name, state in states if state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Give each callback the state that is there for it; a warning names states nobody takes.

        Errors: `CheckpointError` for a state that is not that of such a callback.
        """
        named = dict(self._named())
        for name, each in state.items():
            if name not in named:
                continue
            try:
                named[name].set_state(each)
            except (KeyError, TypeError) as error:
                raise CheckpointError(f"the saved state of {name} is none that it can take ({error!r})") from error
        if unknown := [name for name in state if name not in named]:
            warnings.warn(f"the saved state of the callbacks {', '.join(unknown)} is left aside: there are "
                          f"{', '.join(named) or 'none'} now", stacklevel=2)

    def _named(self) -> Iterator[tuple[str, Callback]]:
        counts: dict[str, int] = {}
        for callback in self.callbacks:
            kind = type(callback).__name__
            number = counts[kind] = counts.get(kind, -1) + 1
            yield (f"{kind}_{number}" if number else kind), callback

    # Which hooks do something.

    def uses(self, hook: str) -> bool:
        """Whether this hook of any callback does anything."""
        return bool(self._using(hook))

    def _using(self, hook: str) -> list[Callable[..., Any]]:
        used = self._used.get(hook)
        if used is None:
            used = self._used[hook] = [getattr(c, hook) for c in self.callbacks if c.uses(hook)]
        return used

    # Calling.

    def give_up(self) -> None:
        for callback in self.callbacks:
            callback.give_up()

    def _begin_or_end(self, hook: str, logs: Any) -> None:
        self._used.clear()
        given = numbers(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(given)
        self._used.clear()

    def _epoch(self, hook: str, epoch: int, logs: Any) -> None:
        self._used.clear()
        given = numbers(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(epoch, given)

    def _batch(self, hook: str, batch: int, logs: Any) -> None:
        used = self._using(hook)
        if not used:
            return
        given = logs if isinstance(logs, Logs) else _lazy(logs)
        for call in used:
            call(batch, logs=given)

    def on_train_begin(self, logs: Any = None) -> None:
        self._begin_or_end("on_train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._begin_or_end("on_train_end", logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self._begin_or_end("on_test_begin", logs)

    def on_test_end(self, logs: Any = None) -> None:
        self._begin_or_end("on_test_end", logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._begin_or_end("on_predict_begin", logs)

    def on_predict_end(self, logs: Any = None) -> None:
        self._begin_or_end("on_predict_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._epoch("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_train_batch_end", batch, logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._batch("on_predict_batch_end", batch, logs)


def _lazy(logs: Mapping[str, Any] | None) -> Logs:
    known = logs or {}
    nested = any(isinstance(value, Mapping) for value in known.values())
    return Logs(lambda: known, None if nested else list(known))


def _flat(callbacks: Any) -> Iterable[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, CallbackList):
        yield from callbacks.callbacks
    elif isinstance(callbacks, list | tuple):
        for each in callbacks:
            yield from _flat(each)
    elif isinstance(callbacks, Callback):
        yield callbacks
    else:
        hint = "; give an object, as in EarlyStopping()" if isinstance(callbacks, type) else ""
        raise TrainingError(f"callbacks must be sg.callbacks.Callback objects, got {callbacks!r}{hint}")
