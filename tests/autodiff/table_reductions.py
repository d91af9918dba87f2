"""Reductions, over axes given in every way that the operators know."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, apart, normal, positive

_NAMES = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")


def _reduce(name: str, axes: tuple[int, ...] | None = None, **attributes: int) -> Any:
    given = None if axes is None else np.array(axes, np.int64)
    return lambda x: sg.ops.onnx(f"Reduce{name}", x, given, **attributes)


def _old(name: str, **attributes: Any) -> Any:
    return lambda x: apply_op(find_op(f"Reduce{name}", "", 11), x, **attributes)


def _point(name: str, *shape: int) -> tuple[Any, ...]:
    return (positive(*shape) if name == "LogSum" else apart(*shape),)


CASES = [
    case for name in _NAMES for case in (
        Case(f"reduce {name}", _reduce(name), _point(name, 2, 3)),
        Case(f"reduce {name} of one axis", _reduce(name, (1,), keepdims=0), _point(name, 2, 3)),
        Case(f"reduce {name} of negative axes", _reduce(name, (-1, 0), keepdims=1), _point(name, 2, 2, 2)),
        Case(f"reduce {name} of no axes", _reduce(name, noop_with_empty_axes=1), _point(name, 3)),
        Case(f"reduce {name} of axes in an attribute", _old(name, axes=(-1,), keepdims=0), _point(name, 2, 3)),
        Case(f"reduce {name} of all axes, old", _old(name, keepdims=0), _point(name, 2, 2)),
    )
] + [
    *(Case(f"reduce {name} of no rows", _reduce(name, (1,), keepdims=0), (normal(0, 3),)) for name in _NAMES),
    *(Case(f"reduce {name} of a scalar", _reduce(name), (np.array(0.7),)) for name in _NAMES),
    Case("sum of nothing", lambda x: sg.sum(x, 0), (normal(0, 3),)),
    Case("mean of a scalar", sg.mean, (normal(),)),
    Case("prod along an empty axis", lambda x: sg.prod(x, 1), (normal(2, 0),)),
    Case("prod with a zero", lambda x: sg.prod(x, 1), (np.array([[0.0, 2.0, 3.0], [1.0, -2.0, 0.5]]),)),
    Case("prod with two zeros", lambda x: sg.prod(x, 1), (np.array([[0.0, 0.0, 3.0], [1.0, 0.0, 0.5]]),)),
    Case("prod of large and small numbers", sg.prod, (np.array([1e3, 1e-3, -2.0]),), float32=False),
    Case("max", lambda x: sg.max(x, (0, 2)), (apart(2, 3, 2),)),
    Case("min, axes kept", lambda x: sg.min(x, -1, keepdims=True), (apart(2, 3),)),
    Case("max with a lower bound", lambda x: sg.max(x, 1, initial=0.3), (apart(2, 3),)),
    Case("ptp", lambda x: sg.ops.ptp(x, 1), (apart(2, 4),)),
    Case("average with weights", lambda x, w: sg.ops.average(x, 1, w), (normal(2, 3), positive(3))),
    Case("logsumexp", lambda x: sg.ops.logsumexp(x, 1), (normal(2, 3),)),
    Case("nanmax", lambda x: sg.ops.nanmax(x, 1), (apart(2, 3),)),
]
