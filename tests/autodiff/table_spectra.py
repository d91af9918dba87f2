"""Fourier transforms, both ways, of real and complex numbers, cut and continued."""

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, normal


def dft(axis: int = -2, length: int | None = None, **attributes: int) -> Callable[..., Any]:
    """ONNX DFT along an axis."""
    return lambda x: sg.ops.onnx("DFT", x, None if length is None else np.int64(length), np.int64(axis), **attributes)


def stft(x: Any, window: Any) -> Any:
    return sg.ops.onnx("STFT", x, np.int64(2), window, np.int64(4), onesided=1)


CASES = [
    *(Case(f"DFT of {n} {kind} numbers", dft(), (normal(2, n, parts),))
      for n in (4, 5) for kind, parts in (("real", 1), ("complex", 2))),
    *(Case(f"DFT, inverse, of {n} numbers", dft(inverse=1), (normal(2, n, 2),)) for n in (4, 5)),
    *(Case(f"DFT, one-sided, of {n} numbers", dft(onesided=1), (normal(2, n, 1),)) for n in (4, 5)),
    *(Case(f"DFT to {n or 4} real numbers", dft(length=n, inverse=1, onesided=1), (normal(2, 3, 2),))
      for n in (None, 5)),
    Case("DFT along the first axis", dft(axis=1), (normal(1, 4, 2, 2),)),
    *(Case(f"DFT of 4 numbers as {n}", dft(length=n), (normal(1, 4, 2),)) for n in (3, 6)),
    *(Case(f"DFT, one-sided, of 4 numbers as {n}", dft(length=n, onesided=1), (normal(1, 4, 1),)) for n in (3, 6)),
    Case("DFT of opset 17", lambda x: apply_op(find_op("DFT", "", 17), x, axis=1, onesided=1), (normal(2, 4, 1),)),
    Case("STFT", stft, (normal(2, 8, 1), normal(4, seed=1))),
    Case("STFT without a window", lambda x: sg.ops.onnx("STFT", x, np.int64(3), None, np.int64(4), onesided=0),
         (normal(1, 8, 1),)),
    Case("fft", lambda x, y: sg.ops.fft((x, y)), (normal(2, 4), normal(2, 4, seed=1))),
    Case("fft2", lambda x, y: sg.ops.fft2((x, y)), (normal(2, 3), normal(2, 3, seed=1))),
    Case("ifft2", lambda x, y: sg.ops.ifft2((x, y)), (normal(2, 3), normal(2, 3, seed=1))),
    Case("rfft", lambda x: sg.ops.rfft(x, 5), (normal(2, 4),)),
    Case("irfft", lambda x, y: sg.ops.irfft((x, y)), (normal(2, 3), normal(2, 3, seed=1)), dynamic=False),
    Case("stft", lambda x: sg.ops.stft(x, 4, 2, 4), (normal(8),)),
    Case("istft", lambda x, y: sg.ops.istft((x, y), 4, 2, 4), (normal(3, 3), normal(3, 3, seed=1)), dynamic=False),
]
