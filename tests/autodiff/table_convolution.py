"""Convolutions of every rank, stride, dilation, group and padding, through ONNX's operators and our functions."""

from collections.abc import Callable
from typing import Any

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, normal


def conv(**attributes: Any) -> Callable[..., Any]:
    """ONNX Conv with these attributes."""
    return lambda *xs: sg.ops.onnx("Conv", *xs, **attributes)


def transposed(**attributes: Any) -> Callable[..., Any]:
    """ONNX ConvTranspose with these attributes."""
    return lambda *xs: sg.ops.onnx("ConvTranspose", *xs, **attributes)




CASES = [
    Case("Conv 1-D", conv(), (normal(2, 2, 5), normal(3, 2, 2, seed=1), normal(3, seed=2)), order=3),
    Case("Conv 2-D", conv(), (normal(2, 2, 4, 3), normal(3, 2, 2, 2, seed=1), normal(3, seed=2))),
    Case("Conv 3-D", conv(pads=(1, 0, 0, 0, 1, 0)), (normal(1, 2, 2, 3, 2), normal(2, 2, 2, 1, 2, seed=1))),
    Case("Conv with strides and pads", conv(strides=(2, 1), pads=(1, 0, 0, 1)),
         (normal(2, 2, 5, 3), normal(2, 2, 3, 2, seed=1))),
    Case("Conv that leaves some of its input out", conv(strides=(3, 2)),
         (normal(1, 1, 6, 6), normal(2, 1, 2, 2, seed=1))),
    Case("Conv that leaves less out than it pads", conv(strides=(3, 2), pads=(1, 0, 1, 2)),
         (normal(1, 2, 6, 5), normal(2, 2, 2, 2, seed=1))),
    Case("Conv with dilation", conv(dilations=(2, 1), pads=(1, 1, 1, 1)),
         (normal(1, 2, 5, 3), normal(2, 2, 2, 2, seed=1))),
    Case("Conv with dilation of the last axis", conv(dilations=(1, 2), strides=(2, 1)),
         (normal(1, 2, 4, 5), normal(2, 2, 2, 2, seed=1))),
    Case("Conv in groups", conv(group=2, pads=(1, 1, 1, 1), strides=(2, 2)),
         (normal(2, 4, 3, 4), normal(4, 2, 2, 2, seed=1), normal(4, seed=2))),
    Case("Conv of each channel", conv(group=3, pads=(1, 1, 1, 1)), (normal(1, 3, 3, 3), normal(3, 1, 3, 3, seed=1))),
    Case("Conv of each channel into two", conv(group=2, strides=(2, 1)),
         (normal(2, 2, 4, 3), normal(4, 1, 2, 2, seed=1))),
    Case("Conv of single points", conv(), (normal(2, 3, 2, 2), normal(2, 3, 1, 1, seed=1), normal(2, seed=2)), order=3),
    Case("Conv of single points with strides", conv(strides=(2, 2)), (normal(2, 2, 3, 4), normal(2, 2, 1, 1, seed=1))),
    Case("Conv with more padding than kernel", conv(pads=(3, 2, 2, 3)),
         (normal(1, 1, 2, 3), normal(1, 1, 2, 2, seed=1))),
    *(Case(f"Conv {name} with stride {stride}", conv(auto_pad=name, strides=(stride, stride), kernel_shape=(3, 2)),
           (normal(1, 2, 5, 4), normal(2, 2, 3, 2, seed=1)))
      for name in ("VALID", "SAME_UPPER", "SAME_LOWER") for stride in (1, 2)),
    Case("Conv of opset 7", lambda *xs: apply_op(find_op("Conv", "", 7), *xs, pads=(1, 0, 0, 1), strides=(2, 1)),
         (normal(1, 2, 4, 3), normal(2, 2, 2, 2, seed=1), normal(2, seed=2))),
    Case("Conv of no images", conv(pads=(1, 1, 1, 1)), (normal(0, 2, 4, 3), normal(3, 2, 2, 2, seed=1))),
    Case("Conv with many channels", conv(pads=(1, 1, 1, 1)),
         (normal(1, 33, 2, 2), normal(1, 33, 3, 3, seed=1)), order=1),
    Case("ConvTranspose 1-D", transposed(strides=(2,)), (normal(2, 2, 3), normal(2, 3, 2, seed=1), normal(3, seed=2)),
         order=3),
    Case("ConvTranspose 2-D", transposed(pads=(1, 0, 0, 1)),
         (normal(2, 2, 3, 2), normal(2, 2, 2, 3, seed=1), normal(2, seed=2))),
    Case("ConvTranspose 3-D", transposed(strides=(1, 2, 1)), (normal(1, 1, 2, 2, 2), normal(1, 2, 1, 2, 2, seed=1))),
    Case("ConvTranspose with output_padding", transposed(strides=(3, 2), output_padding=(2, 1), pads=(1, 0, 0, 1)),
         (normal(1, 2, 2, 3), normal(2, 2, 3, 2, seed=1))),
    Case("ConvTranspose with more output_padding than pads", transposed(
        strides=(1, 1), dilations=(3, 2), output_padding=(2, 1), pads=(0, 1, 1, 0)),
         (normal(1, 1, 2, 3), normal(1, 1, 2, 2, seed=1)), float32=False),  # which ONNX Runtime's kernel refuses
    Case("ConvTranspose with dilation", transposed(strides=(2, 1), dilations=(1, 2)),
         (normal(1, 2, 2, 3), normal(2, 1, 3, 2, seed=1))),
    Case("ConvTranspose in groups", transposed(group=2, strides=(2, 2), pads=(1, 1, 0, 0)),
         (normal(2, 4, 2, 2), normal(4, 1, 3, 2, seed=1), normal(2, seed=2))),
    *(Case(f"ConvTranspose {name} with stride {stride}", transposed(auto_pad=name, strides=(stride, stride)),
           (normal(1, 2, 3, 2), normal(2, 1, 3, 2, seed=1)))
      for name in ("VALID", "SAME_UPPER", "SAME_LOWER") for stride in (1, 2)),
    Case("ConvTranspose to a shape", transposed(strides=(2, 2), output_shape=(6, 4)),
         (normal(1, 2, 3, 2), normal(2, 1, 3, 3, seed=1))),
    Case("ConvTranspose to a shape, SAME_UPPER", transposed(strides=(2, 2), output_shape=(6, 4), auto_pad="SAME_UPPER"),
         (normal(1, 2, 3, 2), normal(2, 1, 3, 3, seed=1))),
    *(Case(f"conv {padding}", lambda x, w, padding=padding: sg.ops.conv(x, w, 2, padding),
           (normal(1, 5, 4, 2), normal(3, 2, 2, 2, seed=1)), dynamic=padding == "valid")
      for padding in ("valid", "same")),
    Case("conv causal", lambda x, w: sg.ops.conv(x, w, padding="causal", dilation_rate=2),
         (normal(1, 5, 2), normal(2, 2, 3, seed=1)), dynamic=False),
    Case("depthwise_conv", lambda x, w: sg.ops.depthwise_conv(x, w, padding="same"),
         (normal(1, 3, 4, 2), normal(2, 2, 2, 2, seed=1)), dynamic=False),
    Case("separable_conv", sg.ops.separable_conv,
         (normal(1, 3, 3, 2), normal(2, 2, 2, 1, seed=1), normal(1, 1, 2, 3, seed=2)), dynamic=False),
    *(Case(f"conv_transpose {padding}", lambda x, w, padding=padding: sg.ops.conv_transpose(x, w, 2, padding),
           (normal(1, 2, 3, 2), normal(3, 2, 1, 2, seed=1)), dynamic=False) for padding in ("valid", "same")),
]
