"""Activations, convolutions, pools, normalisations, attention and images against plain NumPy loops and scipy."""

import itertools

import numpy as np
import scipy.special
import scipy.stats

from symgraph import ops
from tests.ops.table import FLOAT_DTYPES, Row, normal, shapes, special

INF, NAN = np.inf, np.nan
EDGES = special((NAN, INF, -INF, -0.0, 0.0, 1.0, -1.0, 0.5, -0.5, 3.0, -3.0, 6.0, 80.0, -80.0))
SINGLE = ("float32",)


def of(*dims):
    return lambda rng, dtype: tuple(normal(rng, d, dtype) for d in dims)


def relu6(x):
    return np.minimum(np.maximum(x, 0), 6)


def activation(name, reference, *arguments, dtypes=FLOAT_DTYPES, **options):
    cases = {**shapes(1), "edges": EDGES}
    shown = f"{name}{arguments}" if arguments else name
    return Row(shown, lambda x: getattr(ops, name)(x, *arguments), cases, reference, dtypes, **options)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def sigmoid(x):
    return scipy.special.expit(x)


def softplus(x):
    return np.logaddexp(0, x)


def gelu(x):
    return np.where(np.isneginf(x), NAN, x * scipy.stats.norm.cdf(x)).astype(x.dtype)


def gelu_tanh(x):
    return np.where(np.isneginf(x), NAN, 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))


ACTIVATIONS = [
    activation("linear", lambda x: x),
    activation("relu", lambda x: np.maximum(x, 0)),
    activation("relu", lambda x: np.where(x > 0.5, np.minimum(x, 2), 0.25 * (x - 0.5)), 0.25, 2.0, 0.5),
    activation("relu6", relu6),
    activation("leaky_relu", lambda x: np.where(x < 0, 0.2 * x, x)),
    activation("elu", elu),
    activation("elu", lambda x: elu(x, 0.3), 0.3),
    activation("celu", lambda x: np.maximum(x, 0) + np.minimum(0, 2 * np.expm1(x / 2)), 2.0),
    activation("selu", lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    activation("sigmoid", sigmoid),
    activation("log_sigmoid", lambda x: -softplus(-x)),
    activation("hard_sigmoid", lambda x: relu6(x + 3) / 6),
    activation("silu", lambda x: x * sigmoid(x)),
    activation("swish", lambda x: x * sigmoid(x)),
    activation("hard_silu", lambda x: x * (relu6(x + 3) / 6)),
    activation("hard_swish", lambda x: x * (relu6(x + 3) / 6)),
    activation("hard_tanh", lambda x: np.clip(x, -1, 1)),
    activation("tanh_shrink", lambda x: x - np.tanh(x)),
    activation("exponential", np.exp, rtol=4e-6),
    activation("softplus", softplus),
    activation("softsign", lambda x: x / (1 + np.abs(x))),
    activation("squareplus", lambda x: (x + np.sqrt(x * x + 4)) / 2, rtol=1e-5),
    activation("mish", lambda x: x * np.tanh(softplus(x))),
    activation("gelu", gelu, dtypes=SINGLE),
    activation("gelu", gelu_tanh, True, rtol=4e-6),
    activation("threshold", lambda x: np.where(x > 0.5, x, -7), 0.5, -7.0),
    activation("hard_shrink", lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    activation("soft_shrink", lambda x: np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0))),
    activation("sparse_plus", lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x))),
    activation("sparse_sigmoid", lambda x: np.clip((x + 1) / 2, 0, 1)),
    Row("relu of integers", ops.relu, shapes(1), lambda x: np.maximum(x, 0), ("int32", "int64")),
    Row("sigmoid of integers", ops.sigmoid, shapes(1), lambda x: sigmoid(x.astype(np.float32)), ("int32", "bool")),
    *(Row(f"glu along {a}", lambda x, a=a: ops.glu(x, a), of((4, 6)),
          lambda x, a=a: np.multiply(*(f(h) for f, h in zip((np.array, sigmoid), np.split(x, 2, a), strict=True))))
      for a in (0, -1)),
    *(Row(f"{name} along {a}", lambda x, n=name, a=a: getattr(ops, n)(x, a), of((3, 4, 5)),
          lambda x, f=f, a=a: f(x, a), rtol=4e-6)
      for name, f in (("softmax", scipy.special.softmax), ("log_softmax", scipy.special.log_softmax))
      for a in (0, -1, (0, 2))),
]


def simplex_point(x, axis):
    """The nearest point of the simplex, by bisection on what is taken away."""
    low, high = x.min(axis, keepdims=True) - 1, x.max(axis, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        is_low = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return np.maximum(x - low, 0)


ACTIVATIONS += [Row(f"sparsemax along {a}", lambda x, a=a: ops.sparsemax(x, a), of((4, 5)),
                    lambda x, a=a: simplex_point(x.astype(np.float64), a).astype(x.dtype)) for a in (0, -1)]


def same(n, k, s, d=1):
    total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
    return total // 2, total - total // 2


def windows(x, window, strides, padding, dilations, fill):
    """Every window of x[b, space, c]: an array [b, places, window, c]."""
    rank = len(window)
    pads = [same(n, k, s, d) if padding == "same" else ((k - 1) * d, 0) if padding == "causal" else (0, 0)
            for n, k, s, d in zip(x.shape[1:-1], window, strides, dilations, strict=True)]
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    counts = [(n - (k - 1) * d - 1) // s + 1
              for n, k, s, d in zip(x.shape[1:-1], window, strides, dilations, strict=True)]
    out = np.empty((len(x), *counts, *window, x.shape[-1]))
    for place in itertools.product(*map(range, counts)):
        for tap in itertools.product(*map(range, window)):
            at = tuple(p * s + t * d for p, s, t, d in zip(place, strides, tap, dilations, strict=True))
            out[(slice(None), *place, *tap)] = x[(slice(None), *at)]
    return out.reshape(len(x), *counts, -1, x.shape[-1]), rank


def naive_conv(x, w, strides, padding, dilations):
    taken, _ = windows(x.astype(np.float64), w.shape[:-2], strides, padding, dilations, 0.0)
    groups = x.shape[-1] // w.shape[-2]
    kernel = w.reshape(-1, w.shape[-2], groups, w.shape[-1] // groups)
    taken = taken.reshape(*taken.shape[:-1], groups, w.shape[-2])
    y = np.einsum("b...kgc,kcgo->b...go", taken, kernel)
    return y.reshape(*y.shape[:-2], w.shape[-1]).astype(np.float32)


def naive_conv_transpose(x, w, strides, dilations):
    """The whole output, before anything is cut off."""
    sizes = [(n - 1) * s + (k - 1) * d + 1
             for n, k, s, d in zip(x.shape[1:-1], w.shape[:-2], strides, dilations, strict=True)]
    y = np.zeros((len(x), *sizes, w.shape[-2]))
    for place in itertools.product(*map(range, x.shape[1:-1])):
        for tap in itertools.product(*map(range, w.shape[:-2])):
            at = tuple(p * s + t * d for p, s, t, d in zip(place, strides, tap, dilations, strict=True))
            y[(slice(None), *at)] += x[(slice(None), *place)] @ w[tap].T
    return y


def cut_transpose(x, w, strides, padding, dilations):
    """Keras's default output sizes, cut from the middle or filled up with zeros at the end."""
    y = naive_conv_transpose(x, w, strides, dilations)
    for axis, (n, k, s, d) in enumerate(zip(x.shape[1:-1], w.shape[:-2], strides, dilations, strict=True), start=1):
        extent = (k - 1) * d + 1
        size = n * s if padding == "same" else (n - 1) * s + max(extent, s)
        start = max(extent - s, 0) // 2 if padding == "same" else 0
        y = np.pad(y, [(0, s) if a == axis else (0, 0) for a in range(y.ndim)])
        y = np.take(y, range(start, start + size), axis)
    return y.astype(np.float32)


def to_last(x):
    return np.moveaxis(x, 1, -1)


def to_first(x):
    return np.moveaxis(x, -1, 1)


def kernel(*shape):
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


SPACES = {1: (7,), 2: (7, 6), 3: (5, 5, 7)}
WINDOWS = {1: (3,), 2: (3, 2), 3: (2, 3, 4)}
STEPS = [("valid", 1, 1), ("valid", 2, 1), ("valid", 1, 2), ("same", 1, 1), ("same", 2, 1), ("same", 3, 1),
         ("same", 4, 1), ("same", 1, 2), ("same", 2, 2)]


def conv_rows():
    for rank, (padding, s, d) in itertools.product((1, 2, 3), STEPS):
        w, steps, gaps = kernel(*WINDOWS[rank], 3, 4), (s,) * rank, (d,) * rank
        x = of((2, *SPACES[rank], 3))
        what = f"rank {rank} {padding} stride {s} dilation {d}"
        yield Row(f"conv {what}", lambda x, w=w, s=s, p=padding, d=d: ops.conv(x, w, s, p, dilation_rate=d), x,
                  lambda x, w=w, s=steps, p=padding, d=gaps: naive_conv(x, w, s, p, d), SINGLE, rtol=1e-5)
        yield Row(
            f"conv_transpose {what}",
            lambda x, w=w, s=s, p=padding, d=d: ops.conv_transpose(x, w.swapaxes(-1, -2), s, p, dilation_rate=d), x,
            lambda x, w=w, s=steps, p=padding, d=gaps: cut_transpose(x, w.swapaxes(-1, -2), s, p, d), SINGLE, rtol=1e-5)
        if rank < 3:
            dw, pw = kernel(*WINDOWS[rank], 3, 2), kernel(*(1,) * rank, 6, 5)
            block = np.zeros((*WINDOWS[rank], 1, 6), np.float32)
            block[..., 0, :] = dw.reshape(*WINDOWS[rank], 6)
            yield Row(f"depthwise_conv {what}",
                      lambda x, w=dw, s=s, p=padding, d=d: ops.depthwise_conv(x, w, s, p, dilation_rate=d), x,
                      lambda x, w=block, s=steps, p=padding, d=gaps: naive_conv(x, w, s, p, d), SINGLE, rtol=1e-5)
            yield Row(f"separable_conv {what}",
                      lambda x, w=dw, v=pw, s=s, p=padding, d=d: ops.separable_conv(x, w, v, s, p, dilation_rate=d), x,
                      lambda x, w=block, v=pw, s=steps, p=padding, d=gaps: naive_conv(
                          naive_conv(x, w, s, p, d), v, (1,) * len(s), "valid", (1,) * len(s)), SINGLE, rtol=1e-5)
    w = kernel(3, 2, 3, 4)
    yield Row("conv channels_first", lambda x: ops.conv(x, w, 2, "same", "channels_first"), of((2, 3, 7, 6)),
              lambda x: to_first(naive_conv(to_last(x), w, (2, 2), "same", (1, 1))), SINGLE, rtol=1e-5)
    yield Row("conv causal", lambda x: ops.conv(x, kernel(3, 3, 4), 1, "causal", dilation_rate=2), of((2, 7, 3)),
              lambda x: naive_conv(x, kernel(3, 3, 4), (1,), "causal", (2,)), SINGLE, rtol=1e-5)


def naive_pool(x, window, strides, padding, *, is_mean):
    taken, _ = windows(x, window, strides, padding, (1,) * len(window), NAN)
    return (np.nanmean if is_mean else np.nanmax)(taken, axis=-2).astype(np.float32)


def adaptive(x, count, function):
    for axis in range(1, x.ndim - 1):
        n = x.shape[axis]
        bins = [np.take(x, range(i * n // count, -(-(i + 1) * n // count)), axis) for i in range(count)]
        x = np.stack([function(b, axis=axis) for b in bins], axis)
    return x.astype(np.float32)


def pool_rows():
    for rank, (k, s), padding in itertools.product((1, 2, 3), ((2, 2), (3, 2), (2, 3), (3, 1)), ("valid", "same")):
        for name, is_mean in (("max_pool", False), ("average_pool", True)):
            yield Row(f"{name} rank {rank} {padding} size {k} stride {s}",
                      lambda x, n=name, k=k, s=s, p=padding: getattr(ops, n)(x, k, s, p), of((2, *SPACES[rank], 3)),
                      lambda x, k=(k,) * rank, s=(s,) * rank, p=padding, m=is_mean: naive_pool(x, k, s, p, is_mean=m),
                      SINGLE)
    for name, function in (("max", np.max), ("average", np.mean)):
        yield Row(f"{name}_pool channels_first", lambda x, n=name: getattr(ops, f"{n}_pool")(
            x, 2, data_format="channels_first"), of((2, 3, 7, 6)), lambda x, m=name == "average": to_first(naive_pool(
                to_last(x), (2, 2), (2, 2), "valid", is_mean=m)), SINGLE)
        yield Row(f"global_{name}_pool", getattr(ops, f"global_{name}_pool"), of((2, 5, 4, 3)),
                  lambda x, f=function: f(x, axis=(1, 2)))
        for count in (1, 2, 3, 5, 8):
            yield Row(f"adaptive_{name}_pool to {count}",
                      lambda x, n=name, c=count: getattr(ops, f"adaptive_{n}_pool")(x, c), of((2, 7, 6, 3)),
                      lambda x, c=count, f=function: adaptive(x, c, f), SINGLE)


def standardized(x, axes, epsilon):
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


def along(v, axis, x):
    return v.reshape([-1 if a == axis % x.ndim else 1 for a in range(x.ndim)])


NORMALIZATIONS = [
    *(Row(f"moments over {a}", lambda x, a=a, k=k: ops.moments(x, a, keepdims=k), of((3, 4, 5)),
          lambda x, a=a, k=k: (x.mean(a, keepdims=k), x.var(a, keepdims=k)))
      for a, k in ((None, False), (1, True), ((0, 2), False))),
    *(Row(f"normalize order {p}", lambda x, p=p: ops.normalize(x, 1, p), of((3, 4, 5)),
          lambda x, p=p: x / np.linalg.norm(x, p, 1, keepdims=True), rtol=4e-6) for p in (1, 2, 3, INF)),
    *(Row(f"batch_normalization of {dims} along {axis}",
          lambda x, m, v, b, g, a=axis: ops.batch_normalization(x, m, v * v, a, b, g), of(dims, *[(dims[axis],)] * 4),
          lambda x, m, v, b, g, a=axis: (x - along(m, a, x)) / np.sqrt(along(v * v, a, x) + 1e-3) * along(g, a, x)
          + along(b, a, x), rtol=1e-4)
      for dims, axis in (((5, 4), -1), ((2, 5, 6, 4), -1), ((2, 5, 6, 4), 1), ((2, 5, 6, 4), 2), ((2, 5, 4), -1),
                         ((4,), 0))),
    Row("batch_normalization without scale and offset", lambda x, m, v: ops.batch_normalization(x, m, v * v, -1),
        of((2, 3, 4), (4,), (4,)), lambda x, m, v: (x - m) / np.sqrt(v * v + 1e-3), rtol=1e-4),
    *(Row(f"layer_normalization over {a}", lambda x, g, b, a=a: ops.layer_normalization(x, g, b, a, 1e-3),
          of((2, 5, 4), *[d] * 2), lambda x, g, b, a=a, r=r: standardized(x, a, 1e-3) * g.reshape(r) + b.reshape(r),
          rtol=1e-5)
      for a, d, r in ((-1, (4,), (4,)), ((1, 2), (5, 4), (5, 4)), (1, (5,), (5, 1)))),
    Row("layer_normalization alone", lambda x: ops.layer_normalization(x, epsilon=1e-3), of((2, 5, 4)),
        lambda x: standardized(x, -1, 1e-3), rtol=1e-5),
    Row("rms_normalization", lambda x, g: ops.rms_normalization(x, g, epsilon=1e-3), of((2, 5, 4), (4,)),
        lambda x, g: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-3) * g, rtol=4e-6),
    Row("instance_normalization", lambda x, g, b: ops.instance_normalization(x, g, b), of((2, 5, 6, 4), (4,), (4,)),
        lambda x, g, b: standardized(x, (1, 2), 1e-3) * g + b, rtol=1e-5),
]


def naive_attention(q, k, v, bias=0.0, mask=True, scale=None, is_causal=False):
    k, v = (np.repeat(x, q.shape[2] // x.shape[2], 2) for x in (k, v))
    scores = np.einsum("btnh,bsnh->bnts", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
    past = np.tri(q.shape[1], k.shape[1], dtype=bool) if is_causal else True
    weights = scipy.special.softmax(np.where(mask & np.asarray(past), scores, -1e30), -1)
    return np.einsum("bnts,bsnh->btnh", weights, v).astype(q.dtype)


MASK = np.random.default_rng(3).random((2, 1, 5, 7)) > 0.3
QKV = ((2, 5, 4, 8), (2, 7, 4, 8), (2, 7, 4, 8))

ATTENTION = [
    Row("attention", ops.dot_product_attention, of(*QKV), naive_attention, rtol=1e-5),
    Row("attention causal", lambda q, k, v: ops.dot_product_attention(q, k, v, is_causal=True), of(*QKV),
        lambda q, k, v: naive_attention(q, k, v, is_causal=True), rtol=1e-5),
    Row("attention with bias, mask and scale", lambda q, k, v, b: ops.dot_product_attention(q, k, v, b, MASK, 0.7),
        of(*QKV, (2, 4, 5, 7)), lambda q, k, v, b: naive_attention(q, k, v, b, MASK, 0.7), rtol=1e-5),
]


def bilinear(x, size):
    """Every output pixel from its four neighbours, one at a time."""
    y = np.empty((x.shape[0], *size, x.shape[-1]))
    for i, j in itertools.product(*map(range, size)):
        rows, columns = (_neighbours(p, n, m) for p, n, m in ((i, x.shape[1], size[0]), (j, x.shape[2], size[1])))
        y[:, i, j] = sum(a * b * x[:, r, c] for r, a in rows for c, b in columns)
    return y.astype(x.dtype)


def _neighbours(place, size, wanted):
    at = (place + 0.5) * size / wanted - 0.5
    low = int(np.floor(at))
    return [(min(max(low, 0), size - 1), 1 - (at - low)), (min(max(low + 1, 0), size - 1), at - low)]


def nearest(x, size):
    rows, columns = ((np.arange(m) + 0.5) * n // m for n, m in zip(x.shape[1:3], size, strict=True))
    return x[:, rows.astype(int)][:, :, columns.astype(int)]


def blocks_to_channels(x, s):
    b, h, w, c = x.shape
    return x.reshape(b, h // s, s, w // s, s, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // s, w // s, s * s * c)


IMAGES = [
    *(Row(f"resize {m} to {size}", lambda x, m=m, size=size: ops.resize(x, size, m), of((2, 7, 8, 3)),
          lambda x, f=f, size=size: f(x, size), SINGLE, rtol=1e-5)
      for m, f in (("bilinear", bilinear), ("nearest", nearest)) for size in ((5, 9), (14, 3), (7, 8), (21, 16))),
    Row("resize nearest of bytes", lambda x: ops.resize(x, (4, 4), "nearest"), of((2, 2, 2, 1)),
        lambda x: nearest(x, (4, 4)), ("uint8", "int32")),
    Row("space_to_depth", lambda x: ops.space_to_depth(x, 2), of((2, 4, 6, 3)), lambda x: blocks_to_channels(x, 2)),
    Row("depth_to_space", lambda x: ops.depth_to_space(ops.space_to_depth(x, 2), 2), of((2, 4, 6, 3)), lambda x: x),
    Row("pad_images", lambda x: ops.pad_images(x, 1, 2, 3, 4), of((2, 4, 6, 3)),
        lambda x: np.pad(x, ((0, 0), (1, 3), (2, 4), (0, 0)))),
    Row("pad_images to a size", lambda x: ops.pad_images(x, 1, 2, target_height=9, target_width=10), of((2, 4, 6, 3)),
        lambda x: np.pad(x, ((0, 0), (1, 4), (2, 2), (0, 0)))),
    Row("crop_images", lambda x: ops.crop_images(x, 1, 2, 1, 1), of((2, 4, 6, 3)), lambda x: x[:, 1:-1, 2:-1]),
    Row("crop_images to a size", lambda x: ops.crop_images(x, None, 2, 1, target_height=2, target_width=3),
        of((4, 6, 3)), lambda x: x[1:3, 2:5]),
    Row("rgb_to_grayscale", ops.rgb_to_grayscale, of((2, 4, 6, 3)),
        lambda x: (x @ np.array([0.2989, 0.5870, 0.1140], x.dtype))[..., None], SINGLE),
    Row("flip_left_right", ops.flip_left_right, of((2, 4, 6, 3)), lambda x: x[:, :, ::-1]),
    Row("flip_up_down", ops.flip_up_down, of((4, 6, 3)), lambda x: x[::-1]),
]

ROWS = [*ACTIVATIONS, *conv_rows(), *pool_rows(), *NORMALIZATIONS, *ATTENTION, *IMAGES]
