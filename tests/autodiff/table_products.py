"""Products of matrices, sums of products, norms, determinants."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, apart, normal

_RANKS = {
    "vectors": ((3,), (3,)), "row and matrix": ((3,), (3, 2)), "matrix and column": ((2, 3), (3,)),
    "matrices": ((2, 3), (3, 4)), "batch and matrix": ((2, 2, 3), (3, 2)), "matrix and batch": ((2, 3), (2, 3, 2)),
    "batches that broadcast": ((2, 1, 2, 3), (3, 3, 2)), "row and batch": ((3,), (2, 3, 2)),
    "batch and column": ((2, 2, 3), (3,)), "nothing summed": ((2, 0), (0, 3)), "no rows": ((0, 3), (3, 2)),
    "no batch": ((0, 2, 3), (3, 2)), "an empty batch": ((0, 2, 3), (0, 3, 2)),
}


def _gemm(**attributes: Any) -> Any:
    return lambda a, b, *c: sg.ops.onnx("Gemm", a, b, *c, **attributes)


def _einsum(equation: str) -> Any:
    return lambda *xs: sg.ops.onnx("Einsum", *xs, equation=equation)


_EQUATIONS = {
    "ij,jk->ik": ((2, 3), (3, 2)), "bij,bjk->bik": ((2, 2, 3), (2, 3, 2)), "ii->i": ((3, 3),), "ii": ((3, 3),),
    "ij->": ((2, 3),), "ij->j": ((2, 3),), "i,j,k->ijk": ((2,), (2,), (3,)), "ij,jk,kl->il": ((2, 2), (2, 3), (3, 2)),
    "...ij,...jk->...ik": ((2, 1, 2, 3), (1, 2, 3, 2)), "ij,kj": ((2, 3), (2, 3)), "ij,j->i": ((2, 3), (3,)),
    "iij,j->i": ((2, 2, 3), (3,)), "ij,ij->": ((2, 3), (2, 3)), "ij,k->i": ((2, 2), (3,)), "...i->...": ((2, 2, 3),),
    "bhid,bhjd->bhij": ((1, 2, 2, 3), (1, 2, 2, 3)), "iji->j": ((2, 3, 2),), "ij->ji": ((2, 3),),
}

CASES = [
    *(Case(f"matmul of {name}", sg.matmul, (normal(*m), normal(*n, seed=1))) for name, (m, n) in _RANKS.items()),
    *(Case(f"ONNX MatMul of {name}", lambda x, y: sg.ops.onnx("MatMul", x, y), (normal(*m), normal(*n, seed=1)))
      for name, (m, n) in _RANKS.items() if 0 not in m),
    Case("MatMul, old", lambda x, y: apply_op(find_op("MatMul", "", 7), x, y), (normal(2, 3), normal(3, 2, seed=1))),
    *(Case(f"gemm {a}{b}", _gemm(transA=a, transB=b, alpha=0.5, beta=2.0),
           (normal(*((3, 2) if a else (2, 3))), normal(*((4, 3) if b else (3, 4)), seed=1), normal(4, seed=2)))
      for a in (0, 1) for b in (0, 1)),
    Case("gemm without C", _gemm(), (normal(2, 3), normal(3, 2, seed=1))),
    Case("gemm with a column C", _gemm(beta=0.5), (normal(2, 3), normal(3, 2, seed=1), normal(2, 1, seed=2))),
    Case("gemm with a scalar C", _gemm(), (normal(2, 3), normal(3, 2, seed=1), normal(seed=2))),
    Case("gemm with a C of one", _gemm(), (normal(2, 3), normal(3, 2, seed=1), normal(1, seed=2))),
    Case("gemm with a whole C", _gemm(), (normal(2, 3), normal(3, 2, seed=1), normal(2, 2, seed=2))),
    Case("gemm of no rows", _gemm(), (normal(0, 3), normal(3, 2, seed=1), normal(2, seed=2))),
    Case("gemm, old", lambda *xs: apply_op(find_op("Gemm", "", 7), *xs, transB=1),
         (normal(2, 3), normal(2, 3, seed=1), normal(2, seed=2))),
    *(Case(f"einsum {equation}", _einsum(equation), tuple(normal(*s, seed=i) for i, s in enumerate(shapes)))
      for equation, shapes in _EQUATIONS.items()),
    Case("einsum of an empty batch", lambda x, y: sg.einsum("bij,bjk->bik", x, y),
         (normal(0, 2, 3), normal(0, 3, 2, seed=1))),
    Case("einsum of ellipses of different ranks", lambda x, y: sg.einsum("...ij,...jk->...ik", x, y),
         (normal(2, 2, 3), normal(2, 1, 3, 2, seed=1))),
    Case("einsum over an axis of one", lambda x, y: sg.einsum("bij,bjk->bik", x, y),
         (normal(1, 2, 3), normal(2, 3, 2, seed=1)), dynamic=False),
    *(Case(f"det of {'x'.join(map(str, shape))}", lambda x: sg.ops.det(x), (normal(*shape),))
      for shape in ((1, 1), (2, 2), (3, 3), (2, 3, 3))),
    Case("det of a singular matrix", lambda x: sg.ops.det(x), (np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]]),)),
    Case("det of zeros", lambda x: sg.ops.det(x), (np.zeros((2, 2)),)),
    Case("logdet", lambda x: sg.ops.logdet(x), (np.array([[2.0, 0.5], [0.25, 1.0]]),)),
    Case("slogdet", lambda x: sg.ops.slogdet(x)[1], (np.array([[1.0, 2.0], [3.0, 1.0]]),)),
    Case("matrix_power", lambda x: sg.ops.matrix_power(x, 3), (normal(2, 2),)),
    Case("dot", sg.ops.dot, (normal(2, 3), normal(2, 3, 2, seed=1))),
    Case("inner", sg.ops.inner, (normal(2, 3), normal(2, 3, seed=1))),
    Case("vdot", sg.ops.vdot, (normal(2, 3), normal(3, 2, seed=1))),
    Case("vecdot", sg.ops.vecdot, (normal(2, 3), normal(3, seed=1))),
    Case("outer", sg.ops.outer, (normal(2), normal(3, seed=1))),
    Case("tensordot", lambda x, y: sg.ops.tensordot(x, y, axes=([0, 2], [1, 0])),
         (normal(2, 2, 3), normal(3, 2, seed=1))),
    Case("kron", sg.ops.kron, (normal(2, 2), normal(2, seed=1))),
    Case("cross", sg.ops.cross, (normal(2, 3), normal(3, seed=1)), dynamic=False),
    Case("cross of two components", sg.ops.cross, (normal(2, 2), normal(2, seed=1)), dynamic=False),
    *(Case(f"norm of order {order}", lambda x, p=order: sg.ops.norm(x, p, axis=1), (apart(2, 3) + 0.03,))
      for order in (None, 1, 2, 3, 2.5, float("inf"), -float("inf"))),
    *(Case(f"norm of matrices of order {order}", lambda x, p=order: sg.ops.norm(x, p, axis=(0, 1)),
           (apart(2, 3) + 0.03,))
      for order in ("fro", 1, -1, float("inf"), -float("inf"))),
]
