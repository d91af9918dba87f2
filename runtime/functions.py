"""Operators that ONNX defines by others: their definition as a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, NodeProto, TensorProto, defs, numpy_helper
from onnx.helper import get_attribute_value

from symgraph.core.apply import placeholder
from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph
from symgraph.core.inference import attribute_to_proto, freeze, infer_types
from symgraph.core.memory import program_constants
from symgraph.core.op import Op, default_opset, find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import type_to_proto
from symgraph.core.value import Array, Tensor

_INEXACT = frozenset({"Softplus", "Mish", "ReduceLogSumExp"})
"""Operators whose definition, `log(exp(x) + 1)` and the like, overflows or loses digits where a kernel does not."""

_CONSTANTS: dict[object, Tensor] = {}


def constant(array: Array) -> Tensor:
    """A constant of the program, made once and never freed: no user's `tidy` or `memory` sees it."""
    key = freeze(array)
    if key not in _CONSTANTS:
        with program_constants(lambda: [_CONSTANTS[key]]):
            _CONSTANTS[key] = Tensor(array)
    return _CONSTANTS[key]


def expand_function(op: Op, node: Node, inputs: tuple[Operand | None, ...],
                    opsets: Mapping[str, int]) -> Graph | None:
    """The definition of `op` for these operands, a graph from the inputs that are there to the node's outputs.

    An older version of an operator may borrow the definition of a newer one with the same inputs and
    attributes. None where there is no definition, or none in ordinary operators that is exact.
    """
    if op.name in _INEXACT:
        return None
    for schema in _schemas(op):
        function = _definition(schema, op, node, inputs, opsets.get("", 1))
        if function is not None:
            try:
                return _as_graph(function, node, inputs, opsets)
            except SymgraphError:
                continue
    return None


def definition_of(node: Node) -> Graph | None:
    """ONNX's own definition of a node's op, as a graph from the inputs that are there to the outputs."""
    if node.op.schema is None:
        return None
    return expand_function(node.op, node, node.inputs, {"": max(node.op.version, default_opset("")), **(
        {node.op.domain: node.op.version} if node.op.domain else {})})


def _schemas(op: Op) -> list[Any]:
    assert op.schema is not None
    if op.library is not None:
        return []
    newest: Any = defs.get_schema(op.name, domain=op.domain)
    is_same = (set(newest.attributes) == set(op.schema.attributes)
               and [p.name for p in newest.inputs] == [p.name for p in op.schema.inputs])
    return [op.schema, newest] if is_same and newest.since_version != op.version else [op.schema]


def _definition(schema: Any, op: Op, node: Node, inputs: tuple[Operand | None, ...],
                opset: int) -> FunctionProto | None:
    function = FunctionProto()
    if schema.has_function:
        versions = [v for v in schema.function_opset_versions if v <= opset]
        if not versions:
            return None
        function.ParseFromString(schema.get_function_with_opset_version(max(versions)))
        return function
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
    if not schema.has_context_dependent_function or not versions or any(True for _ in node.subgraphs()):
        return None
    proto = NodeProto(op_type=op.name, domain=op.domain, output=[f"o{i}" for i, _ in enumerate(node.outputs)],
                      input=["" if x is None else f"i{i}" for i, x in enumerate(inputs)])
    proto.attribute.extend(attribute_to_proto(name, value, op) for name, value in node.attributes.items())
    types = [type_to_proto(None if x is None else x.type).SerializeToString() for x in inputs]
    try:
        found = schema.get_context_dependent_function_with_opset_version(
            max(versions), proto.SerializeToString(), types)
    except (RuntimeError, ValueError):
        return None
    function.ParseFromString(found)
    return function if function.node else None


def _as_graph(function: FunctionProto, node: Node, inputs: tuple[Operand | None, ...],
              opsets: Mapping[str, int]) -> Graph | None:
    values: dict[str, Operand | None] = {"": None}
    placeholders = []
    for position, name in enumerate(function.input):
        x = inputs[position] if position < len(inputs) else None
        values[name] = None
        if x is not None:
            values[name] = placeholder(x.type, name)
            placeholders.append(values[name])
    for proto in function.node:
        if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in proto.attribute):
            return None
        attributes = _attributes(function, proto, node)
        if proto.op_type == "Constant":
            values[proto.output[0]] = constant(_constant_array(attributes))
            continue
        op = find_op(proto.op_type, proto.domain, opsets.get(proto.domain))
        operands = tuple(values[name] for name in proto.input)
        made = Node(op, operands, attributes, infer_types(op, operands, attributes, len(proto.output)),
                    absent=frozenset(i for i, name in enumerate(proto.output) if not name),
                    layer=node.layer, source=node.source)
        values.update(zip(proto.output, made.outputs, strict=True))
    outputs = [values[name] for name in function.output[:len(node.outputs)]]
    if any(x is None for x in outputs):
        return None
    return Graph(placeholders, outputs)  # type: ignore[arg-type]


def _attributes(function: FunctionProto, proto: NodeProto, node: Node) -> dict[str, Any]:
    """Attributes of an inner node; those that refer to the outer one's take its value, or its default."""
    found: dict[str, Any] = {}
    defaults = {a.name: a for a in function.attribute_proto}
    schema = node.op.schema
    for attribute in proto.attribute:
        name = attribute.ref_attr_name
        if not name:
            found[attribute.name] = _plain(attribute)
        elif name in node.attributes:
            found[attribute.name] = node.attributes[name]
        elif name in defaults:
            found[attribute.name] = _plain(defaults[name])
        elif schema is not None and name in schema.attributes and schema.attributes[name].default_value.type:
            found[attribute.name] = _plain(schema.attributes[name].default_value)
    return found


def _plain(attribute: AttributeProto) -> Any:
    value = get_attribute_value(attribute)
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value)
    return tuple(value) if not isinstance(value, int | float | str | bytes | onnx.TypeProto) else value


def _constant_array(attributes: Mapping[str, Any]) -> Array:
    ((name, value),) = attributes.items()
    if name == "value":
        return np.array(value)
    dtype = {"value_f": np.float32, "value_i": np.int64, "value_s": object}[name[:7]]
    return np.array(value, dtype)
