"""Running passes in order until nothing changes, with a report and, where asked for, a proof."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, overload

from symgraph.core.graph import Graph
from symgraph.passes.errors import PassError
from symgraph.passes.fold_constants import fold_constants
from symgraph.passes.fold_into_convolution import fold_into_convolution
from symgraph.passes.freeze import freeze
from symgraph.passes.remove_identity import remove_identity
from symgraph.passes.remove_transposes import remove_transposes
from symgraph.passes.share_common import share_common_subexpressions
from symgraph.passes.simplify import SIMPLIFICATIONS
from symgraph.passes.verify import check_contract, check_results
from symgraph.runtime.exporter import walk_nodes

Pass = Callable[[Graph], Graph]
"""A function from graph to graph that keeps inputs, outputs and results; nothing to do: the same object.

`is_exact` (default True) says whether results stay bit for bit.
"""

TRAINING: tuple[Pass, ...] = (
    remove_identity, fold_constants, remove_transposes, share_common_subexpressions, *SIMPLIFICATIONS)
"""For graphs that are trained: weights stay variables."""

INFERENCE: tuple[Pass, ...] = (freeze, *TRAINING, fold_into_convolution)
"""For graphs that are only run: weights become constants, and what training alone needs goes."""

MAX_ROUNDS = 20


@dataclass(frozen=True)
class PassReport:
    """What one pass did, over all rounds."""

    name: str
    removed: Counter[str]
    added: Counter[str]
    seconds: float

    def __str__(self) -> str:
        return f"{self.name:<32} {_count(self.removed):<28} {_count(self.added):<20} {1e3 * self.seconds:8.1f} ms"


@dataclass(frozen=True)
class Report:
    """What each pass of a pipeline did, in order."""

    rows: tuple[PassReport, ...]
    nodes_before: int
    nodes_after: int

    def __iter__(self) -> Iterator[PassReport]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        head = f"{self.nodes_before} nodes before, {self.nodes_after} after"
        title = f"{'pass':<32} {'removed':<28} {'added':<20} {'time':>11}"
        return "\n".join([head, title, *map(str, self.rows)])


@overload
def optimize(graph: Graph, passes: Iterable[Pass] = ..., *, verify: bool = ..., report: Literal[False] = ...,
             ) -> Graph: ...
@overload
def optimize(graph: Graph, passes: Iterable[Pass] = ..., *, verify: bool = ..., report: Literal[True],
             ) -> tuple[Graph, Report]: ...


def optimize(graph: Graph, passes: Iterable[Pass] = INFERENCE, *, verify: bool = False, report: bool = False) -> Any:
    """Run `passes` in order, again and again until none changes the graph.

    Inputs, outputs, pinned values and their names stay. `verify=True` compares results before and after every
    pass that changed something, on random and on edge inputs, with ONNX Runtime's own optimiser off: bit for bit
    for exact passes. `report=True` returns the graph and a `Report`.

    Errors: `PassError` naming a pass that changes types, names or results, or never comes to rest.
    """
    pipeline = tuple(passes)
    rows = [(Counter[str](), Counter[str](), [0.0]) for _ in pipeline]
    before = len(graph.nodes)
    for _ in range(MAX_ROUNDS):
        start = graph
        for each, (removed, added, seconds) in zip(pipeline, rows, strict=True):
            began = time.perf_counter()
            result = each(graph)
            seconds[0] += time.perf_counter() - began
            if result is graph:
                continue
            check_contract(graph, result, name_of(each))
            if verify:
                check_results(graph, result, name_of(each), is_exact=getattr(each, "is_exact", True))
            old, new = _operators(graph), _operators(result)
            removed.update(old - new)
            added.update(new - old)
            graph = result
        if graph is start:
            break
    else:
        raise PassError(f"the passes {', '.join(map(name_of, pipeline))} still changed graph {graph.name!r} "
                        f"after {MAX_ROUNDS} rounds")
    if not report:
        return graph
    found = tuple(PassReport(name_of(p), r, a, s[0]) for p, (r, a, s) in zip(pipeline, rows, strict=True))
    return graph, Report(found, before, len(graph.nodes))


def name_of(each: Pass) -> str:
    """The name of a pass."""
    return str(getattr(each, "__name__", repr(each)))


def _operators(graph: Graph) -> Counter[str]:
    return Counter(str(node.op) for node in walk_nodes(graph))


def _count(operators: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(operators.items())) or "-"
