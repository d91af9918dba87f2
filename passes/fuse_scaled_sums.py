"""Sums with something scaled become one operator of ONNX Runtime's, which reads and writes everything once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op, intern_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import TensorType
from symgraph.core.value import Tensor
from symgraph.passes.block_kernels import Sizes, known_sizes
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, rewrite_regions
from symgraph.runtime.kernels import has_operator
from symgraph.runtime.opsets import choose_opsets

GATED_ADD = intern_op("GatedAdd", "com.microsoft", 1, None)

LARGE = 1024
"""From so many elements on it pays to spread the factors out."""

LONG = 32
"""Rows that have factors of their own are at least so long."""

SHORT = 16
"""Shorter rows of one factor are put behind each other as one row, which one thread works on."""


@relaxed
def fuse_scaled_sums(graph: Graph) -> Graph:
    """u + y*s -> GatedAdd(u, y, s); u - y*s -> GatedAdd(u, y, -s), where s is a number, or one a channel.

    u and y are float32 of the same shape, which is known. It takes as long as the sum alone, and is most of what an
    optimizer does. Where ONNX Runtime has the operator (1.31). Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    if opset < 13 or not has_operator(GATED_ADD.name, GATED_ADD.domain):
        return graph
    return rewrite_regions(graph, lambda node: _find(node, opset))


def _find(node: Node, opset: int) -> Iterator[Region]:
    if node.op.domain or node.op.name not in ("Add", "Sub") or dtype_of(node.output) != "float32":
        return
    is_sum = node.op.name == "Add"
    for u, scaled in in_both_orders(node) if is_sum else iter([(node.inputs[0], node.inputs[1])]):
        sizes, product = known_sizes(u), made_by(scaled, "Mul")
        for y, s in in_both_orders(product):
            rows = None if sizes is None else _rows(sizes, known_sizes(s))
            if u is None or y is None or s is None or product is None or sizes is None or rows is None or (
                    u is scaled or known_sizes(y) != sizes):
                continue
            yield Region((product, node), (u, y, s), _maker(sizes, rows, opset, is_sum=is_sum))
            return


def _rows(sizes: Sizes, factors: Sizes | None) -> int | None:
    """How many axes in front tell rows apart, which have one factor each; None where it is not so, or not worth it."""
    if factors is None or len(factors) > len(sizes) or not sizes or math.prod(sizes) < LARGE:
        return None
    full = (1,) * (len(sizes) - len(factors)) + factors
    if any(n not in (1, size) for n, size in zip(full, sizes, strict=True)):
        return None
    if math.prod(factors) == 1:
        return len(sizes) - 1 if sizes[-1] >= SHORT else 0
    rows = max(i + 1 for i, n in enumerate(full) if n != 1)
    return rows if math.prod(sizes[rows:]) >= LONG else None


def _maker(sizes: Sizes, rows: int, opset: int, *, is_sum: bool) -> Callable[..., Operand]:
    """What makes the node: what is not told apart by row lies in one axis."""
    flat = (*sizes[:rows], math.prod(sizes[rows:]))

    def at(name: str, *inputs: object) -> Any:
        return apply_op(find_op(name, "", opset), *inputs)

    def make(u: Operand, y: Operand, s: Operand) -> Operand:
        gate = _gate(s if is_sum else at("Neg", s), sizes, rows, at)
        if flat != sizes:
            u, y = (at("Reshape", x, np.array(flat, np.int64)) for x in (u, y))
        made = Node(GATED_ADD, (u, y, gate), {}, (TensorType("float32", flat),)).output
        return made if flat == sizes else at("Reshape", made, np.array(sizes, np.int64))

    return make


def _gate(s: Operand, sizes: Sizes, rows: int, at: Callable[..., Any]) -> Operand:
    """The factors, one for each row."""
    wanted, given = (*sizes[:rows], 1), known_sizes(s) or ()
    full = (1,) * (len(sizes) - len(given)) + given
    column = (*full[:rows], 1)
    if isinstance(s, Tensor):
        return Tensor(np.ascontiguousarray(np.broadcast_to(s.numpy().reshape(column), wanted)))
    if given and given != column:
        s = at("Reshape", s, np.array(column, np.int64))
    return s if column == wanted and given else at("Expand", s, np.array(wanted, np.int64))
