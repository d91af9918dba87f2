"""Other sizes for images, pixel by pixel as tf.image.resize has it; in NumPy, for pictures of any size."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from symgraph.training.data.columns import Array
from symgraph.training.data.image_files import middle

Kernel = Callable[[Array], Array]


def _cubic(a: float) -> Kernel:
    """Keys' piecewise cubic with the slope `a` at 1."""
    def kernel(x: Array) -> Array:
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((x - 5) * x + 8) * x * a - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0))
    return kernel


def _mitchell(x: Array) -> Array:
    """Mitchell and Netravali's cubic with B = C = 1/3."""
    near = (7 * x - 12) * x * x / 6 + 16 / 18
    far = ((-7 * x / 18 + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(radius: int) -> Kernel:
    """`sinc(x) sinc(x / radius)`."""
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)


KERNELS: dict[str, tuple[float, Kernel]] = {
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, _cubic(-0.5)),
    "lanczos3": (3, _lanczos(3)),
    "lanczos5": (5, _lanczos(5)),
    "gaussian": (1.5, lambda x: np.where(x < 1.5, np.exp(-x * x / (2 * 0.5**2)), 0)),
    "mitchellcubic": (2, _mitchell),
}
INTERPOLATIONS = (*KERNELS, "nearest", "area")


def resized(image: Array, height: int, width: int, interpolation: str) -> Array:
    """An image `(height, width, channels)` of another size, float32; pixels have their centres at halves.

    Shrinking leaves pixels out, but for "area": there is no antialiasing, as in Keras's data sets.
    """
    x = image.astype(np.float32)
    for axis, size in ((0, height), (1, width)):
        if x.shape[axis] != size:
            x = _along(x, axis, size, interpolation)
    return x


def cropped_to_aspect_ratio(image: Array, height: int, width: int, interpolation: str) -> Array:
    """The largest part in the middle that has the shape wanted, at the size wanted."""
    top, left, rows, columns = middle(image.shape[0], image.shape[1], height, width)
    return resized(image[top:top + rows, left:left + columns], height, width, interpolation)


def padded_to_aspect_ratio(image: Array, height: int, width: int, interpolation: str) -> Array:
    """The whole image as large as it fits in the middle of zeros."""
    ratio = max(image.shape[0] / height, image.shape[1] / width)
    rows, columns = (max(math.floor(size / ratio), 1) for size in image.shape[:2])
    out = np.zeros((height, width, image.shape[2]), np.float32)
    top, left = (height - rows) // 2, (width - columns) // 2
    out[top:top + rows, left:left + columns] = resized(image, rows, columns, interpolation)
    return out


def _along(x: Array, axis: int, size: int, interpolation: str) -> Array:
    known = x.shape[axis]
    scale = known / size
    if interpolation == "nearest":
        picked: Array = x.take(np.minimum(np.floor((np.arange(size) + 0.5) * scale).astype(np.intp), known - 1), axis)
        return picked
    taps, weights = _area(known, size) if interpolation == "area" else _taps(known, size, *KERNELS[interpolation])
    shape = [1] * x.ndim
    shape[axis] = size
    out = np.zeros([size if i == axis else n for i, n in enumerate(x.shape)], np.float32)
    for tap, weight in zip(taps.T, weights.T.astype(np.float32), strict=True):
        out += x.take(tap, axis) * weight.reshape(shape)
    return out


def _taps(known: int, size: int, radius: float, kernel: Kernel) -> tuple[Array, Array]:
    """For each new pixel the old ones it is made of, and their weights, which sum to 1 within the image."""
    centres = (np.arange(size) + 0.5) * (known / size) - 0.5
    first = np.ceil(centres - radius).astype(np.intp)
    taps = first[:, None] + np.arange(math.floor(2 * radius) + 1)
    weights = kernel(np.abs(taps - centres[:, None]))
    weights = np.where((taps >= 0) & (taps < known), weights, 0)
    return np.clip(taps, 0, known - 1), weights / weights.sum(axis=1, keepdims=True)


def _area(known: int, size: int) -> tuple[Array, Array]:
    """For each new pixel the old ones that it covers, and by how much."""
    edges = np.arange(size + 1) * (known / size)
    low, high = edges[:-1, None], edges[1:, None]
    taps = np.floor(low).astype(np.intp) + np.arange(math.ceil(known / size) + 1)
    covered = np.maximum(np.minimum(high, taps + 1) - np.maximum(low, taps), 0)
    return np.clip(taps, 0, known - 1), covered / covered.sum(axis=1, keepdims=True)
