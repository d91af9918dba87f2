"""A recurrent operator that is trained gives what its gradient needs, which else computes it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.ops.recurrent_gradient import recurrent_gradient
from symgraph.ops.recurrent_states import kept_names, recurrent_steps
from symgraph.ops.recurrent_way import INPUTS, MANY
from symgraph.passes.attributes import attribute, attributes_of
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import shape_of

Outputs = tuple[Operand | None, ...]

LARGE = 1024
"""From states of so many numbers on, of all examples together, a step is worth the nodes that it takes."""

KINDS = ("LSTM", "GRU", "RNN")


@relaxed
def scan_recurrence(graph: Graph) -> Graph:
    """LSTM(x, w, r), LSTMGrad(x, w, r, y, dy) -> LSTMSteps(x, w, r), which also gives gates and states, and
    LSTMGrad(x, w, r, gates and states, dy); GRU and RNN in the same way.

    With weights that change ONNX Runtime's operator is no faster than a Scan, and gates and states are not among its
    results. It takes 0.7 times as long on the CPU. Before `inline_composites`. Rounds differently.
    """
    operators = _operators(graph)
    if not operators and not graph.with_graphs:
        return graph
    trained = {operator: gradient.attributes for gradient, operator in operators.items()}
    kept: dict[Node, Mapping[str, Operand]] = {}

    def rewrite(node: Node, operands: Outputs) -> Outputs | None:
        if node in trained:
            outputs, kept[node] = _stepped(node, operands, trained[node])
            return outputs
        if node in operators:
            return _with_kept(node, operands, kept[operators[node]])
        return rewrite_bodies(node, operands, scan_recurrence) if node_graphs(node) else None

    return graph.rewrite(rewrite)


def _operators(graph: Graph) -> dict[Node, Node]:
    """For each gradient of a large recurrent operator in the graph, the operator."""
    found = {}
    for kind in KINDS:
        for node in graph.by_operator.get(f"{kind}Grad", ()):
            names = attribute(node, "names", ())
            if node.op.domain != DOMAIN or "Y" not in names:
                continue
            given = dict(zip(names, node.inputs, strict=True))
            operator = _maker(given["Y"], kind)
            if operator is not None and _is_large(operator) and all(
                    x is given.get(name) for name, x in zip(INPUTS, operator.inputs, strict=False)):
                found[node] = operator
    return found


def _maker(y: Operand | None, kind: str) -> Node | None:
    """The operator that gave `y` as its first output."""
    node = y.node if isinstance(y, SymbolicTensor) else None
    return node if node is not None and node.op.name == kind and not node.op.domain and node.outputs[0] is y else None


def _is_large(operator: Node) -> bool:
    """Whether there are enough examples, and states of all of them are large enough; so it is where none can tell."""
    x, r = (shape_of(operator.inputs[i]) or (None,) * 3 for i in (0, 2))
    examples, hidden = (size if isinstance(size, int) else LARGE for size in (x[1], r[2]))
    return examples >= MANY and examples * hidden >= LARGE


def _stepped(node: Node, operands: Outputs, attributes: Mapping[str, Any]) -> tuple[Outputs, dict[str, Operand]]:
    """The outputs of the operator, step by step, and what else there is, by name."""
    kind, directions, is_linear = (attributes[name] for name in ("kind", "reversed", "is_linear"))
    given = {name: x for name, x in zip(INPUTS, operands, strict=False) if x is not None}
    found = apply_composite(f"{kind}Steps", recurrent_steps, *given.values(), kind=kind, names=tuple(given),
                            reversed=directions, is_linear=is_linear)
    names = [name for number in range(len(directions)) for name in kept_names(kind, number)]
    count = len(found) - len(names)
    outputs = tuple(None if y is None else new for y, new in zip(node.outputs, found[:count], strict=False))
    return outputs, dict(zip(names, found[count:], strict=True))


def _with_kept(node: Node, operands: Outputs, kept: Mapping[str, Operand]) -> Outputs:
    """The gradients of what was kept, and no more of Y."""
    given = {name: x for name, x in zip(attribute(node, "names"), operands, strict=True) if name != "Y"}
    given.update(kept)
    found = apply_composite(node.op.name, recurrent_gradient, *given.values(),
                            **attributes_of(node, names=tuple(given)))
    return (found,) if isinstance(found, Operand) else tuple(found)
