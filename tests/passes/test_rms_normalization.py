"""Root-mean-square normalisation is recognised in the ways exporters write it out."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import apply_op, symbol
from symgraph.core.op import find_op
from symgraph.ops import onnx
from symgraph.passes.fuse_rms_normalization import fuse_rms_normalization
from symgraph.passes.recognize_rms_normalization import recognize_rms_normalization
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph

W = np.float32([1, 2, -3, 0.5])


def names(graph):
    return [node.op.name for node in graph.nodes]


def square(x, *, as_power=True, axes=(-1,)):
    squares = onnx("Pow", x, np.float32(2)) if as_power else x * x
    return onnx("ReduceMean", squares, np.int64(axes)) + np.float32(1e-6)


FORMS = {
    "llama": lambda x, w: w * (x * onnx("Reciprocal", onnx("Sqrt", square(x)))),
    "divided": lambda x, w: x / onnx("Sqrt", square(x, as_power=False)) * w,
    "one over": lambda x, w: x * (np.float32(1) / onnx("Sqrt", square(x))) * w,
    "power": lambda x, w: x * onnx("Pow", square(x), np.float32(-0.5)) * w}




@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weight", ["constant", "given"])
def test_it_becomes_one_operator(form, weight):
    x, w = symbol(("N", 3, 4), name="x"), symbol((4,), name="w")
    y = FORMS[form](x, sg.tensor(W) if weight == "constant" else w)
    graph = sg.Graph([x, w], [y])

    fused = passes.optimize(graph, [fuse_rms_normalization], verify=True)

    assert names(fused) == ["SimplifiedLayerNormalization"]
    assert fuse_rms_normalization(fused) is fused
    assert recognize_rms_normalization(graph) is graph
    assert names(passes.optimize(graph, passes.ONNXRUNTIME)) == ["SimplifiedLayerNormalization"]


def test_in_a_graph_of_opset_23_it_is_the_standard_operator():
    x = symbol(("N", 4), name="x")
    mean = apply_op(find_op("Identity", "", 23), FORMS["llama"](x, sg.tensor(W)))
    graph = passes.optimize(sg.Graph([x], [mean], opsets={"": 23}), [recognize_rms_normalization], verify=True)

    assert names(graph) == ["RMSNormalization", "Identity"]


def test_without_a_weight_it_is_one_of_ones():
    x = symbol((2, 4), name="x")
    graph = passes.optimize(sg.Graph([x], [x / onnx("Sqrt", square(x))]), [fuse_rms_normalization], verify=True)

    assert names(graph) == ["SimplifiedLayerNormalization"]


def test_an_open_size_may_be_none_which_the_operator_refuses():
    x, w = symbol(("N", "D"), name="x"), symbol(("D",), name="w")
    graph = sg.Graph([x, w], [FORMS["llama"](x, w)])

    assert fuse_rms_normalization(graph) is graph


def test_float16_that_is_normalised_in_float32_needs_no_casts():
    x = symbol((2, 4), "float16", name="x")
    wide = onnx("Cast", x, to=1)
    y = onnx("Cast", wide * onnx("Reciprocal", onnx("Sqrt", square(wide))), to=10) * W.astype(np.float16)
    graph = passes.optimize(sg.Graph([x], [y]), [fuse_rms_normalization], verify=True)

    assert names(graph) == ["SimplifiedLayerNormalization"]


@pytest.mark.parametrize("build", [
    lambda x: x / onnx("Sqrt", square(x, axes=(1,))), lambda x: sg.exp(x) / onnx("Sqrt", square(x)),
    lambda x: x / onnx("Sqrt", onnx("ReduceMean", onnx("Pow", x, np.float32(3)), np.int64([-1])) + np.float32(1)),
    lambda x: x / onnx("Sqrt", onnx("ReduceMean", x * x, np.int64([-1]))),
    lambda x: onnx("Sqrt", square(x)) / x])
def test_what_only_looks_like_it_stays(build):
    x = symbol((2, 3, 4), name="x")
    graph = sg.Graph([x], [build(x)])

    assert fuse_rms_normalization(graph) is graph


def test_a_mean_square_that_others_read_stays():
    x = symbol((2, 4), name="x")
    mean = square(x)
    graph = sg.Graph([x], [x / onnx("Sqrt", mean), mean])

    assert fuse_rms_normalization(graph) is graph


def test_the_operator_comes_back_from_a_file():
    x = symbol(("N", 4), name="x")
    fused = fuse_rms_normalization(sg.Graph([x], [FORMS["llama"](x, sg.tensor(W))]))

    assert names(load_graph(to_model(fused).model)) == ["SimplifiedLayerNormalization"]
