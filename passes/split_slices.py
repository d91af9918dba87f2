"""Slices that lie side by side become one split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.matching import dtype_of, shape_of
from symgraph.passes.merge_slices import LAST, cuts_of
from symgraph.runtime.opsets import choose_opsets

DTYPES = ("float32", "float64", "float16", "int32", "int64", "bool")
"""What ONNX Runtime splits in every version."""


def split_slices(graph: Graph) -> Graph:
    """x[:a], x[a:b], x[b:] -> Split(x, [a, b - a, n - b]), where they are all of an axis of known size n."""
    return _split(graph, choose_opsets(graph)[""])


def _split(graph: Graph, opset: int) -> Graph:
    groups = {node: group for group in _groups(graph) for node, _ in group} if opset >= 2 else {}
    pieces: dict[Node, Operand] = {}

    def rewrite(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        group = groups.get(node)
        if group is None:
            has_graphs = any(True for _ in node_graphs(node))
            return rewrite_bodies(node, operands, lambda body: _split(body, opset)) if has_graphs else None
        if node not in pieces:
            axis = next(iter(cuts_of(node, node.operands) or ()))
            pieces.update(zip((each for each, _ in group), _made(
                operands[0], axis, [size for _, size in group], opset), strict=True))
        return (pieces[node],)

    return graph.rewrite(rewrite, operators={"Slice"})


def _made(x: Operand | None, axis: int, sizes: list[int], opset: int) -> tuple[Operand, ...]:
    op, count = find_op("Split", "", opset), len(sizes)
    if opset >= 13:
        return tuple(apply_op(op, x, np.asarray(sizes, np.int64), outputs=count, axis=axis))
    return tuple(apply_op(op, x, outputs=count, axis=axis, split=sizes))


def _groups(graph: Graph) -> Iterator[list[tuple[Node, int]]]:
    """Slices side by side, with their sizes, in the order in which they lie."""
    found: dict[tuple[Operand, int, int], dict[int, tuple[Node, int]]] = {}
    for node in graph.nodes:
        x = node.inputs[0] if node.op.name == "Slice" and not node.op.domain else None
        shape, cuts = shape_of(x), cuts_of(node, node.inputs) if dtype_of(x) in DTYPES else None
        if x is None or shape is None or cuts is None or len(cuts) != 1:
            continue
        ((axis, (start, end, step)),) = cuts.items()
        size = shape[axis]
        if isinstance(size, int) and step == 1 and start < min(end, size):
            found.setdefault((x, axis, size), {}).setdefault(start, (node, size if end == LAST else end))
    for (_, _, size), slices in found.items():
        group, place = [], 0
        while place in slices:
            node, end = slices[place]
            group.append((node, end - place))
            place = end
        if place == size and len(group) > 1:
            yield group
