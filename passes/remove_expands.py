"""Values spread out for operators that spread them out themselves."""

from __future__ import annotations

import numpy as np

from symgraph.core.graph import Graph, copy_node, node_graphs
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import numpy_dtype
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.exactness import relaxed
from symgraph.passes.known_shapes import KnownShapes
from symgraph.passes.matching import dtype_of, made_by
from symgraph.passes.shape_rules import broadcast

SPREADING = frozenset({
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Mul", "Or", "Sub", "Where", "Xor"})
"""Operators that broadcast, and round alike whichever way their inputs are laid out."""

_SPREAD = frozenset({"Expand", "ConstantOfShape"})


@relaxed
def remove_expands(graph: Graph) -> Graph:
    """f(Expand(x, s), y) -> f(x, y); f(ConstantOfShape(s, c), y) -> f(c, y), where f broadcasts.

    Only where the result stays as large, whatever the open dimensions are. Relaxed, because the sign of a zero that
    ONNX Runtime's Where gives depends on how its inputs are laid out.
    """
    if not graph.with_graphs and _SPREAD.isdisjoint(graph.by_operator):
        return graph
    sizes = KnownShapes(graph)

    def remove(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        sizes.visit(node)
        if node_graphs(node):
            return rewrite_bodies(node, operands, remove_expands)
        if node.op.domain or node.op.name not in SPREADING or node.op.version < 7:
            return None
        inputs, given = list(node.inputs), list(operands)
        for place, x in enumerate(node.inputs):
            source = _unspread(x)
            if source is None or not _is_as_large(sizes, node, [*inputs[:place], source, *inputs[place + 1:]]):
                continue
            inputs[place] = source
            given[place] = _replaced(operands[place], source)
        changed = any(a is not b for a, b in zip(inputs, node.inputs, strict=True))
        return copy_node(node, tuple(given)).outputs if changed else None

    return graph.rewrite(remove)


def _unspread(x: Operand | None) -> Operand | None:
    """What an Expand or a ConstantOfShape spreads out."""
    maker = made_by(x, *_SPREAD)
    if maker is None:
        return None
    if maker.op.name == "Expand":
        return maker.inputs[0]
    return _constant(maker)


def _constant(maker: Node) -> Tensor | None:
    """The number that a ConstantOfShape repeats, as a scalar."""
    value = maker.attributes.get("value")
    dtype = dtype_of(maker.output)
    if value is None:
        return Tensor(np.zeros((), np.float32))
    return Tensor(value.reshape(()).astype(numpy_dtype(dtype))) if isinstance(value, np.ndarray) and dtype else None


def _replaced(operand: Operand | None, source: Operand) -> Operand:
    """The same source after what stands before it was replaced."""
    maker = made_by(operand, "Expand")
    return source if maker is None or maker.inputs[0] is None else maker.inputs[0]


def _is_as_large(sizes: KnownShapes, node: Node, inputs: list[Operand | None]) -> bool:
    """Whether the result keeps its shape with these inputs."""
    shapes = [() if isinstance(x, Tensor) and not x.ndim else sizes.shape(x) for x in inputs]
    known = [s for s in shapes if s is not None]
    wanted = sizes.shape(node.outputs[0])
    return wanted is not None and len(known) == len(shapes) and broadcast(known) == wanted
