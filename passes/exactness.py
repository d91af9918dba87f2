"""Which passes keep results bit for bit, and which only up to rounding."""

from __future__ import annotations

from collections.abc import Callable

from symgraph.core.graph import Graph


def relaxed(function: Callable[[Graph], Graph]) -> Callable[[Graph], Graph]:
    """Declare that a pass may change results by rounding: verification then allows a tolerance."""
    setattr(function, "is_exact", False)  # noqa: B010 - functions have no such attribute for type checkers
    return function
