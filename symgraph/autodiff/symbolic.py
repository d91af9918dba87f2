"""Gradients of symbols: symbols like any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from symgraph.autodiff.backward import backpropagate, carries_gradient, sources_of
from symgraph.core.apply import record
from symgraph.core.errors import GradientError
from symgraph.core.op import find_op
from symgraph.core.scope import Trace, tracing
from symgraph.core.structure import flatten, in_order_of, pack
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.creation import ones_like, zeros, zeros_like
from symgraph.ops.promotion import as_operand

Unconnected = Literal["none", "zero"]


def gradients(ys: Any, xs: Any, grad_ys: Any = None, unconnected_gradients: Unconnected = "none") -> Any:
    """The gradients of the sum of `ys` with respect to each of `xs`: `Σ grad_y · ∂y/∂x`, as symbols.

    `xs` are symbols, also from the inside of a graph, and variables; a list gives a list, a dict a dict, and one
    operand a list of one. `grad_ys` are the gradients to begin with, ones unless given. Where `ys` do not depend on
    an x, its gradient is None, or zeros with `unconnected_gradients="zero"`.

    Errors: `GradientError` naming op, layer and line where an op has no gradient rule, for integers, and for shapes
    that differ.

    >>> import symgraph as sg
    >>> x = sg.Input((3,), name="x")
    >>> (dx,) = sg.gradients(sg.sum(x**2.0), [x])
    >>> sg.Model(x, dx).predict(np.float32([[1, 2, 3]])).tolist()
    [[2.0, 4.0, 6.0]]
    """
    targets, wanted = flatten(ys), flatten(xs)
    for x in (*targets, *wanted):
        if not isinstance(x, Operand):
            raise GradientError(f"gradients takes symbols and variables, got {type(x).__name__}: {x!r}")
    if not any(isinstance(y, SymbolicTensor) for y in targets):
        raise GradientError("gradients wants symbols; for values record them with sg.GradientTape, or use sg.grad")
    require_real(targets, "the gradient of")
    require_real(wanted, "a gradient with respect to")
    with tracing(Trace()):  # variables are what they were in the forward part, whatever was assigned since
        dys = start(targets, in_places_of(ys, grad_ys))
        found = backpropagate(nodes_before(targets), targets, dys, wanted)
        results = connected(wanted, [found.get(x) for x in wanted], unconnected_gradients)
    return results if isinstance(xs, Operand) else pack(xs, results)


def nodes_before(ys: Iterable[Operand | None]) -> tuple[Node, ...]:
    """All nodes that `ys` depend on, oldest first."""
    found: set[Node] = set()
    waiting = [x.node for x in ys if isinstance(x, SymbolicTensor)]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [x.node for x in node.operands if isinstance(x, SymbolicTensor)]
    return tuple(sorted(found, key=lambda node: node.serial))


def variables_before(ys: Iterable[Operand | None]) -> tuple[Variable, ...]:
    """The variables that `ys` depend on, in the order of first use."""
    operands = [x for node in nodes_before(ys) for x in sources_of(node)]
    return tuple(dict.fromkeys(x for x in (*operands, *ys) if isinstance(x, Variable)))


def seed_symbol(x: Operand) -> SymbolicTensor:
    """A symbol of its own with the value of `x`, which gradients can be taken with respect to."""
    made = record(find_op("Identity"), (x,), {}, (True,))[0]
    assert made is not None
    return made


def in_places_of(targets: Any, given: Any) -> list[Any] | None:
    """What was given for each target; for a single one it may be a list of numbers."""
    if given is None:
        return None
    is_nested = isinstance(targets, list | tuple | dict)
    given = in_order_of(given, targets)
    return flatten(given) if is_nested or any(isinstance(x, Operand) for x in flatten(given)) else [given]


def start(ys: Sequence[Operand], given: Sequence[object] | None) -> list[Operand]:
    """The gradients of the targets: ones, or what was given.

    Errors: `GradientError` where their number or a shape does not fit.
    """
    if given is None:
        return [_ones(y) for y in ys]
    if len(given) != len(ys):
        raise GradientError(f"{len(ys)} targets need as many gradients to begin with, got {len(given)}")
    return [_ones(y) if dy is None else _like(as_operand(dy, y.dtype), y) for dy, y in zip(given, ys, strict=True)]


def _ones(y: Operand) -> Operand:
    if isinstance(y.type, TensorType) and y.type.shape is not None:
        return ones_like(y)
    return apply("Expand", apply("CastLike", np.float32(1), y), apply("Shape", y))


def _like(dy: Operand, y: Operand) -> Operand:
    given, wanted = (x.type.shape if isinstance(x.type, TensorType) else None for x in (dy, y))
    if given is None or wanted is None:
        return dy
    if len(given) != len(wanted) or any(
            isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(given, wanted, strict=True)):
        raise GradientError(f"a gradient to begin with has the type {dy.type}, its target {y.type}")
    return dy


def connected(sources: Sequence[Operand], found: Iterable[Operand | None], unconnected: Unconnected,
              lead: tuple[int, ...] = ()) -> list[Operand | None]:
    """The gradients found; zeros in place of None where asked for, with axes `lead` in front."""
    if unconnected not in ("none", "zero"):
        raise GradientError(f'unconnected_gradients is "none" or "zero", got {unconnected!r}')
    if unconnected == "none":
        return list(found)
    return [(zeros((*lead, *x.shape), x.dtype) if lead else zeros_like(x)) if dx is None else dx
            for x, dx in zip(sources, found, strict=True)]


def require_real(values: Iterable[object], who: str) -> None:
    """Errors: `GradientError` for what is no floating-point tensor."""
    for x in values:
        if not isinstance(x, Operand):
            raise GradientError(f"{who} {type(x).__name__}: only tensors and variables have one, got {x!r}")
        if isinstance(x.type, TensorType) and not carries_gradient(x):
            raise GradientError(f"{who} {x.type}: only floating-point tensors have one; cast it to float first")
