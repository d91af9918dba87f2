"""Constants that change nothing, and roots that divide."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.ops import onnx

RNG = np.random.default_rng(0)


def names(graph):
    return [node.op.name for node in graph.nodes]


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


@pytest.mark.parametrize("make", [
    lambda x: x * ones(3), lambda x: ones(1, 3) * x, lambda x: x / ones(4, 1),
    lambda x: x - np.zeros((4, 3), np.float32),
    lambda x: x + np.full(3, -0.0, np.float32), lambda x: np.full(3, -0.0, np.float32) + x])
def test_tensors_of_ones_and_zeros_go(make):
    x = sg.symbol((None, 4, 3), name="x")

    assert names(passes.optimize(sg.Graph([x], [onnx("Tanh", make(x))]), passes.TRAINING, verify=True)) == ["Tanh"]


@pytest.mark.parametrize("make", [
    lambda x: x * ones(2, 4, 3), lambda x: x * ones(1, 1, 4, 3), lambda x: x * np.float32([1, 1, 2]),
    lambda x: x + np.zeros(3, np.float32), lambda x: x - np.full(3, -0.0, np.float32), lambda x: ones(3) / x])
def test_what_makes_the_result_larger_or_changes_a_sign_of_zero_stays(make):
    x = sg.symbol((None, 4, 3), name="x")
    graph = sg.Graph([x], [make(x)])

    assert passes.remove_neutral(graph) is graph


def test_whole_numbers_do_not_tell_zeros_apart():
    x = sg.symbol((4, 3), "int32", name="x")
    graph = sg.Graph([x], [onnx("Neg", x + np.zeros(3, np.int32)), onnx("Abs", x * ones(3, dtype=np.int32))])

    assert sorted(names(passes.optimize(graph, passes.TRAINING, verify=True))) == ["Abs", "Neg"]


def state(x, hidden, value):
    size = onnx("Gather", onnx("Shape", x), np.array([1]))
    shape = onnx("Concat", np.array([1]), size, np.array([hidden]), axis=0)
    return onnx("Expand", np.float32(value).reshape(1, 1, 1), shape)


def recurrent(op, x, *states, gates, hidden=4):
    w, r = (RNG.normal(size=(1, gates * hidden, n)).astype(np.float32) for n in (3, hidden))
    outputs = 3 if op == "LSTM" else 2
    return onnx(op, x, w, r, None, None, *states, outputs=outputs, hidden_size=hidden)[0]


@pytest.mark.parametrize(("op", "gates", "count"), [("RNN", 1, 1), ("GRU", 3, 1), ("LSTM", 4, 2)])
def test_recurrent_layers_start_from_zeros_without_being_told(op, gates, count):
    x = sg.symbol(("T", "N", 3), name="x")
    graph = sg.Graph([x], [recurrent(op, x, *[state(x, 4, 0.0)] * count, gates=gates)])

    after = passes.optimize(graph)  # no proof: ONNX Runtime's GRU and LSTM end the process where a batch is empty
    assert names(after) == [op]
    point = RNG.normal(size=(5, 2, 3)).astype(np.float32)
    for a, b in zip(sg.runtime.evaluate(graph, point), sg.runtime.evaluate(after, point), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_states_that_are_not_zeros_stay():
    x = sg.symbol(("T", "N", 3), name="x")
    after = passes.optimize(sg.Graph([x], [recurrent("GRU", x, state(x, 4, 0.5), gates=3)]))

    assert "Expand" in names(after)


@pytest.mark.parametrize("invert", [lambda v: 1.0 / v, lambda v: onnx("Reciprocal", v)])
def test_what_is_multiplied_by_the_inverse_of_a_root_is_divided_by_it(invert):
    x, v = sg.symbol((2, 8), name="x"), sg.symbol((2, 1), name="v")
    root = onnx("Sqrt", v)

    assert names(passes.optimize(sg.Graph([x, v], [x * invert(root)]), verify=True)) == ["Sqrt", "Div"]
    plain = sg.Graph([x, v], [x * invert(v)])
    assert passes.divide_by_root(plain) is plain
    shared = sg.Graph([x, v], [x * (y := invert(root)), y])
    assert passes.divide_by_root(shared) is shared
