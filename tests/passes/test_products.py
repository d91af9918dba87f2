"""Products that are transposed are turned round; sums of two are additions."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import apply_op, symbol
from symgraph.core.op import find_op
from symgraph.ops import onnx
from symgraph.passes.simplify_sums import simplify_sums
from symgraph.passes.turn_products import turn_products

RNG = np.random.default_rng(0)


def names(graph):
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize("turned", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("bias", [None, (), (1,), (3,), (1, 3), (2, 1), (2, 3)])
def test_a_transposed_product_is_turned_round(turned, bias):
    a, b = symbol((4, 2) if turned[0] else (2, 4), name="a"), symbol((3, 4) if turned[1] else (4, 3), name="b")
    c = () if bias is None else (RNG.normal(size=bias).astype(np.float32),)
    y = onnx("Transpose", onnx("Gemm", a, b, *c, transA=turned[0], transB=turned[1], alpha=2.0, beta=0.5))
    graph = passes.optimize(sg.Graph([a, b], [y]), [turn_products], verify=True)

    assert names(graph) == ["Gemm"] and turn_products(graph) is graph


def test_a_transposed_matmul_of_open_matrices_is_turned_round():
    a, b = symbol(("N", 4), name="a"), symbol((4, "M"), name="b")
    graph = passes.optimize(sg.Graph([a, b], [onnx("Transpose", onnx("MatMul", a, b))]), [turn_products], verify=True)

    assert names(graph) == ["Gemm"]


@pytest.mark.parametrize("build", [
    lambda a, b, c: onnx("Transpose", onnx("Gemm", a, b, c)),
    lambda a, b, c: onnx("Transpose", onnx("Gemm", a, b), perm=[0, 1]),
    lambda a, b, c: onnx("Transpose", onnx("MatMul", onnx("Unsqueeze", a, [0]), b), perm=[0, 2, 1]),
    lambda a, b, c: onnx("Transpose", onnx("MatMul", onnx("Cast", a, to=6), onnx("Cast", b, to=6)))])
def test_what_is_no_turned_product_of_two_matrices_stays(build):
    a, b, c = symbol((2, 4), name="a"), symbol((4, 3), name="b"), symbol((2, 3), name="c")
    graph = sg.Graph([a, b, c], [build(a, b, c)])

    assert turn_products(graph) is graph


@pytest.mark.parametrize(("operator", "count", "wanted"), [
    ("Sum", 1, []), ("Max", 1, []), ("Min", 1, []), ("Mean", 1, []), ("Sum", 2, ["Add"]), ("Sum", 3, ["Sum"]),
    ("Max", 2, ["Max"])])
@pytest.mark.parametrize("version", [8, 13])
def test_sums_of_few_are_simpler(operator, count, wanted, version):
    xs = [symbol(("N", 3), name=f"x{i}") for i in range(count)]
    y = apply_op(find_op(operator, "", version), *xs)
    graph = sg.Graph(xs, [y], output_names=["y"], opsets={"": version})
    after = passes.optimize(graph, [simplify_sums], verify=True)

    assert names(after) == wanted and simplify_sums(after) is after
