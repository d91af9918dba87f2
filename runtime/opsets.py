"""Opsets: which one a graph can be written in, and moving nodes to another."""

from __future__ import annotations

from collections.abc import Iterator

from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import Op, default_opset
from symgraph.core.tensor import Node


def walk_nodes(graph: Graph) -> Iterator[Node]:
    """Every node of a graph, those of subgraphs and bodies included; of a body that is shared, once."""
    seen = {graph}
    waiting = [graph]
    while waiting:
        for node in waiting.pop().nodes:
            yield node
            for inner in node_graphs(node):
                if inner not in seen:
                    seen.add(inner)
                    waiting.append(inner)


def graph_ops(graph: Graph) -> tuple[Op, ...]:
    """The ops of a graph that ONNX defines, each once."""
    return tuple(dict.fromkeys(node.op for node in walk_nodes(graph) if node.op.schema is not None))


def choose_opsets(graph: Graph, opset: int | None = None) -> dict[str, int]:
    """The opset of every domain the graph uses: the asked one, the file's own, or the default.

    Where some op does not stand in that one, the nearest in which all do; where there is none, the first that
    has the newest op, and the older ones are to be converted.
    """
    domains: dict[str, list[Op]] = {"": []}
    for op in graph_ops(graph):
        domains.setdefault(op.domain, []).append(op)
    opsets = {domain: _fitting(ops, graph.opsets.get(domain) or default_opset(domain))
              for domain, ops in domains.items()}
    if opset is not None:
        opsets[""] = opset
    for node in walk_nodes(graph):
        if node.op.schema is None:
            opsets.setdefault(node.op.domain, node.op.version)
    return opsets


def _fitting(ops: list[Op], wanted: int) -> int:
    low = max((op.version for op in ops), default=1)
    high = min((op.last_version for op in ops), default=wanted)
    return low if low > high else min(max(wanted, low), high)


def stands_in(op: Op, opset: int) -> bool:
    """Whether this very version of an op is in force at an opset."""
    return op.version <= opset <= op.last_version


def convert(graph: Graph, opset: int) -> Graph:
    """The same graph in operators of one opset of the standard domain."""
    return graph
