"""Products of matrices take in what is added to them, and the transposes before them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.core.types import Shape, is_floating
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, number, rewrite_all_regions, shape_of
from symgraph.runtime.opsets import choose_opsets


@relaxed
def fuse_gemm(graph: Graph) -> Graph:
    """x @ w + b -> Gemm(x, w, b); T(x) @ w -> Gemm(x, w, transA=1); Gemm(T(x), w) -> Gemm(x, w, transA=1);
    x @ w * s -> Gemm(x, w, alpha=s), where s is a number that is not 0.

    Where types prove that all are floating-point matrices, and that b makes the result no larger. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    if opset < 7:
        return graph
    return rewrite_all_regions(graph, lambda node: _find(node, opset))


def _find(node: Node, opset: int) -> Iterator[Region]:
    if node.op.domain:
        return
    if node.op.name == "Add":
        yield from _with_bias(node, opset)
    elif node.op.name == "Mul" and opset >= 11:
        yield from _scaled(node, opset)
    elif node.op.name in ("MatMul", "Gemm") and (node.op.name == "Gemm" or opset >= 11):
        yield from _untransposed(node, opset)


def _with_bias(add: Node, opset: int) -> Iterator[Region]:
    for product, bias in in_both_orders(add):
        inner = made_by(product, "MatMul", "Gemm")
        if inner is None or bias is None or not _is_matrices(inner) or not _is_free(inner):
            continue
        a, b = inner.inputs[:2]
        if a is not None and b is not None and _fits(shape_of(bias), shape_of(product)):
            attributes = {k: v for k, v in inner.attributes.items() if k != "beta"}
            yield Region((inner, add), (a, b, bias), _gemm(opset, attributes))


def _untransposed(node: Node, opset: int) -> Iterator[Region]:
    """One transpose before a product; those of both operands go one after the other."""
    if not _is_matrices(node):
        return
    operands = [x for x in node.inputs if x is not None]
    for position, name in ((0, "transA"), (1, "transB")):
        transpose = made_by(operands[position], "Transpose")
        source = None if transpose is None else transpose.inputs[0]
        if transpose is None or source is None or transpose.attributes.get("perm", (1, 0)) != (1, 0):
            continue
        attributes = {**node.attributes, name: 0 if node.attributes.get(name, 0) else 1}
        inputs = (*operands[:position], source, *operands[position + 1:])
        yield Region((node,), inputs, _gemm(opset, attributes))  # whoever else reads the transpose: it costs nothing


def _scaled(node: Node, opset: int) -> Iterator[Region]:
    for product, factor in in_both_orders(node):
        inner, s = made_by(product, "MatMul", "Gemm"), number(factor)
        if inner is None or not s or not math.isfinite(s) or not _is_matrices(inner) or not _is_free(inner) or (
                len(shape_of(factor) or ()) > 2):
            continue
        a, b = inner.inputs[:2]
        if a is not None and b is not None:
            attributes = {k: v for k, v in inner.attributes.items() if k != "beta"}
            attributes["alpha"] = float(attribute(inner, "alpha", 1.0)) * s
            yield Region((inner, node), (a, b), _gemm(opset, attributes))
            return


def _gemm(opset: int, attributes: dict[str, Any]) -> Any:
    op = find_op("Gemm", "", opset)
    return lambda *inputs: apply_op(op, *inputs, **attributes)


def _is_matrices(node: Node) -> bool:
    """Whether both operands are known to be matrices of floating-point numbers."""
    shapes = [shape_of(x) for x in node.inputs[:2]]
    return all(s is not None and len(s) == 2 for s in shapes) and is_floating(dtype_of(node.inputs[0])) and (
        dtype_of(node.inputs[0]) != "bfloat16")


def _is_free(node: Node) -> bool:
    """Whether a product has no bias yet."""
    return node.op.name == "MatMul" or (node.op.version >= 11 and (len(node.inputs) < 3 or node.inputs[2] is None))


def _fits(bias: Shape | None, product: Shape | None) -> bool:
    """Whether a bias broadcasts to the shape of a product and makes it no larger."""
    if bias is None or product is None or len(bias) > len(product):
        return False
    known: list[tuple[Any, Any]] = list(zip(reversed(bias), reversed(product), strict=False))
    return all(b == 1 or (b is not None and b == p) for b, p in known)
