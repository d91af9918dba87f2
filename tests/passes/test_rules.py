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


leaky_twice = rule(lambda x, *, alpha: onnx("LeakyRelu", onnx("Neg", x), alpha=alpha),
                   lambda x, *, alpha: onnx("Elu", x, alpha=alpha), name="leaky_twice")


@pytest.mark.parametrize(("given", "found"), [({"alpha": 0.25}, 0.25), ({}, np.float32(0.01)), ({"alpha": 0.0}, 0.0)])
def test_captured_attributes_match_any_value_and_their_default(given, found):
    (x,) = symbols(1)
    (node,) = leaky_twice(sg.Graph([x], [onnx("LeakyRelu", onnx("Neg", x), **given)])).nodes

    assert (node.op.name, np.float32(node.attributes["alpha"])) == ("Elu", np.float32(found))


def test_other_attributes_still_count_beside_captured_ones():
    x = sg.Input((3, 4))
    softmax = rule(lambda x, *, axis: onnx("ReduceSum", onnx("Softmax", x, axis=axis), [1], keepdims=0),
                   lambda x, *, axis: onnx("ArgMax", x, axis=1, keepdims=0), name="softmax",
                   when=lambda x, *, axis: axis == 2)

    def graph(axis, keepdims):
        return sg.Graph([x], [onnx("ReduceSum", onnx("Softmax", x, axis=axis), [1], keepdims=keepdims)])

    assert len(softmax.matches(graph(-1, 0))) == 1  # counted from the front
    assert softmax.matches(graph(-1, 1)) == softmax.matches(graph(0, 0)) == {}


def test_an_attribute_captured_twice_must_be_the_same():
    x = sg.Input((3, 4))
    both = rule(lambda x, *, axis: onnx("Softmax", x, axis=axis) + onnx("LogSoftmax", x, axis=axis),
                lambda x, *, axis: onnx("Hardmax", x, axis=axis), name="both")

    def graph(a, b):
        return sg.Graph([x], [onnx("Softmax", x, axis=a) + onnx("LogSoftmax", x, axis=b)])

    assert names(both(graph(-1, 2))) == ["Hardmax"]
    assert both.matches(graph(1, 2)) == {}
    reason = passes.explain(both, graph(1, 2)).attempts[0].reason
    assert reason.endswith("has axis=2 where the rule has axis=1")


@pytest.mark.parametrize(("op", "before", "attributes"), [
    ("Transpose", lambda x, *, perm: onnx("Transpose", onnx("Neg", x), perm=perm), {"perm": (0, 2, 1)}),
    ("Transpose", lambda x, *, perm: onnx("Transpose", onnx("Neg", x), perm=perm), {}),
    ("Cast", lambda x, *, to: onnx("Cast", onnx("Neg", x), to=to), {"to": 11}),
    ("Gelu", lambda x, *, approximate: onnx("Gelu", onnx("Neg", x), approximate=approximate), {"approximate": "tanh"})])
def test_attributes_of_every_kind_are_captured(op, before, attributes):
    x = sg.Input((3, 4), name="x")
    moved = rule(before, lambda x, **given: onnx("Neg", onnx(op, x, **given)), name="moved")
    after = moved(sg.Graph([x], [onnx(op, onnx("Neg", x), **attributes)]))

    assert names(after) == [op, "Neg"]
    given = {key: value for key, value in after.nodes[0].attributes.items() if key in attributes}
    assert given == attributes


def test_captured_attributes_are_found_in_older_opsets():
    (x,) = symbols(1)
    graph = load_graph(to_model(sg.Graph([x], [onnx("LeakyRelu", onnx("Neg", x), alpha=0.5)]), opset=11).model)

    assert names(leaky_twice(graph)) == ["Elu"]


two_ways = rule((lambda x: x * 2.0, lambda x: x + x), lambda x: onnx("Relu", x), name="two_ways")


@pytest.mark.parametrize("build", [lambda x: x * 2.0, lambda x: 2.0 * x, lambda x: x + x])
def test_alternatives_are_replaced_alike(build):
    (x,) = symbols(1)

    assert names(two_ways(sg.Graph([x], [build(x)]))) == ["Relu"]
    assert names(two_ways(sg.Graph([x], [x + 2.0]))) == ["Add"]


def test_the_first_alternative_that_matches_counts():
    (x,) = symbols(1)
    order = rule([lambda x, y: onnx("Exp", x) + y, lambda x, y: x + onnx("Exp", y)], lambda x, y: onnx("Sub", x, y),
                 name="order")
    graph = order(sg.Graph([x], [onnx("Exp", onnx("Abs", x)) + onnx("Exp", onnx("Neg", x))]))

    assert sorted(names(graph)) == ["Abs", "Exp", "Neg", "Sub"]
    assert graph.nodes[-1].inputs[0].node.op.name == "Abs"  # what the first alternative calls x


def test_alternatives_with_typed_ops_work_side_by_side():
    x = sg.Input((3, 4))
    turned = rule((lambda x: sg.transpose(x, (0, 2, 1)), lambda x: sg.swapaxes(x, -1, -2)), lambda x: onnx("Relu", x),
                  when=lambda x: x.shape[1] == x.shape[2], name="turned")

    assert turned.matches(sg.Graph([x], [sg.swapaxes(x, 1, 2)])) == {}
    y = sg.Input((4, 4))
    assert names(turned(sg.Graph([y], [sg.swapaxes(y, 1, 2)]))) == ["Relu"]


@pytest.mark.parametrize(("before", "after", "when", "reason"), [
    ((), lambda x: x, None, "before is empty"),
    ((lambda x: -x, lambda x, y: x + y), lambda x: x, None, "same arguments"),
    (lambda x, *, alpha: -x, lambda x: x, None, "does not use alpha"),
    (lambda x, *, alpha: onnx("Elu", x, alpha=alpha * 2), lambda x: x, None, "as it is"),
    (lambda x: -x, lambda x, *, beta: x, None, "after asks for beta"),
    (lambda x: -x, lambda x: x, lambda x, *, beta: True, "when asks for beta")])
def test_rules_that_make_no_sense_are_refused(before, after, when, reason):
    with pytest.raises(PassError, match=f"'odd'.*{reason}"):
        rule(before, after, when, name="odd")
