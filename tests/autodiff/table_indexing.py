"""Taking elements by index, putting others in their places, choosing, sorting."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, apart, normal

Numbers = list[Any]


def _ints(numbers: object) -> Any:
    return np.array(numbers, np.int64)


def _gather(name: str, indices: Numbers | int, **attributes: int) -> Any:
    return lambda x: sg.ops.onnx(name, x, _ints(indices), **attributes)


def _open_gather(x: Any) -> Any:
    """Places that only the run tells."""
    return sg.ops.onnx("Gather", x, sg.cast(sg.sum(x) * 0.0, "int64") + _ints(1), axis=1)


def _scatter(name: str, indices: Numbers, **attributes: Any) -> Any:
    return lambda x, updates: sg.ops.onnx(name, x, _ints(indices), updates, **attributes)


_ROWS = [[2], [0], [2]]
_PLACES = [[0, 1, 2], [0, 1, 0]]
_REDUCTIONS = ("add", "mul", "max", "min")


def _tensor_scatter(starts: Numbers | None, **attributes: Any) -> Any:
    return lambda past, update: sg.ops.onnx("TensorScatter", past, update, *(
        () if starts is None else (_ints(starts),)), **attributes)


CASES = [
    Case("gather rows", _gather("Gather", [2, 0, 2, -1]), (normal(3, 2),)),
    Case("gather along the last axis", _gather("Gather", [[0, 2], [2, -1]], axis=-1), (normal(2, 3),)),
    Case("gather along a middle axis", _gather("Gather", [1, 1], axis=1), (normal(2, 3, 2),)),
    Case("gather one", _gather("Gather", -1, axis=1), (normal(2, 3),)),
    Case("gather one where the run says", _open_gather, (normal(2, 3),)),
    Case("gather none", _gather("Gather", []), (normal(3, 2),)),
    Case("gather, old", lambda x: apply_op(find_op("Gather", "", 7), x, _ints([1, 1])), (normal(3),)),
    Case("gather from no rows", _gather("Gather", [0, 1], axis=1), (normal(0, 2),)),
    Case("gather elements of no rows", lambda x: sg.ops.onnx("GatherElements", x, np.zeros((0, 1), np.int64), axis=1),
         (normal(0, 2),)),
    Case("top-k of no rows", lambda x: sg.ops.onnx("TopK", x, _ints([1]), outputs=2)[0], (normal(0, 2),)),
    Case("sort no rows", lambda x: sg.sort(x), (normal(0, 2),)),
    Case("compress no rows", lambda x: sg.ops.compress([True, False], x, axis=1), (normal(0, 2),)),
    Case("where of scalars", lambda x, y: sg.where(True, x, y), (normal(), normal(seed=1))),
    Case("scatter into no columns", lambda x, u: sg.ops.onnx("ScatterND", x, _ints([[0]]), u),
         (normal(2, 0), normal(1, 0))),
    Case("take of all elements", lambda x: sg.ops.take(x, [0, 5, 5]), (normal(2, 3),)),
    Case("gather elements", _gather("GatherElements", [[0, 0, 2], [-1, 1, 1]], axis=1), (normal(2, 3),)),
    Case("gather elements of fewer rows", _gather("GatherElements", [[1, 0]]), (normal(2, 3),)),
    Case("gather none of the elements", _gather("GatherElements", [[], []], axis=1), (normal(2, 3),)),
    Case("take_along_axis", lambda x: sg.ops.take_along_axis(x, [[0], [2]], axis=1), (normal(2, 3),)),
    Case("gather n-d", _gather("GatherND", [[0, 1], [1, 0], [0, 1]]), (normal(2, 3),)),
    Case("gather n-d of rows", _gather("GatherND", _ROWS), (normal(3, 2),)),
    Case("gather n-d in batches", _gather("GatherND", [[1], [-1]], batch_dims=1), (normal(2, 3, 2),)),
    Case("gather n-d in batches of two axes", _gather("GatherND", [[[[1]], [[0]]]], batch_dims=2), (normal(1, 2, 2),)),
    *(Case(f"scatter elements {r}", _scatter("ScatterElements", _PLACES, axis=1, reduction=r),
           (apart(2, 3), apart(2, 3, seed=1) + 0.03)) for r in _REDUCTIONS),
    *(Case(f"scatter n-d {r}", _scatter("ScatterND", _ROWS, reduction=r), (apart(3, 2), apart(3, 2, seed=1) + 0.03))
      for r in _REDUCTIONS),
    Case("scatter elements mul with zeros", _scatter("ScatterElements", [0, 0, 1], reduction="mul"),
         (normal(2), np.array([0.0, 2.0, 3.0]))),
    Case("scatter n-d mul with zeros", _scatter("ScatterND", _ROWS, reduction="mul"),
         (normal(3), np.array([0.0, 2.0, 0.0]))),
    Case("scatter elements", _scatter("ScatterElements", [[2, 0], [1, -1]], axis=1), (normal(2, 3), normal(2, 2))),
    Case("scatter n-d", _scatter("ScatterND", [[2], [0]]), (normal(3, 2), normal(2, 2))),
    Case("scatter n-d nothing", lambda x, u: sg.ops.onnx("ScatterND", x, np.zeros((0, 1), np.int64), u),
         (normal(3, 2), normal(0, 2))),
    Case("scatter elements, old", lambda x, u: apply_op(find_op("ScatterElements", "", 11), x, _ints([[1, 0]]), u),
         (normal(2, 3), normal(1, 2))),
    Case("scatter, old", lambda x, u: apply_op(find_op("Scatter", "", 9), x, _ints([[1, 0]]), u, axis=1),
         (normal(2, 3), normal(1, 2)), float32=False),  # it has no kernel in a graph of today's opset
    Case("tensor scatter", _tensor_scatter([1, 0]), (normal(2, 1, 4, 2), normal(2, 1, 2, 2))),
    Case("tensor scatter from the start", _tensor_scatter(None, axis=1), (normal(2, 3), normal(2, 2))),
    Case("tensor scatter in a circle", _tensor_scatter([2, 1], mode="circular", axis=-1), (normal(2, 3), normal(2, 2))),
    Case("scatter to a shape", lambda u: sg.ops.scatter([[0], [2], [2]], u, (4, 2)), (normal(3, 2),)),
    Case("scatter_update", lambda x, u: sg.ops.scatter_update(x, [[1]], u), (normal(3), normal(1))),
    Case("slice_update", lambda x, u: sg.ops.slice_update(x, (1, 0), u), (normal(3, 3), normal(1, 2))),
    Case("compress", lambda x: sg.ops.compress([False, True, True], x, axis=1), (normal(2, 3),)),
    Case("compress by a shorter condition", lambda x: sg.ops.compress([True], x, axis=0), (normal(2, 3),)),
    Case("compress all elements", lambda x: sg.ops.onnx("Compress", x, np.array([True, False, False, True])),
         (normal(2, 3),)),
    Case("boolean_mask", lambda x: sg.ops.boolean_mask(x, [[True, False], [True, True]]), (normal(2, 2, 2),)),
    Case("one-hot of two values", lambda v: sg.ops.onnx("OneHot", _ints([0, 2, 7]), np.array(3), v, axis=0),
         (normal(2),)),
    Case("one-hot of 32-bit places", lambda v: sg.ops.onnx("OneHot", np.int32([[0, -1]]), np.int32(3), v),
         (normal(2),)),
    Case("where", lambda x, y: sg.where([True, False, True], x, y), (normal(2, 3), normal(seed=1))),
    Case("select", lambda x, y: sg.ops.select([[True, False], [True, True]], [x, y]), (normal(2), normal(2, seed=1))),
    Case("top-k", lambda x: sg.ops.onnx("TopK", x, _ints([2]), axis=0, outputs=2)[0], (apart(4, 2),)),
    Case("top-k of the smallest", lambda x: sg.ops.onnx("TopK", x, _ints([2]), largest=0, sorted=0, outputs=2)[0],
         (apart(2, 4),)),
    Case("top-k, old", lambda x: apply_op(find_op("TopK", "", 7), x, k=2, outputs=2)[0], (apart(2, 4),)),
    Case("top-k of none", lambda x: sg.ops.onnx("TopK", x, _ints([0]), outputs=2)[0], (apart(2, 4),)),
    Case("top_k", lambda x: sg.ops.top_k(x, 2)[0], (apart(2, 4),)),
    Case("sort", lambda x: sg.sort(x, axis=0), (apart(3, 2),)),
    Case("sort all", lambda x: sg.sort(x, axis=None), (apart(3, 2),)),
    Case("median", lambda x: sg.ops.median(x, axis=1), (apart(2, 4),)),
    Case("quantile", lambda x: sg.ops.quantile(x, [0.3, 0.9], axis=1), (apart(2, 4),)),
    Case("unique", lambda x: sg.ops.unique(x), (np.array([2.0, 1.0, 3.0]),)),
    Case("unique rows", lambda x: sg.ops.unique(x, return_counts=True, axis=0)[0], (apart(3, 2),)),
    Case("unstack and index", lambda x: x[1] * x[-1, 0], (normal(3, 2),)),
    Case("index arrays", lambda x: x[[0, 2, 0], :, [1, 1, 0]], (normal(3, 2, 2),)),
    Case("index two numbers", lambda x: x[1, 2], (normal(2, 3),)),
    Case("index by a mask", lambda x: x[np.array([True, False, True])], (normal(3, 2),)),
    Case("segment_sum", lambda x: sg.ops.segment_sum(x, [0, 2, 0], 3), (normal(3, 2),)),
    Case("segment_prod", lambda x: sg.ops.segment_prod(x, [0, 2, 0], 3), (normal(3, 2),)),
    Case("segment_max", lambda x: sg.ops.segment_max(x, [0, 1, 0]), (apart(3, 2),)),
    Case("segment_min", lambda x: sg.ops.segment_min(x, [0, 1, 0]), (apart(3, 2),)),
    Case("bincount with weights", lambda w: sg.ops.bincount([0, 2, 2], w), (normal(3),)),
]
