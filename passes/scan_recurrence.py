"""A recurrent operator that is trained gives what its gradient needs, which else computes it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.ops.recurrent_gradient import recurrent_gradient
from symgraph.ops.recurrent_states import INPUTS, kept_names, recurrent_steps
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.exactness import relaxed

Outputs = tuple[Operand | None, ...]

OPERATORS = ("LSTM", "GRU", "RNN")


@relaxed
def scan_recurrence(graph: Graph) -> Graph:
    """LSTM(x, w, r), LSTMGrad(x, w, r, y, dy) -> LSTMSteps(x, w, r), which also gives gates and states, and
    LSTMGrad(x, w, r, gates and states, dy); GRU and RNN in the same way.

    With weights that change ONNX Runtime's operator is no faster than a Scan, and gates and states are not among its
    results. It takes 0.7 times as long on the CPU. Before `inline_composites`. Rounds differently.
    """
    pairs = _pairs(graph)
    if not pairs and not graph.with_graphs:
        return graph
    kept: dict[Node, Mapping[str, Operand]] = {}

    def rewrite(node: Node, operands: Outputs) -> Outputs | None:
        if node in pairs.steps:
            return _stepped(node, operands, pairs.steps[node], kept)
        if node in pairs.gradients:
            return _with_kept(node, operands, kept[pairs.gradients[node]])
        return rewrite_bodies(node, operands, scan_recurrence) if node_graphs(node) else None

    return graph.rewrite(rewrite)


@dataclass(frozen=True)
class _Pairs:
    """Operators with the attributes of their gradients, and the gradients with their operators."""

    steps: Mapping[Node, Mapping[str, Any]]
    gradients: Mapping[Node, Node]

    def __bool__(self) -> bool:
        return bool(self.gradients)


def _pairs(graph: Graph) -> _Pairs:
    steps: dict[Node, Mapping[str, Any]] = {}
    gradients: dict[Node, Node] = {}
    for kind in OPERATORS:
        for node in graph.by_operator.get(f"{kind}Grad", ()):
            names = node.attributes.get("names", ())
            if node.op.domain != DOMAIN or "Y" not in names:
                continue
            given = dict(zip(names, node.inputs, strict=True))
            operator = _maker(given["Y"], kind)
            if operator is not None and _named(operator.inputs) == {n: x for n, x in given.items() if n in INPUTS}:
                steps[operator], gradients[node] = node.attributes, operator
    return _Pairs(steps, gradients)


def _maker(y: Operand | None, kind: str) -> Node | None:
    """The operator that gave `y` as its first output."""
    node = y.node if isinstance(y, SymbolicTensor) else None
    return node if node is not None and node.op.name == kind and not node.op.domain and node.outputs[0] is y else None


def _named(inputs: Outputs) -> dict[str, Operand]:
    return {name: x for name, x in zip(INPUTS, inputs, strict=False) if x is not None}


def _stepped(node: Node, operands: Outputs, attributes: Mapping[str, Any], kept: dict[Node, Mapping[str, Operand]],
             ) -> Outputs:
    """The outputs of the operator, step by step; `kept` learns what else there is."""
    kind, directions, is_linear = (attributes[name] for name in ("kind", "reversed", "is_linear"))
    given = _named(operands)
    found = apply_composite(f"{kind}Steps", recurrent_steps, *given.values(), kind=kind, names=tuple(given),
                            reversed=directions, is_linear=is_linear)
    names = [name for number in range(len(directions)) for name in kept_names(kind, number, is_linear=is_linear)]
    count = len(found) - len(names)
    kept[node] = dict(zip(names, found[count:], strict=True))
    return tuple(None if y is None else new for y, new in zip(node.outputs, found[:count], strict=False))


def _with_kept(node: Node, operands: Outputs, kept: Mapping[str, Operand]) -> Outputs:
    """The gradients of what was kept, and no more of Y."""
    given = {name: x for name, x in zip(node.attributes["names"], operands, strict=True) if name != "Y"}
    given.update(kept)
    found = apply_composite(node.op.name, recurrent_gradient, *given.values(),
                            **{**node.attributes, "names": tuple(given)})
    return (found,) if isinstance(found, Operand) else tuple(found)
