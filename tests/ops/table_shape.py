"""Rows for shapes, joining, splitting, padding and turning."""

import numpy as np

from symgraph import ops
from tests.ops.table import ALL_DTYPES, Row, normal, uniform

DATA = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool")


def of(*shapes):
    """Arrays of the given shapes, one after the other."""
    return lambda rng, dtype: tuple(
        uniform(rng, s, dtype) if dtype == "bool" else normal(rng, s, dtype) for s in shapes)


def cases(*shapes):
    return {str(s): of(s) for s in shapes}


SMALL = cases((2, 3, 4), (1, 3, 4), (0, 3, 4))
SQUARE = cases((3, 3), (4, 2), (2, 0), (1, 1))

RESHAPES = {
    "flat": (-1,), "two": (-1, 4), "fixed last": (-1, 3, 2, 2), "split": (-1, 2, 6)}

ROWS = [
    *(Row(f"reshape {name}", lambda x, t=t: ops.reshape(x, t), SMALL, lambda x, t=t: x.reshape(t), dtypes=ALL_DTYPES)
      for name, t in RESHAPES.items()),
    Row("reshape by symbols", lambda x: ops.reshape(x, (ops.shape(x)[0], 12)), SMALL, lambda x: x.reshape(len(x), 12)),
    Row("reshape to empty", lambda x: ops.reshape(x, (0, 5)), of((0, 3)), lambda x: x.reshape(0, 5)),
    Row("reshape moving open sizes", lambda x: ops.reshape(x, (ops.shape(x)[1], ops.shape(x)[0], 4)), SMALL,
        lambda x: x.reshape(x.shape[1], x.shape[0], 4)),
    Row("reshape scalar", lambda x: ops.reshape(x, (1, 1)), of(()), lambda x: x.reshape(1, 1)),
    Row("ravel", ops.ravel, SMALL, np.ravel, dtypes=DATA),
    Row("transpose", ops.transpose, SMALL, np.transpose, dtypes=DATA),
    Row("transpose axes", lambda x: ops.transpose(x, (1, -1, 0)), SMALL, lambda x: x.transpose(1, 2, 0)),
    Row("swapaxes", lambda x: ops.swapaxes(x, 0, -1), SMALL, lambda x: x.swapaxes(0, -1)),
    Row("moveaxis", lambda x: ops.moveaxis(x, 0, -1), SMALL, lambda x: np.moveaxis(x, 0, -1)),
    Row("moveaxis many", lambda x: ops.moveaxis(x, (2, 0), (0, 1)), SMALL, lambda x: np.moveaxis(x, (2, 0), (0, 1))),
    Row("expand_dims", lambda x: ops.expand_dims(x, (0, -1)), SMALL, lambda x: np.expand_dims(x, (0, -1))),
    Row("squeeze", lambda x: ops.squeeze(x, (0, 2)), of((1, 3, 1)), lambda x: np.squeeze(x, (0, 2))),
    Row("broadcast_to", lambda x: ops.broadcast_to(x, (2, 3, 4)), cases((3, 1), (4,), (1, 3, 4), ()),
        lambda x: np.broadcast_to(x, (2, 3, 4)), dtypes=DATA),
    Row("broadcast_arrays", lambda x, y: ops.broadcast_arrays(x, y),
        {"a": of((3, 1), (4,)), "b": of((1,), (2, 0)), "c": of((2, 3), (2, 3))}, lambda x, y: np.broadcast_arrays(x,
        y)),
    Row("atleast_3d", ops.atleast_3d, cases((), (2,), (2, 3), (2, 3, 4)), np.atleast_3d),
    Row("concat", lambda x, y: ops.concat([x, y], axis=-1), {"a": of((2, 3), (2, 1)), "empty": of((2, 0), (2, 3))},
        lambda x, y: np.concatenate([x, y], -1), dtypes=DATA),
    Row("concat one", lambda x: ops.concat([x]), SMALL, lambda x: x),
    Row("concat mixed dtypes", lambda x: ops.concat([x, np.int8([1, 2])]), of((3,)),
        lambda x: np.concatenate([x, np.int8([1, 2]).astype(x.dtype)]), dtypes=("float32", "int32", "float16")),
    Row("concatenate without axis", lambda x, y: ops.concatenate([x, y], axis=None), of((2, 3), (4,)),
        lambda x, y: np.concatenate([x, y], None)),
    Row("append", lambda x, y: ops.append(x, y), of((2, 2), (3,)), np.append),
    Row("stack", lambda x, y: ops.stack([x, y], axis=1), of((2, 3), (2, 3)), lambda x, y: np.stack([x, y], 1),
        dtypes=DATA),
    Row("stack scalars", lambda x, y: ops.stack([x, y]), of((), ()), lambda x, y: np.stack([x, y])),
    Row("vstack", lambda x, y: ops.vstack([x, y]), {"v": of((3,), (3,)), "m": of((2, 3), (1, 3))},
        lambda x, y: np.vstack([x, y])),
    Row("hstack", lambda x, y: ops.hstack([x, y]), {"v": of((3,), (2,)), "m": of((2, 3), (2, 1))},
        lambda x, y: np.hstack([x, y])),
    Row("dstack", lambda x, y: ops.dstack([x, y]), {"v": of((3,), (3,)), "m": of((2, 3), (2, 3))},
        lambda x, y: np.dstack([x, y])),
    Row("split", lambda x: ops.split(x, 2, axis=2), SMALL, lambda x: np.split(x, 2, 2), dtypes=DATA),
    Row("split first axis", lambda x: ops.split(x, 3), cases((6, 2), (0, 2), (3, 1)), lambda x: np.split(x, 3)),
    Row("split at", lambda x: ops.split(x, (1, 3), axis=2), SMALL, lambda x: np.split(x, (1, 3), 2)),
    Row("split at odd places", lambda x: ops.split(x, (-1, 2, 9), axis=0), of((5, 2)), lambda x: np.split(x, (-1, 2,
        9))),
    Row("array_split", lambda x: ops.array_split(x, 3), cases((7,), (2,), (0,), (6, 2)), lambda x: np.array_split(x,
        3)),
    Row("unstack", lambda x: ops.unstack(x, 3, axis=1), SMALL, lambda x: [x[:, i] for i in range(3)]),
    Row("tile", lambda x: ops.tile(x, (2, 1, 3)), cases((2, 3), (2, 3, 4), (0,), ()), lambda x: np.tile(x, (2, 1, 3)),
        dtypes=DATA),
    Row("tile fewer", lambda x: ops.tile(x, 2), SMALL, lambda x: np.tile(x, 2)),
    Row("repeat", lambda x: ops.repeat(x, 3, axis=1), SMALL, lambda x: np.repeat(x, 3, 1), dtypes=DATA),
    Row("repeat flat", lambda x: ops.repeat(x, 2), SMALL, lambda x: np.repeat(x, 2)),
    Row("repeat each", lambda x: ops.repeat(x, (2, 0, 1), axis=1), SMALL, lambda x: np.repeat(x, (2, 0, 1), 1)),
    Row("repeat by tensor", lambda x, n: ops.repeat(x, n, axis=0),
        lambda rng, dtype: (normal(rng, (3, 2), dtype), np.int32([2, 0, 3])), lambda x, n: np.repeat(x, n, 0)),
    Row("pad", lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1))), SMALL, lambda x: np.pad(x, ((0, 0), (1, 2), (0, 1))),
        dtypes=DATA),
    Row("pad value", lambda x: ops.pad(x, 1, constant_values=7), cases((2, 3), (0, 2)),
        lambda x: np.pad(x, 1, constant_values=7), dtypes=("float32", "int32", "uint8")),
    *(Row(f"pad {mode}", lambda x, m=mode: ops.pad(x, ((0, 0), (2, 1)), m), cases((2, 3), (1, 4), (2, 5)),
          lambda x, m=mode: np.pad(x, ((0, 0), (2, 1)), m), dtypes=("float32", "int32", "bool"))
      for mode in ("reflect", "symmetric", "edge", "wrap")),
    Row("flip", ops.flip, SMALL, np.flip, dtypes=DATA),
    Row("flip axis", lambda x: ops.flip(x, (0, -1)), SMALL, lambda x: np.flip(x, (0, -1))),
    Row("fliplr", ops.fliplr, SMALL, np.fliplr),
    Row("flipud", ops.flipud, SMALL, np.flipud),
    *(Row(f"roll {s} {a}", lambda x, s=s, a=a: ops.roll(x, s, a), SMALL, lambda x, s=s, a=a: np.roll(x, s, a))
      for s, a in ((1, 1), (-5, 2), ((1, 2), (0, 2)), (4, None), (0, 0), (7, (1, 2)))),
    *(Row(f"rot90 {k}", lambda x, k=k: ops.rot90(x, k), cases((2, 3), (0, 2)), lambda x, k=k: np.rot90(x, k))
      for k in range(-1, 4)),
    Row("rot90 axes", lambda x: ops.rot90(x, 1, (2, 0)), SMALL, lambda x: np.rot90(x, 1, (2, 0))),
    *(Row(f"diagonal {k}", lambda x, k=k: ops.diagonal(x, k), SQUARE, lambda x, k=k: np.diagonal(x, k))
      for k in (-5, -1, 0, 1, 2)),
    Row("diagonal axes", lambda x: ops.diagonal(x, 1, 2, 0), SMALL, lambda x: np.diagonal(x, 1, 2, 0)),
    *(Row(f"diag {k}", lambda x, k=k: ops.diag(x, k), cases((3,), (1,), (2, 3)), lambda x, k=k: np.diag(x, k),
          dtypes=("float32", "int32", "bool")) for k in (-2, 0, 1)),
    Row("trace", lambda x: ops.trace(x, 1), SQUARE, lambda x: np.trace(x, 1), dtypes=("float32", "int64")),
    *(Row(f"{name} {k}", lambda x, f=name, k=k: getattr(ops, f)(x, k), {**SQUARE, **SMALL},
          lambda x, f=name, k=k: getattr(np, f)(x, k), dtypes=DATA) for name in ("tril", "triu") for k in (-1, 0, 2)),
]
