"""Graphs as ONNX's messages: names that never clash, initializers, subgraphs, functions."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto, helper

from symgraph.core.composite import DOMAIN
from symgraph.core.errors import GraphError, LimitError
from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import ValueType, type_to_proto
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.attributes import write_attribute
from symgraph.runtime.tensors import write_tensor

MAX_MODEL_BYTES = 2**31 - 1
"""What protobuf can write into one file."""

Names = MutableMapping[Operand, str]


def is_function(node: Node) -> bool:
    """Whether a node is written as a call of a local function: its body has no weights, its domain is its own."""
    return node.body is not None and node.op.domain != DOMAIN and not node.body.variables


class ModelWriter:
    """Writes one model; keeps track of names, weights and functions."""

    def __init__(self, opsets: Mapping[str, int]) -> None:
        self.opsets = opsets
        self.taken: set[str] = set()
        self.domains: set[str] = {""}
        self.node_names: set[str] = set()
        self.weights: dict[str, Tensor | Variable] = {}
        self.functions: dict[str, FunctionProto] = {}
        self.calls: dict[Graph, tuple[str, str]] = {}
        self.contents: dict[bytes, tuple[str, str]] = {}

    def used_opsets(self) -> dict[str, int]:
        """The opsets of the domains that nodes were written of."""
        return {domain: self.opsets.get(domain, 1) for domain in self.domains}

    def main(self, graph: Graph, *, keep_weights_out: bool, variables_as_inputs: bool = False) -> GraphProto:
        """The main graph: the names of its values are those of the graph."""
        owners: dict[str, Operand] = {}
        for x, name in (*graph.names.items(), *zip(graph.outputs, graph.output_names, strict=True)):
            if owners.setdefault(name, x) is not x:
                raise GraphError(f"graph {graph.name!r}: an output is called {name!r}, and another value as well")
        self.taken.update(owners)
        names: Names = dict(graph.names)
        proto = GraphProto(name=graph.name, input=[_value_info(names[x], x.type) for x in graph.inputs])
        leaves = tuple(_leaves(graph))
        if variables_as_inputs:
            proto.input.extend(_value_info(names[x], x.type) for x in graph.variables)
            leaves = tuple(x for x in leaves if not isinstance(x, Variable))
        if keep_weights_out:
            self.weights = {names[leaf]: leaf for leaf in leaves}
        else:
            total = sum(leaf.nbytes for leaf in leaves)
            if total > MAX_MODEL_BYTES:
                raise LimitError(f"graph {graph.name!r} has {total} bytes of weights, one model takes at most "
                                 f"{MAX_MODEL_BYTES}; save it to a path with external_data=True")
            for leaf in leaves:
                write_tensor(proto.initializer.add(), leaf.numpy(), names[leaf])
        self._nodes(proto, graph, names, frozenset(graph.output_names))
        self._main_outputs(proto, graph, names)
        return proto

    def _main_outputs(self, proto: GraphProto, graph: Graph, names: Names) -> None:
        for name, x in zip(graph.output_names, graph.outputs, strict=True):
            if names[x] != name:
                proto.node.append(helper.make_node("Identity", [names[x]], [name]))
                self.domains.add("")
            proto.output.append(_value_info(name, x.type))
        self._pinned(proto, graph, names)

    def _pinned(self, proto: GraphProto, graph: Graph, names: Names) -> None:
        """Values that keep their names: copied under that name where a pass has put another value in their place."""
        owners = {**{name: x for x, name in names.items()}, **dict(zip(graph.output_names, graph.outputs, strict=True))}
        for name, x in graph.pinned.items():
            owner = owners.get(name)
            if owner is not None and owner is not x:
                raise GraphError(f"graph {graph.name!r}: a pinned value is called {name!r}, and another value as well")
            if owner is None:
                proto.node.append(helper.make_node("Identity", [names[x]], [name]))
                self.domains.add("")

    def _nodes(self, proto: GraphProto | FunctionProto, graph: Graph, names: Names, shown: frozenset[str]) -> None:
        """Write the nodes; their outputs have names already. The types of all but those `shown` are noted."""
        for node in graph.nodes:
            if node.body is not None and not is_function(node):
                self._inline(proto, node, names, shown)
                continue
            proto.node.append(self._node(node, names))
            if isinstance(proto, GraphProto):
                proto.value_info.extend(_value_info(names[x], x.type) for x in node.outputs
                                        if x is not None and x.type is not None and names[x] not in shown)

    def _inline(self, proto: GraphProto | FunctionProto, node: Node, outer: Names, shown: frozenset[str],
                ) -> None:
        """Write the body of a composite op in its place."""
        body = node.body
        assert body is not None
        names = _within(outer, (*body.inputs, *body.captures),
                        [outer[x] for x in node.operands if x is not None])
        wanted: dict[Operand, SymbolicTensor | None] = dict(zip(body.outputs, node.outputs, strict=True))
        prefix = next((outer[x] for x in node.outputs if x is not None), node.op.name)
        for inner in _made(body):
            result = wanted.get(inner)
            names[inner] = self._fresh(f"{prefix}/{body.names[inner]}") if result is None else outer[result]
        self._nodes(proto, body, names, shown)
        for x, made in zip(body.outputs, node.outputs, strict=True):
            if made is not None:
                outer[made] = names[x]

    def _node(self, node: Node, names: Names) -> NodeProto:
        proto = NodeProto(name=self._node_name(node), output=["" if x is None else names[x] for x in node.outputs])
        if node.body is not None:
            proto.domain, proto.op_type = self._function(node)
            proto.input.extend(names[x] for x in node.operands if x is not None)
        else:
            proto.domain, proto.op_type = node.op.domain, node.op.name
            proto.input.extend("" if x is None else names[x] for x in node.inputs)
            for name, value in node.attributes.items():
                proto.attribute.append(self._attribute(node, name, value, names))
        self.domains.add(proto.domain)
        return proto

    def _node_name(self, node: Node) -> str:
        """The name of a node; of nodes that share one, as copies do, all but the first get a number."""
        name, number = node.name, 0
        while name in self.node_names:
            number += 1
            name = f"{node.name}_{number}"
        if name:
            self.node_names.add(name)
        return name

    def _attribute(self, node: Node, name: str, value: Any, names: Names) -> AttributeProto:
        if isinstance(value, Graph):
            return AttributeProto(name=name, type=AttributeProto.GRAPH, g=self._subgraph(value, node, names))
        if isinstance(value, tuple) and value and isinstance(value[0], Graph):
            graphs = [self._subgraph(graph, node, names) for graph in value]
            return AttributeProto(name=name, type=AttributeProto.GRAPHS, graphs=graphs)
        return write_attribute(name, value, node.op)

    def _subgraph(self, graph: Graph, node: Node, outer: Names) -> GraphProto:
        names = _within(outer, graph.captures, [outer[x] for x in node.captures])
        own = graph.names
        for x in (*graph.inputs, *_made(graph)):
            names[x] = self._fresh(own[x])
        proto = GraphProto(name=graph.name, input=[_value_info(names[x], x.type) for x in graph.inputs])
        self._nodes(proto, graph, names, frozenset(names[x] for x in graph.outputs))
        is_scan = node.op.name == "Scan"  # of a result that is an input itself ONNX Runtime stacks wrong values
        given = [] if is_scan else [x.name for x in proto.input]
        results = self._results(proto, given, [names[x] for x in graph.outputs])
        proto.output.extend(_value_info(name, x.type) for name, x in zip(results, graph.outputs, strict=True))
        return proto

    def _results(self, proto: GraphProto | FunctionProto, given: Iterable[str], wanted: Iterable[str]) -> list[str]:
        """Names for what a body returns: each made in the body and different, by an Identity where need be."""
        free = {*given, *(name for node in proto.node for name in node.output)}
        results = []
        for name in wanted:
            if name in free:
                free.remove(name)
            else:
                source, name = name, self._fresh(name)
                proto.node.append(helper.make_node("Identity", [source], [name]))
            results.append(name)
        return results

    def _function(self, node: Node) -> tuple[str, str]:
        """Domain and name of the local function for a node's body; functions with equal content are one."""
        body = node.body
        assert body is not None
        found = self.calls.get(body)
        if found is None:
            proto = self._function_proto(body)
            content = f"{node.op}\0".encode() + proto.SerializeToString(deterministic=True)
            found = self.contents.get(content)
            if found is None:
                found = (node.op.domain, self._function_name(node.op.domain, node.op.name))
                proto.domain, proto.name = found
                self.functions["::".join(found)] = proto
                self.contents[content] = found
            self.calls[body] = found
        return found

    def _function_name(self, domain: str, wanted: str) -> str:
        name, number = wanted, 0
        while f"{domain}::{name}" in self.functions:
            number += 1
            name = f"{wanted}_{number}"
        return name

    def _function_proto(self, body: Graph) -> FunctionProto:
        outside, self.taken = self.taken, set(body.names.values())
        domains, self.domains = self.domains, {""}
        names: Names = dict(body.names)
        proto = FunctionProto(input=[names[x] for x in (*body.inputs, *body.captures)])
        for leaf in _leaves(body):
            value = AttributeProto(name="value", type=AttributeProto.TENSOR)
            write_tensor(value.t, leaf.numpy(), names[leaf])
            proto.node.add(op_type="Constant", output=[names[leaf]], attribute=[value])
        self._nodes(proto, body, names, frozenset())
        proto.output.extend(self._results(proto, (), [names[x] for x in body.outputs]))
        imports = ((domain, self.opsets.get(domain, 1)) for domain in sorted(self.domains))
        proto.opset_import.extend(helper.make_opsetid(*entry) for entry in imports)
        self.taken, self.domains = outside, self.domains | domains
        return proto

    def _fresh(self, wanted: str) -> str:
        name, number = wanted, 0
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name


def variable_inputs(graph: Graph) -> tuple[str, ...]:
    """The names of the inputs that variables become where they are written as inputs."""
    return tuple(graph.names[x] for x in graph.variables)


def _within(outer: Names, symbols: Iterable[Operand], values: Iterable[str]) -> Names:
    """Names of a scope inside another, in which `symbols` stand for the values called so."""
    inside = dict(zip(symbols, values, strict=True))
    return ChainMap(inside, *outer.maps) if isinstance(outer, ChainMap) else ChainMap(inside, outer)


def _made(graph: Graph) -> Iterable[SymbolicTensor]:
    """What the nodes of a graph make."""
    return (x for node in graph.nodes for x in node.outputs if x is not None)


def _leaves(graph: Graph) -> Iterable[Tensor | Variable]:
    """Constants and variables that must be at hand where the nodes of `graph` are written, functions aside."""
    found: dict[Tensor | Variable, None] = {}
    seen = {graph}
    waiting = [graph]
    while waiting:
        current = waiting.pop()
        found.update((x, None) for x in current.outputs if isinstance(x, Tensor | Variable))
        for node in current.nodes:
            found.update((x, None) for x in node.operands if isinstance(x, Tensor | Variable))
            inner = [g for _, g in node.subgraphs()]
            if node.body is not None and not is_function(node):
                inner.append(node.body)
            waiting.extend(g for g in inner if g not in seen)
            seen.update(inner)
    return found


def _value_info(name: str, value_type: ValueType | None) -> ValueInfoProto:
    info = ValueInfoProto(name=name)
    if value_type is not None:
        info.type.CopyFrom(type_to_proto(value_type))
    return info
