"""Operators for `onnx.reference` where its own are wrong, or refuse what the standard allows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

Array = np.ndarray[Any, Any]
Numbers = Sequence[int]


class ConvTranspose(OpRun):  # type: ignore[misc]
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
            where = tuple(slice(j * d, j * d + (n - 1) * s + 1, s) for j, d, n, s in zip(
                place, spread, x.shape[2:], steps, strict=True))
            y[(..., *where)] += np.einsum("ngc...,gco->ngo...", parts, kernel[(..., *place)])
        y = y.reshape(x.shape[0], group * w.shape[1], *canvas)
        y = y[(..., *(slice(p, p + size) for p, size in zip(cut, sizes, strict=False)))]
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


REPLACED = [ConvTranspose]
