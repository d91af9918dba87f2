"""Gradient rules of activations; at a kink the slope is that below it, as in torch: `relu'(0) = 0`."""

from __future__ import annotations

import math

from symgraph.core.composite import DOMAIN
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.ops.activations import softplus
from symgraph.ops.applying import apply
from symgraph.ops.mathematics import erf
from symgraph.ops.promotion import cast_to
from symgraph.ops.sizes import ints

SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


def _where_positive(x: Operand, then: object, otherwise: object) -> Operand:
    return apply("Where", apply("Greater", x, 0), then, otherwise)


@gradient_of("Relu")
def _relu_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """A product, as in TensorFlow: ONNX Runtime's Where takes four times as long, for it guesses at every element."""
    return dy * cast_to(apply("Greater", y, 0), dy.dtype)


@gradient_of("LeakyRelu")
def _leaky_relu_gradient(dy: Operand, y: Operand, x: Operand, *, alpha: float = 0.01) -> Operand:
    return _where_positive(x, dy, dy * alpha)


@gradient_of("PRelu", broadcasts=True)
def _prelu_gradient(dy: Operand, y: Operand, x: Operand, slope: Operand) -> Gradients:
    return lambda: _where_positive(x, dy, dy * slope), lambda: _where_positive(x, 0, dy * x)


@gradient_of("ThresholdedRelu")
def _thresholded_relu_gradient(dy: Operand, y: Operand, x: Operand, *, alpha: float = 1.0) -> Operand:
    return apply("Where", apply("Greater", x, alpha), dy, 0)


@gradient_of("Elu")
def _elu_gradient(dy: Operand, y: Operand, x: Operand, *, alpha: float = 1.0) -> Operand:
    return _where_positive(x, dy, dy * (y + alpha))


@gradient_of("Celu")
def _celu_gradient(dy: Operand, y: Operand, x: Operand, *, alpha: float = 1.0) -> Operand:
    return _where_positive(x, dy, dy * (y / alpha + 1))


@gradient_of("Selu")
def _selu_gradient(dy: Operand, y: Operand, x: Operand, *, alpha: float = SELU_ALPHA, gamma: float = SELU_GAMMA,
                   ) -> Operand:
    return _where_positive(x, dy * gamma, dy * (y + alpha * gamma))


@gradient_of("Shrink")
def _shrink_gradient(dy: Operand, y: Operand, x: Operand, *, bias: float = 0.0, lambd: float = 0.5) -> Operand:
    return apply("Where", apply("Greater", apply("Abs", x), lambd), dy, 0)


@gradient_of("Sigmoid")
def _sigmoid_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * (y * (1 - y))


@gradient_of("HardSigmoid")
def _hard_sigmoid_gradient(dy: Operand, y: Operand, x: Operand, *, alpha: float = 0.2, beta: float = 0.5) -> Operand:
    """At both kinks 0."""
    is_inside = apply("And", apply("Greater", y, 0), apply("Less", y, 1))
    return apply("Where", is_inside, dy * alpha, 0)


@gradient_of("HardSwish")
def _hard_swish_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """`x/3 + 1/2` between -3 and 3; at both kinks the slope outside."""
    inner = apply("Where", apply("Less", apply("Abs", x), 3), dy * (x / 3 + 0.5), dy)
    return apply("Where", apply("Greater", x, -3), inner, 0)


@gradient_of("Softplus")
@gradient_of("Softplus", domain=DOMAIN)
def _softplus_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * apply("Sigmoid", x)


@gradient_of("Softsign")
def _softsign_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    root = 1 / (apply("Abs", x) + 1)
    return dy * (root * root)


@gradient_of("Mish")
def _mish_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    gate = apply("Tanh", softplus(x))
    return dy * (gate + x * (1 - gate * gate) * apply("Sigmoid", x))


@gradient_of("Swish")
def _swish_gradient(dy: Operand, y: Operand, x: Operand, *, alpha: float = 1.0) -> Operand:
    gate = apply("Sigmoid", x * alpha)
    return dy * (gate + y * (1 - gate) * alpha)


@gradient_of("SwiGLU")
def _swiglu_gradient(dy: Operand, y: Operand, a: Operand, b: Operand, *, alpha: float = 1.0) -> Gradients:
    gate = apply("Sigmoid", a * alpha)
    return lambda: dy * b * (gate + a * gate * (1 - gate) * alpha), lambda: dy * (a * gate)


@gradient_of("Gelu")
@gradient_of("Gelu", domain=DOMAIN)
def _gelu_gradient(dy: Operand, y: Operand, x: Operand, *, approximate: str | bytes = "none") -> Operand:
    """`Φ(x) + x φ(x)`, of the normal distribution or of what stands for it."""
    if approximate in ("tanh", b"tanh"):
        return dy * _gelu_tanh_slope(x)
    return dy * ((erf(x * math.sqrt(0.5)) + 1) * 0.5 + x * apply("Exp", x * x * -0.5) * (1 / math.sqrt(2 * math.pi)))


def _gelu_tanh_slope(x: Operand) -> Operand:
    """With `t = tanh(u)`, `(1 + t)/2 + x (1 - t²) u'/2`, which is 0 or 1 long before `u'` overflows."""
    x = apply("Clip", x, -20, 20)
    square = x * x
    t = apply("Tanh", x * (square * 0.044715 + 1) * math.sqrt(2 / math.pi))
    slope = (square * (3 * 0.044715) + 1) * math.sqrt(2 / math.pi)
    return (t + 1 + x * (1 - t * t) * slope) * 0.5


@gradient_of("Sparsemax", domain=DOMAIN)
def _sparsemax_gradient(dy: Operand, y: Operand, x: Operand, *, axis: int) -> Operand:
    """`dy` less its mean, over those above 0 alone."""
    is_kept = apply("Greater", y, 0)
    kept = apply("Where", is_kept, dy, 0)
    count = apply("ReduceSum", cast_to(is_kept, x.dtype), ints(axis))
    return apply("Where", is_kept, dy - apply("ReduceSum", kept, ints(axis)) / count, 0)
