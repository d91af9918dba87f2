"""Attention, written out in products of matrices, becomes ONNX Runtime's operator for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array
from symgraph.core.op import find_op, intern_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.fuse_for_onnxruntime import DOMAIN, FUSED_MATMUL
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, number, rewrite_regions, shape_of
from symgraph.runtime.opsets import choose_opsets

MULTI_HEAD = intern_op("MultiHeadAttention", DOMAIN, 1, None)
SELF = intern_op("Attention", DOMAIN, 1, None)


@relaxed
def fuse_attention(graph: Graph) -> Graph:
    """softmax(heads(q) @ heads(k).T * c + m) @ heads(v), heads joined -> MultiHeadAttention(q, k, v, m).

    MultiHeadAttention(q, k, v, m) -> Attention(x, w, b, m), where q, k, v = Split(x @ w + b). For float32, where types
    prove that the mask m makes the scores no larger. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    if opset < 15:
        return graph
    return rewrite_regions(rewrite_regions(graph, lambda node: _many_heads(node, opset)), _of_one_product)


@dataclass(frozen=True)
class _Heads:
    """x: [N, T, heads*size] laid out as [N, heads, T, size], or transposed as [N, heads, size, T], times `scale`."""

    x: Operand
    count: int
    size: int
    scale: float
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class _Scores:
    """heads(q) @ heads(k).T * scale + mask."""

    q: _Heads
    k: _Heads
    scale: float
    mask: Operand | None
    nodes: tuple[Node, ...]


def _many_heads(node: Node, opset: int) -> Iterator[Region]:
    """At the reshape that joins the heads."""
    if node.op.domain or node.op.name != "Reshape" or dtype_of(node.outputs[0]) != "float32":
        return
    joined = made_by(node.inputs[0], "Transpose")
    product = None if joined is None else made_by(joined.inputs[0], "MatMul")
    softmax = None if product is None else made_by(product.inputs[0], "Softmax")
    if joined is None or product is None or softmax is None or attribute(joined, "perm") != (0, 2, 1, 3) or (
            attribute(softmax, "axis", -1) not in (-1, 3) or not _keeps_first_axes(node)):
        return
    scores, v = _scores(softmax.inputs[0]), _heads(product.inputs[1], (0, 2, 1, 3))
    if scores is None or v is None or v.scale != 1 or not scores.q.count == scores.k.count == v.count or (
            scores.q.size != scores.k.size or shape_of(node.outputs[0]) is None
            or (shape_of(node.outputs[0]) or ())[-1] != v.count * v.size):
        return
    nodes = dict.fromkeys((*scores.nodes, *v.nodes, softmax, product, joined, node))
    given = (scores.q.x, scores.k.x, v.x, *(() if scores.mask is None else (scores.mask,)))

    def make(q: Operand, k: Operand, v: Operand, mask: Operand | None = None) -> Operand:
        bias = None if mask is None else _stretched(mask, q, k, opset)
        attributes = {"num_heads": scores.q.count, "scale": scores.scale}
        return _node(MULTI_HEAD, (q, k, v, *(() if bias is None else (None, None, bias))), attributes, node)

    yield Region(tuple(nodes), given, make)


def _node(op: Any, inputs: tuple[Operand | None, ...], attributes: dict[str, Any], like: Node) -> Operand:
    return Node(op, inputs, attributes, (like.output.type,)).output


def _keeps_first_axes(reshape: Node) -> bool:
    """Whether [a, b, …] becomes [a, b, …], where what follows is as large before as after."""
    target, given = constant_array(reshape.inputs[1]) if reshape.inputs[1] is not None else None, shape_of(
        reshape.inputs[0])
    if target is None or target.ndim != 1 or given is None or len(target) < 3 or attribute(reshape, "allowzero", 0):
        return False
    made = shape_of(reshape.outputs[0]) or ()
    rest = [given[2:], made[2:]]
    if any(not isinstance(d, int) or d < 1 for dims in rest for d in dims) or len(made) != len(target):
        return False
    is_kept = [t == 0 or (isinstance(d, int) and d == t and d > 0) for t, d in zip(target, given[:2], strict=False)]
    before, after = (math.prod(d for d in dims if isinstance(d, int)) for dims in rest)
    return before == after and any(is_kept)


def _heads(x: Operand | None, perm: tuple[int, ...]) -> _Heads | None:
    after, x, above = _factor(x)
    transpose = made_by(x, "Transpose")
    before, x, below = _factor(None if transpose is None else transpose.inputs[0])
    reshape = made_by(x, "Reshape")
    if transpose is None or reshape is None or reshape.inputs[0] is None or attribute(transpose, "perm") != perm:
        return None
    shape, given = shape_of(reshape.outputs[0]) or (), shape_of(reshape.inputs[0]) or ()
    if len(shape) != 4 or len(given) != 3 or not _keeps_first_axes(reshape):
        return None
    count, size = shape[2:]
    assert isinstance(count, int) and isinstance(size, int)
    return _Heads(reshape.inputs[0], count, size, before * after, (reshape, *below, transpose, *above))


def _scores(x: Operand | None) -> _Scores | None:
    """What goes into the softmax."""
    for total, mask in ((x, None), *in_both_orders(made_by(x, "Add"))):
        scale, raw, scaled = _factor(total)
        found = _product(raw)
        if found is None or (mask is not None and not _fits(mask, total)):
            continue
        add = () if mask is None else (made_by(x, "Add"),)
        nodes = (*found.nodes, *scaled, *(n for n in add if n is not None))
        return _Scores(found.q, found.k, found.scale * scale, mask, nodes)
    return None


def _factor(x: Operand | None) -> tuple[float, Operand | None, tuple[Node, ...]]:
    """The number that a value was multiplied with, and the value before."""
    node = made_by(x, "Mul", "Div")
    pairs = iter(()) if node is None else in_both_orders(node) if node.op.name == "Mul" else iter(
        [(node.inputs[0], node.inputs[1])])
    for value, other in pairs:
        factor = number(other)
        if node is not None and factor and math.isfinite(factor):
            return (1 / factor if node.op.name == "Div" else factor), value, (node,)
    return 1.0, x, ()


def _product(x: Operand | None) -> _Scores | None:
    """heads(q) @ heads(k).T, fused with its scale or not, and each of both scaled or not."""
    node = x.node if isinstance(x, SymbolicTensor) else None
    if node is None or len(node.inputs) != 2 or not (
            node.op is FUSED_MATMUL or (node.op.name == "MatMul" and not node.op.domain)):
        return None
    is_turned = bool(attribute(node, "transB", 0))
    if attribute(node, "transA", 0) or attribute(node, "transBatchA", 0) or attribute(node, "transBatchB", 0):
        return None
    q, k = _heads(node.inputs[0], (0, 2, 1, 3)), _heads(node.inputs[1], (0, 2, 1, 3) if is_turned else (0, 2, 3, 1))
    if q is None or k is None:
        return None
    scale = float(attribute(node, "alpha", 1.0)) * q.scale * k.scale
    return _Scores(q, k, scale, None, (*q.nodes, *k.nodes, node))


def _fits(mask: Operand, scores: Operand | None) -> bool:
    """Whether a mask of four axes makes the scores no larger."""
    small, large = shape_of(mask), shape_of(scores)
    if dtype_of(mask) != "float32" or small is None or large is None or not len(small) == len(large) == 4:
        return False
    return all(a == 1 or (a is not None and a == b) for a, b in zip(small, large, strict=True))


def _stretched(mask: Operand, q: Operand, k: Operand, opset: int) -> Operand:
    """A mask of as many rows and columns as the scores have."""
    shape, wanted = shape_of(mask) or (), [(shape_of(x) or (None, None))[1] for x in (q, k)]
    if all(a is not None and a == b for a, b in zip(shape[2:], wanted, strict=True)):
        return mask
    op = find_op("Shape", "", opset)
    sizes = [np.array([n], np.int64) if isinstance(n, int) else apply_op(op, x, start=1, end=2)
             for x, n in zip((q, k), wanted, strict=True)]
    target = apply_op(find_op("Concat", "", opset), np.array([1, 1], np.int64), *sizes, axis=0)
    stretched: Operand = apply_op(find_op("Expand", "", opset), mask, target)
    return stretched


def _of_one_product(node: Node) -> Iterator[Region]:
    """Queries, keys and values that are thirds of x @ w + b."""
    if node.op is not MULTI_HEAD or any(x is not None for x in node.inputs[3:5]):
        return
    split = node.inputs[0].node if isinstance(node.inputs[0], SymbolicTensor) else None
    if split is None or split.op.name != "Split" or split.op.domain or len(split.outputs) != 3 or any(
            a is not b for a, b in zip(node.inputs[:3], split.outputs, strict=True)):
        return
    add = made_by(split.inputs[0], "Add")
    for product, bias in in_both_orders(add):
        matmul = made_by(product, "MatMul")
        if add is None or matmul is None or bias is None or matmul.inputs[0] is None or matmul.inputs[1] is None:
            continue
        x, weight = matmul.inputs
        w, b = constant_array(weight) if weight is not None else None, constant_array(bias)
        shapes = {shape_of(y) and (shape_of(y) or ())[-1] for y in split.outputs}
        if w is None or b is None or w.ndim != 2 or b.shape != (w.shape[1],) or len(shapes) != 1 or (
                len(shape_of(x) or ()) != 3 or attribute(split, "axis", 0) not in (-1, 2)):
            continue
        mask = node.inputs[5] if len(node.inputs) > 5 else None
        given = (x, Tensor(w), Tensor(b), *(() if mask is None else (mask,)))
        yield Region((matmul, add, split, node), tuple(y for y in given if y is not None), lambda *ys: _node(
            SELF, (*ys[:3], *((None, None, *ys[3:]) if len(ys) > 3 else ())), dict(node.attributes), node))
