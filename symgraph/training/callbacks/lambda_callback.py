"""LambdaCallback: a callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.core.errors import TrainingError, nearest
from symgraph.training.callbacks.callback import Callback

_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """Functions in the place of the hooks of a callback, by the names of these: `on_epoch_end=lambda epoch, logs: …`.

    Those of epochs take `epoch, logs`, of batches `batch, logs` (by that name), of loops `logs`.

    Errors: `TrainingError` for a hook that does not exist, or what is no function.

    >>> import symgraph as sg
    >>> said = sg.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> sg.callbacks.CallbackList([said]).on_epoch_end(0, {"loss": 0.5})
    0 0.5
    """

    def __init__(self, on_epoch_begin: Callable[..., Any] | None = None, on_epoch_end: Callable[..., Any] | None = None,
                 on_train_begin: Callable[..., Any] | None = None, on_train_end: Callable[..., Any] | None = None,
                 on_train_batch_begin: Callable[..., Any] | None = None,
                 on_train_batch_end: Callable[..., Any] | None = None, **kwargs: Callable[..., Any] | None) -> None:
        super().__init__()
        given = {"on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end, "on_train_begin": on_train_begin,
                 "on_train_end": on_train_end, "on_train_batch_begin": on_train_batch_begin,
                 "on_train_batch_end": on_train_batch_end, **kwargs}
        for hook, function in given.items():
            if hook not in _HOOKS:
                raise TrainingError(f"LambdaCallback: no hook {hook!r}; {nearest(hook, _HOOKS, limit=30)}")
            if function is not None and not callable(function):
                raise TrainingError(f"LambdaCallback: {hook} must be a function, got {function!r}")
            if function is not None:
                setattr(self, hook, function)
