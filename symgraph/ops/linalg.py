"""Products of vectors and matrices, norms, determinants."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import cast

import numpy as np

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.errors import OpError, ShapeError, UnsupportedOpError
from symgraph.core.gradient import gradient_of
from symgraph.core.tensor import Operand, method
from symgraph.core.types import is_floating, promote_dtypes
from symgraph.ops.applying import apply
from symgraph.ops.contraction import Term, contract, in_order, multiply_matrices
from symgraph.ops.promotion import as_operand, cast_to, promote
from symgraph.ops.reduction_gradient import lift
from symgraph.ops.shape import expand_dims, ravel, reshape, squeeze, transpose
from symgraph.ops.sizes import as_axes, as_axis, dimensions, ints, times

__all__ = [
    "cross", "det", "dot", "inner", "kron", "matmul", "norm", "outer", "tensordot", "vdot", "vecdot",
]

_SMALL = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


@method
def matmul(x1: object, x2: object) -> Operand:
    """`x1 @ x2`: matrices of the last two axes, the others broadcast; a vector is a row or a column (ONNX MatMul).

    Errors: `ShapeError` for scalars; `OpError` for inner sizes that differ.

    >>> import symgraph as sg
    >>> sg.ops.matmul([[1, 2], [3, 4]], [1, 1]).tolist()
    [3, 7]
    """
    x, y = promote(x1, x2)
    if x.type is not None and y.type is not None:
        if not x.ndim or not y.ndim:
            raise ShapeError(f"matmul: takes vectors and matrices, got {x.type} and {y.type}; multiply takes scalars")
        return multiply_matrices(x, y)
    return apply("MatMul", x, y)


@method
def dot(x1: object, x2: object) -> Operand:
    """`sum_k x1[..., k] x2[..., k, :]`, as NumPy's dot; with a scalar, the product.

    Errors: `OpError` for inner sizes that differ.
    """
    x, y = promote(x1, x2)
    if not x.ndim or not y.ndim:
        return _product(x, y)
    if y.ndim <= 2 or x.ndim == 1:
        return multiply_matrices(x, y)
    return tensordot(x, y, axes=([-1], [-2]))


def _product(x: Operand, y: Operand) -> Operand:
    return apply("And" if x.dtype == "bool" else "Mul", x, y)


@method
def vdot(x1: object, x2: object) -> Operand:
    """`sum_i x1_i x2_i` over all elements of both.

    Errors: `OpError` where the numbers of elements differ.
    """
    x, y = promote(x1, x2)
    return multiply_matrices(ravel(x), ravel(y))


def vecdot(x1: object, x2: object, axis: int = -1) -> Operand:
    """`sum_i x1_i x2_i` along `axis`; the others broadcast."""
    x, y = promote(x1, x2)
    dtype = x.dtype
    x, y = (cast_to(z, _SMALL.get(dtype, dtype)) for z in (x, y))
    total = apply("ReduceSum", apply("Mul", x, y), ints(as_axis(axis, max(x.ndim, y.ndim), "vecdot")), keepdims=0)
    return cast_to(total, dtype)


@method
def inner(x1: object, x2: object) -> Operand:
    """`sum_k x1[..., k] x2[..., k]` for every row of one and of the other; with a scalar, the product."""
    x, y = promote(x1, x2)
    return tensordot(x, y, axes=([-1], [-1])) if x.ndim and y.ndim else _product(x, y)


@method
def outer(x1: object, x2: object) -> Operand:
    """`y[i, j] = x1_i x2_j`, of all elements of both."""
    x, y = promote(x1, x2)
    return _product(expand_dims(ravel(x), 1), ravel(y))


@method
def tensordot(x1: object, x2: object, axes: object = 2) -> Operand:
    """The sum of products over pairs of axes: the last `axes` of `x1` and the first of `x2`, or two lists of axes.

    Errors: `ShapeError` for lists of different lengths or known sizes that differ.

    >>> import symgraph as sg
    >>> sg.ops.tensordot([[1, 2]], [[3], [4]], axes=1).tolist()
    [[11]]
    """
    x, y = promote(x1, x2)
    if isinstance(axes, int | np.integer):
        count = int(axes)
        if not 0 <= count <= min(x.ndim, y.ndim):
            raise ShapeError(f"tensordot: {x.type} and {y.type} do not have {count} axes in common")
        left, right = tuple(range(x.ndim - count, x.ndim)), tuple(range(count))
    else:
        first, second = cast(Sequence[object], axes)
        left, right = as_axes(first, x.ndim, "tensordot"), as_axes(second, y.ndim, "tensordot")
    if len(left) != len(right):
        raise ShapeError(f"tensordot: {len(left)} axes of one tensor go with {len(right)} of the other")
    for a, b in zip(left, right, strict=True):
        m, n = x.shape[a], y.shape[b]
        if isinstance(m, int) and isinstance(n, int) and m != n:
            raise ShapeError(f"tensordot: axis {a} of {x.type} and axis {b} of {y.type} differ in size")
    letters = iter(string.ascii_letters)
    first_letters = "".join(next(letters) for _ in range(x.ndim))
    own = "".join(next(letters) for _ in range(y.ndim - len(right)))
    rest = iter(own)
    second_letters = "".join(first_letters[left[right.index(i)]] if i in right else next(rest) for i in range(y.ndim))
    kept = "".join(c for i, c in enumerate(first_letters) if i not in left) + own
    dtype = x.dtype
    x, y = (cast_to(z, _SMALL.get(dtype, dtype)) for z in (x, y))
    found = contract(Term(x, first_letters), Term(y, second_letters), kept)
    return cast_to(in_order(found, kept), dtype)


@method
def kron(x1: object, x2: object) -> Operand:
    """The Kronecker product: every element of `x1` times the whole of `x2`."""
    x, y = promote(x1, x2)
    rank = max(x.ndim, y.ndim)
    x, y = (expand_dims(z, tuple(range(rank - z.ndim))) for z in (x, y))
    blocks = _product(expand_dims(x, tuple(range(1, 2 * rank, 2))), expand_dims(y, tuple(range(0, 2 * rank, 2))))
    return reshape(blocks, [times(m, n) for m, n in zip(dimensions(x), dimensions(y), strict=True)])


@method
def cross(
        x1: object, x2: object, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Operand:
    """The cross product of vectors of three along an axis; of two, its third component.

    An open number of components counts as three.

    Errors: `ShapeError` for vectors of another known size.
    """
    x, y = promote(x1, x2)
    if axis is not None:
        axisa = axisb = axisc = axis
    x = _last(x, as_axis(axisa, x.ndim, "cross"))
    y = _last(y, as_axis(axisb, y.ndim, "cross"))
    if x.shape[-1] not in (2, 3, None) or y.shape[-1] not in (2, 3, None):
        raise ShapeError(f"cross: vectors have 2 or 3 components, got {x.type} and {y.type}")
    if x.shape[-1] == y.shape[-1] == 2:
        return apply("Sub", _product(_component(x, 0), _component(y, 1)), _product(_component(x, 1), _component(y, 0)))
    x, y = (_with_third(z) for z in (x, y))
    turned = apply("Sub", _product(_turn(x, 1), _turn(y, 2)), _product(_turn(x, 2), _turn(y, 1)))
    place = as_axis(axisc, turned.ndim, "cross")
    order = list(range(turned.ndim - 1))
    order.insert(place, turned.ndim - 1)
    return transpose(turned, order)


def _last(x: Operand, axis: int) -> Operand:
    return transpose(x, (*(i for i in range(x.ndim) if i != axis), axis))


def _component(x: Operand, number: int) -> Operand:
    return apply("Gather", x, np.int64(number), axis=-1)


def _with_third(x: Operand) -> Operand:
    from symgraph.ops.rearranging import pad

    return x if x.shape[-1] != 2 else pad(x, [(0, 0)] * (x.ndim - 1) + [(0, 1)])


def _turn(x: Operand, places: int) -> Operand:
    return apply("Gather", x, ints(*((i + places) % 3 for i in range(3))), axis=-1)


@method
def norm(x: object, ord: object = None, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Operand:
    """The norm of vectors along one axis, or of matrices along two, as NumPy's linalg.norm.

    Without `ord`: the root of the sum of squares. Vectors: inf, -inf, 0, or any number p,
    `(sum |x|^p)^(1/p)`. Matrices: "fro", 1, -1, inf, -inf (largest or smallest sum of a column or row).

    Errors: `ShapeError` for other axes; `UnsupportedOpError` for orders that need a singular value decomposition.
    """
    x = as_operand(x)
    if not is_floating(x.dtype):
        x = cast_to(x, promote_dtypes(x.dtype, "float32"))
    axes = as_axes(axis, x.ndim, "norm")
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return apply("ReduceL2", x, ints(*axes), keepdims=int(keepdims)) if axes else apply("Abs", x)
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ShapeError(f"norm: an order goes with one axis or two, got {len(axes)} of {x.type}")
    if ord in ("nuc", 2, -2):
        raise UnsupportedOpError(f"norm: order {ord!r} of matrices needs singular values, which no ONNX operator gives")
    if ord not in (1, -1, math.inf, -math.inf):
        raise OpError(f"norm: order of matrices is 'fro', 1, -1, inf or -inf, got {ord!r}")
    summed, compared = axes if abs(ord) == 1 else axes[::-1]
    sums = apply("ReduceL1", x, ints(summed), keepdims=1)
    result = apply("ReduceMax" if ord > 0 else "ReduceMin", sums, ints(compared), keepdims=1)
    return result if keepdims else squeeze(result, axes)


def _vector_norm(x: Operand, ord: object, axis: int, keepdims: bool) -> Operand:
    axes, keep = ints(axis), int(keepdims)
    if ord == 1:
        return apply("ReduceL1", x, axes, keepdims=keep)
    if ord in (math.inf, -math.inf):
        return apply("ReduceMax" if ord == math.inf else "ReduceMin", apply("Abs", x), axes, keepdims=keep)
    if ord == 0:
        is_zero = apply("Equal", x, 0.0)
        return apply("ReduceSum", cast_to(apply("Not", is_zero), x.dtype), axes, keepdims=keep)
    if not isinstance(ord, int | float):
        raise OpError(f"norm: order of vectors is a number, got {ord!r}")
    return cast(Operand, apply_composite("Norm", _power_norm, x, order=float(ord), axis=axis, keepdims=keep))


def _power_norm(x: Operand, order: float, axis: int, keepdims: int) -> Operand:
    powers = apply("Pow", apply("Abs", x), as_operand(order, x.dtype))
    total = apply("ReduceSum", powers, ints(axis), keepdims=keepdims)
    return apply("Pow", total, as_operand(1.0 / order, x.dtype))


@gradient_of("Norm", domain=DOMAIN)
def _power_norm_gradient(dy: Operand, y: Operand, x: Operand, *, order: float, axis: int, keepdims: int) -> Operand:
    """`sign(x) (|x| / |x|_p)^(p - 1)`; 0 where all are 0."""
    is_zero = apply("Equal", y, 0.0)
    slope = lift(apply("Where", is_zero, 0.0, dy), (axis,), keepdims)
    share = apply("Abs", x) / lift(apply("Where", is_zero, 1.0, y), (axis,), keepdims)
    return slope * apply("Sign", x) * apply("Pow", share, as_operand(order - 1.0, x.dtype))


@method
def det(x: object) -> Operand:
    """The determinant of every square matrix of the last two axes (ONNX Det).

    Errors: `ShapeError` where the last two axes are known to differ.
    """
    x = as_operand(x)
    if x.ndim < 2 or (isinstance(x.shape[-1], int) and isinstance(x.shape[-2], int) and x.shape[-1] != x.shape[-2]):
        raise ShapeError(f"det: takes square matrices, got {x.type}")
    return apply("Det", x if is_floating(x.dtype) else cast_to(x, "float32"))
