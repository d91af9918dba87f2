"""Where a NaN or an infinity comes from: the data, a weight, or the first tensor of a graph that is not finite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph import ops
from symgraph.core.graph import Graph
from symgraph.core.scope import describe_place
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import FLOATS, TensorType
from symgraph.core.value import Array, Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.session import Session


@dataclass(frozen=True)
class Finding:
    """What is not finite: an "input" or a "variable" by name, or a "tensor", the first in the order of the graph."""

    kind: str
    name: str
    text: str

    def __str__(self) -> str:
        return self.text


def find_non_finite(graph: Graph, feeds: Mapping[str, Array], names: Mapping[str, str] | None = None,
                    outputs: Iterable[Operand] | None = None) -> Finding | None:
    """The first thing that is NaN or infinite when the graph runs on `feeds`; None where `outputs` are finite.

    Inputs are looked at first, in their order, then variables as they are now, then what the nodes compute: from the
    first NaN (or else the first output that is infinite) back to where all operands are still finite. Constants are
    taken to be as they should: masks are made of infinities. `names` says what to call inputs in the text.

    Errors: those of `Session`.

    >>> import symgraph as sg
    >>> from symgraph.training.non_finite import find_non_finite
    >>> x = sg.Input((2,), name="x")
    >>> print(find_non_finite(sg.Graph([x], [sg.sum(sg.log(x))]), {"x": np.array([[1.0, -1.0]], np.float32)}))
    the output of Log is nan at [0, 1] (1 of 2 values); its operands lie from -1 to 1 ...
    """
    called = names or {}
    for name in graph.input_names:
        if name in feeds and (text := describe(called.get(name, name), feeds[name])):
            return Finding("input", name, text)
    for v in graph.variables:
        if text := describe(f"the variable {v.path!r}", v.numpy()):
            return Finding("variable", v.path, text)
    wanted = tuple(graph.outputs if outputs is None else outputs)
    guilty = _guilty(graph.with_outputs(wanted), feeds)
    if guilty is None:
        return None
    node, nan = guilty
    finding = _describe_node(graph, node, feeds)
    if nan is None or nan is node:
        return finding
    later = f"; the first NaN comes out of {nan.op.name}{describe_place(nan.layer, nan.source)}"
    return Finding(finding.kind, finding.name, finding.text + later)


def describe(who: str, value: object, rows: Sequence[int] | None = None) -> str | None:
    """What of an array is not finite; None where all is. `rows` are the numbers of its rows in the data.

    >>> describe("y", np.array([[0.0, 1.0], [np.nan, 1.0]]), rows=[32, 33])
    'y is nan at [1, 0] (1 of 4 values), in row 33 of the data'
    """
    array = np.asarray(value)
    if array.dtype.kind in "biuSUOMm":
        return None
    wide = array if array.dtype.kind == "c" else array.astype(np.float64)
    bad = ~np.isfinite(wide)
    if not bad.any():
        return None
    place = np.unravel_index(int(bad.argmax()), bad.shape)
    at = f" at {[int(i) for i in place]}" if place else ""
    counted = f" ({int(bad.sum())} of {bad.size} values)" if place else ""
    if rows is not None and place:
        known = [rows[i] for i in np.unique(np.nonzero(bad)[0])]
        more = f" and {len(known) - 5} more" if len(known) > 5 else ""
        counted += f", in row{'s' if len(known) > 1 else ''} {', '.join(map(str, known[:5]))}{more} of the data"
    return f"{who} is {wide[place]}{at}{counted}"


def _guilty(graph: Graph, feeds: Mapping[str, Array]) -> tuple[Node, Node | None] | None:
    """The node where what is wrong with the outputs begins, and that of the first NaN, if there is one."""
    made = [x for node in graph.nodes for x in node.outputs if x is not None and _is_float(x)]
    nans, infinities = _flags(graph, made, feeds)
    bad = nans | infinities
    ends = bad.intersection(graph.outputs)
    if not ends:
        return None
    start = next(x for x in made if x in (nans or ends))
    assert start.node is not None
    found = start.node
    waiting: list[Operand] = [start]
    seen: set[Operand] = set()
    while waiting:
        x = waiting.pop()
        node = x.node if isinstance(x, SymbolicTensor) else None
        if x in seen or node is None:
            continue
        seen.add(x)
        found = min(found, node, key=lambda each: each.serial)
        waiting += [operand for operand in node.operands if operand in bad]
    return found, start.node if start in nans else None


def _flags(graph: Graph, made: list[SymbolicTensor], feeds: Mapping[str, Array],
           ) -> tuple[set[Operand], set[Operand]]:
    """Which of the tensors have a NaN, and which an infinity; only the answers leave the session."""
    if not made:
        return set(), set()
    wide = [x if x.dtype in ("float32", "float64") else ops.cast(x, "float32") for x in made]
    tests = [ops.any(test(x)) for test in (ops.isnan, ops.isinf) for x in wide]
    (answers,) = _run(graph, [ops.stack(tests)], feeds)
    nans, infinities = np.asarray(answers).reshape(2, -1)
    return ({x for x, is_bad in zip(made, nans, strict=True) if is_bad},
            {x for x, is_bad in zip(made, infinities, strict=True) if is_bad})


def _run(graph: Graph, outputs: list[Operand], feeds: Mapping[str, Array]) -> list[Array]:
    session = Session(graph.with_outputs(outputs), variables_as_inputs=True)
    return session.run({name: feeds[name] for name in session.input_names})


def _describe_node(graph: Graph, node: Node, feeds: Mapping[str, Array]) -> Finding:
    outputs = [x for x in node.outputs if x is not None and _is_float(x)]
    operands = [x for x in dict.fromkeys(node.operands) if x is not None and _is_float(x)]
    given = dict(zip(graph.inputs, graph.input_names, strict=True))
    fetched = [x for x in operands if isinstance(x, SymbolicTensor) and x not in given]
    known: dict[Operand, Array] = dict(zip([*outputs, *fetched], _run(graph, [*outputs, *fetched], feeds), strict=True))
    known.update((x, np.asarray(feeds[name])) for x, name in given.items() if name in feeds)
    known.update((x, x.numpy()) for x in operands if isinstance(x, Tensor | Variable))
    what = f"the output of {node.op.name}"
    text = next((text for x in outputs if (text := describe(what, known[x]))), f"{what} is not finite")
    values = [np.asarray(known[x]).astype(np.float64) for x in operands]
    values = [v for v in values if v.size]
    if values:
        text += f"; its operands lie from {min(v.min() for v in values):g} to {max(v.max() for v in values):g}"
    return Finding("tensor", graph.names[outputs[0]], text + describe_place(node.layer, node.source))


def _is_float(x: Operand) -> bool:
    return isinstance(x.type, TensorType) and x.type.dtype in FLOATS
