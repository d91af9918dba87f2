"""`@function`: a Python function of tensors, traced to a graph and compiled, once per kind of input."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.autodiff.lifting import lift_variables
from symgraph.core.apply import placeholder
from symgraph.core.composite import DOMAIN
from symgraph.core.errors import OpError
from symgraph.core.graph import Graph
from symgraph.core.op import intern_op
from symgraph.core.recording import recorders
from symgraph.core.scope import Trace, autocast_dtype, current_trace, tracing
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import Dim, TensorType, ValueType
from symgraph.core.value import Tensor, as_array
from symgraph.core.variable import Variable
from symgraph.layers.added_losses import keep_losses
from symgraph.runtime.session import Session


@dataclass(frozen=True)
class Traced:
    """A function as a graph: it gives the outputs, the new values of `assigned`, what the layers `adding` add, and the
    masks of the outputs `masked`.
    """

    graph: Graph
    outputs: Any
    assigned: tuple[Variable, ...]
    adding: tuple[Any, ...] = ()
    masked: tuple[int, ...] = ()

    @functools.cached_property
    def session(self) -> Session:
        """The compiled graph; variables are read anew at every run."""
        return Session(self.graph, variables_as_inputs=True)

    def run(self, inputs: Sequence[Operand]) -> Any:
        """Run on values, assign what the function assigns, return what it returns. Tapes see it as one op."""
        watching = recorders()
        lifted, variables = lift_variables(self.graph) if watching else (self.graph, ())
        read = [v.value for v in variables]
        arrays = [x.numpy() for x in inputs]
        results = self.session.run(dict(zip(self.graph.input_names, arrays, strict=True)))
        end = len(results) - len(self.masked)
        last = end - len(self.adding)
        count = last - len(self.assigned)
        for variable, value in zip(self.assigned, results[count:last], strict=True):
            variable.assign(value)
        values = tuple(as_value(x) for x in results)
        if self.adding:
            keep_losses(self.adding, values[last:end])
        for i, mask in zip(self.masked, values[end:], strict=True):
            values[i].mask = mask
        for recorder in watching:
            recorder.record(intern_op(self.graph.name, DOMAIN, 1, None), (*inputs, *read), {}, values, lifted)
        return pack(self.outputs, values[:count])


def trace(function: Callable[..., Any], types: Sequence[ValueType | None], structure: Any,
          names: Sequence[str] | None = None, name: str | None = None, masked: Sequence[int] = ()) -> Traced:
    """Call `function` once on symbols of these types, put where `structure` (args, kwargs) has holes.

    The last types are those of the masks that the symbols `masked` carry.
    """
    count = len(types) - len(masked)
    names = names or [f"x{i}" for i in range(count)]
    symbols = [placeholder(t, name) for t, name in zip(types, (*names, *(f"{names[i]}_mask" for i in masked)),
                                                       strict=True)]
    for i, mask in zip(masked, symbols[count:], strict=True):
        symbols[i].mask = mask
    args, kwargs = pack(structure, _fill(flatten(structure), symbols[:count]))
    effects = Trace()
    with tracing(effects):
        outputs = function(*args, **kwargs)
        leaves = [_as_output(x) for x in flatten(outputs)]
    masks = {i: x.mask for i, x in enumerate(leaves) if x.mask is not None}
    graph = Graph(symbols, [*leaves, *effects.updates.values(), *(_as_output(x) for _, x in effects.losses),
                            *masks.values()], name=name or str(getattr(function, "__name__", "function")))
    adding = tuple(layer for layer, _ in effects.losses)
    return Traced(graph, pack(outputs, range(len(leaves))), tuple(effects.updates), adding, tuple(masks))


def as_value(result: Any) -> Any:
    """What a session gave, as a tensor; lists (sequences) stay lists."""
    if isinstance(result, list):
        return [as_value(x) for x in result]
    return Tensor(result) if isinstance(result, np.ndarray) else result


class Hole:
    """Where a tensor stands among the arguments."""


HOLE = Hole()
"""The one hole there is."""


def _fill(leaves: list[Any], symbols: list[SymbolicTensor]) -> list[Any]:
    waiting = iter(symbols)
    return [next(waiting) if x is HOLE else x for x in leaves]


def _as_output(x: Any) -> Operand:
    if isinstance(x, Operand):
        return x.latest() if isinstance(x, Variable) else x
    if x is None or isinstance(x, str):
        raise OpError(f"a compiled function returns tensors, in lists, tuples or dicts; got {x!r}")
    return Tensor(as_array(x))


class Function:
    """A Python function compiled for the types of its tensor arguments. Made by `@sg.function`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.python_function = function
        self._traces: dict[object, list[tuple[tuple[TensorType, ...], Traced]]] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run on values; on symbols, or while something else is traced, the function is simply called."""
        leaves = [_as_argument(x) for x in flatten((args, kwargs))]
        if current_trace() is not None or any(isinstance(x, SymbolicTensor) for x in leaves):
            return self.python_function(*args, **kwargs)
        tensors = [x for x in leaves if isinstance(x, Tensor)]
        masks = [x.mask for x in tensors]
        masked = tuple(i for i, mask in enumerate(masks) if mask is not None)
        fed = [*tensors, *(mask for mask in masks if mask is not None)]
        return self._traced(leaves, fed, (args, kwargs), masked).run(fed)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @property
    def graphs(self) -> list[Graph]:
        """The graphs traced so far."""
        return [traced.graph for group in self._traces.values() for _, traced in group]

    def _traced(self, leaves: list[Any], fed: Sequence[Operand], structure: Any, masked: tuple[int, ...]) -> Traced:
        types = tuple(TensorType(x.dtype, x.shape) for x in fed)
        rest = pack(structure, (HOLE if isinstance(x, Tensor) else x for x in leaves))
        ranks = tuple(x.ndim for x in fed[len(fed) - len(masked):])
        key = (tuple(_key(x) for x in leaves), repr(_outline(structure)), masked, ranks, autocast_dtype())
        group = self._traces.setdefault(key, [])
        for known, traced in group:
            if all(_covers(a, b) for a, b in zip(known, types, strict=True)):
                return traced
        if group:  # the same function with other sizes: leave open what differs
            types = tuple(_widen(a, b) for a, b in zip(group[-1][0], types, strict=True))
        traced = trace(self.python_function, list(types), rest, masked=masked)
        group.append((types, traced))
        return traced


def function(python_function: Callable[..., Any] | None = None) -> Any:
    """Compile a Python function of tensors: it is traced once per dtype and rank of its arguments.

    The first call compiles for the sizes given; a call with other sizes compiles once more with those
    dimensions left open. Python numbers and strings are constants, part of what is compiled. Variables are
    read at every call, and assignments made inside happen at every call. Other side effects, such as print,
    happen only while tracing.

    >>> import symgraph as sg
    >>> @sg.function
    ... def square_sum(x):
    ...     return sg.sum(x * x)
    >>> float(square_sum(sg.tensor([1.0, 2.0])))
    5.0
    """
    return Function(python_function) if python_function is not None else Function


def _as_argument(x: Any) -> Any:
    if isinstance(x, np.ndarray | np.generic):
        return Tensor(as_array(x))
    return x


def _key(x: Any) -> object:
    if isinstance(x, Tensor):
        return "tensor", x.dtype, len(x.shape)
    if isinstance(x, Variable):
        return "variable", x
    try:
        hash(x)
    except TypeError:
        raise OpError(f"a compiled function takes tensors, and constants that can be hashed; got {x!r}") from None
    return type(x), x


def _outline(structure: Any) -> Any:
    """The nesting without the leaves."""
    return pack(structure, (0 for _ in flatten(structure)))


def _covers(known: TensorType, wanted: TensorType) -> bool:
    assert known.shape is not None and wanted.shape is not None
    return all(a is None or a == b for a, b in zip(known.shape, wanted.shape, strict=True))


def _widen(a: TensorType, b: TensorType) -> TensorType:
    assert a.shape is not None and b.shape is not None
    dims: tuple[Dim, ...] = tuple(x if x == y else None for x, y in zip(a.shape, b.shape, strict=True))
    return TensorType(b.dtype, dims)
