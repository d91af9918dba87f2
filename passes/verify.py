"""Proof on the spot: a graph before and after a pass gives the same on random and on edge inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, is_floating, is_integer, numpy_dtype
from symgraph.passes.errors import PassError
from symgraph.passes.rules import is_same_type
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE
from symgraph.runtime.session import Session

SIZES = (2, 3, 1, 0)
"""What open dimensions are bound to, one after the other."""

SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-42, 3e38, 1.0, -1.0)

RTOL = {"float16": 1e-2, "bfloat16": 5e-2}
"""How much a relaxed pass may change a result; 1e-4 for wider dtypes. A tenth of it is allowed beside the largest."""

Array = np.ndarray[Any, Any]


def check_contract(before: Graph, after: Graph, name: str) -> None:
    """Inputs, and the names and types of outputs, stay as they were.

    Errors: `PassError` naming the pass and what it changed.
    """
    if len(after.inputs) != len(before.inputs) or any(
            a is not b for a, b in zip(after.inputs, before.inputs, strict=True)):
        raise PassError(f"{name} changed the inputs of graph {before.name!r}")
    if after.output_names != before.output_names or list(after.pinned) != list(before.pinned):
        raise PassError(f"{name} changed the outputs of graph {before.name!r} from "
                        f"{', '.join(before.output_names)} to {', '.join(after.output_names)}")
    for label, old, new in zip(before.output_names, before.outputs, after.outputs, strict=True):
        if not is_same_type(old.type, new.type):
            raise PassError(f"{name} changed output {label!r} from {old.type} to {new.type}")


def check_results(before: Graph, after: Graph, name: str, *, is_exact: bool) -> None:
    """Both graphs give the same for several bindings of the open dimensions: bit for bit, or within a tolerance.

    Errors: `PassError` naming the pass, the output, and the inputs with which it differs; also where the graph
    before the pass cannot be run on any input, so that nothing can be proved.
    """
    first, second = Session(before, optimize=False), None
    failures, compared = [], 0
    for label, feeds in made_up_inputs(before):
        try:
            wanted = first.run(feeds)
        except SymgraphError as error:
            failures.append(f"{label}: {error}")
            continue
        second = second or Session(after, optimize=False)
        try:
            found = second.run(feeds)
        except SymgraphError as error:
            raise PassError(f"{name}: on {label} the graph ran before, and fails now: {error}") from None
        for output, a, b in zip(before.output_names, wanted, found, strict=True):
            reason = difference(a, b, is_exact=is_exact)
            if reason:
                raise PassError(f"{name} changed output {output!r} on {label}: {reason}")
        compared += 1
    if not compared:
        raise PassError(f"{name} cannot be verified, because the graph runs on no input tried: {failures[0]}")


def made_up_inputs(graph: Graph) -> Iterator[tuple[str, dict[str, Array]]]:
    """Random and edge values for the inputs of a graph, each with a line on what they are."""
    rng = np.random.default_rng(0)
    for size in SIZES:
        feeds = {n: _random(x, size, rng) for n, x in zip(graph.input_names, graph.inputs, strict=True)}
        yield f"random inputs with open dimensions of {size}", feeds
    is_safe = all(node.op.name in ELEMENTWISE | BROADCASTING for node in graph.nodes)
    specials = {n: _special(x, rng, is_safe) for n, x in zip(graph.input_names, graph.inputs, strict=True)}
    yield "inputs with nan, infinity, -0.0 and extremes", specials


def _shape(x: Operand, size: int) -> tuple[str, tuple[int, ...]]:
    if not isinstance(x.type, TensorType) or x.type.shape is None:
        raise PassError(f"input {x!r} is no tensor of known rank, so values for it cannot be made up")
    return x.type.dtype, tuple(d if isinstance(d, int) else size for d in x.type.shape)


def _random(x: Operand, size: int, rng: np.random.Generator) -> Array:
    dtype, shape = _shape(x, size)
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "string":
        return np.array([f"text {i}" for i in range(int(np.prod(shape)))], object).reshape(shape)
    if is_integer(dtype):
        return rng.integers(0, 3, shape).astype(numpy_dtype(dtype))
    return (rng.normal(size=shape) * 2).astype(numpy_dtype(dtype))


def _special(x: Operand, rng: np.random.Generator, is_safe: bool) -> Array:
    """Extremes; those of integers only where no size and no number of steps can come of them."""
    dtype, shape = _shape(x, len(SPECIAL))
    if is_integer(dtype) and is_safe and numpy_dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        return rng.choice(np.array([0, 1, 7, limits.min, limits.max], numpy_dtype(dtype)), shape)
    if not is_floating(dtype):
        return _random(x, len(SPECIAL), rng)
    with np.errstate(over="ignore"):
        return rng.choice(np.array(SPECIAL), shape).astype(numpy_dtype(dtype))


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
