"""Constants that change nothing: tensors of ones that multiply, of zeros that are subtracted, and states of zeros."""

from __future__ import annotations

import numpy as np

from symgraph.core.graph import Graph, constant_array, copy_node, node_graphs
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import is_floating
from symgraph.core.value import Array
from symgraph.passes.attributes import attribute
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.matching import dtype_of, made_by, shape_of

STATES = {"RNN": (5,), "GRU": (5,), "LSTM": (5, 6)}
"""Where recurrent operators take their first states, which are zeros where they are left out."""


ARRANGING = frozenset({
    "Expand", "Reshape", "Unsqueeze", "Squeeze", "Slice", "Split", "Transpose", "Identity", "Gather"})
"""Operators whose output holds only what the first input holds."""


def remove_neutral(graph: Graph) -> Graph:
    """x * [1, 1] -> x, x / [1, 1] -> x, x - [0, 0] -> x, x + [-0.0, -0.0] -> x where x is as large as the result.

    LSTM(x, …, h=zeros) -> LSTM(x, …), RNN and GRU likewise.
    """
    return graph.rewrite(_removed)


def _removed(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    if any(True for _ in node_graphs(node)):
        return rewrite_bodies(node, operands, remove_neutral)
    if node.op.domain:
        return None
    if node.op.name in STATES:
        return _without_states(node, operands)
    if node.op.name not in ("Mul", "Div", "Sub", "Add") or node.op.version < 7:
        return None
    places = ((0, 1), (1, 0)) if node.op.name in ("Mul", "Add") else ((0, 1),)
    for place, other in places:
        x, constant = operands[place], operands[other]
        array = None if constant is None else constant_array(constant)
        if x is not None and array is not None and array.size and _is_neutral(node.op.name, array, dtype_of(x)) and (
                _is_no_larger(array.shape, x)):
            return (x,)
    return None


def _is_neutral(name: str, array: Array, dtype: str) -> bool:
    if name == "Mul" or (name == "Div" and is_floating(dtype)):
        return bool((array == 1).all())
    if name == "Sub":
        return bool((array == 0).all() and not np.signbit(array.astype(np.float64)).any())
    return name == "Add" and bool((array == 0).all() and (
        not is_floating(dtype) or np.signbit(array.astype(np.float64)).all()))


def _is_no_larger(constant: tuple[int, ...], x: Operand) -> bool:
    """Whether a constant of this shape broadcasts to the shape of `x`."""
    shape = shape_of(x)
    return shape is not None and len(constant) <= len(shape) and all(
        size in (1, d) for size, d in zip(constant[::-1], shape[::-1], strict=False))


def _without_states(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
    places = [place for place in STATES[node.op.name] if place < len(node.inputs) and _is_zeros(operands[place])]
    if not places:
        return None
    return copy_node(node, tuple(None if place in places else x for place, x in enumerate(operands))).outputs


def _is_zeros(x: Operand | None) -> bool:
    """Whether a value holds nothing but zeros, whatever its size."""
    array = None if x is None else constant_array(x)
    if array is not None:
        return bool((array == 0).all() and not np.signbit(array.astype(np.float64)).any())
    filled = made_by(x, "ConstantOfShape")
    if filled is not None:
        value = attribute(filled, "value")
        return value is None or not np.asarray(value.numpy() if hasattr(value, "numpy") else value).any()
    maker = x.node if isinstance(x, SymbolicTensor) else None
    return maker is not None and not maker.op.domain and maker.op.name in ARRANGING and _is_zeros(maker.inputs[0])
