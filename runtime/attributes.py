"""Attributes of nodes in files: read, checked against the schema, and those of functions filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, NodeProto, ValueInfoProto

from symgraph.core.errors import FormatError, OpError, nearest
from symgraph.core.inference import attribute_to_proto
from symgraph.core.op import Op
from symgraph.core.types import ValueType, type_to_proto
from symgraph.runtime.files import ExternalFiles, Limits
from symgraph.runtime.parsed import attribute_graphs, describe_node
from symgraph.runtime.tensors import read_tensor, write_tensor


def read_attribute(proto: AttributeProto, files: ExternalFiles, limits: Limits) -> object:
    """The value of an attribute that is not a graph.

    Errors: `FormatError` for an attribute that holds nothing.
    """
    kind = proto.type or _kind_by_content(proto)
    match kind:
        case AttributeProto.INT:
            return proto.i
        case AttributeProto.FLOAT:
            return proto.f
        case AttributeProto.STRING:
            return _text(proto.s)
        case AttributeProto.INTS:
            return tuple(proto.ints)
        case AttributeProto.FLOATS:
            return tuple(proto.floats)
        case AttributeProto.STRINGS:
            return tuple(map(_text, proto.strings))
        case AttributeProto.TENSOR:
            return read_tensor(proto.t, files, limits)
        case AttributeProto.TENSORS:
            return tuple(read_tensor(t, files, limits) for t in proto.tensors)
        case AttributeProto.SPARSE_TENSOR:
            return proto.sparse_tensor
        case AttributeProto.SPARSE_TENSORS:
            return tuple(proto.sparse_tensors)
        case AttributeProto.TYPE_PROTO:
            return proto.tp
        case AttributeProto.TYPE_PROTOS:
            return tuple(proto.type_protos)
    raise FormatError(f"{files.who}: attribute {proto.name!r} holds no value")


def _kind_by_content(proto: AttributeProto) -> int:
    """The kind of an attribute of an old file, which does not say it."""
    for name, kind in (("f", AttributeProto.FLOAT), ("i", AttributeProto.INT), ("s", AttributeProto.STRING),
                       ("t", AttributeProto.TENSOR)):
        if proto.HasField(name):
            return kind
    for name, kind in (("floats", AttributeProto.FLOATS), ("ints", AttributeProto.INTS),
                       ("strings", AttributeProto.STRINGS), ("tensors", AttributeProto.TENSORS)):
        if len(getattr(proto, name)):
            return kind
    return AttributeProto.UNDEFINED


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


@cache
def _attribute_kinds(op: Op) -> tuple[Mapping[str, int], frozenset[str]]:
    """Name -> kind of the attributes a schema knows, and the names of those it requires."""
    assert op.schema is not None
    known = op.schema.attributes
    kinds = {name: AttributeProto.AttributeType.Value(str(a.type).rpartition(".")[2]) for name, a in known.items()}
    return kinds, frozenset(name for name, a in known.items() if a.required)


def check_attributes_of(op: Op, node: NodeProto, who: str) -> None:
    """See that a node's attributes are those of its operator.

    Errors: `OpError` naming node and attribute.
    """
    kinds, required = _attribute_kinds(op)
    given = {a.name: a.type for a in node.attribute}
    for name, kind in given.items():
        if name not in kinds:
            raise OpError(f"{who}: {describe_node(node)} has the attribute {name!r}, "
                          f"which {op} {op.version} does not have; {nearest(name, kinds)}")
        if kind and kind != kinds[name]:
            raise OpError(f"{who}: {describe_node(node)} has the attribute {name!r} as "
                          f"{AttributeProto.AttributeType.Name(kind)}, expected "
                          f"{AttributeProto.AttributeType.Name(kinds[name])}")
    if len(given) != len(node.attribute):
        raise OpError(f"{who}: {describe_node(node)} has an attribute twice")
    if not required <= given.keys():
        raise OpError(f"{who}: {describe_node(node)} lacks the attribute {min(required - given.keys())!r}")


def instantiate(function: FunctionProto, call: NodeProto, types: Iterable[ValueType | None]) -> GraphProto:
    """The body of a local function as one call sees it: attributes filled in, absent inputs left out.

    `types` are those of the inputs that are there.
    """
    given = {a.name: a for a in call.attribute}
    given.update((a.name, a) for a in function.attribute_proto if a.name not in given)
    body = GraphProto(name=function.name)
    present = iter(types)
    absent = set(function.input[len(call.input):])
    for position, name in enumerate(function.input[:len(call.input)]):
        if not call.input[position]:
            absent.add(name)
            continue
        body.input.append(ValueInfoProto(name=name, type=type_to_proto(next(present))))
    body.output.extend(ValueInfoProto(name=name) for name in function.output[:len(call.output)])
    for node in function.node:
        body.node.append(_filled(node, given, absent))
    return body


def _filled(node: NodeProto, given: Mapping[str, AttributeProto], absent: set[str]) -> NodeProto:
    filled = NodeProto()
    filled.CopyFrom(node)
    for position, name in enumerate(filled.input):
        if name in absent:
            filled.input[position] = ""
    del filled.attribute[:]
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in given:
                entry = filled.attribute.add()
                entry.CopyFrom(given[attribute.ref_attr_name])
                entry.name = attribute.name
            continue
        entry = filled.attribute.add()
        entry.CopyFrom(attribute)
        for graph in attribute_graphs(entry) if entry.HasField("g") or entry.graphs else ():
            inner = [_filled(n, given, absent) for n in graph.node]
            del graph.node[:]
            graph.node.extend(inner)
    return filled


def write_attribute(name: str, value: Any, op: Op) -> AttributeProto:
    """An attribute that is not a graph, as a file has it."""
    kind = _attribute_kinds(op)[0].get(name) if op.schema is not None else None
    proto = AttributeProto(name=name, type=kind)  # type: ignore[arg-type]
    match kind:
        case AttributeProto.INT:
            proto.i = value
        case AttributeProto.FLOAT:
            proto.f = value
        case AttributeProto.STRING:
            proto.s = _data(value)
        case AttributeProto.INTS:
            proto.ints.extend(value)
        case AttributeProto.FLOATS:
            proto.floats.extend(value)
        case AttributeProto.STRINGS:
            proto.strings.extend(map(_data, value))
        case AttributeProto.TENSOR if isinstance(value, np.ndarray):
            write_tensor(proto.t, value, name)
        case _:
            return attribute_to_proto(name, value, op)
    return proto


def _data(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
