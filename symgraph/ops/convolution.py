"""Convolutions, with Keras's arguments and layouts: kernels are (space, in, out), channels last unless asked."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph.core.errors import OpError, ShapeError, nearest
from symgraph.core.tensor import Operand
from symgraph.ops import convolution_gradient as convolution_gradient
from symgraph.ops.applying import apply
from symgraph.ops.promotion import promote
from symgraph.ops.sizes import vector
from symgraph.ops.spatial import (
    Ints,
    channels_first,
    is_channels_last,
    kernel_first,
    original_format,
    padded_same,
    per_axis,
    same_padding,
    spatial_rank,
)

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]


def conv(inputs: object, kernel: object, strides: Ints = 1, padding: str = "valid", data_format: str | None = None,
         dilation_rate: Ints = 1) -> Operand:
    """`y[b, i, o] = sum over j, c of x[b, i strides + j dilation_rate, c] kernel[j, c, o]` (ONNX Conv).

    `inputs` are (batch, space, channels) with 1 to 3 spatial axes, or (batch, channels, space) with
    `data_format="channels_first"`; `kernel` is (space, in, out). Where the inputs have g times as many channels
    as `kernel` takes, they are convolved in g groups. `padding` is "valid" (none), "same" (zeros, so that the
    output is `ceil(size / stride)` long) or, for one spatial axis, "causal" (zeros before).

    Errors: `OpError` and `ShapeError` where the arguments do not fit.

    >>> import symgraph as sg
    >>> sg.ops.conv(sg.tensor([[[1.0], [2.0], [3.0]]]), sg.tensor([[[1.0]], [[10.0]]])).tolist()
    [[[21.0], [32.0]]]
    """
    x, w = promote(inputs, kernel)
    rank = spatial_rank("conv", x)
    _check_kernel("conv", w, rank)
    is_last = is_channels_last("conv", data_format)
    y = _convolve("conv", channels_first(x, is_last=is_last), kernel_first(w), _groups("conv", x, w, is_last), strides,
                  padding, dilation_rate)
    return original_format(y, is_last=is_last)


def depthwise_conv(inputs: object, kernel: object, strides: Ints = 1, padding: str = "valid",
                   data_format: str | None = None, dilation_rate: Ints = 1) -> Operand:
    """Each channel convolved by itself: `y[b, i, c m + k] = sum over j of x[b, i s + j, c] kernel[j, c, k]`.

    `kernel` is (space, channels, m). The other arguments are those of `conv` (ONNX Conv with groups).
    """
    x, w = promote(inputs, kernel)
    rank = spatial_rank("depthwise_conv", x)
    _check_kernel("depthwise_conv", w, rank)
    is_last = is_channels_last("depthwise_conv", data_format)
    channels, given = w.shape[-2], x.shape[-1 if is_last else 1]
    if not isinstance(channels, int):
        raise ShapeError(f"depthwise_conv: the kernel's number of channels must be known, got shape {w.shape}")
    if isinstance(given, int) and given != channels:
        raise ShapeError(f"depthwise_conv: the kernel of shape {w.shape} is for {channels} channels, "
                         f"the inputs of shape {x.shape} have {given}")
    turned = apply("Transpose", w, perm=(rank, rank + 1, *range(rank)))
    space = [d if isinstance(d, int) else 0 for d in w.shape[:-2]]
    if 0 in space:
        raise ShapeError(f"depthwise_conv: the kernel's window must be known, got shape {w.shape}")
    flat = apply("Reshape", turned, vector([-1, 1, *space]))
    y = _convolve("depthwise_conv", channels_first(x, is_last=is_last), flat, channels, strides, padding, dilation_rate)
    return original_format(y, is_last=is_last)


def separable_conv(inputs: object, depthwise_kernel: object, pointwise_kernel: object, strides: Ints = 1,
                   padding: str = "valid", data_format: str | None = None, dilation_rate: Ints = 1) -> Operand:
    """`conv(depthwise_conv(inputs, depthwise_kernel), pointwise_kernel)`; the second has a window of size 1."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, data_format=data_format)


def conv_transpose(inputs: object, kernel: object, strides: Ints = 1, padding: str = "valid",
                   output_padding: int | Sequence[int | None] | None = None, data_format: str | None = None,
                   dilation_rate: Ints = 1) -> Operand:
    """The transpose of `conv`: `y[b, i s + j d, o]` gathers `x[b, i, c] kernel[j, o, c]` (ONNX ConvTranspose).

    `kernel` is (space, out, in). Without `output_padding` the output is `size * stride` long for padding "same"
    and `(size - 1) * stride + max(window, stride)` for "valid"; with it,
    `(size - 1) * stride + window % 2 + output_padding`, or `(size - 1) * stride + window + output_padding`.

    >>> import symgraph as sg
    >>> sg.ops.conv_transpose(sg.tensor([[[1.0], [2.0]]]), sg.tensor([[[1.0]], [[10.0]]]), strides=2).tolist()
    [[[1.0], [10.0], [2.0], [20.0]]]
    """
    who = "conv_transpose"
    x, w = promote(inputs, kernel)
    rank = spatial_rank(who, x)
    _check_kernel(who, w, rank)
    is_last = is_channels_last(who, data_format)
    given = x.shape[-1 if is_last else 1]
    if isinstance(given, int) and isinstance(w.shape[-1], int) and given != w.shape[-1]:
        raise ShapeError(f"{who}: the kernel of shape {w.shape} takes {w.shape[-1]} channels, "
                         f"the inputs of shape {x.shape} have {given}")
    strides_, dilations = per_axis(who, "strides", strides, rank), per_axis(who, "dilation_rate", dilation_rate, rank)
    wanted = (output_padding,) * rank if isinstance(output_padding, int | None) else tuple(output_padding)
    if len(wanted) != rank or any(p is not None and p < 0 for p in wanted):
        raise OpError(f"{who}: output_padding is a whole number from 0, None, or {rank} of them, "
                      f"got {output_padding!r}")
    _check_padding(who, padding, ("valid", "same"))
    begins, ends, extras = [], [], []
    for k, s, d, p in zip(w.shape[:-2], strides_, dilations, wanted, strict=True):
        if not isinstance(k, int):
            raise ShapeError(f"{who}: the kernel's window must be known, got shape {w.shape}")
        begin, end = _transposed_padding((k - 1) * d + 1, s, padding, p)
        begins.append(begin)
        ends.append(max(end, 0))
        extras.append(max(-end, 0))
    y = apply("ConvTranspose", channels_first(x, is_last=is_last), kernel_first(w), strides=strides_,
              dilations=dilations, pads=(*begins, *ends), output_padding=tuple(extras) if any(extras) else None)
    return original_format(y, is_last=is_last)


def _transposed_padding(extent: int, stride: int, padding: str, output_padding: int | None) -> tuple[int, int]:
    """How much of the full output `(n - 1) stride + extent` is cut off before and after; below 0 is added."""
    if padding == "valid":
        extra = max(stride - extent, 0) if output_padding is None else output_padding
        return 0, -extra
    cut = extent - stride if output_padding is None else extent - extent % 2 - output_padding
    before = max(cut // 2, 0)
    return before, cut - before


def _convolve(who: str, x: Operand, w: Operand, groups: int, strides: Ints, padding: str, dilation_rate: Ints
              ) -> Operand:
    """ONNX Conv on operands in its layout, with Keras's padding."""
    rank = x.ndim - 2
    steps, dilations = per_axis(who, "strides", strides, rank), per_axis(who, "dilation_rate", dilation_rate, rank)
    _check_padding(who, padding, ("valid", "same", "causal"))
    window, pads, automatic = w.shape[2:], None, None
    if padding == "causal":
        if rank != 1 or not isinstance(window[0], int):
            raise OpError(f"{who}: padding 'causal' is for one spatial axis and a known window, got shape {x.shape}")
        pads = [(window[0] - 1) * dilations[0], 0]
    elif padding == "same":
        pads = same_padding(who, x.shape[2:], window, steps, dilations)
        if pads is None:
            known = [k for k in window if isinstance(k, int)]
            if any(d > 1 or k < s for k, s, d in zip(known, steps, dilations, strict=True)):
                x = padded_same(x, known, steps, dilations)
            else:
                automatic = "SAME_UPPER"
    return apply("Conv", x, w, strides=steps, dilations=dilations, group=groups, pads=pads, auto_pad=automatic)


def _groups(who: str, x: Operand, w: Operand, is_last: bool) -> int:
    channels, taken, made = x.shape[-1 if is_last else 1], w.shape[-2], w.shape[-1]
    if not (isinstance(channels, int) and isinstance(taken, int) and taken):
        return 1
    groups = channels // taken
    if channels % taken or groups == 0 or (isinstance(made, int) and made % groups):
        raise ShapeError(f"{who}: the kernel of shape {w.shape} takes {taken} channels, "
                         f"the inputs of shape {x.shape} have {channels}")
    return groups


def _check_kernel(who: str, w: Operand, rank: int) -> None:
    if w.ndim != rank + 2:
        raise ShapeError(f"{who}: inputs with {rank} spatial axes need a kernel of rank {rank + 2}, "
                         f"got shape {w.shape}")


def _check_padding(who: str, padding: str, known: tuple[str, ...]) -> None:
    if padding not in known:
        raise OpError(f"{who}: no padding {padding!r}; {nearest(str(padding), known)}")
