"""`straight_through`: gradients pass quantised values as if nothing were rounded, and none beyond their range."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg

X = np.float32([[0.1, 3.4, -1000, 70], [0.2, -0.3, 0.4, 0.5]])
DY = np.float32([[1, 2, 3, 4], [5, 6, 7, 8]])


def rounded(x: Any, scale: Any, zero: Any, **attributes: Any) -> Any:
    q = sg.ops.onnx("QuantizeLinear", x, scale, zero, **attributes)
    return sg.ops.onnx("DequantizeLinear", q, scale, zero, **attributes)


def wanted(scale: np.ndarray[Any, Any], zero: np.ndarray[Any, Any], low: int = -128, high: int = 127) -> Any:
    """The gradients of x and, by element, of the scale."""
    place = np.round(X / scale) + zero
    is_inside = (place >= low) & (place <= high)
    steps = np.clip(place, low, high) - zero
    return DY * is_inside, DY * (steps - np.where(is_inside, X / scale, 0))


def test_without_it_quantised_values_have_no_gradient() -> None:
    dx, ds = sg.grads(lambda x, s: sg.sum(rounded(x, s, np.int8(3)) * DY))(X, np.float32(0.5))

    assert not np.array(dx).any()
    assert float(ds) == np.sum(DY * (np.clip(np.round(X / 0.5) + 3, -128, 127) - 3))


def test_a_scale_and_what_is_in_range_have_one() -> None:
    with sg.straight_through():
        dx, ds = sg.grads(lambda x, s: sg.sum(rounded(x, s, np.int8(3)) * DY))(X, np.float32(0.5))
    to_x, to_scale = wanted(np.float32(0.5), np.int8(3))

    np.testing.assert_allclose(np.array(dx), to_x)
    np.testing.assert_allclose(float(ds), to_scale.sum(), rtol=1e-5)


SPREADS = [
    ("a scale for each column", {"axis": -1}, np.float32([0.5, 0.1, 0.2, 1]), np.int8([1, 2, 0, 0]), lambda s: s,
     lambda g: g.sum(0)),
    ("a scale for each row", {"axis": 0}, np.float32([0.5, 0.1]), np.int8([1, 2]), lambda s: s[:, None],
     lambda g: g.sum(1)),
    ("a scale for each block", {"axis": 1, "block_size": 3}, np.float32([[0.5, 0.1], [0.2, 1]]),
     np.int8([[1, 2], [3, 4]]), lambda s: np.repeat(s, 3, 1)[:, :4],
     lambda g: np.stack([g[:, :3].sum(1), g[:, 3:].sum(1)], 1)),
]


@pytest.mark.filterwarnings("ignore::symgraph.runtime.KernelFallbackWarning")
@pytest.mark.parametrize(("attributes", "scale", "zero", "spread", "gather"), [row[1:] for row in SPREADS],
                         ids=[row[0] for row in SPREADS])
@pytest.mark.parametrize("kind", ["values", "static", "dynamic"])
def test_every_kind_of_scale(attributes: Any, scale: Any, zero: Any, spread: Any, gather: Any, kind: str) -> None:
    def scalar(x: Any, s: Any) -> Any:
        return sg.sum(rounded(x, s, zero, **attributes) * DY)

    with sg.straight_through():
        if kind == "values":
            dx, ds = (np.array(d) for d in sg.grads(scalar)(X, scale))
        else:
            dims = (lambda a: [None] * a.ndim) if kind == "dynamic" else (lambda a: a.shape)
            symbols = [sg.symbol(dims(X), name="x"), sg.symbol(dims(scale), name="s")]
            found = sg.gradients(scalar(*symbols), symbols)
            dx, ds = sg.runtime.Session(sg.Graph(symbols, found)).run({"x": X, "s": scale})
    to_x, to_scale = wanted(spread(scale), spread(zero))

    np.testing.assert_allclose(dx, to_x, rtol=1e-6)
    np.testing.assert_allclose(ds, gather(to_scale), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_the_range_is_that_of_the_integers(dtype: str) -> None:
    limits = np.iinfo(dtype)
    with sg.straight_through():
        dx = sg.grad(lambda x: sg.sum(rounded(x, np.float32(0.5), np.array(7, dtype)) * DY))(X)

    np.testing.assert_allclose(
        np.array(dx), wanted(np.float32(0.5), np.array(7), int(limits.min), int(limits.max))[0])


def test_what_moves_integers_is_passed() -> None:
    factors = np.arange(8, dtype=np.float32).reshape(2, 4)

    def moved(x: Any) -> Any:
        q = sg.ops.onnx("QuantizeLinear", x, np.float32(0.5), np.int8(0))
        q = sg.transpose(sg.reshape(q, (4, 2)))
        return sg.sum(sg.ops.onnx("DequantizeLinear", q, np.float32(0.5)) * factors)

    with sg.straight_through():
        dx = sg.grad(moved)(X)

    assert dx.tolist() == [[0, 4, 0, 0], [2, 6, 3, 7]]


def test_dynamic_quantisation_has_the_gradient_of_rounding_nothing() -> None:
    def dynamic(x: Any) -> Any:
        return sg.sum(sg.ops.onnx("DequantizeLinear", *sg.ops.onnx("DynamicQuantizeLinear", x, outputs=3)) * DY[1])

    with sg.straight_through():
        dx = np.array(sg.grad(dynamic)(X[1]))

    np.testing.assert_allclose(dx, DY[1], atol=0.1)


def test_a_tape_sees_it_where_it_records_inside() -> None:
    x = sg.Variable(X)
    with sg.straight_through(), sg.GradientTape() as tape:
        y = sg.sum(rounded(x, np.float32(0.5), np.int8(0)))
    with sg.straight_through():
        dx = tape.gradient(y, x)

    assert dx.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_a_second_derivative_passes() -> None:
    with sg.straight_through():
        slope = sg.grad(lambda x: sg.sum(sg.grad(lambda x: sg.sum(rounded(x, np.float32(0.5), np.int8(0)) ** 2))(x)))(X)

    assert slope.tolist() == [[2, 2, 0, 0], [2, 2, 2, 2]]


@pytest.mark.filterwarnings("ignore::symgraph.runtime.KernelFallbackWarning")
def test_floats_of_few_bits_are_passed_always() -> None:
    dx = sg.grad(lambda x: sg.sum(sg.ops.onnx("DequantizeLinear", sg.ops.onnx(
        "QuantizeLinear", x, np.float32(0.5), output_dtype=17), np.float32(0.5))))(np.float32([0.1, 3.4, -1000, 500]))

    assert dx.tolist() == [1, 1, 0, 0]
