"""Gradients of branches and loops: of files, of variables, exported, and where there are none."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, parser

import symgraph as sg
from symgraph.core.errors import GradientError
from symgraph.core.scope import tracing
from symgraph.runtime.importer import load_graph

X = np.float32([0.5, -0.7, 2.0])
HEAD = '<ir_version: 8, opset_import: ["" : 18]>\n'


def load(tmp_path, text):
    model = parser.parse_model(HEAD + text) if isinstance(text, str) else text
    onnx.checker.check_model(model)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return load_graph(path)


def check(graph, feeds, order=1, atol=3e-2):
    """Gradients of a sum of squares, by inputs and variables, against differences along a random direction each."""
    feeds = {name: np.asarray(x) for name, x in feeds.items()}
    sources = [x for x in (*graph.inputs, *graph.variables) if x.dtype == "float32"]
    with tracing():
        loss = sum(sg.sum(y * y) for y in graph.outputs if y.dtype == "float32")
        for _ in range(order - 1):
            slopes = sg.gradients(loss, sources, unconnected_gradients="zero")
            loss = sum(sg.sum(dx) * 0.1 for dx in slopes)
    gradients = sg.gradients(loss, sources, unconnected_gradients="zero")
    whole = sg.Graph(graph.inputs, [loss, *gradients])
    lifted, variables = sg.autodiff.lifting.lift_variables(whole)
    session = sg.runtime.Session(lifted, optimize=False)
    given = {**feeds, **dict(zip(lifted.input_names[len(graph.inputs):], (v.numpy() for v in variables), strict=True))}
    names = {**dict(zip(graph.inputs, lifted.input_names, strict=False)),
             **dict(zip(variables, lifted.input_names[len(graph.inputs):], strict=True))}
    rng = np.random.default_rng(0)
    for x, dx in zip(sources, session.run(given)[1:], strict=True):
        step = rng.normal(size=dx.shape).astype(np.float32)
        ahead, behind = (session.run({**given, names[x]: given[names[x]] + s * np.float32(1e-2) * step})[0]
                         for s in (1, -1))
        wanted = (ahead - behind) / 2e-2
        np.testing.assert_allclose(np.sum(dx * step), wanted, rtol=3e-2, atol=atol, err_msg=str(x))
    return session


LOOP = """
g (float[3] x, int64 n, bool go) => (float[3] y, float[K, 3] ys) <float[3] w = {{0.5, 0.9, -0.5}}> {{
   y, ys = Loop ({inputs}) <body = b (int64 i, bool c, float[3] v) => (bool d, float[3] u, float[3] out) {{
       p = Mul (v, w)
       u = Add (p, x)
       s = ReduceSum <keepdims = 0> (u)
       limit = Constant <value_float = 40.0> ()
       small = Less (s, limit)
       most = Constant <value_int = 4> ()
       early = Less (i, most)
       d = And (small, early)
       out = Sin (v)
   }}>
}}
"""


@pytest.mark.parametrize("inputs", ["n, go, x", 'n, "", x', '"", go, x', '"", "", x'])
@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("order", [1, 2])
def test_a_loop_of_a_file(tmp_path, inputs, steps, order):
    graph = load(tmp_path, LOOP.format(inputs=inputs))

    check(graph, {"x": X, "n": np.int64(steps), "go": np.array(steps > 0)}, order)


def test_a_loop_without_carried_values(tmp_path):
    graph = load(tmp_path, """
g (float[3] x, int64 n, bool go) => (float[K, 3] ys) {
   ys = Loop (n, go) <body = b (int64 i, bool c) => (bool d, float[3] out) {
       d = Identity (c)
       f = Cast <to = 1> (i)
       a = Mul (x, f)
       out = Sin (a)
   }>
}
""")

    check(graph, {"x": X, "n": np.int64(3), "go": np.array(True)})


def test_a_loop_with_a_growing_value_of_a_file(tmp_path):
    graph = load(tmp_path, """
g (float[N] x, int64 n) => (float[M] y) {
   y = Loop (n, "", x) <body = b (int64 i, bool c, float[K] v) => (bool d, float[L] u) {
       d = Identity (c)
       s = Sin (v)
       u = Concat <axis = 0> (s, x)
   }>
}
""")

    check(graph, {"x": X, "n": np.int64(3)})
    check(graph, {"x": X, "n": np.int64(2)}, order=2)


def test_a_rank_that_the_file_does_not_say_is_that_of_the_first_value(tmp_path):
    graph = load(tmp_path, """
g (float[3] x, int64 n) => (float[3] y) {
   y = Loop (n, "", x) <body = b (int64 i, bool c, float[] v) => (bool d, float[] u) {
       d = Identity (c)
       s = Sin (v)
       u = Mul (s, x)
   }>
}
""")

    check(graph, {"x": X, "n": np.int64(3)}, order=2)


def test_a_value_whose_rank_changes_is_refused(tmp_path):
    graph = load(tmp_path, """
g (float[3] x, int64 n) => (float y) {
   z = Loop (n, "", x) <body = b (int64 i, bool c, float v) => (bool d, float u) {
       d = Identity (c)
       axes = Constant <value_ints = [0]> ()
       w = Unsqueeze (v, axes)
       u = Mul (w, w)
   }>
   y = ReduceSum <keepdims = 0> (z)
}
""".replace("float v)", "float[] v)"))
    with pytest.raises(GradientError, match=r"Loop.*rank"):
        sg.gradients(graph.outputs[0], [graph.inputs[0]])


def branches(tmp_path):
    return load(tmp_path, """
g (float[3] x, bool p) => (float[3] y) <float[3] w = {0.5, 1.5, -0.5}> {
   y = If (p) <then_branch = a () => (float[3] u) { u = Mul (x, w) }, else_branch = b () => (float[3] v) {
       z = Sin (x)
       v = Mul (z, z)
   }>
}
""")


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("order", [1, 2])
def test_branches_of_a_file(tmp_path, value, order):
    check(branches(tmp_path), {"x": X, "p": np.array(value)}, order)


def first_scan(directions, *, has_lengths):
    """A Scan as opset 8 had it: with a batch, and lengths."""
    def declared(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    body = helper.make_graph(
        [helper.make_node("Mul", ["s", "x"], ["sx"]), helper.make_node("Add", ["sx", "w"], ["n"]),
         helper.make_node("Identity", ["n"], ["o"])], "body", [declared("s", [2]), declared("x", [2])],
        [declared("n", [2]), declared("o", [2])])
    node = helper.make_node("Scan", ["lengths" if has_lengths else "", "s0", "xs"], ["last", "ys"], body=body,
                            num_scan_inputs=1, directions=directions)
    inputs = [declared("s0", [2, 2]), declared("xs", [2, 3, 2])]
    if has_lengths:
        inputs.insert(0, helper.make_tensor_value_info("lengths", TensorProto.INT64, [2]))
    graph = helper.make_graph([node], "g", inputs, [declared("last", [2, 2]), declared("ys", [2, 3, 2])],
                              [helper.make_tensor("w", TensorProto.FLOAT, [2], [0.5, -0.25])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=4)


@pytest.mark.parametrize("has_lengths", [True, False])
@pytest.mark.parametrize("direction", [0, 1])
def test_the_first_version_of_scan(tmp_path, direction, has_lengths):
    graph = load(tmp_path, first_scan([direction], has_lengths=has_lengths))
    feeds = {"s0": np.float32([[1, 2], [3, 4]]) / 4, "xs": np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 12}
    feeds.update({"lengths": np.int64([2, 3])} if has_lengths else {})
    plain = ort.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"]).run(None, feeds)

    check(graph, feeds)

    newer = sg.runtime.Session(sg.Graph(graph.inputs, [y * 1.0 for y in graph.outputs]), optimize=False)
    for found, wanted in zip(newer.run(feeds), plain, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def everything(x, w):
    """A branch in a loop in a scan, that reads a variable in each."""
    def step(carry, row):
        def again(i, v):
            return sg.cond(sg.sum(v) > 0.0, lambda: v * w + row, lambda: v - w)

        new = sg.fori_loop(0, 2, again, carry)
        return new, new * row

    return sg.scan(step, x[0], x)


ROWS = np.float32([[0.5, -0.7], [1.1, 0.3], [-0.4, 0.9]])


def test_a_variable_read_in_every_body():
    w = sg.Variable(np.float32([0.6, 0.8]))
    x = sg.symbol([3, 2], "float32", "x")
    with tracing():
        graph = sg.Graph([x], everything(x, w))

    check(graph, {"x": ROWS})
    check(graph, {"x": ROWS}, order=2)


def test_an_exported_gradient_runs_on_plain_onnx_runtime(tmp_path):
    w = sg.Variable(np.float32([0.6, 0.8]))
    x = sg.symbol(["N", 2], "float32", "x")
    with tracing():
        y = sg.sum(everything(x, w)[1] ** 2.0)
        second = sg.sum(sg.gradients(y, [x])[0] ** 2.0)
    graph = sg.Graph([x], [*sg.gradients(y, [x, w]), *sg.gradients(second, [x, w])])
    path = tmp_path / "gradient.onnx"

    sg.runtime.exporter.save(graph, path)

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert max(o.version for o in model.opset_import if not o.domain) == 21
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows in (ROWS, ROWS[:2]):
        found, wanted = session.run(None, {"x": rows}), sg.runtime.Session(graph, optimize=False).run({"x": rows})
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_tapes_see_loops_in_python_and_loops_that_are_compiled():
    w = sg.Variable(np.float32([0.6, 0.8]))

    def loss():
        return sg.sum(everything(sg.tensor(ROWS), w)[1] ** 2.0)

    with sg.GradientTape() as tape:
        value = loss()
    slope = tape.gradient(value, w)
    compiled = sg.function(loss)
    with sg.GradientTape() as tape:
        again = compiled()

    np.testing.assert_allclose(float(again), float(value), rtol=1e-5)
    np.testing.assert_allclose(np.array(tape.gradient(again, w)), np.array(slope), rtol=1e-5)


def test_a_gradient_inside_of_a_compiled_function():
    w = sg.Variable(np.float32([0.6, 0.8]))

    @sg.function
    def slope(x):
        with sg.GradientTape() as tape:
            value = sg.sum(everything(x, w)[1] ** 2.0)
        return tape.gradient(value, w)

    with sg.GradientTape() as tape:
        value = sg.sum(everything(sg.tensor(ROWS), w)[1] ** 2.0)

    np.testing.assert_allclose(np.array(slope(ROWS)), np.array(tape.gradient(value, w)), rtol=1e-5)


def test_a_loop_over_whole_numbers_carries_no_gradient():
    x = sg.symbol([], "float32", "x")
    with tracing():
        n = sg.while_loop(lambda i: sg.cast(i, "float32") < x, lambda i: i + 1, (sg.tensor(0),))[0]

    assert sg.gradients(sg.cast(n, "float32"), [x]) == [None]


def test_a_list_that_a_loop_carries_is_refused(tmp_path):
    graph = load(tmp_path, """
g (float[3] x, int64 n) => (float[K] y) {
   s = SequenceConstruct (x)
   t = Loop (n, "", s) <body = b (int64 i, bool c, seq(float[3]) v) => (bool d, seq(float[3]) u) {
       d = Identity (c)
       u = SequenceInsert (v, x)
   }>
   y = ConcatFromSequence <axis = 0> (t)
}
""")

    with pytest.raises(GradientError, match=r"Sequence|list"):
        sg.gradients(graph.outputs[0], [graph.inputs[0]])


def test_random_numbers_of_a_step_are_refused(tmp_path):
    """They would be others on the way back."""
    graph = load(tmp_path, """
g (float[3] x, int64 n) => (float[3] y) {
   y = Loop (n, "", x) <body = b (int64 i, bool c, float[3] v) => (bool d, float[3] u) {
       d = Identity (c)
       r = RandomNormalLike (v)
       u = Mul (v, r)
   }>
}
""")

    with pytest.raises(GradientError, match="RandomNormalLike"):
        sg.gradients(graph.outputs[0], [graph.inputs[0]])


def test_a_function_with_a_gradient_of_its_own_inside_of_a_loop():
    @sg.custom_gradient
    def doubled_slope(x):
        return x * 3.0, lambda dy: dy * 6.0

    x = sg.symbol([2], "float32", "x")
    with tracing():
        y = sg.fori_loop(0, 2, lambda i, v: doubled_slope(v), x)

    (dx,) = sg.gradients(y, [x])

    found = sg.runtime.Session(sg.Graph([x], [dx])).run({"x": X[:2]})[0]
    np.testing.assert_array_equal(found, [36, 36])


def test_what_is_stopped_inside_of_a_branch_is_a_constant():
    x = sg.symbol([2], "float32", "x")
    with tracing():
        y = sg.cond(sg.sum(x) > -1e9, lambda: x * sg.stop_gradient(x), lambda: x)

    (dx,) = sg.gradients(y, [x])

    np.testing.assert_array_equal(sg.runtime.Session(sg.Graph([x], [dx])).run({"x": X[:2]})[0], X[:2])


def test_a_gradient_after_all_passes_is_the_same():
    w = sg.Variable(np.float32([0.6, 0.8]))
    x = sg.symbol(["N", 2], "float32", "x")
    with tracing():
        y = sg.sum(everything(x, w)[1] ** 2.0)
    graph = sg.Graph([x], sg.gradients(y, [x, w]))

    optimized = sg.passes.optimize(graph, sg.passes.TRAINING)

    for a, b in zip(sg.runtime.Session(optimized, optimize=False).run({"x": ROWS}),
                    sg.runtime.Session(graph, optimize=False).run({"x": ROWS}), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
