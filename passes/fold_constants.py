"""Nodes of constants are computed once, here."""

from __future__ import annotations

import math

from symgraph.core.apply import evaluate_op
from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph
from symgraph.core.inference import infer_types
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import TensorType, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.exactness import relaxed
from symgraph.passes.rules import is_same_type

MAX_GROWTH = 256 * 1024
"""A folded result may take this many bytes, or as many as the constants it replaces."""


@relaxed
def fold_constants(graph: Graph) -> Graph:
    """f(c) -> its value, for deterministic ops whose result is no larger than allowed; never random ones.

    Shape arithmetic counts as constant where types say the sizes: Shape(float32[N, 3])[1] -> 3. A node that
    fails when run stays as it is, so that it fails where it failed before. Relaxed, because a MatMul run alone
    may differ in its last bit from one in a graph.
    """
    return graph.rewrite(_folded)


def _folded(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    if node.body is None and node.subgraphs():
        return rewrite_bodies(node, operands, fold_constants)
    return fold_node(node, operands)


def fold_node(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    """The results of one node, where they can be known; None where it stays."""
    if not node.op.is_deterministic or node.captures or any(True for _ in node.subgraphs()):
        return None
    known = _known_numbers(node)
    if known is not None:
        return (known,)
    constants = [x for x in operands if isinstance(x, Tensor)]
    if len(constants) < sum(x is not None for x in operands):
        return None
    try:
        if node.op.name == "Range" and not node.op.domain:
            operands = tuple(_as_scalar(x) for x in constants)
        size = _result_bytes(node, operands)
        if size is None or size > max(MAX_GROWTH, sum(x.nbytes for x in constants)):
            return None
        results: tuple[Tensor | None, ...] = evaluate_op(
            node.op, operands, node.attributes, tuple(x is not None for x in node.outputs))
    except SymgraphError:
        return None
    if any(a is not None and b is not None and not is_same_type(a.type, b.type)
           for a, b in zip(node.outputs, results, strict=True)):
        return None  # as ONNX Runtime does for ArgMax of nothing
    for old, new in zip(node.outputs, results, strict=True):
        if old is not None and new is not None:
            new.hint = old.name
    return results


def _known_numbers(node: Node) -> Tensor | None:
    """The result of a node whose numbers follow from types alone."""
    x = node.outputs[0]
    if len(node.outputs) != 1 or x is None or x.data is None or not isinstance(x.type, TensorType):
        return None
    if not all(isinstance(number, int) for number in x.data.flat):
        return None
    try:
        return Tensor(x.data.astype(numpy_dtype(x.type.dtype)), name=x.name)
    except OverflowError:
        return None


def _as_scalar(x: Tensor) -> Tensor:
    """ONNX Runtime takes vectors of one number for numbers, where their shape is hidden from it."""
    return Tensor(x.numpy().reshape(())) if x.size == 1 else x


def _result_bytes(node: Node, operands: tuple[Operand | None, ...]) -> int | None:
    """How large the results will be, from types alone; None where they do not tell."""
    is_changed = any(a is not b for a, b in zip(operands, node.operands, strict=True))
    types = (infer_types(node.op, operands[:len(node.inputs)], node.attributes, len(node.outputs)) if is_changed
             else tuple(None if x is None else x.type for x in node.outputs))
    size = 0
    for x, found in zip(node.outputs, types, strict=True):
        if x is None:
            continue
        if not isinstance(found, TensorType) or found.shape is None or found.dtype == "string":
            return None
        dims = [d for d in found.shape if isinstance(d, int)]
        if len(dims) < len(found.shape):
            return None
        size += math.prod(dims) * numpy_dtype(found.dtype).itemsize
    return size
