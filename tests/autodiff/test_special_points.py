"""Gradients where functions have kinks, ties, zeros and infinities: what is documented, and never a needless NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgraph as sg


def slope(function: Any, *xs: Any) -> Any:
    """The gradient of the sum of a function with respect to its first argument."""
    return sg.grad(lambda x: sg.sum(function(x, *xs[1:])))(sg.tensor(np.float32(xs[0]))).tolist()


def onnx(name: str, *inputs: Any, **attributes: Any) -> Any:
    return lambda x: sg.ops.onnx(name, x, *inputs, **attributes)


@pytest.mark.parametrize("function", [sg.max, sg.amax, onnx("ReduceMax"), sg.ops.nanmax])
def test_equal_largest_elements_share_the_gradient(function: Any) -> None:
    assert slope(function, [1, 3, 3]) == [0, 0.5, 0.5]


def test_equal_smallest_elements_of_a_row_share_the_gradient() -> None:
    assert slope(lambda x: sg.min(x, axis=1), [[1, 1, 2], [0, 0, 0]]) == pytest.approx(
        np.array([[0.5, 0.5, 0], [1 / 3] * 3]))


def test_nan_takes_no_share_of_nanmax() -> None:
    assert slope(sg.ops.nanmax, [np.nan, 3, 1]) == [0, 1, 0]


@pytest.mark.parametrize(("x", "wanted"), [
    ([2, 3, 4], [12, 8, 6]), ([0, 3, 4], [12, 0, 0]), ([0, 0, 4], [0, 0, 0]), ([0], [1])])
def test_the_gradient_of_a_product_is_the_product_of_the_others(x: Any, wanted: Any) -> None:
    assert slope(sg.prod, x) == wanted


def test_the_hessian_of_a_product_is_right_at_zeros() -> None:
    assert np.array(sg.hessian(sg.prod)(sg.tensor([0.0, 0.0, 5.0]))).tolist() == [[0, 5, 0], [5, 0, 0], [0, 0, 0]]
    assert np.array(sg.hessian(sg.prod)(sg.tensor([0.0, 2.0, 5.0]))).tolist() == [[0, 5, 2], [5, 0, 0], [2, 0, 0]]


@pytest.mark.parametrize("name", ["ReduceL1", "ReduceL2"])
def test_a_norm_has_the_slope_zero_at_zero(name: str) -> None:
    assert slope(onnx(name), [0, 0]) == [0, 0]


@pytest.mark.parametrize("order", [1, 2, 3, 2.5, np.inf])
def test_a_vector_norm_has_no_nan_at_zero(order: float) -> None:
    assert slope(lambda x: sg.ops.norm(x, order, axis=1), [[0, 0], [0, 2]]) == [[0, 0], [0, 1]]


def test_logsumexp_of_nothing_but_minus_infinity_has_no_slope() -> None:
    assert slope(sg.ops.logsumexp, [-np.inf, -np.inf]) == [0, 0]
    assert slope(sg.ops.logsumexp, [-np.inf, 1.0]) == [0, 1]


def test_where_takes_no_nan_from_the_other_branch() -> None:
    assert slope(lambda x: sg.where([True, False], x, np.float32(np.nan)), [1, 2]) == [1, 0]


def test_every_element_put_in_one_place_gets_its_gradient() -> None:
    updates = [[1.0], [2.0]]
    assert slope(lambda u: sg.ops.onnx("ScatterND", sg.zeros((3, 1)), np.array([[1], [1]]), u), updates) == [[1], [1]]


def test_the_extremes_of_a_scatter_share_the_gradient() -> None:
    data = sg.tensor(np.float32([2, 5]))
    assert slope(lambda u: sg.ops.onnx("ScatterElements", data, np.array([0, 0, 1]), u, reduction="max"),
                 [2, 2, 4]) == pytest.approx([1 / 3, 1 / 3, 0])


def test_equal_elements_of_top_k_are_the_first_ones() -> None:
    assert slope(lambda x: sg.ops.top_k(x, 1)[0], [1, 2, 2]) == [0, 1, 0]


def test_unique_passes_its_gradient_to_the_first_of_equal_elements() -> None:
    assert slope(sg.ops.unique, [3, 1, 3]) == [1, 1, 0]


def test_the_gradient_of_a_mean_of_nothing_is_empty() -> None:
    assert slope(onnx("ReduceMean", np.array([1]), keepdims=0), np.zeros((0, 3))) == []


@pytest.mark.parametrize("index", [np.array([1, 1]), np.array([[0], [-1]])])
def test_a_gather_of_a_large_table_makes_no_constant_of_its_size(index: Any) -> None:
    table = sg.symbol((1000, 8), name="table")
    graph = sg.Graph([table], sg.gradients(sg.ops.gather(table, index), [table]))

    assert all(np.size(x) < 100 for x in graph.constants)


def test_a_gather_of_rows_has_no_one_hot_in_its_gradient() -> None:
    table, index = sg.symbol((None, 8), name="table"), sg.symbol((None,), "int64", name="index")
    graph = sg.Graph([table, index], sg.gradients(sg.ops.gather(table, index), [table]))

    assert "ScatterND" in [node.op.name for node in graph.nodes]
    assert not {"OneHot", "Equal"} & {node.op.name for node in graph.nodes}


def test_half_precision_adds_up_in_single_precision() -> None:
    x = sg.tensor(np.ones((2, 2), np.float16))
    dx = sg.grad(lambda x: sg.sum(sg.ops.gather(x, [1, 1, 1])))(x)

    assert (dx.dtype, dx.tolist()) == ("float16", [[0, 0], [3, 3]])


@pytest.mark.parametrize("equation", ["ii->i", "ij->i", "ij,ij->", "...i->i..."])
def test_einsum_of_one_array_twice_counts_both(equation: str) -> None:
    x = np.float64([[1, 2], [3, 4]])
    xs = [x] * (equation.count(",") + 1)
    found = sg.grad(lambda x: sg.sum(sg.einsum(equation, *[x] * len(xs))))(sg.tensor(x))
    steps = [np.sum(np.einsum(equation, *[x + e] * len(xs)) - np.einsum(equation, *[x - e] * len(xs))) / 2e-6
             for e in 1e-6 * np.eye(4).reshape(4, 2, 2)]

    assert np.array(found).ravel() == pytest.approx(np.array(steps), abs=1e-5)


@pytest.mark.parametrize("function", [
    lambda x: sg.ops.onnx("SequenceConstruct", x * x, x)[0],
    lambda x: sg.ops.onnx("SplitToSequence", x * x, np.int64(2)),
    lambda x: sg.ops.onnx("SplitToSequence", x * x, np.array([1, 2])),
    lambda x: sg.ops.onnx("SplitToSequence", x * x, keepdims=0)])
def test_a_tape_follows_values_into_a_list(function: Any) -> None:
    found = slope(lambda x: sum(map(sg.sum, function(x))), [1, 2, 3])

    assert found == [2, 4, 6]
