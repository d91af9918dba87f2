"""Nodes that compute the same are computed once."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache

import numpy as np
from onnx import AttributeProto
from onnx.defs import OpSchema
from onnx.helper import get_attribute_value

from symgraph.core.graph import Graph, copy_node
from symgraph.core.inference import freeze_attributes
from symgraph.core.op import Op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor

Outputs = tuple[Operand | None, ...]

MAX_BYTES = 1 << 16
"""Larger constants are the same only where they are the same object."""


def share_common_subexpressions(graph: Graph) -> Graph:
    """f(x) … f(x) -> one f(x), for deterministic ops with equal attributes and operands.

    Of two that give different outputs of the same, the one is left that gives more, in the place of the first. What a
    body of If, Loop or Scan computes and the graph around it has computed before, the body reads from there.
    Constants are equal when dtype, shape and bytes are: 0.0 is not -0.0, 1 is not 1.0.
    """
    known: dict[Hashable, Outputs] = {}
    fullest = _fullest(graph)

    def share(node: Node, operands: Outputs) -> Outputs | None:
        if node.subgraphs():
            return _with_bodies(node, operands, known)
        if not node.op.is_deterministic or node.body is not None:
            return None
        key = _key(node, operands)
        found = known.get(key)
        if found is not None and _covers(found, node):
            return _as_many(found, node)
        full = fullest.get(key, node)
        is_same = full is node and all(a is b for a, b in zip(operands, node.operands, strict=True))
        known[key] = node.outputs if is_same else copy_node(full, operands).outputs
        return None if is_same else _as_many(known[key], node)

    return graph.rewrite(share)


def _key(node: Node, operands: Outputs) -> Hashable:
    """What is equal for nodes that compute the same."""
    present = () if _may_give_less(node.op) else tuple(x is not None for x in node.outputs)
    defaults = _defaults(node.op)
    said = {name: value for name, value in node.attributes.items()
            if name not in defaults or _rounded(value) != _rounded(defaults[name])}
    return node.op, tuple(map(_identity, operands)), present, freeze_attributes(said)


def _rounded(value: object) -> object:
    """A number as a file holds it: floats have 32 bits."""
    return np.float32(value) if isinstance(value, float) else value


@cache
def _defaults(op: Op) -> Mapping[str, float]:
    """What attributes that are numbers stand for where they are left out."""
    found: dict[str, float] = {}
    for name, each in ({} if op.schema is None else op.schema.attributes).items():
        if each.default_value.type in (AttributeProto.FLOAT, AttributeProto.INT):
            found[name] = get_attribute_value(each.default_value)
    return found


@cache
def _may_give_less(op: Op) -> bool:
    """Whether an operator has outputs that may be left out without changing the others."""
    outputs = () if op.schema is None else op.schema.outputs
    is_training = op.name == "BatchNormalization" and op.version < 14  # where its moments are asked for
    return len(outputs) > 1 and not is_training and all(
        x.option == OpSchema.FormalParameterOption.Optional for x in outputs[1:])


def _fullest(graph: Graph) -> dict[Hashable, Node]:
    """Of nodes that compute the same, but do not give the same outputs, the one that gives most."""
    found: dict[Hashable, Node] = {}
    for node in graph.nodes:
        if not _may_give_less(node.op) or not node.op.is_deterministic or node.subgraphs() or node.body is not None:
            continue
        key = _key(node, node.operands)
        if not _covers(found.setdefault(key, node).outputs, node) and _covers(node.outputs, found[key]):
            found[key] = node
    return found


def _covers(outputs: Outputs, node: Node) -> bool:
    """Whether all that a node gives is among the outputs of one like it."""
    return len(outputs) >= len(node.outputs) and all(
        x is not None or own is None for x, own in zip(outputs, node.outputs, strict=False))


def _as_many(outputs: Outputs, node: Node) -> Outputs:
    """As many outputs as a node has."""
    return tuple(None if own is None else x for x, own in zip(outputs, node.outputs, strict=False))


def _identity(x: Operand | None) -> Hashable:
    """What makes an operand the same as another: a constant its content, everything else itself."""
    if not isinstance(x, Tensor) or x.nbytes > MAX_BYTES:
        return x
    array = x.numpy()
    return x.dtype, array.shape, tuple(array.flat) if array.dtype == object else array.tobytes()


def _with_bodies(node: Node, operands: Outputs, known: Mapping[Hashable, Outputs]) -> Outputs | None:
    """The node whose bodies compute nothing that is `known` around it, and nothing twice."""
    graphs = [(name, value) for name, value in node.attributes.items() if isinstance(value, Graph)]
    count = len(node.inputs)
    captures = [x for x in operands[count:] if x is not None]
    if len(graphs) < len(node.subgraphs()) or len(captures) < len(node.captures):
        return None
    found = [_known_outside(graph, captures, known) for _, graph in graphs]
    added = list(dict.fromkeys(outer for values in found for outer in values.values()))
    bodies: dict[str, Graph] = {}
    for (name, graph), values in zip(graphs, found, strict=True):
        symbols = {outer: _standing_for(outer) for outer in added}
        wider = graph if not added else Graph(
            graph.inputs, graph.outputs, captures=(*graph.captures, *symbols.values()), name=graph.name,
            opsets=graph.opsets, metadata=graph.metadata)
        replaced: dict[Operand, Operand] = {inner: symbols[outer] for inner, outer in values.items()}
        read = wider.rewrite(lambda inner, given: None, replaced) if replaced else wider
        bodies[name] = share_common_subexpressions(read)
    if all(bodies[name] is graph for name, graph in graphs):
        return None
    copy = Node(node.op, operands[:count], {**node.attributes, **bodies},
                tuple(None if x is None else x.type for x in node.outputs), captures=(*captures, *added),
                absent=node.absent, name=node.name, layer=node.layer, source=node.source)
    for old, new in zip(node.outputs, copy.outputs, strict=True):
        if old is not None and new is not None:
            new.hint, new.call = old.hint, old.call
    return copy.outputs


def _known_outside(body: Graph, captures: list[Operand], known: Mapping[Hashable, Outputs]) -> dict[Operand, Operand]:
    """Which values of a body are values of the graph around it: those that body computes of captured ones alone."""
    outer: dict[Operand, Operand] = dict(zip(body.captures, captures, strict=True))
    found: dict[Operand, Operand] = {}
    for node in body.nodes:
        symbols = [x for x in node.operands if isinstance(x, SymbolicTensor)]
        if not symbols or any(x not in outer for x in symbols) or node.subgraphs():
            continue
        operands = tuple(None if x is None else outer.get(x, x) for x in node.operands)
        for inner, value in zip(node.outputs, known.get(_key(node, operands), ()), strict=False):
            if inner is not None and isinstance(value, SymbolicTensor):
                outer[inner] = found[inner] = value
    return found


def _standing_for(outer: Operand) -> SymbolicTensor:
    """The symbol by which a body knows a value of the graph around it."""
    symbol = SymbolicTensor(outer.type, name=outer.name if isinstance(outer, SymbolicTensor) else None)
    symbol.data = outer.data if isinstance(outer, SymbolicTensor) else None
    return symbol
