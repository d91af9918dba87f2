"""Gradients of ops that are said in other ops: through what they expand to."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from symgraph.autodiff.bodies import Engine, Found, body_gradient
from symgraph.core.apply import placeholder
from symgraph.core.composite import DOMAIN, apply_body
from symgraph.core.errors import GradientError
from symgraph.core.gradient import Application, GradientRule, definition_of
from symgraph.core.graph import Graph
from symgraph.core.inference import freeze_attributes
from symgraph.core.memory import program_constants
from symgraph.core.op import Op, intern_op
from symgraph.core.scope import Trace, tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType

MAX_BODIES = 1024
"""So many expansions are remembered for the next op of the same kind."""

_BODIES: dict[Hashable, Graph] = {}


def through_expansion(rule: GradientRule | None, each: Application, dys: Found, wanted: Sequence[bool],
                      engine: Engine) -> Found:
    """The gradients of the inputs, by one node `OpGrad(operands, dys)` whose body computes the op by others.

    Without a rule that says how, as ONNX defines it.
    """
    body = _expanded(rule, each)
    operands = [x for x in each.inputs if x is not None]
    needed = tuple(w for x, w in zip(each.inputs, wanted, strict=False) if x is not None)
    given = tuple(dy for y, dy in zip(each.outputs, dys, strict=True) if y is not None)
    graph, is_found = body_gradient(body, tuple(dy is not None for dy in given), needed, engine)
    if graph is None:
        return (None,) * len(each.inputs)
    op = intern_op(f"{each.op.name}Grad", DOMAIN, 1, None)
    results = iter(apply_body(op, graph, (*operands, *(dy for dy in given if dy is not None))))
    found = iter(is_found)
    return tuple(None if x is None or not next(found) else next(results) for x in each.inputs)


def is_defined(op: Op) -> bool:
    """Whether ONNX defines an op by others."""
    schema: Any = op.schema  # onnx's stubs do not tell of functions
    return schema is not None and bool(schema.has_function or schema.has_context_dependent_function)


def _expanded(rule: GradientRule | None, each: Application) -> Graph:
    types = tuple(None if x is None else _open(x) for x in each.inputs)
    present = tuple(y is not None for y in each.outputs)
    key = each.op if rule is None else rule.function, types, freeze_attributes(each.attributes), present
    body = _BODIES.get(key)
    if body is None:
        if len(_BODIES) >= MAX_BODIES:
            _BODIES.clear()
        symbols = tuple(None if t is None else placeholder(t, f"x{i}") for i, t in enumerate(types))
        with program_constants(lambda: _BODIES[key].constants), tracing(Trace()):
            body = _BODIES[key] = _defined(each, symbols) if rule is None else _said(rule, each, symbols, present)
    return body


def _said(rule: GradientRule, each: Application, symbols: tuple[SymbolicTensor | None, ...],
          present: tuple[bool, ...]) -> Graph:
    made = rule.function(*symbols, **each.attributes)
    outputs = made if isinstance(made, tuple | list) else (made,)
    return Graph([x for x in symbols if x is not None], [y for y, p in zip(outputs, present, strict=False) if p],
                 name=each.op.name)


def _defined(each: Application, symbols: tuple[SymbolicTensor | None, ...]) -> Graph:
    node = Node(each.op, symbols, each.attributes, tuple(None if y is None else y.type for y in each.outputs),
                absent=frozenset(i for i, y in enumerate(each.outputs) if y is None))
    body = definition_of(node)
    if body is None:
        raise GradientError(f"{each.describe()} has no gradient rule, and no definition by other ops that has one; add "
                            f'a rule with @sg.gradient_of("{each.op.name}")')
    return body


def _open(x: Operand) -> ValueType | None:
    """The type of an operand; for values with open dimensions, so that the next one of the same rank finds it."""
    if isinstance(x, SymbolicTensor) or not isinstance(x.type, TensorType) or x.type.shape is None:
        return x.type
    return TensorType(x.type.dtype, (None,) * len(x.type.shape))
