"""Rows for products, norms and determinants."""

import numpy as np

from symgraph import ops
from tests.ops.table import Row
from tests.ops.table_shape import cases, of

NUMBERS = ("float32", "float64", "int32", "int64", "int8")
FLOATS = ("float32", "float64")

MATMULS = {"mm": of((2, 3), (3, 4)), "vm": of((3,), (3, 4)), "mv": of((2, 3), (3,)), "vv": of((3,), (3,)),
           "batch": of((5, 1, 2, 3), (4, 3, 2)), "empty": of((0, 3), (3, 2)), "empty sum": of((2, 0), (0, 3))}

EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("ii", (3, 3)),
    ("ii->i", (3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("i,j->ij", (2,), (3,)), ("...ij,...jk->...ik", (2, 3,
    4), (4, 5)),
    ("...i,i", (2, 3), (3,)), ("ij...,j", (2, 3, 4), (3,)), ("ba", (2, 3)), ("i,i,i->i", (3,), (3,), (3,)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)), (" i j , j k -> i k ", (2, 3), (3, 4)), ("Ij,jK->KI", (2, 3), (3,
    4)),
    ("ij,ij->i", (2, 3), (2, 1)), ("...,...->...", (2, 1), (3,)), ("ijj->i", (2, 3, 3)),
]

ROWS = [
    Row("matmul", ops.matmul, MATMULS, np.matmul, dtypes=NUMBERS, rtol=2e-5),
    Row("dot", ops.dot, {**{k: v for k, v in MATMULS.items() if k != "batch"}, "nd": of((2, 3), (4, 3, 2)),
        "s": of((), (2, 3)),
                         "v nd": of((3,), (4, 3, 2))}, np.dot, dtypes=NUMBERS, rtol=2e-5),
    Row("vdot", ops.vdot, of((2, 3), (3, 2)), np.vdot, dtypes=NUMBERS, rtol=2e-5),
    Row("vecdot", ops.vecdot, of((2, 3), (3,)), np.vecdot, dtypes=NUMBERS, rtol=2e-5),
    Row("inner", ops.inner, {"vv": of((3,), (3,)), "nd": of((2, 3), (4, 5, 3)), "s": of((2,), ())}, np.inner,
        dtypes=NUMBERS,
        rtol=2e-5),
    Row("outer", ops.outer, of((3,), (2, 2)), np.outer, dtypes=(*NUMBERS, "bool")),
    *(Row(f"tensordot {axes}", lambda x, y, a=axes: ops.tensordot(x, y, a), of((2, 3, 4), (3, 4, 2)),
          lambda x, y, a=axes: np.tensordot(x, y, a), dtypes=NUMBERS, rtol=2e-5)
      for axes in (0, ([1], [0]), ([2, 0], [1, 2]), ([0, 1, 2], [2, 0, 1]))),
    Row("tensordot 2", lambda x, y: ops.tensordot(x, y), of((2, 3, 4), (3, 4, 2)), np.tensordot, rtol=2e-5),
    *(Row(f"einsum {text}", lambda *xs, t=text: ops.einsum(t, *xs), of(*shapes), lambda *xs, t=text: np.einsum(t, *xs),
          dtypes=("float32", "float64", "int32", "int64"), rtol=2e-5) for text, *shapes in EINSUMS),
    Row("einsum of lists", lambda x, y: ops.einsum(x, [0, 1], y, [1, 2], [0, 2]), of((2, 3), (3, 4)), np.matmul,
        rtol=2e-5),
    Row("kron", ops.kron, {"mm": of((2, 3), (2, 2)), "vm": of((3,), (2, 2)), "s": of((), (2,))}, np.kron,
        dtypes=NUMBERS),
    Row("cross", ops.cross, {"vv": of((3,), (3,)), "batch": of((4, 3), (3,))}, np.cross, dtypes=("float32", "int32"),
        rtol=2e-5),
    Row("cross axes", lambda x, y: ops.cross(x, y, 0, 1, 0), of((3, 4), (4, 3)), lambda x, y: np.cross(x, y, 0, 1, 0),
        rtol=2e-5),
    Row("norm", ops.norm, cases((2, 3), (3,), (2, 3, 2)), np.linalg.norm, rtol=2e-5),
    *(Row(f"norm {order} of vectors", lambda x, o=order: ops.norm(x, o, axis=1), of((2, 3)),
          lambda x, o=order: np.linalg.norm(x, o, axis=1), rtol=2e-5) for order in (0, 1, 2, 3, 0.5, np.inf, -np.inf)),
    *(Row(f"norm {order} of matrices", lambda x, o=order: ops.norm(x, o, (0, 2), True), of((2, 3, 4)),
          lambda x, o=order: np.linalg.norm(x, o, (0, 2), True), rtol=2e-5)
      for order in ("fro", 1, -1, np.inf, -np.inf)),
    Row("det", ops.det, cases((3, 3), (2, 4, 4), (1, 1)), np.linalg.det, dtypes=("float32",), rtol=2e-5),
    *(Row(f"matrix_power {n}", lambda x, n=n: ops.matrix_power(x, n), cases((3, 3), (2, 2, 2)),
          lambda x, n=n: np.linalg.matrix_power(x, n), dtypes=("float32", "int32"), rtol=2e-4) for n in (0, 1, 2, 5)),
    Row("slogdet", ops.slogdet, cases((3, 3), (2, 4, 4)), lambda x: tuple(np.linalg.slogdet(x)), dtypes=("float32",),
        rtol=2e-5),
]
