"""Rows for tensors made like others, and grids."""

import numpy as np

from symgraph import ops
from tests.ops.table import Row
from tests.ops.table_shape import DATA, cases, of

SHAPES = cases((), (0, 3), (2, 3))

ROWS = [
    Row("zeros_like", ops.zeros_like, SHAPES, np.zeros_like, dtypes=DATA),
    Row("ones_like", ops.ones_like, SHAPES, np.ones_like, dtypes=DATA),
    Row("full_like", lambda x: ops.full_like(x, 3), SHAPES, lambda x: np.full_like(x, 3), dtypes=("float32", "int32")),
    Row("zeros of an open shape", lambda x: ops.zeros((*ops.shape(x), 2), "int32"), SHAPES,
        lambda x: np.zeros((*x.shape, 2), np.int32)),
    Row("eye of an open size", lambda x: ops.eye(ops.shape(x)[0], 4, -1), of((3,)), lambda x: np.eye(3, 4, -1),
        result="float32"),
    Row("tri of an open size", lambda x: ops.tri(ops.shape(x)[0], 4, 1), of((3,)), lambda x: np.tri(3, 4, 1),
        result="float32"),
    Row("arange to a scalar", lambda n: ops.arange(n, 1, -2), lambda rng, d: (np.array(7, d),),
        lambda n: np.arange(7, 1, -2).astype(n.dtype), dtypes=("float32", "int32", "int64", "uint8")),
    Row("linspace between tensors", lambda x, y: ops.linspace(x, y, 5), of((2,), (2,)), lambda x, y: np.linspace(x, y,
        5),
        rtol=1e-5, result=lambda d: d),
    Row("linspace without end", lambda x, y: ops.linspace(x, y, 4, False, axis=-1), of((2,), (2,)),
        lambda x, y: np.linspace(x, y, 4, False, axis=-1), rtol=1e-5, result=lambda d: d),
    Row("logspace", lambda x, y: ops.logspace(x, y, 4), of((), ()), lambda x, y: np.logspace(x, y, 4), rtol=1e-4,
        result=lambda d: d),
    *(Row(f"meshgrid {i}", lambda x, y, z, i=i: ops.meshgrid(x, y, z, indexing=i), of((2,), (3,), (1,)),
          lambda x, y, z, i=i: np.meshgrid(x, y, z, indexing=i)) for i in ("xy", "ij")),
]
