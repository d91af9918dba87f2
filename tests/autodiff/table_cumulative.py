"""Running sums, products and maxima, differences, scans."""

import numpy as np

import symgraph as sg
from symgraph.ops.cumulative_gradient import linear_scan
from symgraph.ops.sizes import ints
from tests.autodiff.cases import Case, apart, normal, positive
from tests.autodiff.table_elementwise import onnx

WITH_ZEROS = np.array([[1.0, 2.0, 0.0, 3.0], [0.0, -1.0, 0.0, 2.0]])


CASES = [
    Case("cumsum", lambda x: sg.cumsum(x, axis=1), (normal(2, 3),)),
    Case("cumsum of all", sg.cumsum, (normal(2, 3),)),
    Case("cumsum of nothing", lambda x: sg.cumsum(x, axis=1), (normal(2, 0),)),
    *(Case(f"CumSum exclusive={exclusive} reverse={reverse} opset={opset}", lambda x, e=exclusive, r=reverse, o=opset:
           onnx("CumSum", o, exclusive=e, reverse=r)(x * x, np.int64(-1)), (normal(2, 3),))
      for exclusive in (0, 1) for reverse in (0, 1) for opset in (11, 14)),
    Case("cumprod", lambda x: sg.cumprod(x, axis=1), (normal(2, 4),)),
    Case("cumprod along the first axis", lambda x: sg.cumprod(x, axis=0), (positive(3, 2),)),
    Case("cumprod with zeros", lambda x: sg.cumprod(x, axis=1), (WITH_ZEROS,)),
    Case("cumprod of one element", lambda x: sg.cumprod(x, axis=0), (positive(1, 2),)),
    *(Case(f"CumProd exclusive={exclusive} reverse={reverse}", lambda x, e=exclusive, r=reverse:
           onnx("CumProd", exclusive=e, reverse=r)(x, np.int64(-1)), (WITH_ZEROS,), float32=False)
      for exclusive in (0, 1) for reverse in (0, 1)),
    Case("linear scan", lambda a, b: linear_scan(a, b, ints(1)), (normal(2, 4), normal(2, 4, seed=1)), order=3),
    Case("cummax", lambda x: sg.cummax(x * x, axis=1), (apart(2, 4),)),
    Case("cummin", lambda x: sg.cummin(x * x * x, axis=0), (apart(4, 2),)),
    Case("nancumprod", lambda x: sg.nancumprod(sg.where(x > 0.0, x, np.nan), axis=1), (apart(2, 4),)),
    Case("diff", lambda x: sg.diff(x * x, n=2, axis=0), (normal(4, 2),)),
    Case("associative_scan of a recurrence", lambda x, y: sg.associative_scan(
        lambda a, b: [a[0] * b[0], a[1] * b[0] + b[1]], [x, y], axis=0), (normal(3, 2), normal(3, 2, seed=1)),
        dynamic=False),
]
