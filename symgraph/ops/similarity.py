"""How alike things are: correlation coefficients, distances, signal-to-noise ratio."""

from __future__ import annotations

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating
from symgraph.ops.applying import apply
from symgraph.ops.contraction import multiply_matrices
from symgraph.ops.mathematics import log10
from symgraph.ops.promotion import as_operand, cast_to, promote, promote_to_float
from symgraph.ops.shape import expand_dims, transpose
from symgraph.ops.sizes import ints

__all__ = ["cdist", "corrcoef", "psnr"]


def corrcoef(x: object) -> Operand:
    """`c_ij / sqrt(c_ii c_jj)` of the covariances `c` of the rows of a matrix; of one row, 1.

    >>> import symgraph as sg
    >>> sg.ops.corrcoef([[1.0, 2.0], [4.0, 2.0]]).numpy().round().tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = as_operand(x)
    x = x if is_floating(x.dtype) else cast_to(x, "float32")
    if x.ndim not in (1, 2):
        raise ShapeError(f"corrcoef: takes a matrix whose rows are variables, got {x.type}")
    rows = expand_dims(x, 0) if x.ndim == 1 else x
    centred = apply("Sub", rows, apply("ReduceMean", rows, ints(1), keepdims=1))
    unit = apply("Div", centred, apply("ReduceL2", centred, ints(1), keepdims=1))
    c = multiply_matrices(unit, transpose(unit))
    c = apply("Max", apply("Min", c, as_operand(1.0, x.dtype)), as_operand(-1.0, x.dtype))
    return apply("Squeeze", c, ints(0, 1)) if x.ndim == 1 else c


def cdist(x: object, y: object) -> Operand:
    """`d[..., i, j] = |x[..., i, :] - y[..., j, :]|`, the Euclidean distances of all pairs of rows.

    >>> import symgraph as sg
    >>> sg.ops.cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).tolist()
    [[5.0, 1.0]]
    """
    x, y = promote_to_float(x, y)
    m, n = (z.shape[-1] if z.ndim > 1 else None for z in (x, y))
    if x.ndim < 2 or y.ndim < 2 or (isinstance(m, int) and isinstance(n, int) and m != n):
        raise ShapeError(f"cdist: takes matrices with rows of one length, got {x.type} and {y.type}")
    gaps = apply("Sub", expand_dims(x, x.ndim - 1), expand_dims(y, y.ndim - 2))
    return apply("ReduceL2", gaps, ints(max(x.ndim, y.ndim)), keepdims=0)


def psnr(x1: object, x2: object, max_val: float) -> Operand:
    """`20 log10(max_val) - 10 log10(mean (x1 - x2)^2)`, the peak signal-to-noise ratio in decibels.

    Errors: `ShapeError` where known shapes differ.
    """
    x, y = promote_to_float(*promote(x1, x2))
    if x.ndim != y.ndim or any(isinstance(m, int) and isinstance(n, int) and m != n
                               for m, n in zip(x.shape, y.shape, strict=True)):
        raise ShapeError(f"psnr: takes two tensors of one shape, got {x.type} and {y.type}")
    gap = apply("Sub", x, y)
    error = apply("ReduceMean", apply("Mul", gap, gap), ints(*range(x.ndim)), keepdims=0)
    peak = as_operand(max_val, x.dtype)
    return apply("Sub", apply("Mul", log10(peak), as_operand(20.0, x.dtype)),
                 apply("Mul", log10(error), as_operand(10.0, x.dtype)))
