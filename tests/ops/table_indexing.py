"""Rows for taking, putting, choosing, sorting and counting."""

import numpy as np

from symgraph import ops
from tests.ops.table import Row, normal, uniform
from tests.ops.table_shape import DATA, SMALL, cases, of

NUMBERS = ("float32", "float64", "int32", "int64")


def with_index(shape, index):
    return lambda rng, dtype: (normal(rng, shape, dtype), np.asarray(index))


def put(x, index, updates):
    y = x.copy()
    y[tuple(np.moveaxis(index, -1, 0))] = updates
    return y


def added(index, values, shape):
    y = np.zeros(shape, values.dtype)
    np.add.at(y, tuple(np.moveaxis(index, -1, 0)), values)
    return y


def hot(x, n, axis=-1):
    y = (x[..., None] == np.arange(n)).astype(np.float32)
    return np.moveaxis(y, -1, axis)


NANS = {"nan": lambda rng, dtype: (np.array([[3, np.nan, -1, np.inf], [np.nan, np.nan, -np.inf, 0]], dtype),)}
TIES = {"ties": lambda rng, dtype: (uniform(rng, (4, 50), dtype, -2, 2),)}

ROWS = [
    Row("slice", lambda x: ops.slice(x, (0, 1, 1), (1, 2, 3)), of((2, 3, 4)), lambda x: x[:1, 1:3, 1:4], dtypes=DATA),
    Row("slice to the end", lambda x: ops.slice(x, (0, 1, 2), (-1, -1, 1)), SMALL, lambda x: x[:, 1:, 2:3]),
    Row("slice from a symbol", lambda x, i: ops.slice(x, (0, i), (2, 2)), with_index((2, 5), np.int32(3)),
        lambda x, i: x[:, i:i + 2]),
    Row("slice_update", lambda x, y: ops.slice_update(x, (1, 1), y), of((4, 5), (2, 3)),
        lambda x, y: put(x, np.stack(np.mgrid[1:3, 1:4], -1), y), dtypes=DATA),
    Row("slice_update of one axis", lambda x, y: ops.slice_update(x, (0, 2), y), of((4, 5), (4, 3)),
        lambda x, y: np.concatenate([x[:, :2], y], 1)),
    Row("slice_update from a symbol", lambda x, i, y: ops.slice_update(x, (i,), y),
        lambda rng, d: (normal(rng, (5,), d), np.int64(1), normal(rng, (2,), d)),
        lambda x, i, y: np.concatenate([x[:i], y, x[i + 2:]])),
    Row("take", lambda x, i: ops.take(x, i, axis=1), with_index((2, 3, 4), [[0, -1], [2, 1]]),
        lambda x, i: np.take(x, i, 1), dtypes=DATA),
    Row("take flat", ops.take, with_index((2, 3), np.int8([5, -6])), np.take),
    Row("take_along_axis", lambda x, i: ops.take_along_axis(x, i, 1), with_index((2, 3), [[0, -1], [2, 1]]),
        lambda x, i: np.take_along_axis(x, i, 1), dtypes=DATA),
    Row("take_along_axis broadcast", lambda x, i: ops.take_along_axis(x, i, 0), with_index((3, 4), [[0], [2]]),
        lambda x, i: np.take_along_axis(x, i, 0)),
    Row("gather_nd", lambda x: ops.gather_nd(x, [[0, 1], [1, -1]]), of((2, 3, 4)), lambda x: x[[0, 1], [1, -1]]),
    Row("gather_nd batch", lambda x: ops.gather_nd(x, [[0], [2]], 1), of((2, 3, 4)),
        lambda x: x[[0, 1], [0, 2]]),
    Row("scatter", lambda i, y: ops.scatter(i, y, (4, 2)),
        lambda rng, d: (np.int32([[0], [3], [3]]), normal(rng, (3, 2), d)), lambda i, y: added(i, y, (4, 2)),
        dtypes=("float32", "int32", "int64")),
    Row("scatter_update", ops.scatter_update,
        lambda rng, d: (normal(rng, (3, 4), d), np.int64([[0, 1], [2, 3]]), normal(rng, (2,), d)), put, dtypes=DATA),
    Row("where", ops.where, lambda rng, d: (uniform(rng, (3, 1), "bool"), normal(rng, (3, 4), d), normal(rng, (4,), d)),
        np.where, dtypes=("float32", "float64", "float16", "int8", "int32", "int64")),
    Row("where of mixed dtypes", lambda c, x: ops.where(c, x, 0.5),
        lambda rng, d: (uniform(rng, (3,), "bool"), normal(rng, (3,), d)),
        lambda c, x: np.where(c, x, 0.5), result="float32", dtypes=("float32", "int32", "int64")),
    Row("nonzero", ops.nonzero, lambda rng, d: (uniform(rng, (3, 4), d, -1, 1),), np.nonzero, dtypes=("float32",
        "int32", "bool")),
    Row("argwhere", ops.argwhere, lambda rng, d: (uniform(rng, (3, 4), d, -1, 1),), np.argwhere),
    Row("one_hot", lambda x: ops.one_hot(x, 4), lambda rng, d: (np.array([[0, 3], [-1, 9]], d),), lambda x: hot(x, 4),
        dtypes=("int8", "int32", "int64"), result="float32"),
    Row("one_hot axis", lambda x: ops.one_hot(x, 3, axis=0, dtype="int32"), lambda rng, d: (np.array([[0, 2], [1, 1]],
        d),),
        lambda x: hot(x, 3, 0), dtypes=("int32",), result="int32"),
    Row("multi_hot", lambda x: ops.multi_hot(x, 4), lambda rng, d: (np.array([[0, 3], [1, 1]], d),),
        lambda x: hot(x, 4).max(1), dtypes=("int32", "int64"), result="float32"),
    Row("boolean_mask", lambda x, m: ops.boolean_mask(x, m, 1),
        lambda rng, d: (normal(rng, (2, 3, 4), d), uniform(rng, (3, 4), "bool")), lambda x, m: x[:, m], dtypes=DATA),
    Row("compress", lambda x: ops.compress([True, False, True], x, 1), of((2, 4)), lambda x: np.compress([1, 0, 1], x,
        1)),
    Row("extract", ops.extract, lambda rng, d: (uniform(rng, (2, 3), "bool"), normal(rng, (2, 3), d)), np.extract),
    Row("select", lambda x: ops.select([x < 0, x < 1], [x, x * x], 7.0), of((3, 4)),
        lambda x: np.select([x < 0, x < 1], [x, x * x], 7.0)),
    Row("sort", ops.sort, {**cases((3, 4), (0, 3), (2, 0)), **TIES}, np.sort, dtypes=("float16", *NUMBERS, "int8",
        "bool")),
    Row("sort axis", lambda x: ops.sort(x, 0), SMALL, lambda x: np.sort(x, 0)),
    Row("sort flat", lambda x: ops.sort(x, None), SMALL, lambda x: np.sort(x, None)),
    Row("sort nan", ops.sort, NANS, np.sort),
    Row("argsort", ops.argsort, {**TIES, **cases((2, 3))}, lambda x: np.argsort(x, kind="stable"), dtypes=(*NUMBERS,
        "bool"),
        result="int32"),
    Row("argsort nan", ops.argsort, NANS, lambda x: np.argsort(x, kind="stable"), result="int32"),
    Row("top_k", lambda x: ops.top_k(x, 3)[0], cases((2, 5), (3,)), lambda x: np.sort(x)[..., ::-1][..., :3],
        dtypes=NUMBERS),
    Row("top_k places", lambda x: ops.top_k(x, 3)[1], TIES, lambda x: np.argsort(-x, kind="stable")[..., :3],
        dtypes=NUMBERS, result="int32"),
    Row("in_top_k", lambda t, x: ops.in_top_k(t, x, 2), lambda rng, d: (np.int32([0, 2, 1]), normal(rng, (3, 4), d)),
        lambda t, x: (x > np.take_along_axis(x, t[:, None], 1)).sum(1) < 2),
    *(Row(f"searchsorted {side}", lambda a, x, s=side: ops.searchsorted(a, x, s),
          lambda rng, d: (np.sort(uniform(rng, (6,), d)), uniform(rng, (2, 3), d)),
          lambda a, x, s=side: np.searchsorted(a, x, s), dtypes=NUMBERS, result="int32") for side in ("left", "right")),
    Row("digitize", lambda x: ops.digitize(x, [-1.0, 0.0, 2.0]), of((3, 4)), lambda x: np.digitize(x, [-1.0, 0, 2]),
        result="int32"),
    Row("bincount", ops.bincount, lambda rng, d: (np.array([0, 3, 3, 1], d),), np.bincount, dtypes=("int32", "int64",
        "uint8"),
        result="int32"),
    Row("bincount weights", lambda x, w: ops.bincount(x, w, 6), lambda rng, d: (np.int32([0, 3, 3, 1]), normal(rng,
        (4,), d)),
        lambda x, w: np.bincount(x, w, 6), result=lambda d: d),
    Row("unique", lambda x: ops.unique(x, True, True, True), lambda rng, d: (uniform(rng, (12,), d),),
        lambda x: np.unique(x, True, True, True), dtypes=NUMBERS),
    Row("unique axis", lambda x: ops.unique(x, axis=0), lambda rng, d: (uniform(rng, (6, 2), d, -1, 1),),
        lambda x: np.unique(x, axis=0)),
    *(Row(f"{name} {axis}", lambda x, f=name, a=axis: getattr(ops, f)(x, a), cases((3, 4), (0, 3), (1, 1), (2, 5)),
          lambda x, f=name, a=axis: getattr(np, f)(x, a).astype(x.dtype), dtypes=NUMBERS, rtol=1e-5)
      for name in ("cumsum", "cumprod") for axis in (0, -1, None)),
    Row("cummax", lambda x: ops.cummax(x, 1), cases((3, 4), (2, 1)), lambda x: np.maximum.accumulate(x, 1),
        dtypes=NUMBERS),
    Row("cummin", lambda x: ops.cummin(x, 0), cases((3, 4), (2, 1)), lambda x: np.minimum.accumulate(x, 0),
        dtypes=NUMBERS),
    Row("diff", lambda x: ops.diff(x, 2, 1), cases((3, 4), (2, 1)), lambda x: np.diff(x, 2, 1), dtypes=(*NUMBERS,
        "bool")),
]
