"""Pools: means, maxima and norms of windows that overlap, lie side by side or leave gaps."""

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, apart, normal


def op(name: str, version: int | None = None, **attributes: Any) -> Callable[..., Any]:
    """An ONNX operator with these attributes."""
    if version is not None:
        return lambda *xs: apply_op(find_op(name, "", version), *xs, **attributes)
    return lambda *xs: sg.ops.onnx(name, *xs, **attributes)


def with_places(**attributes: Any) -> Callable[..., Any]:
    """MaxPool that is asked for the places as well."""
    return lambda x: sg.ops.onnx("MaxPool", x, outputs=2, **attributes)[0]


def unpool(x: Any) -> Any:
    places = np.array([[[[0, 3], [8, 11]], [[21, 18], [28, 31]]]])
    return sg.ops.onnx("MaxUnpool", x, sg.tensor(places), kernel_shape=(2, 2), strides=(2, 2))


WINDOWS: dict[str, dict[str, Any]] = {
    "side by side": {"kernel_shape": (2, 2), "strides": (2, 2)},
    "overlapping": {"kernel_shape": (3, 2)},
    "with pads": {"kernel_shape": (3, 2), "strides": (2, 1), "pads": (1, 0, 1, 1)},
    "with gaps": {"kernel_shape": (1, 2), "strides": (2, 3)},
    "with ceil_mode": {"kernel_shape": (3, 2), "strides": (2, 2), "ceil_mode": 1},
    "with dilations": {"kernel_shape": (2, 2), "dilations": (2, 1)},
    "SAME_UPPER": {"kernel_shape": (3, 2), "strides": (2, 2), "auto_pad": "SAME_UPPER"},
    "SAME_LOWER": {"kernel_shape": (2, 3), "strides": (1, 2), "auto_pad": "SAME_LOWER"},
    "VALID": {"kernel_shape": (2, 2), "strides": (2, 2), "auto_pad": "VALID"}}

CASES = [
    *(Case(f"AveragePool {name}", op("AveragePool", **window), (normal(1, 2, 4, 6),))
      for name, window in WINDOWS.items()),
    *(Case(f"AveragePool {name}, counting the padding", op("AveragePool", count_include_pad=1, **WINDOWS[name]),
           (normal(1, 1, 5, 5),)) for name in ("with pads", "with ceil_mode", "SAME_UPPER")),
    Case("AveragePool 1-D", op("AveragePool", kernel_shape=(2,)), (normal(2, 2, 5),)),
    Case("AveragePool 3-D", op("AveragePool", kernel_shape=(2, 1, 2), strides=(1, 1, 2)), (normal(1, 1, 3, 2, 4),)),
    Case("AveragePool 3-D side by side", op("AveragePool", kernel_shape=(2, 1, 2), strides=(2, 1, 2)),
         (normal(1, 1, 2, 2, 4),)),
    Case("AveragePool of opset 7", op("AveragePool", 7, kernel_shape=(2, 2), count_include_pad=1, pads=(1, 1, 0, 0)),
         (normal(1, 1, 3, 3),)),
    *(Case(f"MaxPool {name}", op("MaxPool", **window), (apart(1, 2, 4, 6),)) for name, window in WINDOWS.items()),
    Case("MaxPool 1-D", op("MaxPool", kernel_shape=(2,)), (apart(2, 2, 5),)),
    Case("MaxPool 3-D", op("MaxPool", kernel_shape=(2, 1, 2), strides=(1, 1, 2)), (apart(1, 1, 3, 2, 4),)),
    Case("MaxPool 3-D side by side", op("MaxPool", kernel_shape=(2, 1, 2), strides=(2, 1, 2)), (apart(1, 2, 2, 2, 4),)),
    Case("MaxPool of squares", lambda x: op("MaxPool", kernel_shape=(2, 2), strides=(2, 2))((x + 0.06) ** 2.0) ** 2.0,
         (apart(1, 1, 4, 2),)),
    Case("MaxPool of overlapping squares", lambda x: op("MaxPool", kernel_shape=(2, 2))((x + 0.06) ** 2.0) ** 2.0,
         (apart(1, 1, 3, 3),), order=3),
    Case("MaxPool of opset 7", op("MaxPool", 7, kernel_shape=(2, 2), strides=(1, 2)), (apart(1, 1, 3, 4),)),
    Case("MaxPool with places", with_places(kernel_shape=(2, 2)), (apart(1, 2, 3, 3),)),
    Case("MaxPool with places column by column", with_places(kernel_shape=(2, 2), storage_order=1),
         (apart(1, 2, 3, 3),)),
    Case("MaxUnpool", unpool, (normal(1, 2, 2, 2),)),
    *(Case(f"LpPool {name}", op("LpPool", **window), (apart(1, 2, 4, 6),))
      for name, window in WINDOWS.items() if name not in ("SAME_LOWER", "VALID")),
    *(Case(f"LpPool with p = {p}", op("LpPool", kernel_shape=(2, 2), p=p), (apart(1, 1, 3, 3),)) for p in (1, 3)),
    Case("LpPool of opset 7", op("LpPool", 7, kernel_shape=(2, 2), p=3), (apart(1, 1, 3, 3),)),
    Case("GlobalAveragePool", op("GlobalAveragePool"), (normal(2, 2, 3, 2),)),
    Case("GlobalAveragePool 1-D", op("GlobalAveragePool"), (normal(2, 2, 3),)),
    Case("GlobalMaxPool", op("GlobalMaxPool"), (apart(2, 2, 3, 2),)),
    *(Case(f"GlobalLpPool with p = {p}", op("GlobalLpPool", p=p), (apart(2, 2, 3, 2),)) for p in (1, 2, 3)),
    Case("max_pool", lambda x: sg.ops.max_pool(x, 2, 1, "same"), (apart(1, 3, 4, 2),)),
    Case("average_pool", lambda x: sg.ops.average_pool(x, (3, 2), 2, "same"), (normal(1, 3, 4, 2),)),
    Case("global_average_pool", sg.ops.global_average_pool, (normal(2, 3, 4, 2),)),
    Case("global_max_pool", sg.ops.global_max_pool, (apart(2, 3, 2, 2),)),
    Case("adaptive_average_pool", lambda x: sg.ops.adaptive_average_pool(x, (2, 3)), (normal(1, 5, 4, 2),)),
    Case("adaptive_max_pool", lambda x: sg.ops.adaptive_max_pool(x, (2, 3)), (apart(1, 5, 4, 1),)),
]
