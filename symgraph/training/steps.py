"""Steps of training and evaluation: a Python function of a batch, traced, compiled, and run with its state in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph import passes
from symgraph.core.graph import Graph
from symgraph.core.structure import flatten, nesting, pack
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, as_dtype
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.devices import current_device
from symgraph.runtime.state import State
from symgraph.runtime.step import Step
from symgraph.training.function import HOLE, Traced, trace
from symgraph.training.step_sizes import Plan

Array = np.ndarray[Any, Any]
Types = tuple[TensorType, ...]

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
    count = len(flatten(traced.outputs)) + len(traced.assigned)
    outputs = traced.graph.outputs[:count]
    graph = traced.graph.with_outputs(outputs, _output_names(traced, count))
    graph = passes.optimize(graph, passes.TRAINING)
    if current_device().kind == "CPU":
        graph = passes.prepare_step(graph)
    return TracedStep(graph, traced.outputs, traced.assigned)


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

    It is traced and compiled for the nesting and the sizes of the first batch. Other sizes run on a graph that leaves
    open what differs; a size that comes again and again gets a graph of its own, and so does another nesting. All of
    them share the state. Which graph a batch runs on decides the last bits of the results; `get_plan` and `set_plan`
    keep that over an interruption. `made_of` is for whoever makes it to say what it depends on besides its batch.
    """

    def __init__(self, function: Callable[[Any], Any], name: str, made_of: tuple[Any, ...] = ()) -> None:
        self.function = function
        self.name = name
        self.made_of = made_of
        self.state: State | None = None
        self._plan = Plan()
        self._compiled: dict[object, _Compiled] = {}
        self._chosen: dict[object, _Compiled] = {}
        self._last: _Compiled | None = None
        self._last_arrays: list[Array] | None = None

    def __call__(self, batch: Any) -> Any:
        """Run on a batch and give the results as NumPy arrays, nested as the function returned them."""
        self.run(batch)
        return self.results()

    def run(self, batch: Any) -> None:
        """Run on a batch; `results` tells what came of it."""
        leaves = flatten(batch)
        arrays = [x for x in leaves if x is not None]
        self._last = compiled = self._choose(batch, leaves, arrays, 1)
        self._last_arrays = arrays
        compiled.step.run(arrays)

    def prepare(self, batch: Any, times: int = 1) -> Step:
        """The step for batches like this one, of which `times` are to come, compiled.

        Its `inputs` are the leaves of the batch that are not None.
        """
        leaves = flatten(batch)
        self._last = self._choose(batch, leaves, [x for x in leaves if x is not None], times)
        self._last_arrays = None
        return self._last.step

    def results(self) -> Any:
        """What the last run gave, as NumPy arrays."""
        assert self._last is not None
        return pack(self._last.results, self._last.step.results())

    def last_batch(self) -> list[Array]:
        """The arrays of the batch that was run last, flat: x, y, sample weights."""
        assert self._last is not None
        if self._last_arrays is not None:
            return self._last_arrays
        return [np.array(x) for x in self._last.step.inputs if x is not None]

    def before(self, variable: Variable) -> Array:
        """The value of a variable before the last run."""
        if self.state is not None and variable.home is self.state:
            return self.state.before(variable)
        return variable.numpy()

    @property
    def graphs(self) -> list[Graph]:
        """The graphs compiled so far."""
        return [compiled.step.graph for compiled in self._compiled.values()]

    def get_plan(self) -> dict[str, Any]:
        """Which sizes have a graph of their own, which are open, and how often each came, as plain data."""
        return self._plan.to_data()

    def set_plan(self, data: dict[str, Any]) -> None:
        """Choose graphs as the function did whose plan this is."""
        self._plan = Plan.from_data(data)
        self._chosen.clear()

    def _choose(self, batch: Any, leaves: list[Any], arrays: list[Array], times: int) -> _Compiled:
        nested = nesting(batch)
        key = nested, tuple([None if x is None else (x.dtype.num, x.shape) for x in leaves])
        found = self._chosen.get(key)
        if found is not None:
            return found
        exact = tuple(TensorType(as_dtype(x.dtype), x.shape) for x in arrays)
        types = self._plan.choose(exact, times)
        parts = nested, tuple([x is None for x in leaves]), types
        found = self._compiled.get(parts)
        if found is None:
            found = self._compiled[parts] = self._compile(batch, leaves, types)
        if types == exact:
            self._chosen[key] = found
        return found

    def _compile(self, batch: Any, leaves: list[Any], types: Types) -> _Compiled:
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


def as_arrays(structure: Any) -> Any:
    """NumPy arrays in place of tensors and variables, nested as before; None stays."""
    leaves = [x.numpy() if isinstance(x, Operand) else x if x is None else np.asarray(x) for x in flatten(structure)]
    return pack(structure, leaves)


def as_tensors(structure: Any) -> Any:
    """Tensors in place of arrays; None stays."""
    return pack(structure, [None if x is None else Tensor(np.asarray(x)) for x in flatten(structure)])

