"""Images: resizing, cropping, padding, turning over, grey values, blocks and patches. Channels last unless asked.

All take one image (height, width, channels) or a batch of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from symgraph.core.errors import OpError, ShapeError, nearest
from symgraph.core.tensor import Operand
from symgraph.core.types import is_floating
from symgraph.ops import resize_gradient as resize_gradient
from symgraph.ops import sampling_gradient as sampling_gradient
from symgraph.ops.activations import as_float
from symgraph.ops.applying import apply
from symgraph.ops.convolution import conv
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.rearranging import flip, pad
from symgraph.ops.sizes import Size, as_sizes, dimension, ints, minus, vector
from symgraph.ops.spatial import Ints, channels_first, is_channels_last, original_format, per_axis

__all__ = [
    "crop_images", "depth_to_space", "extract_patches", "flip_left_right", "flip_up_down", "pad_images", "resize",
    "rgb_to_grayscale", "space_to_depth",
]

_METHODS: Mapping[str, Mapping[str, object]] = {
    "bilinear": {"mode": "linear"},
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1}}

_GREY = (0.2989, 0.5870, 0.1140)


def resize(images: object, size: object, interpolation: str = "bilinear", antialias: bool = False,
           data_format: str | None = None) -> Operand:
    """Images of another height and width, with pixel centres at halves (ONNX Resize, half_pixel).

    `interpolation` is "bilinear", "nearest" or "bicubic" (with the coefficient -0.5); `antialias` widens the
    filter when shrinking. Whole numbers are computed in float32 and cut off.

    Errors: `OpError` for another interpolation, `ShapeError` for ranks other than 3 and 4.
    """
    if interpolation not in _METHODS:
        raise OpError(f"resize: no interpolation {interpolation!r}; {nearest(str(interpolation), _METHODS)}")
    is_last = is_channels_last("resize", data_format)
    x = original = _batch("resize", images)
    is_exact = interpolation == "nearest"
    sizes = as_sizes(size, "resize")
    if len(sizes) != 2:
        raise ShapeError(f"resize: size is (height, width), got {size!r}")
    x = channels_first(x if is_exact else as_float(x), is_last=is_last)
    attributes: dict[str, object] = dict(_METHODS[interpolation])
    if antialias and not is_exact:
        attributes |= {"antialias": 1, "exclude_outside": 1}
    y = apply("Resize", x, None, None, vector(sizes), axes=(2, 3), coordinate_transformation_mode="half_pixel",
              **attributes)
    return _unbatch(cast_to(original_format(y, is_last=is_last), original.dtype), images)


def space_to_depth(x: object, block_size: int, data_format: str | None = None) -> Operand:
    """Blocks of `block_size` by `block_size` pixels as channels (ONNX SpaceToDepth); block positions come first."""
    return _blocks("space_to_depth", "SpaceToDepth", x, block_size, data_format)


def depth_to_space(x: object, block_size: int, data_format: str | None = None) -> Operand:
    """Channels as blocks of `block_size` by `block_size` pixels: undoes `space_to_depth` (ONNX DepthToSpace)."""
    return _blocks("depth_to_space", "DepthToSpace", x, block_size, data_format)


def _blocks(who: str, op: str, x: object, block_size: int, data_format: str | None) -> Operand:
    (size,) = per_axis(who, "block_size", block_size, 1)
    is_last = is_channels_last(who, data_format)
    y = apply(op, channels_first(_batch(who, x), is_last=is_last), blocksize=size)
    return _unbatch(original_format(y, is_last=is_last), x)


def pad_images(images: object, top_padding: int | None = None, left_padding: int | None = None,
               bottom_padding: int | None = None, right_padding: int | None = None, target_height: Size | None = None,
               target_width: Size | None = None, data_format: str | None = None) -> Operand:
    """Images with zeros around them; of top, bottom and target height two say it all, likewise across.

    Errors: `OpError` where more or fewer than two of three are given.
    """
    x = as_operand(images)
    height, width = _spatial_axes("pad_images", x, data_format)
    widths: list[tuple[Size, Size]] = [(0, 0)] * x.ndim
    widths[height] = _two_of_three("pad_images", x, height, top_padding, bottom_padding, target_height, sign=1)
    widths[width] = _two_of_three("pad_images", x, width, left_padding, right_padding, target_width, sign=1)
    return pad(x, widths)


def crop_images(images: object, top_cropping: int | None = None, left_cropping: int | None = None,
                bottom_cropping: int | None = None, right_cropping: int | None = None,
                target_height: Size | None = None, target_width: Size | None = None, data_format: str | None = None
                ) -> Operand:
    """Images without what is cropped from their edges; of top, bottom and target height two say it all, likewise
    across.

    Errors: `OpError` where more or fewer than two of three are given.
    """
    x = as_operand(images)
    height, width = _spatial_axes("crop_images", x, data_format)
    top, bottom = _two_of_three("crop_images", x, height, top_cropping, bottom_cropping, target_height, sign=-1)
    left, right = _two_of_three("crop_images", x, width, left_cropping, right_cropping, target_width, sign=-1)
    ends = vector([minus(dimension(x, height), bottom), minus(dimension(x, width), right)])
    return apply("Slice", x, vector([top, left]), ends, ints(height, width))


def _two_of_three(who: str, x: Operand, axis: int, before: Size | None, after: Size | None, target: Size | None, *,
                  sign: int) -> tuple[Size, Size]:
    """What to add (sign 1) or to cut (sign -1) before and after an axis."""
    if sum(v is None for v in (before, after, target)) != 1:
        raise OpError(f"{who}: give two of the edge before, the edge after and the target size of axis {axis}, "
                      f"got {before}, {after} and {target}")
    if before is not None and after is not None:
        return before, after
    assert target is not None
    size = dimension(x, axis)
    total = minus(target, size) if sign > 0 else minus(size, target)
    if before is not None:
        return before, minus(total, before)
    assert after is not None
    return minus(total, after), after


def rgb_to_grayscale(images: object, data_format: str | None = None) -> Operand:
    """`0.2989 red + 0.5870 green + 0.1140 blue`, with one channel."""
    x = as_operand(images)
    wide = as_float(x)
    axis = -1 if is_channels_last("rgb_to_grayscale", data_format) else x.ndim - 3
    if x.shape[axis] not in (3, None) and not isinstance(x.shape[axis], str):
        raise ShapeError(f"rgb_to_grayscale: images have 3 channels, got shape {x.shape}")
    weights = np.array(_GREY, np.float32).reshape(3 if axis == -1 else (3, 1, 1))
    scaled = apply("Mul", wide, as_operand(weights, wide.dtype))
    grey = apply("ReduceSum", scaled, ints(axis))
    return grey if is_floating(x.dtype) else cast_to(grey, x.dtype)


def flip_left_right(images: object, data_format: str | None = None) -> Operand:
    """Images with left and right exchanged."""
    x = as_operand(images)
    return flip(x, _spatial_axes("flip_left_right", x, data_format)[1])


def flip_up_down(images: object, data_format: str | None = None) -> Operand:
    """Images with top and bottom exchanged."""
    x = as_operand(images)
    return flip(x, _spatial_axes("flip_up_down", x, data_format)[0])


def extract_patches(images: object, size: Ints, strides: Ints | None = None, dilation_rate: Ints = 1,
                    padding: str = "valid", data_format: str | None = None) -> Operand:
    """Windows of the images, each as one pixel with `height * width * channels` channels.

    `strides` are the size of a patch unless given; `padding` is "valid" or "same".
    """
    x = as_float(_batch("extract_patches", images))
    window = per_axis("extract_patches", "size", size, 2)
    axis = -1 if is_channels_last("extract_patches", data_format) else 1
    channels = x.shape[axis]
    if not isinstance(channels, int):
        raise ShapeError(f"extract_patches: the number of channels must be known, got shape {x.shape}")
    count = window[0] * window[1] * channels
    kernel = np.eye(count, dtype=np.float32).reshape(*window, channels, count)
    y = conv(x, as_operand(kernel, x.dtype), window if strides is None else strides, padding, data_format,
             dilation_rate)
    return _unbatch(y, images)


def _batch(who: str, images: object) -> Operand:
    x = as_operand(images)
    if x.ndim not in (3, 4):
        raise ShapeError(f"{who}: images are (height, width, channels) or a batch of them, got shape {x.shape}")
    return apply("Unsqueeze", x, ints(0)) if x.ndim == 3 else x


def _unbatch(y: Operand, images: object) -> Operand:
    is_single = as_operand(images).ndim == 3
    return apply("Squeeze", y, ints(0)) if is_single else y


def _spatial_axes(who: str, x: Operand, data_format: str | None) -> tuple[int, int]:
    if x.ndim not in (3, 4):
        raise ShapeError(f"{who}: images are (height, width, channels) or a batch of them, got shape {x.shape}")
    first = x.ndim - 3 if is_channels_last(who, data_format) else x.ndim - 2
    return first, first + 1
