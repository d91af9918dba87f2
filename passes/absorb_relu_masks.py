"""Gradients of pools of a Relu leave out what the Relu cut off, so that nobody has to multiply by zeros."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from symgraph.core.composite import DOMAIN
from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.ops.pooling_gradient import tiled_gradient
from symgraph.passes.attributes import attribute
from symgraph.passes.matching import Region, in_both_orders, made_by, number, rewrite_regions


def absorb_relu_masks(graph: Graph) -> Graph:
    """TiledMaxPoolGrad(dy, x, y) * Cast(x > 0) -> TiledMaxPoolGrad(dy, x, y, above_zero=1), where x is a Relu's.

    Besides the product this spares telling equal maxima apart in windows where the Relu has left nothing but zeros.
    """
    return rewrite_regions(graph, _find)


def _find(node: Node) -> Iterator[Region]:
    if node.op.name != "Mul" or node.op.domain:
        return
    for dx, mask in in_both_orders(node):
        pool = dx.node if isinstance(dx, SymbolicTensor) else None
        if pool is None or pool.op.name != "TiledMaxPoolGrad" or pool.op.domain != DOMAIN or (
                pool.attributes["above_zero"]):
            continue
        dy, x, y = pool.inputs
        if dy is None or x is None or y is None or made_by(x, "Relu") is None or not _is_above_zero(mask, x):
            continue
        yield Region((pool, node), (dy, x, y), partial(_absorbed, window=attribute(pool, "window")))


def _absorbed(dy: Operand, x: Operand, y: Operand, *, window: tuple[int, ...]) -> Operand:
    return tiled_gradient(dy, x, y, window, above_zero=True)


def _is_above_zero(mask: Operand | None, x: Operand) -> bool:
    """Whether `mask` is 1 where x is above 0, else 0."""
    cast = made_by(mask, "Cast")
    greater = None if cast is None else made_by(cast.inputs[0], "Greater")
    return greater is not None and greater.inputs[0] is x and number(greater.inputs[1]) == 0
