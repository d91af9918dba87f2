"""onnx's own version converter, asked about one node at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    ValueInfoProto,
    version_converter,
)

from symgraph.core.graph import Graph, copy_node
from symgraph.core.inference import freeze_attributes
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import type_to_proto
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.attributes import write_attribute
from symgraph.runtime.importer import load_graph
from symgraph.runtime.tensors import write_tensor
from symgraph.runtime.versions import Stuck

DISTRUSTED = frozenset({("Scan", True), ("Softmax", False), ("LogSoftmax", False), ("Hardmax", False)})
"""(operator, upwards): what the converter claims to convert but changes; found with the official cases."""

MAX_SHOWN = 1024
"""Constants with more elements are not shown to the converter."""

_CACHE: dict[object, Graph] = {}


def convert_with_onnx(node: Node, inputs: tuple[Operand | None, ...], opset: int) -> tuple[Operand | None, ...]:
    """The outputs of a node without subgraphs, made by operators of another opset.

    Raises `Stuck` where the converter refuses, or its answer is not valid.
    """
    shown = tuple(isinstance(x, Tensor) and x.size <= MAX_SHOWN for x in inputs)
    types = tuple(None if x is None else x.type for x in inputs)
    data = tuple(x.numpy().tobytes() if isinstance(x, Tensor) and is_shown and x.dtype != "string" else None
                 for x, is_shown in zip(inputs, shown, strict=True))
    key = (node.op, opset, types, data, freeze_attributes(node.attributes), len(node.outputs),
           tuple(x is None for x in node.outputs))
    graph = _CACHE.get(key)
    if graph is None:
        if len(_CACHE) > 1024:
            _CACHE.clear()
        graph = _CACHE[key] = _converted(_one_node_model(node, inputs, shown), opset)
    return _brought_back(graph, node, inputs)


def _one_node_model(node: Node, inputs: tuple[Operand | None, ...], shown: tuple[bool, ...]) -> ModelProto:
    graph = GraphProto(name="one_node")
    names = ["" if x is None else f"i{position}" for position, x in enumerate(inputs)]
    for name, x, is_shown in zip(names, inputs, shown, strict=True):
        if is_shown and isinstance(x, Tensor):
            write_tensor(graph.initializer.add(), x.numpy(), name)
        elif x is not None:
            graph.input.append(ValueInfoProto(name=name, type=type_to_proto(x.type)))
    results = ["" if x is None else f"o{position}" for position, x in enumerate(node.outputs)]
    attributes = [write_attribute(name, value, node.op) for name, value in node.attributes.items()]
    graph.node.append(NodeProto(op_type=node.op.name, input=names, output=results, attribute=attributes))
    graph.output.extend(ValueInfoProto(name=name, type=type_to_proto(x.type))
                        for name, x in zip(results, node.outputs, strict=True) if x is not None)
    return ModelProto(ir_version=8, graph=graph, opset_import=[OperatorSetIdProto(version=node.op.version)])


def _converted(model: ModelProto, opset: int) -> Graph:
    try:
        converted = version_converter.convert_version(model, opset)
        return load_graph(converted)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()
        raise Stuck(f"onnx's converter: {reason[0] if reason else type(error).__name__}") from None


def _brought_back(graph: Graph, node: Node, inputs: tuple[Operand | None, ...]) -> tuple[Operand | None, ...]:
    mapping: dict[Operand, Operand] = {}
    given: Mapping[str, Operand] = {f"i{position}": x for position, x in enumerate(inputs) if x is not None}
    for value, name in graph.names.items():
        if name in given:
            mapping[value] = given[name]
        elif isinstance(value, Variable):
            mapping[value] = Tensor(value.numpy())
    for inner in graph.nodes:
        copy = copy_node(inner, tuple(None if x is None else mapping.get(x, x) for x in inner.operands))
        for old, made in zip(inner.outputs, copy.outputs, strict=True):
            if old is not None and made is not None:
                made.hint = None
                mapping[old] = made
    results: dict[str, Any] = dict(zip(graph.output_names, graph.outputs, strict=True))
    found: list[Operand | None] = []
    for position, x in enumerate(node.outputs):
        result = None if x is None else mapping.get(results[f"o{position}"], results[f"o{position}"])
        if isinstance(result, SymbolicTensor) and x is not None:
            result.hint, result.type = x.hint, x.type or result.type
        found.append(result)
    return tuple(found)
