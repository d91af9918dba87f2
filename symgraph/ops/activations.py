"""Activations, with the names, formulas and default arguments of Keras. Integers become float32, but in relu."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import TensorType, is_floating
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.mathematics import erf, log1p
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import as_axes, as_axis, dimension, ints, plus, quotient, vector

__all__ = [
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "squareplus", "swish", "tanh_shrink", "threshold",
]


def as_float(x: object) -> Operand:
    """`x` as an operand of a floating-point dtype: integers and booleans become float32."""
    operand = as_operand(x)
    if isinstance(operand.type, TensorType) and not is_floating(operand.type.dtype):
        return cast_to(operand, "float32")
    return operand


def _is_exact(value: float, x: Operand) -> bool:
    """Whether a float attribute, which ONNX keeps in float32, says `value` as exactly as `x` needs it."""
    return not isinstance(x.type, TensorType) or x.type.dtype != "float64" or float(np.float32(value)) == value


@method
def linear(x: object) -> Operand:
    """`x` itself."""
    return as_operand(x)


@method
def relu(x: object, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Operand:
    """`max(x, 0)` (ONNX Relu).

    In general `max_value` for `x >= max_value`, `x` above `threshold`, else `negative_slope (x - threshold)`.

    >>> import symgraph as sg
    >>> sg.ops.relu([-1.0, 0.0, 2.0]).tolist()
    [0.0, 0.0, 2.0]
    """
    if negative_slope == 0 and threshold == 0:
        x = as_operand(x)
        return apply("Relu", x) if max_value is None else apply("Clip", x, 0, max_value)
    x = as_float(x)
    if threshold == 0:
        y = leaky_relu(x, negative_slope)
    else:
        below = apply("Mul", apply("Sub", x, threshold), negative_slope)
        y = apply("Where", apply("Greater", x, threshold), x, below)
    return y if max_value is None else apply("Min", y, max_value)


@method
def relu6(x: object) -> Operand:
    """`min(max(x, 0), 6)` (ONNX Clip)."""
    return apply("Clip", as_operand(x), 0, 6)


@method
def leaky_relu(x: object, negative_slope: float = 0.2) -> Operand:
    """`x` where positive, `negative_slope x` elsewhere (ONNX LeakyRelu)."""
    x = as_float(x)
    if _is_exact(negative_slope, x):
        return apply("LeakyRelu", x, alpha=negative_slope)
    return apply("Where", apply("Greater", x, 0), x, apply("Mul", x, negative_slope))


@method
def elu(x: object, alpha: float = 1.0) -> Operand:
    """`x` where positive, `alpha (exp(x) - 1)` elsewhere (ONNX Elu; Clevert et al. 2015)."""
    x = as_float(x)
    if _is_exact(alpha, x):
        return apply("Elu", x, alpha=alpha)
    is_above = apply("Greater", x, 0)
    below = apply("Where", is_above, as_operand(0.0, x.dtype), x)
    return apply("Where", is_above, x, apply("Mul", apply("Sub", apply("Exp", below), 1), alpha))


@method
def celu(x: object, alpha: float = 1.0) -> Operand:
    """`max(x, 0) + min(0, alpha (exp(x / alpha) - 1))`, which is `alpha elu(x / alpha)` (Barron 2017)."""
    if alpha == 1:
        return elu(x)
    return apply("Mul", apply("Elu", apply("Div", as_float(x), alpha)), alpha)


_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


@method
def selu(x: object) -> Operand:
    """`1.0507 elu(x, 1.6733)` (ONNX Selu; Klambauer et al. 2017)."""
    x = as_float(x)
    if _is_exact(_SELU_ALPHA, x):
        return apply("Selu", x)
    return apply("Mul", elu(x, _SELU_ALPHA), _SELU_SCALE)


@method
def sigmoid(x: object) -> Operand:
    """`1 / (1 + exp(-x))` (ONNX Sigmoid)."""
    return apply("Sigmoid", as_float(x))


@method
def log_sigmoid(x: object) -> Operand:
    """`log(sigmoid(x)) = -softplus(-x)`."""
    return apply("Neg", softplus(apply("Neg", as_float(x))))


@method
def hard_sigmoid(x: object) -> Operand:
    """`relu6(x + 3) / 6`."""
    return apply("Div", relu6(apply("Add", as_float(x), 3)), 6)


@method
def silu(x: object) -> Operand:
    """`x sigmoid(x)` (Elfwing et al. 2017)."""
    x = as_float(x)
    return apply("Mul", x, apply("Sigmoid", x))


@method
def swish(x: object) -> Operand:
    """`silu(x)`."""
    return silu(x)


@method
def hard_silu(x: object) -> Operand:
    """`x relu6(x + 3) / 6` (Howard et al. 2019)."""
    x = as_float(x)
    return apply("Mul", x, hard_sigmoid(x))


@method
def hard_swish(x: object) -> Operand:
    """`hard_silu(x)`."""
    return hard_silu(x)


@method
def hard_tanh(x: object) -> Operand:
    """`min(max(x, -1), 1)` (ONNX Clip)."""
    return apply("Clip", as_float(x), -1, 1)


@method
def tanh_shrink(x: object) -> Operand:
    """`x - tanh(x)`."""
    x = as_float(x)
    return apply("Sub", x, apply("Tanh", x))


@method
def exponential(x: object) -> Operand:
    """`exp(x)` (ONNX Exp)."""
    return apply("Exp", as_float(x))


@method
def softplus(x: object) -> Operand:
    """`log(1 + exp(x))` (ONNX Softplus); in float64 as `max(x, 0) + log(1 + exp(-|x|))`, for no kernel has it."""
    x = as_float(x)
    if isinstance(x.type, TensorType) and x.type.dtype == "float64":
        return cast(Operand, apply_composite("Softplus", _softplus, x))
    return apply("Softplus", x)


def _softplus(x: Operand) -> Operand:
    small = apply("Exp", apply("Neg", apply("Abs", x)))
    return apply("Add", apply("Max", x, 0), log1p(small))


@method
def softsign(x: object) -> Operand:
    """`x / (1 + |x|)` (ONNX Softsign)."""
    return apply("Softsign", as_float(x))


@method
def squareplus(x: object, b: float = 4) -> Operand:
    """`(x + sqrt(x^2 + b)) / 2` (Barron 2021)."""
    x = as_float(x)
    root = apply("Sqrt", apply("Add", apply("Mul", x, x), b))
    return apply("Mul", apply("Add", x, root), 0.5)


@method
def mish(x: object) -> Operand:
    """`x tanh(softplus(x))` (Misra 2019)."""
    x = as_float(x)
    return apply("Mul", x, apply("Tanh", softplus(x)))


@method
def gelu(x: object, approximate: bool = False) -> Operand:
    """`x Phi(x)`, `Phi` the normal distribution function (ONNX Gelu; Hendrycks and Gimpel 2016).

    `approximate` takes `(1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2` for `Phi(x)`.
    """
    x = as_float(x)
    form = "tanh" if approximate else "none"
    if isinstance(x.type, TensorType) and x.type.dtype == "float64":  # the operator is precise in float32 alone
        return cast(Operand, apply_composite("Gelu", _gelu, x, approximate=form))
    return apply("Gelu", x, approximate=form)


def _gelu(x: Operand, *, approximate: str) -> Operand:
    if approximate == "none":
        return apply("Mul", apply("Mul", x, 0.5), apply("Add", erf(apply("Mul", x, math.sqrt(0.5))), 1.0))
    cubic = apply("Add", x, apply("Mul", apply("Mul", apply("Mul", x, x), x), 0.044715))
    half = apply("Add", apply("Tanh", apply("Mul", cubic, math.sqrt(2 / math.pi))), 1.0)
    return apply("Mul", apply("Mul", x, half), 0.5)


@method
def glu(x: object, axis: int = -1) -> Operand:
    """`a sigmoid(b)`, with `a` and `b` the two halves of `x` along `axis` (Dauphin et al. 2016).

    Errors: `ShapeError` where the axis has an odd size.
    """
    x = as_float(x)
    place = as_axis(axis, x.ndim, "glu")
    size = x.shape[place]
    if isinstance(size, int) and size % 2:
        raise ShapeError(f"glu: axis {axis} of shape {x.shape} has the odd size {size}, so it has no two halves")
    half = quotient(dimension(x, place), 2)
    a, b = apply_many("Split", x, vector([half, half]), axis=place, outputs=2)
    return apply("Mul", a, apply("Sigmoid", b))


@method
def threshold(x: object, threshold: float, default_value: float) -> Operand:
    """`x` where it is greater than `threshold`, `default_value` elsewhere."""
    x = as_float(x)
    return apply("Where", apply("Greater", x, threshold), x, as_operand(default_value, x.dtype))


@method
def hard_shrink(x: object, threshold: float = 0.5) -> Operand:
    """`x` where `|x| > threshold`, 0 elsewhere."""
    x = as_float(x)
    return apply("Where", apply("Greater", apply("Abs", x), threshold), x, as_operand(0.0, x.dtype))


@method
def soft_shrink(x: object, threshold: float = 0.5) -> Operand:
    """`x - threshold` above `threshold`, `x + threshold` below `-threshold`, 0 between."""
    x = as_float(x)
    zero = as_operand(0.0, x.dtype)
    below = apply("Where", apply("Less", x, -threshold), apply("Add", x, threshold), zero)
    return apply("Where", apply("Greater", x, threshold), apply("Sub", x, threshold), below)


@method
def sparse_plus(x: object) -> Operand:
    """0 up to -1, `(x + 1)^2 / 4` between, `x` from 1 on."""
    x = as_float(x)
    y = apply("Add", x, 1)
    parabola = apply("Mul", apply("Mul", y, y), 0.25)
    above = apply("Where", apply("Less", x, 1), parabola, x)
    return apply("Where", apply("LessOrEqual", x, -1), as_operand(0.0, x.dtype), above)


@method
def sparse_sigmoid(x: object) -> Operand:
    """0 up to -1, `(x + 1) / 2` between, 1 from 1 on."""
    return apply("Clip", apply("Mul", apply("Add", as_float(x), 1), 0.5), 0, 1)


@method
def softmax(x: object, axis: int | Sequence[int] = -1) -> Operand:
    """`exp(x) / sum(exp(x))` along `axis`, or along several axes together (ONNX Softmax)."""
    x = as_float(x)
    if isinstance(axis, int):
        return apply("Softmax", x, axis=as_axis(axis, x.ndim, "softmax"))
    axes = ints(*as_axes(axis, x.ndim, "softmax"))
    powers = apply("Exp", apply("Sub", x, apply("ReduceMax", x, axes)))
    return apply("Div", powers, apply("ReduceSum", powers, axes))


@method
def log_softmax(x: object, axis: int | Sequence[int] = -1) -> Operand:
    """`x - log(sum(exp(x)))` along `axis`, or along several axes together (ONNX LogSoftmax)."""
    x = as_float(x)
    if isinstance(axis, int):
        return apply("LogSoftmax", x, axis=as_axis(axis, x.ndim, "log_softmax"))
    axes = ints(*as_axes(axis, x.ndim, "log_softmax"))
    shifted = apply("Sub", x, apply("ReduceMax", x, axes))
    return apply("Sub", shifted, apply("Log", apply("ReduceSum", apply("Exp", shifted), axes)))


@method
def sparsemax(x: object, axis: int = -1) -> Operand:
    """The point of the probability simplex nearest to `x`: `max(x - tau, 0)`, summing to 1 along `axis`.

    Martins and Astudillo 2016.
    """
    x = as_float(x)
    result: Operand = apply_composite("Sparsemax", _sparsemax_body, x, axis=as_axis(axis, x.ndim, "sparsemax"))
    return result


def _sparsemax_body(x: Operand, *, axis: int) -> Operand:
    size = dimension(x, axis)
    ordered = apply_many("TopK", x, vector([size]), axis=axis, outputs=2)[0]
    sums = apply("CumSum", ordered, np.int64(axis))
    end = plus(size, 1)
    count = apply("Range", np.int64(1), end if isinstance(end, Operand) else np.int64(end), np.int64(1))
    count = cast_to(apply("Reshape", count, ints(*(-1 if a == axis else 1 for a in range(x.ndim)))), x.dtype)
    supported = apply("Greater", apply("Add", apply("Mul", count, ordered), 1), sums)
    largest = apply("ReduceMax", apply("Where", supported, count, as_operand(0.0, x.dtype)), ints(axis))
    total = apply("ReduceSum", apply("Where", supported, ordered, as_operand(0.0, x.dtype)), ints(axis))
    tau = apply("Div", apply("Sub", total, 1), largest)
    return apply("Relu", apply("Sub", x, tau))
