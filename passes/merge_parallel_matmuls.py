"""Products of one tensor with several constant matrices become one product, cut in pieces."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Array, Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import shape_of
from symgraph.passes.rules import readers_of
from symgraph.runtime.opsets import choose_opsets

Readers = Mapping[Operand, list[Node | None]]


@dataclass(frozen=True)
class _Product:
    """x @ w + b, or without b; `root` gives the result."""

    root: Node
    product: Node
    x: Operand
    weight: Array
    bias: Array | None

    @property
    def columns(self) -> int:
        """How many columns the result has."""
        return int(self.weight.shape[0 if self.product.attributes.get("transB", 0) else 1])


@relaxed
def merge_parallel_matmuls(graph: Graph) -> Graph:
    """x @ w, x @ v -> Split(x @ [w v]): queries, keys and values are one product; x @ w + b, and Gemm, likewise.

    Where all weights and biases are constants that nobody else reads. Rounds differently.
    """
    return _merge(graph, choose_opsets(graph)[""])


def _merge(graph: Graph, opset: int) -> Graph:
    groups = _groups(graph)
    replaced: dict[Operand, Operand] = {}
    done: dict[Node, Operand] = {}

    def rewrite(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        group = groups.get(node)
        if group is None:
            has_graphs = any(True for _ in node_graphs(node))
            return rewrite_bodies(node, operands, lambda body: _merge(body, opset)) if has_graphs else None
        if node not in done:
            done.update(zip((each.root for each in group), _merged(group, replaced, opset), strict=True))
        return (done[node],)

    return graph.rewrite(rewrite, replaced)


def _groups(graph: Graph) -> dict[Node, list[_Product]]:
    """Products that can be merged, by the node that gives each one's result."""
    readers = readers_of(graph)
    found: dict[Hashable, list[_Product]] = {}
    for node in graph.nodes:
        each = _product(node, readers)
        if each is not None:
            key = (each.x, each.product.op, each.weight.dtype, each.bias is None,
                   tuple(sorted(each.product.attributes.items())))
            found.setdefault(key, []).append(each)
    return {each.root: group for group in found.values() if len(group) > 1 for each in group}


def _product(node: Node, readers: Readers) -> _Product | None:
    if node.op.domain or node.op.name not in ("MatMul", "Gemm") or node.inputs[0] is None or node.inputs[1] is None:
        return None
    weight = constant_array(node.inputs[1])
    if weight is None or weight.ndim != 2 or not shape_of(node.inputs[0]) or len(readers[node.inputs[1]]) != 1:
        return None
    product = _Product(node, node, node.inputs[0], weight, None)
    if node.op.name == "MatMul":
        return _with_bias(product, readers)
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return product
    bias = constant_array(node.inputs[2])
    fits = bias is not None and bias.ndim == 1 and len(bias) in (1, product.columns)
    return _Product(node, node, product.x, weight, np.broadcast_to(bias, product.columns)) if (
        bias is not None and fits) else None


def _with_bias(product: _Product, readers: Readers) -> _Product:
    """The product with the bias that its only reader adds."""
    only = readers.get(product.product.output, ())
    add = only[0] if len(only) == 1 else None
    if add is None or add.op.domain or add.op.name != "Add":
        return product
    other = add.inputs[1 if add.inputs[0] is product.product.output else 0]
    bias = None if other is None else constant_array(other)
    if bias is None or bias.shape != (product.columns,):
        return product
    return _Product(add, product.product, product.x, product.weight, bias)


def _merged(group: list[_Product], replaced: Mapping[Operand, Operand], opset: int) -> tuple[Any, ...]:
    first = group[0]
    axis = 0 if first.product.attributes.get("transB", 0) else 1
    weight = Tensor(np.ascontiguousarray(np.concatenate([each.weight for each in group], axis)))
    biases = [each.bias for each in group if each.bias is not None]
    x = replaced.get(first.x, first.x)
    bias = (Tensor(np.concatenate(biases)),) if biases else ()
    attributes: dict[str, Any] = dict(first.product.attributes)
    if first.product.op.name == "Gemm":
        whole = apply_op(first.product.op, x, weight, *bias, **attributes)
    else:
        whole = apply_op(first.product.op, x, weight)
        whole = apply_op(first.root.op, whole, *bias) if bias else whole
    return _split(whole, [each.columns for each in group], opset)


def _split(x: Operand, sizes: list[int], opset: int) -> tuple[Any, ...]:
    """`x` cut along its last axis."""
    op, axis = find_op("Split", "", opset), len(shape_of(x) or ()) - 1
    if opset >= 13:
        return tuple(apply_op(op, x, np.asarray(sizes, np.int64), outputs=len(sizes), axis=axis))
    return tuple(apply_op(op, x, outputs=len(sizes), axis=axis, split=sizes))
