"""Layers that make one tensor of several, and the functions of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import Shape, TensorType, format_dims
from symgraph.layers.checked import CheckedLayer
from symgraph.ops import arithmetic, joining
from symgraph.ops.comparison import logical_or
from symgraph.ops.creation import ones_like, zeros_like
from symgraph.ops.indexing import choose
from symgraph.ops.linalg import matmul
from symgraph.ops.normalization import normalize
from symgraph.ops.reductions import any as any_of
from symgraph.ops.shape import expand_dims, reshape, shape, transpose
from symgraph.ops.sizes import product

__all__ = [
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "add", "average",
    "concatenate", "dot", "maximum", "minimum", "multiply", "subtract",
]

Inputs = Sequence[Operand]


class MergeLayer(CheckedLayer):
    """A layer of a list of tensors, at least one."""

    count: int | None = None
    supports_masking = True

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, list | tuple) or not all(isinstance(x, Operand) for x in inputs):
            raise self.error(f"expects a list of tensors, got {inputs!r}")
        if not inputs or (self.count is not None and len(inputs) != self.count):
            raise self.error(f"expects {f'exactly {self.count}' if self.count else 'at least 1'} tensors in its list, "
                             f"got {len(inputs)}")
        for x in inputs:
            if not isinstance(x.type, TensorType) or x.type.shape is None:
                raise self.error(f"needs to know the rank of its inputs, got {x.type or 'an unknown type'}")
        self.check_shapes([x.shape for x in inputs])

    def check_shapes(self, shapes: list[Shape]) -> None:
        """Raise `LayerError` naming two shapes that do not go together."""

    def as_masks(self, inputs: Inputs, mask: Any) -> list[Operand | None]:
        """A mask, or None, for each of the inputs.

        Errors: `LayerError` where there are not as many.
        """
        if mask is None:
            return [None] * len(inputs)
        if not isinstance(mask, list | tuple) or len(mask) != len(inputs):
            raise self.error(f"mask must be a list with a mask or None for each of the {len(inputs)} inputs, "
                             f"got {mask!r}")
        return list(mask)


class Elementwise(MergeLayer):
    """One function of two tensors, applied along the list; shapes broadcast as in NumPy.

    A tensor of lower rank gets axes of size 1 behind the batch.
    """

    def combined(self, x1: Operand, x2: Operand) -> Operand:
        """The function of two tensors."""
        raise NotImplementedError

    def check_shapes(self, shapes: list[Shape]) -> None:
        rank = max(len(shape) for shape in shapes)
        wide = [_widened(shape, rank) for shape in shapes]
        for i, later in enumerate(wide):
            for j, earlier in enumerate(wide[:i]):
                if any(isinstance(a, int) and isinstance(b, int) and a != b and 1 not in (a, b)
                       for a, b in zip(earlier, later, strict=True)):
                    raise self.error(f"shapes ({format_dims(shapes[j])}) and ({format_dims(shapes[i])}) "
                                     "do not broadcast together")

    def call(self, inputs: Inputs) -> Operand:
        rank = max(x.ndim for x in inputs)
        return reduce(self.combined, [_expanded(x, rank) for x in inputs])

    def with_masks(self, inputs: Inputs, mask: Any) -> list[tuple[Operand, Operand | None]]:
        """The inputs, with axes of size 1 where they have fewer, and masks that broadcast against them.

        An input that got axes counts as one without a mask, as in Keras.
        """
        rank = max(x.ndim for x in inputs)
        return [(_expanded(x, rank), None if m is None or x.ndim < rank else _expanded_behind(m, rank))
                for x, m in zip(inputs, self.as_masks(inputs, mask), strict=True)]

    def compute_mask(self, inputs: Inputs, previous_mask: Any = None) -> Operand | None:
        """Where the mask of any input is True; None where an input has none."""
        masks = self.as_masks(inputs, previous_mask)
        known = [m for m in masks if m is not None]
        return reduce(logical_or, known) if len(known) == len(masks) else None


def _spread(x: Operand, mask: Operand | None) -> Operand:
    """A mask of every element of `x`."""
    if mask is None:
        return ones_like(x, "bool")
    return mask if mask.ndim >= x.ndim else logical_or(_expanded_behind(mask, x.ndim), zeros_like(x, "bool"))


def _expanded_behind(mask: Operand, rank: int) -> Operand:
    return expand_dims(mask, tuple(range(mask.ndim, rank)))


def _widened(shape: Shape, rank: int) -> Shape:
    return shape if len(shape) == rank else shape[:1] + (1,) * (rank - len(shape)) + shape[1:]


def _expanded(x: Operand, rank: int) -> Operand:
    missing = rank - x.ndim
    first = min(x.ndim, 1)
    return expand_dims(x, tuple(range(first, first + missing))) if missing else x


class Add(Elementwise):
    """`x1 + x2 + ...` of a list of tensors, whose shapes broadcast.

    >>> import symgraph as sg
    >>> sg.layers.Add()([sg.tensor([1.0, 2.0]), sg.tensor([10.0, 20.0])]).tolist()
    [11.0, 22.0]
    """

    def combined(self, x1: Operand, x2: Operand) -> Operand:
        return arithmetic.add(x1, x2)


class Subtract(Elementwise):
    """`x1 - x2` of a list of two tensors, whose shapes broadcast."""

    count = 2

    def combined(self, x1: Operand, x2: Operand) -> Operand:
        return arithmetic.subtract(x1, x2)


class Multiply(Elementwise):
    """`x1 * x2 * ...` of a list of tensors, whose shapes broadcast.

    Steps that a mask leaves out count as 1; where the masks of all inputs leave out a step the product is 0.
    """

    def call(self, inputs: Inputs, mask: Any = None) -> Operand:
        pairs = self.with_masks(inputs, mask)
        known = [m for _, m in pairs if m is not None]
        y = reduce(arithmetic.multiply, [x if m is None else choose(m, x, 1) for x, m in pairs])
        return choose(reduce(logical_or, known), y, 0) if len(known) == len(pairs) else y


class Average(Elementwise):
    """`(x1 + x2 + ... + xn) / n` of a list of tensors, whose shapes broadcast."""

    def combined(self, x1: Operand, x2: Operand) -> Operand:
        return arithmetic.add(x1, x2)

    def call(self, inputs: Inputs) -> Operand:
        return arithmetic.true_divide(super().call(inputs), len(inputs))


class Extreme(Elementwise):
    """The largest or smallest element among several: of those that no mask leaves out, if there are any."""

    def call(self, inputs: Inputs, mask: Any = None) -> Operand:
        (y, known), *rest = self.with_masks(inputs, mask)
        for x, m in rest:
            if m is not None:
                x = choose(m, x, y)
            if known is not None:
                y = choose(known, y, x)
            known = None if known is None or m is None else logical_or(known, m)
            y = self.combined(y, x)
        return y


class Maximum(Extreme):
    """`max(x1, x2, ...)` of each element of a list of tensors, whose shapes broadcast.

    Of steps that a mask leaves out those of the other inputs count.
    """

    def combined(self, x1: Operand, x2: Operand) -> Operand:
        return arithmetic.maximum(x1, x2)


class Minimum(Extreme):
    """`min(x1, x2, ...)` of each element of a list of tensors, whose shapes broadcast.

    Of steps that a mask leaves out those of the other inputs count.
    """

    def combined(self, x1: Operand, x2: Operand) -> Operand:
        return arithmetic.minimum(x1, x2)


class Concatenate(MergeLayer):
    """A list of tensors one after the other along `axis`; the other sizes are equal (ONNX Concat)."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = self.whole("axis", axis, low=-(2**31))

    def check_shapes(self, shapes: list[Shape]) -> None:
        first = shapes[0]
        if not -len(first) <= self.axis < len(first):
            raise self.error(f"axis {self.axis} is out of range for an input of shape ({format_dims(first)})")
        for other in shapes[1:]:
            if len(other) != len(first) or any(
                    isinstance(a, int) and isinstance(b, int) and a != b
                    for i, (a, b) in enumerate(zip(first, other, strict=True)) if i != self.axis % len(first)):
                raise self.error(f"shapes ({format_dims(first)}) and ({format_dims(other)}) may differ along axis "
                                 f"{self.axis} only")

    def call(self, inputs: Inputs) -> Operand:
        return joining.concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs: Inputs, previous_mask: Any = None) -> Operand | None:
        """The masks one after the other, spread over the last axis of their inputs, and True where there is none.

        A step counts where any of its elements does.
        """
        masks = self.as_masks(inputs, previous_mask)
        if all(m is None for m in masks):
            return None
        spread = [_spread(x, m) for x, m in zip(inputs, masks, strict=True)]
        return any_of(joining.concatenate(spread, axis=self.axis), axis=-1)


class Dot(MergeLayer):
    """`y[b, ..., ...] = sum over k of x1[b, ..., k] * x2[b, ..., k]`, for each example of the batch.

    `axes` is the axis of `k`, in both or in each of the two. `(batch, n, k)` and `(batch, m, k)` with `axes=2`
    give `(batch, n, m)`; `(batch, k)` twice gives `(batch, 1)`. With `normalize` the vectors along `k` have
    length 1 first: the cosine of their angle.
    """

    count = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        pair = axes if isinstance(axes, list | tuple) else (axes, axes)
        if len(pair) != 2:
            raise self.error(f"axes must be a whole number or two of them, got {axes!r}")
        self.pair = tuple(self.whole("axes", axis, low=-(2**31)) for axis in pair)
        self.normalize = normalize

    def check_shapes(self, shapes: list[Shape]) -> None:
        sizes = []
        for dims, axis in zip(shapes, self.pair, strict=True):
            if len(dims) < 2 or not -len(dims) <= axis < len(dims) or axis % len(dims) == 0:
                raise self.error(f"axis {axis} is no axis behind the batch of an input of shape ({format_dims(dims)})")
            sizes.append(dims[axis])
        first, second = sizes
        if isinstance(first, int) and isinstance(second, int) and first != second:
            raise self.error(f"shapes ({format_dims(shapes[0])}) and ({format_dims(shapes[1])}) differ along "
                             f"axes {self.pair}: {first} and {second}")

    def call(self, inputs: Inputs) -> Operand:
        axes = [axis % x.ndim for x, axis in zip(inputs, self.pair, strict=True)]
        x1, x2 = (normalize(x, axis) if self.normalize else x for x, axis in zip(inputs, axes, strict=True))
        rows, columns = ([i for i in range(1, x.ndim) if i != axis] for x, axis in zip((x1, x2), axes, strict=True))
        left, right = transpose(x1, (0, *rows, axes[0])), transpose(x2, (0, axes[1], *columns))
        batch, *heights, inner = shape(left)
        if len(rows) != 1:
            left = reshape(left, (batch, product(heights), inner))
        batch, inner, *widths = shape(right)
        if len(columns) != 1:
            right = reshape(right, (batch, inner, product(widths)))
        y = matmul(left, right)
        if len(rows) == len(columns) == 1:
            return y
        return reshape(y, (shape(y)[0], *(heights + widths or [1])))

    def compute_mask(self, inputs: Inputs, previous_mask: Any = None) -> None:
        """None."""


def add(inputs: Inputs, **options: Any) -> Any:
    """`x1 + x2 + ...`: `Add(**options)(inputs)`."""
    return Add(**options)(inputs)


def subtract(inputs: Inputs, **options: Any) -> Any:
    """`x1 - x2`: `Subtract(**options)(inputs)`."""
    return Subtract(**options)(inputs)


def multiply(inputs: Inputs, **options: Any) -> Any:
    """`x1 * x2 * ...`: `Multiply(**options)(inputs)`."""
    return Multiply(**options)(inputs)


def average(inputs: Inputs, **options: Any) -> Any:
    """`(x1 + ... + xn) / n`: `Average(**options)(inputs)`."""
    return Average(**options)(inputs)


def maximum(inputs: Inputs, **options: Any) -> Any:
    """`max(x1, x2, ...)`: `Maximum(**options)(inputs)`."""
    return Maximum(**options)(inputs)


def minimum(inputs: Inputs, **options: Any) -> Any:
    """`min(x1, x2, ...)`: `Minimum(**options)(inputs)`."""
    return Minimum(**options)(inputs)


def concatenate(inputs: Inputs, axis: int = -1, **options: Any) -> Any:
    """The tensors one after the other: `Concatenate(axis, **options)(inputs)`."""
    return Concatenate(axis, **options)(inputs)


def dot(inputs: Inputs, axes: int | Sequence[int], normalize: bool = False, **options: Any) -> Any:
    """The product of two tensors for each example: `Dot(axes, normalize, **options)(inputs)`."""
    return Dot(axes, normalize, **options)(inputs)
