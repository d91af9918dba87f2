"""Choosing opsets, and moving nodes between them."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper, parser

from symgraph.core.apply import apply_op, symbol
from symgraph.core.errors import UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.runtime import evaluate
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph
from symgraph.runtime.opsets import choose_opsets, convert


def load(opset, body, declared="float[2, 3, 4] x", weights=()):
    proto = parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g ({declared}) => (y) {{ {body} }}')
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights)
    return load_graph(proto)


def run(graph, *values):
    """The first output, as ONNX Runtime alone gives it for the exported model."""
    model = to_model(graph).model
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(graph.input_names, values, strict=True)))[0]


X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)

UPWARDS = {
    "reduce": (11, "y = ReduceMean <axes = [1], keepdims = 0> (x)", X),
    "reduce-all": (11, "y = ReduceMax (x)", X),
    "reduce-sum": (11, "y = ReduceSum <axes = [-1]> (x)", X),
    "squeeze": (11, "a = ReduceSum <axes = [1]> (x)  y = Squeeze <axes = [1]> (a)", X),
    "unsqueeze": (11, "y = Unsqueeze <axes = [0, -1]> (x)", X),
    "softmax": (11, "y = Softmax (x)", X),
    "softmax-last": (11, "y = LogSoftmax <axis = -1> (x)", X),
    "softmax-first": (11, "y = Softmax <axis = 0> (x)", X),
    "split": (11, "a, b = Split <axis = 2> (x)  y = Sub (a, b)", X),
    "split-sizes": (11, "a, y = Split <axis = 2, split = [1, 3]> (x)", X),
    "slice": (9, "y = Slice <axes = [1, 2], starts = [0, 1], ends = [2, 3]> (x)", X),
    "pad": (10, "y = Pad <pads = [0, 1, 0, 0, 0, 2], value = 3.0> (x)", X),
    "clip": (10, "y = Clip <min = -0.5, max = 0.25> (x)", X),
    "clip-one-side": (10, "y = Clip <max = 0.25> (x)", X),
    "top-k": (9, "y, i = TopK <axis = 2, k = 2> (x)", X),
    "dropout": (10, "y = Dropout <ratio = 0.3> (x)", X),
    "upsample": (9, "a = Unsqueeze <axes = [0]> (x)  y = Upsample <mode = \"nearest\"> (a, s)", X),
    "upsample-linear": (9, "a = Unsqueeze <axes = [0]> (x)  y = Upsample <mode = \"linear\"> (a, s)", X),
    "upsample-attribute": (8, "a = Unsqueeze <axes = [0]> (x)  y = Upsample <scales = [1.0, 1.0, 2.0, 2.0]> (a)", X),
    "resize": (10, "a = Unsqueeze <axes = [0]> (x)  y = Resize <mode = \"nearest\"> (a, s)", X),
    "resize-down": (10, "a = Unsqueeze <axes = [0]> (x)  y = Resize <mode = \"nearest\"> (a, half)", X)}


@pytest.mark.parametrize("name", UPWARDS)
def test_a_node_of_an_old_opset_gives_the_same_in_the_default_one(name):
    opset, body, x = UPWARDS[name]
    weights = [("s", np.float32([1, 1, 2, 2])), ("half", np.float32([1, 1, 0.5, 0.5]))]
    graph = load(opset, body, weights=[w for w in weights if f" {w[0]})" in body])

    moved = convert(graph, 21)

    assert all(node.op.version <= 21 <= node.op.last_version for node in moved.nodes)
    assert moved.opsets[""] == 21
    np.testing.assert_allclose(run(moved, x), run(graph, x), rtol=1e-6)


@pytest.mark.parametrize("body", [
    "b = Constant <value = float[3] {1, 2, 3}> ()  y = Mul <axis = 1, broadcast = 1> (x, b)",
    "n = Constant <value = float[3] {-1, -2, -3}> ()  b = Neg (n)  y = Mul <axis = 1, broadcast = 1> (x, b)"])
def test_operands_that_broadcast_from_an_axis_on_get_their_dimensions(body):
    moved = convert(load(6, body), 21)

    np.testing.assert_allclose(run(moved, X), X * np.float32([1, 2, 3])[:, None])


def test_outputs_keep_names_and_types_when_they_move():
    graph = load(11, "a = ReduceSum <axes = [1]> (x)  y = Squeeze <axes = [1]> (a)")

    moved = convert(graph, 21)

    assert moved.find("a").type == graph.find("a").type
    assert moved.output_names == graph.output_names
    assert moved.outputs[0].type == graph.outputs[0].type


def test_a_head_of_another_opset_on_an_imported_model_exports_as_one():
    base = load(9, "y = Pad <pads = [0, 0, 0, 0, 0, 2]> (x)")
    head = apply_op("ReduceMean", base.outputs[0], np.int64([1]), keepdims=0)
    mixed = Graph(base.inputs, [head], opsets=base.opsets)

    model = to_model(mixed).model

    assert model.opset_import[0].version == 18  # the first in which the head stands
    np.testing.assert_allclose(run(mixed, X), np.pad(X, ((0, 0), (0, 0), (0, 2))).mean(1), rtol=1e-5)


def test_an_opset_in_which_all_nodes_stand_is_found_without_conversion():
    base = load(11, "y = Add (x, x)")
    mixed = Graph(base.inputs, [apply_op(find_op("Relu", opset=13), base.outputs[0])], opsets=base.opsets)

    assert choose_opsets(base) == {"": 11}
    assert choose_opsets(base, 12) == {"": 12}
    assert choose_opsets(Graph(base.inputs, base.outputs)) == {"": 12}
    assert [node.op.version for node in convert(mixed, 13).nodes] == [13, 13]


def test_nodes_in_subgraphs_and_functions_move_too():
    graph = load_graph(parser.parse_model('''<ir_version: 8, opset_import: ["" : 11, "local" : 1]>
        g (bool c, float[2, 3] x) => (float[2] y) {
            y = If (c) <then_branch = a () => (float[2] t) { t = ReduceSum <axes = [1], keepdims = 0> (x) },
                        else_branch = b () => (float[2] e) { e = local.f (x) }>
        }
        <domain: "local", opset_import: ["" : 11]> f (v) => (r) { r = ReduceMean <axes = [1], keepdims = 0> (v) }'''))

    moved = convert(graph, 21)

    x = np.float32([[1, 2, 3], [4, 5, 6]])
    assert run(moved, np.array(True), x).tolist() == [6, 15]
    assert run(moved, np.array(False), x).tolist() == [2, 5]


def test_what_cannot_be_converted_is_listed_all_at_once():
    x = symbol((2, 4), name="x")
    y = apply_op("LayerNormalization", apply_op("Gelu", x), np.ones(4, np.float32))

    with pytest.raises(UnsupportedOpError, match=r"opset 13.*Gelu.*20.*LayerNormalization.*17"):
        convert(Graph([x], [y]), 13)


def test_an_input_that_must_become_an_attribute_has_to_be_a_constant():
    x, axes = symbol((2, 4), name="x"), symbol((1,), "int64", name="axes")
    graph = Graph([x, axes], [apply_op("ReduceSum", x, axes)])

    with pytest.raises(UnsupportedOpError, match=r"ReduceSum.*not a constant"):
        convert(graph, 11)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_softmax_of_one_axis_is_said_in_the_old_way(axis):
    x = symbol((2, 3, 4), name="x")
    graph = Graph([x], [apply_op("Softmax", x, axis=axis)])

    np.testing.assert_allclose(run(convert(graph, 11), X), evaluate(graph, X)[0].numpy(), rtol=1e-5)


def test_a_graph_that_stands_in_the_opset_keeps_its_nodes():
    graph = load(13, "y = Relu (x)")

    assert convert(graph, 13).nodes == graph.nodes
