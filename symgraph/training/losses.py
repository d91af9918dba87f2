"""Losses: how far predictions are from what is true."""

from __future__ import annotations

from symgraph.core.tensor import Operand
from symgraph.ops.arithmetic import squared_difference
from symgraph.ops.reductions import mean

__all__ = ["mean_squared_error"]


def mean_squared_error(y_true: object, y_pred: object) -> Operand:
    """`mean((y_true - y_pred)²)` over the last axis: one number a row.

    >>> import symgraph as sg
    >>> sg.losses.mean_squared_error([[1.0, 2.0]], [[0.0, 4.0]]).tolist()
    [2.5]
    """
    return mean(squared_difference(y_pred, y_true), axis=-1)
