"""Pieces that are padded with zeros and added, each in a place of its own, lie beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import made_by, shape_of
from symgraph.passes.merge_pads import padding_of

Readers = Mapping[Operand, list[Node | None]]


@dataclass(frozen=True)
class _Piece:
    """What a Pad puts at `start` of `axis`, `size` long."""

    node: Node
    axis: int
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


@relaxed
def join_pads(graph: Graph) -> Graph:
    """Pad(x, [0, b]) + Pad(y, [a, 0]) -> Concat(x, y), where x is a long and y is b long; also inside a longer Pad.

    Such sums are the gradients of what was cut in pieces. Relaxed, because -0.0 + 0.0 is 0.0.
    """
    if not graph.with_graphs and "Pad" not in graph.by_operator:
        return graph
    readers, replaced = graph.readers, dict[Operand, Operand]()

    def join(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        if node_graphs(node):
            return rewrite_bodies(node, operands, join_pads)
        if node.op.domain or node.op.version < 7 or _is_inside(node.output, readers):
            return None
        terms = list(_terms(node, readers))
        runs = _runs([piece for x in terms if (piece := _piece(x, node, readers)) is not None])
        if not runs:
            return None
        joined = {piece.node.output for run in runs for piece in run}
        parts = [_joined(run, replaced) for run in runs]
        parts += [replaced.get(x, x) for x in terms if x not in joined]
        return (reduce(lambda a, b: apply_op(node.op, a, b), parts),)

    return graph.rewrite(join, replaced, operators={"Add"})


def _is_inside(x: Operand, readers: Readers) -> bool:
    """Whether a sum is a term of another, and nothing else."""
    reading = readers.get(x, ())
    only = reading[0] if len(reading) == 1 else None
    return only is not None and only.op.name == "Add" and not only.op.domain


def _terms(node: Node, readers: Readers) -> Iterator[Operand]:
    """What a tree of sums adds up."""
    for x in node.inputs:
        inner = made_by(x, "Add")
        if inner is not None and len(readers.get(inner.output, ())) == 1:
            yield from _terms(inner, readers)
        elif x is not None:
            yield x


def _piece(x: Operand, root: Node, readers: Readers) -> _Piece | None:
    """A term that is a piece with zeros before and after it along one axis, as large as the sum."""
    node = made_by(x, "Pad")
    padding = None if node is None or len(readers.get(x, ())) != 1 else padding_of(node)
    whole, own = shape_of(x), None if node is None else shape_of(node.inputs[0])
    if node is None or padding is None or whole is None or own is None or whole != shape_of(root.output):
        return None
    axes = [i for i, sizes in enumerate(zip(padding.before, padding.after, strict=True)) if any(sizes)]
    filling = padding.filling
    is_plain = padding.mode == "constant" and padding.is_growing and filling is not None and (
        not filling.any() and not np.signbit(filling.astype(np.float64)).any())
    size = own[axes[0]] if len(axes) == 1 else None
    return _Piece(node, axes[0], padding.before[axes[0]], size) if is_plain and isinstance(size, int) else None


def _runs(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Pieces that follow each other along an axis."""
    runs: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda p: (p.axis, p.start)):
        last = runs[-1][-1] if runs else None
        if last is not None and last.axis == piece.axis and last.end == piece.start:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return [run for run in runs if len(run) > 1]


def _joined(run: list[_Piece], replaced: Mapping[Operand, Operand]) -> Operand:
    first, last = run[0], run[-1]
    inputs = [x for x in (piece.node.inputs[0] for piece in run) if x is not None]
    axis, whole = first.axis, shape_of(first.node.output)
    assert whole is not None
    op = find_op("Concat", "", max(4, first.node.op.version))  # those before tell no types
    joined: Operand = apply_op(op, *(replaced.get(x, x) for x in inputs), axis=axis)
    length = whole[axis]
    assert isinstance(length, int)
    if (first.start, last.end) == (0, length):
        return joined
    before, after = [0] * len(whole), [0] * len(whole)
    before[axis], after[axis] = first.start, length - last.end
    if first.node.op.version < 11:
        padded: Operand = apply_op(first.node.op, joined, pads=(*before, *after))
        return padded
    padded = apply_op(first.node.op, joined, Tensor(np.array(before + after, np.int64)))
    return padded
