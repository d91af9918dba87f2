"""Who watches ops run on values: tapes, while they record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from symgraph.core.graph import Graph
    from symgraph.core.op import Op
    from symgraph.core.tensor import Operand
    from symgraph.core.value import Tensor


class Recorder(Protocol):
    """Sees every op that runs on values, and every value that is another one under a new identity."""

    def record(self, op: Op, operands: tuple[Operand | None, ...], attributes: Mapping[str, Any],
               outputs: tuple[Operand | None, ...], body: Graph | None = None,
               gradient: Callable[..., Any] | None = None) -> None: ...
    def alias(self, old: Operand, new: Tensor) -> None: ...


_RECORDERS: ContextVar[tuple[Recorder, ...]] = ContextVar("recorders", default=())


def recorders() -> tuple[Recorder, ...]:
    """Those who watch now, the outermost first."""
    return _RECORDERS.get()


@contextmanager
def watched_by(watching: tuple[Recorder, ...]) -> Iterator[None]:
    """Inside, exactly these watch."""
    token = _RECORDERS.set(watching)
    try:
        yield
    finally:
        _RECORDERS.reset(token)
