"""Gelu and its gradient compute the error function once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

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
    """Gelu(x) -> x*p, (Erf(z) + 1)*½ -> p, x*Exp(x*x*-½) -> x / Exp(z*z), with z = x*√½ and
    p = HardSigmoid(Erf(z), alpha=½, beta=½), in float32.

    Where the gradient asks for the error function anyway; the operator would compute it a second time. It clips
    nothing, for |Erf| is at most 1. `share_common_subexpressions` makes one of each. Rounds differently, and is 0
    where the density is too small for a normal number.
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

    def at(name: str, *operands: object, **attributes: Any) -> Any:
        return apply_op(find_op(name, "", opset), *operands, **attributes)

    def distribution(x: Operand) -> Operand:
        return at("HardSigmoid", at("Erf", at("Mul", x, ROOT)), alpha=0.5, beta=0.5)  # type: ignore[no-any-return]

    def density(x: Operand) -> Operand:
        z = at("Mul", x, ROOT)
        return at("Div", x, at("Exp", at("Mul", z, z)))  # type: ignore[no-any-return]

    x = node.inputs[0] if node.inputs else None
    if node.op.name == "Gelu" and x in asked and attribute(node, "approximate", "none") in ("none", b"none"):
        yield Region((node,), (x,), lambda x: at("Mul", x, distribution(x)))
    for total, half in in_both_orders(node if node.op.name == "Mul" else None):
        if total in asked and (inner := _bell(half, total)):
            yield Region((*inner, node), (total,), density)
        add = made_by(total, "Add")
        for y, one in in_both_orders(add):
            erf = made_by(y, "Erf")
            if add is None or erf is None or number(half) != 0.5 or number(one) != 1:
                continue
            for argument in _scaled(erf):
                yield Region((add, node), (argument,), distribution)


def _bell(y: Operand | None, x: Operand | None) -> tuple[Node, ...]:
    """The nodes of y = Exp(x*x*-½), or none."""
    exp = made_by(y, "Exp")
    product = None if exp is None else made_by(exp.inputs[0], "Mul")
    for square, factor in in_both_orders(product):
        power = made_by(square, "Mul")
        if exp and product and power and number(factor) == -0.5 and power.inputs[0] is x is power.inputs[1]:
            return power, product, exp
    return ()
