"""What the way back over a loop needs of the way forward: the states before each step, and the number of steps.

A copy of the loop records them as further results, unless it has them among its results already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.apply import placeholder, record
from symgraph.core.errors import GradientError
from symgraph.core.gradient import Application
from symgraph.core.graph import Graph, bind
from symgraph.core.op import find_op
from symgraph.core.scope import Trace, tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.sizes import ints
from symgraph.ops.subgraph import own_outputs


def record_scan(each: Application, needed: Sequence[int]) -> dict[int, Operand]:
    """The states `needed` of a Scan before each step, in the order of the steps, stacked along a first axis."""
    body: Graph = each.attributes["body"]
    count = each.attributes["num_scan_inputs"]
    states = len(body.inputs) - count
    found: dict[int, Operand] = {}
    for k in needed:
        for i, y in enumerate(each.outputs[states:]):
            is_plain = not (each.attributes.get("scan_output_axes") or (0,) * (i + 1))[i] and not (
                each.attributes.get("scan_output_directions") or (0,) * (i + 1))[i]
            if y is not None and is_plain and _is_copy(body.outputs[states + i], body.inputs[k]):
                found[k] = y
    missing = [k for k in needed if k not in found]
    if missing:
        outputs = [*body.outputs[:states], *(_copy(body.inputs[k]) for k in missing)]
        graph = Graph(body.inputs, outputs, captures=body.captures, name=body.name, opsets=body.opsets)
        kept = {name: value for name, value in each.attributes.items()
                if name in ("num_scan_inputs", "scan_input_axes", "scan_input_directions")}
        types = [x.type for x in each.operands[:states] if x is not None]
        length = _length_of_scan(each, states)
        types += [_stacked(length, body.inputs[k].type) for k in missing]
        node = Node(each.op, each.inputs, {"body": graph, **kept}, tuple(types), captures=_captures(each))
        found.update((k, y) for k, y in zip(missing, node.outputs[states:], strict=True) if y is not None)
    return {k: found[k] for k in needed}


def _length_of_scan(each: Application, states: int) -> int | str | None:
    x = each.inputs[states]
    axis = (each.attributes.get("scan_input_axes") or (0,))[0]
    return x.type.shape[axis] if x is not None and isinstance(x.type, TensorType) and x.type.shape else None


@dataclass(frozen=True)
class Flat:
    """States of changing shapes: their elements one after another, and the shapes."""

    elements: Operand
    shapes: Operand


@dataclass(frozen=True)
class History:
    """What a Loop has recorded: how many steps it took, the states before each, and the last ones."""

    steps: Operand
    stacked: Mapping[int, Operand]
    flat: Mapping[int, Flat]
    finals: tuple[Operand, ...]


def record_loop(each: Application, body: Graph, needed: Sequence[int]) -> History:
    """The states `needed` of a Loop before each step; `body` is its body, perhaps with more known of its types.

    Errors: `GradientError` for a state of unknown rank.
    """
    states = len(body.inputs) - 2
    ys = (*each.outputs, *(None,) * (states - len(each.outputs)))
    results = range(states, len(ys))
    found = {k: y for k in needed for i in results
             if (y := ys[i]) is not None and _is_copy(body.outputs[1 + i], body.inputs[2 + k])}
    missing = [k for k in needed if k not in found]
    steps = next((_length(y) for i in results if (y := ys[i]) is not None and y.type is not None), None)
    finals = ys[:states]
    flat: dict[int, Flat] = {}
    if missing or steps is None or any(y is None for y in finals):
        constant = _of_constant_shape(body, missing)
        node = _recording_loop(each, body, [k for k in missing if k in constant], [
            k for k in missing if k not in constant])
        made: list[Any] = list(node.outputs)
        changing = [k for k in missing if k not in constant]
        buffers = made[states:states + len(changing)]
        numbers, *rows = made[states + len(changing):]
        found.update(zip([k for k in missing if k in constant], rows, strict=False))
        shapes = rows[len(constant):]
        flat = {k: Flat(b, s) for k, b, s in zip(changing, buffers, shapes, strict=True)}
        steps, finals = _length(numbers), tuple(made[:states])
    return History(steps, found, flat, finals)  # type: ignore[arg-type]


def with_known_ranks(body: Graph, starts: Sequence[Operand | None]) -> Graph:
    """The body of a Loop, where it does not say the rank of a carried value with that of the first one, if it stays."""
    types = [x.type for x in body.inputs]
    if all(_rank(t) is not None for t in types[2:]):
        return body
    for i, start in enumerate(starts, 2):
        if start is not None and _rank(types[i]) is None and _rank(start.type) is not None:
            types[i] = TensorType(start.dtype, (None,) * start.ndim)
    symbols = [placeholder(t, x.name) for t, x in zip(types, body.inputs, strict=True)]
    with tracing(Trace()):
        outputs = bind(body, (*symbols, *body.captures))
    if any(_rank(y.type) != _rank(x.type) for x, y in zip(symbols[2:], outputs[1:], strict=False)):
        return body
    return Graph(symbols, own_outputs(outputs, (*symbols, *body.captures)), captures=body.captures, name=body.name,
                 opsets=body.opsets)


def _rank(value_type: ValueType | None) -> int | None:
    return len(value_type.shape) if isinstance(value_type, TensorType) and value_type.shape is not None else None


def _recording_loop(each: Application, body: Graph, stacked: Sequence[int], flat: Sequence[int]) -> Node:
    """A Loop that gives the final states, elements of those in `flat`, the numbers of the steps, and the histories."""
    begin = [_flattened_start(body.inputs[2 + k]) for k in flat]
    buffers = [placeholder(TensorType(x.dtype, (None,)), "elements") for x in begin]
    outputs = [*body.outputs[:len(body.inputs) - 1]]
    for k, buffer in zip(flat, buffers, strict=True):
        outputs.append(apply("Concat", buffer, apply("Reshape", body.inputs[2 + k], ints(-1)), axis=0))
    outputs.append(_copy(body.inputs[0]))
    outputs += [_copy(body.inputs[2 + k]) for k in stacked]
    outputs += [apply("Shape", body.inputs[2 + k]) for k in flat]
    inputs = (*body.inputs, *buffers)
    graph = Graph(inputs, own_outputs(outputs, (*inputs, *body.captures)), captures=body.captures, name=body.name,
                  opsets=body.opsets)
    given = (*each.inputs, None, None) if len(each.inputs) < 2 else each.inputs
    given = (*given[:2], *each.inputs[2:])
    types = [opened(x.type) for x in body.inputs[2:]]
    types += [x.type for x in buffers]
    types += [TensorType("int64", (None,)), *(_stacked(None, body.inputs[2 + k].type) for k in stacked)]
    types += [TensorType("int64", (None, body.inputs[2 + k].ndim)) for k in flat]
    return Node(each.op, (*given, *begin), {"body": graph}, tuple(types), captures=_captures(each))


def opened(value_type: ValueType | None) -> ValueType | None:
    """The type without the names of its sizes: they may be others in every step."""
    if not isinstance(value_type, TensorType) or value_type.shape is None:
        return value_type
    return TensorType(value_type.dtype, tuple(d if isinstance(d, int) else None for d in value_type.shape))


def _flattened_start(x: SymbolicTensor) -> Tensor:
    if not isinstance(x.type, TensorType) or x.type.shape is None:
        raise GradientError(f"Loop: the carried value {x.name!r} is {x.type or 'of unknown type'}: only tensors whose "
                            "rank stays the same can be recorded for a gradient")
    return Tensor(np.zeros(0, x.dtype))


def _of_constant_shape(body: Graph, needed: Sequence[int]) -> set[int]:
    """Those of the states `needed` that a step provably leaves in the shape that they have."""
    if all(_is_static(body.inputs[2 + k].type) for k in needed):
        return set(needed)
    names = iter(range(10**9))
    with tracing(Trace()):
        symbols = [placeholder(_named(x.type, names), x.name) for x in (*body.inputs, *body.captures)]
        outputs = bind(body, symbols)
    return {k for k in needed if _is_known(symbols[2 + k].type) and outputs[1 + k].type == symbols[2 + k].type}


def _is_known(value_type: ValueType | None) -> bool:
    """Whether every size has a number or a name."""
    return isinstance(value_type, TensorType) and value_type.shape is not None and None not in value_type.shape


def _is_static(value_type: ValueType | None) -> bool:
    return isinstance(value_type, TensorType) and value_type.shape is not None and all(
        isinstance(d, int) for d in value_type.shape)


def _named(value_type: ValueType | None, names: Iterable[int]) -> ValueType | None:
    """The type with a name of its own for every unknown size."""
    if not isinstance(value_type, TensorType) or value_type.shape is None:
        return value_type
    return TensorType(value_type.dtype, tuple(
        f"size_{next(names)}" if d is None else d for d in value_type.shape))  # type: ignore[call-overload]


def _length(x: Operand) -> Operand:
    return apply("Squeeze", apply("Shape", x, start=0, end=1), ints(0))


def _stacked(length: int | str | None, value_type: ValueType | None) -> ValueType | None:
    if not isinstance(value_type, TensorType) or value_type.shape is None:
        return value_type
    return TensorType(value_type.dtype, (length, *value_type.shape))


def _captures(each: Application) -> tuple[Any, ...]:
    return each.operands[len(each.inputs):]


def _copy(x: Operand) -> Operand:
    made = record(find_op("Identity"), (x,), {}, (True,))[0]
    assert made is not None
    return made


def _is_copy(x: Operand, of: Operand) -> bool:
    node = x.node if isinstance(x, SymbolicTensor) else None
    return node is not None and node.op.name == "Identity" and not node.op.domain and node.inputs[0] is of
