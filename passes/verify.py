"""Proof on the spot: a pass keeps its contract, and the graph gives the same before and after on made up inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, is_floating, is_integer, numpy_dtype
from symgraph.passes.errors import PassError
from symgraph.passes.rules import is_same_type
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE
from symgraph.runtime.exporter import walk_nodes
from symgraph.runtime.session import Session

SIZES = (2, 3, 1, 0)
"""What open dimensions are bound to, one after the other."""

LARGER = (5, 16, 64, 600)
"""What they are bound to where the graph runs with none of `SIZES`."""

FRAGILE = frozenset({"InstanceNormalization"})
"""Operators of which ONNX Runtime reads memory that is not theirs where there is nothing to read."""

MAX_ELEMENTS = 1 << 22
"""More numbers than these are not made up."""

SECONDS = 100.0
"""A run that takes longer has failed."""

SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-42, 1.0, -1.0)

EXTREME = (*SPECIAL, 3e38)
"""What exact passes are tried on as well. Relaxed ones are not: forms of one function that differ by rounding also
leave the range of numbers in other places, as `x / y * z` and `x * z / y` do, and both are right."""

RTOL = {"float16": 1e-2, "bfloat16": 5e-2}
"""How much a relaxed pass may change a result; 1e-4 for wider dtypes. A tenth of it is allowed beside the largest."""

Array = np.ndarray[Any, Any]

Pass = Callable[[Graph], Graph]
"""A function from graph to graph that keeps inputs, outputs and results; nothing to do: the same object.

`is_exact` (default True) says whether results stay bit for bit.
"""


def name_of(each: Pass) -> str:
    """The name of a pass."""
    return str(getattr(each, "__name__", None) or type(each).__name__)


def run_pass(each: Pass, graph: Graph) -> Graph:
    """What a pass makes of a graph; the same object where that is what it returns.

    Errors: `PassError` naming the pass where it raises, returns no graph, changes the graph it was given, or breaks
    its contract.
    """
    given = _fields(graph)
    try:
        result = each(graph)
    except PassError:
        raise
    except Exception as error:
        raise PassError(f"{name_of(each)} raised {type(error).__name__} on graph {graph.name!r}: {error}") from error
    if not isinstance(result, Graph):
        raise PassError(f"{name_of(each)} returned {type(result).__name__}, not a graph; "
                        "where there is nothing to do, a pass returns the graph it was given")
    if any(a is not b for a, b in zip(given, _fields(graph), strict=True)):
        raise PassError(f"{name_of(each)} changed graph {graph.name!r} itself; a pass returns another graph, "
                        "as graph.rewrite and graph.with_outputs make it")
    if result is not graph:
        check_contract(graph, result, name_of(each))
    return result


def _fields(graph: Graph) -> tuple[object, ...]:
    return graph.inputs, graph.outputs, graph.nodes, graph.captures, graph.pinned


def check_contract(before: Graph, after: Graph, name: str) -> None:
    """Inputs, and the names and types of outputs, stay as they were.

    Errors: `PassError` naming the pass and what it changed.
    """
    if len(after.inputs) != len(before.inputs) or any(
            a is not b for a, b in zip(after.inputs, before.inputs, strict=True)):
        raise PassError(f"{name} changed the inputs of graph {before.name!r}")
    if after.input_names != before.input_names:
        raise PassError(f"{name} renamed the inputs of graph {before.name!r} from "
                        f"{', '.join(before.input_names)} to {', '.join(after.input_names)}")
    if after.output_names != before.output_names:
        raise PassError(f"{name} changed the outputs of graph {before.name!r} from "
                        f"{', '.join(before.output_names)} to {', '.join(after.output_names) or 'none'}")
    if list(after.pinned) != list(before.pinned):
        raise PassError(f"{name} changed the pinned values of graph {before.name!r} from "
                        f"{', '.join(before.pinned) or 'none'} to {', '.join(after.pinned) or 'none'}")
    kept = ((*before.output_names, *before.pinned), (*before.outputs, *before.pinned.values()),
            (*after.outputs, *after.pinned.values()))
    for label, old, new in zip(*kept, strict=True):
        if not is_same_type(old.type, new.type):
            raise PassError(f"{name} changed output {label!r} from {old.type} to {new.type}")


@dataclass(frozen=True)
class Failure:
    """Inputs on which two graphs differ, and how."""

    label: str
    feeds: Mapping[str, Array]
    output: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Two graphs run on the same inputs: where they differ first, how often both ran, and why the first did not."""

    failure: Failure | None
    runs: int
    refusal: str


def check_results(before: Graph, after: Graph, name: str, *, is_exact: bool) -> None:
    """Both graphs give the same for several bindings of the open dimensions: bit for bit, or within a tolerance.

    Pinned values are compared as outputs are.

    Errors: `PassError` naming the pass, the output, and the inputs with which it differs; also where the graph
    before the pass cannot be run on any input, so that nothing can be proved.
    """
    found = compare(before, after, is_exact=is_exact)
    failure = found.failure
    if failure is not None and failure.output:
        raise PassError(f"{name} changed output {failure.output!r} on {failure.label}: {failure.reason}")
    if failure is not None:
        raise PassError(f"{name}: on {failure.label} the graph ran before, and {failure.reason}")
    if not found.runs:
        raise PassError(f"{name} cannot be verified, because the graph runs on no input tried: {found.refusal}")


def compare(before: Graph, after: Graph, *, is_exact: bool, feeds: Mapping[str, Array] | None = None) -> Comparison:
    """Run two graphs on the inputs given, or on made up ones, until they differ."""
    before, after = _with_pinned(before), _with_pinned(after)
    runs, refusal, second = 0, "", None
    try:
        first = Session(before, optimize=False)
    except SymgraphError as error:
        return Comparison(None, 0, str(error))
    is_fragile = any(node.op.name in FRAGILE for graph in (before, after) for node in walk_nodes(graph))
    sizes = tuple(size for size in SIZES if size or not is_fragile)
    if feeds is None:
        tried = itertools.chain(made_up_inputs(before, is_exact=is_exact, sizes=sizes),
                                itertools.takewhile(lambda _: not runs, other_inputs(before)))
    else:
        tried = itertools.chain([("these inputs", dict(feeds))])
    for label, values in tried:
        try:
            wanted = first.run(values, timeout=SECONDS)
        except SymgraphError as error:
            refusal = refusal or f"{label}: {error}"
            continue
        try:
            second = second or Session(after, optimize=False)
            found = second.run(values, timeout=SECONDS)
        except SymgraphError as error:
            return Comparison(Failure(label, values, "", f"fails now: {error}"), runs, refusal)
        for output, a, b in zip(before.output_names, wanted, found, strict=True):
            reason = difference(a, b, is_exact=is_exact)
            if reason:
                return Comparison(Failure(label, values, output, reason), runs, refusal)
        runs += 1
    return Comparison(None, runs, refusal)


def _with_pinned(graph: Graph) -> Graph:
    """The graph with its pinned values among the outputs."""
    if not graph.pinned:
        return graph
    return graph.with_outputs((*graph.outputs, *graph.pinned.values()), (*graph.output_names, *graph.pinned))


def made_up_inputs(graph: Graph, *, is_exact: bool = True, sizes: tuple[int, ...] = SIZES,
                   ) -> Iterator[tuple[str, dict[str, Array]]]:
    """Random and edge values for the inputs of a graph, each with a line on what they are."""
    rng = np.random.default_rng(0)
    for size in sizes:
        yield f"random inputs with open dimensions of {size}", _feeds(graph, partial(_random, size=size, rng=rng))
    yield "positive inputs with open dimensions of 2", _feeds(graph, partial(_positive, rng=rng))
    is_safe = all(node.op.name in ELEMENTWISE | BROADCASTING for node in graph.nodes)
    numbers = EXTREME if is_exact else SPECIAL
    yield "inputs with nan, infinity, -0.0 and extremes", _feeds(
        graph, partial(_special, numbers=numbers, rng=rng, is_safe=is_safe))


def other_inputs(graph: Graph) -> Iterator[tuple[str, dict[str, Array]]]:
    """Values for graphs that run on few: masks, indices of the first places, sizes of the other inputs, long axes."""
    rng = np.random.default_rng(1)
    for size in (*SIZES[:2], *LARGER):
        if sum(math.prod(_shape(x, size)[1]) for x in graph.inputs) > MAX_ELEMENTS:
            return
        for limit in (2, 1):
            yield (f"inputs below {limit} with open dimensions of {size}",
                   _feeds(graph, partial(_random, size=size, rng=rng, limit=limit)))
        yield f"inputs of ones with open dimensions of {size}", _feeds(graph, partial(_sizes, size=size, numbers=()))
        for other in graph.inputs:
            shape = _shape(other, size)[1]
            yield (f"inputs that are sizes, with open dimensions of {size}",
                   _feeds(graph, partial(_sizes, size=size, numbers=shape)))


def _feeds(graph: Graph, make: Callable[[Operand], Array]) -> dict[str, Array]:
    return {name: make(x) for name, x in zip(graph.input_names, graph.inputs, strict=True)}


def _shape(x: Operand, size: int) -> tuple[str, tuple[int, ...]]:
    if not isinstance(x.type, TensorType):
        raise PassError(f"input {x!r} is no tensor, so values for it cannot be made up")
    shape = (None, None) if x.type.shape is None else x.type.shape
    return x.type.dtype, tuple(d if isinstance(d, int) else size for d in shape)


def _random(x: Operand, size: int, rng: np.random.Generator, limit: int = 3) -> Array:
    """Normal numbers, or whole ones below `limit`."""
    dtype, shape = _shape(x, size)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "string":
        return np.array([f"text {i}" for i in range(int(np.prod(shape)))], object).reshape(shape)
    if is_integer(dtype):
        return rng.integers(0, limit, shape).astype(numpy_dtype(dtype))
    return (rng.normal(size=shape) * 2).astype(numpy_dtype(dtype))


def _positive(x: Operand, rng: np.random.Generator) -> Array:
    """Numbers of which a logarithm or a root can be taken, and no index is out of range."""
    array = _random(x, 2, rng, 2)
    return np.abs(array) if is_floating(_shape(x, 2)[0]) else array


def _sizes(x: Operand, size: int, numbers: tuple[int, ...]) -> Array:
    """Ones, and for a vector of whole numbers as long as `numbers` these."""
    dtype, shape = _shape(x, size)
    if is_integer(dtype):
        return (np.array(numbers) if shape == (len(numbers),) else np.ones(shape)).astype(numpy_dtype(dtype))
    return np.ones(shape).astype(numpy_dtype(dtype)) if dtype != "string" else np.full(shape, "text", object)


def _special(x: Operand, numbers: tuple[float, ...], rng: np.random.Generator, is_safe: bool) -> Array:
    """Edges of the range; those of integers only where no size and no number of steps can come of them."""
    dtype, shape = _shape(x, len(EXTREME))
    if is_integer(dtype) and is_safe and numpy_dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        return rng.choice(np.array([0, 1, 7, limits.min, limits.max], numpy_dtype(dtype)), shape)
    if not is_floating(dtype):
        return _random(x, len(EXTREME), rng)
    with np.errstate(over="ignore"):
        return rng.choice(np.array(numbers), shape).astype(numpy_dtype(dtype))


def difference(a: Any, b: Any, *, is_exact: bool) -> str:
    """What differs between two results; empty where nothing does."""
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        return "" if repr(a) == repr(b) else f"{a!r} became {b!r}"
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype}{list(a.shape)} became {b.dtype}{list(b.shape)}"
    if a.dtype.kind not in "fV" or a.dtype == object:
        return "" if np.array_equal(a, b) else "values differ"
    x, y = a.astype(np.float64), b.astype(np.float64)
    if is_exact:
        same = (x == y) & (np.signbit(x) == np.signbit(y)) | np.isnan(x) & np.isnan(y)
    else:
        rtol = RTOL.get(a.dtype.name, 1e-4)
        same = np.isclose(x, y, rtol, 0.1 * rtol * max(1.0, _largest(x)), equal_nan=True)
    if same.all():
        return ""
    where = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"{np.count_nonzero(~same)} of {a.size} values differ, at {where} {x[where]:.9g} became {y[where]:.9g}"


def _largest(x: Array) -> float:
    finite = np.abs(x[np.isfinite(x)])
    return float(finite.max()) if finite.size else 1.0
