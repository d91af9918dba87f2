"""Operators for `onnx.reference` where its own are wrong, or refuse what the standard allows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

Array = np.ndarray[Any, Any]
Numbers = Sequence[int]
ANY: Any = ...


class Conv(OpRun):
    """ONNX Conv, in fewer steps than that of `onnx.reference`: one product for each point of the kernel."""

    def _run(self, x: Array, w: Array, b: Array | None = None, *, auto_pad: str | None = None,
             dilations: Numbers | None = None, group: int | None = None, kernel_shape: Numbers | None = None,
             pads: Numbers | None = None, strides: Numbers | None = None) -> tuple[Array]:
        rank, group = x.ndim - 2, group or 1
        steps, spread = strides or [1] * rank, dilations or [1] * rank
        extents = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], spread, strict=True)]
        around = list(pads) if pads and auto_pad in (None, "NOTSET") else [0] * 2 * rank
        if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            totals = [max((-(-n // s) - 1) * s + e - n, 0) for n, s, e in zip(x.shape[2:], steps, extents, strict=True)]
            less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
            around = less + more if auto_pad == "SAME_UPPER" else more + less
        x = np.pad(x, [(0, 0), (0, 0), *zip(around[:rank], around[rank:], strict=True)])
        counts = [(n - e) // s + 1 for n, e, s in zip(x.shape[2:], extents, steps, strict=True)]
        parts = x.reshape(x.shape[0], group, x.shape[1] // group, *x.shape[2:])
        kernel = w.reshape(group, w.shape[0] // group, *w.shape[1:])
        y = np.zeros((x.shape[0], group, w.shape[0] // group, *counts), x.dtype)
        for place in product(*map(range, w.shape[2:])):
            where = (ANY, *(slice(j * d, j * d + (m - 1) * s + 1, s) for j, d, m, s in zip(
                place, spread, counts, steps, strict=True)))
            y += np.einsum("ngc...,goc->ngo...", parts[where], kernel[(ANY, *place)])
        y = y.reshape(x.shape[0], w.shape[0], *counts)
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


class ConvTranspose(OpRun):
    """ONNX ConvTranspose; that of `onnx.reference` mixes up groups and refuses output_padding."""

    def _run(self, x: Array, w: Array, b: Array | None = None, *, auto_pad: str | None = None,
             dilations: Numbers | None = None, group: int | None = None, kernel_shape: Numbers | None = None,
             output_padding: Numbers | None = None, output_shape: Numbers | None = None, pads: Numbers | None = None,
             strides: Numbers | None = None) -> tuple[Array]:
        rank, group = x.ndim - 2, group or 1
        steps, spread = strides or [1] * rank, dilations or [1] * rank
        extra = output_padding or [0] * rank
        whole = [(n - 1) * s + (k - 1) * d + 1 + e for n, k, s, d, e in zip(
            x.shape[2:], w.shape[2:], steps, spread, extra, strict=True)]
        cut = list(pads) if pads and auto_pad in (None, "NOTSET") else [0] * 2 * rank
        sizes = [n - p - q for n, p, q in zip(whole, cut[:rank], cut[rank:], strict=True)]
        if output_shape or auto_pad in ("SAME_UPPER", "SAME_LOWER"):
            sizes = list(output_shape or [n * s for n, s in zip(x.shape[2:], steps, strict=True)])[-rank:]
            totals = [max(n - size, 0) for n, size in zip(whole, sizes, strict=True)]
            cut = [t // 2 if auto_pad == "SAME_UPPER" else t - t // 2 for t in totals]
        canvas = [max(n, p + size) for n, p, size in zip(whole, cut, sizes, strict=False)]
        parts = x.reshape(x.shape[0], group, x.shape[1] // group, *x.shape[2:])
        kernel = w.reshape(group, parts.shape[2], *w.shape[1:])
        y = np.zeros((x.shape[0], group, w.shape[1], *canvas), x.dtype)
        for place in product(*map(range, w.shape[2:])):
            where = (ANY, *(slice(j * d, j * d + (n - 1) * s + 1, s) for j, d, n, s in zip(
                place, spread, x.shape[2:], steps, strict=True)))
            y[where] += np.einsum("ngc...,gco->ngo...", parts, kernel[(ANY, *place)])
        y = y.reshape(x.shape[0], group * w.shape[1], *canvas)
        y = y[(ANY, *(slice(p, p + size) for p, size in zip(cut, sizes, strict=False)))]
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


def _windows(n: int, k: int, stride: int, dilation: int, pads: tuple[int, int], auto_pad: str | None,
             ceil_mode: int | None) -> tuple[Array, Array, Array]:
    """The places `[windows, k]` along an axis, which of them are inside, and which inside or padded."""
    extent = (k - 1) * dilation + 1
    before, after = pads if auto_pad in (None, "NOTSET") else (0, 0)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        total = max((-(-n // stride) - 1) * stride + extent - n, 0)
        before = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
        after = total - before
    rest = n + before + after - extent
    count = rest // stride + 1
    if ceil_mode:
        count = -(-rest // stride) + 1
        count -= (count - 1) * stride >= n + before
    places = np.arange(count)[:, None] * stride + np.arange(k) * dilation - before
    return np.clip(places, 0, max(n - 1, 0)), (places >= 0) & (places < n), places < n + after


def _pooled(x: Array, kernel_shape: Numbers, strides: Numbers | None, dilations: Numbers | None, pads: Numbers | None,
            auto_pad: str | None, ceil_mode: int | None, *, counts_pads: bool = False) -> tuple[Array, Array]:
    """The sums of windows, and how many elements are counted in each."""
    rank = len(kernel_shape)
    number = np.ones((1,) * x.ndim)
    for i, k in enumerate(kernel_shape):
        pair = (pads[i], pads[i + rank]) if pads else (0, 0)
        places, is_inside, is_padded = _windows(
            x.shape[2 + i], k, strides[i] if strides else 1, dilations[i] if dilations else 1, pair, auto_pad,
            ceil_mode)
        tail = (1,) * (rank - 1 - i)
        x = (np.take(x, places, 2 + i) * is_inside.reshape(*places.shape, *tail)).sum(3 + i)
        number = number * (is_padded if counts_pads else is_inside).sum(1).reshape(-1, *tail)
    return x, number


class AveragePool(OpRun):
    """ONNX AveragePool; that of `onnx.reference` takes seconds for small images."""

    def _run(self, x: Array, *, auto_pad: str | None = None, ceil_mode: int | None = None,
             count_include_pad: int | None = None, dilations: Numbers | None = None, kernel_shape: Numbers = (),
             pads: Numbers | None = None, strides: Numbers | None = None) -> tuple[Array]:
        total, number = _pooled(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode,
                                counts_pads=bool(count_include_pad))
        return ((total / number).astype(x.dtype),)


class LpPool(OpRun):
    """ONNX LpPool; that of `onnx.reference` scales windows that reach beyond the end."""

    def _run(self, x: Array, *, auto_pad: str | None = None, ceil_mode: int | None = None,
             dilations: Numbers | None = None, kernel_shape: Numbers = (), p: float | None = None,
             pads: Numbers | None = None, strides: Numbers | None = None) -> tuple[Array]:
        total, _ = _pooled(np.abs(x) ** (p or 2), kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
        return ((total ** (1 / (p or 2))).astype(x.dtype),)


class GlobalLpPool(OpRun):
    """ONNX GlobalLpPool, which `onnx.reference` does not have."""

    def _run(self, x: Array, *, p: float | None = None) -> tuple[Array]:
        total = (np.abs(x) ** (p or 2)).sum(tuple(range(2, x.ndim)), keepdims=True)
        return ((total ** (1 / (p or 2))).astype(x.dtype),)


class MaxRoiPool(OpRun):
    """ONNX MaxRoiPool, which `onnx.reference` does not have."""

    def _run(self, x: Array, rois: Array, *, pooled_shape: Numbers = (), spatial_scale: float | None = None,
             ) -> tuple[Array]:
        y = np.zeros((len(rois), x.shape[1], *pooled_shape), x.dtype)
        for r, (image, left, top, right, bottom) in enumerate(rois):
            scaled = np.floor(np.array([top, left, bottom, right]) * (spatial_scale or 1) + 0.5)
            for place in product(*map(range, pooled_shape)):
                bins = [slice(*np.clip(first + np.array([i * step // 1, -(-(i + 1) * step // 1)]), 0, n).astype(int))
                        for i, first, step, n in zip(place, scaled[:2], [
                            max(b - a + 1, 1) / count for a, b, count in zip(
                                scaled[:2], scaled[2:], pooled_shape, strict=True)], x.shape[2:], strict=True)]
                seen = x[(int(image), ANY, *bins)]
                if seen.size:
                    y[(r, ANY, *place)] = seen.max((1, 2))
        return (y,)


REPLACED = [AveragePool, Conv, ConvTranspose, GlobalLpPool, LpPool, MaxRoiPool]
