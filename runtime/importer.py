"""ONNX files as graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from symgraph.core.apply import placeholder
from symgraph.core.errors import DtypeError, FormatError, GraphError, LimitError, OpError, UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.inference import freeze_attributes, infer_types, propagate_data
from symgraph.core.op import Op, canonical_domain, find_op, intern_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType, as_dtype, is_floating, type_from_proto
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.attributes import check_attributes_of, instantiate, read_attribute
from symgraph.runtime.checks import (
    FunctionKey,
    check_functions,
    check_operators,
    check_versions,
    function_key,
    read_opsets,
    walk_protos,
)
from symgraph.runtime.file_types import infer_types_of, onnx_type_name, takes, type_variable, without_made_up_names
from symgraph.runtime.files import ExternalFiles, Limits, Source, read_model
from symgraph.runtime.parsed import ParsedGraph, ParsedNode, describe_node, initializer_names, parse_graph
from symgraph.runtime.tensors import read_sparse, read_tensor

_SETTINGS = {"Resize": (1, 2), "Upsample": (1,), "Pow": (1,), "Clip": (1, 2), "Dropout": (1,), "Range": (0, 1, 2)}
"""Operators with float inputs that are settings, not weights: shapes, exponents, bounds."""

DOMAINS = ("", "ai.onnx.ml", "com.microsoft")
"""The standard operators, those for classical models, and ONNX Runtime's own."""

_NO_ATTRIBUTES: Mapping[str, object] = MappingProxyType({})


def load_graph(
        source: Source, *, trainable: bool = False, limits: Limits | None = None, domains: Sequence[str] = DOMAINS,
        allow_hardlinks: bool = False) -> Graph:
    """The graph in an ONNX file, in its bytes, or in a `ModelProto`.

    Float initializers become variables (`trainable` or not) under their names, all others constants. Every
    value keeps its name: `graph.find(name)`. External data is mapped and read when it is used. Operators of
    other `domains` than ONNX's and ONNX Runtime's are not loaded.

    Errors: `FormatError` for what is not a sound ONNX file, `GraphError` for names and cycles,
    `UnsupportedOpError` listing all unknown operators, `DtypeError`, `LimitError`, and `UnsafeModelError` for
    data outside of the model's own directory.
    """
    limits = limits or Limits()
    model, path, who = read_model(source, limits)
    try:
        opsets = check_versions(model, who)
        opsets = check_operators(model, opsets, domains, limits, who)
        check_functions(model, limits, who)
        reader = _Reader(model, opsets, ExternalFiles(path, who, allow_hardlinks), limits, trainable)
        return reader.model_graph()
    except RecursionError:
        raise LimitError(f"{who}: functions and subgraphs are nested too deep together") from None
    except UnicodeError as error:
        raise FormatError(f"{who}: a name or a text is not UTF-8 ({error})") from None


class _Reader:
    """Builds the graphs of one model."""

    def __init__(self, model: ModelProto, opsets: dict[str, int], files: ExternalFiles, limits: Limits,
                 trainable: bool) -> None:
        self.model = model
        self.opsets = opsets
        self.files = files
        self.who = files.who
        self.limits = limits
        self.trainable = trainable
        self.functions: dict[FunctionKey, FunctionProto] = {function_key(f): f for f in model.functions}
        self.bodies: dict[object, Graph] = {}
        self.outermost: set[str] = set()

    def model_graph(self) -> Graph:
        """The main graph."""
        proto = self.model.graph
        parsed = self._parsed(proto, self.opsets)
        weights = set(initializer_names(proto))
        self.outermost = {*weights, *(name for node in proto.node for name in node.output)}
        inputs = {x.name: self._input(x.name, parsed) for x in proto.input if x.name not in weights}
        for x in proto.input:
            if x.name in inputs and inputs[x.name].type is None:
                raise FormatError(f"{self.who}: input {x.name!r} has no type")
        env: dict[str, Operand] = dict(inputs)
        outputs = self._run(parsed, env, self.opsets, is_main=True)
        graph = Graph(inputs.values(), outputs, input_names=inputs, output_names=[x.name for x in proto.output],
                      name=proto.name or "graph", opsets=self.opsets, metadata=self._metadata(), aside=env)
        return graph

    def _metadata(self) -> dict[str, str]:
        metadata = {entry.key: entry.value for entry in self.model.metadata_props}
        if self.model.doc_string:
            metadata["doc_string"] = self.model.doc_string
        if self.model.producer_name:
            metadata.setdefault("producer", f"{self.model.producer_name} {self.model.producer_version}".strip())
        return metadata

    def _parsed(self, proto: GraphProto, opsets: Mapping[str, int]) -> ParsedGraph:
        """A closed graph with its names resolved and its types inferred."""
        parsed = parse_graph(proto, self.who)
        for name, reader in parsed.free.items():
            what = "which is never made" if reader.startswith("an output") else "which nothing makes"
            raise GraphError(f"{self.who}: {reader} {'is' if 'output' in reader else 'reads'} {name!r}, {what}")
        infer_types_of(parsed, opsets, self.model.functions)
        return parsed

    def _input(self, name: str, parsed: ParsedGraph) -> SymbolicTensor:
        return placeholder(self._type(name, parsed), name)

    def _type(self, name: str, parsed: ParsedGraph) -> ValueType | None:
        proto = parsed.types.get(name)
        if proto is None:
            return None
        try:
            found = type_from_proto(proto)
        except DtypeError as error:
            raise DtypeError(f"{self.who}: {name!r}: {error}") from None
        return without_made_up_names(found, parsed.dim_names)

    def _run(self, parsed: ParsedGraph, env: dict[str, Operand], opsets: Mapping[str, int], *, is_main: bool = False,
             ) -> list[Operand]:
        """Build the nodes of a graph; `env` holds what its names stand for, and takes in what is made."""
        self._weights(parsed, env, is_main=is_main)
        for node in parsed.nodes:
            proto = node.proto
            key = function_key(proto)
            if key in self.functions:
                outputs = self._call(self.functions[key], node, env, opsets)
            elif proto.op_type == "Constant" and not canonical_domain(proto.domain):
                outputs = (self._constant(proto, is_main=is_main),)
            else:
                outputs = self._apply(node, env, opsets, parsed)
            for name, x in zip(proto.output, outputs, strict=False):
                if name and x is not None:
                    env[name] = x
        return [env[x.name] for x in parsed.proto.output]

    def _weights(self, parsed: ParsedGraph, env: dict[str, Operand], *, is_main: bool) -> None:
        settings = {name for node in walk_protos(parsed.proto.node, self.limits, self.who)
                      for i in _SETTINGS.get(node.op_type, ()) for name in node.input[i:i + 1]}
        arrays = [(t.name, read_tensor(t, self.files, self.limits)) for t in parsed.proto.initializer]
        arrays += [(t.values.name, read_sparse(t, self.files, self.limits)) for t in parsed.proto.sparse_initializer]
        for name, array in arrays:
            own = name if is_main else self._name_inside(name)
            if is_floating(as_dtype(array.dtype)) and name not in settings:
                env[name] = Variable.adopt(array, name=own, trainable=self.trainable)
            else:
                env[name] = Tensor(array, name=own)

    def _name_inside(self, name: str) -> str:
        """A name for a constant in a subgraph or function that leaves those of the main graph alone."""
        number, free = 0, name
        while free in self.outermost:
            number += 1
            free = f"{name}_{number}"
        return free

    def _constant(self, proto: NodeProto, *, is_main: bool) -> Tensor:
        if len(proto.attribute) != 1:
            raise OpError(f"{self.who}: {describe_node(proto)} has {len(proto.attribute)} attributes, expected one")
        attribute = proto.attribute[0]
        if attribute.type == AttributeProto.SPARSE_TENSOR:
            array = read_sparse(attribute.sparse_tensor, self.files, self.limits)
        else:
            array = _constant_array(attribute.name, read_attribute(attribute, self.files, self.limits))
        name = proto.output[0]
        return Tensor(array, name=name if is_main else self._name_inside(name))

    def _apply(self, node: ParsedNode, env: Mapping[str, Operand], opsets: Mapping[str, int], parsed: ParsedGraph,
               ) -> tuple[Operand | None, ...]:
        proto = node.proto
        domain = canonical_domain(proto.domain)
        op = find_op(proto.op_type, domain, opsets[domain])
        check_attributes_of(op, proto, self.who)
        inputs = self._inputs(proto, env)
        self._check_inputs(op, proto, inputs)
        attributes = {a.name: read_attribute(a, self.files, self.limits) for a in proto.attribute
                      if a.name not in node.graphs} if proto.attribute else _NO_ATTRIBUTES
        captures: tuple[Operand, ...] = ()
        if node.graphs:
            graphs, captures = self._subgraphs(node, env, opsets)
            attributes = {**attributes, **graphs}
        types = [self._type(n, parsed) if n else None for n in proto.output]
        if not node.graphs and any(name and not _is_known(t) for name, t in zip(proto.output, types, strict=True)):
            types = _inferred(op, inputs, attributes, types)
        made = self._node(op, proto, inputs, attributes, types, captures=captures)
        first = made.outputs[0] if made.outputs else None
        if first is not None and not node.graphs and opsets[domain] >= 13:
            first.data = propagate_data(op, inputs, attributes)
        return made.outputs

    def _node(self, op: Op, proto: NodeProto, inputs: tuple[Operand | None, ...], attributes: Mapping[str, object],
              types: Iterable[ValueType | None], **parts: Any) -> Node:
        node = Node(op, inputs, attributes, tuple(types), name=proto.name, layer=(), source=None,
                    absent=frozenset(i for i, name in enumerate(proto.output) if not name), **parts)
        for name, x in zip(proto.output, node.outputs, strict=True):
            if x is not None:
                x.hint = name
        return node

    def _inputs(self, proto: NodeProto, env: Mapping[str, Operand]) -> tuple[Operand | None, ...]:
        inputs = [env[name] if name else None for name in proto.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        return tuple(inputs)

    def _check_inputs(self, op: Op, proto: NodeProto, inputs: tuple[Operand | None, ...]) -> None:
        schema = op.schema
        assert schema is not None
        if not schema.min_input <= len(inputs) <= schema.max_input:
            raise OpError(f"{self.who}: {describe_node(proto)} has {len(inputs)} inputs, {op} {op.version} takes "
                          f"{schema.min_input} to {schema.max_input}")
        bound: dict[str, str] = {}
        for index, x in enumerate(inputs):
            name = None if x is None else onnx_type_name(x.type)
            if name is None:
                continue
            got = f"{self.who}: {describe_node(proto)} gets {proto.input[index]!r}, a {name}, as {op.input_name(index)}"
            if not takes(op, index, name):
                raise DtypeError(f"{got}, which takes {', '.join(sorted(op.constraint(index)[1]))}")
            variable = type_variable(op, index)
            if variable and bound.setdefault(variable, name) != name:
                raise DtypeError(f"{got}, and a {bound[variable]} beside it; both must be of one type")

    def _subgraphs(self, node: ParsedNode, env: Mapping[str, Operand], opsets: Mapping[str, int],
                   ) -> tuple[dict[str, object], tuple[Operand, ...]]:
        """The bodies of a node, closed: what they use of the values around them comes in through captures."""
        names = dict.fromkeys(name for graphs in node.graphs.values() for g in graphs for name in g.free)
        around: dict[str, Operand] = {}
        captured: dict[SymbolicTensor, Operand] = {}
        for name in names:
            outer = env[name]
            if isinstance(outer, SymbolicTensor):
                inner = placeholder(outer.type, name)
                inner.data = outer.data
                captured[inner] = outer
                around[name] = inner
            else:
                around[name] = outer
        found: dict[str, object] = {}
        for attribute in node.proto.attribute:
            if attribute.name in node.graphs:
                graphs = tuple(self._body(g, around, tuple(captured), opsets, is_loop=node.proto.op_type == "Loop")
                               for g in node.graphs[attribute.name])
                found[attribute.name] = graphs[0] if attribute.HasField("g") else graphs
        return found, tuple(captured.values())

    def _body(self, parsed: ParsedGraph, around: Mapping[str, Operand], captures: tuple[SymbolicTensor, ...],
              opsets: Mapping[str, int], *, is_loop: bool) -> Graph:
        weights = set(initializer_names(parsed.proto))
        inputs = [self._input(x.name, parsed) for x in parsed.proto.input if x.name not in weights]
        for x, dtype in zip(inputs, ("int64", "bool") if is_loop else (), strict=False):
            if x.type in (None, TensorType(dtype, None)):
                x.type = TensorType(dtype, ())  # the count and the condition; ONNX Runtime wants to be told
        env: dict[str, Operand] = {**around, **{x.name: x for x in inputs}}
        outputs = self._run(parsed, env, opsets)
        return Graph(inputs, outputs, captures=captures, name=parsed.proto.name or "body", opsets=opsets)

    def _call(self, function: FunctionProto, node: ParsedNode, env: Mapping[str, Operand], opsets: Mapping[str, int],
              ) -> tuple[Operand | None, ...]:
        """A call of a local function: one node with a body, shared by calls that look the same."""
        proto = node.proto
        if node.graphs:
            raise UnsupportedOpError(f"{self.who}: {describe_node(proto)} gives a graph to a local function")
        if len(proto.input) > len(function.input) or len(proto.output) > len(function.output):
            raise GraphError(
                f"{self.who}: {describe_node(proto)} has {len(proto.input)} inputs and {len(proto.output)} outputs, "
                f"its function {len(function.input)} and {len(function.output)}")
        inputs = tuple(env[name] for name in proto.input if name)
        types = tuple(x.type for x in inputs)
        attributes = {a.name: read_attribute(a, self.files, self.limits) for a in proto.attribute}
        key = (function_key(function), tuple(map(bool, proto.input)), types, freeze_attributes(attributes),
               len(proto.output))
        body = self.bodies.get(key)
        if body is None:
            inner = {**opsets, **read_opsets(function.opset_import)}
            parsed = self._parsed(instantiate(function, proto, types), inner)
            symbols = {x.name: placeholder(t, x.name) for x, t in zip(parsed.proto.input, types, strict=True)}
            made: dict[str, Operand] = dict(symbols)
            outputs = self._run(parsed, made, inner)
            body = Graph(symbols.values(), outputs, name=function.name, opsets=inner, input_names=symbols,
                         output_names=[x.name for x in parsed.proto.output])
            self.bodies[key] = body
        domain = canonical_domain(function.domain)
        op = intern_op(function.name, domain, max(opsets.get(domain, 1), 1), None)
        return self._node(op, proto, inputs, attributes, [x.type for x in body.outputs], body=body).outputs


def _is_known(value_type: ValueType | None) -> bool:
    return value_type is not None and not (isinstance(value_type, TensorType) and value_type.shape is None)


def _inferred(op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, object],
              declared: list[ValueType | None]) -> list[ValueType | None]:
    """The types of outputs, where the file and ONNX's inference of it as a whole say nothing: behind other libraries'
    operators."""
    try:
        found = infer_types(op, inputs, attributes, len(declared))
    except OpError:  # it will fail when it is run, as it would have without symgraph
        return declared
    return [t if _is_known(t) or new is None or (t is not None and not _is_known(new)) else new
            for t, new in zip(declared, found, strict=True)]


def _constant_array(name: str, value: object) -> np.ndarray[Any, Any]:
    """What a Constant node's attribute stands for."""
    match name:
        case "value_int" | "value_ints":
            return np.array(value, np.int64)
        case "value_float" | "value_floats":
            return np.array(value, np.float32)
        case "value_string" | "value_strings":
            return np.array(value, object)
    if not isinstance(value, np.ndarray):
        raise OpError(f"a Constant has no attribute {name!r}")
    return value


