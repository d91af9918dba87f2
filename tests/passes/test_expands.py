"""What is spread out for an operator that spreads it out itself need not be, where the result stays as large."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes.remove_expands import remove_expands


def names(graph):
    return [node.op.name for node in graph.nodes]


def optimized(inputs, y):
    graph = passes.optimize(sg.Graph(inputs, [y]), [remove_expands], verify=True)
    assert remove_expands(graph) is graph
    return graph


def ones(shape, value=None):
    return onnx("ConstantOfShape", shape, value=None if value is None else np.array([value], np.float32))


GONE = {
    "row": lambda x, b: x + onnx("Expand", b, onnx("Shape", x)),
    "scalar": lambda x, b: x * onnx("Expand", np.float32(2), onnx("Shape", x)),
    "left": lambda x, b: onnx("Expand", b, onnx("Shape", x)) / x,
    "compared": lambda x, b: onnx("Greater", x, onnx("Expand", b, onnx("Shape", x))),
    "chosen": lambda x, b: onnx("Where", x > 0, x, onnx("Expand", b, onnx("Shape", x))),
    "mask": lambda x, b: onnx("Where", onnx("Expand", b > 0, onnx("Shape", x)), x, np.float32(1)),
    "filled": lambda x, b: x * ones(onnx("Shape", x), 3.0),
    "zeros": lambda x, b: onnx("Where", x > 0, x, ones(onnx("Shape", x))),
    "one of two": lambda x, b: (y := onnx("Expand", b, onnx("Shape", x))) + onnx("Sub", y, x)}


@pytest.mark.parametrize("case", GONE)
@pytest.mark.parametrize("dims", [("N", 3), (2, 3)])
def test_it_goes_where_the_other_operand_is_as_large(case, dims):
    x, b = symbol(dims, name="x"), symbol((3,), name="b")

    assert not {"Expand", "ConstantOfShape"} & set(names(optimized([x, b], GONE[case](x, b))))


STAYS = {
    "both small": (lambda x, b, s: b + onnx("Expand", b, onnx("Shape", x))),
    "rank": (lambda x, b, s: x + onnx("Expand", b, onnx("Concat", [1], onnx("Shape", x), axis=0))),
    "another size": (lambda x, b, s: onnx("Reshape", x, [-1, 1]) * ones(s, 1.0)),
    "of an open size": (lambda x, b, s: x * onnx("Expand", b, s)),
    "power": (lambda x, b, s: onnx("Pow", x, onnx("Expand", np.float32(2), onnx("Shape", x)))),
    "product": (lambda x, b, s: onnx("MatMul", x, onnx("Expand", b, np.int64([3, 3]))))}


@pytest.mark.parametrize("case", STAYS)
def test_it_stays_where_the_result_might_be_smaller_or_round_otherwise(case):
    x, b, s = symbol(("N", 3), name="x"), symbol((3,), name="b"), symbol((2,), "int64", name="s")
    graph = sg.Graph([x, b, s], [STAYS[case](x, b, s)])

    assert {"Expand", "ConstantOfShape"} & set(names(remove_expands(graph)))


def test_two_that_make_each_other_as_large_lose_one():
    x, b = symbol(("N", 3), name="x"), symbol((3,), name="b")
    graph = optimized([x, b], onnx("Expand", b, onnx("Shape", x)) - onnx("Expand", sg.exp(b), onnx("Shape", x)))

    assert names(graph).count("Expand") == 1
