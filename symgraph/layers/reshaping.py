"""Layers that arrange the same elements in another shape or order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.layers.checked import DATA_FORMATS, CheckedLayer
from symgraph.ops.applying import apply
from symgraph.ops.joining import repeat
from symgraph.ops.shape import expand_dims, reshape, shape, transpose

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


class Flatten(CheckedLayer):
    """`(batch, a, b, ...) -> (batch, a * b * ...)`, in row-major order; `(batch,) -> (batch, 1)`.

    With `"channels_first"` the channels go last first, so that the order is that of `"channels_last"`.
    ONNX Reshape where only the batch is open, else Flatten.

    >>> import symgraph as sg
    >>> sg.layers.Flatten().apply(sg.ones((2, 3, 4))).shape
    (2, 12)
    """

    min_ndim = 1

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = self.one_of("data_format", data_format or "channels_last", DATA_FORMATS)

    def call(self, inputs: Operand) -> Operand:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = transpose(inputs, (0, *range(2, inputs.ndim), 1))
        inner = inputs.shape[1:]
        if all(isinstance(d, int) for d in inner):
            elements = math.prod(inner)  # type: ignore[arg-type]
            return reshape(inputs, (_batch(inputs, elements), elements))
        return apply("Flatten", inputs, axis=1)


class Reshape(CheckedLayer):
    """`(batch, ...) -> (batch, *target_shape)` (ONNX Reshape). One entry of `target_shape` may be -1: what is left."""

    min_ndim = 1

    def __init__(self, target_shape: int | Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        sizes = target_shape if isinstance(target_shape, list | tuple) else (target_shape,)
        self.target_shape = tuple(self.whole("an entry of target_shape", d, low=-1) for d in sizes)
        if self.target_shape.count(-1) > 1:
            raise self.error(f"target_shape may have one -1, got {self.target_shape}")

    def call(self, inputs: Operand) -> Operand:
        inner, wanted = inputs.shape[1:], self.target_shape
        if not all(isinstance(d, int) for d in inner):
            return reshape(inputs, (shape(inputs)[0], *wanted))
        have, rest = math.prod(inner), math.prod(d for d in wanted if d != -1)  # type: ignore[arg-type]
        if -1 in wanted and rest and have % rest == 0:
            wanted = tuple(have // rest if d == -1 else d for d in wanted)
        if math.prod(wanted) != have or -1 in wanted:
            raise self.error(f"expects examples that fill target_shape {self.target_shape}, got {inputs.type}, "
                             f"{have} elements an example")
        return reshape(inputs, (_batch(inputs, have), *wanted))


def _batch(x: Operand, elements: int) -> Any:
    """The first size of `x`, or -1 where it is open and can be told from the others."""
    return -1 if elements and not isinstance(x.shape[0], int) else shape(x)[0]


class Permute(CheckedLayer):
    """`y[b, i[dims[0]], i[dims[1]], ...] = x[b, i[1], i[2], ...]`: axes in another order, the batch as axis 0 in place.

    `(batch, a, b, c)` with `dims=(3, 1, 2)` gives `(batch, c, a, b)` (ONNX Transpose).
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(self.whole("an entry of dims", d) for d in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise self.error(f"dims must be the axes from 1 to {len(self.dims)} in some order, got {self.dims}")
        self.ndim = len(self.dims) + 1

    def call(self, inputs: Operand) -> Operand:
        return transpose(inputs, (0, *self.dims))


class RepeatVector(CheckedLayer):
    """`y[b, t] = x[b]` for `t` from 0 to `n - 1`: `(batch, features) -> (batch, n, features)`."""

    ndim = 2

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = self.whole("n", n)

    def call(self, inputs: Operand) -> Operand:
        return repeat(expand_dims(inputs, 1), self.n, axis=1)
