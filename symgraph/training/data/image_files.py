"""Images: between NumPy arrays, Pillow's images and files."""

from __future__ import annotations

import io
import os
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symgraph.core.errors import MissingDependencyError, ShapeError, TrainingError, nearest
from symgraph.training.data.columns import Array, dense

MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
GRAYS = ("L", "I;16", "I")
FORMATS = ("channels_last", "channels_first")
METHODS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow(who: str) -> Any:
    """Pillow's module `PIL.Image`.

    Errors: `MissingDependencyError` where it is not installed.
    """
    try:
        return import_module("PIL.Image")
    except ImportError:
        raise MissingDependencyError(f"{who} needs the package Pillow; pip install 'symgraph[images]'") from None


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: npt.DTypeLike | None = None) -> Any:
    """An array `(height, width, channels)` of 1, 3 or 4 channels as a Pillow image.

    With `scale` the least number becomes 0 and the greatest 255; without it numbers are cut to whole ones, and gray
    ones above 255 make a 32-bit image. `data_format="channels_first"` is for `(channels, height, width)`.

    Errors: `ShapeError` for other shapes, `MissingDependencyError` without Pillow.
    """
    image = pillow("array_to_img")
    pixels = dense("x", x).astype(np.float32 if dtype is None else dtype)
    if pixels.ndim != 3:
        raise ShapeError(f"array_to_img takes one image, (height, width, channels), got shape {pixels.shape}")
    if _checked_format(data_format) == "channels_first":
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[2] not in (1, 3, 4):
        raise ShapeError(f"array_to_img takes 1, 3 or 4 channels, got {pixels.shape[2]}: shape {pixels.shape}")
    if scale:
        pixels = pixels - pixels.min()
        greatest = pixels.max()
        pixels = (pixels / greatest if greatest != 0 else pixels) * 255
    if pixels.shape[2] > 1:
        return image.fromarray(np.ascontiguousarray(pixels.astype(np.uint8)))
    gray = pixels[:, :, 0]
    return image.fromarray(gray.astype(np.int32 if gray.max() > 255 else np.uint8))


def img_to_array(img: Any, data_format: str | None = None, dtype: npt.DTypeLike | None = None) -> Array:
    """A Pillow image as an array `(height, width, channels)`, float32 unless `dtype` says otherwise.

    Errors: `ShapeError` for what has not 2 or 3 dimensions.
    """
    pixels = np.asarray(img, np.float32 if dtype is None else dtype)
    if pixels.ndim not in (2, 3):
        raise ShapeError(f"an image has 2 or 3 dimensions, got shape {pixels.shape}")
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    return pixels.transpose(2, 0, 1) if _checked_format(data_format) == "channels_first" else pixels


def load_img(
        path: Any, color_mode: str = "rgb", target_size: tuple[int, int] | None = None, interpolation: str = "nearest",
        keep_aspect_ratio: bool = False) -> Any:
    """The image of a file, or of bytes (`io.BytesIO`), as a Pillow image of `color_mode` "rgb", "rgba" or "grayscale".

    `target_size` is (height, width); `interpolation` one of Pillow's "nearest", "bilinear", "bicubic", "lanczos",
    "box", "hamming". With `keep_aspect_ratio` the largest part in the middle that has the shape of `target_size` is
    used, otherwise the whole image, stretched.

    Errors: `TrainingError` for other modes and interpolations and for files that are not there,
    `MissingDependencyError` without Pillow.
    """
    image = pillow("load_img")
    if color_mode not in MODES:
        raise TrainingError(f"color_mode is one of {', '.join(map(repr, MODES))}, got {color_mode!r}")
    if interpolation not in METHODS:
        raise TrainingError(f"load_img: no interpolation {interpolation!r}; {nearest(str(interpolation), METHODS)}")
    opened = image.open(io.BytesIO(_content(path)))
    is_deep_gray = color_mode == "grayscale" and opened.mode in GRAYS
    if opened.mode != MODES[color_mode] and not is_deep_gray:
        opened = opened.convert(MODES[color_mode])
    if target_size is None or opened.size == (target_size[1], target_size[0]):
        return opened
    height, width = target_size
    box = middle(opened.size[1], opened.size[0], height, width) if keep_aspect_ratio else None
    method = getattr(image.Resampling, interpolation.upper())
    corners = None if box is None else (box[1], box[0], box[1] + box[3], box[0] + box[2])
    return opened.resize((width, height), method, box=corners)


def save_img(
        path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True,
        **options: Any) -> None:
    """Write an array as an image file, of the format that the name or `file_format` says.

    JPEG has no transparency: it is left out, with a warning. `options` go to Pillow's `save`.

    Errors: those of `array_to_img`.
    """
    if file_format is None and isinstance(path, str | os.PathLike):
        file_format = Path(path).suffix[1:]
    kind = (file_format or "").lower().replace("jpg", "jpeg")
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and kind == "jpeg":
        warnings.warn("save_img: JPEG has no transparency, so the fourth channel is left out", stacklevel=2)
        img = img.convert("RGB")
    img.save(path, format=kind or None, **options)


def middle(height: int, width: int, wanted_height: int, wanted_width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest part in the middle that has the shape of the size wanted."""
    rows = max(min(height, width * wanted_height // wanted_width), 1)
    columns = max(min(width, height * wanted_width // wanted_height), 1)
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _content(path: Any) -> bytes:
    if isinstance(path, io.BytesIO):
        return path.getvalue()
    if not isinstance(path, str | bytes | os.PathLike):
        raise TrainingError(f"an image is given by its path or as io.BytesIO, got {type(path).__name__}")
    place = Path(os.fsdecode(path))
    if not place.is_file():
        raise TrainingError(f"there is no file {place}")
    return place.read_bytes()


def _checked_format(data_format: str | None) -> str:
    if data_format not in (None, *FORMATS):
        raise TrainingError(f'data_format is "channels_last" or "channels_first", got {data_format!r}')
    return data_format or "channels_last"
