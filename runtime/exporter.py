"""A graph as an ONNX model: names, opsets, initializers, subgraphs, functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from symgraph.core.graph import Graph, node_graphs
from symgraph.core.inference import attribute_to_proto
from symgraph.core.op import DEFAULT_IR_VERSION, default_opset
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import type_to_proto
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable


@dataclass
class Exported:
    """A model and the weights that were left out of it, by initializer name."""

    model: ModelProto
    weights: dict[str, Tensor | Variable] = field(default_factory=dict)


def walk_nodes(graph: Graph) -> Iterator[Node]:
    """Every node of a graph, those of subgraphs and bodies included."""
    for node in graph.nodes:
        yield node
        for inner in node_graphs(node):
            yield from walk_nodes(inner)


def choose_opsets(graph: Graph, opset: int | None = None) -> dict[str, int]:
    """The opset of every domain the graph uses: the asked one, the file's own, or the default."""
    opsets: dict[str, int] = {}
    for node in walk_nodes(graph):
        op = node.op
        if op.schema is None:
            opsets.setdefault(op.domain, op.version)
            continue
        wanted = opset if opset is not None and op.domain == "" else graph.opsets.get(op.domain)
        opsets[op.domain] = max(opsets.get(op.domain, 0), wanted or default_opset(op.domain), op.version)
    opsets.setdefault("", opset or graph.opsets.get("") or default_opset(""))
    return opsets


def to_model(graph: Graph, *, opset: int | None = None, keep_weights_out: bool = False) -> Exported:
    """Write the graph as an ONNX model. With `keep_weights_out`, initializers are handed over beside it."""
    writer = _Writer(keep_weights_out)
    opsets = choose_opsets(graph, opset)
    proto = writer.graph(graph, {}, is_main=True)
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid(d, v) for d, v in sorted(opsets.items())],
        ir_version=DEFAULT_IR_VERSION, producer_name="symgraph")
    return Exported(model, writer.weights)


class _Writer:
    def __init__(self, keep_weights_out: bool) -> None:
        self.keep_weights_out = keep_weights_out
        self.weights: dict[str, Tensor | Variable] = {}
        self.taken: set[str] = set()

    def graph(self, graph: Graph, outer: Mapping[Operand, str], *, is_main: bool = False) -> GraphProto:
        names = self._names(graph, outer, is_main)
        proto = GraphProto(name=graph.name)
        for x in graph.inputs:
            proto.input.append(_value_info(names[x], x))
        if is_main:
            for leaf in graph.leaves:
                self._initializer(proto, names[leaf], leaf)
        for node in graph.nodes:
            proto.node.append(self._node(node, names))
        for name, x in zip(graph.output_names if is_main else [names[x] for x in graph.outputs], graph.outputs,
                           strict=True):
            if names[x] != name or not isinstance(x, SymbolicTensor):
                proto.node.append(helper.make_node("Identity", [names[x]], [name]))
            proto.output.append(_value_info(name, x))
        return proto

    def _names(self, graph: Graph, outer: Mapping[Operand, str], is_main: bool) -> dict[Operand, str]:
        names = dict(outer)
        for x, wanted in graph.names.items():
            if x in names:
                continue
            name, number = wanted, 0
            while name in self.taken:
                number += 1
                name = f"{wanted}_{number}"
            self.taken.add(name)
            names[x] = name
        return names

    def _initializer(self, proto: GraphProto, name: str, leaf: Tensor | Variable) -> None:
        if self.keep_weights_out:
            self.weights[name] = leaf
        else:
            proto.initializer.append(numpy_helper.from_array(np.ascontiguousarray(leaf.numpy()).reshape(leaf.shape), name))

    def _node(self, node: Node, names: dict[Operand, str]) -> NodeProto:
        proto = NodeProto(
            op_type=node.op.name, domain=node.op.domain, name=node.name,
            input=["" if x is None else names[x] for x in node.inputs],
            output=["" if x is None else names[x] for x in node.outputs])
        for name, value in node.attributes.items():
            proto.attribute.append(self._attribute(node, name, value, names))
        return proto

    def _attribute(self, node: Node, name: str, value: Any, names: dict[Operand, str]) -> AttributeProto:
        if isinstance(value, Graph):
            outer = {**names, **{inner: names[x] for inner, x in zip(value.captures, node.captures, strict=True)}}
            return AttributeProto(name=name, type=AttributeProto.GRAPH, g=self.graph(value, outer))
        return attribute_to_proto(name, value, node.op)


def _value_info(name: str, x: Operand) -> ValueInfoProto:
    info = ValueInfoProto(name=name)
    if x.type is not None:
        info.type.CopyFrom(type_to_proto(x.type))
    return info
