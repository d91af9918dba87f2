import re

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.ops import onnx
from symgraph.passes.explain import explain

negated_relu = passes.rule(lambda x: onnx("Relu", onnx("Neg", x) * 2.0), lambda x: x, name="negated_relu")


def x(shape=(3,), name="x"):
    return sg.Input(shape, name=name)


def graph_of(build):
    symbol = x()
    return sg.Graph([symbol], [build(symbol)], output_names=["y"])


@pytest.mark.parametrize(("build", "found", "reason"), [
    (lambda x: onnx("Relu", onnx("Neg", x) * 3.0), 3, "reads 3 where the rule has 2"),
    (lambda x: onnx("Relu", onnx("Abs", x) * 2.0), 2, "reads %Abs = Abs"),
    (lambda x: onnx("Relu", onnx("Neg", x) + 2.0), 1, "reads %Add = Add"),
    (lambda x: onnx("Relu", x), 1, "%y = Relu"),
])
def test_it_says_how_far_a_match_came_and_where_it_stopped(build, found, reason):
    (attempt,) = explain(negated_relu, graph_of(build)).attempts

    assert attempt.found == found
    assert reason in attempt.reason


def test_another_reader_is_named():
    symbol = x()
    inner = onnx("Neg", symbol)
    y = onnx("Relu", inner * 2.0)
    (attempt,) = explain(negated_relu, sg.Graph([symbol], [y, onnx("Exp", inner)])).attempts

    assert attempt.found == 3
    assert attempt.reason.startswith("%Neg must stay: %Exp = Exp") and attempt.reason.endswith("reads it too")


def test_a_value_that_is_returned_is_named():
    symbol = x()
    inner = onnx("Neg", symbol)
    graph = sg.Graph([symbol], [onnx("Relu", inner * 2.0), inner], output_names=["y", "kept"])

    assert explain(negated_relu, graph).attempts[0].reason == "%kept must stay: the graph itself returns it"


def test_a_refusal_by_when_is_told():
    never = passes.rule(lambda x: onnx("Relu", x), lambda x: x, when=lambda x: False, name="never")

    assert explain(never, graph_of(lambda x: onnx("Relu", x))).attempts[0].reason == (
        "`when` refused it for x = %x: float32[?, 3]")


def test_attributes_that_differ_are_shown():
    rule = passes.rule(lambda x: onnx("Softmax", x, axis=1), lambda x: x, name="softmax")
    reason = explain(rule, graph_of(lambda x: onnx("Softmax", x, axis=-2))).attempts[0].reason

    assert reason.endswith("has axis=-2 where the rule has axis=1")


def test_an_operator_that_changed_its_meaning_is_told_with_its_opset():
    rule = passes.rule(lambda x: onnx("Softmax", x), lambda x: x, name="softmax")
    symbol = x()
    with sg.core.scope.tracing():
        y = Node(find_op("Softmax", opset=11), (symbol,), {"axis": 0}, (symbol.type,)).output

    reason = explain(rule, sg.Graph([symbol], [y])).attempts[0].reason
    assert reason.endswith("is of opset 11, which means something else than in opset 13")


def test_an_argument_twice_wants_the_same_operand():
    square = passes.rule(lambda a: a * a, lambda a: a, name="square")
    a, b = x(name="a"), x(name="b")

    (attempt,) = explain(square, sg.Graph([a, b], [a * b])).attempts
    assert attempt.reason.endswith("reads input %b where the rule has 'a' again, which is %a")


def test_the_nearest_comes_first_and_the_count_is_of_the_root_operator():
    symbol = x()
    outputs = [onnx("Relu", onnx("Exp", symbol)), onnx("Relu", onnx("Neg", symbol) * 2.0),
               onnx("Relu", onnx("Abs", symbol) * 2.0)]
    text = str(explain(negated_relu, sg.Graph([symbol], outputs, output_names=["a", "b", "c"]), limit=2)).splitlines()

    assert text[0] == ("rule 'negated_relu' looks for 3 operators that end in Relu; of 8 nodes 3 are Relu, 1 match")
    assert text[1].startswith("  %b = Relu") and text[1].endswith(": matches")
    assert text[2].startswith("  %c = Relu") and ": 2 of 3, then" in text[2]
    assert text[3] == "  and 1 more that came less far"


def test_bodies_are_searched_too():
    symbol = x(())
    y = sg.cond(sg.sum(symbol) > 0.0, lambda: onnx("Relu", symbol), lambda: symbol)

    assert len(explain(negated_relu, sg.Graph([symbol], [y])).attempts) == 1


GELU = passes.rule(lambda x: 0.5 * x * (1 + sg.erf(x / 1.5)), lambda x: sg.gelu(x), name="gelu")
LINEAR = passes.rule(lambda x, w, b: x @ w + b, lambda x, w, b: onnx("Gemm", x, w, b), name="linear",
                     when=lambda x, w, b: x.ndim == 2)
WEIGHT = np.ones((3, 3), np.float32)


def variable(value):
    return sg.Variable(np.float32(value), name="root")


@pytest.mark.parametrize(("rule", "build", "reason"), [
    (GELU, lambda x: 0.5 * x * (1 + sg.erf(x / 1.4)), r"%Div = Div .* reads 1.4 where the rule has 1.5"),
    (GELU, lambda x: 0.5 * x * (1 + sg.erf(x / variable(1.5))),
     r"reads variable %root \(freeze makes it a constant\) where the rule has 1.5"),
    (GELU, lambda x: np.float32([0.5]) * x * (1 + sg.erf(x / 1.5)),
     r"reads \[0.5\] of shape \[1\] where the rule has 0.5"),
    (GELU, lambda x: x * (0.5 * (1 + sg.erf(x / 1.5))), r"reads input %x where the rule has Add"),
    (GELU, lambda x: 0.5 * x * (1 + sg.erf(x * 1.5)), r"%Erf = Erf .* reads %Mul.* = Mul .* where the rule has Div"),
    (LINEAR, lambda x: sg.expand_dims(x, 0) @ WEIGHT + np.ones(3, np.float32),
     r"`when` refused it for x = %Unsqueeze: float32\[1, \?, 3\], w = constant<float32\[3, 3\]>: .*, b = \[1, 1, 1\]"),
    (LINEAR, lambda x: x @ WEIGHT - 1.0, None),
    (passes.rule(lambda x: x.T, lambda x: x, name="turn"), lambda x: sg.transpose(x, (0, 1)) + 1.0, None),
    (passes.rule(lambda x: sg.softmax(x, axis=0), lambda x: x, name="soft"), lambda x: sg.softmax(x, axis=-1),
     r"has axis=1 where the rule has axis=0"),
    (passes.rule(lambda x: sg.mean(x, axis=0), lambda x: x, name="mean"), lambda x: sg.mean(x, axis=-1),
     r"%y = ReduceMean .* has axes \[1\] where the rule has axes \[0\]"),
    (passes.rule(lambda x: sg.mean(x, axis=-1, keepdims=True), lambda x: x, name="mean"),
     lambda x: sg.mean(x, axis=-1), r"has keepdims=0 where the rule has keepdims=1"),
    (passes.rule(lambda x: onnx("Clip", x, None, 6.0), lambda x: x, name="clip"), lambda x: onnx("Clip", x, 0.0, 6.0),
     r"%y = Clip .* reads 0 where the rule has no input"),
    (passes.rule(lambda x: onnx("Clip", x, 0.0, 6.0), lambda x: x, name="clip"), lambda x: onnx("Clip", x, 0.0),
     r"has the inputs input, min where the rule has input, min, max"),
    (passes.rule(lambda x: onnx("Tanh", x), lambda x: x, when=lambda x: x.shape[5], name="fussy"),
     lambda x: onnx("Tanh", x), r"`when` raised IndexError at Tanh .*: tuple index out of range"),
    (passes.rule(lambda x: sg.cast(x, "int32") + 1, lambda x: x, name="cast"), lambda x: sg.cast(x, "int64") + 1,
     r"has to=7 where the rule has to=6")])
def test_near_misses_are_told_so_that_one_knows_what_to_do(rule, build, reason):
    found = explain(rule, graph_of(build))

    assert not found.matches
    if reason is None:
        assert "the graph has no" in str(found)
    else:
        assert re.search(reason, found.attempts[0].reason), found


def test_ops_that_fit_no_type_in_the_graph_are_told():
    text = str(explain(passes.rule(lambda x: sg.split(x, 2, axis=5)[0], lambda x: x, name="far"), graph_of(sg.tanh)))

    assert text.startswith("rule 'far' matches none of 1 nodes: its ops fit no types in the graph: split: there is no")


def test_captured_attributes_are_told_to_when():
    rule = passes.rule(lambda x, *, alpha: onnx("Elu", x, alpha=alpha), lambda x: x, when=lambda x, *, alpha: alpha > 1,
                       name="steep")

    assert explain(rule, graph_of(lambda x: onnx("Elu", x, alpha=0.5))).attempts[0].reason == (
        "`when` refused it for x = %x: float32[?, 3], alpha = 0.5")


def test_other_attributes_are_told_beside_captured_ones():
    rule = passes.rule(lambda x, *, axis: onnx("ArgMax", x, axis=axis, keepdims=0), lambda x: x, name="first")

    assert explain(rule, graph_of(lambda x: onnx("ArgMax", x, axis=0))).attempts[0].reason.endswith(
        "has keepdims=1 where the rule has keepdims=0")


def test_alternatives_are_told_together_and_the_nearest_is_shown():
    rule = passes.rule((lambda x: onnx("Relu", onnx("Neg", x) * 2.0), lambda x: onnx("Relu", onnx("Abs", x)),
                        lambda x: onnx("Elu", x)), lambda x: x, name="several")
    text = str(explain(rule, graph_of(lambda x: onnx("Relu", onnx("Exp", x) * 2.0)))).splitlines()

    assert text[0] == ("rule 'several' looks for 3 or 2 or 1 operators that end in Relu or Elu; of 3 nodes 1 are "
                       "Relu or Elu, 0 match; the graph has no Neg")
    assert ": 2 of 3, then" in text[1] and "where the rule has Neg" in text[1]
