"""Where the program stands while a graph is built: the layer, the user's line, and what is being traced."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symgraph.core.tensor import Operand
    from symgraph.core.variable import Variable

Source = tuple[str, int]
"""File name and line number."""

_LAYERS: ContextVar[tuple[str, ...]] = ContextVar("layers", default=())
_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)
_PLACE: ContextVar[tuple[Source | None] | None] = ContextVar("place", default=None)
_AUTOCAST: ContextVar[str | None] = ContextVar("autocast", default=None)


class Trace:
    """What a traced function does besides returning.

    It assigns variables their new values (`updates`), and layers called in it add to the loss (`losses`). In a
    definition, and what is traced inside of one, a layer is applied to symbols of a model: a part of a graph that is
    not done yet. A body is a function inside of a traced one, run as often as the graph wants: whoever traces it gives
    it the keys that generators draw from in it (`draws`).
    """

    def __init__(self, *, is_definition: bool = False, is_body: bool = False) -> None:
        around = _TRACE.get()
        self.is_definition: bool = is_definition or (around is not None and around.is_definition)
        self.is_body = is_body
        self.draws: dict[Any, tuple[Operand, Iterator[int]]] = {}
        self.updates: dict[Variable, Operand] = {}
        self.losses: list[tuple[Any, Operand]] = []


class EagerStep:
    """A step that runs on values as it would in a compiled function: layer by layer, with the same random draws."""

    def __init__(self) -> None:
        self.draws: dict[Any, tuple[Operand, Iterator[int]]] = {}


_EAGER_STEP: ContextVar[EagerStep | None] = ContextVar("eager step", default=None)


def current_eager_step() -> EagerStep | None:
    """The step that is being run on values, if any."""
    return _EAGER_STEP.get()


@contextmanager
def eager_step() -> Iterator[None]:
    """What runs inside is a step on values."""
    token = _EAGER_STEP.set(EagerStep())
    try:
        yield
    finally:
        _EAGER_STEP.reset(token)


def current_layer() -> tuple[str, ...]:
    """Names of the layers being applied, outermost first."""
    return _LAYERS.get()


@contextmanager
def layer_scope(name: str) -> Iterator[None]:
    """Nodes made inside know that layer `name` made them."""
    token = _LAYERS.set((*_LAYERS.get(), name))
    try:
        yield
    finally:
        _LAYERS.reset(token)


def current_trace() -> Trace | None:
    """The trace being recorded, if any. In one, ops on variables record instead of running."""
    return _TRACE.get()


@contextmanager
def tracing(trace: Trace | None = None) -> Iterator[Trace]:
    """Record ops on variables, and assignments, instead of running them.

    Inside another trace the outer one goes on, unless a trace of its own is given.
    """
    active = trace or _TRACE.get() or Trace()
    token = _TRACE.set(active)
    try:
        yield active
    finally:
        _TRACE.reset(token)


@contextmanager
def not_tracing() -> Iterator[None]:
    """Run ops on values and variables at once, even while a trace is recorded (initial values of weights)."""
    token = _TRACE.set(None)
    try:
        yield
    finally:
        _TRACE.reset(token)


def autocast_dtype() -> str | None:
    """The dtype in which variables are read: that of the layer of mixed precision being called, else None."""
    return _AUTOCAST.get()


@contextmanager
def autocasting(dtype: str | None) -> Iterator[None]:
    """Ops inside read floating-point variables in this dtype; with None as they are."""
    token = _AUTOCAST.set(dtype)
    try:
        yield
    finally:
        _AUTOCAST.reset(token)


@contextmanager
def in_place_of(layer: tuple[str, ...], source: Source | None) -> Iterator[None]:
    """Nodes made inside belong to this layer and line: a pass makes them in place of others."""
    layer_token, place_token = _LAYERS.set(layer), _PLACE.set((source,))
    try:
        yield
    finally:
        _LAYERS.reset(layer_token)
        _PLACE.reset(place_token)


class Places:
    """Nodes made inside belong to the layer and line last moved to: what `in_place_of` does, for many in a row."""

    __slots__ = ("_layer", "_source", "_tokens")

    def __enter__(self) -> Places:
        self._tokens = _LAYERS.set(_LAYERS.get()), _PLACE.set(_PLACE.get())
        self._layer: tuple[str, ...] | None = None
        self._source: Source | None = None
        return self

    def move_to(self, layer: tuple[str, ...], source: Source | None) -> None:
        """Let what is made from now on belong here."""
        if layer != self._layer or source != self._source:
            self._layer, self._source = layer, source
            _LAYERS.set(layer)
            _PLACE.set((source,))

    def __exit__(self, *error: object) -> None:
        _LAYERS.reset(self._tokens[0])
        _PLACE.reset(self._tokens[1])


def user_source() -> Source | None:
    """The innermost line of the call stack that is not symgraph's own, or that of the node being replaced."""
    place = _PLACE.get()
    if place is not None:
        return place[0]
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not (module == "symgraph" or module.startswith("symgraph.")):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return None


def warn_user(message: str) -> None:
    """Warn at the innermost line that is not symgraph's own."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "symgraph":
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, stacklevel=depth)


def describe_place(layer: tuple[str, ...], source: Source | None) -> str:
    """` (in layer "head", app.py:12)`, for the end of a message; empty where nothing is known."""
    parts = [f'in layer "{"/".join(layer)}"'] if layer else []
    if source is not None:
        parts.append(f"{source[0].replace(chr(92), '/').rsplit('/', 1)[-1]}:{source[1]}")
    return f" ({', '.join(parts)})" if parts else ""
