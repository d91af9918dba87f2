"""Resizing, sampling, regions, patches and columns of images."""

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Array, Case, apart, normal


def to_sizes(*sizes: int, **attributes: Any) -> Callable[..., Any]:
    """Resize to a height and width."""
    return lambda x: sg.ops.onnx("Resize", x, None, None, np.array(sizes), axes=(2, 3), **attributes)


def by_scales(*scales: float, **attributes: Any) -> Callable[..., Any]:
    """Resize by factors of all axes."""
    return lambda x: sg.ops.onnx("Resize", x, None, np.array(scales, np.float32), **attributes)


def cropped(x: Any) -> Any:
    roi = sg.cast(np.array([0, 0, 0.2, -0.1, 1, 1, 0.9, 1.2]), x.dtype)
    return sg.ops.onnx("Resize", x, roi, None, np.array([1, 2, 3, 5]), mode="linear", extrapolation_value=7.0,
                       coordinate_transformation_mode="tf_crop_and_resize")


def onnx(name: str, **attributes: Any) -> Callable[..., Any]:
    """An ONNX operator with these attributes."""
    return lambda *xs: sg.ops.onnx(name, *xs, **attributes)


def grid(*shape: int) -> Array:
    """Places away from pixels, some outside."""
    return normal(*shape, seed=5) * 0.8 + 0.013


def align(rois: Any, **attributes: Any) -> Callable[..., Any]:
    """RoiAlign of these regions of the first and the second image."""
    return lambda x: sg.ops.onnx("RoiAlign", x, sg.cast(np.array(rois), x.dtype), np.array([1, 0]),
                                 output_height=2, output_width=2, **attributes)


ROIS = [[0.3, 0.2, 4.1, 3.7], [-0.6, 1.1, 2.4, 6.2]]

COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")

CASES = [
    *(Case(f"Resize {mode} {coordinates}", to_sizes(5, 3, mode=mode, coordinate_transformation_mode=coordinates),
           (normal(1, 2, 3, 4),)) for mode in ("nearest", "linear", "cubic") for coordinates in COORDINATES),
    *(Case(f"Resize {nearest}", to_sizes(5, 3, nearest_mode=nearest), (normal(1, 2, 3, 4),))
      for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
    Case("Resize nearest by whole numbers", by_scales(1, 1, 2, 3), (normal(1, 2, 3, 2),)),
    Case("Resize nearest in one dimension", by_scales(1, 1, 2), (normal(1, 2, 3),)),
    Case("Resize nearest of a matrix", by_scales(1.5, 2), (normal(2, 3),)),
    Case("Resize linear by scales", by_scales(1, 1, 0.6, 1.7, mode="linear"), (normal(1, 2, 5, 3),)),
    Case("Resize linear of a matrix", by_scales(0.7, 1.7, mode="linear"), (normal(5, 3),)),
    Case("Resize linear of a volume", by_scales(1, 1, 2, 0.5, 1.5, mode="linear"), (normal(1, 1, 2, 4, 2),)),
    Case("Resize cubic without what is outside", to_sizes(5, 3, mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
         (normal(1, 1, 4, 4),)),
    *(Case(f"Resize {mode} with antialias", to_sizes(3, 2, mode=mode, antialias=1), (normal(1, 1, 6, 5),))
      for mode in ("linear", "cubic")),
    Case("Resize of a region", cropped, (normal(1, 2, 4, 3),)),
    *(Case(f"Resize {policy}", to_sizes(7, 5, mode="linear", keep_aspect_ratio_policy=policy), (normal(1, 1, 4, 3),))
      for policy in ("not_larger", "not_smaller")),
    Case("Upsample of opset 9", lambda x: apply_op(
        find_op("Upsample", "", 9), x, np.array([1, 1, 2, 3], np.float32)) ** 2.0,
         (normal(1, 1, 2, 2),), float32=False),  # test_images.py runs the kernel of that version
    Case("Resize of opset 11 with empty lists", lambda x: apply_op(
        find_op("Resize", "", 11), x, np.zeros(0, np.float32), np.zeros(0, np.float32), np.array([1, 1, 5, 2]),
        mode="linear"), (normal(1, 1, 3, 4),)),
    *(Case(f"resize {kind}", lambda x, kind=kind: sg.ops.resize(x, (5, 3), kind), (normal(1, 3, 4, 2),))
      for kind in ("bilinear", "nearest", "bicubic")),
    Case("resize with antialias", lambda x: sg.ops.resize(x, (2, 3), antialias=True), (normal(5, 4, 1),)),
    Case("extract_patches", lambda x: sg.ops.extract_patches(x, 2, 1, padding="same"), (normal(1, 3, 3, 2),),
         dynamic=False),
    Case("unfold", lambda x: sg.ops.unfold(x, 2, padding=1), (normal(1, 2, 3, 2),)),
    Case("rgb_to_grayscale", sg.ops.rgb_to_grayscale, (normal(1, 2, 2, 3),)),
    Case("flip_left_right", sg.ops.flip_left_right, (normal(1, 2, 3, 1),)),
    Case("flip_up_down", sg.ops.flip_up_down, (normal(1, 2, 3, 1),)),
    Case("pad_images", lambda x: sg.ops.pad_images(x, 1, 2, 0, 1), (normal(1, 2, 3, 1),)),
    Case("crop_images", lambda x: sg.ops.crop_images(x, 1, 0, 0, 1), (normal(1, 3, 3, 1),)),
    Case("space_to_depth", lambda x: sg.ops.space_to_depth(x, 2), (normal(1, 2, 4, 1),)),
    Case("depth_to_space", lambda x: sg.ops.depth_to_space(x, 2), (normal(1, 1, 2, 4),)),
    *(Case(f"GridSample {mode} {padding}{' aligned' * aligned}", onnx(
        "GridSample", mode=mode, padding_mode=padding, align_corners=aligned), (normal(1, 2, 3, 4), grid(1, 2, 2, 2)),
        order=2 if padding == "zeros" and mode != "cubic" else 1)
      for mode in ("linear", "nearest", "cubic") for padding in ("zeros", "border", "reflection")
      for aligned in (0, 1)),
    Case("GridSample of a volume", onnx("GridSample"), (normal(1, 1, 2, 3, 2), grid(1, 1, 2, 2, 3)), order=1),
    Case("GridSample of opset 16", lambda x, y: apply_op(find_op("GridSample", "", 16), x, y, mode="nearest"),
         (normal(2, 1, 3, 3), grid(2, 1, 3, 2)), order=1),
    Case("RoiAlign", align(ROIS, sampling_ratio=2), (normal(2, 2, 5, 4),), order=1),
    Case("RoiAlign with as many points as pixels", align(ROIS, spatial_scale=0.9), (normal(2, 1, 5, 4),), order=1),
    Case("RoiAlign with whole coordinates", align(
        ROIS, sampling_ratio=1, coordinate_transformation_mode="output_half_pixel"), (normal(2, 1, 5, 4),), order=1),
    Case("RoiAlign of the largest", align(ROIS, sampling_ratio=2, mode="max"), (normal(2, 2, 5, 4),), order=1),
    Case("MaxRoiPool", lambda x: sg.ops.onnx("MaxRoiPool", x, sg.cast(np.array(
        [[0, 0, 0, 3, 3], [1, 1, 1, 4, 2], [1, 0.4, 0, 2.6, 3]]), x.dtype), pooled_shape=(2, 2)),
         (apart(2, 1, 4, 5),), order=1),
    Case("AffineGrid", lambda x: sg.ops.onnx("AffineGrid", x, np.array([2, 1, 2, 3])), (normal(2, 2, 3),)),
    Case("AffineGrid of volumes, aligned", lambda x: sg.ops.onnx("AffineGrid", x, np.array([1, 1, 2, 3, 2]),
                                                                align_corners=1), (normal(1, 3, 4),)),
    Case("Col2Im", lambda x: sg.ops.onnx("Col2Im", x, np.array([4, 5]), np.array([2, 3])), (normal(1, 12, 9),)),
    Case("Col2Im with everything", lambda x: sg.ops.onnx(
        "Col2Im", x, np.array([4, 5]), np.array([2, 2]), pads=(1, 0, 0, 1), strides=(1, 2), dilations=(2, 1)),
         (normal(1, 4, 9),)),
    Case("fold", lambda x: sg.ops.fold(x, (3, 4), 2, padding=1, stride=2), (normal(1, 4, 6),)),
    Case("DeformConv", onnx("DeformConv", pads=(0, 1, 0, 0)),
         (normal(1, 2, 3, 3), normal(2, 2, 2, 2, seed=1), grid(1, 8, 2, 3), normal(2, seed=2),
          normal(1, 4, 2, 3, seed=3)), order=1),
    Case("DeformConv in groups", onnx("DeformConv", group=2, offset_group=2, strides=(2, 1), dilations=(1, 2)),
         (normal(1, 4, 4, 4), normal(2, 2, 2, 2, seed=1), grid(1, 16, 2, 2)), order=1),
]
