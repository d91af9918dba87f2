"""Chains of nodes that only say anew what shape the same numbers have."""

from __future__ import annotations

from itertools import islice

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute, axes_of
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.extent import ONE, Shape
from symgraph.passes.fold_shapes import plain_target
from symgraph.passes.known_shapes import KnownShapes
from symgraph.passes.matching import made_by, shape_of
from symgraph.runtime.opsets import choose_opsets

RESHAPES = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Transpose", "Gather"})
"""What may keep all numbers in their order."""

CANDIDATES = 8
"""How many of the shapes that the same numbers have had are tried as what a Reshape starts from."""


def merge_reshapes(graph: Graph) -> Graph:
    """Reshape(Reshape(x, a), b) -> Reshape(x, b); with the shape of x: x. Unsqueeze(Unsqueeze(x)) -> Unsqueeze(x).

    Squeeze, Unsqueeze and Flatten count as Reshape, and so do Transpose where it moves only axes of size 1, and
    Gather of the only index of an axis.
    """
    if not graph.with_graphs and RESHAPES.isdisjoint(graph.by_operator):
        return graph
    sizes, opset = KnownShapes(graph), choose_opsets(graph)[""]
    replaced: dict[Operand, Operand] = {}
    families: dict[Operand, _Family] = {}

    def merge(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        sizes.visit(node)
        if any(True for _ in node_graphs(node)):
            return rewrite_bodies(node, operands, merge_reshapes)
        if opset < 5 or not _is_reshape(node, sizes):
            return None
        x, y = node.inputs[0], node.outputs[0]
        assert x is not None and y is not None
        family = families.setdefault(x, {sizes.shape(x): x})
        families[y] = family
        merged = _merged(node, family, sizes, replaced, opset)
        merged = _merged_axes(node, operands) if merged is None else merged
        family.setdefault(sizes.shape(y), y)
        return None if merged is None else (merged,)

    return graph.rewrite(merge, replaced)


_Family = dict[Shape | None, Operand]
"""Values of the same numbers in the same order: for each shape they have had, the first."""


def _merged(node: Node, family: _Family, sizes: KnownShapes, replaced: dict[Operand, Operand],
            opset: int) -> Operand | None:
    """What `node` makes, from the first value of the same numbers that can be told to have its shape in one step."""
    made = sizes.shape(node.outputs[0])
    if made is None:
        return None
    if made in family:
        return replaced.get(family[made], family[made])
    for given, x in islice(family.items(), CANDIDATES):
        if x is node.inputs[0]:
            return None
        if given is None or any(size.number == 0 for size in (*made, *given)):
            continue  # a 0 in a target means the size there was, not none
        target = plain_target(made, given)
        if target is not None:
            merged: Operand = apply_op(
                find_op("Reshape", "", opset), replaced.get(x, x), Tensor(np.array(target, np.int64)))
            return merged
    return None


def _merged_axes(node: Node, operands: tuple[Operand | None, ...]) -> Operand | None:
    """Two Unsqueezes, or two Squeezes, as one."""
    x, y = operands[0], node.outputs[0]
    inner = made_by(x, node.op.name) if node.op.name in ("Unsqueeze", "Squeeze") else None
    if inner is None or inner.op is not node.op or y is None:
        return None
    first, second, small, large = axes_of(inner, 1), axes_of(node, 1), shape_of(inner.inputs[0]), shape_of(y)
    if not first or not second or small is None or large is None:
        return None
    if node.op.name == "Unsqueeze":
        rank = len(large)
        last = {axis % rank for axis in second}
        left = [axis for axis in range(rank) if axis not in last]
        axes = sorted((*last, *(left[axis % len(left)] for axis in first)))
    else:
        rank = len(small)
        gone = {axis % rank for axis in first}
        left = [axis for axis in range(rank) if axis not in gone]
        axes = sorted((*gone, *(left[axis % len(left)] for axis in second)))
    merged: Operand = (apply_op(node.op, inner.inputs[0], axes=axes) if "axes" in node.attributes
                       else apply_op(node.op, inner.inputs[0], np.array(axes, np.int64)))
    return merged


def _is_reshape(node: Node, sizes: KnownShapes) -> bool:
    """Whether the numbers of a node's output are those of its first input in the same order."""
    if node.op.domain or not node.inputs or node.inputs[0] is None or len(node.outputs) != 1:
        return False
    if node.op.name in ("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"):
        return True
    shape = sizes.shape(node.inputs[0])
    if shape is None:
        return False
    if node.op.name == "Transpose":
        moved = [axis for axis in attribute(node, "perm", range(len(shape))[::-1]) if shape[axis] != ONE]
        return moved == sorted(moved)
    if node.op.name == "Gather":
        index = node.inputs[1]
        return isinstance(index, Tensor) and index.size == 1 and (
            shape[attribute(node, "axis", 0) % len(shape)] == ONE)
    return False
