"""Reductions, with NaN and without, against NumPy."""

import numpy as np
import scipy.special

from symgraph import ops
from symgraph.core.types import is_floating
from tests.ops.table import ALL_DTYPES, FLOAT_DTYPES, NUMBER_DTYPES, Row, normal, uniform

WAYS = {"": {}, " axis 0": {"axis": 0}, " last axis": {"axis": -1}, " two axes": {"axis": (0, 2)},
        " keepdims": {"keepdims": True}, " axis 1 keepdims": {"axis": 1, "keepdims": True}}
SMALL = ("int8", "int16", "uint8", "uint16", "uint32", "uint64")
NAN, INF = np.nan, np.inf


def wide(dtype):
    return {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}.get(dtype, dtype)


def floating(dtype):
    return dtype if is_floating(dtype) else "float32"


def as_float(function):
    return lambda x, **options: function(x if x.dtype.kind == "f" else x.astype(np.float32), **options)


def block(rng, dtype):
    return (uniform(rng, (2, 3, 4), dtype),)


def holes(rng, dtype):
    x = normal(rng, (2, 3, 4), dtype)
    x[0, 1, 2] = x[1, 0, 0] = x[1, 0, 1] = NAN
    return (x,)


def empty(rng, dtype):
    return (uniform(rng, (0, 3, 2), dtype),)


def scalar(rng, dtype):
    return (uniform(rng, (), dtype),)


def reduction(name, reference, *, dtypes=NUMBER_DTYPES, cases=(block,), ways=WAYS, **options):
    """Rows of an op for every way to call it."""
    op = getattr(ops, name)
    return [Row(f"{name}{way}", lambda x, kw=kw: op(x, **kw), {c.__name__: c for c in cases},
                lambda x, kw=kw: reference(x, **kw), dtypes, **options) for way, kw in ways.items()]


def only(name, reference, case, *, dtypes=FLOAT_DTYPES, **options):
    return Row(f"{name} of {case.__name__}", getattr(ops, name), {case.__name__: case}, reference, dtypes, **options)


def column(*values):
    return lambda rng, dtype: (np.array(values).astype(dtype),)


SINGLE = {way: kw for way, kw in WAYS.items() if "two" not in way}

ROWS = [
    *reduction("sum", np.sum, dtypes=(*ALL_DTYPES, *SMALL), cases=(block, empty), result=wide),
    *reduction("prod", np.prod, dtypes=(*ALL_DTYPES, *SMALL), cases=(block, empty), result=wide, rtol=1e-5),
    *reduction("mean", as_float(np.mean), dtypes=(*ALL_DTYPES, *SMALL), result=floating),
    *[Row(f"{name} {case.__name__}", getattr(ops, name), {case.__name__: case}, reference, FLOAT_DTYPES)
      for case in (scalar, holes) for name, reference in (
          ("sum", np.sum), ("prod", np.prod), ("mean", np.mean), ("max", np.max), ("min", np.min), ("var", np.var),
          ("std", np.std), ("median", np.median), ("logsumexp", scipy.special.logsumexp))],
    *reduction("max", np.max, dtypes=(*NUMBER_DTYPES, *SMALL)),
    *reduction("min", np.min, dtypes=(*NUMBER_DTYPES, *SMALL)),
    *[Row(f"{name} of huge numbers", getattr(ops, name), {"huge": lambda rng, dtype: (
        np.array([2**63, 1, 2**64 - 1, 0, 2**63 - 1], dtype),)}, getattr(np, name), ("uint64",),
        result="int32" if "arg" in name else None) for name in ("max", "min", "argmax", "argmin")],
    *reduction("max", np.max, dtypes=FLOAT_DTYPES, cases=(holes,)),
    *reduction("amin", np.min, dtypes=FLOAT_DTYPES, cases=(holes,)),
    Row("max with a bound", lambda x: ops.max(x, axis=0, initial=1), {"block": block, "empty": empty},
        lambda x: np.max(x, axis=0, initial=1), NUMBER_DTYPES),
    Row("min with a bound", lambda x: ops.min(x, axis=0, initial=1), {"block": block, "empty": empty},
        lambda x: np.min(x, axis=0, initial=1), NUMBER_DTYPES),
    *reduction("ptp", np.ptp, ways=SINGLE),
    *reduction("any", np.any, dtypes=ALL_DTYPES, cases=(block, empty)),
    *reduction("all", np.all, dtypes=ALL_DTYPES, cases=(block, empty)),
    *reduction("count_nonzero", np.count_nonzero, dtypes=ALL_DTYPES, cases=(block, empty), result="int32"),
    *reduction("argmax", np.argmax, dtypes=(*ALL_DTYPES, *SMALL), ways=SINGLE, result="int32"),
    *reduction("argmin", np.argmin, dtypes=(*ALL_DTYPES, *SMALL), ways=SINGLE, result="int32"),
    *reduction("logsumexp", as_float(scipy.special.logsumexp), result=floating),
    Row("logsumexp of large numbers", lambda x: ops.logsumexp(x, axis=1), {"large": lambda rng, dtype: (
        np.array([[-INF, -INF], [INF, 1], [1000, 1000], [-1000, -1000], [NAN, 1]], dtype),)},
        lambda x: scipy.special.logsumexp(x, axis=1)),
    *reduction("var", as_float(np.var), dtypes=ALL_DTYPES, result=floating),
    *reduction("std", as_float(np.std), dtypes=ALL_DTYPES, result=floating),
    *reduction("median", as_float(np.median), result=floating),
    *[row for q in (0.0, 0.3, 1.0, [0.25, 0.5, 0.9]) for row in reduction(
        "quantile", lambda x, q=q, **kw: np.quantile(x.astype(floating(str(x.dtype))), q, **kw),
        dtypes=("float32", "int32"), result=floating, ways={f" {q}{way}": {"q": q, **kw} for way, kw in WAYS.items()})],
    *[Row(f"quantile {between}", lambda x, m=between: ops.quantile(x, [0.1, 0.4, 0.5], axis=1, method=m), block,
          lambda x, m=between: np.quantile(x, [0.1, 0.4, 0.5], axis=1, method=m), result=floating)
      for between in ("lower", "higher", "nearest", "midpoint")],
    Row("percentile", lambda x: ops.percentile(x, 30, axis=2), block, lambda x: np.percentile(x, 30, axis=2),
        result=floating),
    Row("average", lambda x, w: ops.average(x, axis=1, weights=w),
        lambda rng, dtype: (normal(rng, (2, 3, 4), dtype), uniform(rng, (3,), dtype, 1, 4)),
        lambda x, w: np.average(x, axis=1, weights=w)),
    Row("average with weights for all", lambda x, w: ops.average(x, axis=0, weights=w),
        lambda rng, dtype: (normal(rng, (2, 3), dtype), uniform(rng, (2, 3), dtype, 1, 4)),
        lambda x, w: np.average(x, axis=0, weights=w)),
    *[row for name in ("nansum", "nanprod", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd", "nanmedian")
      for row in reduction(name, getattr(np, name), dtypes=FLOAT_DTYPES, cases=(holes,))],
    *[row for name in ("nancumsum", "nancumprod") for row in reduction(
        name, getattr(np, name), dtypes=FLOAT_DTYPES, cases=(holes,), ways={"": {}, " axis 1": {"axis": 1}})],
    *[row for name in ("nanargmax", "nanargmin")
      for row in reduction(name, getattr(np, name), dtypes=FLOAT_DTYPES, cases=(holes,), ways=SINGLE, result="int32")],
    *[Row(f"{name} of integers", getattr(ops, name), block, as_float(getattr(np, name)), ("int32",), result=result)
      for name, result in (("nansum", "int32"), ("nanmax", "int32"), ("nanmean", "float32"), ("nanmedian", "float32"))],
    Row("nanquantile", lambda x: ops.nanquantile(x, [0.2, 0.5], axis=-1), holes,
        lambda x: np.nanquantile(x, [0.2, 0.5], axis=-1), result=floating),
    Row("nanpercentile", lambda x: ops.nanpercentile(x, 20, axis=0), holes,
        lambda x: np.nanpercentile(x, 20, axis=0), result=floating),
]
