"""Group normalisation is recognised in the form PyTorch exports."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes.recognize_group_normalization import recognize_group_normalization

W, B = np.arange(6, dtype=np.float32).reshape(6, 1, 1), np.linspace(-1, 1, 6, dtype=np.float32).reshape(1, 6, 1, 1)
ONES, ZEROS = np.ones(2, np.float32), np.zeros(2, np.float32)


def grouped(x, back=(0, 6, 4, 5), scale=ONES, offset=ZEROS, target=(0, 2, -1)):
    rows = onnx("InstanceNormalization", onnx("Reshape", x, np.int64(target)), scale, offset, epsilon=1e-3)
    return onnx("Reshape", rows, np.int64(back))


def fused(x, y):
    graph = passes.optimize(sg.Graph([x], [y]), [recognize_group_normalization], verify=True)
    assert recognize_group_normalization(graph) is graph
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize("build", [
    lambda x: grouped(x), lambda x: grouped(x) * W + B, lambda x: B + W * grouped(x),
    lambda x: grouped(x, scale=np.float32([2, 3]), offset=np.float32([1, -1])) * W, lambda x: (grouped(x) + B) * W,
    lambda x: grouped(x) * np.float32(3)])
@pytest.mark.parametrize("batch", [2, "N"])
def test_groups_are_one_operator(build, batch):
    x = symbol((batch, 6, 4, 5), name="x")

    assert fused(x, build(x)) == ["GroupNormalization"]


@pytest.mark.parametrize("build", [
    lambda x: grouped(x, back=(0, 4, 6, 5)), lambda x: grouped(x, target=(1, 2, -1), back=(2, 6, 4, 5)),
    lambda x: grouped(x, target=(0, 2, 3, -1), back=(0, 2, 3, -1))])
def test_other_reshapes_stay(build):
    x = symbol((2, 6, 4, 5), name="x")
    graph = sg.Graph([x], [build(x)])

    assert recognize_group_normalization(graph) is graph


def test_what_is_not_by_channel_is_multiplied_outside():
    x = symbol((2, 6, 4, 5), name="x")

    assert fused(x, grouped(x) * np.arange(5, dtype=np.float32)) == ["GroupNormalization", "Mul"]
