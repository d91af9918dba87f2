"""Elementwise functions, at ordinary points, and at kinks and special points where the peers choose as we do."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import apart, normal, positive
from tests.autodiff.peers.libraries import F, jax, jnp, torch
from tests.autodiff.peers.peer import EVERY, row

inf = np.inf
x, p = normal(2, 3), positive(2, 3)
inside = np.tanh(x) * 0.8
onnx = sg.ops.onnx

SAME_NAME = [
    *((name, x) for name in ("exp", "exp2", "expm1", "sin", "cos", "sinh", "cosh", "tanh", "arcsinh", "arctan", "sinc",
                             "square", "deg2rad", "rad2deg", "absolute", "negative")),
    *((name, p) for name in ("log", "log2", "log10", "log1p", "sqrt", "reciprocal", "cbrt")),
    *((name, inside) for name in ("tan", "arcsin", "arccos", "arctanh")),
    ("arccosh", p + 1),
]
ACTIVATIONS = [
    "relu", "leaky_relu", "elu", "celu", "selu", "sigmoid", "log_sigmoid", "hard_sigmoid", "silu", "hard_silu",
    "hard_tanh",
    "softplus", "squareplus", "mish", "glu", "sparse_plus", "sparse_sigmoid", "relu6", "softmax", "log_softmax",
]
SLOPES = {"leaky_relu": lambda x: jax.nn.leaky_relu(x, 0.2)}
PAIRS = [
    ("add", x, x[0]), ("subtract", x, x[:, :1]), ("multiply", x, x[0]), ("true_divide", x, p[0]), ("power", p, x[0]),
    ("float_power", p, x[0]), ("logaddexp", x, x[0] + 1), ("logaddexp2", x, x[0] + 1), ("hypot", x, p),
    ("arctan2", x, p),
    ("maximum", x, x[0] + 0.1), ("minimum", x, x[0] + 0.1), ("fmax", x, x[0] + 0.1), ("fmin", x, x[0] + 0.1),
    ("remainder", apart(2, 3) * 3, [1.5, -0.7, 2.2]), ("fmod", apart(2, 3) * 3, [1.5, -0.7, 2.2]),
    ("copysign", x, [1.0, -2.0, 3.0]),
]

PLAIN = [
    *(row(name, getattr(sg, name), f"jax.numpy.{name}", at) for name, at in SAME_NAME),
    *(row(name, getattr(sg, name), f"jax.numpy.{name}", *at) for name, *at in PAIRS),
    *(row(name, getattr(sg, name), f"jax.nn.{name}", apart(2, 4), theirs=SLOPES.get(name))
      for name in ACTIVATIONS),
    row("softsign", sg.softsign, "jax.nn.soft_sign", x),
    row("gelu", sg.gelu, "jax.nn.gelu", x, theirs=lambda x: jax.nn.gelu(x, approximate=False), asks=EVERY),
    row("gelu by tanh", lambda x: sg.gelu(x, approximate=True), "jax.nn.gelu", x, asks=EVERY),
    row("erf", sg.erf, "jax.scipy.special.erf", x, asks=EVERY),
    row("erfc", sg.erfc, "jax.scipy.special.erfc", x),
    row("erfinv", sg.erfinv, "jax.scipy.special.erfinv", inside),
    row("xlogy", sg.xlogy, "jax.scipy.special.xlogy", x, p),
    row("i0", sg.ops.i0, "jax.numpy.i0", x, rtol=1e-6),
    row("rsqrt", sg.rsqrt, "jax.lax.rsqrt", p),
    row("clip", lambda x: sg.clip(x, -0.6, 0.8), "jax.numpy.clip", apart(8), theirs=lambda x: jnp.clip(x, -0.6, 0.8)),
    row("nan_to_num", sg.nan_to_num, "jax.numpy.nan_to_num", [1.0, -2.0]),
    row("where", lambda x, y: sg.where(x > 0, x * y, y * y), "jax.numpy.where", x, x[0],
        theirs=lambda x, y: jnp.where(x > 0, x * y, y * y), asks=EVERY),
    row("hard_shrink", sg.hard_shrink, "torch.nn.functional.hardshrink", apart(8)),
    row("soft_shrink", sg.soft_shrink, "torch.nn.functional.softshrink", apart(8)),
    row("tanh_shrink", sg.tanh_shrink, "torch.nn.functional.tanhshrink", x),
    row("threshold", lambda x: sg.threshold(x, 0.1, 20.0), "torch.nn.functional.threshold", apart(8),
        theirs=lambda x: F.threshold(x, 0.1, 20.0)),
    row("Clip", lambda x: onnx("Clip", x, np.float64(-0.6), np.float64(0.8)), "torch.clamp", [-0.6, 0.1, 0.8, 0.9],
        theirs=lambda x: torch.clamp(x, -0.6, 0.8)),
    row("PRelu", lambda x, s: onnx("PRelu", x, s), "torch.nn.functional.prelu", apart(2, 3), [0.1, 0.2, 0.3]),
    row("ThresholdedRelu", lambda x: onnx("ThresholdedRelu", x, alpha=0.3), "torch.nn.functional.threshold", apart(6),
        theirs=lambda x: F.threshold(x, 0.3, 0.0), dtype="float32"),
    row("HardSigmoid", lambda x: onnx("HardSigmoid", x, alpha=1 / 6, beta=0.5), "torch.nn.functional.hardsigmoid",
        apart(6) * 3, dtype="float32", asks=("vjp",)),
    row("HardSwish", lambda x: onnx("HardSwish", x), "torch.nn.functional.hardswish", apart(6) * 3, dtype="float32"),
    row("Elu", lambda x: onnx("Elu", x, alpha=0.7), "torch.nn.functional.elu", apart(6),
        theirs=lambda x: F.elu(x, 0.7)),
    row("Selu", lambda x: onnx("Selu", x), "torch.nn.functional.selu", apart(6), rtol=1e-6),
    row("Celu", lambda x: onnx("Celu", x, alpha=1.5), "torch.nn.functional.celu", apart(6), dtype="float32",
        theirs=lambda x: F.celu(x, 1.5)),
    row("Softplus", lambda x: onnx("Softplus", x), "torch.nn.functional.softplus", x),
    row("Mish", lambda x: onnx("Mish", x), "torch.nn.functional.mish", x),
    row("Max of three", lambda x, y, z: onnx("Max", x, y, z), "torch.maximum", x, x[0] + 0.1, -x,
        theirs=lambda x, y, z: torch.maximum(torch.maximum(x, y), z)),
    row("Mean", lambda x, y: onnx("Mean", x, y), "torch.lerp", x, x[0],
        theirs=lambda x, y: torch.lerp(x, y, 0.5)),
]

SPECIAL = [
    row("absolute at 0", sg.absolute, "torch.abs", [0.0, -0.0]),
    row("relu at 0", sg.relu, "jax.nn.relu", [0.0]),
    row("relu at 0, torch", sg.relu, "torch.nn.functional.relu", [0.0]),
    row("leaky_relu at 0", sg.leaky_relu, "torch.nn.functional.leaky_relu", [0.0],
        theirs=lambda x: F.leaky_relu(x, 0.2)),
    row("elu at 0", sg.elu, "jax.nn.elu", [0.0]),
    row("hard_tanh at its bounds", sg.hard_tanh, "jax.nn.hard_tanh", [-1.0, 1.0]),
    row("maximum at a tie", sg.maximum, "jax.numpy.maximum", [1.0, 2.0], [1.0, 1.0]),
    row("minimum at a tie", sg.minimum, "torch.minimum", [1.0, 2.0], [1.0, 1.0]),
    row("clip at its bounds", lambda x: sg.clip(x, 0.0, 1.0), "jax.numpy.clip", [0.0, 1.0],
        theirs=lambda x: jnp.clip(x, 0.0, 1.0)),
    row("sqrt at 0", sg.sqrt, "jax.numpy.sqrt", [0.0]),
    row("arcsin at 1", sg.arcsin, "torch.asin", [1.0], asks=("vjp", "jvp")),
    row("power of 0", lambda x: sg.power(x, np.float64([1.0, 2.0, 3.0])), "jax.numpy.power", [0.0, 0.0, 0.0],
        asks=("vjp", "jvp"),  # JAX has NaN for the second derivative of x to the 1
        theirs=lambda x: jnp.power(x, jnp.array([1.0, 2.0, 3.0]))),
    row("power of 0 by the exponent", lambda y: sg.power(np.float64([0.0, 0.0]), y), "torch.pow", [1.0, 2.0],
        theirs=lambda y: torch.pow(torch.zeros(2, dtype=torch.float64), y)),
    row("sinc at 0", sg.sinc, "jax.numpy.sinc", [0.0, 1.0]),
    row("logaddexp far apart", sg.logaddexp, "jax.numpy.logaddexp", [1000.0, -1000.0, 3.0], [0.0, 0.0, -inf]),
    row("xlogy at 0", sg.xlogy, "torch.xlogy", [0.0, 0.0], [2.0, 0.5]),
    row("sigmoid far out", sg.sigmoid, "jax.nn.sigmoid", [-700.0, 0.0, 700.0]),
    row("log_sigmoid far out", sg.log_sigmoid, "jax.nn.log_sigmoid", [-700.0, 0.0, 700.0]),
    row("softplus far out", sg.softplus, "jax.nn.softplus", [-700.0, 0.0, 700.0]),
    row("gelu far out", sg.gelu, "torch.nn.functional.gelu", [-100.0, 0.0, 100.0]),
    row("mish far out", sg.mish, "torch.nn.functional.mish", [-100.0, 0.0, 100.0]),
    row("silu far out", sg.silu, "jax.nn.silu", [-700.0, 0.0, 700.0]),
    row("tanh far out", sg.tanh, "jax.numpy.tanh", [-700.0, 0.0, 700.0]),
    row("erf far out", sg.erf, "jax.scipy.special.erf", [-30.0, 0.0, 30.0]),
    row("elu far out", sg.elu, "jax.nn.elu", [-1000.0, 1000.0]),
    row("softmax far apart", sg.softmax, "jax.nn.softmax", [-1e4, 0.0, 1e4]),
    row("log_softmax of one infinity", sg.log_softmax, "jax.nn.log_softmax", [1.0, -1e30, 2.0]),
    row("where beside a root", lambda x: sg.where(x > 0, sg.sqrt(sg.where(x > 0, x, 1.0)), 0.0), "jax.numpy.where",
        [-1.0, 4.0],
        theirs=lambda x: jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)),
    row("nansum", sg.nansum, "jax.numpy.nansum", [3.0, np.nan, 1.0]),
    row("nanmean", sg.nanmean, "jax.numpy.nanmean", [3.0, np.nan, 1.0]),
    row("arctan2 on the axes", sg.arctan2, "torch.atan2", [0.0, 1.0, -2.0], [1.0, 0.0, 0.0]),
    row("hypot on an axis", sg.hypot, "torch.hypot", [0.0, -2.0], [3.0, 0.0]),
    row("log1p and expm1 near 0", lambda x: sg.log1p(x) * sg.expm1(x), "jax.numpy.log1p", [1e-9, -1e-9],
        theirs=lambda x: jnp.log1p(x) * jnp.expm1(x)),
    row("floor and sign of x, times x", lambda x: x * sg.floor(x) + x * sg.sign(x), "jax.numpy.floor", x,
        theirs=lambda x: x * jnp.floor(x) + x * jnp.sign(x)),
]

PEERS = PLAIN + SPECIAL
