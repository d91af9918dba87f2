"""Which application of which pass is wrong, and the smallest graph that shows it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph, copy_node
from symgraph.core.scope import in_place_of
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.passes.errors import PassError
from symgraph.passes.rules import Found, Rule
from symgraph.passes.verify import Array, Failure, Pass, check_results, compare, name_of, run_pass
from symgraph.runtime.exporter import to_model
from symgraph.runtime.session import Session

MAX_ROUNDS = 20
"""A pipeline that still changes the graph after so many has come to no rest."""

MAX_SHRINKS = 64
"""So many nodes are tried to be left out of a reproducer, one at a time."""

Location = str | os.PathLike[str]


@dataclass(frozen=True)
class Culprit:
    """The application of a pass that is wrong: at `node`, which makes tensor `tensor`; one of `applications`.

    `graph` is the smallest part of the graph found on which the pass is wrong, with `feeds`. `inside` says in the
    body of which node it stands; empty where it stands in the graph itself.
    """

    name: str
    node: Node
    tensor: str
    applications: int
    graph: Graph
    feeds: Mapping[str, Array]
    reason: str
    inside: str = ""

    def __str__(self) -> str:
        among = f", one of {self.applications} places where {self.name} applies" if self.applications > 1 else ""
        size = "this node alone shows" if len(self.graph.nodes) == 1 else f"{len(self.graph.nodes)} nodes show"
        inside = f" in {self.inside}" if self.inside else ""
        return f"the culprit is %{self.tensor} = {self.node.describe()}{inside}{among}; {size} it: {self.reason}"

    def save(self, path: Location) -> None:
        """Write the part as an ONNX file, and its inputs beside it as `.npz`, under their names."""
        target = Path(path)
        target.write_bytes(to_model(self.graph, allow_newer=True).model.SerializeToString())
        with zipfile.ZipFile(target.with_suffix(".npz"), "w") as archive:  # np.savez has no room for an input "file"
            for name, value in self.feeds.items():
                array = value.astype(str) if value.dtype == object else value
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def bisect(graph: Graph, passes: Iterable[Pass], reproducer: Location | None = None) -> Culprit | None:
    """Run `passes` as `optimize` does, and find the first application that changes results; None where none does.

    The smallest part of the graph that shows it is saved as ONNX file `reproducer`, its inputs as `.npz` beside it.

    Errors: `PassError` for a pass that breaks its contract, and where the graph runs on no input tried.
    """
    pipeline = tuple(passes)
    for _ in range(MAX_ROUNDS):
        start = graph
        for each in pipeline:
            result = run_pass(each, graph)
            if result is graph:
                continue
            if find_failure(graph, result, is_exact=is_exact(each)):
                culprit = find_culprit(graph, each)
                if culprit is not None and reproducer is not None:
                    culprit.save(reproducer)
                return culprit
            graph = result
        if graph is start:
            break
    return None


def prove(graph: Graph, result: Graph, each: Pass, reproducer: Location | None = None) -> None:
    """Check the result of a pass, and say at which node it went wrong.

    Errors: `PassError` naming the pass, the output that differs, and the node.
    """
    try:
        check_results(graph, result, name_of(each), is_exact=is_exact(each))
    except PassError as error:
        try:
            culprit = find_culprit(graph, each)
        except SymgraphError:
            culprit = None
        if culprit is None:
            raise
        raise PassError(f"{error}; {culprit}{_save(culprit, reproducer)}") from None


def _save(culprit: Culprit, path: Location | None) -> str:
    if path is None:
        return ""
    try:
        culprit.save(path)
    except (OSError, SymgraphError) as error:
        return f" (not saved: {error})"
    return f" (saved as {os.fspath(path)})"


def is_exact(each: Pass) -> bool:
    """Whether a pass keeps results bit for bit."""
    return bool(getattr(each, "is_exact", True))


def find_failure(before: Graph, after: Graph, *, is_exact: bool,
                 feeds: Mapping[str, Array] | None = None) -> Failure | None:
    """The first inputs on which two graphs differ, of those given or made up; None where they do not."""
    return compare(before, after, is_exact=is_exact, feeds=feeds).failure


def find_culprit(graph: Graph, each: Pass, feeds: Mapping[str, Array] | None = None) -> Culprit | None:
    """The node at which a pass is wrong: the one match of a rule, else the first value that comes out different.

    Bodies of nodes are searched for the node inside. `feeds` are tried before inputs are made up.
    """
    if isinstance(each, Rule):
        matches = each.matches(graph)
        guilty = _narrow(graph, each, list(matches.items()), feeds)
        if guilty is not None:
            node, match = guilty
            return _smallest(graph, each, node, set(match.inside), len(matches), feeds)
    wrong = _first_wrong(graph, each, feeds)
    if wrong is None:
        return None
    culprit = _smallest(graph, each, wrong, {wrong}, 1, feeds)
    return culprit and (_inner_culprit(culprit, each) or culprit)


def _inner_culprit(outer: Culprit, each: Pass) -> Culprit | None:
    """The culprit in a body of the node that carries it; None where none of its bodies shows it by itself."""
    carrier = outer.node if outer.node in outer.graph.nodes else outer.graph.nodes[-1]
    bodies = list(carrier.subgraphs()) + ([("body", carrier.body)] if carrier.body is not None else [])
    for name, body in bodies:
        alone = _alone(body)
        feeds = _feeds_of_body(outer, carrier, alone, body)
        for given in (feeds, None) if feeds is not None else (None,):
            try:
                culprit = find_culprit(alone, each, given)
            except SymgraphError:
                continue
            if culprit is not None:
                place = f"{name} of %{outer.tensor} = {carrier.op}"
                return replace(culprit, inside=f"{culprit.inside} in {place}" if culprit.inside else place)
    return None


def _alone(body: Graph) -> Graph:
    """A body as a graph of its own, which is given what it captures."""
    inputs = (*body.inputs, *body.captures)
    outputs, names, taken = [], [], {body.names[x] for x in inputs}
    for name, x in zip(body.output_names, body.outputs, strict=True):
        if isinstance(x, SymbolicTensor) and x.node is not None and name not in taken:
            outputs.append(x)
            names.append(name)
            taken.add(name)
    return Graph(inputs, outputs, output_names=names, input_names=[body.names[x] for x in inputs], name=body.name,
                 opsets=body.opsets)


def _feeds_of_body(outer: Culprit, carrier: Node, alone: Graph, body: Graph) -> dict[str, Array] | None:
    """What a body is given when its node runs: the first time, for a loop; None where that is not told."""
    given: list[Operand | Array | None] = [*carrier.inputs]
    if carrier.op.name == "If":
        given = []
    elif carrier.op.name == "Loop":
        given = [np.array(0, np.int64), np.array(True), *carrier.inputs[2:]]
    elif carrier.body is None:
        return None
    given += carrier.captures
    if len(given) != len(alone.inputs) or any(x is None for x in given):
        return None
    values = _values_of(outer.graph, [x for x in given if isinstance(x, Operand)], outer.feeds)
    return {name: values[x] if isinstance(x, Operand) else x
            for name, x in zip(alone.input_names, given, strict=True) if x is not None}


def _narrow(graph: Graph, rule: Rule, matches: list[tuple[Node, Found]], feeds: Mapping[str, Array] | None,
            ) -> tuple[Node, Found] | None:
    """The match that alone makes the results differ, found by halving; None where none does alone."""
    def is_wrong(some: list[tuple[Node, Found]]) -> bool:
        return find_failure(graph, rule.apply(graph, dict(some)), is_exact=rule.is_exact, feeds=feeds) is not None

    if not matches or not is_wrong(matches):
        return None
    while len(matches) > 1:
        half = len(matches) // 2
        matches = matches[:half] if is_wrong(matches[:half]) else matches[half:]
    return matches[0] if is_wrong(matches) else None


def _first_wrong(graph: Graph, each: Pass, feeds: Mapping[str, Array] | None) -> Node | None:
    """The first node up to which the pass already changes what comes out, found by halving."""
    def is_wrong(node: Node) -> bool:
        part = _part(graph, node)
        return find_failure(part, run_pass(each, part), is_exact=is_exact(each), feeds=feeds) is not None

    low, high = 0, len(graph.nodes)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_wrong(graph.nodes[middle]) else (middle + 1, high)
    if low < len(graph.nodes):
        return graph.nodes[low]
    makers = [x.node for x in graph.outputs if isinstance(x, SymbolicTensor) and x.node is not None]
    return next((node for node in makers if is_wrong(node)), None)


def _part(graph: Graph, node: Node) -> Graph:
    """The graph up to one node."""
    return graph.with_outputs([x for x in node.outputs if x is not None])


def _smallest(graph: Graph, each: Pass, node: Node, nodes: set[Node], applications: int,
              feeds: Mapping[str, Array] | None) -> Culprit | None:
    """The culprit with the smallest part around it that shows it: grown from it backwards, a step at a time."""
    tensor = next(graph.names[x] for x in node.outputs if x is not None)
    whole = _part(graph, node)
    failure = find_failure(whole, run_pass(each, whole), is_exact=is_exact(each), feeds=feeds)
    if failure is None:
        whole = graph
        failure = find_failure(graph, run_pass(each, graph), is_exact=is_exact(each), feeds=feeds)
    if failure is None:
        return None

    def shown_by(some: set[Node]) -> tuple[Graph, Failure] | None:
        part = _cut(graph, some, node)
        values = _values(graph, _boundary(graph, some), failure.feeds)
        found = find_failure(part, run_pass(each, part), is_exact=is_exact(each),
                             feeds=dict(zip(part.input_names, values, strict=True)))
        return None if found is None else (part, found)

    best = None
    while best is None and len(nodes) < len(whole.nodes):
        best = shown_by(nodes)
        grown = nodes | {x.node for x in _boundary(graph, nodes)
                         if x.node is not None and not _is_among(x, graph.inputs)}
        if best is not None or grown == nodes:
            break
        nodes = grown
    if best is None:
        best = whole, failure
    else:
        for member in _in_order(nodes - {node})[:MAX_SHRINKS]:
            smaller = shown_by(nodes - {member})
            if smaller is not None:
                best, nodes = smaller, nodes - {member}
    part, found = best
    return Culprit(name_of(each), node, tensor, applications, part, found.feeds, _sentence(found))


def _sentence(failure: Failure) -> str:
    output = f"{failure.output!r} " if failure.output else "it "
    return f"{output}on {failure.label}: {failure.reason}"


def _boundary(graph: Graph, nodes: set[Node]) -> list[SymbolicTensor]:
    """What `nodes` read and do not make, in order."""
    read = (x for member in _in_order(nodes) for x in member.operands)
    return list(dict.fromkeys(x for x in read if isinstance(x, SymbolicTensor) and (
        x.node not in nodes or _is_among(x, graph.inputs))))


def _cut(graph: Graph, nodes: set[Node], node: Node) -> Graph:
    """The part of a graph that `nodes` are, copied, so that no pass can look beyond it."""
    boundary = _boundary(graph, nodes)
    inputs = [placeholder(x.type, graph.names[x]) for x in boundary]
    copies: dict[Operand, Operand] = dict(zip(boundary, inputs, strict=True))
    for member in _in_order(nodes):
        with in_place_of(member.layer, member.source):
            copy = copy_node(member, tuple(None if x is None else copies.get(x, x) for x in member.operands))
        copies.update((old, new) for old, new in zip(member.outputs, copy.outputs, strict=True)
                      if old is not None and new is not None)
    outputs = [x for x in node.outputs if x is not None]
    names = [graph.names[x] for x in outputs]
    return Graph(inputs, [copies[x] for x in outputs], output_names=names,
                 input_names=[graph.names[x] for x in boundary], name="reproducer", opsets=graph.opsets)


def _in_order(nodes: set[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: node.serial)


def _values(graph: Graph, wanted: list[SymbolicTensor], feeds: Mapping[str, Array]) -> list[Any]:
    """What symbols of a graph are, given its inputs."""
    values = _values_of(graph, wanted, feeds)
    return [values[x] for x in wanted]


def _values_of(graph: Graph, wanted: Iterable[Operand], feeds: Mapping[str, Array]) -> dict[Operand, Any]:
    """What operands in a graph are, given its inputs."""
    given: dict[Operand, Any] = {x: feeds[name] for name, x in zip(graph.input_names, graph.inputs, strict=True)}
    made: list[Operand] = []
    for x in wanted:
        if isinstance(x, Tensor | Variable):
            given[x] = x.numpy()
        elif x not in given:
            made.append(x)
    if made:
        needed = graph.with_outputs(made, [f"value{i}" for i in range(len(made))])
        given.update(zip(made, Session(needed, optimize=False).run(feeds), strict=True))
    return given


def _is_among(x: Operand, values: Iterable[Operand]) -> bool:
    return any(x is value for value in values)
