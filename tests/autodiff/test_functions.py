"""Gradients of functions and of symbols, their products with vectors, custom gradients, and their errors."""

import numpy as np
import onnxruntime as ort
import pytest

import symgraph as sg
from symgraph import GradientError


def norm4(x):
    return sg.sum(x * x * x * x)


POINT = np.float32([1.0, 2.0, -1.0])


def run(inputs, outputs, *values):
    graph = sg.Graph(inputs, outputs)
    feeds = dict(zip(graph.input_names, values, strict=True))
    return sg.runtime.Session(graph, optimize=False).run(feeds)


def test_gradients_nest_like_their_arguments() -> None:
    point = {"a": sg.tensor(2.0), "b": [sg.tensor(3.0)]}

    gradient = sg.grad(lambda p: p["a"] * p["b"][0])(point)

    assert (float(gradient["a"]), float(gradient["b"][0])) == (3.0, 2.0)


def test_further_arguments_are_handed_on() -> None:
    assert float(sg.grad(lambda x, n: x**n)(2.0, 3)) == 12.0


def test_gradients_of_a_list_of_arguments_as_in_tensorflow_js() -> None:
    assert [float(g) for g in sg.grads(lambda a, b: a * b)([2.0, 5.0])] == [5.0, 2.0]


def test_value_and_gradients_come_together() -> None:
    value, found = sg.value_and_grads(lambda a, b: a * b)(2.0, 5.0)

    assert (float(value), [float(g) for g in found]) == (10.0, [5.0, 2.0])


def test_a_gradient_with_respect_to_what_is_not_used_is_zero() -> None:
    assert sg.grad(lambda x: sg.tensor(2.0) * 3.0)(POINT).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("symbolic", [False, True])
def test_products_with_vectors(symbolic: bool) -> None:
    v = np.float32([1.0, 0.5, 2.0])

    def all_of_them(x, v):
        _, change = sg.jvp(norm4, (x,), (v,))
        _, pull = sg.vjp(lambda x: x * x, x)
        return [change, pull(v)[0], sg.hvp(norm4, x, v)]

    if symbolic:
        x, u = sg.symbol((3,), name="x"), sg.symbol((None,), name="u")
        found = run([x, u], all_of_them(x, u), POINT, v)
    else:
        found = [np.array(y) for y in all_of_them(POINT, v)]

    np.testing.assert_allclose(found[0], (4 * POINT**3 * v).sum(), rtol=1e-6)
    np.testing.assert_allclose(found[1], 2 * POINT * v, rtol=1e-6)
    np.testing.assert_allclose(found[2], 12 * POINT**2 * v, rtol=1e-6)


@pytest.mark.parametrize("symbolic", [False, True])
def test_jacobians_and_hessians(symbolic: bool) -> None:
    def both(x):
        return [sg.jacobian(lambda x: x * x * sg.sum(x))(x), sg.hessian(norm4)(x)]

    if symbolic:
        x = sg.symbol((3,), name="x")
        found = run([x], both(x), POINT)
    else:
        found = [np.array(y) for y in both(POINT)]

    expected = np.diag(2 * POINT * POINT.sum()) + np.outer(POINT**2, np.ones(3))
    np.testing.assert_allclose(found[0], expected, rtol=1e-6)
    np.testing.assert_allclose(found[1], np.diag(12 * POINT**2), rtol=1e-6)


def test_a_jacobian_of_open_sizes_is_one_graph() -> None:
    x = sg.symbol(("n",), name="x")
    jacobian = sg.jacobian(lambda x: x * x)(x)

    for n in (1, 4):
        point = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(run([x], [jacobian], point)[0], np.diag(2 * point))


def test_the_jvp_of_a_model_exports(tmp_path) -> None:
    x = sg.Input((3,), name="x")
    model = sg.Model(x, sg.layers.Dense(2, activation="tanh")(x))
    v = sg.Input((3,), name="v")
    y, dy = sg.jvp(lambda x: model(x), (x,), (v,))
    sg.Model([x, v], [y, dy]).export(tmp_path / "jvp.onnx")

    session = ort.InferenceSession(tmp_path / "jvp.onnx", providers=["CPUExecutionProvider"])
    point, direction = np.float32([[1, 2, 3]]), np.float32([[0.1, -1, 0.5]])
    _, change = session.run(None, {"x": point, "v": direction})
    moved = [model.predict(point + s * 1e-2 * direction) for s in (1, -1)]
    np.testing.assert_allclose(change, (moved[0] - moved[1]) / 2e-2, rtol=2e-2, atol=1e-3)


def test_symbolic_gradients_take_dicts_and_inner_symbols() -> None:
    x = sg.symbol((2,), name="x")
    h = x * x
    found = sg.gradients(sg.sum(h * h), {"h": h, "x": x})

    dh, dx = run([x], [found["h"], found["x"]], np.float32([1, 2]))
    np.testing.assert_array_equal(dh, [2, 8])
    np.testing.assert_array_equal(dx, [4, 32])


def test_gradients_with_respect_to_variables_are_symbols() -> None:
    x, w = sg.symbol((2,), name="x"), sg.Variable([3.0, 4.0])
    (dw,) = sg.gradients(sg.sum(x * w), [w])

    assert run([x], [dw], np.float32([1, 2]))[0].tolist() == [1, 2]


def test_an_unconnected_symbol_has_none_or_zeros() -> None:
    x, y = sg.symbol((None,), name="x"), sg.symbol((2,), name="y")

    assert sg.gradients(y * y, [x]) == [None]
    (dx,) = sg.gradients(y * y, [x], unconnected_gradients="zero")
    assert run([x], [dx], np.float32([1, 2, 3]))[0].tolist() == [0, 0, 0]


def test_an_open_dimension_that_is_one_is_summed_over_when_it_runs() -> None:
    x, y = sg.symbol((None, None), name="x"), sg.symbol((None, None), name="y")
    gradients = sg.gradients(x * y, [x, y])

    for a, b in (((1, 3), (2, 3)), ((2, 1), (1, 3)), ((2, 3), (2, 3)), ((0, 3), (1, 1))):
        found = run([x, y], gradients, np.ones(a, np.float32), np.ones(b, np.float32))
        size = np.broadcast_shapes(a, b)
        for g, shape in zip(found, (a, b), strict=True):
            assert g.shape == shape
            assert g.sum() == np.prod(size)


def test_nodes_of_a_gradient_know_the_layer_they_belong_to() -> None:
    x = sg.Input((3,), name="x")
    y = sg.layers.Dense(2, name="head")(x)
    (dx,) = sg.gradients(y, [x])

    assert dx.node.layer == ("head",)


def test_a_missing_rule_names_operator_layer_line_and_remedy() -> None:
    class Odd(sg.layers.Layer):
        def call(self, inputs):
            return sg.ops.onnx("NoGradientHere", inputs, domain="ai.onnx.ml")

    x = sg.symbol((3, 2), name="x")
    with pytest.raises(sg.SymgraphError, match="NoGradientHere"):
        Odd()(x)
    y = sg.ops.onnx("Normalizer", x, domain="ai.onnx.ml")
    with pytest.raises(GradientError, match=r"no gradient rule for ai.onnx.ml::Normalizer .*test_functions.py:\d+.*"
                                            r"gradient_of\(.*stop_gradient"):
        sg.gradients(y, [x])


def test_gradients_want_symbols_and_floats() -> None:
    x, n = sg.symbol((3,), name="x"), sg.symbol((3,), "int32", "n")

    with pytest.raises(GradientError, match="GradientTape"):
        sg.gradients(sg.tensor(1.0), [x])
    with pytest.raises(GradientError, match="int32"):
        sg.gradients(x, [n])
    with pytest.raises(GradientError, match="symbols and variables"):
        sg.gradients(x, ["x"])
    with pytest.raises(GradientError, match="as many gradients"):
        sg.gradients(x, [x], [x, x])


@pytest.mark.parametrize("function", [lambda f, x: sg.hessian(f)(x), lambda f, x: sg.hvp(f, x, x)])
def test_hessians_need_a_scalar(function) -> None:
    with pytest.raises(GradientError, match=r"scalar result, got float32\[3\]"):
        function(lambda x: x * x, POINT)


def test_tangents_must_look_like_their_primals() -> None:
    with pytest.raises(GradientError, match="a tangent must look like its primal"):
        sg.jvp(norm4, (POINT,), (POINT[:2],))
    with pytest.raises(GradientError, match="as many tangents"):
        sg.jvp(norm4, (POINT,), ())


def test_variable_grads_find_the_variables_themselves() -> None:
    a, b = sg.Variable(2.0, name="a"), sg.Variable(3.0, name="b", trainable=False)

    value, gradients = sg.variable_grads(lambda: a * a * b)

    assert float(value) == 12.0
    assert {name: float(g) for name, g in gradients.items()} == {"a": 12.0}


def test_variable_grads_refuse_what_they_cannot_name() -> None:
    a, b = sg.Variable(2.0, name="same"), sg.Variable(3.0, name="same")

    with pytest.raises(GradientError, match="two variables are called 'same'"):
        sg.variable_grads(lambda: a * b)
    with pytest.raises(GradientError, match="reads no trainable variable"):
        sg.variable_grads(lambda: sg.tensor(1.0) * 2.0)


@sg.custom_gradient
def scaled(x, y):
    return x * y, lambda dz: (dz * 100.0, None)


@pytest.mark.parametrize("symbolic", [False, True])
def test_a_custom_gradient_counts_on_values_and_on_symbols(symbolic: bool) -> None:
    if symbolic:
        x, y = sg.symbol((), name="x"), sg.symbol((), name="y")
        z = scaled(x, y) * x
        assert sg.gradients(z, [y]) == [None]
        value, dx = run([x, y], [z, *sg.gradients(z, [x])], np.float32(2), np.float32(3))
    else:
        value, (dx, dy) = sg.value_and_grads(lambda x, y: scaled(x, y) * x)(2.0, 3.0)
        assert float(dy) == 0.0

    assert float(value) == 12.0
    assert float(dx) == 100 * 2 + 6


def test_a_custom_gradient_survives_passes_and_export(tmp_path) -> None:
    x = sg.Input((2,), name="x")
    y = scaled(x, x + 1.0)
    graph = sg.passes.optimize(sg.Graph([x], [y]), sg.passes.TRAINING)
    (dx,) = sg.gradients(graph.outputs[0], [x])
    sg.runtime.save(sg.Graph([x], [dx]), tmp_path / "g.onnx")

    session = ort.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.float32([[1, 2]])})[0].tolist() == [[100, 100]]


def test_a_custom_gradient_of_a_custom_gradient() -> None:
    @sg.custom_gradient
    def cube(x):
        return x * x * x, lambda dy: dy * 3 * x * x

    assert float(sg.grad(sg.grad(cube))(2.0)) == 12.0


@pytest.mark.parametrize(("gradient", "message"), [
    (lambda dy: (dy, dy), "takes 1 arguments, and its gradient returned 2"),
    (lambda dy: sg.concat([dy, dy], 0), r"returned float32\[6\] for argument 0, which is float32\[3\]"),
])
def test_a_wrong_custom_gradient_is_refused(gradient, message: str) -> None:
    wrong = sg.custom_gradient(lambda x: (x * 2.0, gradient))

    with pytest.raises(GradientError, match=message):
        sg.grad(wrong)(POINT)


def test_a_custom_gradient_needs_a_pair() -> None:
    with pytest.raises(GradientError, match="must return a pair"):
        sg.custom_gradient(lambda x: x)(POINT)


def test_a_custom_gradient_takes_its_symbols_as_arguments() -> None:
    x, y = sg.symbol((), name="x"), sg.symbol((), name="y")

    with pytest.raises(GradientError, match="without taking it as an argument"):
        sg.custom_gradient(lambda x: (x * y, lambda dz: dz))(x)


def test_stop_gradient_cuts_lists_and_symbols() -> None:
    x = sg.symbol((), name="x")
    a, b = sg.stop_gradient([x, x * 2.0])

    assert sg.gradients(a + b, [x]) == [None]
    assert run([x], [a, b], np.float32(3))[1] == 6.0


def test_primals_and_tangents_come_in_tuples() -> None:
    with pytest.raises(GradientError, match="primals are a list or tuple"):
        sg.jvp(norm4, POINT, POINT)


def test_a_rule_of_the_users_takes_the_place_of_ours(monkeypatch) -> None:
    from symgraph.core import gradient

    monkeypatch.setattr(gradient, "_RULES", {name: list(rules) for name, rules in gradient._RULES.items()})
    monkeypatch.setattr(gradient, "_WITHOUT", dict(gradient._WITHOUT))

    @sg.gradient_of("Round", "Relu")
    def straight(dy, y, x):
        return dy * 10.0

    assert float(sg.grad(sg.round)(1.3)) == 10.0
    assert float(sg.grad(sg.relu)(-1.0)) == 10.0


@pytest.mark.parametrize("compiled", [False, True], ids=["values", "symbols"])
@pytest.mark.parametrize(("make", "wanted"), [
    (lambda k: sg.jvp(lambda d: 2.0 * d["a"] + 3.0 * d["b"], ({"a": k, "b": 2.0 * k},),
                      ({"b": 0.0 * k, "a": k},))[1], 2.0),
    (lambda k: sg.hvp(lambda d: d["a"]**2 + d["b"]**3, ({"a": k, "b": 2.0 * k},),
                      ({"b": 0.0 * k, "a": k},))[0]["a"], 2.0),
    (lambda k: sg.vjp(lambda x: {"a": 2.0 * x, "b": 3.0 * x}, k)[1]({"b": 0.0 * k, "a": k})[0], 2.0)],
    ids=["jvp", "hvp", "vjp"])
def test_dicts_of_tangents_mean_what_their_keys_say(make, wanted, compiled):
    assert float((sg.function(make) if compiled else make)(sg.tensor(1.0))) == wanted


@pytest.mark.parametrize("compiled", [False, True], ids=["values", "symbols"])
@pytest.mark.parametrize(("make", "wanted"), [
    (lambda k: sg.grad(lambda x, y: 2.0 * x + 3.0 * y)(k, k), 2.0),
    (lambda k: sg.grads(lambda x, y: 2.0 * x + 3.0 * y)(k, 2.0 * k)[0], 2.0),
    (lambda k: sg.grad(lambda x: x * k)(k), 3.0),
    (lambda k: sg.grad(lambda x: sg.grad(lambda y: x * y)(x))(k), 1.0),
    (lambda k: sg.jacobian(lambda x: x * k)(k), 3.0),
    (lambda k: sg.jvp(lambda x, y: 2.0 * x + 3.0 * y, (k, k), (1.0, 0.0))[1], 2.0),
    (lambda k: sg.vjp(lambda x, y: 2.0 * x + 3.0 * y, k, k)[1](sg.tensor(1.0))[1], 3.0)],
    ids=["argument", "made of another", "around", "nested", "jacobian", "jvp", "vjp"])
def test_an_argument_is_not_what_else_is_the_same_tensor(make, wanted, compiled):
    assert float((sg.function(make) if compiled else make)(sg.tensor(3.0))) == wanted
