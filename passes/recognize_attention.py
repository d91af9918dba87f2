"""Attention, written out in products of matrices, becomes the operator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import Shape
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, number, rewrite_regions, shape_of
from symgraph.runtime.opsets import choose_opsets


@relaxed
def recognize_attention(graph: Graph) -> Graph:
    """softmax(q @ T(k) * c + m) @ v -> Attention(q, k, v, m, scale=c), of four axes: batch, heads, sequence, size.

    Only in graphs of opset 23 or newer; where all sizes are known, because ONNX Runtime's operator refuses empty
    batches and sequences; and where m is absent or a constant that leaves something in every row, because a row of
    nothing gives 0 there and NaN here. In no pipeline: it is no faster than what it stands for. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    return graph if opset < 23 else rewrite_regions(graph, lambda node: _find(node, opset))


@dataclass(frozen=True)
class _Scores:
    """q @ T(k) * scale + mask, and the nodes that compute it."""

    q: Operand
    k: Operand
    scale: float
    mask: Operand | None
    nodes: tuple[Node, ...]


def _find(node: Node, opset: int) -> Iterator[Region]:
    softmax = made_by(node.inputs[0], "Softmax") if node.op.name == "MatMul" and not node.op.domain else None
    v = node.inputs[1] if softmax is not None else None
    scores = None if softmax is None else _scores(softmax.inputs[0], None)
    if softmax is None or v is None or scores is None or attribute(softmax, "axis", -1) not in (-1, 3) or not _fits(
            shape_of(scores.q), shape_of(scores.k), shape_of(v)) or dtype_of(v) != "float32":
        return
    mask = () if scores.mask is None else (scores.mask,)
    if mask and not _is_open(mask[0], shape_of(softmax.inputs[0])):
        return
    op = find_op("Attention", "", opset)
    yield Region((*scores.nodes, softmax, node), (scores.q, scores.k, v, *mask),
                 lambda *inputs: apply_op(op, *inputs, scale=scores.scale))


def _scores(x: Operand | None, mask: Operand | None) -> _Scores | None:
    total = made_by(x, "Add") if mask is None else None
    for y, added in in_both_orders(total):
        found = None if added is None else _scores(y, added)
        if found is not None and total is not None:
            return _Scores(found.q, found.k, found.scale, added, (*found.nodes, total))
    y, scale, scaling = _unscaled(x)
    product = made_by(y, "MatMul")
    if product is None:
        return None
    q, first, before = _unscaled(product.inputs[0])
    turned = made_by(product.inputs[1], "Transpose")
    if turned is None or attribute(turned, "perm") != (0, 1, 3, 2):
        return None
    k, second, after = _unscaled(turned.inputs[0])
    whole = scale * first * second
    if q is None or k is None or not whole > 0:
        return None
    return _Scores(q, k, whole, mask, (*before, *after, turned, product, *scaling))


def _unscaled(x: Operand | None) -> tuple[Operand | None, float, tuple[Node, ...]]:
    """What a value is a multiple of, how many times, and the node that multiplies or divides it."""
    node = made_by(x, "Mul", "Div")
    pairs = list(in_both_orders(node))
    for y, factor in pairs if node is not None and node.op.name == "Mul" else pairs[:1]:
        value = number(factor)
        if node is not None and value and len(shape_of(factor) or ()) <= len(shape_of(y) or ()):
            return y, value if node.op.name == "Mul" else 1 / value, (node,)
    return x, 1.0, ()


def _fits(q: Shape | None, k: Shape | None, v: Shape | None) -> bool:
    """Whether batch, heads and sizes certainly agree, and none is 0."""
    if q is None or k is None or v is None or not len(q) == len(k) == len(v) == 4:
        return False
    known = all(isinstance(d, int) and d > 0 for d in (*q, k[2], v[3]))
    return known and q[:2] == k[:2] == v[:2] and q[3] == k[3] and k[2] == v[2]


def _is_open(mask: Operand, scores: Shape | None) -> bool:
    """Whether a constant mask makes the scores no larger, and leaves a finite number in every row."""
    array = constant_array(mask)
    if array is None or scores is None or array.ndim < 2 or array.ndim > 4 or not np.isfinite(array).any(-1).all():
        return False
    wanted = scores[-array.ndim:]
    return array.shape[-1] == wanted[-1] and not np.isnan(array).any() and not np.isposinf(array).any() and all(
        a in (1, b) for a, b in zip(array.shape, wanted, strict=True))
