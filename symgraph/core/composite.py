"""Composite ops: a named function with a body of ordinary ops.

A graph shows the name (`%y = RandomUniform(%key)`); everything that wants to can look at the body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from symgraph.core.apply import as_operands, placeholder
from symgraph.core.errors import OpError
from symgraph.core.graph import Graph
from symgraph.core.inference import freeze_attributes
from symgraph.core.memory import program_constants
from symgraph.core.op import Op, intern_op
from symgraph.core.recording import recorders, watched_by
from symgraph.core.scope import tracing
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import TensorType
from symgraph.core.variable import read_variables

DOMAIN = "symgraph"

MAX_BODIES = 4096
"""So many bodies are remembered for the next node of the same kind."""

GraphEvaluator = Callable[[Graph, tuple[Operand, ...]], tuple[Operand, ...]]

_EVALUATORS: list[GraphEvaluator] = []
_BODIES: dict[object, Graph] = {}


def register_graph_evaluator(evaluator: GraphEvaluator) -> None:
    """Say who runs a whole graph on values; the runtime does, when it is imported."""
    _EVALUATORS[:] = [evaluator]


def apply_composite(name: str, function: Callable[..., Any], *inputs: object, **attributes: Any) -> Any:
    """Apply `function(*inputs, **attributes)`, a function of ordinary ops, as one node called `name`.

    `attributes` are plain numbers, strings and tuples. On values the body runs as one compiled graph.
    The body may be made once for all inputs of the same dtypes and ranks, so it must not read values.
    """
    op = intern_op(name, DOMAIN, 1, None)
    operands, is_symbolic = read_variables(as_operands(op, inputs))
    if any(x is None for x in operands):
        raise OpError(f"{op}: a composite op takes no absent inputs")
    body = _body(name, function, operands, attributes, is_exact=is_symbolic)  # type: ignore[arg-type]
    results = apply_body(op, body, operands, attributes)  # type: ignore[arg-type]
    return results[0] if len(results) == 1 else results


def apply_body(op: Op, body: Graph, operands: tuple[Operand, ...], attributes: Mapping[str, Any] = MappingProxyType({}),
               ) -> tuple[Any, ...]:
    """Apply an op that `body`, a graph of as many inputs, defines: a node for symbols, a run for values."""
    operands, is_symbolic = read_variables(operands)  # type: ignore[assignment]
    if is_symbolic:
        return Node(op, operands, MappingProxyType(attributes), tuple(x.type for x in body.outputs), body=body).outputs
    with watched_by(()):  # where a kernel is missing the body runs op by op, which nobody is to see as well
        results = _EVALUATORS[0](body, operands)
    for recorder in recorders():
        recorder.record(op, operands, attributes, results, body)
    return results


def _body(name: str, function: Callable[..., Any], operands: tuple[Operand, ...], attributes: Mapping[str, Any],
          *, is_exact: bool) -> Graph:
    types = tuple(x.type if is_exact else _open(x) for x in operands)
    key = (name, function, types, freeze_attributes(attributes))
    body = _BODIES.get(key)
    if body is None:
        if len(_BODIES) >= MAX_BODIES:
            _BODIES.clear()
        inputs = [placeholder(t, f"x{i}") for i, t in enumerate(types)]
        with program_constants(lambda: _BODIES[key].constants), tracing():
            outputs = function(*inputs, **attributes)
            body = _BODIES[key] = Graph(
                inputs, outputs if isinstance(outputs, tuple | list) else [outputs], name=name)
    return body


def _open(x: Operand) -> TensorType:
    return TensorType(x.dtype, (None,) * len(x.shape))
