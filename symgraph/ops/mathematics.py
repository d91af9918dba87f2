"""Exponentials, logarithms and the error function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from symgraph.core.composite import DOMAIN, apply_composite
from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand, method
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, promote_to_float

__all__ = [
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "i0",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "sinc",
    "xlogy",
]


@method
def exp(x: object) -> Operand:
    """`eˣ` (ONNX Exp)."""
    return apply("Exp", *promote_to_float(x))


@gradient_of("Exp")
def _exp_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * y


@method
def exp2(x: object) -> Operand:
    """`2ˣ` (ONNX Pow)."""
    (x,) = promote_to_float(x)
    return apply("Pow", as_operand(2.0, x.dtype), x)


@method
def expm1(x: object) -> Operand:
    """`eˣ - 1`, precise near 0."""
    return cast(Operand, apply_composite("Expm1", _expm1, *promote_to_float(x)))


@gradient_of("Expm1", domain=DOMAIN)
def _expm1_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * (y + 1)


def _expm1(x: Operand) -> Operand:
    """Near 0 by `2t / (1 - t)` with `t = tanh(x/2)`."""
    is_near = apply("Less", apply("Abs", x), 0.5)
    t = apply("Tanh", apply("Mul", apply("Where", is_near, x, 0.0), 0.5))
    near = apply("Div", apply("Add", t, t), apply("Sub", 1.0, t))
    return apply("Where", is_near, near, apply("Sub", apply("Exp", x), 1.0))


@method
def log(x: object) -> Operand:
    """`ln x`; NaN below 0 (ONNX Log)."""
    return apply("Log", *promote_to_float(x))


@gradient_of("Log")
def _log_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy / x


@method
def log1p(x: object) -> Operand:
    """`ln(1 + x)`, precise near 0."""
    return cast(Operand, apply_composite("Log1p", _log1p, *promote_to_float(x)))


@gradient_of("Log1p", domain=DOMAIN)
def _log1p_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy / (x + 1)


def _log1p(x: Operand) -> Operand:
    """`ln(u) x / (u - 1)` with `u = 1 + x` rounded: the two rounding errors cancel (Kahan)."""
    u = apply("Add", x, 1.0)
    rest = apply("Sub", u, 1.0)
    is_simple = apply("Or", apply("Equal", rest, 0.0), apply("IsInf", x))
    ratio = apply("Div", apply("Where", is_simple, 1.0, x), apply("Where", is_simple, 1.0, rest))
    return apply(
        "Where", apply("Equal", rest, 0.0), x, apply("Mul", apply("Log", u), ratio))


@method
def log2(x: object) -> Operand:
    """The logarithm to base 2."""
    return apply("Div", log(x), math.log(2.0))


@method
def log10(x: object) -> Operand:
    """The logarithm to base 10."""
    return apply("Div", log(x), math.log(10.0))


@method
def logaddexp(x1: object, x2: object) -> Operand:
    """`ln(e^x1 + e^x2)` without overflow on the way."""
    return cast(Operand, apply_composite("LogAddExp", _logaddexp, *promote_to_float(x1, x2)))


@gradient_of("LogAddExp", domain=DOMAIN, broadcasts=True)
def _logaddexp_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    """Of two equal infinities each has half."""
    is_endless = apply("And", apply("Equal", x1, x2), apply("IsInf", x1))
    gap = apply("Where", is_endless, 0, x1) - apply("Where", is_endless, 0, x2)
    return lambda: dy * apply("Sigmoid", gap), lambda: dy * apply("Sigmoid", -gap)


def _logaddexp(x: Operand, y: Operand) -> Operand:
    large = apply("Max", x, y)
    is_same = apply("Equal", x, y)
    difference = apply("Abs", apply("Sub", apply("Where", is_same, 0.0, x), apply("Where", is_same, 0.0, y)))
    return apply("Add", large, log1p(apply("Exp", apply("Neg", difference))))


@method
def logaddexp2(x1: object, x2: object) -> Operand:
    """`log₂(2^x1 + 2^x2)` without overflow on the way."""
    x, y = promote_to_float(x1, x2)
    factor = math.log(2.0)
    return apply("Div", logaddexp(apply("Mul", x, factor), apply("Mul", y, factor)), factor)


@method
def xlogy(x1: object, x2: object) -> Operand:
    """`x1 ln x2`, and 0 where `x1` is 0."""
    return cast(Operand, apply_composite("XLogY", _xlogy, *promote_to_float(x1, x2)))


@gradient_of("XLogY", domain=DOMAIN, broadcasts=True)
def _xlogy_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    """At two zeros, 0."""
    is_zero = apply("And", apply("Equal", x1, 0), apply("Equal", x2, 0))
    safe = apply("Where", is_zero, 1, x2)
    return lambda: dy * apply("Log", safe), lambda: dy * x1 / safe


def _xlogy(x: Operand, y: Operand) -> Operand:
    is_zero = apply("And", apply("Equal", x, 0.0), apply("Not", apply("IsNaN", y)))
    product = apply("Mul", x, apply("Log", apply("Where", is_zero, 1.0, y)))
    return apply("Where", is_zero, 0.0, product)


@method
def sinc(x: object) -> Operand:
    """`sin(πx) / (πx)`, and 1 at 0."""
    return cast(Operand, apply_composite("Sinc", _sinc, *promote_to_float(x)))


def _sinc(x: Operand) -> Operand:
    is_zero = apply("Equal", x, 0.0)
    angle = apply("Mul", apply("Where", is_zero, 1.0, x), math.pi)
    return apply("Where", is_zero, 1.0, apply("Div", apply("Sin", angle), angle))


@gradient_of("Sinc", domain=DOMAIN)
def _sinc_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * cast(Operand, apply_composite("SincSlope", _sinc_slope, x))


_SINC_SLOPE = tuple((-1) ** k * 2 * k / math.factorial(2 * k + 1) for k in range(11, 0, -1))


def _sinc_slope(x: Operand) -> Operand:
    """`(cos t - sin(t)/t) / t · π` at `t = πx`; near 0, where it cancels, by its series."""
    t = apply("Mul", x, math.pi)
    is_near = apply("Less", apply("Abs", t), 2.0)
    small, large = apply("Where", is_near, t, 0.0), apply("Where", is_near, 1.0, t)
    near = apply("Mul", small, polynomial(apply("Mul", small, small), _SINC_SLOPE))
    far = apply("Div", apply("Sub", apply("Cos", large), apply("Div", apply("Sin", large), large)), large)
    return apply("Mul", apply("Where", is_near, near, far), math.pi)


def polynomial(x: Operand, coefficients: Sequence[float]) -> Operand:
    """`c₀ xⁿ + c₁ xⁿ⁻¹ + … + cₙ` by Horner's rule."""
    result = as_operand(coefficients[0], x.dtype)
    for coefficient in coefficients[1:]:
        result = apply("Add", apply("Mul", result, x), as_operand(coefficient, x.dtype))
    return result


@method
def erf(x: object) -> Operand:
    """The error function `2/√π ∫₀ˣ e^(-t²) dt` (ONNX Erf; in float64 rational functions)."""
    (x,) = promote_to_float(x)
    if x.type is not None and x.dtype == "float64":
        return cast(Operand, apply_composite("Erf", _erf, x))
    return apply("Erf", x)


def _bell(x: Operand) -> Operand:
    """`2/√π e^(-x²)`."""
    return apply("Exp", -(x * x)) * (2 / math.sqrt(math.pi))


@gradient_of("Erf")
@gradient_of("Erf", domain=DOMAIN)
def _erf_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy * _bell(x)


@method
def erfc(x: object) -> Operand:
    """`1 - erf(x)`, precise where it is small, too."""
    return cast(Operand, apply_composite("Erfc", _erfc, *promote_to_float(x)))


@gradient_of("Erfc", domain=DOMAIN)
def _erfc_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return -dy * _bell(x)


# Rational approximations by W. J. Cody's method with the coefficients of Cephes (S. Moshier), ndtr.c.
_ERF = ((9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
         5.55923013010394962768e4),
        (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
         4.92673942608635921086e4))
_ERFC_TO_8 = ((2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
               4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2,
               1.02755188689515710272e3, 5.57535335369399327526e2),
              (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
               9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3,
               5.57535340817727675546e2))
_ERFC_FROM_8 = ((5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0,
                 6.16021097993053585195e0, 7.40974269950448939160e0, 2.97886665372100240670e0),
                (1.0, 2.26052863220117276590e0, 9.39603524938001434673e0, 1.20489539808096656605e1,
                 1.70814450747565897222e1, 9.60896809063285878198e0, 3.36907645100081516050e0))


def _ratio(x: Operand, coefficients: tuple[Sequence[float], Sequence[float]]) -> Operand:
    above, below = coefficients
    return apply("Div", polynomial(x, above), polynomial(x, below))


def _erf_near(x: Operand) -> Operand:
    """erf for |x| ≤ 1."""
    return apply("Mul", x, _ratio(apply("Mul", x, x), _ERF))


def _erfc_far(size: Operand) -> Operand:
    """erfc for sizes from 1."""
    size = apply("Min", size, as_operand(40.0, size.dtype))
    is_middle = apply("Less", size, 8.0)
    middle = _ratio(apply("Min", size, as_operand(8.0, size.dtype)), _ERFC_TO_8)
    far = _ratio(apply("Max", size, as_operand(8.0, size.dtype)), _ERFC_FROM_8)
    decay = apply("Exp", apply("Neg", apply("Mul", size, size)))
    return apply("Mul", decay, apply("Where", is_middle, middle, far))


def _erf(x: Operand) -> Operand:
    size = apply("Abs", x)
    is_near = apply("LessOrEqual", size, 1.0)
    near = _erf_near(apply("Where", is_near, x, 0.0))
    far = apply("Sub", 1.0, _erfc_far(apply("Where", is_near, 1.0, size)))
    return apply("Where", is_near, near, apply("Mul", apply("Sign", x), far))


def _erfc(x: Operand) -> Operand:
    size = apply("Abs", x)
    is_near = apply("LessOrEqual", size, 1.0)
    near = apply("Sub", 1.0, _erf_near(apply("Where", is_near, x, 0.0)))
    tail = _erfc_far(apply("Where", is_near, 1.0, size))
    far = apply("Where", apply("Less", x, 0.0), apply("Sub", 2.0, tail), tail)
    return apply("Where", is_near, near, far)


@method
def erfinv(x: object) -> Operand:
    """The inverse of `erf`: infinite at -1 and 1, NaN beyond (M. Giles, Approximating the erfinv function)."""
    return cast(Operand, apply_composite("ErfInv", _erfinv, *promote_to_float(x)))


@gradient_of("ErfInv", domain=DOMAIN)
def _erfinv_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    return dy / _bell(y)


_GILES_MIDDLE = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
                 -0.00417768164, 0.246640727, 1.50140941)
_GILES_TAIL = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
               0.00943887047, 1.00167406, 2.83297682)


def _erfinv(x: Operand) -> Operand:
    is_inside = apply("Less", apply("Abs", x), 1.0)
    inner = apply("Where", is_inside, x, 0.0)
    w = apply("Neg", apply("Log", apply("Mul", apply("Sub", 1.0, inner), apply("Add", 1.0, inner))))
    is_middle = apply("Less", w, 5.0)
    middle = polynomial(apply("Sub", w, 2.5), _GILES_MIDDLE)
    root = apply("Sqrt", apply("Where", is_middle, 5.0, w))
    tail = polynomial(apply("Sub", root, 3.0), _GILES_TAIL)
    y = apply("Mul", inner, apply("Where", is_middle, middle, tail))
    if x.dtype == "float64":
        y = _newton(_newton(y, inner), inner)
    edge = apply("Mul", apply("Sign", x), as_operand(math.inf, x.dtype))
    outside = apply("Where", apply("Equal", apply("Abs", x), 1.0), edge, as_operand(math.nan, x.dtype))
    return apply("Where", is_inside, y, outside)


def _newton(y: Operand, x: Operand) -> Operand:
    """One step towards `erf(y) = x`, by erfc so that nothing cancels near 1."""
    size = apply("Abs", y)
    miss = apply("Sub", apply("Sub", 1.0, apply("Abs", x)), _erfc(size))
    slope = apply("Mul", apply("Exp", apply("Neg", apply("Mul", y, y))), -2.0 / math.sqrt(math.pi))
    step = apply("Div", miss, slope)
    return apply("Mul", apply("Sign", x), apply("Add", size, step))


@method
def i0(x: object) -> Operand:
    """The modified Bessel function of the first kind and order 0 (Abramowitz and Stegun 9.8.1, 9.8.2; 7 digits)."""
    return cast(Operand, apply_composite("BesselI0", _i0, *promote_to_float(x)))


_I0_NEAR = (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0)
_I0_FAR = (0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565, 0.00225319, 0.01328592,
           0.39894228)


def _i0(x: Operand) -> Operand:
    size = apply("Abs", x)
    is_near = apply("LessOrEqual", size, 3.75)
    ratio = apply("Div", apply("Where", is_near, x, 0.0), 3.75)
    near = polynomial(apply("Mul", ratio, ratio), _I0_NEAR)
    large = apply("Where", is_near, 3.75, size)
    far = apply("Div", polynomial(apply("Div", 3.75, large), _I0_FAR), apply("Sqrt", large))
    return apply("Where", is_near, near, apply("Mul", far, apply("Exp", large)))
