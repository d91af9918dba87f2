"""Sequences: frames of a signal, sums along one, powers, and numbers at equal ratios."""

from __future__ import annotations

import numpy as np

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.core.types import as_dtype, is_floating
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.creation import logspace
from symgraph.ops.diagonals import counting
from symgraph.ops.getitem import getitem
from symgraph.ops.mathematics import log10
from symgraph.ops.promotion import as_operand, cast_to, promote
from symgraph.ops.rearranging import flip, pad
from symgraph.ops.shape import expand_dims, moveaxis
from symgraph.ops.sizes import as_axis, as_size, dimension, ints, larger, minus, plus, quotient

__all__ = ["correlate", "extract_sequences", "geomspace", "trapezoid", "vander"]


def extract_sequences(x: object, sequence_length: int, sequence_stride: int) -> Operand:
    """`y[..., i, j] = x[..., i stride + j]`: all whole frames of the last axis, `[..., frames, sequence_length]`.

    >>> import symgraph as sg
    >>> sg.ops.extract_sequences([1, 2, 3, 4, 5], 3, 2).tolist()
    [[1, 2, 3], [3, 4, 5]]
    """
    x = as_operand(x)
    if not x.ndim or sequence_length < 1 or sequence_stride < 1:
        raise ShapeError(f"extract_sequences: takes vectors, a length and a stride from 1 on, got {x.type}, "
                         f"{sequence_length} and {sequence_stride}")
    have = dimension(x, -1)
    rest = larger(plus(minus(have, sequence_length), sequence_stride), 0)
    starts = apply("Mul", counting(quotient(rest, sequence_stride)), np.int64(sequence_stride))
    places = apply("Add", expand_dims(starts, 1), Tensor(np.arange(sequence_length)))
    return apply("Gather", x, places, axis=x.ndim - 1)


def correlate(x1: object, x2: object, mode: str = "valid") -> Operand:
    """`y_k = sum_n x1_(n + k) x2_n` of two vectors, as NumPy: where they overlap wholly ("valid"), somewhere
    ("full"), or in the middle ("same", as long as the longer one).

    Errors: `ShapeError` for other ranks, another mode, or open lengths with a mode other than "full".

    >>> import symgraph as sg
    >>> sg.ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], "full").tolist()
    [0.5, 2.0, 3.5, 3.0, 0.0]
    """
    x, y = promote(x1, x2)
    m, n = (z.shape[0] if z.ndim == 1 else None for z in (x, y))
    if x.ndim != 1 or y.ndim != 1 or mode not in ("valid", "same", "full") or not isinstance(n, int) or not n:
        raise ShapeError(f"correlate: takes vectors, the second of known length, and 'valid', 'same' or 'full', "
                         f"got {x.type}, {y.type} and {mode!r}")
    if not is_floating(x.dtype):
        x, y = cast_to(x, "float32"), cast_to(y, "float32")
    if mode == "full":
        return _slide(pad(x, (n - 1, n - 1)), y, n)
    if not isinstance(m, int):
        if mode == "valid":
            return _slide(x, y, n)
        raise ShapeError("correlate: 'same' needs vectors of known length")
    if mode == "valid" and m >= n:
        return _slide(x, y, n)
    full = _slide(pad(x, (n - 1, n - 1)), y, n)
    length = max(m, n) if mode == "same" else max(m, n) - min(m, n) + 1
    start = (m + n - 1 - length + (mode == "same" and m < n)) // 2
    return getitem(full, slice(start, start + length))


def _slide(x: Operand, y: Operand, length: int) -> Operand:
    return apply("MatMul", extract_sequences(x, length, 1), y)


def trapezoid(y: object, x: object = None, dx: float = 1.0, axis: int = -1) -> Operand:
    """`sum_i (x_(i + 1) - x_i) (y_i + y_(i + 1)) / 2` along `axis`; without `x` the distances are `dx`.

    >>> import symgraph as sg
    >>> sg.ops.trapezoid([1.0, 2.0, 3.0]).item()
    4.0
    """
    y = as_operand(y)
    y = y if is_floating(y.dtype) else cast_to(y, "float32")
    y = moveaxis(y, as_axis(axis, y.ndim, "trapezoid"), -1)
    width: object = dx
    if x is not None:
        places = as_operand(x, y.dtype)
        places = places if places.ndim == 1 else moveaxis(places, axis, -1)
        width = apply("Sub", getitem(places, (..., slice(1, None))), getitem(places, (..., slice(None, -1))))
    heights = apply("Add", getitem(y, (..., slice(1, None))), getitem(y, (..., slice(None, -1))))
    area = apply("Mul", heights, as_operand(width, y.dtype))
    return apply("Mul", apply("ReduceSum", area, ints(y.ndim - 1), keepdims=0), as_operand(0.5, y.dtype))


def vander(x: object, N: object = None, increasing: bool = False) -> Operand:
    """`y[i, j] = x_i^(N - 1 - j)`, or `x_i^j` with `increasing`; `N` is the length of `x` unless given.

    >>> import symgraph as sg
    >>> sg.ops.vander([2, 3], 3).tolist()
    [[4, 2, 1], [9, 3, 1]]
    """
    x = as_operand(x)
    if x.ndim != 1:
        raise ShapeError(f"vander: takes a vector, got {x.type}")
    powers = counting(dimension(x, 0) if N is None else as_size(N, "vander"))
    powers = powers if increasing else flip(powers, 0)
    return apply("Pow", expand_dims(x, 1), cast_to(powers, x.dtype))


def geomspace(start: object, stop: object, num: int = 50, endpoint: bool = True, dtype: object = None,
              axis: int = 0) -> Operand:
    """`num` numbers from `start` to `stop`, both above 0, at equal ratios.

    >>> import symgraph as sg
    >>> [round(x, 3) for x in sg.ops.geomspace(1, 8, 4).tolist()]
    [1.0, 2.0, 4.0, 8.0]
    """
    if isinstance(start, int | float) and isinstance(stop, int | float):
        numbers = np.geomspace(start, stop, num, endpoint)
        return as_operand(numbers, "float32" if dtype is None else as_dtype(dtype))
    a, b = promote(start, stop)
    return logspace(log10(a), log10(b), num, endpoint, dtype=dtype, axis=axis)
