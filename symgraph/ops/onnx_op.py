"""Any ONNX operator by its own name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from symgraph.core.apply import apply_op, as_operands
from symgraph.core.errors import GraphError
from symgraph.core.graph import Graph
from symgraph.core.op import Op, check_attributes, find_op
from symgraph.core.tensor import Node, SymbolicTensor
from symgraph.ops.subgraph import merge_types

__all__ = ["onnx"]


def onnx(name: str, *inputs: object, domain: str = "", outputs: int | Sequence[bool] = 1, **attributes: Any) -> Any:
    """Apply the ONNX operator `name` of `domain` ("" or "ai.onnx.ml") to symbols, values, arrays and numbers.

    `outputs` is how many outputs are wanted, or which; attributes have their ONNX names. An operator that came
    after the default opset is found too; a graph with it is written with the opset it needs. An attribute may be a
    `Graph` (the branches of If); the result is then a symbol, of a type that only If tells.

    Errors: `UnsupportedOpError` for an unknown operator, with near names; `OpError` for wrong operands and attributes;
    `GraphError` for a graph that needs values of another one.

    >>> import symgraph as sg
    >>> sg.ops.onnx("LeakyRelu", [-1.0, 2.0], alpha=0.5).tolist()
    [-0.5, 2.0]
    """
    op = find_op(name, domain)
    if any(isinstance(value, Graph) for value in attributes.values()):
        return _with_graphs(op, inputs, (True,) * outputs if isinstance(outputs, int) else tuple(outputs), attributes)
    return apply_op(op, *inputs, outputs=outputs, **attributes)


def _with_graphs(op: Op, inputs: Sequence[object], wanted: tuple[bool, ...], attributes: dict[str, Any],
                 ) -> SymbolicTensor | tuple[SymbolicTensor | None, ...] | None:
    graphs = [value for value in attributes.values() if isinstance(value, Graph)]
    if any(graph.captures for graph in graphs):
        raise GraphError(f"{op}: a graph given as an attribute must not need values of another; use sg.cond or sg.scan")
    branches = [[x.type for x in graph.outputs] for graph in graphs]
    types = [reduce(merge_types, column) for column in zip(*branches, strict=True)] if op.name == "If" else []
    types += [None] * (len(wanted) - len(types))
    node = Node(op, as_operands(op, inputs), check_attributes(op, attributes), tuple(types[:len(wanted)]),
                absent=frozenset(i for i, w in enumerate(wanted) if not w))
    return node.outputs[0] if len(wanted) == 1 else node.outputs
