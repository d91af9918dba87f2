"""Types of the values in a file: one call of ONNX's inference on a copy without the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache

from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    TensorProto,
    TypeProto,
    shape_inference,
)

from symgraph.core.op import Op
from symgraph.core.types import (
    DTYPE_NAMES,
    ELEM_TYPES,
    MapType,
    OptionalType,
    SequenceType,
    SparseTensorType,
    TensorType,
    ValueType,
    is_integer,
)
from symgraph.runtime.parsed import ParsedGraph, ParsedNode

MAX_DATA = 64
"""Tensors with more elements than this are never shown to inference."""


def infer_types_of(parsed: ParsedGraph, opsets: Mapping[str, int], functions: Iterable[FunctionProto]) -> None:
    """Fill in `types` of a graph and of the graphs inside it, with what the file declares and what follows from it."""
    model = ModelProto(ir_version=10, functions=functions)
    model.opset_import.extend(OperatorSetIdProto(domain=d, version=v) for d, v in opsets.items())
    model.graph.CopyFrom(_without_weights(parsed))
    try:
        inferred = shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True)
    except (shape_inference.InferenceError, ValueError, RuntimeError):  # what the file declares must do then
        inferred = model
    dim_names = frozenset(_dim_names(model.graph))
    for graph, typed in zip(_walk(parsed), _walk_protos(inferred.graph), strict=True):
        graph.dim_names = dim_names
        graph.types = {x.name: x.type for x in (*typed.value_info, *typed.output, *typed.input)}
        graph.types.update((x.name, x.type) for x in graph.proto.output if _says_all(x.type))


def _dim_names(graph: GraphProto) -> Iterator[str]:
    """The names of dimensions that a file gives, in subgraphs too."""
    for inner in _walk_protos(graph):
        for x in (*inner.input, *inner.output, *inner.value_info):
            yield from (dim.dim_param for dim in x.type.tensor_type.shape.dim if dim.dim_param)


def without_made_up_names(value_type: ValueType | None, dim_names: frozenset[str]) -> ValueType | None:
    """The type without the names that inference made up for unknown dimensions.

    They would clash with those of another file, and onnx 1.23 gives one of them to two different dimensions.
    """
    match value_type:
        case TensorType(dtype, shape) if shape is not None:
            if not any(isinstance(d, str) and d.startswith("unk__") and d not in dim_names for d in shape):
                return value_type
            return TensorType(dtype, tuple(d if isinstance(d, int) or d in dim_names else None for d in shape))
        case SequenceType(element):
            return SequenceType(without_made_up_names(element, dim_names))
        case OptionalType(element):
            return OptionalType(without_made_up_names(element, dim_names))
    return value_type


def _says_all(declared: TypeProto) -> bool:
    """Whether a declared type needs no inference; a tensor without a shape does."""
    kind = declared.WhichOneof("value")
    return kind is not None and (kind != "tensor_type" or declared.tensor_type.HasField("shape"))


def _walk(parsed: ParsedGraph) -> Iterator[ParsedGraph]:
    yield parsed
    for node in parsed.nodes:
        for attribute in node.proto.attribute:
            for graph in node.graphs.get(attribute.name, ()):
                yield from _walk(graph)


def _walk_protos(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ((attribute.g,) if attribute.HasField("g") else attribute.graphs):
                yield from _walk_protos(inner)


def _without_weights(parsed: ParsedGraph) -> GraphProto:
    """The graph with sorted nodes; large tensors only by their types."""
    proto = parsed.proto
    copy = GraphProto(name=proto.name, input=proto.input, output=proto.output, value_info=proto.value_info)
    weights = {x.name for x in proto.initializer}
    declared = {x.name for x in proto.input}
    for tensor in proto.initializer:
        if _is_small(tensor):
            copy.initializer.append(tensor)
        elif tensor.name not in declared:
            _declare(copy, tensor.name, tensor)
    for sparse in proto.sparse_initializer:
        if sparse.values.name not in declared | weights:
            _declare(copy, sparse.values.name, TensorProto(data_type=sparse.values.data_type, dims=sparse.dims))
    for node in parsed.nodes:
        value = next((a.t for a in node.proto.attribute if a.name == "value"), None)
        if node.proto.op_type == "Constant" and value is not None and not _is_small(value):
            _declare(copy, node.proto.output[0], value)
        else:
            copy.node.append(_node_without_weights(node) if node.graphs else node.proto)
    return copy


def _node_without_weights(node: ParsedNode) -> NodeProto:
    proto = node.proto
    copy = NodeProto(op_type=proto.op_type, domain=proto.domain, input=proto.input, output=proto.output)
    for attribute in proto.attribute:
        graphs = node.graphs.get(attribute.name)
        if graphs is None:
            copy.attribute.append(attribute)
            continue
        entry = copy.attribute.add(name=attribute.name, type=attribute.type)
        if attribute.HasField("g"):
            entry.g.CopyFrom(_without_weights(graphs[0]))
        else:
            entry.graphs.extend(map(_without_weights, graphs))
    return copy


def _is_small(tensor: TensorProto) -> bool:
    """Whether inference may look at the numbers: shapes, axes, and the scales of a Resize."""
    dtype = DTYPE_NAMES.get(tensor.data_type, "")
    if tensor.data_location == TensorProto.EXTERNAL or not (is_integer(dtype) or dtype in ("float32", "float64")):
        return False
    return bool(math.prod(tensor.dims) <= (MAX_DATA if is_integer(dtype) else 8))


def _declare(graph: GraphProto, name: str, tensor: TensorProto) -> None:
    info = graph.value_info.add(name=name)
    info.type.tensor_type.elem_type = tensor.data_type
    info.type.tensor_type.shape.SetInParent()
    for dim in tensor.dims:
        info.type.tensor_type.shape.dim.add(dim_value=dim)


@cache
def _onnx_name(dtype: str) -> str:
    return str(TensorProto.DataType.Name(ELEM_TYPES[dtype])).lower()


def onnx_type_name(value_type: ValueType | None) -> str | None:
    """`tensor(float)`: how ONNX's schemas write a type without its shape; None where not all of it is known.

    >>> onnx_type_name(SequenceType(TensorType("float32", None)))
    'seq(tensor(float))'
    """
    match value_type:
        case TensorType(dtype, _):
            return f"tensor({_onnx_name(dtype)})"
        case SparseTensorType(dtype, _):
            return f"sparse_tensor({_onnx_name(dtype)})"
        case SequenceType(element):
            inner = onnx_type_name(element)
            return inner and f"seq({inner})"
        case OptionalType(element):
            inner = onnx_type_name(element)
            return inner and f"optional({inner})"
        case MapType(key, value):
            inner = onnx_type_name(value)
            return inner and f"map({_onnx_name(key)},{inner})"
    return None


@lru_cache(maxsize=4096)
def takes(op: Op, index: int, type_name: str) -> bool:
    """Whether input `index` of an op may have a type, shape aside."""
    _, allowed = op.constraint(index)
    return not allowed or type_name in allowed


@lru_cache(maxsize=4096)
def type_variable(op: Op, index: int) -> str:
    """The type variable that input `index` shares with others; empty for inputs that may be of any mixture."""
    assert op.schema is not None
    formal = op.schema.inputs[min(index, len(op.schema.inputs) - 1)]
    return str(formal.type_str) if formal.is_homogeneous and "(" not in formal.type_str else ""
