"""Gradients of sequences: sequences of gradients. That of an optional is that of what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.gradient import Gradients, gradient_of, not_differentiable
from symgraph.core.graph import Graph
from symgraph.core.op import Op, find_op
from symgraph.core.scope import Trace, tracing
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import SequenceType, ValueType
from symgraph.ops.applying import apply
from symgraph.ops.indexing_gradient import blank
from symgraph.ops.sizes import ints

not_differentiable("its output is a number of elements", "SequenceLength")
not_differentiable("its output says whether there is an element", "OptionalHasElement")
not_differentiable("it has no inputs", "SequenceEmpty", "Constant")


def map_sequence(function: Callable[..., Operand], *sequences: Operand) -> Operand:
    """`function` of the elements of sequences of one length, one after the other (ONNX SequenceMap)."""
    elements = [placeholder(_element(x), f"x{i}") for i, x in enumerate(sequences)]
    with tracing(Trace()):
        body = Graph(elements, [function(*elements)], name="body")
    node = Node(find_op("SequenceMap"), sequences, {"body": body}, (SequenceType(body.outputs[0].type),))
    return node.output


def _element(x: Operand) -> ValueType | None:
    return x.type.element if isinstance(x.type, SequenceType) else None


def add_sequences(x: Operand, y: Operand) -> Operand:
    """The sums of the elements of two sequences of one length."""
    return map_sequence(lambda a, b: apply("Add", a, b), x, y)


def _from_front(position: Operand, sequence: Operand) -> Operand:
    """A place in `sequence`, which negative numbers count from its end."""
    place = apply("Cast", position, to=7)
    counted = place + apply("SequenceLength", sequence)
    return apply("Where", apply("Less", place, np.int64(0)), counted, place)


@gradient_of("SequenceConstruct")
def _construct_gradient(dy: Operand, y: Operand, *xs: Operand) -> Gradients:
    return [lambda i=i: apply("SequenceAt", dy, np.int64(i)) for i in range(len(xs))]  # type: ignore[misc]


@gradient_of("SequenceAt")
def _at_gradient(dy: Operand, y: Operand, sequence: Operand, position: Operand) -> Operand:
    place = _from_front(position, sequence)
    others = apply("SequenceErase", map_sequence(blank, sequence), place)
    return apply("SequenceInsert", others, dy, place)


@gradient_of("SequenceInsert")
def _insert_gradient(dy: Operand, y: Operand, sequence: Operand, x: Operand, position: Operand | None = None,
                     ) -> Gradients:
    place = None if position is None else _from_front(position, sequence)
    return (lambda: apply("SequenceErase", dy, place),
            lambda: apply("SequenceAt", dy, np.int64(-1) if place is None else place))


@gradient_of("SequenceErase")
def _erase_gradient(dy: Operand, y: Operand, sequence: Operand, position: Operand | None = None) -> Operand:
    place = None if position is None else _from_front(position, sequence)
    erased = apply("SequenceAt", sequence, np.int64(-1) if place is None else place)
    return apply("SequenceInsert", dy, blank(erased), place)


@gradient_of("SplitToSequence")
def _split_gradient(dy: Operand, y: Operand, x: Operand, split: Operand | None = None, *, axis: int = 0,
                    keepdims: int = 1) -> Operand:
    return apply("ConcatFromSequence", dy, axis=axis, new_axis=int(split is None and not keepdims))


@gradient_of("ConcatFromSequence")
def _concat_gradient(dy: Operand, y: Operand, sequence: Operand, *, axis: int, new_axis: int = 0) -> Operand:
    if new_axis:
        return apply("SplitToSequence", dy, axis=axis, keepdims=0)
    sizes = map_sequence(lambda x: apply("Gather", apply("Shape", x), ints(axis)), sequence)
    return apply("SplitToSequence", dy, apply("ConcatFromSequence", sizes, axis=0), axis=axis)


@gradient_of("Optional", "OptionalGetElement")
def _optional_gradient(dy: Operand, y: Operand, x: Operand | None = None, *, type: object = None) -> Operand:
    return dy


def gradient_of_elements(op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any],
                         ) -> Callable[..., Sequence[Operand]] | None:
    """The gradients of the inputs by those of all elements, of an op that has made a Python list of values."""
    axis = attributes.get("axis", 0)
    if op.name == "SequenceConstruct":
        return lambda *dys: dys
    if op.name != "SplitToSequence":
        return None
    if len(inputs) == 1 and not attributes.get("keepdims", 1):
        return lambda *dys: (apply("Concat", *(apply("Unsqueeze", dy, ints(axis)) for dy in dys), axis=axis),)
    return lambda *dys: (apply("Concat", *dys, axis=axis),)
