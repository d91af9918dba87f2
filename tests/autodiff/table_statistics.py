"""Variance, quantiles, reductions that pass over NaN, and measures of likeness."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import Case, apart, normal, positive


def holed(x):
    """`x` with NaN in some places."""
    return sg.where(np.array([[False, True, False, False], [True, False, False, False]]), np.nan, x)


CASES = [
    Case("var of all", sg.var, (normal(2, 3),)),
    Case("var along an axis", lambda x: sg.var(x, axis=-1, keepdims=True), (normal(2, 3),)),
    Case("std along the first axis", lambda x: sg.std(x, axis=0), (normal(3, 2),)),
    Case("nansum", lambda x: sg.nansum(holed(x * x), axis=1), (normal(2, 4),)),
    Case("nanprod", lambda x: sg.nanprod(holed(x), axis=1), (normal(2, 4),)),
    Case("nanmean", lambda x: sg.nanmean(holed(x * x), axis=1), (normal(2, 4),)),
    Case("nanvar", lambda x: sg.nanvar(holed(x), axis=1, keepdims=True), (normal(2, 4),)),
    Case("nanstd", lambda x: sg.nanstd(holed(x)), (normal(2, 4),)),
    Case("nanmax with holes", lambda x: sg.nanmax(holed(x), axis=1), (apart(2, 4),)),
    Case("nanmin with holes", lambda x: sg.nanmin(holed(x * x * x), axis=0), (apart(2, 4),)),
    *(Case(f"quantile, {method}", lambda x, method=method: sg.quantile(x * x, 0.3, axis=1, method=method),
           (apart(2, 4),)) for method in ("linear", "lower", "higher", "nearest", "midpoint")),
    Case("quantile of open q", lambda x, q: sg.quantile(x, q, axis=0), (apart(4, 2), np.array([0.2, 0.7]))),
    Case("median of all", sg.median, (apart(2, 3),)),
    Case("nanmedian", lambda x: sg.nanmedian(holed(x), axis=0), (apart(2, 4),)),
    Case("corrcoef", sg.corrcoef, (normal(2, 5),), order=1),
    Case("cdist", sg.cdist, (normal(2, 3), normal(4, 3, seed=1))),
    Case("psnr", lambda x, y: sg.psnr(x, y, 2.0), (normal(2, 3), positive(2, 3))),
]
