"""Several ways to write what a rule looks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from symgraph.core.graph import Graph
from symgraph.passes.errors import PassError
from symgraph.passes.patterns import Pattern, Patterns


class Alternatives:
    """What several functions make, any of which a rule replaces; the first is looked for first."""

    def __init__(self, befores: Sequence[Callable[..., Any]], name: str) -> None:
        if not befores:
            raise PassError(f"rule {name!r}: before is empty; give a function, or several")
        kinds = [parameters(each) for each in befores]
        if any(kind != kinds[0] for kind in kinds):
            raise PassError(f"rule {name!r}: all alternatives must take the same arguments and capture the same "
                            f"attributes, got {', '.join(str((*a, *b)) for a, b in kinds)}")
        self.arguments, self.attributes = kinds[0]
        self.each = tuple(Patterns(before, self.arguments, self.attributes, name) for before in befores)

    def __str__(self) -> str:
        return " or ".join(map(str, self.each))

    @property
    def misfit(self) -> str:
        """Why the ops fit no types, of each alternative that has a reason."""
        return "; ".join(dict.fromkeys(x.misfit for x in self.each if x.misfit))

    def of(self, graph: Graph) -> tuple[Pattern, ...]:
        """The patterns to look for in a graph, whose values have certain types."""
        return tuple(pattern for each in self.each for pattern in each.of(graph))


def parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the operands that a function takes, and of the attributes, which are keywords only."""
    found = inspect.signature(function).parameters.values()
    attributes = tuple(sorted(x.name for x in found if x.kind is x.KEYWORD_ONLY))
    return tuple(x.name for x in found if x.kind is not x.KEYWORD_ONLY), attributes
