"""Masks of what a Relu let through, computed in one operator of floats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, made_by, number, rewrite_regions
from symgraph.runtime.opsets import choose_opsets

STEEPEST = float(np.finfo(np.float32).max)


@relaxed
def replace_masks(graph: Graph) -> Graph:
    """Cast(x > 0) -> HardSigmoid(x, alpha=3.4e38, beta=0), where x is a Relu's, in float32.

    It is `min(max(alpha x, 0), 1)`: 1 for all numbers above 3e-39, half the time. NaN gives NaN instead of 0.
    """
    opset = choose_opsets(graph)[""]
    return rewrite_regions(graph, lambda node: _find(node, opset)) if opset >= 6 else graph


def _find(node: Node, opset: int) -> Iterator[Region]:
    greater = made_by(node.inputs[0], "Greater") if node.op.name == "Cast" and not node.op.domain else None
    if greater is None or dtype_of(node.output) != "float32" or number(greater.inputs[1]) != 0:
        return
    x = greater.inputs[0]
    if x is None or made_by(x, "Relu") is None or dtype_of(x) != "float32":
        return
    op = find_op("HardSigmoid", "", opset)
    yield Region((greater, node), (x,), lambda x: apply_op(op, x, alpha=STEEPEST, beta=0.0))
