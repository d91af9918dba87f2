"""Gradients of convolutions, after measured recipes for ONNX Runtime's kernels.

`Conv`, `ConvInputGrad` and `ConvWeightGrad` are the three gradients of one trilinear form,
`Σ x[n, c, i s + j d - p] w[o, c, j] y[n, o, i]`, so that together they are closed under differentiation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.sizes import (
    Size,
    dimension,
    dimensions,
    ints,
    larger,
    minus,
    of_rank,
    plus,
    product,
    quotient,
    times,
    vector,
)

Numbers = tuple[int, ...]

FEW_CHANNELS = 32
"""Up to so many input channels ConvTranspose is the faster gradient of the input."""

LARGE_OUTPUT = 784
"""From so many outputs a channel on, the gradient of the weights is computed image by image, and summed."""


@dataclass(frozen=True)
class Window:
    """How a convolution moves over its input: the attributes of Conv, with explicit pads."""

    strides: Numbers
    dilations: Numbers
    pads: Numbers
    group: int

    @property
    def rank(self) -> int:
        return len(self.strides)

    def attributes(self) -> dict[str, Any]:
        return {"strides": self.strides, "dilations": self.dilations, "pads": self.pads, "group": self.group}

    def extent(self, axis: int, kernel: int) -> int:
        return (kernel - 1) * self.dilations[axis] + 1

    def padding(self, axis: int) -> int:
        return self.pads[axis] + self.pads[axis + self.rank]


@gradient_of("Conv")
def _conv_gradient(dy: Operand, y: Operand, x: Operand, w: Operand, b: Operand | None = None, *,
                   auto_pad: str = "NOTSET", dilations: Numbers | None = None, group: int = 1,
                   kernel_shape: Numbers | None = None, pads: Numbers | None = None, strides: Numbers | None = None,
                   ) -> Gradients:
    x, rank = of_rank(x, w.ndim), w.ndim - 2
    ones = (1,) * rank
    window = Window(strides or ones, dilations or ones, (0,) * 2 * rank, group)
    amounts = _padding(x, w, window, auto_pad, pads or (0,) * 2 * rank)
    known = tuple(p for p in amounts if isinstance(p, int))
    if len(known) == len(amounts):
        window = Window(window.strides, window.dilations, known, group)
        return lambda: input_gradient(dy, w, x, window), lambda: weight_gradient(x, dy, w, window), *_bias(dy, b)
    padded = _padded(x, amounts)
    return (lambda: _padded(input_gradient(dy, w, padded, window), [minus(0, p) for p in amounts]),
            lambda: weight_gradient(padded, dy, w, window), *_bias(dy, b))


@gradient_of("ConvTranspose")
def _conv_transpose_gradient(
        dy: Operand, y: Operand, x: Operand, w: Operand, b: Operand | None = None, *, auto_pad: str = "NOTSET",
        dilations: Numbers | None = None, group: int = 1, kernel_shape: Numbers | None = None,
        output_padding: Numbers | None = None, output_shape: Numbers | None = None, pads: Numbers | None = None,
        strides: Numbers | None = None) -> Gradients:
    """ConvTranspose is the gradient of a Conv of its output, whose pads say what was cut off (below 0: added)."""
    x, rank = of_rank(x, w.ndim), w.ndim - 2
    ones = (1,) * rank
    window = Window(strides or ones, dilations or ones, (0,) * 2 * rank, group)
    amounts = _cut(x, w, window, auto_pad, pads or (0,) * 2 * rank, output_padding or (0,) * rank, output_shape)
    known = tuple(p for p in amounts if isinstance(p, int))
    if len(known) == len(amounts) and min(known[:rank]) >= 0 and all(
            p > -s for p, s in zip(known[rank:], window.strides, strict=True)):
        window = Window(window.strides, window.dilations, tuple(max(p, 0) for p in known), group)
    else:
        dy_ = _padded(dy, amounts)
        return (lambda: apply("Conv", dy_, w, **window.attributes()), lambda: weight_gradient(dy_, x, w, window),
                *_bias(dy, b))
    return (lambda: apply("Conv", dy, w, **window.attributes()), lambda: weight_gradient(dy, x, w, window),
            *_bias(dy, b))


def _cut(x: Operand, w: Operand, window: Window, auto_pad: str, pads: Numbers, extra: Numbers,
         output_shape: Numbers | None) -> list[Size]:
    """What is cut off before each axis, then after each, of the length `(n - 1) stride + extent`."""
    rank = window.rank
    if not output_shape and auto_pad in ("NOTSET", "VALID"):
        given = pads if auto_pad == "NOTSET" else (0,) * 2 * rank
        return [*given[:rank], *(p - e for p, e in zip(given[rank:], extra, strict=True))]
    surplus: list[Size] = []
    for i, (s, d) in enumerate(zip(window.strides, window.dilations, strict=True)):
        extent = plus(times(minus(dimension(w, i + 2), 1), d), 1)
        surplus.append(minus(extent, s) if not output_shape else minus(
            plus(times(minus(dimension(x, i + 2), 1), s), extent), output_shape[i - rank]))
    halves = _halves([larger(plus(t, e), 0) for t, e in zip(surplus, extra, strict=True)],
                     is_upper=auto_pad == "SAME_UPPER")
    return [*halves[:rank], *(minus(t, p) for t, p in zip(surplus, halves[:rank], strict=True))]


def input_gradient(dy: Operand, w: Operand, x: Operand, window: Window) -> Operand:
    """`ConvInputGrad`: `dx[n, c, i s + j d - p] += w[o, c, j] dy[n, o, i]`, as long as `x`."""
    space, operands = _known_or_shape(x)
    return cast(Operand, apply_composite(
        "ConvInputGrad", _input_gradient, dy, w, *operands, **window.attributes(), space=space,
        kernel=_known(w.shape[2:]), channels=_known(w.shape[:2])))


def weight_gradient(x: Operand, dy: Operand, w: Operand, window: Window) -> Operand:
    """`ConvWeightGrad`: `dw[o, c, j] = Σ x[n, c, i s + j d - p] dy[n, o, i]`, with a kernel as long as that of `w`."""
    kernel, operands = _known_or_shape(w)
    return cast(Operand, apply_composite(
        "ConvWeightGrad", _weight_gradient, x, dy, *operands, **window.attributes(), kernel=kernel,
        shape=_known(x.shape), given=_known(dy.shape)))


@gradient_of("ConvInputGrad", domain=DOMAIN)
def _input_gradient_gradient(dx: Operand, y: Operand, dy: Operand, w: Operand, size: Operand | None = None, *,
                             strides: Numbers, dilations: Numbers, pads: Numbers, group: int,
                             **known: object) -> Gradients:
    window = Window(strides, dilations, pads, group)
    return lambda: apply("Conv", dx, w, **window.attributes()), lambda: weight_gradient(dx, dy, w, window)


@gradient_of("ConvWeightGrad", domain=DOMAIN)
def _weight_gradient_gradient(dw: Operand, y: Operand, x: Operand, dy: Operand, size: Operand | None = None, *,
                              strides: Numbers, dilations: Numbers, pads: Numbers, group: int,
                              **known: object) -> Gradients:
    window = Window(strides, dilations, pads, group)
    return lambda: input_gradient(dy, dw, x, window), lambda: apply("Conv", x, dw, **window.attributes())


def _bias(dy: Operand, b: Operand | None) -> Gradients:
    return () if b is None else (lambda: bias_gradient(dy),)


def bias_gradient(dy: Operand) -> Operand:
    """`ConvBiasGrad`: `db[o] = Σ dy[n, o, i]`."""
    return cast(Operand, apply_composite("ConvBiasGrad", _bias_gradient, dy))


def _bias_gradient(dy: Operand) -> Operand:
    """Over space, then over the batch, which is faster than at once."""
    rows = apply("ReduceSum", dy, ints(*range(2, dy.ndim)), keepdims=0) if dy.ndim > 2 else dy
    return apply("ReduceSum", rows, ints(0), keepdims=0)


def _input_gradient(dy: Operand, w: Operand, size: Operand | None = None, *, strides: Numbers, dilations: Numbers,
                    pads: Numbers, group: int, space: Numbers, kernel: Numbers, channels: Numbers) -> Operand:
    window = Window(strides, dilations, pads, group)
    rank = window.rank
    if size is not None:
        # As long as it could be, then cut: what is missing at the end was never looked at.
        full = apply("ConvTranspose", dy, w, strides=strides, dilations=dilations, group=group,
                     output_padding=tuple(s - 1 for s in strides))
        starts = ints(*pads[:rank])
        return apply("Slice", full, starts, apply("Add", starts, size), ints(*range(2, rank + 2)))
    unseen = tuple((n + window.padding(i) - window.extent(i, k)) % s if k >= 0 else 0
                   for i, (n, k, s) in enumerate(zip(space, kernel, strides, strict=True)))
    if _is_flipped_faster(window, kernel, channels):
        mirrored = tuple(window.extent(i % rank, kernel[i % rank]) - 1 - p for i, p in enumerate(pads))
        return apply("Conv", dy, _mirrored(w, kernel), dilations=dilations, pads=mirrored)
    return apply("ConvTranspose", dy, w, strides=strides, dilations=dilations, pads=pads, group=group,
                 output_padding=unseen if any(unseen) else None)


def _is_flipped_faster(window: Window, kernel: Numbers, channels: Numbers) -> bool:
    if min(kernel) < 0 or set(window.strides) != {1}:
        return False
    rank = window.rank
    if any(p > window.extent(i % rank, kernel[i % rank]) - 1 for i, p in enumerate(window.pads)):
        return False
    return window.group == 1 and (channels[1] > FEW_CHANNELS or set(kernel) == {1})


def _mirrored(w: Operand, kernel: Numbers) -> Operand:
    """The kernel turned round in space, with its inputs and outputs exchanged."""
    axes = [i for i, k in enumerate(kernel, start=2) if k != 1]
    if axes:
        count = len(axes)
        w = apply("Slice", w, ints(*[-1] * count), ints(*[-(2**31)] * count), ints(*axes), ints(*[-1] * count))
    return apply("Transpose", w, perm=(1, 0, *range(2, w.ndim)))


def _weight_gradient(x: Operand, dy: Operand, size: Operand | None = None, *, strides: Numbers, dilations: Numbers,
                     pads: Numbers, group: int, kernel: Numbers, shape: Numbers, given: Numbers) -> Operand:
    window = Window(strides, dilations, pads, group)
    is_point = size is None and set(kernel) == {1} and not any(pads) and group == 1
    if is_point and (set(strides) == {1} or min(given[2:]) > 0):
        return _by_matmul(_looked_at(x, strides, given), dy, kernel)
    if shape[0] <= 0:
        x, dy = _with_an_image(x), _with_an_image(dy)
    if size is not None:
        return _by_transposes(x, dy, size, window)
    is_known = min(*shape[1:], *given[1:]) > 0 and dilations[-1] == 1
    if is_known and shape[0] > 0 and (group > 1 or _area(given) >= LARGE_OUTPUT):
        return _by_images(x, dy, window, kernel, shape, given)
    if is_known and group == 1:
        return _by_one_convolution(x, dy, window, kernel, shape, given)
    return _by_transposes(x, dy, ints(*kernel), window)


def _with_an_image(x: Operand) -> Operand:
    """An image of zeros instead of none: ONNX Runtime's Conv never ends on no channels."""
    missing = larger(minus(1, dimension(x, 0)), 0)
    others = [0] * (x.ndim - 1)
    return apply("Pad", x, vector([0, *others, missing, *others]))


def _area(shape: Numbers) -> int:
    area = 1
    for n in shape[2:]:
        area *= n
    return area


def _looked_at(x: Operand, strides: Numbers, given: Numbers) -> Operand:
    """The points of `x` that a window of one point stands on."""
    if set(strides) == {1}:
        return x
    rank = len(strides)
    ends = [(n - 1) * s + 1 for n, s in zip(given[2:], strides, strict=True)]
    return apply("Slice", x, ints(*[0] * rank), ints(*ends), ints(*range(2, rank + 2)), ints(*strides))


def _by_matmul(x: Operand, dy: Operand, kernel: Numbers) -> Operand:
    """A kernel of one point: `Σ_n dy_n x_nᵀ`."""
    n, made, *space = dimensions(dy)
    area = product(space)
    left = apply("Reshape", dy, vector([n, made, area]), allowzero=1)
    right = apply("Reshape", x, vector([n, dimension(x, 1), area]), allowzero=1)
    product_ = apply("MatMul", left, apply("Transpose", right, perm=(0, 2, 1)))
    return apply("Unsqueeze", apply("ReduceSum", product_, ints(0), keepdims=0), ints(*range(2, 2 + len(kernel))))


def _by_one_convolution(x: Operand, dy: Operand, window: Window, kernel: Numbers, shape: Numbers, given: Numbers,
                        ) -> Operand:
    """Images as channels, output channels as filters of the size of the output, input channels beside each other."""
    taken, made, space = shape[1], given[1], shape[2:]
    rows = _channels_beside(x, (1, -1, *space[:-1], space[-1] * taken), taken)
    filters = apply("Transpose", dy, perm=(1, 0, *range(2, dy.ndim)))
    y = _correlate(rows, filters, window, kernel, space, given[2:], taken, 1)
    last = window.rank + 1
    return apply("Transpose", apply("Reshape", y, ints(made, *kernel, taken)), perm=(0, last, *range(1, last)))


def _by_images(x: Operand, dy: Operand, window: Window, kernel: Numbers, shape: Numbers, given: Numbers) -> Operand:
    """Every image and group by itself, then the sum over the images."""
    count, taken, space = shape[0], shape[1] // window.group, shape[2:]
    made = given[1]
    x = apply("Reshape", x, ints(count * window.group, taken, *space)) if window.group > 1 else x
    rows = _channels_beside(x, (1, count * window.group, *space[:-1], space[-1] * taken), taken)
    filters = apply("Reshape", dy, ints(count * made, 1, *given[2:]))
    y = _correlate(rows, filters, window, kernel, space, given[2:], taken, count * window.group)
    total = apply("ReduceSum", apply("Reshape", y, ints(count, -1)), ints(0), keepdims=0)
    if taken == 1:
        return apply("Reshape", total, ints(made, 1, *kernel))
    last = window.rank + 1
    return apply("Transpose", apply("Reshape", total, ints(made, *kernel, taken)), perm=(0, last, *range(1, last)))


def _channels_beside(x: Operand, shape: Numbers, taken: int) -> Operand:
    """Channels side by side within each point of the last axis."""
    if taken > 1:
        x = apply("Transpose", x, perm=(0, *range(2, x.ndim), 1))
    return apply("Reshape", x, ints(*shape))


def _correlate(rows: Operand, filters: Operand, window: Window, kernel: Numbers, space: Numbers, moves: Numbers,
               taken: int, group: int) -> Operand:
    """The inputs under each point of the kernel, times the gradients of the outputs there."""
    rank = window.rank
    unseen = [n + window.padding(i) - window.extent(i, k) - (m - 1) * s for i, (n, k, s, m) in enumerate(
        zip(space, kernel, window.strides, moves, strict=True))]
    widths = [*[1] * (rank - 1), taken]
    before = [p * width for p, width in zip(window.pads[:rank], widths, strict=True)]
    after = [max(p - u, 0) * width for p, u, width in zip(window.pads[rank:], unseen, widths, strict=True)]
    y = apply("Conv", rows, filters, strides=window.dilations, pads=(*before, *after), group=group,
              dilations=tuple(s * width for s, width in zip(window.strides, widths, strict=True)))
    if all(u <= p for u, p in zip(unseen, window.pads[rank:], strict=True)):
        return y
    ends = [k * width for k, width in zip(kernel, widths, strict=True)]
    return apply("Slice", y, ints(*[0] * rank), ints(*ends), ints(*range(2, rank + 2)))


def _by_transposes(x: Operand, dy: Operand, size: Operand, window: Window) -> Operand:
    """For sizes that are not known: images and channels exchanged, strides and dilations too."""
    if window.group == 1:
        turned = apply("Transpose", x, perm=(1, 0, *range(2, x.ndim)))
    else:
        n, c, *space = dimensions(x)
        taken = quotient(c, window.group)
        split = apply("Reshape", x, vector([n, window.group, taken, *space]), allowzero=1)
        split = apply("Transpose", split, perm=(2, 1, 0, *range(3, x.ndim + 1)))
        turned = apply("Reshape", split, vector([taken, times(n, window.group), *space]), allowzero=1)
    filters = apply("Transpose", dy, perm=(1, 0, *range(2, dy.ndim)))
    y = apply("Conv", turned, filters, strides=window.dilations, dilations=window.strides, pads=window.pads,
              group=window.group)
    rank = window.rank
    y = apply("Slice", y, ints(*[0] * rank), size, ints(*range(2, rank + 2)))
    return apply("Transpose", y, perm=(1, 0, *range(2, rank + 2)))


def _known(dims: Sequence[object]) -> Numbers:
    """Dimensions with -1 for those that are not known."""
    return tuple(d if isinstance(d, int) else -1 for d in dims)


def _known_or_shape(x: Operand) -> tuple[Numbers, list[Operand]]:
    """The spatial sizes where all are known; else they are an operand."""
    space = _known(x.shape[2:])
    return space, [apply("Shape", x, start=2)] if min(space, default=0) < 0 else []


def _padding(x: Operand, w: Operand, window: Window, auto_pad: str, pads: Numbers) -> Sequence[Size]:
    """Zeros before each axis, then after each."""
    if auto_pad == "NOTSET":
        return pads
    if auto_pad == "VALID":
        return (0,) * 2 * window.rank
    totals: list[Size] = []
    for i, (s, d) in enumerate(zip(window.strides, window.dilations, strict=True)):
        extent = plus(times(minus(dimension(w, i + 2), 1), d), 1)
        n = dimension(x, i + 2) if s > 1 else 1
        moves = times(minus(quotient(plus(n, s - 1), s), 1), s)
        totals.append(larger(minus(plus(moves, extent), n), 0))
    return _halves(totals, is_upper=auto_pad == "SAME_UPPER")


def _halves(totals: Sequence[Size], *, is_upper: bool) -> list[Size]:
    """What is before each axis, then what is after; the larger half is after for `is_upper`."""
    smaller = [quotient(t, 2) for t in totals]
    other = [minus(t, h) for t, h in zip(totals, smaller, strict=True)]
    return [*smaller, *other] if is_upper else [*other, *smaller]


def _padded(x: Operand, amounts: Sequence[Size]) -> Operand:
    """Zeros around the spatial axes; below 0 is cut off."""
    rank = x.ndim - 2
    return apply("Pad", x, vector([0, 0, *amounts[:rank], 0, 0, *amounts[rank:]]))
