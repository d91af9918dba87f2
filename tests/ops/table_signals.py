"""Rows for Fourier transforms, frames, windows, segments, histograms and patches."""

import numpy as np

from symgraph import ops
from tests.ops.table import Row, normal
from tests.ops.table_shape import cases, of

PAIRS = {"vector": of((8,), (8,)), "odd": of((2, 7), (2, 7)), "one": of((3, 1), (3, 1)),
         "many": of((2, 3, 6), (2, 3, 6))}
PLANES = {"plane": of((4, 6), (4, 6)), "planes": of((2, 3, 5), (2, 3, 5))}
LOOSE = {"rtol": 1e-4}


def parts(z):
    return z.real, z.imag


def frames(x, length, stride):
    return np.lib.stride_tricks.sliding_window_view(x, length, axis=-1)[..., ::stride, :]


def stft(x, length, stride, size, window, center):
    weights = {"hann": np.hanning, "hamming": np.hamming}[window](length + 1)[:-1]
    before = (size - length) // 2
    weights = np.pad(weights, (before, size - length - before))
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(size // 2, size // 2)], "reflect")
    return parts(np.fft.rfft(frames(x, size, stride) * weights))


def unfold(x, kernel, dilation, padding, stride):
    x = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2])
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, axis=(2, 3))[:, :, ::stride[0], ::stride[1]]
    windows = windows[..., ::dilation[0], ::dilation[1]]
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), x.shape[1] * np.prod(kernel), -1)


def fold(x, size, kernel, dilation, padding, stride):
    channels = x.shape[1] // np.prod(kernel)
    whole = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    count = [(n - d * (k - 1) - 1) // s + 1 for n, k, d, s in zip(whole, kernel, dilation, stride, strict=True)]
    y = np.zeros((len(x), channels, *whole), x.dtype)
    columns = x.reshape(len(x), channels, *kernel, *count)
    for i, j, row, column in np.ndindex(*kernel, *count):
        place = i * dilation[0] + row * stride[0], j * dilation[1] + column * stride[1]
        y[:, :, *place] += columns[:, :, i, j, row, column]
    return y[:, :, padding[0]:whole[0] - padding[0], padding[1]:whole[1] - padding[1]]


def histogram(x, bins, limits=None):
    counts, edges = np.histogram(x, bins, limits)
    return counts.astype(np.int32), edges.astype(x.dtype)


def segments(rng, dtype):
    return normal(rng, (6, 2), dtype), np.array([0, 2, 2, 0, 4, 2], np.int32)


def reduced(function, start):
    def reference(x, ids, count=6):
        y = np.full((count, *x.shape[1:]), start(x.dtype), x.dtype)
        function.at(y, ids, x)
        return y

    return reference


def least(dtype):
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def largest(dtype):
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


def size(n):
    return lambda rng, dtype: (np.array(n, np.int64),)


SIZES = {str(n): size(n) for n in (1, 2, 5, 8)}
PATCHES = (((2, 3), (1, 1), (0, 0), (1, 1)), ((2, 2), (2, 1), (1, 2), (2, 1)))
NUMBERS = ("float32", "float64", "int32", "int64")

def split_and_merge(x):
    a, bc, d = x.shape
    return x.reshape(a, 2, bc // 2, d).transpose(3, 0, 2, 1).reshape(d * a, 1, bc // 2, 2)


ROWS = [
    Row("fft", lambda x, y: ops.fft((x, y)), PAIRS, lambda x, y: parts(np.fft.fft(x + 1j * y)), result=lambda d: d,
        **LOOSE),
    Row("fft2", lambda x, y: ops.fft2((x, y)), PLANES, lambda x, y: parts(np.fft.fft2(x + 1j * y)), result=lambda d: d,
        **LOOSE),
    Row("ifft2", lambda x, y: ops.ifft2((x, y)), PLANES, lambda x, y: parts(np.fft.ifft2(x + 1j * y)),
        result=lambda d: d, **LOOSE),
    *(Row(f"rfft {n}", lambda x, n=n: ops.rfft(x, n), cases((8,), (2, 7), (2, 2, 6)),
          lambda x, n=n: parts(np.fft.rfft(x, n)), result=lambda d: d, **LOOSE) for n in (None, 5, 12)),
    *(Row(f"irfft {n}", lambda x, y, n=n: ops.irfft((x, y), n), {"v": of((5,), (5,)), "m": of((2, 4), (2, 4))},
          lambda x, y, n=n: np.fft.irfft(x + 1j * y, n),
          result=lambda d: d, **LOOSE) for n in (5, 6, 12)),
    *(Row(f"stft {window} {length} {center}", lambda x, w=window, n=length, c=center: ops.stft(x, n, 3, 8, w, c),
          cases((20,), (2, 17)), lambda x, w=window, n=length, c=center: stft(x, n, 3, 8, w, c), result=lambda d: d,
          **LOOSE) for window, length, center in (("hann", 8, True), ("hamming", 8, False), ("hann", 5, True))),
    *(Row(f"istft of stft {window} {length}",
          lambda x, w=window, n=length: ops.istft(ops.stft(x, n, 2, 8, w), n, 2, 8, 17, w), cases((17,), (2, 17)),
          lambda x: x, **LOOSE) for window, length in (("hann", 8), ("hamming", 6), (None, 8))),
    Row("extract_sequences", lambda x: ops.extract_sequences(x, 3, 2), cases((3,), (8,), (2, 7), (2,)),
        lambda x: frames(x, 3, 2) if x.shape[-1] > 2 else np.zeros((0, 3), x.dtype), dtypes=(*NUMBERS, "bool")),
    *(Row(f"correlate {mode}", lambda x, mode=mode: ops.correlate(x, np.arange(3).astype(x.dtype), mode),
          cases((3,), (8,)), lambda x, mode=mode: np.correlate(x, np.arange(3).astype(x.dtype), mode), rtol=2e-5)
      for mode in ("valid", "full")),
    Row("trapezoid", ops.trapezoid, cases((4,), (2, 3), (1,)), np.trapezoid, rtol=1e-5),
    Row("trapezoid of places", lambda y, x: ops.trapezoid(y, x, axis=0), of((4, 2), (4,)),
        lambda y, x: np.trapezoid(y, x, axis=0), rtol=1e-5),
    Row("vander", ops.vander, cases((3,), (1,)), np.vander, dtypes=("float32", "float64", "int32"),
        result=lambda d: d, rtol=1e-5),
    Row("vander increasing", lambda x: ops.vander(x, 4, increasing=True), cases((3,), (1,)),
        lambda x: np.vander(x, 4, increasing=True), rtol=1e-5),
    Row("geomspace", lambda x, y: ops.geomspace(x, y, 5), lambda rng, d: (np.array(2, d), np.array(32, d)),
        lambda x, y: np.geomspace(x, y, 5), rtol=1e-5),
    *(Row(name, getattr(ops, name), SIZES, getattr(np, name), dtypes=("float32",), result="float32", rtol=1e-5)
      for name in ("bartlett", "blackman", "hamming", "hanning")),
    *(Row(f"kaiser {beta}", lambda n, b=beta: ops.kaiser(n, b), SIZES, lambda n, b=beta: np.kaiser(n, b),
          dtypes=("float32",), result="float32", rtol=1e-5) for beta in (0.0, 5.0, 14)),
    *(Row(f"segment_{name}", lambda x, i, name=name: getattr(ops, f"segment_{name}")(x, i, 6), segments,
          reduced(*how), dtypes=NUMBERS, rtol=1e-5)
      for name, how in {"sum": (np.add, lambda d: 0), "prod": (np.multiply, lambda d: 1), "max": (np.maximum, least),
                        "min": (np.minimum, largest)}.items()),
    Row("segment_sum without count", ops.segment_sum, segments, lambda x, i: reduced(np.add, lambda d: 0)(x, i, 5),
        rtol=1e-5),
    Row("histogram", lambda x: ops.histogram(x, 4), cases((30,), (3, 5)),
        lambda x: histogram(x, 4), rtol=1e-5),
    Row("histogram of equal numbers", lambda x: ops.histogram(x, 3), (np.float32([2, 2]),),
        lambda x: histogram(x, 3), rtol=1e-5),
    Row("histogram of a range", lambda x: ops.histogram(x, 4, (-1, 1.5)), cases((30,), (0,)),
        lambda x: histogram(x, 4, (-1, 1.5)), rtol=1e-5),
    *(Row(f"isin {invert}", lambda x, y, i=invert: ops.isin(x, y, invert=i),
          {"a": of((2, 3), (4,)), "b": of((3,), (0,)), "c": of((), (2, 2))},
          lambda x, y, i=invert: np.isin(x, y, invert=i), dtypes=("float32", "int32", "bool"))
      for invert in (False, True)),
    Row("argpartition", lambda x: ops.argpartition(x, 2), of((3, 7)), lambda x: np.argsort(x), result="int32"),
    Row("unravel_index", lambda i: ops.unravel_index(i, (2, 3, 4)), lambda rng, d: (np.array([[0, 5], [23, -1]], d),),
        lambda i: np.unravel_index(i % 24, (2, 3, 4)), dtypes=("int32", "int64", "int8"), result=lambda d: d),
    Row("corrcoef", ops.corrcoef, cases((3, 5), (1, 4), (4,)), lambda x: np.corrcoef(x).reshape(
        (len(x),) * 2 if x.ndim == 2 else ()), rtol=1e-5),
    Row("cdist", ops.cdist, {"mm": of((3, 2), (4, 2)), "batch": of((2, 1, 3, 2), (5, 4, 2)),
        "none": of((0, 2), (4, 2))},
        lambda x, y: np.linalg.norm(x[..., :, None, :] - y[..., None, :, :], axis=-1), rtol=1e-5),
    Row("psnr", lambda x, y: ops.psnr(x, y, 2.0), of((2, 3), (2, 3)),
        lambda x, y: (20 * np.log10(2.0) - 10 * np.log10(np.mean((x - y) ** 2))).astype(x.dtype), rtol=1e-5),
    *(Row(f"unfold {how}", lambda x, a=how: ops.unfold(x, *a), of((2, 3, 5, 6)), lambda x, a=how: unfold(x, *a),
          dtypes=("float32", "int32")) for how in PATCHES),
    *(Row(f"fold {how}", lambda x, a=how: ops.fold(x, (5, 6), *a), of((2, 3 * int(np.prod(how[0])), count)),
          lambda x, a=how: fold(x, (5, 6), *a), dtypes=("float32",), rtol=1e-5)
      for how, count in zip(PATCHES, (16, 27), strict=True)),
    *(Row(name, getattr(ops, name), cases((2, 3)), lambda x: x, dtypes=("float32", "int32"))
      for name in ("array", "copy")),
    Row("rearrange", lambda x: ops.rearrange(x, "a (b c) d -> (d a) 1 c b", b=2), cases((3, 4, 2), (0, 6, 1)),
        split_and_merge),
    Row("rearrange without groups", lambda x: ops.rearrange(x, "b h w -> w b h"), of((2, 3, 4)),
        lambda x: x.transpose(2, 0, 1)),
    Row("get_item", lambda x: ops.get_item(x, (0, slice(1, None))), cases((2, 3)), lambda x: x[0, 1:]),
]
