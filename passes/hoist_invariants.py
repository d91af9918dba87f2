"""What every turn of a loop computes alike is computed once, before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from symgraph.core.graph import Graph, constant_array, copy_node
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, is_integer
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.matching import dtype_of, shape_of
from symgraph.passes.remove_unused import States
from symgraph.passes.rules import is_same_type
from symgraph.passes.traits import ELEMENTWISE

Operands = tuple[Operand | None, ...]


def hoist_invariants(graph: Graph) -> Graph:
    """Loop(body with f(c)) -> y = f(c); Loop(body with y), for c that no turn changes; of Scan as well.

    A state that the body hands on as it is counts as c, and its result is what it was before. Never random nodes or
    nodes with graphs. Where the loop may not run at all, only nodes that cannot fail and make nothing larger than what
    they read: a division of whole numbers, or a product of matrices whose sizes are open, stays inside.
    """
    return graph.rewrite(_hoist, operators=("Loop", "Scan"))


def _hoist(node: Node, operands: Operands) -> Operands | None:
    outputs = rewrite_bodies(node, operands, hoist_invariants)
    inner = node if outputs is None else next(x.node for x in outputs if x is not None)
    is_loop = node.op.name in ("Loop", "Scan") and not node.op.domain and (
        node.op.name == "Loop" or node.op.version >= 9)
    return (_hoisted(inner, operands) if is_loop else None) or outputs


def _hoisted(loop: Node, operands: Operands) -> Operands | None:
    states = States(loop)
    body, inputs = states.body, operands[:len(loop.inputs)]
    steady = _steady(inputs, states)
    outer: dict[Operand, Operand | None] = dict(zip(body.captures, operands[len(loop.inputs):], strict=True))
    outer.update(steady)
    always = _runs(loop, inputs, states)
    found: dict[Operand, Operand] = {}
    for node in body.nodes:
        if not _is_invariant(node, outer) or not (always or _is_harmless(node)):
            continue
        copy = copy_node(node, tuple(None if x is None else outer.get(x, x) for x in node.operands))
        for old, new in zip(node.outputs, copy.outputs, strict=True):
            if old is not None and new is not None:
                outer[old] = found[old] = new
    needed = {**{x: found[x] for x in _read_inside(body, found)}, **steady}
    if not needed:
        return None
    results = list(_with_captures(loop, inputs, body, operands, needed))
    for i, x in enumerate(body.inputs[states.start:states.start + states.count]):
        if x in steady:
            results[i] = steady[x]
    return tuple(results)


def _steady(inputs: Operands, states: States) -> dict[Operand, Operand]:
    """The states that a body hands on as they are, and what they are."""
    body, found = states.body, dict[Operand, Operand]()
    for i in range(states.count):
        x, value = body.inputs[states.start + i], inputs[states.start + i]
        if value is not None and body.outputs[states.first + i] is x and is_same_type(x.type, value.type):
            found[x] = value
    return found


def _is_invariant(node: Node, outer: Mapping[Operand, Operand | None]) -> bool:
    """Whether a node computes the same in every turn, and from something that is not a constant."""
    given = [x for x in node.operands if x is not None and not isinstance(x, Tensor)]
    return node.op.is_deterministic and node.body is None and not node.subgraphs() and bool(given) and all(
        x in outer or not isinstance(x, SymbolicTensor) for x in given)


def _read_inside(body: Graph, found: Mapping[Operand, Operand]) -> Iterable[Operand]:
    """Which of the values that are computed outside are read by what stays in the body, or returned."""
    left = [node.operands for node in body.nodes if not any(x in found for x in node.outputs if x is not None)]
    return dict.fromkeys(x for operands in (*left, body.outputs) for x in operands if x is not None and x in found)


def _with_captures(loop: Node, inputs: Operands, body: Graph, operands: Operands, values: Mapping[Operand, Operand],
                   ) -> Operands:
    """The loop whose body reads `values` from outside instead of computing them."""
    symbols: dict[Operand, Operand] = {}
    captured: list[SymbolicTensor] = []
    for old, new in values.items():
        if not isinstance(new, SymbolicTensor):
            symbols[old] = new
            continue
        symbol = SymbolicTensor(new.type, name=new.name)
        symbol.data = new.data
        symbols[old] = symbol
        captured.append(symbol)
    wider = Graph(body.inputs, body.outputs, captures=(*body.captures, *captured), name=body.name, opsets=body.opsets,
                  metadata=body.metadata)
    changed = wider.rewrite(lambda node, given: None, dict(symbols))
    added = (x for x in values.values() if isinstance(x, SymbolicTensor))
    captures = tuple(x for x in (*operands[len(inputs):], *added) if x is not None)
    copy = Node(loop.op, inputs, {**loop.attributes, "body": changed},
                tuple(None if x is None else x.type for x in loop.outputs), captures=captures, absent=loop.absent,
                name=loop.name, layer=loop.layer, source=loop.source)
    for a, b in zip(loop.outputs, copy.outputs, strict=True):
        if a is not None and b is not None:
            b.hint, b.call = a.hint, a.call
    return copy.outputs


def _runs(loop: Node, inputs: Operands, states: States) -> bool:
    """Whether the body certainly runs once."""
    if loop.op.name == "Scan":
        axes = loop.attributes.get("scan_input_axes", ())
        lengths = [_length(x, axes[i] if isinstance(axes, tuple) and axes else 0)
                   for i, x in enumerate(inputs[states.count:])]
        return any(n is not None and n > 0 for n in lengths)
    turns, condition = (None if x is None else constant_array(x) for x in inputs[:2])
    may_turn = inputs[0] is None or (turns is not None and int(turns.item()) > 0)
    return may_turn and (inputs[1] is None or (condition is not None and bool(condition.item())))


def _length(x: Operand | None, axis: int) -> int | None:
    shape = shape_of(x)
    size = shape[axis] if shape else None
    return size if isinstance(size, int) else None


PLAIN = frozenset({"Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min",
                   "Mul", "Or", "Pow", "Sub", "Where", "Xor"})
"""Operators that never fail on shapes that fit; those that divide, only of numbers with a fraction."""

OF_SHAPE = frozenset({"Shape", "Size", "Transpose", "Identity", "Softmax", "LogSoftmax", "Unsqueeze"})
"""Operators that never fail on one tensor of known rank."""

OF_KNOWN_SIZES = frozenset({
    "MatMul", "Gemm", "Concat", "ReduceSum", "ReduceMean", "LayerNormalization", "Flatten", "Conv", "Squeeze"})
"""Operators that never fail on sizes that are all known and that type inference took, none of them 0."""


def _is_harmless(node: Node) -> bool:
    """Whether a node can be run for nothing: it never fails, and its result is no larger than what it reads."""
    if node.op.domain or any(not isinstance(x.type, TensorType) for x in node.operands if x is not None):
        return False
    if any(dtype_of(x) == "string" for x in (*node.operands, *node.outputs)):
        return False
    name, inputs = node.op.name, [x for x in node.inputs if x is not None]
    if name in ELEMENTWISE:
        return True
    if name in PLAIN:
        divides = name in ("Div", "Pow") and any(is_integer(dtype_of(x)) for x in inputs)
        return not divides and _broadcasts(inputs)
    if any(not isinstance(x, Tensor) for x in inputs[1:]) and name in (*OF_SHAPE, "Squeeze"):
        return False
    if name in OF_SHAPE:
        return shape_of(inputs[0]) is not None
    return name in OF_KNOWN_SIZES and all(map(_is_sized, node.inputs)) and all(map(_is_sized, node.outputs)) and (
        sum(map(_elements, node.outputs)) <= sum(map(_elements, node.inputs)))


def _broadcasts(inputs: list[Operand]) -> bool:
    """Whether shapes certainly fit, and one of them is that of the result."""
    shapes = [shape_of(x) for x in inputs]
    largest = max((s for s in shapes if s is not None), key=len, default=())
    return all(s is not None and all(a == 1 or (a is not None and a == b)
                                     for a, b in zip(reversed(s), reversed(largest), strict=False)) for s in shapes)


def _is_sized(x: Operand | None) -> bool:
    shape = () if x is None else shape_of(x)
    return shape is not None and all(isinstance(d, int) and d > 0 for d in shape)


def _elements(x: Operand | None) -> int:
    return math.prod(d for d in shape_of(x) or () if isinstance(d, int)) if x is not None else 0
