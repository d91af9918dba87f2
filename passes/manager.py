"""Running passes in order until nothing changes, with a report and, where asked for, a proof."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, overload

from symgraph.core.graph import Graph
from symgraph.passes.bisect import MAX_ROUNDS, Location, name_of, prove
from symgraph.passes.errors import PassError
from symgraph.passes.fold_constants import fold_constants
from symgraph.passes.fold_into_convolution import fold_into_convolution
from symgraph.passes.fold_shapes import fold_shapes
from symgraph.passes.freeze import freeze
from symgraph.passes.fuse_for_onnxruntime import fuse_for_onnxruntime
from symgraph.passes.fuse_gemm import fuse_gemm
from symgraph.passes.inline_branches import inline_branches
from symgraph.passes.merge_parallel_matmuls import merge_parallel_matmuls
from symgraph.passes.merge_reshapes import merge_reshapes
from symgraph.passes.merge_slices import merge_slices
from symgraph.passes.recognize_activations import recognize_activations
from symgraph.passes.recognize_normalization import recognize_normalization
from symgraph.passes.remove_casts import remove_casts
from symgraph.passes.remove_identity import remove_identity
from symgraph.passes.remove_transposes import remove_transposes
from symgraph.passes.share_common import share_common_subexpressions
from symgraph.passes.simplify import SIMPLIFICATIONS
from symgraph.passes.upgrade_opset import upgrade_opset
from symgraph.passes.verify import check_contract
from symgraph.runtime.exporter import walk_nodes

Pass = Callable[[Graph], Graph]
"""A function from graph to graph that keeps inputs, outputs and results; nothing to do: the same object.

`is_exact` (default True) says whether results stay bit for bit.
"""

TRAINING: tuple[Pass, ...] = (
    remove_identity, remove_casts, fold_constants, inline_branches, fold_shapes, merge_slices, merge_reshapes,
    remove_transposes, share_common_subexpressions, *SIMPLIFICATIONS)
"""For graphs that are trained: weights stay variables."""

INFERENCE: tuple[Pass, ...] = (freeze, *TRAINING, fold_into_convolution)
"""For graphs that are only run: weights become constants, and what training alone needs goes."""

PORTABLE: tuple[Pass, ...] = (
    *INFERENCE, upgrade_opset, recognize_activations, recognize_normalization, fuse_gemm, merge_parallel_matmuls)
"""For graphs that any runtime of opset 21 runs: `INFERENCE`, and standard operators for what exporters write out."""

ONNXRUNTIME: tuple[Pass, ...] = (*PORTABLE, fuse_for_onnxruntime)
"""For graphs that ONNX Runtime runs: `PORTABLE`, and operators of its own."""


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
             reproducer: Location | None = ...) -> Graph: ...
@overload
def optimize(graph: Graph, passes: Iterable[Pass] = ..., *, verify: bool = ..., report: Literal[True],
             reproducer: Location | None = ...) -> tuple[Graph, Report]: ...


def optimize(graph: Graph, passes: Iterable[Pass] = INFERENCE, *, verify: bool = False, report: bool = False,
             reproducer: Location | None = None) -> Any:
    """Run `passes` in order, again and again until none changes the graph.

    Inputs, outputs, pinned values and their names stay. `verify=True` compares results before and after every
    pass that changed something, on random and on edge inputs, with ONNX Runtime's own optimiser off: bit for bit
    for exact passes. `report=True` returns the graph and a `Report`.

    Where the proof fails, the smallest part that shows it is saved as `reproducer`, its inputs as `.npz` beside it.

    Errors: `PassError` naming a pass that changes types, names or results, with the node, or never comes to rest.
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
                prove(graph, result, each, reproducer)
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


def _operators(graph: Graph) -> Counter[str]:
    return Counter(str(node.op) for node in walk_nodes(graph))


def _count(operators: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(operators.items())) or "-"
