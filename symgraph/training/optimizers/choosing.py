"""Assignments that depend on a value, in eager mode and in a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph import ops
from symgraph.core.scope import current_trace


def choose(condition: Any, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
    """Do the assignments of one of two functions.

    In a trace both are recorded, and what either assigns becomes `where(condition, …, …)`.
    """
    trace = current_trace()
    if trace is None:
        (then if bool(condition) else otherwise)()
        return
    before = dict(trace.updates)
    results = []
    for function in (then, otherwise):
        trace.updates.clear()
        trace.updates.update(before)
        function()
        results.append(dict(trace.updates))
    trace.updates.clear()
    trace.updates.update(before)
    for v in {**results[0], **results[1]}:
        a, b = (each.get(v, v) for each in results)
        if a is not b:
            v.assign(ops.where(condition, a, b))
