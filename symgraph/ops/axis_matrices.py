"""Linear maps along one axis as matrices, found by applying an operator to the unit vectors.

What an operator does to an axis in all its modes it says itself, so its transpose needs no second account of them.
"""

from __future__ import annotations

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.sizes import Size, ints, vector


def unit_vectors(size: Size, dtype: str) -> Operand:
    """The unit matrix."""
    if isinstance(size, int):
        return Tensor(np.eye(size, dtype=numpy_dtype(dtype)))
    zeros = apply("ConstantOfShape", vector([size, size]), value=np.zeros(1, np.float32))
    return apply("EyeLike", zeros, dtype=ELEM_TYPES[dtype])


def along(x: Operand, matrix: Operand, axis: int) -> Operand:
    """`y[.., i, ..] = Σ_j matrix[i, j] x[.., j, ..]` at `axis`."""
    if axis == x.ndim - 2:
        return apply("MatMul", matrix, x)
    if axis == x.ndim - 1:
        return apply("MatMul", x, apply("Transpose", matrix, perm=(1, 0)))
    order = (*(i for i in range(x.ndim) if i != axis), axis)
    turned = apply("MatMul", apply("Transpose", x, perm=order), apply("Transpose", matrix, perm=(1, 0)))
    return apply("Transpose", turned, perm=tuple(int(i) for i in np.argsort(order)))


def squeezed(matrix: Operand, *axes: int) -> Operand:
    """A matrix without the axes of size 1 that an operator wanted."""
    return apply("Squeeze", matrix, ints(*axes))
