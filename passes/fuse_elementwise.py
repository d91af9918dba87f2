"""Elementwise nodes that feed one another become one node, the place for one kernel."""

from __future__ import annotations

from collections.abc import Hashable

from symgraph.core.apply import placeholder
from symgraph.core.composite import DOMAIN
from symgraph.core.graph import Graph, copy_node
from symgraph.core.op import intern_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.rules import readers_of
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE

FUSED = intern_op("Fused", DOMAIN, 1, None)
"""One elementwise region. Its body says what it does; `inline_composites` puts the body back."""


def fuse_elementwise(graph: Graph) -> Graph:
    """g(f(x), y) -> Fused(x, y), whose body is g(f(x), y): elementwise nodes over one shape, read by one another only.

    Operands have the shape of the region, or are single numbers; single constants live in the body. A region has
    two nodes or more.
    """
    regions = _regions(graph)

    def rewrite(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        region = regions.get(node)
        if region is not None:
            return _fused(region, replaced)
        if node.body is None and any(True for _ in node.subgraphs()):
            return rewrite_bodies(node, operands, fuse_elementwise)
        return None

    replaced: dict[Operand, Operand] = {}
    return graph.rewrite(rewrite, replaced)


def _regions(graph: Graph) -> dict[Node, list[Node]]:
    """The nodes of each region, oldest first, by the one whose result others read."""
    readers = readers_of(graph)
    shapes = _Shapes()
    for node in graph.nodes:
        shapes.add(node)
    root_of: dict[Node, Node] = {}
    regions: dict[Node, list[Node]] = {}
    for node in reversed(graph.nodes):
        if node not in shapes.nodes:
            continue
        roots = {root_of.get(reader) if reader is not None else None for reader in readers.get(node.output, ())}
        root = roots.pop() if len(roots) == 1 else None
        if root is None or shapes.nodes[root] != shapes.nodes[node]:
            root = node
        root_of[node] = root
        regions.setdefault(root, []).append(node)
    return {root: nodes[::-1] for root, nodes in regions.items() if len(nodes) > 1}


class _Shapes:
    """What is known to have the same shape: equal keys, equal shapes."""

    def __init__(self) -> None:
        self.keys: dict[Operand, Hashable] = {}  # never a value itself: values compare elementwise
        self.nodes: dict[Node, Hashable] = {}

    def of(self, x: Operand) -> Hashable:
        """The key of a value: its shape where that is wholly known, else a number for the value it has the shape of."""
        if isinstance(x.type, TensorType) and x.type.shape is not None and None not in x.type.shape:
            return x.type.shape
        return self.keys.setdefault(x, len(self.keys))

    def add(self, node: Node) -> None:
        """Note the key of a node's result, and the node if it may be part of a region."""
        x = node.outputs[0] if len(node.outputs) == 1 else None
        if node.op.domain or x is None or not isinstance(x.type, TensorType) or x.type.dtype == "string":
            return
        given = [y for y in node.inputs if y is not None]
        if node.op.name in ELEMENTWISE and all(_is_single(y, x) for y in given[1:]):
            large = given[:1]
        elif node.op.name in BROADCASTING:
            large = [y for y in given if not _is_single(y, x)]
        else:
            return
        keys = {self.of(y) for y in large}
        if len(keys) == 1:
            (self.nodes[node],) = keys
            self.keys[x] = self.nodes[node]


def _is_single(x: Operand, result: Operand) -> bool:
    """Whether `x` is one number that makes no result larger."""
    if not isinstance(x.type, TensorType) or x.type.shape is None or any(d != 1 for d in x.type.shape):
        return False
    rank = result.type.shape if isinstance(result.type, TensorType) else None
    return not x.type.shape or (rank is not None and len(x.type.shape) < len(rank))


def _fused(region: list[Node], replaced: dict[Operand, Operand]) -> tuple[SymbolicTensor]:
    made = {node.output for node in region}
    inside: dict[Operand, Operand] = {}
    for node in region:
        for x in node.inputs:
            if x is not None and x not in made and x not in inside and not (isinstance(x, Tensor) and x.size == 1):
                inside[x] = placeholder(x.type, f"x{len(inside)}")
    inputs, symbols = tuple(replaced.get(x, x) for x in inside), list(inside.values())
    for node in region:
        copy = copy_node(node, tuple(None if x is None else inside.get(x, x) for x in node.inputs))
        inside[node.output] = copy.output
    root = region[-1].output
    body = Graph(symbols, [inside[root]], name=FUSED.name)  # type: ignore[arg-type]
    return (Node(FUSED, inputs, {}, (root.type,), body=body).output,)
