"""Lifting variables: what a graph reads from variables comes in through its inputs instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from symgraph.core.apply import placeholder
from symgraph.core.graph import Graph, copy_node, node_graphs
from symgraph.core.op import Op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.variable import Variable

Lifted = tuple[Graph, tuple[Variable, ...]]

_LIFTED: WeakKeyDictionary[Graph, Lifted] = WeakKeyDictionary()


def lift_variables(graph: Graph) -> Lifted:
    """The graph that takes the values of its variables as inputs, after its own, and the variables in this order.

    Variables inside subgraphs and bodies are among them, in the order of `graph.variables`. Without any it is the
    same graph.
    """
    variables = graph.variables
    if not variables:
        return graph, ()
    found = _LIFTED.get(graph)
    if found is None:
        symbols = {v: placeholder(v.type, v.name) for v in variables}
        made = _replaced(graph, symbols)
        found = _LIFTED[graph] = Graph(
            (*graph.inputs, *symbols.values()), made.outputs, captures=graph.captures, pinned=made.pinned,
            output_names=graph.output_names, name=graph.name, opsets=graph.opsets, metadata=graph.metadata,
            gradient=graph.gradient), variables
    return found


class LiftedNode:
    """A node as it would be if its subgraphs captured the variables that they read; the outputs are its own."""

    body = None

    def __init__(self, node: Node) -> None:
        attributes, _, captures = _capturing(node)
        self.op: Op = node.op
        self.inputs = node.inputs
        self.captures: tuple[Operand, ...] = (*node.captures, *captures)
        self.attributes: Mapping[str, Any] = MappingProxyType(attributes)
        self.outputs = node.outputs
        self.node = node

    @property
    def operands(self) -> tuple[Operand | None, ...]:
        """The inputs, the captures, and the variables read inside."""
        return self.inputs + self.captures

    def describe(self) -> str:
        """As the node."""
        return self.node.describe()


def lift_node(node: Node) -> Node | LiftedNode:
    """The node, with the variables that its subgraphs read among its captures."""
    if any(graph.variables for _, graph in node.subgraphs()):
        return LiftedNode(node)
    return node


def _replaced(graph: Graph, symbols: Mapping[Variable, SymbolicTensor]) -> Graph:
    """The graph with symbols in place of variables, also inside its nodes. They are not among its inputs yet."""
    mapping: dict[Operand, Operand] = {v: symbol for v, symbol in symbols.items()}
    boundary = (*graph.inputs, *symbols.values())
    for node in graph.nodes:
        operands = tuple(None if x is None else mapping.get(x, x) for x in node.operands)
        attributes, body, captured = _capturing(node)
        if not captured and all(a is b for a, b in zip(operands, node.operands, strict=True)):
            continue
        operands += tuple(symbols[v] for v in captured)
        copy = copy_node(node, operands, attributes if captured else None, body)
        mapping.update((old, new) for old, new in zip(node.outputs, copy.outputs, strict=True)
                       if old is not None and new is not None)
    return Graph(boundary, [mapping.get(x, x) for x in graph.outputs], captures=graph.captures,
                 pinned={name: mapping.get(x, x) for name, x in graph.pinned.items()})


def _capturing(node: Node) -> tuple[dict[str, Any], Graph | None, tuple[Variable, ...]]:
    """The attributes and the body of a node whose graphs capture the variables that they read, and these."""
    variables = tuple(dict.fromkeys(v for graph in node_graphs(node) for v in graph.variables))
    if not variables:
        return dict(node.attributes), node.body, ()
    attributes = {name: tuple(_closed(x, variables) for x in value) if isinstance(value, tuple) and _holds_graphs(value)
                  else _closed(value, variables) if isinstance(value, Graph) else value
                  for name, value in node.attributes.items()}
    return attributes, None if node.body is None else _closed(node.body, variables), variables


def _holds_graphs(values: Iterable[object]) -> bool:
    return any(isinstance(x, Graph) for x in values)


def _closed(graph: Graph, variables: tuple[Variable, ...]) -> Graph:
    """The graph that captures the values of `variables` last."""
    symbols = {v: placeholder(v.type, v.name) for v in variables}
    made = _replaced(graph, symbols)
    return Graph(graph.inputs, made.outputs, captures=(*graph.captures, *symbols.values()), pinned=made.pinned,
                 output_names=graph.output_names, name=graph.name, opsets=graph.opsets, metadata=graph.metadata,
                 gradient=graph.gradient)
