"""What elementwise gradients are at kinks, ties, zeros, infinities and NaN."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgraph as sg
from symgraph.runtime import KernelFallbackWarning
from tests.autodiff.table_elementwise import onnx

inf, nan = math.inf, math.nan

KINKS = [
    ("absolute at 0", sg.absolute, [0.0], [0.0]),
    ("relu at 0", sg.relu, [0.0], [0.0]),
    ("leaky_relu at 0", sg.leaky_relu, [0.0], [0.2]),
    ("LeakyRelu at 0", onnx("LeakyRelu", alpha=0.5), [0.0], [0.5]),
    ("hard_tanh at its bounds", sg.hard_tanh, [-1.0, 1.0], [1.0, 1.0]),
    ("maximum at a tie", lambda x: sg.maximum(x, 1.0), [1.0], [0.5]),
    ("minimum at a tie", lambda x: sg.minimum(x, 1.0), [1.0], [0.5]),
    ("Max of one tensor three times", lambda x: onnx("Max")(x, x, x), [1.0], [1.0]),
    ("clip at its bounds", lambda x: sg.clip(x, 0.0, 1.0), [0.0, 1.0], [0.5, 0.5]),
    ("Clip at its bounds", lambda x: onnx("Clip")(x, 0.0, 1.0), [0.0, 1.0], [1.0, 1.0]),
    ("sqrt at 0", sg.sqrt, [0.0], [inf]),
    ("cbrt at 0", sg.cbrt, [0.0], [inf]),
    ("asin at 1", sg.asin, [1.0], [inf]),
    ("hypot at the origin", lambda x: sg.hypot(x, x), [0.0], [0.0]),
    ("hypot on an axis", lambda x: sg.hypot(x, 0.0), [2.0, -2.0], [1.0, -1.0]),
    ("hypot of large numbers", lambda x: sg.hypot(x, x), [1e200], [math.sqrt(2)]),
    ("atan2 at the origin", lambda x: sg.atan2(x, x), [0.0], [0.0]),
    ("power 0 at 0", lambda x: sg.power(x, sg.tensor(np.float64([0.0]))), [0.0], [0.0]),
    ("power 1 at 0", lambda x: sg.power(x, sg.tensor(np.float64([1.0]))), [0.0], [1.0]),
    ("power 2 at 0", lambda x: sg.power(x, sg.tensor(np.float64([2.0]))), [0.0], [0.0]),
    ("0 to a power", lambda x: sg.power(sg.tensor(np.float64([0.0])), x), [2.0], [0.0]),
    ("xlogy at two zeros", lambda x: sg.xlogy(x, x), [0.0], [0.0]),
    ("xlogy with x = 0", lambda x: sg.xlogy(x, 2.0), [0.0], [math.log(2.0)]),
    ("divide_no_nan by 0", lambda x: sg.divide_no_nan(1.0, x), [0.0, 2.0], [0.0, -0.25]),
    ("logaddexp of equal infinities", lambda x: sg.logaddexp(x, x), [-inf, inf], [1.0, 1.0]),
    ("logaddexp with nothing", lambda x: sg.logaddexp(x, -inf), [3.0], [1.0]),
    ("log1p at 0", sg.log1p, [0.0], [1.0]),
    ("expm1 far out", sg.expm1, [-800.0, 0.0], [0.0, 1.0]),
    ("sinc at 0", sg.sinc, [0.0], [0.0]),
    ("sigmoid far out", sg.sigmoid, [-1000.0, 1000.0], [0.0, 0.0]),
    ("softplus far out", sg.softplus, [-1000.0, 0.0, 1000.0], [0.0, 0.5, 1.0]),
    ("gelu far out", sg.gelu, [-1000.0, 0.0, 1000.0], [0.0, 0.5, 1.0]),
    ("gelu by tanh far out", lambda x: sg.gelu(x, approximate=True), [-1e200, 0.0, 1e200], [0.0, 0.5, 1.0]),
    ("elu far out", lambda x: sg.elu(x, 0.3), [-1000.0, 1000.0], [0.0, 1.0]),
    ("selu far out", sg.selu, [1000.0], [1.0507009873554805]),
    ("mish far out", sg.mish, [-1000.0, 1000.0], [0.0, 1.0]),
    ("squareplus far out", sg.squareplus, [0.0, 1e5], [0.5, 1.0]),
    ("nan_to_num", sg.nan_to_num, [nan, inf, -inf, 2.0], [0.0, 0.0, 0.0, 1.0]),
    ("fmax beside NaN", lambda x: sg.fmax(x, nan), [2.0], [1.0]),
    ("nanmean", lambda x: sg.nanmean(x * 1.0), [1.0, nan], [1.0, 0.0]),
    ("nanvar", lambda x: sg.nanvar(x * 1.0), [1.0, 3.0, nan], [-1.0, 1.0, 0.0]),
    ("nanvar of NaN alone", sg.nanvar, [nan], [0.0]),
    ("std of equal numbers", lambda x: sg.std(x * 1.0), [2.0, 2.0], [0.0, 0.0]),
    ("nanstd of equal numbers", lambda x: sg.ops.nanstd(x * 1.0), [2.0, nan, 2.0], [0.0, 0.0, 0.0]),
    ("nansum", lambda x: sg.nansum(x * x), [3.0, nan], [6.0, nan]),
    ("where beside NaN", lambda x: sg.where(x > 0.0, sg.log(sg.where(x > 0.0, x, 1.0)), 0.0), [2.0, -1.0], [0.5, 0.0]),
    ("quantile between equal elements", lambda x: sg.quantile(x, 0.25), [1.0, 1.0], [0.75, 0.25]),
    ("cummax of equal elements", sg.cummax, [1.0, 1.0, 0.0], [1.0, 2.0, 0.0]),
    ("cumprod of zeros", sg.cumprod, [0.0, 2.0, 0.0, 3.0], [3.0, 0.0, 0.0, 0.0]),
    ("fmod of a quotient that is nearly whole", lambda x: sg.fmod(0.3, x), [0.1], [-2.0]),
]


@pytest.mark.parametrize(("function", "point", "slope"), [row[1:] for row in KINKS], ids=[row[0] for row in KINKS])
def test_a_gradient_at_a_special_point(function: Callable[..., Any], point: list[float], slope: list[float]) -> None:
    dx = sg.grad(lambda x: sg.sum(function(x)))(np.float64(point))

    np.testing.assert_allclose(np.array(dx), slope, rtol=1e-6, atol=1e-12)


STEPS = ["sign", "floor", "ceil", "round", "trunc"]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_contributes_nothing(name: str) -> None:
    dx = sg.grad(lambda x: sg.sum(x * getattr(sg, name)(x)))(np.float64([1.5, -0.5]))

    np.testing.assert_array_equal(np.array(dx), getattr(sg, name)(np.float64([1.5, -0.5])).numpy())


def test_a_floor_division_contributes_nothing() -> None:
    dx, dy = sg.grads(lambda x, y: sg.sum(x // y * x))(np.float64([7.0, -7.0]), np.float64([2.0, 0.0]))

    np.testing.assert_array_equal(np.array(dx), [3.0, -inf])
    np.testing.assert_array_equal(np.array(dy), [0.0, 0.0])


def test_the_second_derivative_of_x_to_the_y_by_both_is_right_at_y_0() -> None:
    mixed = sg.grad(lambda x: sg.grad(lambda y: x**y)(sg.tensor(np.float64(0.0))))(np.float64(2.0))

    assert float(mixed) == 0.5


def erf(x: Any) -> Any:
    return sg.cast(sg.erf(sg.cast(x, "float64")), "float32")


NAMES = [
    ("Erf", {}, erf),
    ("Celu", {}, sg.elu),
    ("Celu", {"alpha": 0.5}, lambda x: sg.where(x > 0, x, 0.5 * sg.expm1(x / 0.5))),
    ("Gelu", {}, lambda x: 0.5 * x * (1 + erf(x * math.sqrt(0.5)))),
    ("Gelu", {"approximate": "tanh"},
     lambda x: 0.5 * x * (1 + sg.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))),
    ("Shrink", {}, lambda x: sg.soft_shrink(x, 0.5)),
    ("Shrink", {"lambd": 0.2, "bias": 0.1}, lambda x: sg.where(sg.absolute(x) > 0.2, x - 0.1 * sg.sign(x), 0.0)),
    ("Mish", {}, sg.mish),
    ("Swish", {"alpha": 0.5}, lambda x: x * sg.sigmoid(0.5 * x)),
    ("HardSwish", {}, sg.hard_silu),
    ("Softplus", {}, lambda x: sg.log(1 + sg.exp(x))),
]
"""Operators whose kernels are there, or precise, in float32 alone."""


@pytest.mark.parametrize(("name", "attributes", "formula"), NAMES)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_in_float32_an_operator_has_the_gradients_of_its_formula(
        name: str, attributes: dict[str, Any], formula: Callable[..., Any], order: int) -> None:
    def slope(function: Callable[..., Any]) -> Any:
        scalar = lambda x: sg.sum(function(x))  # noqa: E731
        for _ in range(order - 1):
            scalar = (lambda f: lambda x: sg.sum(sg.grad(f)(x)))(scalar)
        return np.array(sg.grad(scalar)(np.float32([-2.2, -0.7, -0.3, 0.1, 0.6, 2.5])))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KernelFallbackWarning)
        np.testing.assert_allclose(slope(onnx(name, **attributes)), slope(formula), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "exp", "sqrt", "erf"])
def test_gradients_in_float16_are_those_in_float32(name: str) -> None:
    x = np.float16([0.25, 1.0, 3.0])
    scalar = lambda x: sg.sum(getattr(sg, name)(x))  # noqa: E731
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KernelFallbackWarning)
        dx = sg.grad(scalar)(x)

    assert dx.dtype == "float16"
    np.testing.assert_allclose(np.array(dx), np.array(sg.grad(scalar)(x.astype(np.float32))), rtol=5e-3, atol=1e-3)


def test_gelu_by_tanh_has_no_nan_where_float16_overflows() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KernelFallbackWarning)
        dx = sg.grad(lambda x: sg.sum(sg.gelu(x, approximate=True)))(np.float16([-300.0, 300.0]))

    assert dx.tolist() == [0.0, 1.0]
