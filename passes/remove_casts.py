"""Casts to the dtype there is, and there and back again."""

from __future__ import annotations

from onnx import TensorProto

from symgraph.core.graph import Graph, node_graphs
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType
from symgraph.passes.attributes import attribute
from symgraph.passes.bodies import rewrite_bodies

HOLDS = {
    "bool": {"uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "bfloat16", "float32",
             "float64"},
    "uint8": {"uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"},
    "int8": {"int16", "int32", "int64", "float16", "float32", "float64"},
    "uint16": {"uint32", "int32", "uint64", "int64", "float32", "float64"},
    "int16": {"int32", "int64", "float32", "float64"},
    "uint32": {"uint64", "int64", "float64"},
    "int32": {"int64", "float64"},
    "float16": {"float32", "float64"},
    "bfloat16": {"float32", "float64"},
    "float32": {"float64"},
}
"""Which dtypes hold every number of another."""


def remove_casts(graph: Graph) -> Graph:
    """Cast(x, dtype of x) -> x; Cast(Cast(x, wider), dtype of x) -> x, where wider holds every number of x."""
    return graph.rewrite(_remove, operators={"Cast"})


def _remove(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    if any(True for _ in node_graphs(node)):
        return rewrite_bodies(node, operands, remove_casts)
    x = operands[0] if operands else None
    if node.op.name != "Cast" or node.op.domain or x is None:
        return None
    wanted, given = _target(node), _dtype(x)
    if given is not None and given == wanted:
        return (x,)
    inner = x.node if isinstance(x, SymbolicTensor) else None
    if inner is None or inner.op.name != "Cast" or inner.op.domain or inner.inputs[0] is None:
        return None
    first = _dtype(inner.inputs[0])
    return (inner.inputs[0],) if first == wanted and given in HOLDS.get(first or "", ()) else None


def _dtype(x: Operand) -> str | None:
    return x.type.dtype if isinstance(x.type, TensorType) else None


def _target(cast: Node) -> str | None:
    """The dtype a Cast makes, by its attribute: a type that was declared may be wrong."""
    to = attribute(cast, "to")
    name = to if isinstance(to, str) else TensorProto.DataType.Name(int(to))
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name.upper(), name.lower())
