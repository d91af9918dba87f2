"""Steps of training and evaluation: a Python function of a batch, traced, compiled, and run with its state in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph import passes
from symgraph.core.graph import Graph
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import Dim, TensorType, as_dtype
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.devices import current_device
from symgraph.runtime.state import State
from symgraph.runtime.step import Step
from symgraph.training.function import HOLE, Traced, trace

Array = np.ndarray[Any, Any]
Shapes = tuple[tuple[int, ...], ...]

REPEATS = 16
"""After so many batches of one size it is compiled for that size."""

SIZES = 4
"""At most so many sizes are compiled for; any other runs on the graph that leaves the sizes open."""


@dataclass(frozen=True)
class TracedStep:
    """A step as a graph: its results, nested as the function returned them, then the next values of `assigned`."""

    graph: Graph
    results: Any
    assigned: tuple[Variable, ...]

    @property
    def count(self) -> int:
        """The number of results."""
        return len(self.graph.outputs) - len(self.assigned)


def trace_step(function: Callable[..., Any], types: Sequence[TensorType], structure: Any, name: str,
               names: Sequence[str] | None = None) -> TracedStep:
    """Trace `function(batch)` for a batch of these types, nested as `structure` with holes, and optimise the graph."""
    traced = trace(function, list(types), ((structure,), {}), names or _input_names(structure), name=name)
    count = len(traced.graph.outputs) - len(traced.adding)
    outputs = traced.graph.outputs[:count]
    graph = traced.graph.with_outputs(outputs, _output_names(traced, count))
    return TracedStep(passes.optimize(graph, passes.TRAINING), traced.outputs, traced.assigned)


def _output_names(traced: Traced, count: int) -> list[str]:
    results = count - len(traced.assigned)
    return [f"result:{i}" for i in range(results)] + [f"next:{i}" for i in range(len(traced.assigned))]


def _input_names(structure: Any) -> list[str]:
    """`x`, `y` and `sample_weight` for the parts of a batch, with numbers where there are several."""
    names: list[str] = []
    for part, base in zip(structure, ("x", "y", "sample_weight"), strict=False):
        count = sum(leaf is HOLE for leaf in flatten(part))
        names += [base] if count == 1 else [f"{base}:{i}" for i in range(count)]
    return names


class StepFunction:
    """A function of a batch (nested arrays) that gives results and assigns variables.

    It is traced and compiled for the sizes of the first batch. Other sizes run on a graph that leaves open what
    differs; a size that comes again and again gets a graph of its own. All of them share the state.
    """

    def __init__(self, function: Callable[[Any], Any], name: str) -> None:
        self.function = function
        self.name = name
        self.state: State | None = None
        self._exact: dict[object, _Compiled] = {}
        self._open: dict[object, list[tuple[tuple[TensorType, ...], _Compiled]]] = {}
        self._seen: Counter[object] = Counter()
        self._last: _Compiled | None = None

    def __call__(self, batch: Any) -> Any:
        """Run on a batch and give the results as NumPy arrays, nested as the function returned them."""
        self.run(batch)
        return self.results()

    def run(self, batch: Any) -> None:
        """Run on a batch; `results` tells what came of it."""
        leaves = flatten(batch)
        arrays = [x for x in leaves if x is not None]
        compiled = self._compiled(batch, leaves, arrays)
        compiled.step.run(arrays)
        self._last = compiled

    def prepare(self, batch: Any, times: int = 1) -> Step:
        """The step for batches like this one, of which `times` are to come, compiled.

        Its `inputs` are the leaves of the batch that are not None.
        """
        leaves = flatten(batch)
        arrays = [x for x in leaves if x is not None]
        self._last = self._compiled(batch, leaves, arrays, times)
        return self._last.step

    def results(self) -> Any:
        """What the last run gave, as NumPy arrays."""
        assert self._last is not None
        return pack(self._last.results, self._last.step.results())

    @property
    def graphs(self) -> list[Graph]:
        """The graphs compiled so far."""
        compiled = [*self._exact.values(), *(c for group in self._open.values() for _, c in group)]
        return [c.step.graph for c in compiled]

    def _compiled(self, batch: Any, leaves: list[Any], arrays: list[Array], times: int = 1) -> _Compiled:
        shapes: Shapes = tuple([x.shape for x in arrays])
        kind = tuple([None if x is None else x.dtype.num for x in leaves])
        key = kind, shapes
        found = self._exact.get(key)
        if found is not None:
            return found
        types = tuple(TensorType(as_dtype(x.dtype), x.shape) for x in arrays)
        group = self._open.setdefault((kind, tuple(map(len, shapes))), [])
        self._seen[key] += times
        is_first = not any(k[0] == kind for k in self._exact)  # type: ignore[index]
        if is_first or (self._seen[key] > REPEATS and len(self._exact) < SIZES):
            found = self._exact[key] = self._compile(batch, leaves, types)
            return found
        for known, compiled in group:
            if all(_covers(a, b) for a, b in zip(known, types, strict=True)):
                return compiled
        seen = [k[1] for k in self._seen if k[0] == kind and list(map(len, k[1])) == list(map(len, shapes))]  # type: ignore[index]
        wide = _open_types(types, seen)
        compiled = self._compile(batch, leaves, wide)
        group.append((wide, compiled))
        return compiled

    def _compile(self, batch: Any, leaves: list[Any], types: Sequence[TensorType]) -> _Compiled:
        structure = pack(batch, [None if x is None else HOLE for x in leaves])
        traced = trace_step(self.function, types, structure, self.name)
        if self.state is None or set(self.state.variables) != set(traced.assigned):
            self.state = State(traced.assigned, current_device())
        order = {v: i for i, v in enumerate(traced.assigned)}
        outputs = traced.graph.outputs
        following = [outputs[traced.count + order[v]] for v in self.state.variables]
        graph = traced.graph.with_outputs([*outputs[:traced.count], *following], traced.graph.output_names)
        return _Compiled(Step(graph, self.state), traced.results)


@dataclass(frozen=True)
class _Compiled:
    step: Step
    results: Any


def _covers(known: TensorType, wanted: TensorType) -> bool:
    return all(not isinstance(a, int) or a == b for a, b in zip(known.shape or (), wanted.shape or (), strict=True))


def _open_types(types: Iterable[TensorType], seen: Sequence[Shapes]) -> tuple[TensorType, ...]:
    """The types with those sizes open that were not always the same; where it is the first of all, it has one name."""
    made = []
    for i, t in enumerate(types):
        shape = t.shape or ()
        dims: list[Dim] = [d if len({s[i][axis] for s in seen}) == 1 else "batch" if axis == 0 else None
                           for axis, d in enumerate(shape)]
        made.append(TensorType(t.dtype, tuple(dims)))
    lengths = [{s[i][0] for s in seen} for i, t in enumerate(made) if t.shape]
    is_common = all(len({s[i][0] for i, t in enumerate(made) if t.shape}) == 1 for s in seen) and bool(lengths)
    if is_common:
        return tuple(made)
    return tuple(TensorType(t.dtype, tuple(None if d == "batch" else d for d in t.shape or ())) for t in made)


def as_arrays(structure: Any) -> Any:
    """NumPy arrays in place of tensors and variables, nested as before; None stays."""
    leaves = [x.numpy() if isinstance(x, Operand) else x if x is None else np.asarray(x) for x in flatten(structure)]
    return pack(structure, leaves)


def as_tensors(structure: Any) -> Any:
    """Tensors in place of arrays; None stays."""
    return pack(structure, [None if x is None else Tensor(np.asarray(x)) for x in flatten(structure)])

