"""Gradients through the functions of imported files."""

import numpy as np
import onnx
import pytest
from onnx import parser

import symgraph as sg
from symgraph.runtime.importer import load_graph

HEAD = '<ir_version: 8, opset_import: ["" : 18, "local" : 1]>\n'

SCALED = """
<domain: "local", opset_import: ["" : 18]>
scaled <factor> (x, scale, shift) => (y, sum) {
   given = Constant <value_float: float = @factor> ()
   scaled = Mul (x, given)
   again = Mul (scaled, scale)
   y = Tanh (again)
   sum = Add (y, shift)
}
"""

CLIPPED = """
<domain: "local", opset_import: ["" : 18]>
clipped (x, low, high) => (y, twice) {
   y = Clip (x, low, high)
   twice = Add (x, x)
}
"""

TWICE = """
<domain: "local", opset_import: ["" : 18, "local" : 1]>
twice (x, s) => (y) {
   a = local.inner (x, s)
   y = local.inner (a, s)
}
"""

INNER = """
<domain: "local", opset_import: ["" : 18]>
inner (x, s) => (y) {
   m = Mul (x, s)
   y = Sin (m)
}
"""

X = np.float32([0.5, -0.7, 2.0])


def load(tmp_path, graph, *functions):
    model = parser.parse_model(HEAD + graph + "".join(functions))
    onnx.checker.check_model(model)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return load_graph(path)


def slopes(graph):
    """The gradients of the sum of squares of the outputs with respect to the inputs, and what differences say."""
    loss = sum(sg.sum(y * y) for y in graph.outputs)
    gradients = sg.gradients(loss, list(graph.inputs))
    session = sg.runtime.Session(sg.Graph(graph.inputs, [loss, *gradients]), optimize=False)
    feeds = {name: X + np.float32(0.1) * i for i, name in enumerate(graph.input_names)}
    found = session.run(feeds)[1:]
    wanted = []
    for name in graph.input_names:
        slope = []
        for unit in np.eye(3, dtype=np.float32) * np.float32(1e-2):
            ahead, behind = (session.run({**feeds, name: feeds[name] + s * unit})[0] for s in (1, -1))
            slope.append((ahead - behind) / 2e-2)
        wanted.append(slope)
    return found, wanted


def check(graph):
    found, wanted = slopes(graph)
    np.testing.assert_allclose(found, wanted, rtol=2e-2, atol=2e-2)


def test_a_function_with_an_attribute(tmp_path):
    check(load(tmp_path, "g (float[3] x, float[3] s, float[3] t) => (float[3] y, float[3] z) "
                         "{ y, z = local.scaled <factor: float = 0.5> (x, s, t) }", SCALED))


def test_a_function_whose_second_output_is_left_out(tmp_path):
    check(load(tmp_path, "g (float[3] x, float[3] s) => (float[3] y) "
                         "{ y = local.scaled <factor: float = 0.5> (x, s, s) }", SCALED))


@pytest.mark.parametrize("call", ["y, z = local.clipped (x)", "y, z = local.clipped (x, low)",
                                  'y, z = local.clipped (x, "", high)', "y, z = local.clipped (x, low, high)"])
def test_a_function_whose_optional_inputs_are_left_out(tmp_path, call):
    check(load(tmp_path, "g (float[3] x) => (float[3] y, float[3] z) <float low = {-0.6}, float high = {1.0}> "
                         f"{{ {call} }}", CLIPPED))


def test_a_function_whose_first_output_is_left_out(tmp_path):
    check(load(tmp_path, 'g (float[3] x) => (float[3] z) { "", z = local.clipped (x) }', CLIPPED))


def test_a_function_that_calls_another(tmp_path):
    check(load(tmp_path, "g (float[3] x, float[3] s) => (float[3] y) { y = local.twice (x, s) }", TWICE, INNER))


def test_a_function_of_weights(tmp_path):
    graph = load(tmp_path, "g (float[3] x) => (float[3] y) <float[3] s = {1.0, 2.0, 3.0}> { y = local.inner (x, s) }",
                 INNER)
    (s,) = graph.variables

    (ds,) = sg.gradients(sg.sum(graph.outputs[0]), [s])

    found = sg.runtime.Session(sg.Graph(graph.inputs, [ds])).run({"x": X})[0]
    np.testing.assert_allclose(found, X * np.cos(X * np.float32([1, 2, 3])), rtol=1e-5)


def test_a_schema_function(tmp_path):
    """What the standard itself defines by others, where no rule of ours says more."""
    x = sg.symbol([3], "float32", "x")
    y = sg.ops.onnx("Mish", x)

    (dx,) = sg.gradients(sg.sum(y), [x])

    found = sg.runtime.Session(sg.Graph([x], [dx])).run({"x": X})[0]
    t, s = np.tanh(np.log1p(np.exp(X))), 1 / (1 + np.exp(-X))
    np.testing.assert_allclose(found, t + X * s * (1 - t * t), rtol=1e-4)
