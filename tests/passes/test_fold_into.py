"""Scales and shifts by constants go into the weights before them, where shapes allow it."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes import fold_into_convolution
from symgraph.passes.fold_into_matmul import fold_into_matmul

RNG = np.random.default_rng(0)
W, B, S = (RNG.normal(size=shape).astype(np.float32) for shape in ((4, 3), (3,), (3,)))
KERNEL = RNG.normal(size=(5, 3, 2, 2)).astype(np.float32)
NORMAL = [np.float32([1, -2, 3]), np.float32([0, 1, -1]), np.float32([0.5, 0, 2]), np.float32([1, 2, 0.1])]


def names(graph):
    return [node.op.name for node in graph.nodes]


def optimized(x, y, each):
    graph = passes.optimize(sg.Graph([x], [y]), [each], verify=True)
    assert each(graph) is graph
    return graph


INTO_MATMUL = {
    "scaled": (lambda x: onnx("MatMul", x, W) * S, ["MatMul"]),
    "scaled from the left": (lambda x: S * onnx("MatMul", x, W), ["MatMul"]),
    "by a number": (lambda x: onnx("MatMul", x, W) * np.float32(2), ["MatMul"]),
    "divided": (lambda x: onnx("MatMul", x, W) / S.reshape(1, 3), ["MatMul"]),
    "gemm": (lambda x: onnx("Gemm", x, W, B) * S, ["Gemm"]),
    "gemm turned": (lambda x: onnx("Gemm", x, np.ascontiguousarray(W.T), B, transB=1) / S, ["Gemm"]),
    "gemm of a number": (lambda x: onnx("Gemm", x, W, np.float32(1)) * S, ["Gemm"]),
    "normalised": (lambda x: onnx("BatchNormalization", onnx("MatMul", x, W), *NORMAL), ["Gemm"]),
    "gemm normalised": (lambda x: onnx("BatchNormalization", onnx("Gemm", x, W, B), *NORMAL), ["Gemm"]),
    "normalised behind a reshape": (lambda x: onnx("BatchNormalization", onnx(
        "Reshape", onnx("MatMul", x, W), [-1, 3, 1, 1]), *NORMAL), ["Gemm", "Reshape"])}

LEFT = {
    "larger": lambda x: onnx("MatMul", x, W) * S.reshape(1, 1, 3),
    "by row": lambda x: onnx("MatMul", x, W) * np.float32([[1], [2]]),
    "divided into": lambda x: S / onnx("MatMul", x, W),
    "by zero": lambda x: onnx("MatMul", x, W) / np.float32(0),
    "too small": lambda x: onnx("MatMul", x, W) * np.float32(1e-40),
    "with alpha": lambda x: onnx("Gemm", x, W, B, alpha=2.0) * S,
    "a bias of rows": lambda x: onnx("Gemm", x, W, np.ones((2, 1), np.float32)) * S,
    "channels elsewhere": lambda x: onnx("BatchNormalization", onnx(
        "Reshape", onnx("MatMul", x, W), [1, 3, 2]), *NORMAL),
    "in training": lambda x: onnx("BatchNormalization", onnx("MatMul", x, W), *NORMAL, training_mode=1, outputs=3)[0]}


@pytest.mark.parametrize("case", INTO_MATMUL)
@pytest.mark.parametrize("batch", [2, "N"])
def test_columns_are_scaled_in_the_weights(case, batch):
    build, wanted = INTO_MATMUL[case]
    x = symbol((batch, 4), name="x")

    assert names(optimized(x, build(x), fold_into_matmul)) == wanted


@pytest.mark.parametrize("case", LEFT)
def test_what_is_not_by_column_or_no_number_stays(case):
    x = symbol((2, 4), name="x")
    graph = sg.Graph([x], [LEFT[case](x)])

    assert fold_into_matmul(graph) is graph


def test_a_product_that_others_read_stays():
    x = symbol((2, 4), name="x")
    y = onnx("MatMul", x, W)
    graph = sg.Graph([x], [y * S, y])

    assert fold_into_matmul(graph) is graph


def test_a_normalisation_of_many_axes_becomes_a_sum():
    x = symbol(("N", 2, 4), name="x")
    y = onnx("BatchNormalization", onnx("Reshape", onnx("MatMul", x, W), [-1, 3, 1]), *NORMAL)

    assert names(optimized(x, y, fold_into_matmul)) == ["MatMul", "Add", "Reshape"]


@pytest.mark.parametrize(("shape", "is_folded"), [
    ((), True), ((1,), True), ((5, 1, 1), True), ((1, 5, 1, 1), True), ((5,), False), ((1, 1, 4, 1), False),
    ((1, 1, 1, 5, 1, 1), False), ((1, 1, 1, 1, 1), False), ((2, 5, 1, 1), False), ((1, 1, 1, 1), True)])
@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
def test_only_constants_by_channel_go_into_a_convolution(shape, is_folded, operator):
    x = symbol((2, 3, 5, 6), name="x")
    constant = RNG.uniform(1, 2, shape).astype(np.float32)
    graph = optimized(x, onnx(operator, onnx("Conv", x, KERNEL), constant), fold_into_convolution)

    assert (names(graph) == ["Conv"]) == is_folded
