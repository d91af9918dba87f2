"""Gradients of If, Loop and Scan, which are If, Loop and Scan again.

Loops run a second time forward, and record what the way back needs: the carried values before each step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.autodiff.backward import backpropagate, carried_by, carries_gradient
from symgraph.autodiff.bodies import Found, body_gradient
from symgraph.autodiff.histories import Flat, History, opened, record_loop, record_scan, with_known_ranks
from symgraph.autodiff.repeatable import require_repeatable
from symgraph.core.apply import placeholder
from symgraph.core.errors import GradientError
from symgraph.core.gradient import Application, gradient_of
from symgraph.core.graph import Graph, bind
from symgraph.core.op import find_op
from symgraph.core.scope import Trace, tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.batched_scan import unbatched_scan
from symgraph.ops.creation import zeros_like
from symgraph.ops.sizes import ints
from symgraph.ops.subgraph import captured_symbols, close, own_outputs, trace_function


@gradient_of("If", whole=True)
def _if_gradient(each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
    """`If(condition, ∂then, ∂else)`; what a branch does not use has the gradient 0 there."""
    require_repeatable(each)
    branches = [each.attributes["then_branch"], each.attributes["else_branch"]]
    present, needed = tuple(dy is not None for dy in dys), tuple(wanted[1:])
    given = [dy for dy in dys if dy is not None]
    found = [body_gradient(branch, present, needed, backpropagate) for branch in branches]
    is_found = [a or b for a, b in zip(found[0][1], found[1][1], strict=True)]
    if not any(is_found):
        return (None,) * len(wanted)
    backward = {name: _backward_branch(branch, graph, has, is_found, given) for name, branch, (graph, has) in zip(
        ("then_branch", "else_branch"), branches, found, strict=True)}
    captures = each.operands[1:]
    types = tuple(x.type for x, has in zip(captures, is_found, strict=True) if has and x is not None)
    node = Node(find_op("If"), (each.inputs[0],), backward, types,
                captures=(*captures, *given))  # type: ignore[arg-type]
    results = iter(node.outputs)
    return (None, *(next(results) if has else None for has in is_found))


def _backward_branch(branch: Graph, graph: Graph | None, has: Sequence[bool], is_found: Sequence[bool],
                     given: Sequence[Operand]) -> Graph:
    dys = [placeholder(dy.type, f"dy{i}") for i, dy in enumerate(given)] if graph is None else (
        graph.inputs[len(branch.captures):])
    found = iter(() if graph is None else graph.outputs)
    captures = (*branch.captures, *dys)
    outputs = [next(found) if here else zeros_like(x) for x, here, there in zip(
        branch.captures, has, is_found, strict=True) if there]
    return Graph((), own_outputs(outputs, captures), captures=captures, name=f"{branch.name}_grad")


@dataclass(frozen=True)
class _Step:
    """One step of a loop, `lead…, states…, elements… -> lead…, states…, results…`, and the way back over it.

    `backward` goes from all inputs, the captures, the gradients of the new `flowing` states and those of the results
    that have one, to the gradients in `sources`: by position among inputs and captures.
    """

    body: Graph
    lead: int
    flowing: tuple[int, ...]
    backward: Graph | None
    sources: dict[int, Operand]

    @property
    def dys(self) -> tuple[SymbolicTensor, ...]:
        """The gradients of the new states, then those of the results, inside of `backward`."""
        known = len(self.body.inputs) + len(self.body.captures)
        return () if self.backward is None else self.backward.inputs[known:]

    def reads(self, x: Operand) -> bool:
        """Whether the way back needs a value of the step."""
        return self.backward is not None and x in self.backward.readers

    @property
    def summed(self) -> tuple[int, ...]:
        """The captures that get a gradient."""
        first = len(self.body.inputs)
        return tuple(i - first for i in self.sources if i >= first)

    def nexts(self, states: Mapping[int, Operand], sums: Sequence[Operand], found: Mapping[int, Operand],
              ) -> list[Operand]:
        """The gradients of the states before the step, 0 in the shape of `states` where there is none, and the sums."""
        first = len(self.body.inputs)
        nexts = [found[self.lead + k] if self.lead + k in found else zeros_like(states[k]) for k in self.flowing]
        return nexts + [apply("Add", x, found[first + i]) for i, x in zip(self.summed, sums, strict=True)]


def _step(body: Graph, lead: int, lead_out: int, states: int, wanted: Sequence[bool], dys: Found) -> _Step:
    """`wanted` is about states, elements and captures, `dys` are those of the final states and the results."""
    sources = (*body.inputs[lead:], *body.captures)
    needed = {x for x, w in zip(sources, wanted, strict=True) if w}
    while True:  # a state carries a gradient if what it starts with does, or what it becomes
        carriers = carried_by(body.nodes, needed)
        more = {body.inputs[lead + k] for k in range(states) if body.outputs[lead_out + k] in carriers
                and carries_gradient(body.inputs[lead + k])}
        if more <= needed:
            break
        needed |= more
    is_needed = (*(False,) * lead, *(x in needed for x in sources))
    flowing = {k for k in range(states) if dys[k] is not None and body.inputs[lead + k] in needed}
    while True:
        present = (*(False,) * lead_out, *(k in flowing for k in range(states)),
                   *(dy is not None for dy in dys[states:]))
        graph, is_found = body_gradient(body, present, is_needed, backpropagate)
        more_flowing = {i - lead for i, has in enumerate(is_found) if has and lead <= i < lead + states}
        if more_flowing <= flowing:
            break
        flowing |= more_flowing
    found = iter(() if graph is None else graph.outputs)
    return _Step(body, lead, tuple(sorted(flowing)), graph, {i: next(found) for i, has in enumerate(is_found) if has})


@gradient_of("Scan", first=9, whole=True)
def _scan_gradient(each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
    """A Scan from the last step to the first, over the recorded states; gradients of captures are states of it."""
    require_repeatable(each)
    body: Graph = each.attributes["body"]
    count = each.attributes["num_scan_inputs"]
    states = len(body.inputs) - count
    results = len(body.outputs) - states
    in_axes, in_directions = (each.attributes.get(f"scan_input_{x}") or (0,) * count for x in ("axes", "directions"))
    out_axes, out_directions = (each.attributes.get(f"scan_output_{x}") or (0,) * results for x in (
        "axes", "directions"))
    operands: tuple[Any, ...] = each.operands
    dys = (*dys, *(None,) * (len(body.outputs) - len(dys)))
    step = _step(body, 0, 0, states, wanted, dys)
    history = record_scan(each, [k for k in range(states) if step.reads(body.inputs[k])])

    elements = body.inputs[states:]
    scanned: list[tuple[SymbolicTensor, Any, int, int]] = [(body.inputs[k], x, 0, 1) for k, x in history.items()]
    scanned += [(elements[i], operands[states + i], in_axes[i], 1 - in_directions[i]) for i in range(count)
                if step.reads(elements[i])]
    with_dy = [i for i in range(results) if dys[states + i] is not None] if step.backward is not None else []
    scanned += [(x, dys[states + i], out_axes[i], 1 - out_directions[i])
                for i, x in zip(with_dy, step.dys[len(step.flowing):], strict=True)]
    if not scanned:
        scanned = [(elements[0], operands[states], in_axes[0], 1 - in_directions[0])]
    found = [i for i in range(states, states + count) if i in step.sources]
    sums = [placeholder(body.captures[i].type, "sum") for i in step.summed]
    dstates = step.dys[:len(step.flowing)] if step.backward is not None else [
        placeholder(body.inputs[k].type, "dy") for k in step.flowing]
    inputs = (*dstates, *sums, *(x for x, _, _, _ in scanned))
    outputs = step.nexts(dict(zip(step.flowing, dstates, strict=True)), sums, step.sources)
    outputs += [step.sources[i] for i in found]
    begin, types = _start(step, each, dys, operands[:states])
    graph = Graph(inputs, own_outputs(outputs, (*inputs, *body.captures)), captures=body.captures,
                  name=f"{body.name}_grad")
    node = Node(find_op("Scan"), (*begin, *(x for _, x, _, _ in scanned)), {
        "body": graph, "num_scan_inputs": len(scanned),
        "scan_input_axes": tuple(a for _, _, a, _ in scanned),
        "scan_input_directions": tuple(d for _, _, _, d in scanned),
        "scan_output_axes": tuple(in_axes[i - states] for i in found),
        "scan_output_directions": tuple(1 - in_directions[i - states] for i in found),
    }, (*types, *(operands[i].type for i in found)), captures=operands[len(each.inputs):])
    return _in_order(step, node.outputs, found, len(wanted))


@gradient_of("Scan", last=8, whole=True)
def _batched_scan_gradient(each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
    """The first version of Scan has a batch of sequences: it is a Scan over them, of Scans."""
    require_repeatable(each)
    symbols = [None if x is None else placeholder(x.type) for x in each.operands]
    inputs = [x for x in symbols if x is not None]
    with tracing(Trace()):
        graph = Graph(inputs, unbatched_scan(each.attributes, symbols)[:len(dys)], name=each.op.name)
    present = tuple(dy is not None for dy in dys)
    needed = tuple(w for x, w in zip(symbols, wanted, strict=True) if x is not None)
    backward, is_found = body_gradient(graph, present, needed, backpropagate)
    if backward is None:
        return (None,) * len(wanted)
    results = iter(bind(backward, [x for x in (*each.operands, *dys) if x is not None]))
    found = iter(is_found)
    return tuple(None if x is None or not next(found) else next(results) for x in symbols)


@gradient_of("Loop", whole=True)
def _loop_gradient(each: Application, dys: Found, wanted: Sequence[bool]) -> Found:
    """A Loop of as many steps as were taken, from the last to the first, that looks up the recorded states."""
    require_repeatable(each)
    lead = min(2, len(each.inputs))
    operands: tuple[Any, ...] = each.operands[lead:]
    body = with_known_ranks(each.attributes["body"], each.inputs[2:])
    states = len(body.inputs) - 2
    dys = (*dys, *(None,) * (len(body.outputs) - 1 - len(dys)))
    step = _step(body, 2, 1, states, wanted[lead:], dys)
    needed = [k for k in range(states)
              if step.reads(body.inputs[2 + k]) or (k in step.flowing and 2 + k not in step.sources)]
    history = record_loop(each, body, needed)
    ys = [dy for dy in dys[states:] if dy is not None]
    last = apply("Sub", history.steps, np.int64(1))
    begin, types = _start(step, each, dys, history.finals)
    ends = [apply("Size", flat.elements) for flat in history.flat.values()]

    def back(number: Operand, *carried: Operand) -> list[Operand]:
        position = apply("Sub", last, number)
        count, total = len(step.flowing), len(step.flowing) + len(step.summed)
        values, ahead = _look_up(history, position, carried[total:])
        inputs: list[Any] = [position, Tensor(np.array(True)), *(values.get(k, operands[k]) for k in range(states))]
        given = [*carried[:count], *(apply("Gather", dy, position, axis=0) for dy in ys)]
        found = () if step.backward is None else bind(step.backward, [*inputs, *operands[states:], *given])
        sources = dict(zip(step.sources, found, strict=True))
        return [Tensor(np.array(True)), *step.nexts(values, carried[count:total], sources), *ahead]

    number, goes_on = placeholder(TensorType("int64", ()), "number"), placeholder(TensorType("bool", ()), "goes_on")
    carried = [placeholder(t, "carried") for t in (*_inner_types(step), *(TensorType("int64", ()) for _ in ends))]
    traced = trace_function(back, [number, goes_on, *carried], (number, *carried), "Loop")
    captured = captured_symbols(traced)
    node = Node(find_op("Loop"), (history.steps, None, *begin, *ends),
                {"body": close(traced, captured, f"{body.name}_grad")},
                (*types, *(TensorType("int64", ()) for _ in ends)), captures=captured)
    found = _in_order(step, node.outputs, (), len(wanted) - lead)
    return (*(None,) * lead, *found)


def _look_up(history: History, position: Operand, ends: Sequence[Operand],
             ) -> tuple[dict[int, Operand], list[Operand]]:
    """The recorded states before the step at `position`, and where the flat ones begin."""
    values = {k: apply("Gather", x, position, axis=0) for k, x in history.stacked.items()}
    starts: list[Operand] = []
    for (k, flat), end in zip(history.flat.items(), ends, strict=True):
        values[k], start = _cut(flat, position, end)
        starts.append(start)
    return values, starts


def _cut(flat: Flat, position: Operand, end: Operand) -> tuple[Operand, Operand]:
    shape = apply("Gather", flat.shapes, position, axis=0)
    start = apply("Sub", end, apply("ReduceProd", shape, keepdims=0))
    part = apply("Slice", flat.elements, apply("Reshape", start, ints(1)), apply("Reshape", end, ints(1)))
    return apply("Reshape", part, shape, allowzero=1), start


def _start(step: _Step, each: Application, dys: Found, finals: Sequence[Operand | None],
           ) -> tuple[list[Operand], list[ValueType | None]]:
    """What the way back starts with, gradients of the final states and 0 for sums, and the types of what it gives."""
    captures = each.operands[len(each.inputs):]
    first = len(each.inputs) - (len(step.body.inputs) - step.lead)
    begin: list[Any] = []
    types: list[ValueType | None] = []
    for k in step.flowing:
        dy, final, initial = dys[k], finals[k], each.operands[first + k]
        assert final is not None and initial is not None
        _require_tensor(each, initial)
        begin.append(zeros_like(final) if dy is None else dy)
        types.append(initial.type)
    for i in step.summed:
        capture = captures[i]
        _require_tensor(each, capture)
        begin.append(zeros_like(capture))
        types.append(None if capture is None else capture.type)
    return begin, types


def _require_tensor(each: Application, x: Operand | None) -> None:
    if x is not None and not isinstance(x.type, TensorType):
        raise GradientError(f"{each.describe()}: a gradient goes through {x!r}, which it carries or captures; only "
                            "tensors can have one there: stack the list, or cut the path with sg.stop_gradient")


def _inner_types(step: _Step) -> list[ValueType | None]:
    return [opened(step.body.inputs[step.lead + k].type) for k in step.flowing] + [
        step.body.captures[i].type for i in step.summed]


def _in_order(step: _Step, outputs: Sequence[Operand | None], elements: Sequence[int], count: int) -> Found:
    """The gradients of states, elements and captures, of what a Loop or Scan back gives."""
    first = len(step.body.inputs) - step.lead
    positions = (*step.flowing, *(first + i for i in step.summed), *elements)
    found = dict(zip(positions, outputs, strict=False))
    return tuple(found.get(i) for i in range(count))
