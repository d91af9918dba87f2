"""Fourier transforms. Complex numbers are pairs of tensors, `(real, imaginary)`, as ONNX has no kernels for them."""

from __future__ import annotations

from typing import cast

import numpy as np

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.ops import fourier_gradient as fourier_gradient
from symgraph.ops.applying import apply
from symgraph.ops.getitem import getitem
from symgraph.ops.promotion import as_operand, cast_to, promote
from symgraph.ops.rearranging import flip, pad
from symgraph.ops.sequences import extract_sequences
from symgraph.ops.shape import broadcast_to, expand_dims, reshape
from symgraph.ops.sizes import dimension, dimensions, plus, product, times

__all__ = ["fft", "fft2", "ifft2", "irfft", "istft", "rfft", "stft"]

Pair = tuple[Operand, Operand]


def fft(x: object) -> Pair:
    """`y_k = sum_n x_n exp(-2 pi i k n / N)` along the last axis of `(real, imaginary)` (ONNX DFT).

    Errors: `ShapeError` for anything but a pair of tensors with a last axis.

    >>> import symgraph as sg
    >>> [y.tolist() for y in sg.ops.fft(([1.0, 0.0], [0.0, 0.0]))]
    [[1.0, 1.0], [0.0, 0.0]]
    """
    return _transform("fft", x, 1)


def fft2(x: object) -> Pair:
    """`fft` along the last two axes."""
    return _transform("fft2", x, 2)


def ifft2(x: object) -> Pair:
    """The inverse of `fft2`."""
    real, imaginary = _pair("ifft2", x)
    imaginary, real = _transform("ifft2", (imaginary, real), 2)
    scale = _scale(real, 2)
    return apply("Mul", real, scale), apply("Mul", imaginary, scale)


def rfft(x: object, fft_length: int | None = None) -> Pair:
    """The first `N // 2 + 1` numbers of the Fourier transform of real numbers along the last axis.

    With `fft_length` `x` is cut, or continued with zeros, to that length before.
    """
    x = _as_float(x)
    if not x.ndim:
        raise ShapeError("rfft: a scalar has no axis to transform")
    x = x if fft_length is None else _with_length(x, fft_length)
    pair = _dft(expand_dims(x, x.ndim), x.ndim - 1, onesided=1)
    return _parts(pair)


def irfft(x: object, fft_length: int | None = None) -> Operand:
    """The inverse of `rfft`: `fft_length` real numbers, `2 (N - 1)` unless given.

    Errors: `ShapeError` where neither `fft_length` nor the size of the last axis is known.
    """
    real, imaginary = _pair("irfft", x)
    have = real.shape[-1]
    if fft_length is None and not isinstance(have, int):
        raise ShapeError(f"irfft: the size of the last axis of {real.type} is not known; give fft_length=")
    n = 2 * (cast(int, have) - 1) if fft_length is None else fft_length
    real, imaginary = (_with_length(part, n // 2 + 1) for part in (real, imaginary))
    mirrored = slice(1, n - n // 2)
    whole = [apply("Concat", part, tail, axis=part.ndim - 1) for part, tail in (
        (real, flip(getitem(real, (..., mirrored)), -1)),
        (imaginary, apply("Neg", flip(getitem(imaginary, (..., mirrored)), -1))))]
    signal = _parts(_dft(_joined(*whole[::-1]), real.ndim - 1))[1]
    return apply("Mul", signal, _scale(signal, 1))


def stft(x: object, sequence_length: int, sequence_stride: int, fft_length: int, window: object = "hann",
         center: bool = True) -> Pair:
    """The `rfft` of windowed frames of the last axis: two tensors `[..., frames, fft_length // 2 + 1]`.

    `window` is "hann", "hamming", a vector of `sequence_length` numbers or None; with `center` the signal is
    continued by its mirror image, so that frame i is centred at `i sequence_stride`.

    Errors: `ShapeError` where a frame is longer than `fft_length`, or for another window.
    """
    x = _as_float(x)
    weights = _window("stft", window, sequence_length, fft_length, x.dtype)
    if center:
        x = pad(x, [(0, 0)] * (x.ndim - 1) + [(fft_length // 2, fft_length // 2)], mode="reflect")
    frames = extract_sequences(x, fft_length, sequence_stride)
    return rfft(frames if weights is None else apply("Mul", frames, weights))


def istft(x: object, sequence_length: int, sequence_stride: int, fft_length: int, length: int | None = None,
          window: object = "hann", center: bool = True) -> Operand:
    """The signal whose `stft` is `x`: windowed frames added up, over the sum of the squares of the windows.

    Errors: as `stft`.
    """
    frames = irfft(x, fft_length)
    weights = _window("istft", window, sequence_length, fft_length, frames.dtype)
    if weights is None:
        weights = Tensor(np.ones(fft_length, numpy_dtype(frames.dtype)))
    signal = _overlap_add(apply("Mul", frames, weights), sequence_stride)
    squares = broadcast_to(apply("Mul", weights, weights), dimensions(frames)[-2:])
    total = _overlap_add(squares, sequence_stride)
    is_covered = apply("Greater", total, as_operand(1e-11, total.dtype))
    signal = apply("Div", signal, apply("Where", is_covered, total, as_operand(1.0, total.dtype)))
    start = fft_length // 2 if center else 0
    end = start + length if length is not None else -start or None
    return getitem(signal, (..., slice(start, end)))


def _overlap_add(frames: Operand, stride: int) -> Operand:
    """`y_(i stride + j) += frames[..., i, j]`: pieces of `stride` numbers, shifted against each other and added."""
    *batch, count, length = dimensions(frames)
    pieces = -(-cast(int, length) // stride)
    frames = _with_length(frames, pieces * stride)
    parts = reshape(frames, (*batch, count, pieces, stride))
    total: Operand | None = None
    for i in range(pieces):
        part = getitem(parts, (..., slice(None), i, slice(None)))
        part = pad(part, [(0, 0)] * len(batch) + [(i, pieces - 1 - i), (0, 0)])
        total = part if total is None else apply("Add", total, part)
    assert total is not None
    flat = reshape(total, (*batch, times(plus(count, pieces - 1), stride)))
    surplus = pieces * stride - cast(int, length)
    return getitem(flat, (..., slice(None, -surplus))) if surplus else flat


def _window(who: str, window: object, length: int, fft_length: int, dtype: str) -> Operand | None:
    """The window in the middle of `fft_length` numbers; None for no weights at all."""
    if fft_length < length:
        raise ShapeError(f"{who}: fft_length {fft_length} is shorter than sequence_length {length}")
    if window is None and length == fft_length:
        return None
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ShapeError(f"{who}: window is 'hann', 'hamming', a vector or None, got {window!r}")
        shape = np.hanning if window == "hann" else np.hamming
        window = shape(length + 1)[:-1] if length > 1 else np.ones(1)
    weights = as_operand(np.ones(length) if window is None else window, dtype)
    if weights.shape != (length,):
        raise ShapeError(f"{who}: a window has sequence_length = {length} weights, got {weights.type}")
    before = (fft_length - length) // 2
    return pad(weights, (before, fft_length - length - before))


def _as_float(x: object) -> Operand:
    x = as_operand(x)
    return x if is_floating(x.dtype) else cast_to(x, "float32")


def _pair(who: str, x: object) -> Pair:
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ShapeError(f"{who}: takes a pair of tensors, (real, imaginary), got {type(x).__name__}")
    real, imaginary = promote(*map(_as_float, x))
    if not real.ndim or real.ndim != imaginary.ndim:
        raise ShapeError(f"{who}: real and imaginary parts differ: {real.type} and {imaginary.type}")
    return real, imaginary


def _joined(real: Operand, imaginary: Operand) -> Operand:
    return apply("Concat", expand_dims(real, real.ndim), expand_dims(imaginary, real.ndim), axis=real.ndim)


def _parts(pair: Operand) -> Pair:
    return getitem(pair, (..., 0)), getitem(pair, (..., 1))


def _dft(pair: Operand, axis: int, **options: int) -> Operand:
    """ONNX DFT, which wants an axis before those it transforms."""
    y = apply("DFT", expand_dims(pair, 0), None, np.int64(axis + 1), **options)
    return getitem(y, 0)


def _scale(x: Operand, count: int) -> Operand:
    """1 over the number of elements of the last `count` axes.

    An inverse transform is the forward one with real and imaginary parts exchanged, before and after, times this:
    ONNX Runtime's own inverse divides in float32.
    """
    number = product(dimensions(x)[-count:])
    whole = as_operand(float(number), x.dtype) if isinstance(number, int) else cast_to(number, x.dtype)
    return apply("Reciprocal", whole)


def _transform(who: str, x: object, count: int) -> Pair:
    real, imaginary = _pair(who, x)
    if real.ndim < count:
        raise ShapeError(f"{who}: needs {count} axes, got {real.type}")
    pair = _joined(real, imaginary)
    for axis in range(real.ndim - count, real.ndim):
        pair = _dft(pair, axis)
    return _parts(pair)


def _with_length(x: Operand, length: int) -> Operand:
    """`x` cut, or continued with zeros, to `length` along its last axis."""
    have = dimension(x, -1)
    if isinstance(have, int) and have >= length:
        return getitem(x, (..., slice(0, length)))
    missing = length - have if isinstance(have, int) else length
    x = pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])
    return x if isinstance(have, int) else getitem(x, (..., slice(0, length)))
