"""Nodes that compute the same are computed once."""

from __future__ import annotations

from collections.abc import Hashable

from symgraph.core.graph import Graph, copy_node, node_graphs
from symgraph.core.inference import freeze_attributes
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor


def share_common_subexpressions(graph: Graph) -> Graph:
    """f(x) … f(x) -> one f(x), for deterministic ops with equal attributes and operands.

    Constants are equal when dtype, shape and bytes are: 0.0 is not -0.0, 1 is not 1.0.
    """
    known: dict[Hashable, tuple[Operand | None, ...]] = {}

    def share(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        if not node.op.is_deterministic or any(True for _ in node_graphs(node)):
            return None
        present = tuple(x is not None for x in node.outputs)
        key = (node.op, tuple(map(_identity, operands)), present, freeze_attributes(node.attributes))
        found = known.get(key)
        if found is not None:
            return found
        is_same = all(a is b for a, b in zip(operands, node.operands, strict=True))
        known[key] = node.outputs if is_same else copy_node(node, operands).outputs
        return None if is_same else known[key]

    return graph.rewrite(share)


def _identity(x: Operand | None) -> Hashable:
    """What makes an operand the same as another: a constant its content, everything else itself."""
    if not isinstance(x, Tensor) or x.nbytes > MAX_BYTES:
        return x
    array = x.numpy()
    return x.dtype, array.shape, tuple(array.flat) if array.dtype == object else array.tobytes()


MAX_BYTES = 1 << 16
"""Larger constants are the same only where they are the same object."""
