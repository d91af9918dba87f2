"""Paddings of paddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array, node_graphs
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import numpy_dtype
from symgraph.core.value import Array, Tensor
from symgraph.passes.attributes import attribute, attributes_of
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.matching import dtype_of, made_by, shape_of
from symgraph.passes.rules import readers_of

Readers = Mapping[Operand, list[Node | None]]


def merge_pads(graph: Graph) -> Graph:
    """Pad(x, 0) -> x; Pad(Pad(x, p, c), q, c) -> Pad(x, p + q, c), of constants or of the edge, nothing cut away."""
    readers = readers_of(graph)

    def merge(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        if any(True for _ in node_graphs(node)):
            return rewrite_bodies(node, operands, merge_pads)
        if node.op.name != "Pad" or node.op.domain or not operands or operands[0] is None:
            return None
        outer = padding_of(node)
        if outer is None:
            return None
        return (operands[0],) if not any(outer.before + outer.after) else _merged(node, operands, outer, readers)

    return graph.rewrite(merge, operators={"Pad"})


@dataclass(frozen=True)
class Padding:
    """How much a Pad puts before and after each axis, and of what; a filling of None is not known here."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    mode: str
    filling: Array | None

    @property
    def is_growing(self) -> bool:
        """Whether nothing is cut away."""
        return min((*self.before, *self.after), default=0) >= 0


def padding_of(node: Node) -> Padding | None:
    """What a Pad does; None where its numbers are computed, or the rank is unknown."""
    if node.op.version < 2:
        return None
    sizes = attribute(node, "pads") if node.op.version < 11 else _numbers(node, 1)
    axes = None if len(node.inputs) < 4 or node.inputs[3] is None else _numbers(node, 3)
    if sizes is None or (axes is None and len(node.inputs) > 3 and node.inputs[3] is not None):
        return None
    shape, count = shape_of(node.inputs[0]), len(sizes) // 2
    if axes is not None and shape is None:
        return None
    rank = count if axes is None or shape is None else len(shape)
    before, after = [0] * rank, [0] * rank
    for axis, first, last in zip(range(rank) if axes is None else axes, sizes[:count], sizes[count:], strict=True):
        before[axis], after[axis] = first, last
    return Padding(tuple(before), tuple(after), attribute(node, "mode", "constant"), _filling(node))


def _numbers(node: Node, place: int) -> tuple[int, ...] | None:
    x = node.inputs[place]
    array = None if x is None else constant_array(x)
    return None if array is None else tuple(int(n) for n in array.flat)


def _filling(node: Node) -> Array | None:
    dtype = dtype_of(node.inputs[0])
    if not dtype or dtype == "string":
        return None
    if node.op.version < 11:
        return np.array(attribute(node, "value", 0.0), numpy_dtype(dtype))
    x = node.inputs[2] if len(node.inputs) > 2 else None
    array = np.zeros((), numpy_dtype(dtype)) if x is None else constant_array(x)
    return None if array is None else array.reshape(())


def _merged(node: Node, operands: tuple[Operand | None, ...], outer: Padding, readers: Readers,
            ) -> tuple[Operand | None, ...] | None:
    old, inner = node.inputs[0], made_by(operands[0], "Pad")
    first = None if inner is None or old is None or len(readers.get(old, ())) != 1 else padding_of(inner)
    if inner is None or first is None or not (first.is_growing and outer.is_growing) or len(first.before) != len(
            outer.before) or not _is_alike(first, outer, _given_filling(inner, inner.inputs), _given_filling(
                node, operands)):
        return None
    sums = tuple(a + b for a, b in zip(first.before + first.after, outer.before + outer.after, strict=True))
    source = inner.inputs[0]
    if node.op.version < 11:
        return (apply_op(node.op, source, **attributes_of(node, pads=sums)),)
    filling = operands[2:3] if outer.mode == "constant" else ()
    return (apply_op(node.op, source, Tensor(np.array(sums, np.int64)), *filling, mode=outer.mode),)


def _given_filling(node: Node, operands: tuple[Operand | None, ...]) -> Operand | None:
    """The input that says what is put there."""
    return operands[2] if node.op.version >= 11 and len(node.inputs) > 2 else None


def _is_alike(a: Padding, b: Padding, first: Operand | None, second: Operand | None) -> bool:
    """Whether two paddings put the same there; constants by their bytes, computed ones where they are one value."""
    if a.mode != b.mode or a.mode not in ("constant", "edge"):
        return False
    if a.mode == "edge":
        return True
    if a.filling is not None and b.filling is not None:
        return a.filling.tobytes() == b.filling.tobytes()
    return first is not None and first is second
