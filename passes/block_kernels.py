"""Kernels of convolutions as the kernels of ONNX Runtime on blocks of channels take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.passes.matching import made_by, shape_of
from symgraph.passes.remove_transposes import perm_of

KERAS = (3, 2, 0, 1)
"""What makes (out, in, height, width) of Keras's (height, width, in, out)."""

Sizes = tuple[int, ...]
Builder = Callable[..., Any]
"""Applies a standard operator of the graph's opset, by its name."""


def known_sizes(x: Operand | None) -> Sizes | None:
    """The shape of a value, where it is wholly known."""
    shape = shape_of(x)
    sizes = tuple(n for n in shape or () if isinstance(n, int))
    return sizes if shape is not None and len(sizes) == len(shape) else None


def kernel_source(w: Operand) -> tuple[Operand, bool]:
    """What a kernel (out, in, height, width) is made of, and whether that has Keras's layout."""
    transpose = made_by(w, "Transpose")
    source = None if transpose is None or perm_of(transpose) != KERAS else transpose.inputs[0]
    return (w, False) if source is None else (source, True)


def blocked_kernel(w: Operand, block: int, at: Builder, *, has_keras_layout: bool, turned: bool = False) -> Operand:
    """A kernel as (out / block, in / block, points of the window, block of in, block of out), called (out, in, …).

    `turned` round, with ins and outs exchanged, it is that of the gradient of the input. Ins that fill no block stay
    as they are.
    """
    sizes = known_sizes(w) or ()
    made, given, *window = (sizes[3], sizes[2], *sizes[:2]) if has_keras_layout else sizes
    rows = _as_rows(w, at, has_keras_layout=has_keras_layout, turned=turned)
    size = (given, made, *window) if turned else (made, given, *window)
    return (_in_moves if turned else _in_blocks)(rows, size, block, at)


def _as_rows(w: Operand, at: Builder, *, has_keras_layout: bool, turned: bool) -> Operand:
    """A kernel as (points of the window, in, out); turned round with ins and outs exchanged for a gradient."""
    sizes = known_sizes(w) or ()
    if has_keras_layout:
        points, n, m = sizes[0] * sizes[1], sizes[2], sizes[3]
        rows = at("Reshape", w, np.array((points, n, m), np.int64))
    else:
        m, n, points = sizes[0], sizes[1], sizes[2] * sizes[3]
        columns = at("Transpose", at("Reshape", w, np.array((m, n * points), np.int64)), perm=(1, 0))
        rows = at("Transpose", at("Reshape", columns, np.array((n, points, m), np.int64)), perm=(1, 0, 2))
    if turned:
        rows = at("Gather", rows, np.arange(points)[::-1].astype(np.int64), axis=0)
        rows = at("Transpose", rows, perm=(0, 2, 1))
    return rows  # type: ignore[no-any-return]


def _in_moves(rows: Operand, size: Sizes, block: int, at: Builder) -> Operand:
    """What `_in_blocks` gives, in two moves: one would be joined with the exchange of ins and outs, and slow."""
    made, given, *window = size
    points, parts = window[0] * window[1], made // block
    outer = at("Transpose", at("Reshape", rows, np.array((points * given, parts, block), np.int64)), perm=(1, 0, 2))
    split = at("Reshape", outer, np.array((parts, points, given // block, block * block), np.int64))
    return at("Reshape", at("Transpose", split, perm=(0, 2, 1, 3)), np.array(size, np.int64))  # type: ignore[no-any-return]


def _in_blocks(rows: Operand, size: Sizes, block: int, at: Builder) -> Operand:
    """(points, in, out) as (out / block, in / block, points, block of in, block of out), which are called `size`."""
    made, given = size[:2]
    points = size[2] * size[3]
    parts: Sizes
    perm: Sizes
    if given % block:
        parts, perm = (points, given, made // block, block), (2, 1, 0, 3)
    else:
        parts, perm = (points, given // block, block, made // block, block), (3, 1, 0, 2, 4)
    split = at("Transpose", at("Reshape", rows, np.array(parts, np.int64)), perm=perm)
    return at("Reshape", split, np.array(size, np.int64))  # type: ignore[no-any-return]
