"""The names in a file resolved: nodes in an order in which they can run, and what subgraphs take from around."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from onnx import AttributeProto, GraphProto, NodeProto, TypeProto

from symgraph.core.errors import GraphError

GRAPH_KINDS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)


@dataclass
class ParsedNode:
    """A node with its subgraphs, by attribute, and all the names it reads, those of its subgraphs included."""

    proto: NodeProto
    reads: Sequence[str]
    graphs: Mapping[str, tuple[ParsedGraph, ...]]


@dataclass
class ParsedGraph:
    """A graph with sorted nodes. `free` are the names it uses and does not define, with who reads them.

    `types` and `dim_names`, the names of dimensions that the file itself gives, are filled in by inference.
    """

    proto: GraphProto
    nodes: list[ParsedNode]
    free: Mapping[str, str]
    types: dict[str, TypeProto] = field(default_factory=dict)
    dim_names: frozenset[str] = frozenset()


def attribute_graphs(attribute: AttributeProto) -> tuple[GraphProto, ...]:
    """The graphs an attribute holds."""
    if attribute.type == AttributeProto.GRAPH or attribute.HasField("g"):
        return (attribute.g,)
    return tuple(attribute.graphs)


def describe_node(node: NodeProto) -> str:
    """`node "name" (Add)`, or by what it makes where it has no name."""
    if node.name:
        return f'node "{node.name}" ({node.op_type})'
    made = ", ".join(f'"{name}"' for name in node.output if name)
    return f"the {node.op_type} node that makes {made or 'nothing'}"


def parse_graph(proto: GraphProto, who: str) -> ParsedGraph:
    """Resolve the names of a graph and of the graphs inside it.

    Errors: `GraphError` naming the value and the nodes, for a name made twice and for cycles.
    """
    parsed = []
    protos = _without_overridden_constants(proto.node)
    for node in protos:
        graphs: dict[str, tuple[ParsedGraph, ...]] = {}
        for attribute in node.attribute:
            if attribute.type in GRAPH_KINDS or attribute.HasField("g") or attribute.graphs:
                graphs[attribute.name] = tuple(parse_graph(g, who) for g in attribute_graphs(attribute))
        reads: Sequence[str] = node.input
        if graphs:
            reads = [*node.input, *(name for inner in graphs.values() for g in inner for name in g.free)]
        parsed.append(ParsedNode(node, reads, graphs))
    given = _given_names(proto, who)
    makers = _makers(protos, given, who)
    nodes = _sorted(parsed, makers, who)
    free = _free_names(proto, parsed, given, makers, who)
    return ParsedGraph(proto, nodes, free)


def initializer_names(proto: GraphProto) -> Iterable[str]:
    """The names of all initializers, the sparse ones too."""
    yield from (tensor.name for tensor in proto.initializer)
    yield from (tensor.values.name for tensor in proto.sparse_initializer)


def _given_names(proto: GraphProto, who: str) -> set[str]:
    """What there is before any node runs; an initializer may stand among the inputs too."""
    inputs = [x.name for x in proto.input]
    weights = list(initializer_names(proto))
    for kind, names in (("input", inputs), ("initializer", weights)):
        if kind == "input" and "" in names:
            raise GraphError(f"{who}: graph {proto.name!r} has an input without a name")
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise GraphError(f"{who}: graph {proto.name!r} has two {kind}s named {twice!r}")
    return {*inputs, *weights}


def _without_overridden_constants(nodes: Sequence[NodeProto]) -> list[NodeProto]:
    """The nodes, without a Constant whose name a later Constant takes: ONNX Runtime lets the last one count."""
    last = {node.output[0]: index for index, node in enumerate(nodes) if node.op_type == "Constant" and node.output}
    return [node for index, node in enumerate(nodes)
            if node.op_type != "Constant" or not node.output or last[node.output[0]] == index]


def _makers(nodes: Sequence[NodeProto], given: set[str], who: str) -> dict[str, int]:
    """Which node makes each name."""
    makers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in node.output:
            if not name:
                continue
            if name in given:
                raise GraphError(f"{who}: {describe_node(node)} makes {name!r}, which is an input or initializer too")
            if makers.setdefault(name, index) != index or list(node.output).count(name) > 1:
                raise GraphError(f"{who}: the value {name!r} is made twice, by "
                                 f"{describe_node(nodes[makers[name]])} and by {describe_node(node)}")
    return makers


def _free_names(proto: GraphProto, nodes: list[ParsedNode], given: set[str], makers: Mapping[str, int],
                who: str) -> dict[str, str]:
    free: dict[str, str] = {}
    for node in nodes:
        for name in node.reads:
            if name and name not in makers and name not in given and name not in free:
                inner = next((g.free[name] for gs in node.graphs.values() for g in gs if name in g.free), None)
                free[name] = inner or describe_node(node.proto)
    for output in proto.output:
        if not output.name:
            raise GraphError(f"{who}: graph {proto.name!r} has an output without a name")
        if output.name not in makers and output.name not in given:
            free.setdefault(output.name, f"an output of graph {proto.name!r}")
    return free


def _sorted(nodes: list[ParsedNode], makers: Mapping[str, int], who: str) -> list[ParsedNode]:
    """The nodes with every maker before its readers, otherwise in the order of the file."""
    waits = [0] * len(nodes)
    readers: list[list[int]] = [[] for _ in nodes]
    is_sorted = True
    for index, node in enumerate(nodes):
        for name in node.reads:
            maker = makers.get(name)
            if maker is not None:
                waits[index] += 1
                readers[maker].append(index)
                is_sorted = is_sorted and maker < index
    if is_sorted:
        return nodes
    ready = [index for index, count in enumerate(waits) if count == 0]
    order = []
    while ready:
        index = heapq.heappop(ready)
        order.append(index)
        for reader in readers[index]:
            waits[reader] -= 1
            if waits[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        raise GraphError(f"{who}: the nodes go in a circle: {_cycle(nodes, makers, set(order))}")
    return [nodes[index] for index in order]


def _cycle(nodes: list[ParsedNode], makers: Mapping[str, int], done: set[int]) -> str:
    """One circle among the nodes that never became ready, found by going from reader to maker."""
    index = next(i for i in range(len(nodes)) if i not in done)
    path: list[int] = []
    seen: set[int] = set()
    while index not in seen:
        seen.add(index)
        path.append(index)
        index = next(makers[name] for name in nodes[index].reads if name in makers and makers[name] not in done)
    circle = [*path[path.index(index):], index]
    shown = circle if len(circle) <= 12 else circle[:12]
    text = " reads from ".join(describe_node(nodes[i].proto) for i in shown)
    return text if len(shown) == len(circle) else f"{text} and so on, {len(circle) - 1} nodes"
