"""Opsets: which one a graph can be written in, and moving nodes to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symgraph.core.apply import placeholder
from symgraph.core.errors import SymgraphError, UnsupportedOpError
from symgraph.core.graph import Graph, bind, node_graphs
from symgraph.core.op import Op, default_opset, find_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.ops.batched_scan import unbatched_scan
from symgraph.runtime.adapters import Outputs, step
from symgraph.runtime.onnx_converter import DISTRUSTED, convert_with_onnx
from symgraph.runtime.versions import Call, Stuck


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
    return tuple(op for op in graph.ops if op.schema is not None)


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
    for op in graph.ops:
        if op.schema is None:
            opsets.setdefault(op.domain, op.version)
    return opsets


def _fitting(ops: list[Op], wanted: int) -> int:
    low = max((op.version for op in ops), default=1)
    high = min((op.last_version for op in ops), default=wanted)
    return low if low > high else min(max(wanted, low), high)


def stands_in(op: Op, opset: int) -> bool:
    """Whether this very version of an op is in force at an opset."""
    return op.version <= opset <= op.last_version


def convert(graph: Graph, opset: int) -> Graph:
    """The same graph in operators of one opset of the standard domain, in subgraphs and bodies too.

    A node whose version does not stand there is taken from version to version by `adapters`; where those know no
    way, onnx's own converter is asked. Weights that became attributes again must be constants.

    Errors: `UnsupportedOpError` listing every operator that cannot be converted, from which version, and why.
    """
    converter = _Converter(opset)
    converted = converter.graph(graph)
    if converter.failures:
        listing = "; ".join(dict.fromkeys(converter.failures))
        raise UnsupportedOpError(f"graph {graph.name!r} cannot be written with opset {opset}: {listing}")
    return converted


class _Converter:
    """Moves the nodes of a graph to one opset; notes what it cannot move."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.failures: list[str] = []
        self.graphs: dict[Graph, Graph] = {}

    def graph(self, graph: Graph) -> Graph:
        """The graph, converted once however often it is used."""
        found = self.graphs.get(graph)
        if found is None:
            moved = graph.rewrite(self.node)
            found = self.graphs[graph] = Graph(
                graph.inputs, moved.outputs, captures=graph.captures, name=graph.name, metadata=graph.metadata,
                input_names=graph.input_names, output_names=graph.output_names,
                opsets={**graph.opsets, "": self.opset})
        return found

    def node(self, node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        """What takes the place of a node's outputs; None where it may stay."""
        graphs = {name: value for name, value in node.attributes.items() if _holds_graphs(value)}
        is_standing = node.op.schema is None or bool(node.op.domain) or stands_in(node.op, self.opset)
        if is_standing and not graphs and node.body is None:
            return None
        attributes = {**node.attributes, **{name: self._inner(value) for name, value in graphs.items()}}
        body = None if node.body is None else self.graph(node.body)
        inputs, captures = operands[:len(node.inputs)], operands[len(node.inputs):]
        if is_standing:
            return _node_like(node, node.op, inputs, attributes, captures, body).outputs
        if node.op.name == "Scan" and node.op.version == 8:
            return self._unbatched(node, operands, attributes)
        try:
            return self._moved(node, inputs, attributes, captures)
        except (Stuck, SymgraphError) as error:
            name = f' "{node.name}"' if node.name else ""
            self.failures.append(f"{node.op}{name} of version {node.op.version}: {error}")
            return None

    def _unbatched(self, node: Node, operands: tuple[Operand | None, ...], attributes: Mapping[str, Any],
                   ) -> tuple[Operand | None, ...]:
        symbols = [None if x is None else placeholder(x.type) for x in operands]
        graph = Graph([x for x in symbols if x is not None], unbatched_scan(attributes, symbols))
        results = bind(self.graph(graph), [x for x in operands if x is not None])
        for old, new in zip(node.outputs, results, strict=False):
            if old is not None and isinstance(new, SymbolicTensor):
                new.hint, new.type = old.hint, old.type or new.type
        return results[:len(node.outputs)]

    def _inner(self, value: Any) -> Any:
        return tuple(map(self.graph, value)) if isinstance(value, tuple) else self.graph(value)

    def _moved(self, node: Node, inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any],
               captures: tuple[Operand | None, ...]) -> tuple[Operand | None, ...]:
        wanted = tuple(x is not None for x in node.outputs)
        types = tuple(None if x is None else x.type for x in node.outputs)
        call = Call(node.op.name, inputs, attributes, types, wanted, self.opset)
        try:
            op, result = self._walk(node.op, call)
        except Stuck as stuck:
            return self._otherwise(node, inputs, stuck)
        if isinstance(result, Call):
            return _node_like(node, op, result.inputs, result.attributes, captures, None).outputs
        for old, new in zip(node.outputs, result, strict=True):
            if old is not None and isinstance(new, SymbolicTensor):
                new.hint, new.type = old.hint, old.type or new.type
        return result

    def _otherwise(self, node: Node, inputs: tuple[Operand | None, ...], stuck: Stuck) -> tuple[Operand | None, ...]:
        """What onnx's converter makes of a node."""
        has_graphs = any(True for _ in node.subgraphs())
        if has_graphs or (node.op.name, self.opset > node.op.version) in DISTRUSTED:
            raise stuck
        try:
            return convert_with_onnx(node, inputs, self.opset)
        except Stuck:
            raise stuck from None

    def _walk(self, op: Op, call: Call) -> tuple[Op, Call | Outputs]:
        """Step from version to version until one stands in the opset."""
        result: Call | Outputs = call
        while isinstance(result, Call) and not stands_in(op, self.opset):
            neighbour = op.last_version + 1 if op.last_version < self.opset else op.version - 1
            if neighbour < 1:
                raise Stuck(f"it came with opset {op.version}")
            try:
                following = find_op(op.name, "", neighbour)
            except UnsupportedOpError:
                raise Stuck(f"it came with opset {op.version}") from None
            result = step(op, following, result)
            op = following if isinstance(result, tuple) else find_op(result.name, "", following.version)
        return op, result


def _holds_graphs(value: object) -> bool:
    return isinstance(value, Graph) or (isinstance(value, tuple) and bool(value) and isinstance(value[0], Graph))


def _node_like(node: Node, op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any],
               captures: tuple[Operand | None, ...], body: Graph | None) -> Node:
    """A node of another version in the place of `node`, with its types and names."""
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    made = Node(op, inputs, attributes, tuple(None if x is None else x.type for x in node.outputs),
                captures=tuple(x for x in captures if x is not None), body=body,
                absent=frozenset(i for i, x in enumerate(node.outputs) if x is None), name=node.name,
                layer=node.layer, source=node.source)
    for old, new in zip(node.outputs, made.outputs, strict=True):
        if old is not None and new is not None:
            new.hint, new.call, new.data = old.hint, old.call, old.data
    return made
