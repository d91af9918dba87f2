"""Convolutions, pools, sampling and spectra."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import apart, normal
from tests.autodiff.peers.libraries import F, jax, jnp, torch
from tests.autodiff.peers.peer import USUAL, row

onnx = sg.ops.onnx


def spread(values):
    """ONNX's pads of both ends of each axis."""
    return tuple(values) * 2


def conv(title, x, w, strides, pads, dilations, group=1):
    """Conv with a bias beside torch.nn.functional.conv1d, conv2d or conv3d."""
    rank = len(strides)
    return row(f"Conv {title}", lambda x, w, b: onnx(
        "Conv", x, w, b, strides=strides, pads=spread(pads), dilations=dilations, group=group),
        f"torch.nn.functional.conv{rank}d", normal(*x), normal(*w), normal(w[0]),
        theirs=lambda x, w, b: getattr(F, f"conv{rank}d")(x, w, b, strides, pads, dilations, group))


def transposed(title, x, w, strides, pads, dilations, more, group=1):
    """ConvTranspose with a bias beside torch.nn.functional.conv_transpose1d, 2d or 3d."""
    rank = len(strides)
    return row(f"ConvTranspose {title}", lambda x, w, b: onnx(
        "ConvTranspose", x, w, b, strides=strides, pads=spread(pads), dilations=dilations, output_padding=more,
        group=group),
        f"torch.nn.functional.conv_transpose{rank}d", normal(*x), normal(*w), normal(w[1] * group),
        theirs=lambda x, w, b: getattr(F, f"conv_transpose{rank}d")(x, w, b, strides, pads, more, group, dilations),
        asks=("vjp", "jvp") if any(more) else USUAL)  # PyTorch has no second derivative of output paddings


def channels_last(title, x, w, padding="VALID", strides=(1, 1), dilation=(1, 1), groups=1):
    """`conv` beside lax.conv_general_dilated."""
    return row(f"conv {title}", lambda x, w: sg.conv(x, w, strides, padding.lower(), dilation_rate=dilation),
               "jax.lax.conv_general_dilated", normal(*x), normal(*w),
               theirs=lambda x, w: jax.lax.conv_general_dilated(
                   x, w, strides, padding, rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC"),
                   feature_group_count=groups))


def pool(op, title, x, call, **attributes):
    """A pool of ONNX, at numbers without ties, beside a call of PyTorch."""
    name, function = call
    return row(f"{op} {title}", lambda x: onnx(op, x, **attributes), f"torch.nn.functional.{name}", apart(*x),
               theirs=function)


CONVOLUTIONS = [
    conv("1-D", (2, 2, 5), (3, 2, 2), (1,), (0,), (1,)),
    conv("1-D, strided and dilated", (1, 2, 8), (2, 2, 2), (2,), (1,), (3,)),
    conv("2-D", (1, 2, 4, 4), (2, 2, 3, 2), (1, 1), (1, 0), (1, 1)),
    conv("2-D, strided, what is left over unused", (1, 1, 6, 5), (2, 1, 3, 2), (2, 2), (0, 1), (1, 1)),
    conv("2-D, dilated", (1, 1, 5, 6), (1, 1, 2, 2), (1, 2), (1, 1), (2, 3)),
    conv("2-D, in groups", (1, 4, 3, 3), (4, 2, 2, 2), (1, 1), (1, 1), (1, 1), 2),
    conv("2-D, of each channel", (1, 3, 3, 3), (6, 1, 2, 2), (1, 1), (0, 0), (1, 1), 3),
    conv("3-D", (1, 1, 3, 3, 3), (1, 1, 2, 2, 2), (1, 2, 1), (0, 1, 0), (2, 1, 1)),
    transposed("1-D", (1, 2, 3), (2, 2, 3), (2,), (1,), (1,), (1,)),
    transposed("2-D", (1, 2, 3, 2), (2, 1, 2, 3), (2, 1), (0, 1), (1, 1), (0, 0)),
    transposed("2-D, dilated", (1, 1, 3, 2), (1, 2, 2, 2), (2, 3), (1, 0), (3, 2), (1, 2)),
    transposed("2-D, in groups", (1, 4, 2, 2), (4, 1, 2, 2), (1, 2), (0, 0), (1, 1), (0, 1), 2),
    transposed("3-D", (1, 1, 2, 2, 2), (1, 1, 2, 1, 2), (2, 1, 1), (0, 0, 0), (1, 1, 1), (1, 0, 0)),
    channels_last("channels last", (1, 4, 3, 2), (2, 2, 2, 3)),
    channels_last("same, strided", (1, 5, 4, 2), (3, 2, 2, 1), "SAME", (2, 2)),
    channels_last("same, dilated", (1, 4, 4, 1), (2, 2, 1, 2), "SAME", (1, 1), (2, 2)),
    channels_last("in groups", (1, 3, 3, 4), (2, 2, 2, 4), groups=2),
    row("depthwise_conv", lambda x, w: sg.depthwise_conv(x, w), "jax.lax.conv_general_dilated", normal(1, 3, 3, 2),
        normal(2, 2, 2, 1),
        theirs=lambda x, w: jax.lax.conv_general_dilated(
            x, jnp.transpose(w, (0, 1, 3, 2)), (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=2)),
    row("unfold", lambda x: sg.ops.unfold(x, 2, padding=1), "torch.nn.functional.unfold", normal(1, 2, 3, 2),
        theirs=lambda x: F.unfold(x, 2, padding=1)),
    row("fold", lambda x: sg.ops.fold(x, (3, 4), 2, padding=1, stride=2), "torch.nn.functional.fold", normal(1, 4, 6),
        theirs=lambda x: F.fold(x, (3, 4), 2, padding=1, stride=2)),
]

POOLS = [
    pool("MaxPool", "1-D", (1, 2, 5), ("max_pool1d", lambda x: F.max_pool1d(x, 2, 1)), kernel_shape=(2,)),
    pool("MaxPool", "2-D, padded", (1, 1, 4, 5), ("max_pool2d", lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1))),
         kernel_shape=(3, 2), strides=(2, 1), pads=(1, 1, 1, 1)),
    pool("MaxPool", "2-D, side by side", (1, 2, 4, 6), ("max_pool2d", lambda x: F.max_pool2d(x, 2)),
         kernel_shape=(2, 2), strides=(2, 2)),
    pool("MaxPool", "2-D, dilated, of the ceiling", (1, 1, 6, 5),
         ("max_pool2d", lambda x: F.max_pool2d(x, 2, 2, dilation=2, ceil_mode=True)),
         kernel_shape=(2, 2), strides=(2, 2), dilations=(2, 2), ceil_mode=1),
    pool("MaxPool", "3-D", (1, 1, 3, 2, 4), ("max_pool3d", lambda x: F.max_pool3d(x, 2, (1, 1, 2))),
         kernel_shape=(2, 2, 2), strides=(1, 1, 2)),
    pool("AveragePool", "1-D", (1, 2, 5), ("avg_pool1d", lambda x: F.avg_pool1d(x, 2, 1)), kernel_shape=(2,)),
    pool("AveragePool", "2-D, without the padding", (1, 1, 4, 5),
         ("avg_pool2d", lambda x: F.avg_pool2d(x, (3, 2), (2, 1), 1, count_include_pad=False)),
         kernel_shape=(3, 2), strides=(2, 1), pads=(1, 1, 1, 1)),
    pool("AveragePool", "2-D, with the padding", (1, 1, 4, 5),
         ("avg_pool2d", lambda x: F.avg_pool2d(x, (3, 2), (2, 1), 1)),
         kernel_shape=(3, 2), strides=(2, 1), pads=(1, 1, 1, 1), count_include_pad=1),
    pool("AveragePool", "2-D, of the ceiling", (1, 1, 5, 5),
         ("avg_pool2d", lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True)),
         kernel_shape=(2, 2), strides=(2, 2), ceil_mode=1),
    pool("AveragePool", "3-D", (1, 1, 2, 3, 4), ("avg_pool3d", lambda x: F.avg_pool3d(x, 2, 1)),
         kernel_shape=(2, 2, 2)),
    pool("LpPool", "2-D", (1, 1, 4, 4), ("lp_pool2d", lambda x: F.lp_pool2d(x, 2.0, 2, 1)), kernel_shape=(2, 2), p=2),
    pool("GlobalMaxPool", "2-D", (2, 2, 3, 2), ("adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, 1))),
    pool("GlobalAveragePool", "2-D", (2, 2, 3, 2), ("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 1))),
    row("adaptive_average_pool", lambda x: sg.ops.adaptive_average_pool(x, (2, 3), "channels_first"),
        "torch.nn.functional.adaptive_avg_pool2d", normal(1, 2, 5, 4),
        theirs=lambda x: F.adaptive_avg_pool2d(x, (2, 3))),
    row("adaptive_max_pool", lambda x: sg.ops.adaptive_max_pool(x, (2, 3), "channels_first"),
        "torch.nn.functional.adaptive_max_pool2d", apart(1, 2, 5, 4),
        theirs=lambda x: F.adaptive_max_pool2d(x, (2, 3))),
    row("max_pool", lambda x: sg.max_pool(x, 2, 1, "same"), "jax.lax.reduce_window", apart(1, 3, 4, 2),
        theirs=lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 1, 1, 1), "SAME")),
    row("MaxPool of ties", lambda x: onnx("MaxPool", x, kernel_shape=(2,), strides=(2,)),
        "torch.nn.functional.max_pool1d",
        [[[1.0, 1.0, 0.0, 2.0, 3.0, 3.0]]], theirs=lambda x: F.max_pool1d(x, 2)),
    row("MaxPool of overlapping ties", lambda x: onnx("MaxPool", x, kernel_shape=(3,)),
        "torch.nn.functional.max_pool1d",
        [[[1.0, 1.0, 1.0, 1.0, 0.0]]], theirs=lambda x: F.max_pool1d(x, 3, 1)),
]


def resize(title, x, size, mode, theirs, **attributes):
    """Resize to sizes beside torch.nn.functional.interpolate; ONNX Runtime's cubic weights are float32."""
    return row(f"Resize {title}",
               lambda x: onnx("Resize", x, None, None, np.array([*x.shape[:2], *size]), mode=mode, **attributes),
               "torch.nn.functional.interpolate", normal(*x), theirs=lambda x: F.interpolate(x, size, **theirs),
               rtol=2e-6 if mode == "cubic" else None)


def sampled(mode, padding, aligned):
    """GridSample beside grid_sample."""
    theirs = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    grid = apart(1, 2, 3, 2) * 0.43
    return row(f"GridSample {mode} {padding} {aligned}", lambda x, g: onnx(
        "GridSample", x, g, mode=mode, padding_mode=padding, align_corners=aligned), "torch.nn.functional.grid_sample",
        normal(1, 2, 4, 3), grid,
        theirs=lambda x, g: F.grid_sample(x, g, theirs, padding, bool(aligned)))


ALIGNED = {"coordinate_transformation_mode": "align_corners"}
SAMPLING = [
    resize("nearest", (1, 2, 3, 4), (6, 4), "nearest", {"mode": "nearest"},
           coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    resize("linear", (1, 1, 4, 3), (3, 5), "linear", {"mode": "bilinear"}),
    resize("linear, aligned", (1, 1, 4, 3), (3, 5), "linear", {"mode": "bilinear", "align_corners": True}, **ALIGNED),
    resize("linear 1-D", (1, 2, 4), (7,), "linear", {"mode": "linear"}),
    resize("linear 3-D", (1, 1, 2, 3, 2), (3, 2, 4), "linear", {"mode": "trilinear"}),
    resize("cubic", (1, 1, 4, 3), (5, 6), "cubic", {"mode": "bicubic"}),
    resize("cubic, aligned", (1, 1, 4, 3), (5, 6), "cubic", {"mode": "bicubic", "align_corners": True}, **ALIGNED),
    resize("linear with antialias", (1, 1, 6, 5), (3, 2), "linear", {"mode": "bilinear", "antialias": True},
           antialias=1, exclude_outside=1),
    *(row(f"resize {mode}", lambda x, mode=mode: sg.ops.resize(x, (5, 3), mode), "jax.image.resize", normal(1, 3, 4, 2),
          theirs=lambda x, mode=mode: jax.image.resize(x, (1, 5, 3, 2), mode, antialias=False))
          for mode in ("nearest", "bilinear")),
    *(sampled(mode, padding, aligned) for mode, padding, aligned in [
        ("linear", "zeros", 0), ("linear", "border", 0), ("linear", "reflection", 1), ("linear", "zeros", 1),
        ("nearest", "zeros", 0), ("cubic", "zeros", 0), ("cubic", "border", 1)]),
    row("AffineGrid", lambda x: onnx("AffineGrid", x, np.array([2, 1, 2, 3])), "torch.nn.functional.affine_grid",
        normal(2, 2, 3),
        theirs=lambda x: F.affine_grid(x, [2, 1, 2, 3], align_corners=False)),
    row("DepthToSpace", lambda x: onnx("DepthToSpace", x, blocksize=2, mode="CRD"), "torch.nn.functional.pixel_shuffle",
        normal(1, 8, 2, 1), theirs=lambda x: F.pixel_shuffle(x, 2)),
]


def pair(y):
    """The real and the imaginary part."""
    return y.real, y.imag


x, y = normal(2, 4), normal(2, 4, seed=1)
SPECTRA = [
    *(row(name, lambda x, y, name=name: getattr(sg.ops, name)((x, y)), f"jax.numpy.fft.{name}", x, y,
          theirs=lambda x, y, name=name: pair(getattr(jnp.fft, name)(x + 1j * y)))
          for name in ("fft", "fft2", "ifft2")),
    row("rfft", sg.ops.rfft, "jax.numpy.fft.rfft", normal(2, 5), theirs=lambda x: pair(jnp.fft.rfft(x))),
    row("rfft of other length", lambda x: sg.ops.rfft(x, 6), "jax.numpy.fft.rfft", x,
        theirs=lambda x: pair(jnp.fft.rfft(x, 6))),
    row("irfft", lambda x, y: sg.ops.irfft((x, y)), "torch.fft.irfft", normal(2, 3), normal(2, 3, seed=1),
        theirs=lambda x, y: torch.fft.irfft(torch.complex(x, y))),
    row("stft", lambda x: sg.ops.stft(x, 4, 2, 4), "torch.stft", normal(12),
        theirs=lambda x: pair(torch.stft(x, 4, 2, 4, torch.hann_window(4, dtype=x.dtype), return_complex=True).mT)),
]

PEERS = CONVOLUTIONS + POOLS + SAMPLING + SPECTRA
