"""Gelu and its gradient compute the error function once."""

from __future__ import annotations

import math
from collections.abc import Iterator

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, number, rewrite_regions
from symgraph.runtime.opsets import choose_opsets

ROOT = math.sqrt(0.5)


@relaxed
def share_error_functions(graph: Graph) -> Graph:
    """Gelu(x) -> x*p, (Erf(x*√½) + 1)*½ -> p, with p = HardSigmoid(Erf(x*√½), alpha=½, beta=½), in float32.

    Where the gradient asks for the error function anyway; the operator would compute it a second time. It clips
    nothing, for |Erf| is at most 1. `share_common_subexpressions` makes one of the two. Rounds differently.
    """
    opset = choose_opsets(graph)[""]
    asked = {x for node in graph.by_operator.get("Erf", ()) for x in _scaled(node)}
    return rewrite_regions(graph, lambda node: _find(node, asked, opset)) if asked and opset >= 7 else graph


def _scaled(erf: Node) -> Iterator[Operand]:
    """x, where a node is Erf(x*√½) of floats."""
    for x, factor in in_both_orders(made_by(erf.inputs[0], "Mul") if not erf.op.domain else None):
        value = number(factor)
        if x is not None and dtype_of(x) == "float32" and value is not None and math.isclose(value, ROOT, rel_tol=1e-6):
            yield x


def _find(node: Node, asked: set[Operand], opset: int) -> Iterator[Region]:
    if node.op.domain:
        return

    def distribution(x: Operand) -> Operand:
        scaled = apply_op(find_op("Mul", "", opset), x, ROOT)
        erf = apply_op(find_op("Erf", "", opset), scaled)
        return apply_op(find_op("HardSigmoid", "", opset), erf, alpha=0.5, beta=0.5)  # type: ignore[no-any-return]

    x = node.inputs[0] if node.inputs else None
    if node.op.name == "Gelu" and x in asked and attribute(node, "approximate", "none") in ("none", b"none"):
        yield Region((node,), (x,), lambda x: apply_op(find_op("Mul", "", opset), x, distribution(x)))
    for total, half in in_both_orders(node if node.op.name == "Mul" else None):
        add = made_by(total, "Add")
        for y, one in in_both_orders(add):
            erf = made_by(y, "Erf")
            if add is None or erf is None or number(half) != 0.5 or number(one) != 1:
                continue
            for argument in _scaled(erf):
                yield Region((add, node), (argument,), distribution)
