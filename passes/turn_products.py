"""A product that is transposed is a product of its operands transposed, the other way round."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, constant_array
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import is_floating
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, made_by, rewrite_regions, shape_of
from symgraph.runtime.opsets import choose_opsets


@relaxed
def turn_products(graph: Graph) -> Graph:
    """T(Gemm(a, b, c)) -> Gemm(b, a, T(c), transA=1, transB=1), and so T(a @ b) of matrices.

    c must be absent or a constant. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    return rewrite_regions(graph, lambda node: _find(node, opset)) if opset >= 11 else graph


def _find(node: Node, opset: int) -> Iterator[Region]:
    product = made_by(node.inputs[0], "Gemm", "MatMul") if node.op.name == "Transpose" and not node.op.domain else None
    if product is None or attribute(node, "perm", (1, 0)) != (1, 0):
        return
    a, b = product.inputs[:2]
    c = product.inputs[2] if len(product.inputs) > 2 else None
    dtype = dtype_of(product.output)
    turned = None if c is None else _turned(c)
    if a is None or b is None or (c is None) != (turned is None) or not is_floating(dtype) or dtype == "bfloat16" or (
            any(len(shape_of(x) or ()) != 2 for x in (a, b))):
        return
    attributes = {**product.attributes, "transA": 1 - attribute(product, "transB", 0),
                  "transB": 1 - attribute(product, "transA", 0)}
    bias = () if turned is None else (turned,)
    op = find_op("Gemm", "", opset)
    yield Region((product, node), (b, a), lambda b, a: apply_op(op, b, a, *bias, **attributes))


def _turned(c: Operand) -> Tensor | None:
    """The transpose of a constant that is spread over a matrix."""
    array = constant_array(c)
    if array is None or array.ndim > 2:
        return None
    rows = array.reshape((1,) * (2 - array.ndim) + array.shape)
    return Tensor(np.ascontiguousarray(rows.T))
