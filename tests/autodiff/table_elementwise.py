"""Elementwise functions; the family whose third derivatives are checked too."""

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, apart, normal, positive


def inside(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Numbers between -0.8 and 0.8."""
    return np.random.default_rng([seed, *shape]).uniform(-0.8, 0.8, shape)


def onnx(name: str, opset: int | None = None, **attributes: Any) -> Callable[..., Any]:
    """The ONNX operator in the version of an opset."""
    return lambda *xs: apply_op(find_op(name, "", opset), *xs, **attributes)


SMOOTH = [
    Case("divide", lambda x, y: x / y, (normal(2, 3), positive(2, 1)), order=3),
    Case("power", lambda x, y: x**y, (positive(2, 3), normal(3)), order=3),
    Case("power of negative numbers", lambda x: x**3.0, (apart(4),), order=3),
    Case("power to the integers", lambda x: onnx("Pow")(x, np.int64([0, 1, 2, 3])), (apart(2, 4),), order=3),
    Case("power of a number", lambda x: sg.power(2.0, x), (normal(3),), order=3),
    Case("exp", sg.exp, (normal(2, 3),), order=3),
    Case("exp2", sg.exp2, (normal(3),)),
    Case("expm1", sg.expm1, (normal(2, 3) * 0.6,), order=3),
    Case("log", sg.log, (positive(2, 3),), order=3),
    Case("log2", sg.log2, (positive(3),)),
    Case("log10", sg.log10, (positive(3),)),
    Case("log1p", sg.log1p, (positive(2, 3) - 1,), order=3),
    Case("logaddexp", sg.logaddexp, (normal(2, 3), normal(3, seed=1)), order=3),
    Case("logaddexp of equal numbers", sg.logaddexp, (np.ones(2), np.ones(2)), order=3),
    Case("logaddexp2", sg.logaddexp2, (normal(3), normal(3, seed=1))),
    Case("xlogy", sg.xlogy, (normal(2, 3), positive(2, 1)), order=3),
    Case("sinc", sg.sinc, (np.array([-1.7, 0.0, 1e-5, 0.8]),), order=3),
    Case("erf", sg.erf, (normal(2, 3),), order=3),
    Case("Erf", onnx("Erf"), (normal(3),), dtype="float32"),
    Case("erfc", sg.erfc, (normal(2, 3) * 2,), order=3),
    Case("erfinv", sg.erfinv, (inside(2, 3),), order=3),
    Case("i0", sg.i0, (np.array([-5.0, 0.0, 0.5]),)),
    Case("sqrt", sg.sqrt, (positive(2, 3),), order=3),
    Case("rsqrt", sg.rsqrt, (positive(3),), order=3),
    Case("cbrt", sg.cbrt, (apart(2, 3),), order=3),
    Case("reciprocal", sg.reciprocal, (positive(2, 3) * np.array([1, -1, 1]),), order=3),
    Case("hypot", sg.hypot, (apart(2, 3), positive(2, 1)), order=3),
    Case("divide_no_nan", sg.divide_no_nan, (normal(2, 3), positive(3)), order=3),
    Case("sin", sg.sin, (normal(2, 3),), order=3),
    Case("cos", sg.cos, (normal(2, 3),), order=3),
    Case("tan", sg.tan, (inside(2, 3),), order=3),
    Case("tan by its ONNX name", onnx("Tan"), (inside(3),), order=3),
    Case("asin", sg.asin, (inside(2, 3),), order=3),
    Case("asin by its ONNX name", onnx("Asin"), (inside(3),), order=3),
    Case("acos", sg.acos, (inside(2, 3),), order=3),
    Case("acos by its ONNX name", onnx("Acos"), (inside(3),), order=3),
    Case("atan", sg.atan, (normal(2, 3) * 2,), order=3),
    Case("atan by its ONNX name", onnx("Atan"), (normal(3),), order=3),
    Case("atan2", sg.atan2, (apart(2, 3), apart(3, seed=1) + 1), order=3),
    Case("sinh", sg.sinh, (normal(2, 3),), order=3),
    Case("sinh by its ONNX name", onnx("Sinh"), (normal(3),), order=3),
    Case("cosh", sg.cosh, (normal(2, 3),), order=3),
    Case("cosh by its ONNX name", onnx("Cosh"), (normal(3),), order=3),
    Case("tanh", sg.tanh, (normal(2, 3),), order=3),
    Case("asinh", sg.asinh, (normal(2, 3) * 2,), order=3),
    Case("asinh by its ONNX name", onnx("Asinh"), (normal(3),), order=3),
    Case("acosh", sg.acosh, (positive(2, 3) + 1,), order=3),
    Case("acosh by its ONNX name", onnx("Acosh"), (positive(3) + 1,), order=3),
    Case("atanh", sg.atanh, (inside(2, 3),), order=3),
    Case("atanh by its ONNX name", onnx("Atanh"), (inside(3),), order=3),
    Case("deg2rad and rad2deg", lambda x: sg.deg2rad(x) * sg.rad2deg(x), (normal(3),)),
    Case("square", sg.square, (normal(3),), order=3),
    Case("squared_difference", sg.squared_difference, (normal(2, 3), normal(3, seed=1)), order=3),
    Case("ldexp", sg.ldexp, (normal(3), normal(3, seed=1))),
    Case("float_power", sg.float_power, (positive(3), normal(3))),
]

LINEAR = [
    Case("add", lambda x, y: x + y, (normal(2, 3), normal(3, seed=1))),
    Case("subtract from a scalar", lambda x, y: x - y, (normal(), normal(2, 3))),
    Case("multiply", lambda x, y: x * y, (normal(2, 1, 3), normal(4, 1, seed=1)), order=3),
    Case("multiply nothing", lambda x, y: x * y, (normal(0, 3), normal(3))),
    Case("negative", lambda x: -x, (normal(3),)),
    Case("Sum of one", onnx("Sum"), (normal(3),)),
    Case("Sum of three", onnx("Sum"), (normal(2, 3), normal(3, seed=1), normal(seed=2))),
    Case("Mean of three", onnx("Mean"), (normal(2, 3), normal(3, seed=1), normal(2, 1, seed=2))),
    Case("cast", lambda x: sg.cast(x, "float64"), (normal(3),)),
    Case("CastLike", lambda x: onnx("CastLike")(x, np.float64(1)), (normal(3),)),
    Case("identity", onnx("Identity"), (normal(2, 3),)),
]

PIECEWISE = [
    Case("absolute", sg.absolute, (apart(2, 3),), order=3),
    Case("maximum", sg.maximum, (apart(2, 3), apart(3, seed=1) + 0.06)),
    Case("minimum", sg.minimum, (apart(2, 3), apart(2, 1, seed=1) + 0.06)),
    Case("maximum of products", lambda x, y: sg.maximum(x * y, x), (apart(4), apart(4, seed=1) + 0.06), order=3),
    Case("maximum with a scalar", lambda x: sg.maximum(x, 0.1), (apart(4),)),
    Case("maximum of nothing", sg.maximum, (normal(0, 3), normal(1, 3))),
    Case("Max of one", onnx("Max"), (normal(3),)),
    Case("Max of three", onnx("Max"), (apart(2, 3), apart(3, seed=1) + 0.06, apart(2, 1, seed=2) - 0.06)),
    Case("Max of opset 8", onnx("Max", 8), (apart(2, 3), apart(3, seed=1) + 0.06, normal(seed=3))),
    Case("Min of three", onnx("Min"), (apart(2, 3), apart(3, seed=1) + 0.06, apart(2, 1, seed=2) - 0.06)),
    Case("fmax", sg.fmax, (apart(4), apart(4, seed=1) + 0.06)),
    Case("fmin", sg.fmin, (apart(4), apart(4, seed=1) + 0.06)),
    Case("copysign", sg.copysign, (apart(2, 3), apart(3, seed=1))),
    Case("heaviside", lambda x, y: sg.heaviside(np.array([-1.0, 0.0, 2.0]) + 0 * x, y), (np.zeros(()), normal(2, 3))),
    Case("mod", sg.mod, (apart(2, 3), np.array([0.7, -0.9, 1.1]))),
    Case("fmod", sg.fmod, (apart(2, 3), np.array([0.7, -0.9, 1.1]))),
    Case("fmod by its ONNX name", onnx("Mod", 10, fmod=1), (apart(2, 3), np.array([0.7, -0.9, 1.1]))),
    Case("clip", lambda x: sg.clip(x, -0.3, 0.3), (apart(2, 3),)),
    Case("clip of squares", lambda x: sg.clip(x * x * x, -0.2, 0.2), (apart(6),), order=3),
    Case("Clip with both bounds", onnx("Clip"), (apart(2, 3), np.array(-0.3), np.array(0.3))),
    Case("Clip with a lower bound", onnx("Clip"), (apart(2, 3), np.array(-0.3))),
    Case("Clip with an upper bound", lambda x, high: onnx("Clip")(x, None, high), (apart(2, 3), np.array(0.3))),
    Case("Clip without bounds", onnx("Clip"), (apart(2, 3),)),
    Case("Clip with crossed bounds", onnx("Clip"), (apart(2, 3), np.array(0.3), np.array(-0.3))),
    Case("Clip of opset 6", onnx("Clip", 6, min=-0.3, max=0.3), (apart(2, 3),)),
    Case("Clip of opset 6 with one bound", onnx("Clip", 6, max=0.3), (apart(2, 3),)),
    Case("nan_to_num", lambda x: sg.nan_to_num(sg.where(x > 1.0, x * x, np.inf), posinf=3.0), (positive(4),)),
]

CASES = [*SMOOTH, *LINEAR, *PIECEWISE]
