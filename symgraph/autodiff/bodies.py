"""Gradients through ops that are made of others: composites, fused regions, functions of files, whole models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from weakref import WeakKeyDictionary

from symgraph.autodiff.straight_through import is_straight_through
from symgraph.core.apply import placeholder
from symgraph.core.composite import DOMAIN, apply_body
from symgraph.core.gradient import Application
from symgraph.core.graph import Graph
from symgraph.core.op import intern_op
from symgraph.core.scope import Trace, tracing
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.ops.creation import zeros_like

Engine = Callable[[Sequence[Application], Sequence[Operand], Sequence[Operand], Sequence[Operand]],
                  Mapping[Operand, Operand]]

Found = tuple[Operand | None, ...]
"""One gradient an operand; None where there is none."""

_Key = tuple[tuple[bool, ...], tuple[bool, ...], bool]
_Gradient = tuple[Graph | None, tuple[bool, ...]]

_GRADIENTS: WeakKeyDictionary[Graph, dict[_Key, _Gradient]] = WeakKeyDictionary()


def through_body(each: Application, dys: Found, sources: Sequence[Operand | None], wanted: tuple[bool, ...],
                 engine: Engine) -> Found:
    """The gradients of `sources`, by one node `FGrad(operands, dys)` that computes again what it needs of F."""
    body = each.body
    assert body is not None
    graph, is_found = body_gradient(body, tuple(dy is not None for dy in dys), wanted, engine)
    if graph is None:
        return (None,) * len(sources)
    op = intern_op(f"{each.op.name}Grad", DOMAIN, 1, None)
    operands = [x for x in each.operands if x is not None]
    results = iter(apply_body(op, graph, (*operands, *(dy for dy in dys if dy is not None))))
    return tuple(next(results) if found else None for found in is_found)


def body_gradient(body: Graph, present: tuple[bool, ...], wanted: tuple[bool, ...], engine: Engine) -> _Gradient:
    """The graph from the inputs of `body` and the gradients of those outputs that have one to the wanted gradients.

    The second result says which of them there are. Without any the graph is None.
    """
    known = _GRADIENTS.setdefault(body, {})
    key = (present, wanted, is_straight_through())
    found = known.get(key)
    if found is None:
        found = known[key] = _differentiate(body, present, wanted, engine)
    return found


def _differentiate(body: Graph, present: tuple[bool, ...], wanted: tuple[bool, ...], engine: Engine) -> _Gradient:
    sources: list[Operand] = [*body.inputs, *body.captures, *body.variables]
    ys = [y for y, has in zip(body.outputs, present, strict=True) if has]
    gradients: Mapping[Operand, Operand]
    dys = [placeholder(y.type, f"dy{i}") for i, y in enumerate(ys)]
    inputs: list[SymbolicTensor] = [*body.inputs, *body.captures, *dys]
    with tracing(Trace()):
        if body.gradient is not None:
            every = iter(dys)
            found = body.gradient(*(next(every) if has else zeros_like(y)
                                    for y, has in zip(body.outputs, present, strict=True)))
            gradients = {x: dx for x, dx in zip(sources, found, strict=False) if dx is not None}
        else:
            gradients = engine(body.nodes, ys, dys, [x for x, w in zip(sources, wanted, strict=True) if w])
    is_found = tuple(w and x in gradients for x, w in zip(sources, wanted, strict=True))
    outputs = [gradients[x] for x, f in zip(sources, is_found, strict=True) if f]
    return Graph(inputs, outputs, name=f"{body.name}_grad") if outputs else None, is_found
