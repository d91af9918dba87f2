import inspect
import math

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.core.scope import tracing
from symgraph.ops import onnx
from symgraph.passes import PassError, rule
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph


def names(graph):
    return [node.op.name for node in graph.nodes]


def symbols(count=2, shape=(3,)):
    return [sg.Input(shape, name=name) for name in "xyzw"[:count]]


linear = rule(lambda x, w, b: x @ w + b, lambda x, w, b: onnx("Gemm", x, w, b), name="linear",
              when=lambda x, w, b: x.ndim == w.ndim == 2, exact=False)


def test_operands_of_commutative_ops_match_in_any_order():
    (x,) = symbols(1)
    w, b = np.ones((3, 2), np.float32), np.ones(2, np.float32)

    assert names(linear(sg.Graph([x], [x @ w + b]))) == ["Gemm"]
    assert names(linear(sg.Graph([x], [b + x @ w]))) == ["Gemm"]


def test_the_condition_sees_what_was_matched():
    x = sg.Input((4, 3))
    graph = sg.Graph([x], [x @ np.ones((3, 2), np.float32) + 1.0])

    assert linear(graph) is graph


def test_the_same_argument_twice_matches_only_the_same_operand():
    x, y = symbols()
    square = rule(lambda a: a * a, lambda a: sg.ops.power(a, 2.0), name="square")

    assert square.matches(sg.Graph([x, y], [x * y])) == {}
    assert len(square.matches(sg.Graph([x], [x * x]))) == 1


def test_numbers_match_constants_of_that_value_in_any_dtype():
    x = sg.Input((3,), dtype="float64")
    half = rule(lambda a: a * 0.5, lambda a: a / 2.0, name="half")

    assert names(half(sg.Graph([x], [x * np.float64(0.5)]))) == ["Div"]
    assert names(half(sg.Graph([x], [x * np.float64(0.25)]))) == ["Mul"]


@pytest.mark.parametrize("number", [-0.0, 0.0])
def test_the_sign_of_zero_counts(number):
    (x,) = symbols(1)
    graph = passes.optimize(sg.Graph([x], [x + number]))

    assert names(graph) == ([] if np.signbit(number) else ["Add"])


def test_work_that_others_read_is_not_done_twice():
    (x,) = symbols(1)
    inner = sg.exp(x)
    log_exp = rule(lambda a: sg.log(sg.exp(a)), lambda a: a, name="log_exp")
    graph = sg.Graph([x], [sg.log(inner), inner])

    assert log_exp(graph) is graph
    pinned = sg.Graph([x], [sg.log(inner)]).pin({"inner": inner})
    assert log_exp(pinned) is pinned


def test_attributes_match_with_their_defaults():
    (x,) = symbols(1)
    leaky = rule(lambda a: onnx("LeakyRelu", a), lambda a: onnx("Relu", a), name="leaky")

    assert names(leaky(sg.Graph([x], [onnx("LeakyRelu", x, alpha=0.01)]))) == ["Relu"]
    assert names(leaky(sg.Graph([x], [onnx("LeakyRelu", x, alpha=0.5)]))) == ["LeakyRelu"]


def test_a_rule_with_two_results_replaces_both():
    (x,) = symbols(1)
    swap = rule(lambda a: onnx("TopK", a, [1], outputs=2),
                lambda a: (onnx("ReduceMax", a, [-1]), onnx("ArgMax", a, axis=-1)), name="first")
    values, indices = onnx("TopK", x, [1], outputs=2)

    after = swap(sg.Graph([x], [values, indices]))

    assert sorted(names(after)) == ["ArgMax", "ReduceMax"]


def test_rules_reach_into_branches_and_loops():
    (x,) = symbols(1)
    branches = sg.cond(sg.sum(x) > 0, lambda: sg.log(sg.exp(x)), lambda: x * 2.0)
    log_exp = rule(lambda a: sg.log(sg.exp(a)), lambda a: onnx("Identity", a), name="log_exp")

    after = log_exp(sg.Graph([x], [branches]))

    assert "Exp" not in str(after) and "Identity" in str(after)
    point = np.float32([[1, 2, 3]])
    np.testing.assert_allclose(sg.runtime.evaluate(after, point)[0].numpy(), point)


def test_new_nodes_belong_to_the_layer_and_line_of_the_old():
    x = sg.Input((3,))
    y = sg.layers.Dense(2, name="head")(x)

    (node,) = linear(passes.freeze(sg.Graph([x], [y]))).nodes

    assert node.layer == ("head",) and node.source[0].endswith("test_rules.py")


def test_a_rule_that_changes_the_type_is_refused_with_its_name():
    (x,) = symbols(1)
    wrong = rule(lambda a: sg.tanh(a), lambda a: sg.sum(a, axis=1), name="wrong")

    with pytest.raises(PassError, match=r"wrong.*Tanh.*float32\[\?, 3\].*float32\[\?\]"):
        wrong(sg.Graph([x], [sg.tanh(x)]))


def test_rules_that_never_come_to_rest_are_refused_with_their_names():
    (x,) = symbols(1)
    there = rule(lambda a: sg.sin(a), lambda a: sg.cos(a), name="there")
    back = rule(lambda a: sg.cos(a), lambda a: sg.sin(a), name="back")

    with pytest.raises(PassError, match="there, back"):
        passes.optimize(sg.Graph([x], [sg.sin(x)]), passes=[there, back])


@pytest.mark.parametrize("before", [lambda a: a, lambda a: 3.0])
def test_a_pattern_applies_at_least_one_op(before):
    with pytest.raises(PassError, match="empty"):
        rule(before, lambda a: a, name="empty")


def test_old_versions_of_an_operator_match_unless_their_meaning_changed():
    import onnx as onnx_package

    helper = onnx_package.helper
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Softmax", ["a"], ["y"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", 1, [2, 3, 4])],
                              [helper.make_tensor_value_info("y", 1, [2, 3, 4])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=7)
    relu = rule(lambda a: onnx("Relu", a), lambda a: onnx("Abs", a), name="relu")
    softmax = rule(lambda a: onnx("Softmax", a, axis=1), lambda a: onnx("Abs", a), name="softmax")

    found = sg.load_onnx(model).graph
    assert len(relu.matches(found)) == 1
    assert softmax.matches(found) == {}


def layer_norm(x, g, b):
    centred = x - sg.mean(x, axis=-1, keepdims=True)
    return centred / sg.sqrt(sg.mean(sg.square(centred), axis=-1, keepdims=True) + 1e-5) * g + b


def soft_max(x):
    e = sg.exp(x - sg.max(x, axis=-1, keepdims=True))
    return e / sg.sum(e, axis=-1, keepdims=True)


def attention(q, k, v):
    return sg.softmax(q @ sg.swapaxes(k, -1, -2) * 0.125, axis=-1) @ v


WRITTEN = {
    "mean": lambda x: sg.mean(x, axis=-1, keepdims=True), "mean of two": lambda x: sg.mean(x, axis=(-2, -1)),
    "sum": lambda x: sg.sum(x, axis=0), "sum of all": lambda x: sg.sum(x), "prod": lambda x: sg.prod(x, axis=(0, -1)),
    "logsumexp": lambda x: sg.logsumexp(x, axis=-1), "max": lambda x: sg.max(x, axis=-1), "var": lambda x: sg.var(x),
    "std": lambda x: sg.std(x, axis=-1), "argmax": lambda x: sg.argmax(x, axis=-1), "any": lambda x: sg.any(x, axis=0),
    "count_nonzero": lambda x: sg.count_nonzero(x, axis=0), "average": lambda x: sg.average(x, axis=-1),
    "transpose": lambda x: x.T, "turned": lambda x: sg.transpose(x, (0, 2, 1)), "norm": lambda x: sg.norm(x, axis=-1),
    "swapaxes": lambda x: sg.swapaxes(x, -1, -2), "matmul": lambda x, y: sg.matmul(x, y),
    "matmul turned": lambda x, y: x @ y.T,
    "einsum": lambda x, y: sg.einsum("bij,bjk->bik", x, y), "softmax": lambda x: sg.softmax(x, axis=-1),
    "gelu": lambda x: 0.5 * x * (1 + sg.erf(x / math.sqrt(2))), "gelu op": lambda x: sg.gelu(x),
    "gelu of numpy": lambda x: 0.5 * x * (1 + sg.erf(x / np.sqrt(2))),
    "gelu tanh": lambda x: 0.5 * x * (1 + sg.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))),
    "silu": lambda x: x * sg.sigmoid(x), "swish": lambda x: x / (1 + sg.exp(-x)), "layer norm": layer_norm,
    "layer norm by var": lambda x, g, b: (x - sg.mean(x, axis=-1, keepdims=True)) / sg.sqrt(
        sg.var(x, axis=-1, keepdims=True) + 1e-5) * g + b,
    "layer norm op": lambda x, g, b: sg.layer_normalization(x, g, b),
    "rms norm": lambda x, g: x * sg.rsqrt(sg.mean(sg.square(x), axis=-1, keepdims=True) + 1e-6) * g,
    "rms norm by power": lambda x, g: x / sg.sqrt(sg.mean(x ** 2, axis=-1, keepdims=True) + 1e-6) * g,
    "softmax by hand": soft_max, "attention": attention, "where": lambda c, x, y: sg.where(c, x, y),
    "minus": lambda x: 1 - x, "modulo": lambda x: x % 2.0, "hard sigmoid": lambda x: sg.hard_sigmoid(x),
    "floor divide": lambda x: x // 2.0, "log1p": lambda x: sg.log1p(x), "cumsum": lambda x: sg.cumsum(x, axis=-1),
    "expand_dims": lambda x: sg.expand_dims(x, -1), "first": lambda x: x[:, 0], "take": lambda x: sg.take(x, 0, axis=1),
    "concatenate": lambda x, y: sg.concatenate([x, y], axis=-1), "cast": lambda x: sg.cast(x, "int32"),
    "stack": lambda x, y: sg.stack([x, y]), "clip": lambda x: sg.clip(x, 0.0, 6.0), "relu": lambda x: sg.relu(x),
    "linear": lambda x, w, b: x @ w + b}
"""Patterns as a user of Keras writes them."""

BUILT_OF_COMPOSITES = {"max", "var", "std", "any", "softmax by hand", "layer norm by var", "modulo", "floor divide",
                       "log1p"}
"""Files hold the bodies of these as functions, which come back as other operators."""


def applied(function, dtype="float32"):
    """A graph of a function, in the middle of others."""
    shapes = {"g": (4,), "b": (4,), "w": (4, 4)}
    inputs = [symbol(shapes.get(name, (4, 4, 4)), "bool" if name == "c" else dtype, name)
              for name in inspect.signature(function).parameters]
    with tracing():
        y = function(*(x if x.dtype == "bool" else x * 3.0 for x in inputs))
        return sg.Graph(inputs, [onnx("Identity", y)], output_names=["result"])


def finder(function, name):
    """A rule that finds what a function makes, and puts a marker behind it."""
    return rule(function, lambda *x: onnx("Identity", function(*x)), name=name)


@pytest.mark.parametrize("name", WRITTEN)
def test_patterns_are_written_as_models_are(name):
    found, graph = finder(WRITTEN[name], name), applied(WRITTEN[name])

    assert len(found.matches(graph)) == 1, passes.explain(found, graph)
    assert [str(x.type) for x in found(graph).outputs] == [str(x.type) for x in graph.outputs]


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - BUILT_OF_COMPOSITES))
def test_patterns_find_what_files_of_older_opsets_hold(name):
    found = finder(WRITTEN[name], name)
    for opset in (11, 13, 17, 18, 20):
        try:
            graph = passes.freeze(load_graph(to_model(applied(WRITTEN[name]), opset=opset).model))
        except sg.core.errors.UnsupportedOpError:
            continue  # the operator is newer
        if len(graph.nodes) == len(applied(WRITTEN[name]).nodes):  # else it was written in other operators
            assert len(found.matches(graph)) == 1, f"opset {opset}: {passes.explain(found, graph)}\n{graph}"
