"""What is multiplied by one over a root is divided by the root."""

from __future__ import annotations

from typing import Any

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.ops.onnx_op import onnx
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import dtype_of
from symgraph.passes.rules import rule
from symgraph.runtime.opsets import choose_opsets

FLOATS = ("float32", "float64", "float16")


@relaxed
def divide_by_root(graph: Graph) -> Graph:
    """x * (1 / sqrt(v)) -> x / sqrt(v). Rounds differently.

    Not so for any divisor: the inverse of a number close to zero is infinite, the quotient need not be. A root is 0 or
    far from it.
    """
    opset = choose_opsets(graph)[""]
    if opset < 7:
        return graph
    divide, root = find_op("Div", "", opset), find_op("Sqrt", "", opset)

    def after(x: Any, v: Any) -> Any:
        return apply_op(divide, x, apply_op(root, v))

    def is_real(x: Operand, v: Operand) -> bool:
        return dtype_of(x) in FLOATS and dtype_of(v) == dtype_of(x) and not isinstance(x, Tensor)

    for before in (lambda x, v: x * (1.0 / onnx("Sqrt", v)), lambda x, v: x * onnx("Reciprocal", onnx("Sqrt", v))):
        graph = rule(before, after, when=is_real, name="divide_by_root", exact=False)(graph)
    return graph
