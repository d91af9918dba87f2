"""Which values are alive, and freeing them early: `tidy`, `keep`, `dispose`, `memory`."""

from __future__ import annotations

import gc
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from symgraph.core.structure import flatten


class Disposable(Protocol):
    """A tensor, as far as freeing it goes."""

    _kept: bool
    _is_counted: bool

    @property
    def nbytes(self) -> int: ...
    def dispose(self) -> None: ...
    def __hash__(self) -> int: ...


T = TypeVar("T")
D = TypeVar("D", bound=Disposable)


class _Ledger:
    """Counts what is alive; `tidy` scopes also collect what is made."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tensors = 0
        self.bytes = 0

    def change(self, tensors: int, size: int) -> None:
        with self.lock:
            self.tensors += tensors
            self.bytes += size


ledger = _Ledger()
_TIDY: ContextVar[list[Disposable] | None] = ContextVar("tidy", default=None)


def tidy_scope() -> list[Disposable] | None:
    """Where new tensors enter their names while a `tidy` runs."""
    return _TIDY.get()


@dataclass(frozen=True)
class Memory:
    """How many tensors and variables are alive and how many bytes they take."""

    num_tensors: int
    num_bytes: int


def memory() -> Memory:
    """What is alive: every `Tensor` and `Variable` that was neither disposed nor forgotten.

    Collects Python's garbage first, so that forgotten graphs do not count; that takes some milliseconds.
    """
    gc.collect()
    return Memory(ledger.tensors, ledger.bytes)


def tidy(function: Callable[[], T] | str, *rest: Callable[[], T]) -> T:
    """Run `function`, then free every tensor it made, but those it returns, kept ones and variables.

    As in TensorFlow.js a name may come first: `tidy("step", function)`. What is returned may be any
    nesting of lists, tuples and dicts. Only for plain functions: a coroutine would go on after the
    clean-up.

    Errors: TypeError for coroutine functions and awaitable results.
    """
    if rest:
        function = rest[0]
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"tidy wants a plain function, got {function!r}; tensors of a coroutine cannot be tidied")
    made: list[Disposable] = []
    outer = _TIDY.get()
    token = _TIDY.set(made)
    returned: set[Disposable] = set()
    try:
        result = function()
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise TypeError("the function given to tidy returned an awaitable; tidy works for plain functions only")
        returned.update(x for x in with_masks(flatten(result)) if hasattr(x, "_kept"))
    finally:
        _TIDY.reset(token)
        for x in made:
            if x not in returned and not x._kept:
                x.dispose()
        if outer is not None:
            outer.extend(x for x in made if x in returned)
    return result


@contextmanager
def program_constants(used: Callable[[], Iterable[Disposable]]) -> Iterator[None]:
    """Of the tensors made inside, those `used` gives at the end are part of the program: never counted or tidied."""
    made: list[Disposable] = []
    token = _TIDY.set(made)
    try:
        yield
    finally:
        _TIDY.reset(token)
    new = set(made)
    for x in used():
        if x in new:
            x._kept = True
            x._is_counted = False
            ledger.change(-1, -x.nbytes)


def keep(x: D) -> D:
    """Keep `x` alive when the `tidy` around it ends."""
    for each in with_masks([x]):
        each._kept = True
    return x


def with_masks(values: Iterable[Any]) -> Iterator[Any]:
    """The values, and the masks that say which of their steps count: these live as long."""
    for x in values:
        yield x
        mask = getattr(x, "mask", None)
        if mask is not None:
            yield mask


def dispose(values: object) -> None:
    """Dispose every tensor, variable, layer or model in any nesting of lists, tuples and dicts."""
    for x in flatten(values):
        if hasattr(x, "dispose"):
            x.dispose()
