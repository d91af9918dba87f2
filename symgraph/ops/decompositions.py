"""What is made of determinants and powers of matrices, and what no ONNX operator expresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from symgraph.core.errors import ShapeError, UnsupportedOpError
from symgraph.core.tensor import Operand, method
from symgraph.ops.applying import apply
from symgraph.ops.contraction import multiply_matrices
from symgraph.ops.creation import eye
from symgraph.ops.linalg import det
from symgraph.ops.promotion import as_operand
from symgraph.ops.shape import broadcast_to
from symgraph.ops.sizes import dimension, dimensions

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "eig",
    "eigh",
    "inv",
    "logdet",
    "lstsq",
    "lu_factor",
    "matrix_power",
    "matrix_rank",
    "nextafter",
    "pinv",
    "polar",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "view",
    "view_as_complex",
    "view_as_real",
]


def slogdet(x: object) -> tuple[Operand, Operand]:
    """The sign of the determinant and `log |det x|`, for every square matrix of the last two axes (ONNX Det)."""
    value = det(x)
    return apply("Sign", value), apply("Log", apply("Abs", value))


def logdet(x: object) -> Operand:
    """`log det x` for matrices with a positive determinant (ONNX Det)."""
    return apply("Log", det(x))


@method
def matrix_power(x: object, n: int) -> Operand:
    """`x @ x @ ... @ x`, n times, by repeated squaring; n = 0 gives the identity.

    Errors: `ShapeError` where the last two axes are known to differ; `UnsupportedOpError` for negative `n`.
    """
    x = as_operand(x)
    if x.ndim < 2 or (isinstance(x.shape[-1], int) and isinstance(x.shape[-2], int) and x.shape[-1] != x.shape[-2]):
        raise ShapeError(f"matrix_power: takes square matrices, got {x.type}")
    if n < 0:
        raise UnsupportedOpError("matrix_power: a negative power needs an inverse, which no ONNX operator gives")
    if n == 0:
        return broadcast_to(eye(dimension(x, -1), dtype=x.dtype), dimensions(x))
    result: Operand | None = None
    while n:
        if n % 2:
            result = x if result is None else multiply_matrices(result, x)
        n //= 2
        x = multiply_matrices(x, x) if n else x
    assert result is not None
    return result


def _refused(name: str, reason: str = "no ONNX operator expresses it", advice: str = "") -> Callable[..., NoReturn]:
    def refuse(*args: object, **options: object) -> NoReturn:
        raise UnsupportedOpError(f"{name}: {reason}; " + (
            advice or "compute it with numpy.linalg or scipy.linalg and hand the result in as a value"))

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"No ONNX operator expresses `{name}`: raises `UnsupportedOpError` that says so."
    return refuse


_BITS = "no ONNX operator reads the bits of a number as another dtype", "use NumPy's and hand the result in as a value"
_COMPLEX = "ONNX Runtime computes nothing with complex numbers", "keep real and imaginary parts in two tensors"

cholesky = _refused("cholesky")
cholesky_inverse = _refused("cholesky_inverse")
eig = _refused("eig")
eigh = _refused("eigh")
inv = _refused("inv")
lstsq = _refused("lstsq")
lu_factor = _refused("lu_factor")
matrix_rank = _refused("matrix_rank")
nextafter = _refused("nextafter", *_BITS)
pinv = _refused("pinv")
polar = _refused("polar", *_COMPLEX)
qr = _refused("qr")
solve = _refused("solve")
solve_triangular = _refused("solve_triangular")
svd = _refused("svd")
view = _refused("view", *_BITS)
view_as_complex = _refused("view_as_complex", *_COMPLEX)
view_as_real = _refused("view_as_real", *_COMPLEX)
