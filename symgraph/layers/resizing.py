"""Layers that cut, pad and enlarge sequences, images and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.layers.checked import SpatialLayer
from symgraph.ops.applying import apply
from symgraph.ops.rearranging import pad
from symgraph.ops.shape import transpose
from symgraph.ops.sizes import INT64_MAX, ints

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D",
    "ZeroPadding2D", "ZeroPadding3D",
]

Widths = int | Sequence[int] | Sequence[Sequence[int]]


class BorderLayer(SpatialLayer):
    """A layer with two widths, before and after, for each axis of space."""

    def widths(self, name: str, value: Any) -> tuple[tuple[int, int], ...]:
        """Pairs for every axis, of a number, one number an axis, or pairs. For sequences: a number or one pair."""
        if self.rank == 1 and isinstance(value, list | tuple) and len(value) == 2:
            value = (tuple(value),)
        values = value if isinstance(value, list | tuple) else (value,) * self.rank
        if len(values) != self.rank:
            raise self.error(f"{name} must be a whole number, or {self.rank} of them or of pairs (before, after), "
                             f"got {value!r}")
        return tuple(self.wholes(name, v, 2, low=0) for v in values)  # type: ignore[misc]


class Cropping(BorderLayer):
    """`x` without `cropping` elements at the borders (ONNX Slice)."""

    def __init__(self, cropping: Widths = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.cropping = self.widths("cropping", cropping)

    def call(self, inputs: Operand) -> Operand:
        for axis, (before, after) in zip(self.spatial_axes, self.cropping, strict=True):
            size = inputs.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise self.error(f"cropping {self.cropping} leaves nothing of axis {axis} of {inputs.type}")
        starts = ints(*(before for before, _ in self.cropping))
        ends = ints(*(-after if after else INT64_MAX for _, after in self.cropping))
        return apply("Slice", inputs, starts, ends, ints(*self.spatial_axes))


class Cropping1D(Cropping):
    """`x[:, before:steps - after]`: `(batch, steps, channels)`, `cropping` a number or `(before, after)`."""

    rank = 1

    def __init__(self, cropping: Widths = (1, 1), **options: Any) -> None:
        super().__init__(cropping, **options)


class Cropping2D(Cropping):
    """`x[:, top:height - bottom, left:width - right]`: `(batch, height, width, channels)`.

    `cropping` is a number, `(vertical, horizontal)`, or `((top, bottom), (left, right))`.
    """

    rank = 2

    def __init__(self, cropping: Widths = ((0, 0), (0, 0)), data_format: str | None = None, **options: Any) -> None:
        super().__init__(cropping, data_format, **options)


class Cropping3D(Cropping):
    """`x` without the borders of each axis of space: `(batch, depth, height, width, channels)`.

    `cropping` is a number, three of them, or three pairs `(before, after)`.
    """

    rank = 3


class ZeroPadding(BorderLayer):
    """`x` with `padding` zeros at the borders (ONNX Pad)."""

    def __init__(self, padding: Widths = 1, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.padding = self.widths("padding", padding)

    def call(self, inputs: Operand) -> Operand:
        pairs = dict(zip(self.spatial_axes, self.padding, strict=True))
        return pad(inputs, [pairs.get(axis, (0, 0)) for axis in range(inputs.ndim)])


class ZeroPadding1D(ZeroPadding):
    """Zeros before and after: `(batch, steps, channels) -> (batch, before + steps + after, channels)`.

    `padding` is a number or `(before, after)`.
    """

    rank = 1


class ZeroPadding2D(ZeroPadding):
    """Zeros around images: `(batch, height, width, channels)` gets `top + height + bottom` and `left + width + right`.

    `padding` is a number, `(vertical, horizontal)`, or `((top, bottom), (left, right))`.
    """

    rank = 2


class ZeroPadding3D(ZeroPadding):
    """Zeros around volumes `(batch, depth, height, width, channels)`.

    `padding` is a number, three of them, or three pairs `(before, after)`.
    """

    rank = 3


class UpSampling(SpatialLayer):
    """`x` enlarged `size` times along each axis of space (ONNX Resize)."""

    modes: tuple[str, ...] = ("nearest",)

    def __init__(self, size: int | Sequence[int] = 2, data_format: str | None = None, interpolation: str = "nearest",
                 **options: Any) -> None:
        super().__init__(data_format, **options)
        self.size = self.wholes("size", size, self.rank)
        self.interpolation = self.one_of("interpolation", interpolation, self.modes)

    def call(self, inputs: Operand) -> Operand:
        if self.data_format == "channels_last":
            inputs = transpose(inputs, (0, inputs.ndim - 1, *range(1, inputs.ndim - 1)))
        scales = np.array([1, 1, *self.size], np.float32)
        if self.interpolation == "nearest":
            y = apply("Resize", inputs, None, scales, mode="nearest", nearest_mode="floor",
                      coordinate_transformation_mode="asymmetric")
        elif self.interpolation == "bilinear":
            y = apply("Resize", inputs, None, scales, mode="linear")
        else:
            y = apply("Resize", inputs, None, scales, mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1)
        return transpose(y, (0, *range(2, y.ndim), 1)) if self.data_format == "channels_last" else y


class UpSampling1D(UpSampling):
    """`y[t] = x[t // size]`: `(batch, steps, channels) -> (batch, steps * size, channels)`."""

    rank = 1

    def __init__(self, size: int = 2, **options: Any) -> None:
        super().__init__(size, **options)


class UpSampling2D(UpSampling):
    """`y[i, j] = x[i // a, j // b]` with `size=(a, b)`, for images `(batch, height, width, channels)`.

    `interpolation` may be `"nearest"`, `"bilinear"` or `"bicubic"`; the last two place pixels at their centres.
    """

    rank = 2
    modes = ("nearest", "bilinear", "bicubic")


class UpSampling3D(UpSampling):
    """`y[i, j, k] = x[i // size, ...]`, for `(batch, depth, height, width, channels)`."""

    rank = 3

    def __init__(self, size: int | Sequence[int] = 2, data_format: str | None = None, **options: Any) -> None:
        super().__init__(size, data_format, **options)
