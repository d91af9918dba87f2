"""Outputs that nobody reads, and what computes them inside of If, Loop and Scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onnx.defs import OpSchema

from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.passes.attributes import attribute
from symgraph.passes.bodies import rewrite_bodies

Outputs = tuple[Operand | None, ...]


def remove_unused(graph: Graph) -> Graph:
    """If, Loop and Scan without the results that nobody reads; f(x) without its optional outputs that nobody reads.

    Both branches of an If lose a result. A Loop or Scan also loses a state that only its own next value needs, and
    all lose captured values that their bodies do not read.
    """
    read = _read(graph)

    def remove(node: Node, operands: Outputs) -> Outputs | None:
        graphs = dict(node.subgraphs())
        if not graphs:
            return _without_optional(node, operands, read)
        changed = rewrite_bodies(node, operands, remove_unused)
        inner = next((x.node for x in changed or () if x is not None), None)
        trimmed = _trimmed(node if inner is None else inner, operands, [x in read for x in node.outputs])
        return changed if trimmed is None else trimmed

    return graph.rewrite(remove)


TOLD_BY_OUTPUTS = ("BatchNormalization", "MaxPool")
"""Operators that do something else with fewer outputs: old normalisations do not train, and ONNX Runtime's MaxPool
without places gives the lowest finite number for a window of nothing but -inf."""


def _without_optional(node: Node, operands: Outputs, read: set[Operand]) -> Outputs | None:
    """The node without optional outputs that are not read, where they say nothing about what the node does."""
    schema = node.op.schema
    if schema is None or node.body is not None or (not node.op.domain and node.op.name in TOLD_BY_OUTPUTS):
        return None
    optional = OpSchema.FormalParameterOption.Optional
    dropped = {i for i, x in enumerate(node.outputs[:len(schema.outputs)])
               if x is not None and x not in read and schema.outputs[i].option == optional}
    kept = [i for i, x in enumerate(node.outputs) if x is not None and i not in dropped]
    if not dropped or not kept:
        return None
    types = tuple(None if x is None else x.type for x in node.outputs[:kept[-1] + 1])
    copy = _copied(node, operands[:len(node.inputs)], (), node.attributes, types,
                   frozenset(range(len(types))) - frozenset(kept), node.outputs)
    return (*copy.outputs, *(None for _ in node.outputs[len(types):]))


def _copied(node: Node, inputs: Outputs, captures: Outputs, attributes: Mapping[str, Any], types: tuple[Any, ...],
            absent: frozenset[int], named: Iterable[SymbolicTensor | None]) -> Node:
    """The node with other operands and outputs; the outputs are called after those they take the place of."""
    present = tuple(x for x in captures if x is not None)
    copy = Node(node.op, inputs, attributes, types, captures=present, absent=absent, name=node.name, layer=node.layer,
                source=node.source)
    for old, new in zip(named, copy.outputs, strict=False):
        if old is not None and new is not None:
            new.hint, new.call, new.data = old.hint, old.call, old.data
    return copy


def _trimmed(node: Node, operands: Outputs, wanted: list[bool]) -> Outputs | None:
    """If, Loop or Scan with the wanted outputs, and others that those need; None where nothing goes."""
    count = len(node.inputs)
    graphs = {name: value for name, value in node.attributes.items() if isinstance(value, Graph)}
    if node.op.domain or len(graphs) < len(dict(node.subgraphs())):
        return None
    attributes, inputs = dict(node.attributes), operands[:count]
    if node.op.name == "If" and any(wanted):
        outputs = [i for i, w in enumerate(wanted) if w]
        attributes.update((name, _reduced(g, g.inputs, [g.outputs[i] for i in outputs])) for name, g in graphs.items())
    elif node.op.name == "Loop" or (node.op.name == "Scan" and node.op.version >= 9):
        states = States(node)
        outputs = _trim_loop(node, states, wanted, attributes)
        inputs = tuple(x for i, x in enumerate(inputs) if not (
            0 <= i - states.start < states.count and i - states.start not in outputs))
    else:
        outputs = list(range(len(node.outputs)))
    bodies = [(value, _read(value)) for value in attributes.values() if isinstance(value, Graph)]
    captured = [i for i in range(len(node.captures)) if any(body.captures[i] in read for body, read in bodies)]
    if len(outputs) == len(node.outputs) and len(captured) == len(node.captures):
        return None
    attributes.update((name, _reduced(value, value.inputs, value.outputs, [value.captures[i] for i in captured]))
                      for name, value in attributes.items() if isinstance(value, Graph))
    old = [node.outputs[i] for i in outputs]
    copy = _copied(node, inputs, tuple(operands[count + i] for i in captured), attributes,
                   tuple(None if x is None else x.type for x in old),
                   frozenset(i for i, x in enumerate(old) if x is None), old)
    results: list[Operand | None] = [None] * len(node.outputs)
    for i, new in zip(outputs, copy.outputs, strict=True):
        results[i] = new
    return tuple(results)


class States:
    """The states of a Loop or Scan: `start` and `first` are their places among inputs and outputs of its body."""

    def __init__(self, node: Node) -> None:
        self.body: Graph = attribute(node, "body")
        is_loop = node.op.name == "Loop"
        self.start = 2 if is_loop else 0
        self.first = 1 if is_loop else 0
        self.count = len(self.body.inputs) - (2 if is_loop else attribute(node, "num_scan_inputs"))


def _trim_loop(node: Node, states: States, wanted: list[bool], attributes: dict[str, Any]) -> list[int]:
    """Which outputs stay; `attributes` become those of a node that has no others."""
    body, first = states.body, states.first
    given = body.inputs[states.start:states.start + states.count]
    live = {i for i, w in enumerate(wanted) if w}
    if not live or len(wanted) != len(body.outputs) - first:
        return list(range(len(wanted)))
    while True:
        needed = set(_inputs_of([*body.outputs[:first], *(body.outputs[first + i] for i in sorted(live))]))
        found = live | {i for i, x in enumerate(given) if x in needed}
        if found == live:
            break
        live = found
    kept = sorted(live)
    if len(kept) == len(wanted):
        return kept
    dropped = {x for i, x in enumerate(given) if i not in live}
    attributes["body"] = _reduced(body, [x for x in body.inputs if x not in dropped],
                                  [*body.outputs[:first], *(body.outputs[first + i] for i in kept)])
    for name in ("scan_output_axes", "scan_output_directions"):
        if name in attributes:
            attributes[name] = tuple(attributes[name][i - states.count] for i in kept if i >= states.count)
    return kept


def _reduced(body: Graph, inputs: Iterable[SymbolicTensor], outputs: Iterable[Operand],
             captures: Iterable[SymbolicTensor] | None = None) -> Graph:
    return Graph(inputs, outputs, captures=body.captures if captures is None else captures, name=body.name,
                 opsets=body.opsets, metadata=body.metadata)


def _read(graph: Graph) -> set[Operand]:
    """What the nodes of a graph read, and what it returns or pins."""
    found = {*graph.outputs, *graph.pinned.values()}
    found.update(x for node in graph.nodes for x in node.operands if x is not None)
    return found


def _inputs_of(outputs: Iterable[Operand]) -> Iterable[Operand]:
    """The symbols that nothing makes, of which outputs come."""
    seen: set[Operand] = set()
    waiting = list(outputs)
    while waiting:
        x = waiting.pop()
        if x in seen:
            continue
        seen.add(x)
        if isinstance(x, SymbolicTensor) and x.node is not None:
            waiting.extend(y for y in x.node.operands if y is not None)
        elif isinstance(x, SymbolicTensor):
            yield x
