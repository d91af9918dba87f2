"""What scales and shifts the columns of a product with constant weights goes into the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Array, Tensor
from symgraph.passes.attributes import attribute, attributes_of
from symgraph.passes.exactness import relaxed
from symgraph.passes.fold_into_convolution import Affine, affine_of_normalization, is_kept
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, rewrite_regions, shape_of
from symgraph.runtime.opsets import choose_opsets


@relaxed
def fold_into_matmul(graph: Graph) -> Graph:
    """(x @ w) * s -> x @ (w*s); (x @ w) / s -> x @ (w/s); Gemm(x, w, b) * s -> Gemm(x, w*s, b*s).

    BatchNormalization(x @ w) -> Gemm(x, w*s, t), also behind a Reshape that only adds axes of size 1. Where weights,
    biases, s and t are constants, and nobody else reads the product. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    return rewrite_regions(graph, lambda node: _find(node, opset)) if opset >= 11 else graph


def _find(node: Node, opset: int) -> Iterator[Region]:
    if node.op.domain:
        return
    if node.op.name in ("Mul", "Div"):
        pairs = list(in_both_orders(node))
        for result, other in pairs if node.op.name == "Mul" else pairs[:1]:
            product = made_by(result, "MatMul", "Gemm")
            weights = None if product is None else _weights(product)
            factors = None if weights is None or other is None else _by_column(other, result, weights[0])
            if product is not None and weights is not None and factors is not None:
                with np.errstate(all="ignore"):
                    scale = factors if node.op.name == "Mul" else 1 / factors
                yield from _folded(product, (), node, weights, (scale, np.zeros_like(scale)), opset)
    elif node.op.name == "BatchNormalization" and len(node.outputs) == 1:
        reshape = made_by(node.inputs[0], "Reshape")
        between = () if reshape is None else (reshape,)
        product = made_by(node.inputs[0] if reshape is None else reshape.inputs[0], "MatMul", "Gemm")
        weights = None if product is None else _weights(product)
        affine = affine_of_normalization(node, node.inputs)
        if product is not None and weights is not None and affine is not None and _is_column(node, product):
            yield from _folded(product, between, node, weights, affine, opset)


def _weights(product: Node) -> tuple[Array, Array | None] | None:
    """The weights of a product, by column, and its bias."""
    found = [None if x is None else constant_array(x) for x in product.inputs[1:]]
    if not found or any(array is None for array in found) or dtype_of(product.output) not in ("float32", "float64"):
        return None
    w, b = found[0], found[1] if len(found) > 1 else None
    if w is None or w.ndim != 2 or any(attribute(product, name, 1.0) != 1 for name in ("alpha", "beta")):
        return None
    if b is not None and b.ndim and b.shape[-1] != b.size:
        return None
    return (w.T if attribute(product, "transB", 0) else w), b


def _by_column(other: Operand, result: Operand | None, w: Array) -> Array | None:
    """A constant as one number a column of the product, where it makes the product no larger."""
    array, shape = constant_array(other), shape_of(result)
    if array is None or shape is None or array.ndim > len(shape) or array.size not in (1, w.shape[1]) or (
            array.size > 1 and array.shape[-1] != array.size):
        return None
    return np.broadcast_to(array.reshape(-1), w.shape[1:]).astype(np.float64)


def _is_column(normalization: Node, product: Node) -> bool:
    """Whether the channels of a normalisation are the columns of a product."""
    given, made = shape_of(normalization.inputs[0]), shape_of(product.output)
    return given is not None and made is not None and len(given) >= 2 and len(made) >= 2 and (
        isinstance(given[1], int) and given[1] == made[-1] and all(d == 1 for d in given[2:])) and (
        len(made) == 2 or normalization.inputs[0] is not product.output)


def _folded(product: Node, between: tuple[Node, ...], node: Node, weights: tuple[Array, Array | None], affine: Affine,
            opset: int) -> Iterator[Region]:
    (w, b), (scale, offset), x = weights, affine, product.inputs[0]
    with np.errstate(all="ignore"):
        kernel = (w * scale).astype(w.dtype)
        bias = ((0 if b is None else b) * scale + offset).astype(w.dtype)
    if x is None or not (is_kept(w, kernel) and np.isfinite(bias).all()):
        return
    has_bias = b is not None or bool(np.any(offset))
    kernel = np.ascontiguousarray(kernel.T if attribute(product, "transB", 0) else kernel)
    constants = (Tensor(kernel), Tensor(bias)) if has_bias else (Tensor(kernel),)

    def make(x: Operand, *rest: Operand) -> Any:
        y = _product(product, x, constants, opset)
        return apply_op(between[0].op, y, *rest, **attributes_of(between[0])) if between else y

    rest = tuple(y for node in between for y in node.inputs[1:] if y is not None)
    yield Region((product, *between, node), (x, *rest), make)


def _product(product: Node, x: Operand, constants: tuple[Tensor, ...], opset: int) -> Any:
    if product.op.name == "Gemm":
        return apply_op(product.op, x, *constants, **attributes_of(product))
    if len(constants) > 1 and len(shape_of(x) or ()) == 2:
        return apply_op(find_op("Gemm", "", opset), x, *constants)
    y = apply_op(product.op, x, constants[0])
    return y if len(constants) == 1 else apply_op(find_op("Add", "", opset), y, constants[1])
