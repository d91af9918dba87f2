"""A graph as text: small, stable, made to be read and compared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Array, Tensor
from symgraph.core.variable import Variable

if TYPE_CHECKING:
    from symgraph.core.graph import Graph


def format_graph(graph: Graph) -> str:
    """The text of a graph: its inputs, a line for every node, what it returns."""
    return "\n".join(_lines(graph, "", {}))


def _lines(graph: Graph, indent: str, outer: dict[Operand, str]) -> Iterator[str]:
    names = {**{x: f"%{name}" for x, name in graph.names.items()}, **outer}
    inputs = ", ".join(f"{names[x]}: {x.type or '?'}" for x in graph.inputs)
    yield f"{indent}graph({inputs}):"
    for node in graph.nodes:
        yield from _node_lines(node, indent + "  ", names)
    returned = (f"%{n}" if isinstance(x, SymbolicTensor) else _operand(x, names)
                for n, x in zip(graph.output_names, graph.outputs, strict=True))
    yield f"{indent}  return {', '.join(returned)}"
    if graph.pinned:
        yield f"{indent}  pinned {', '.join(f'%{n} = {_operand(x, names)}' for n, x in graph.pinned.items())}"


def _node_lines(node: Node, indent: str, names: dict[Operand, str]) -> Iterator[str]:
    outputs = ", ".join("_" if x is None else f"{names[x]}: {x.type or '?'}" for x in node.outputs)
    arguments = [_operand(x, names) for x in node.inputs]
    bodies = {name for name, _ in node.subgraphs()}
    plain = sorted((name, value) for name, value in node.attributes.items() if name not in bodies)
    arguments += [f"{name}={_attribute(value)}" for name, value in plain]
    yield f"{indent}{outputs} = {node.op}({', '.join(arguments)})"
    for name, graph in node.subgraphs():
        yield f"{indent}  {name} ="
        captured: dict[Operand, str] = {
            inner: _operand(x, names) for inner, x in zip(graph.captures, node.captures, strict=True)}
        yield from _lines(graph, indent + "    ", captured)


def _operand(x: Operand | None, names: dict[Operand, str]) -> str:
    if x is None:
        return "_"
    if isinstance(x, Tensor):
        return _constant(x.numpy(), str(x.type))
    if isinstance(x, Variable):
        return names.get(x, f"%{x.name}")
    return names[x]


def _constant(array: Array, shown_type: str) -> str:
    if array.size <= 8 and array.ndim <= 1:
        text = repr(array.tolist())
        return text if array.dtype in (np.float32, np.int64, np.bool_) else f"{text}:{array.dtype}"
    return f"constant<{shown_type}>"


def _attribute(value: object) -> str:
    if isinstance(value, np.ndarray):
        return _constant(value, f"{value.dtype}{list(value.shape)}")
    if isinstance(value, tuple):
        return f"[{', '.join(_attribute(v) for v in value)}]"
    return repr(value)
