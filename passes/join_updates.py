"""Small variables that are updated alike are updated together, as one long vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.inference import freeze_attributes
from symgraph.core.op import find_op
from symgraph.core.scope import tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attributes_of
from symgraph.passes.block_kernels import known_sizes
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import dtype_of
from symgraph.passes.rules import readers_of
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE
from symgraph.runtime.opsets import choose_opsets

SMALL = 8192
"""Up to so many elements it is the number of nodes that counts, not what they compute."""

FEW = 3
"""So many alike are joined, or more."""


@relaxed
def join_updates(graph: Graph) -> Graph:
    """f(x), f(y), … -> Split(f(Concat(x, y, …))), for elementwise f of small values that only outputs come of.

    Such are an optimizer's steps of biases and scales, and the moving means of normalisations. An operator on a few
    numbers takes as long as it takes to call it. Rounds differently: some kernels do where numbers lie elsewhere.
    """
    opset = choose_opsets(graph)[""]
    if opset < 13:
        return graph
    groups: dict[Hashable, list[_Update]] = {}
    for update in _updates(graph):
        groups.setdefault(update.form, []).append(update)
    replaced: dict[Operand, Operand] = {}
    for group in groups.values():
        if len(group) >= FEW:
            replaced.update(_joined(group, opset))
    if not replaced:
        return graph
    return graph.with_outputs([replaced.get(y, y) for y in graph.outputs], graph.output_names, graph.pinned)


@dataclass(frozen=True)
class _Update:
    """Nodes that only outputs come of, what they read that has their shape, the results, and what tells them apart."""

    nodes: tuple[Node, ...]
    leaves: tuple[Operand, ...]
    results: tuple[SymbolicTensor, ...]
    form: Hashable


def _updates(graph: Graph) -> Iterable[_Update]:
    readers, outputs, inside = readers_of(graph), set(graph.outputs), dict[Node, None]()
    kept = set(graph.pinned.values()) | set(graph.aside.values())
    for node in reversed(graph.nodes):
        if _is_small(node) and node.output not in kept and all(
                reader is None or reader in inside for reader in readers.get(node.output, ())):
            inside[node] = None
    parents: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while parents.setdefault(node, node) is not node:
            node = parents[node]
        return node

    for node in inside:
        for x in node.inputs:
            maker = x.node if isinstance(x, SymbolicTensor) else None
            if maker is not None and maker in inside:
                parents[root(maker)] = root(node)
    families: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        if node in inside:
            families.setdefault(root(node), []).append(node)
    for nodes in families.values():
        yield _described(nodes, outputs)


def _is_small(node: Node) -> bool:
    """Whether a node computes element by element, of values of its own shape and of single numbers."""
    if node.op.domain or node.op.version < 7 or len(node.outputs) != 1 or not (
            node.op.name in ELEMENTWISE or node.op.name in BROADCASTING):
        return False
    sizes = known_sizes(node.output)
    if not sizes or not 1 < math.prod(sizes) <= SMALL:
        return False
    given = [known_sizes(x) for x in node.inputs if x is not None]
    return all(size in (sizes, ()) for size in given) and sizes in given


def _described(nodes: list[Node], outputs: set[Operand]) -> _Update:
    """The form says, for each node, what it is and where its operands come from; numbers by what they are."""
    leaves: dict[Operand, int] = {}
    places = {node.output: i for i, node in enumerate(nodes)}
    form = []
    for node in nodes:
        operands: list[Hashable] = []
        for x in node.inputs:
            if x is None or known_sizes(x) == ():
                operands.append((x.dtype, x.numpy().tobytes()) if isinstance(x, Tensor) else x)
            elif x in places:
                operands.append(("node", places[x]))  # type: ignore[index]
            else:
                operands.append(("leaf", leaves.setdefault(x, len(leaves))))
        form.append((node.op, freeze_attributes(node.attributes), tuple(operands)))
    results = tuple(node.output for node in nodes if node.output in outputs)
    dtypes = tuple(map(dtype_of, leaves))
    return _Update(tuple(nodes), tuple(leaves), results, (tuple(form), dtypes, tuple(places[y] for y in results)))


def _joined(group: list[_Update], opset: int) -> dict[Operand, Operand]:
    """What takes the place of the results."""
    def at(name: str, *inputs: object, **options: Any) -> Any:
        return apply_op(find_op(name, "", opset), *inputs, **options)

    first = group[0]
    shapes = [known_sizes(update.nodes[0].output) or () for update in group]
    lengths = np.array([math.prod(shape) for shape in shapes], np.int64)
    made: dict[Operand, Operand] = {}
    with tracing():
        for place, x in enumerate(first.leaves):
            made[x] = at("Concat", *(_flat(update.leaves[place], at) for update in group), axis=0)
        for node in first.nodes:
            made[node.output] = at(node.op.name, *(None if x is None else made.get(x, x) for x in node.inputs),
                                   **attributes_of(node))
        found: dict[Operand, Operand] = {}
        for place, y in enumerate(first.results):
            parts = at("Split", made[y], lengths, outputs=len(group), axis=0)
            for part, update, shape in zip(parts, group, shapes, strict=True):
                whole = part if len(shape) == 1 else at("Reshape", part, np.array(shape, np.int64))
                found[update.results[place]] = whole
    return found


def _flat(x: Operand, at: Callable[..., Any]) -> Any:
    return x if len(known_sizes(x) or ()) == 1 else at("Reshape", x, np.array([-1]))
