"""Transposes meet and cancel, so that a channels-last network keeps at most one at each end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, copy_node
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType
from symgraph.core.value import Tensor
from symgraph.passes.exactness import relaxed
from symgraph.passes.rules import readers_of
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE

Readers = Mapping[Operand, list[Node | None]]


@relaxed
def remove_transposes(graph: Graph) -> Graph:
    """T(T(x, p), q) -> T(x, p[q]), or x; f(T(x, p)) -> T(f(x), p) for elementwise f, so that transposes meet.

    A transpose moves past f only where f is its one reader, and for several inputs only where all are
    transposed alike or are constants, which are transposed here. Relaxed, because some kernels (Elu, Sin, Log)
    round an element by its place in memory.
    """
    readers = readers_of(graph)

    def rewrite(node: Node, operands: tuple[Operand | None, ...]) -> list[Operand | None] | None:
        if node.op.domain:
            return None
        if node.op.name == "Transpose":
            return _merged(node, operands)
        if node.op.name in ELEMENTWISE | BROADCASTING and len(node.outputs) == 1:
            return _sunk(node, operands, readers)
        return None

    return graph.rewrite(rewrite)


def _merged(node: Node, operands: tuple[Operand | None, ...]) -> list[Operand | None] | None:
    x, perm = operands[0], _perm(node)
    if x is None or perm is None:
        return None
    inner = _transposed(x)
    if inner is not None:
        x, first = inner
        perm = tuple(first[axis] for axis in perm)
    if perm == tuple(range(len(perm))):
        return [x]
    return None if inner is None else [apply_op(node.op, x, perm=perm)]


def _sunk(node: Node, operands: tuple[Operand | None, ...], readers: Readers) -> list[Operand | None] | None:
    found = [None if x is None else _transposed(x) for x in operands]
    perms = {inner[1] for inner in found if inner is not None}
    if len(perms) != 1:
        return None
    (perm,) = perms
    for x, old, inner in zip(operands, node.inputs, found, strict=True):
        if inner is not None:
            if old is None or any(reader is not node for reader in readers.get(old, ())):
                return None
        elif x is not None and (not isinstance(x, Tensor) or x.ndim > len(perm)):
            return None
    bare = tuple(_untransposed(x, perm) if inner is None else inner[0]
                 for x, inner in zip(operands, found, strict=True))
    moved = copy_node(node, bare).outputs[0]
    assert moved is not None
    moved.hint = None
    return [apply_op("Transpose", moved, perm=perm)]


def _transposed(x: Operand) -> tuple[Operand, tuple[int, ...]] | None:
    """What `x` is the transpose of, and how."""
    if not isinstance(x, SymbolicTensor) or x.node is None or x.node.op.name != "Transpose" or x.node.op.domain:
        return None
    perm, source = _perm(x.node), x.node.inputs[0]
    return None if perm is None or source is None else (source, perm)


def _perm(node: Node) -> tuple[int, ...] | None:
    perm = node.attributes.get("perm")
    if isinstance(perm, tuple):
        return perm
    x = node.inputs[0]
    if x is None or not isinstance(x.type, TensorType) or x.type.shape is None:
        return None
    return tuple(reversed(range(len(x.type.shape))))


def _untransposed(x: Operand | None, perm: tuple[int, ...]) -> Operand | None:
    """A constant so laid out that it broadcasts with a tensor before its transposition by `perm` as it did after."""
    if not isinstance(x, Tensor) or x.ndim == 0:
        return x
    array = x.numpy().reshape((1,) * (len(perm) - x.ndim) + x.numpy().shape)
    laid_out = array.transpose([perm.index(axis) for axis in range(len(perm))])
    return Tensor(np.ascontiguousarray(laid_out))
