"""Gradients of Fourier transforms: the transpose of a transform is a transform."""

from __future__ import annotations

import numpy as np

from symgraph.core.errors import GradientError
from symgraph.core.gradient import Gradients, expansion_of, gradient_of
from symgraph.core.inference import known_data
from symgraph.core.tensor import Operand
from symgraph.core.types import numpy_dtype
from symgraph.core.value import Tensor
from symgraph.ops.applying import apply
from symgraph.ops.diagonals import counting
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import Size, dimension, ints, minus


@gradient_of("DFT", last=19)
def _dft_17_gradient(dy: Operand, y: Operand, x: Operand, length: Operand | None = None, *, axis: int = 1,
                     inverse: int = 0, onesided: int = 0) -> Gradients:
    return (_adjoint(dy, x, length, axis % x.ndim, inverse=inverse, onesided=onesided), None)[
        :1 if length is None else 2]


@gradient_of("DFT", first=20)
def _dft_20_gradient(dy: Operand, y: Operand, x: Operand, length: Operand | None = None, along: Operand | None = None,
                     *, inverse: int = 0, onesided: int = 0) -> Gradients:
    """The adjoint `conj(DFT(conj dy))`, or `DFT(dy) / N` of the inverse, cut to what `x` had."""
    number = x.ndim - 2 if along is None else _axis(x, along)
    return (_adjoint(dy, x, length, number, inverse=inverse, onesided=onesided), None, None)[
        :3 if along is not None else 2 if length is not None else 1]


@expansion_of("STFT")
def _stft_by_dft(signal: Operand, frame_step: Operand, window: Operand | None = None,
                 frame_length: Operand | None = None, *, onesided: int = 1) -> Operand:
    """`DFT(window · frames)`; frames begin every `frame_step` numbers."""
    if frame_length is not None:
        length = apply("Reshape", frame_length, ints())
    elif window is not None:
        length = _scalar(apply("Shape", window))
    else:
        raise GradientError("STFT: has neither a window nor a frame_length")
    length = cast_to(length, "int64")
    step = cast_to(apply("Reshape", frame_step, ints()), "int64")
    size = _scalar(apply("Shape", signal, start=1, end=2))
    count = apply("Add", apply("Div", apply("Sub", size, length), step), np.int64(1))
    starts = apply("Mul", apply("Range", np.int64(0), count, np.int64(1)), step)
    places = apply("Add", apply("Unsqueeze", starts, ints(1)), apply("Range", np.int64(0), length, np.int64(1)))
    frames = apply("Gather", signal, places, axis=1)
    if window is not None:
        frames = frames * apply("Unsqueeze", window, ints(1))
    return apply("DFT", frames, None, np.int64(2), onesided=onesided)


def _scalar(x: Operand) -> Operand:
    return apply("Squeeze", x, ints(0))


def _axis(x: Operand, along: Operand) -> int:
    data = known_data(along)
    if data is None or not isinstance(data.reshape(-1)[0], int | np.integer):
        raise GradientError("DFT: the axis must be known")
    return int(data.reshape(-1)[0]) % x.ndim


def _adjoint(dy: Operand, x: Operand, length: Operand | None, axis: int, *, inverse: int, onesided: int) -> Operand:
    have = dimension(x, axis)
    if inverse and onesided:
        return _from_real(dy, x, axis)
    number = _operand(have) if length is None else apply("Reshape", length, ints())
    if inverse:
        dx = apply("DFT", dy, None, np.int64(axis)) / cast_to(number, x.dtype)
    else:
        conjugate = Tensor(np.array([1, -1], numpy_dtype(x.dtype)))
        dx = apply("DFT", dy * conjugate, number if onesided else None, np.int64(axis)) * conjugate
    if length is not None:
        dx = apply("Pad", dx, apply("Concat", ints(0), apply("Reshape", minus(have, cast_to(number, "int64")), ints(1)),
                                    axis=0), None, ints(axis))
    if not isinstance(x.shape[-1], int):
        return apply("Slice", dx, ints(0), apply("Shape", x, start=-1), ints(-1))
    return apply("Slice", dx, ints(0), ints(1), ints(-1)) if x.shape[-1] == 1 else dx


def _from_real(dy: Operand, x: Operand, axis: int) -> Operand:
    """Of the real signal whose one-sided transform is `x`: numbers that stand for two count twice."""
    length = dimension(dy, axis)
    dx = apply("DFT", dy, None, np.int64(axis), onesided=1)
    numbers = counting(dimension(dx, axis))
    doubled = apply("Mul", numbers, np.int64(2))
    is_single = apply("Or", apply("Equal", doubled, np.int64(0)), apply("Equal", doubled, _operand(length)))
    factor = apply("Where", is_single, as_operand(1.0, x.dtype), as_operand(2.0, x.dtype))
    factor = factor / cast_to(_operand(length), x.dtype)
    dx = dx * apply("Reshape", factor, ints(-1, *[1] * (x.ndim - 1 - axis)))
    missing = apply("Sub", apply("Shape", x, start=axis, end=axis + 1), apply("Shape", dx, start=axis, end=axis + 1))
    return apply("Pad", dx, apply("Concat", ints(0), missing, axis=0), None, ints(axis))


def _operand(size: Size) -> Operand:
    return as_operand(np.int64(size) if isinstance(size, int) else size)
