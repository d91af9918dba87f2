"""What normalisations divide by, as exporters write it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import constant_array
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute, attributes_of
from symgraph.passes.matching import Region, dtype_of, in_both_orders, kept_axes, made_by, number


@dataclass(frozen=True)
class Moments:
    """x, its mean where that is taken away, and what is added to its mean square; the nodes that compute it."""

    x: Operand
    mean: Operand | None
    axes: tuple[int, ...]
    epsilon: float
    nodes: tuple[Node, ...]


Find = Callable[[Operand | None], Moments | None]


def inverse(x: Operand | None, find: Find) -> Moments | None:
    """The moments v in 1 / sqrt(v)."""
    node = made_by(x, "Reciprocal", "Div", "Pow")
    if node is None:
        return None
    if node.op.name == "Pow":
        return _after(node, find(node.inputs[0])) if number(node.inputs[1]) == -0.5 else None
    if node.op.name == "Div" and number(node.inputs[0]) != 1:
        return None
    return _after(node, deviation(node.inputs[-1], find))


def deviation(x: Operand | None, find: Find) -> Moments | None:
    """The moments v in sqrt(v)."""
    node = made_by(x, "Sqrt", "Pow")
    if node is None or (node.op.name == "Pow" and number(node.inputs[1]) != 0.5):
        return None
    return _after(node, find(node.inputs[0]))


def _after(node: Node, moments: Moments | None) -> Moments | None:
    return moments and Moments(moments.x, moments.mean, moments.axes, moments.epsilon, (*moments.nodes, node))


def variance(x: Operand | None) -> Moments | None:
    """The moments in mean((x - mean(x))^2) + e."""
    found = mean_square(x)
    centred = None if found is None else made_by(found.x, "Sub")
    if found is None or centred is None:
        return None
    y, mean = centred.inputs
    middle = made_by(mean, "ReduceMean")
    if y is None or mean is None or middle is None or middle.inputs[0] is not y or kept_axes(middle) != found.axes:
        return None
    return Moments(y, mean, found.axes, found.epsilon, (centred, *found.nodes))


def mean_square(x: Operand | None) -> Moments | None:
    """The moments in mean(x^2) + e."""
    total = made_by(x, "Add")
    for mean, added in in_both_orders(total):
        epsilon, reduced = number(added), made_by(mean, "ReduceMean")
        square = None if reduced is None else made_by(reduced.inputs[0], "Mul", "Pow")
        if total is None or epsilon is None or epsilon <= 0 or square is None or reduced is None:
            continue
        y, axes = square.inputs[0], kept_axes(reduced)
        other = square.inputs[1]
        is_square = number(other) == 2 if square.op.name == "Pow" else other is y
        if is_square and y is not None and axes is not None:
            return Moments(y, None, axes, epsilon, (square, reduced, total))
    return None


def uncast(node: Node, name: str) -> Iterator[Region]:
    """Cast(f(Cast(x), w)) -> f(x, w) for float16, which normalisations reckon in float32 themselves."""
    inner = made_by(node.inputs[0], name)
    cast = None if inner is None else made_by(inner.inputs[0], "Cast")
    if inner is None or cast is None or len(inner.outputs) > 1 or attribute(inner, "stash_type", 1) != 1:
        return
    x, weights = cast.inputs[0], [None if y is None else constant_array(y) for y in inner.inputs[1:]]
    if x is None or dtype_of(x) != "float16" or dtype_of(node.output) != "float16" or any(
            w is None or not np.array_equal(w, w.astype(np.float16)) for w in weights):
        return
    given = [Tensor(w.astype(np.float16)) for w in weights if w is not None]
    yield Region((cast, inner, node), (x,), lambda x: apply_op(inner.op, x, *given, **attributes_of(inner)))
