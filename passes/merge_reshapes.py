"""Chains of nodes that only say anew what shape the same numbers have."""

from __future__ import annotations

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.extent import ONE
from symgraph.passes.extents import Extents
from symgraph.passes.fold_shapes import plain_target
from symgraph.runtime.opsets import choose_opsets


def merge_reshapes(graph: Graph) -> Graph:
    """Reshape(Reshape(x, a), b) -> Reshape(x, b); with the shape of x: x.

    Squeeze, Unsqueeze and Flatten count as Reshape, and so do Transpose where it moves only axes of size 1, and
    Gather of the only index of an axis.
    """
    sizes, opset = Extents(graph), choose_opsets(graph)[""]
    replaced: dict[Operand, Operand] = {}

    def merge(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        sizes.visit(node)
        if any(True for _ in node_graphs(node)):
            return rewrite_bodies(node, operands, merge_reshapes)
        if not _is_reshape(node, sizes) or opset < 5:
            return None
        merged = _merged(node, sizes, replaced, opset)
        return None if merged is None else (merged,)

    return graph.rewrite(merge, replaced)


def _merged(node: Node, sizes: Extents, replaced: dict[Operand, Operand], opset: int) -> Operand | None:
    """What `node` makes of the first value of its chain that can be told to have its shape in one step."""
    made = sizes.shape(node.outputs[0])
    chain = _chain(node, sizes)
    if made is None:
        return None
    for x in chain:
        given = sizes.shape(x)
        if given == made:
            return replaced.get(x, x)
    for x in chain[:-1]:
        given = sizes.shape(x)
        if given is None or any(size.number == 0 for size in (*made, *given)):
            continue  # a 0 in a target means the size there was, not none
        target = plain_target(made, given)
        if target is not None:
            merged: Operand = apply_op(
                find_op("Reshape", "", opset), replaced.get(x, x), Tensor(np.array(target, np.int64)))
            return merged
    return None


def _chain(node: Node, sizes: Extents) -> list[Operand]:
    """The values of which `node` makes another shape, the first one first."""
    chain: list[Operand] = []
    maker: Node | None = node
    while maker is not None and _is_reshape(maker, sizes):
        x = maker.inputs[0]
        assert x is not None
        chain.append(x)
        maker = x.node if isinstance(x, SymbolicTensor) and x in sizes.shapes else None
    return chain[::-1]


def _is_reshape(node: Node, sizes: Extents) -> bool:
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
