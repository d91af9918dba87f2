"""Indexing of values at the speed of the kernels: what a key makes of a shape is worked out once.

A plan is the chain of nodes that a key records on a symbol of the same shape, so there is one definition of what
a key means.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import Any

from symgraph.core.apply import evaluate_op, symbol
from symgraph.core.memory import program_constants
from symgraph.core.op import Op
from symgraph.core.scope import not_tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor

MAX_PLANS = 4096

Step = tuple[Op, tuple[Operand | None, ...], Mapping[str, Any]]
"""An op, its operands after the first, and its attributes."""

_PLANS: dict[object, tuple[Step, ...] | None] = {}
_ONE = (True,)


def planned(x: Tensor, key: object, function: Callable[[Operand, object], Operand]) -> Operand:
    """`function(x, key)`; by plan where the key is made of plain numbers, slices, None and ... and comes again."""
    frozen = _freeze(key)
    if frozen is None:
        return function(x, key)
    place = x.type.shape, frozen  # type: ignore[union-attr]
    plan = _PLANS.get(place)
    if plan is None:
        result = function(x, key)  # raises where the key does not fit
        _remember(place, x, key, function)
        return result
    for op, rest, attributes in plan:
        x = evaluate_op(op, (x, *rest), attributes, _ONE)[0]
    return x


def _freeze(key: object) -> object:
    """Something hashable that is equal for equal keys; None for keys that hold more than numbers."""
    if type(key) is tuple:
        entries = tuple([_freeze(k) for k in key])
        return None if None in entries else entries
    if type(key) is builtins.slice:
        start, stop, step = key.start, key.stop, key.step
        is_plain = (start is None or type(start) is int) and (stop is None or type(stop) is int) and (
            step is None or type(step) is int)
        return ("slice", start, stop, step) if is_plain else None
    if key is None:
        return "new axis"
    return key if type(key) is int or key is ... else None


def _remember(place: object, x: Tensor, key: object, function: Callable[[Operand, object], Operand]) -> None:
    """Plan a key when it comes the second time; the first time it is noted, as loops over `x[i]` may not come again."""
    if place not in _PLANS:
        if len(_PLANS) >= MAX_PLANS:
            _PLANS.clear()
        _PLANS[place] = None
        return
    steps: list[Step] = []
    with program_constants(lambda: [y for _, rest, _ in steps for y in rest if isinstance(y, Tensor)]), not_tracing():
        start = symbol(x.shape, x.dtype)
        y = function(start, key)
        while y is not start:
            assert isinstance(y, SymbolicTensor) and isinstance(y.node, Node)
            first, *rest = y.node.inputs
            steps.insert(0, (y.node.op, tuple(rest), y.node.attributes))
            assert isinstance(first, Operand)
            y = first
    _PLANS[place] = tuple(steps)
