"""Running passes in order until nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symgraph.core.errors import GraphError
from symgraph.core.graph import Graph
from symgraph.passes.fold_constants import fold_constants
from symgraph.passes.freeze import freeze
from symgraph.passes.remove_identity import remove_identity

Pass = Callable[[Graph], Graph]

INFERENCE: tuple[Pass, ...] = (freeze, remove_identity, fold_constants)
"""For graphs that are only run: weights become constants, what training alone needs goes."""

MAX_ROUNDS = 20


def optimize(graph: Graph, passes: Iterable[Pass] = INFERENCE) -> Graph:
    """Run `passes` in order, again and again until none changes the graph.

    Inputs, outputs and their names stay. Errors: `GraphError` for passes that never come to rest.
    """
    pipeline = tuple(passes)
    for _ in range(MAX_ROUNDS):
        before = graph
        for each in pipeline:
            graph = each(graph)
        if graph is before:
            return graph
    names = ", ".join(getattr(each, "__name__", repr(each)) for each in pipeline)
    raise GraphError(f"the passes {names} still changed graph {graph.name!r} after {MAX_ROUNDS} rounds")
