"""Masks of attention: which keys a query looks at."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import absolute, subtract
from symgraph.ops.casting import cast
from symgraph.ops.comparison import greater_equal, less, logical_and
from symgraph.ops.promotion import as_operand
from symgraph.ops.shape import expand_dims
from symgraph.ops.sizes import Size

__all__ = ["as_bool", "causal_mask", "merge_masks", "step_masks", "window_mask"]


def as_bool(mask: object) -> Operand:
    """A mask as booleans: numbers count as True where they are not 0."""
    return cast(as_operand(mask), "bool")


def causal_mask(queries: Size, keys: Size) -> Operand:
    """True where the key is no later than the query: `(1, queries, keys)`."""
    rows, columns = _positions(queries, keys)
    return greater_equal(rows, columns)


def window_mask(queries: Size, keys: Size, width: int) -> Operand:
    """True where the key is less than `width` steps from the query: `(1, queries, keys)`."""
    rows, columns = _positions(queries, keys)
    return less(absolute(subtract(rows, columns)), width)


def _positions(queries: Size, keys: Size) -> tuple[Operand, Operand]:
    """The numbers of the queries, `(1, queries, 1)`, and of the keys, `(keys,)`."""
    rows, columns = (apply("Range", np.int64(0), n if isinstance(n, Operand) else np.int64(n), np.int64(1))
                     for n in (queries, keys))
    return expand_dims(rows, (0, 2)), columns


def step_masks(query: Any, value: Any, key: Any) -> list[Operand | None]:
    """The masks `(batch, steps)` of queries, values and keys as masks of `(batch, queries, keys)`; None stays."""
    return [None if mask is None else expand_dims(as_bool(mask), axis)
            for mask, axis in ((query, -1), (value, -2), (key, -2))]


def merge_masks(*masks: Operand | None) -> Operand | None:
    """True where all of the masks are; None where there are none."""
    merged: Operand | None = None
    for mask in masks:
        if mask is not None:
            merged = mask if merged is None else logical_and(merged, mask)
    return merged
