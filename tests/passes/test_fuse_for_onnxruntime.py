"""Convolutions with sums and activations, and gates, become ONNX Runtime's own operators."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes import fuse_for_onnxruntime

KERNEL, BIAS = np.random.default_rng(0).normal(size=(5, 3, 2, 2)).astype(np.float32), np.arange(5, dtype=np.float32)


def conv(x, bias=True):
    return onnx("Conv", x, KERNEL, *((BIAS,) if bias else ()))


def fused(graph):
    after = passes.optimize(graph, [fuse_for_onnxruntime], verify=True)
    assert fuse_for_onnxruntime(after) is after
    return [node.op.name for node in after.nodes]


ACTIVATIONS = {
    "Relu": lambda y: onnx("Relu", y), "Sigmoid": lambda y: onnx("Sigmoid", y), "Tanh": lambda y: onnx("Tanh", y),
    "LeakyRelu": lambda y: onnx("LeakyRelu", y, alpha=0.3),
    "HardSigmoid": lambda y: onnx("HardSigmoid", y, alpha=0.3, beta=0.1),
    "Clip": lambda y: onnx("Clip", y, np.float32(-1), np.float32(0.5))}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [2, "N"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_convolution_takes_in_an_activation_and_a_sum(name, batch, bias):
    x, z = symbol((batch, 3, 6, 5), name="x"), symbol((batch, 5, 5, 4), name="z")
    activation = ACTIVATIONS[name]

    assert fused(sg.Graph([x], [activation(conv(x, bias))])) == ["FusedConv"]
    assert fused(sg.Graph([x, z], [activation(conv(x, bias) + z)])) == ["FusedConv"]
    assert fused(sg.Graph([x, z], [activation(z + conv(x, bias))])) == ["FusedConv"]


def test_a_convolution_takes_in_another():
    x = symbol((1, 3, 6, 5), name="x")

    assert fused(sg.Graph([x], [onnx("Relu", conv(x) + conv(sg.exp(x)))])) == ["Exp", "Conv", "FusedConv"]


@pytest.mark.parametrize("shape", [(5, 5, 4), (1, 5, 5, 4), (2, 5, 1, 1), (2, 1, 5, 4), (1, 2, 5, 5, 4)])
def test_what_must_be_spread_out_is_added_outside(shape):
    x, z = symbol((2, 3, 6, 5), name="x"), symbol(shape, name="z")

    assert "Add" in fused(sg.Graph([x, z], [conv(x) + z]))


def test_a_sum_of_an_open_size_without_a_name_is_added_outside():
    x, z = symbol((None, 3, 6, 5), name="x"), symbol((None, 5, 5, 4), name="z")
    graph = sg.Graph([x, z], [conv(x) + z])

    assert fuse_for_onnxruntime(graph) is graph


def test_a_convolution_added_to_itself_stays_one():
    x = symbol((1, 3, 6, 5), name="x")
    y = conv(x)

    assert fused(sg.Graph([x], [y + y])) == ["Conv", "Add"]


def test_a_sum_after_an_activation_is_added_outside():
    x, z = symbol((2, 3, 6, 5), name="x"), symbol((2, 5, 5, 4), name="z")

    assert fused(sg.Graph([x, z], [onnx("Relu", conv(x)) + z])) == ["FusedConv", "Add"]


@pytest.mark.parametrize(("build", "wanted"), [
    (lambda x: x * sg.sigmoid(x), ["QuickGelu"]), (lambda x: sg.sigmoid(x) * x, ["QuickGelu"]),
    (lambda x: x * sg.sigmoid(x * np.float32(1.702)), ["QuickGelu"]),
    (lambda x: x * sg.sigmoid(sg.tanh(x)), ["Tanh", "Sigmoid", "Mul"]),
    (lambda x: x * sg.sigmoid(x * np.float32([1, 2, 3])), ["Mul", "Sigmoid", "Mul"]),
    (lambda x: x / sg.sigmoid(x), ["Sigmoid", "Div"])])
def test_a_gate_of_the_same_value_is_one_operator(build, wanted):
    x = symbol(("N", 3), name="x")

    assert fused(sg.Graph([x], [build(x)])) == wanted
