"""Which application of which pass is wrong, and the smallest graph that shows it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph, copy_node
from symgraph.core.scope import in_place_of
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.passes.errors import PassError
from symgraph.passes.rules import Match, Rule
from symgraph.passes.verify import Array, check_contract, check_results, difference, made_up_inputs
from symgraph.runtime.exporter import to_model
from symgraph.runtime.session import Session

MAX_ROUNDS = 20
"""A pipeline that still changes the graph after so many has come to no rest."""

Pass = Callable[[Graph], Graph]
Location = str | os.PathLike[str]


@dataclass(frozen=True)
class Failure:
    """Inputs on which two graphs differ, and how."""

    label: str
    feeds: Mapping[str, Array]
    reason: str


@dataclass(frozen=True)
class Culprit:
    """The application of a pass that is wrong: at `node`, which makes tensor `tensor`; one of `applications`.

    `graph` is the smallest part of the graph found on which the pass is wrong, with `feeds`.
    """

    name: str
    node: Node
    tensor: str
    applications: int
    graph: Graph
    feeds: Mapping[str, Array]
    reason: str

    def __str__(self) -> str:
        among = f", one of {self.applications} places where {self.name} applies" if self.applications > 1 else ""
        size = "this node alone shows" if len(self.graph.nodes) == 1 else f"{len(self.graph.nodes)} nodes show"
        return f"the culprit is %{self.tensor} = {self.node.describe()}{among}; {size} it: {self.reason}"

    def save(self, path: Location) -> None:
        """Write the part as an ONNX file, and its inputs beside it as `.npz`."""
        target = Path(path)
        target.write_bytes(to_model(self.graph, allow_newer=True).model.SerializeToString())
        np.savez(target.with_suffix(".npz"), **dict(self.feeds))  # type: ignore[arg-type]


def bisect(graph: Graph, passes: Iterable[Pass], reproducer: Location | None = None) -> Culprit | None:
    """Run `passes` as `optimize` does, and find the first application that changes results; None where none does.

    The smallest part of the graph that shows it is saved as ONNX file `reproducer`, its inputs as `.npz` beside it.

    Errors: `PassError` for a pass that breaks its contract, and where the graph runs on no input tried.
    """
    pipeline = tuple(passes)
    for _ in range(MAX_ROUNDS):
        start = graph
        for each in pipeline:
            result = each(graph)
            if result is graph:
                continue
            check_contract(graph, result, name_of(each))
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
        if reproducer is not None:
            culprit.save(reproducer)
        saved = f" (saved as {os.fspath(reproducer)})" if reproducer is not None else ""
        raise PassError(f"{error}; {culprit}{saved}") from None


def name_of(each: Pass) -> str:
    """The name of a pass."""
    return str(getattr(each, "__name__", repr(each)))


def is_exact(each: Pass) -> bool:
    """Whether a pass keeps results bit for bit."""
    return bool(getattr(each, "is_exact", True))


def find_failure(before: Graph, after: Graph, *, is_exact: bool,
                 feeds: Mapping[str, Array] | None = None) -> Failure | None:
    """The first inputs on which two graphs differ, of those given or made up; None where they do not."""
    first, second = Session(before, optimize=False), Session(after, optimize=False)
    tried = [("these inputs", dict(feeds))] if feeds is not None else made_up_inputs(before)
    for label, values in tried:
        try:
            wanted = first.run(values)
        except SymgraphError:
            continue
        try:
            found = second.run(values)
        except SymgraphError as error:
            return Failure(label, values, f"it fails with {error}")
        for name, a, b in zip(before.output_names, wanted, found, strict=True):
            reason = difference(a, b, is_exact=is_exact)
            if reason:
                return Failure(label, values, f"{name!r} on {label}: {reason}")
    return None


def find_culprit(graph: Graph, each: Pass) -> Culprit | None:
    """The node at which a pass is wrong: the one match of a rule, else the first value that comes out different."""
    if isinstance(each, Rule):
        matches = each.matches(graph)
        guilty = _narrow(graph, each, list(matches.items()))
        if guilty is not None:
            node, match = guilty
            return _smallest(graph, each, node, each.inside(match), len(matches))
    node_or_none = _first_wrong(graph, each)
    return None if node_or_none is None else _smallest(graph, each, node_or_none, {node_or_none}, 1)


def _narrow(graph: Graph, rule: Rule, matches: list[tuple[Node, Match]]) -> tuple[Node, Match] | None:
    """The match that alone makes the results differ, found by halving; None where none does alone."""
    def is_wrong(some: list[tuple[Node, Match]]) -> bool:
        return find_failure(graph, rule.apply(graph, dict(some)), is_exact=rule.is_exact) is not None

    if not matches or not is_wrong(matches):
        return None
    while len(matches) > 1:
        half = len(matches) // 2
        matches = matches[:half] if is_wrong(matches[:half]) else matches[half:]
    return matches[0] if is_wrong(matches) else None


def _first_wrong(graph: Graph, each: Pass) -> Node | None:
    """The first node up to which the pass already changes what comes out, found by halving."""
    def is_wrong(node: Node) -> bool:
        part = _part(graph, node)
        return find_failure(part, each(part), is_exact=is_exact(each)) is not None

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


def _smallest(graph: Graph, each: Pass, node: Node, nodes: set[Node], applications: int) -> Culprit | None:
    """The culprit with the smallest part around it that shows it: grown from it backwards, a step at a time."""
    tensor = next(graph.names[x] for x in node.outputs if x is not None)
    whole = _part(graph, node)
    failure = find_failure(whole, each(whole), is_exact=is_exact(each))
    if failure is None:
        whole = graph
        failure = find_failure(graph, each(graph), is_exact=is_exact(each))
    if failure is None:
        return None
    while len(nodes) < len(whole.nodes):
        part = _cut(graph, nodes, node)
        boundary = _boundary(graph, nodes)
        feeds = _values(graph, boundary, failure.feeds)
        found = find_failure(part, each(part), is_exact=is_exact(each),
                             feeds=dict(zip(part.input_names, feeds, strict=True)))
        if found is not None:
            return Culprit(name_of(each), node, tensor, applications, part, found.feeds, found.reason)
        grown = nodes | {x.node for x in boundary if x.node is not None and not _is_among(x, graph.inputs)}
        if grown == nodes:
            break
        nodes = grown
    return Culprit(name_of(each), node, tensor, applications, whole, failure.feeds, failure.reason)


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
    given: dict[Operand, Array] = {x: feeds[name] for name, x in zip(graph.input_names, graph.inputs, strict=True)}
    made = [x for x in wanted if x not in given]
    if made:
        needed = graph.with_outputs(made)
        given.update(zip(made, Session(needed, optimize=False).run(feeds), strict=True))
    return [given[x] for x in wanted]


def _is_among(x: Operand, values: Iterable[Operand]) -> bool:
    return any(x is value for value in values)
