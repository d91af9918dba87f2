"""Passes and rules that do what they must not: refused with their name."""

import math

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.core.scope import tracing
from symgraph.ops import onnx
from symgraph.passes import PassError
from symgraph.passes.exactness import relaxed
from symgraph.passes.report import WIDTHS, PassReport
from symgraph.passes.verify import check_results, compare, difference


def one_node(name="Tanh", shape=(3,)):
    x = sg.Input(shape, name="x")
    with tracing():
        return sg.Graph([x], [onnx(name, x)], output_names=["y"], name="small")


def drops_an_output(graph):
    return graph.with_outputs(graph.outputs[:-1], graph.output_names[:-1])


def renames_an_output(graph):
    return graph.with_outputs(graph.outputs, ["other"])


def renames_an_input(graph):
    return sg.Graph(graph.inputs, graph.outputs, output_names=graph.output_names, input_names=["other"])


def changes_the_inputs(graph):
    x = sg.Input((3,), name="x")
    return sg.Graph([x], [sg.tanh(x)], output_names=graph.output_names)


def changes_the_dtype(graph):
    return graph.with_outputs([sg.cast(graph.outputs[0], "float64")], graph.output_names)


def changes_the_shape(graph):
    return graph.with_outputs([sg.sum(graph.outputs[0], axis=1)], graph.output_names)


def forgets_pinned_values(graph):
    return graph.with_outputs(graph.outputs, graph.output_names)


def returns_nothing(graph):
    graph.with_outputs(graph.outputs)


def returns_the_outputs(graph):
    return graph.outputs


def appends_to_the_inputs(graph):
    graph.inputs.append(sg.Input((3,)))
    return graph


def changes_it_in_place(graph):
    graph.outputs = (graph.inputs[0],)
    return graph


def divides_by_zero(graph):
    return 1 / 0


def needs_what_is_not_there(graph):
    return graph.with_outputs([sg.Input((3,), name="stranger") + 1.0])


grows = passes.rule(lambda x: onnx("Tanh", x), lambda x: onnx("Tanh", x) + onnx("Tanh", x), name="grows")


def never_rests(graph):
    return graph.rewrite(lambda node, operands: [onnx(node.op.name, *operands)])


class Unnamed:
    """A pass that is an object."""

    def __call__(self, graph):
        return None


@pytest.mark.parametrize(("wrong", "reason"), [
    (drops_an_output, "drops_an_output changed the outputs of graph 'small' from y to none"),
    (renames_an_output, "changed the outputs of graph 'small' from y to other"),
    (renames_an_input, "renamed the inputs of graph 'small' from x to other"),
    (changes_the_inputs, "changes_the_inputs changed the inputs of graph 'small'"),
    (changes_the_dtype, r"changed output 'y' from float32\[\?, 3\] to float64\[\?, 3\]"),
    (changes_the_shape, r"changed output 'y' from float32\[\?, 3\] to float32\[\?\]"),
    (returns_nothing, "returns_nothing returned NoneType, not a graph"),
    (returns_the_outputs, "returns_the_outputs returned tuple, not a graph"),
    (appends_to_the_inputs, "appends_to_the_inputs raised AttributeError"),
    (changes_it_in_place, "changes_it_in_place changed graph 'small' itself"),
    (divides_by_zero, "divides_by_zero raised ZeroDivisionError on graph 'small': division by zero"),
    (needs_what_is_not_there, "needs_what_is_not_there raised GraphError.*stranger"),
    (grows, "grows makes graph 'small' grow without end: from 1 nodes to"),
    (never_rests, "the passes never_rests still changed graph 'small' after 20 rounds"),
    (Unnamed(), "Unnamed returned NoneType")])
@pytest.mark.parametrize("verify", [False, True])
def test_a_pass_that_breaks_its_contract_is_refused_with_its_name(wrong, reason, verify):
    with pytest.raises(PassError, match=reason):
        passes.optimize(one_node(), [wrong], verify=verify and wrong is not grows)


def test_an_error_inside_a_pass_keeps_its_cause():
    with pytest.raises(PassError) as caught:
        passes.optimize(one_node(), [divides_by_zero])

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_pinned_values_stay():
    graph = one_node()

    with pytest.raises(PassError, match="forgets_pinned_values changed the pinned values of graph 'small' from kept"):
        passes.optimize(graph.pin({"kept": graph.outputs[0]}), [forgets_pinned_values])


def test_pinned_values_are_compared():
    x = sg.Input((3,), name="x")
    inner = sg.tanh(x)
    graph = sg.Graph([x], [sg.exp(inner)], output_names=["y"]).pin({"kept": inner})

    def changes_what_is_pinned(graph):
        return graph.with_outputs(graph.outputs, graph.output_names, {"kept": sg.sin(x)})

    with pytest.raises(PassError, match="changes_what_is_pinned changed output 'kept'"):
        passes.optimize(graph, [changes_what_is_pinned], verify=True)


@pytest.mark.parametrize(("after", "reason"), [
    (lambda x: None, "'wrong' changes Tanh .*to NoneType"), (lambda x: (x, x), "before gives 1 results, after gives 2"),
    (lambda x: [], "before gives 1 results, after gives 0"), (lambda x: 3.0, "'wrong' changes Tanh .*to float"),
    (lambda x: sg.cast(x, "float16"), r"from float32\[\?, 3\] to float16\[\?, 3\]"),
    (lambda x: x.nothing(), "`after` raised AttributeError at Tanh"),
    (lambda x: sg.reshape(x, (7,)), "'wrong' changes Tanh"),
    (lambda x: x @ np.ones((7, 2)), "`after` raised OpError at Tanh"),
    (lambda: 3, "`after` raised TypeError at Tanh")])
def test_a_rule_that_puts_something_else_there_is_refused_with_its_name(after, reason):
    wrong = passes.rule(lambda x: sg.tanh(x), after, name="wrong")

    with pytest.raises(PassError, match="(?s)wrong.*" if "wrong" in reason else reason):
        passes.optimize(one_node(), [wrong])


def test_when_that_raises_is_told_with_the_rule_and_the_place():
    wrong = passes.rule(lambda x: sg.tanh(x), lambda x: x, when=lambda x: x.shape[7] == 1, name="fussy")

    with pytest.raises(PassError, match=r"rule 'fussy': `when` raised IndexError at Tanh .*tuple index") as caught:
        passes.optimize(one_node(), [wrong])
    assert isinstance(caught.value.__cause__, IndexError)


def test_when_that_gives_a_symbol_is_refused():
    wrong = passes.rule(lambda x: sg.tanh(x), lambda x: x, when=lambda x: sg.all(x > 0), name="fussy")

    with pytest.raises(PassError, match="rule 'fussy': `when` raised TypeError"):
        passes.optimize(one_node(), [wrong])


@pytest.mark.parametrize(("before", "reason"), [
    (lambda x, y: sg.tanh(x), "before does not use y"),
    (lambda x: (sg.tanh(x), sg.exp(x)), "made last"),
    (lambda x: None, "must return what ops make"), (lambda x: [], "must return what ops make")])
def test_patterns_that_cannot_be_found_are_refused_at_once(before, reason):
    with pytest.raises(PassError, match=f"rule 'bad'.*{reason}"):
        passes.rule(before, lambda *x: x[0], name="bad")


def test_a_value_on_the_way_may_be_a_result_too():
    x = sg.Input((3,), name="x")
    inner = onnx("Tanh", x)
    graph = sg.Graph([x], [onnx("Exp", inner), inner + 1.0], output_names=["a", "b"])
    def shared(x):
        y = onnx("Tanh", x)
        return onnx("Exp", y), y

    same = passes.rule(shared, lambda x: (onnx("Sin", x), onnx("Cos", x)), name="same")
    after = same(graph)

    assert sorted(node.op.name for node in after.nodes) == ["Add", "Cos", "Sin"]


def relaxed_rule(before, after):
    return passes.rule(before, after, name="relaxed", exact=False)


@pytest.mark.parametrize(("before", "after"), [
    (lambda x: x * 3.0 / 7.0, lambda x: x / 7.0 * 3.0), (lambda x: (x + 1.0) * 2.0, lambda x: x * 2.0 + 2.0),
    (lambda x: x * x / 2.0, lambda x: x * (x / 2.0)), (lambda x: onnx("Log", onnx("Exp", x) + 1.0), sg.softplus),
    (lambda x: x * onnx("Sigmoid", x), lambda x: x / (1.0 + onnx("Exp", -x))),
    (lambda x: onnx("Sqrt", onnx("ReduceSum", x * x, [-1])), lambda x: onnx("ReduceL2", x, [-1])),
    (lambda x: onnx("ReduceSum", x, [-1]) / 3.0, lambda x: onnx("ReduceMean", x, [-1]))])
def test_relaxed_rules_may_overflow_in_another_place(before, after):
    x = sg.Input((3,), name="x")

    check_results(sg.Graph([x], [before(x)]), sg.Graph([x], [after(x)]), "relaxed", is_exact=False)


@pytest.mark.parametrize(("before", "after"), [
    (lambda x: x * 0.0, sg.zeros_like), (lambda x: x - x, sg.zeros_like), (lambda x: x / x, sg.ones_like),
    (lambda x: sg.sqrt(x * x), lambda x: x), (lambda x: sg.exp(sg.log(x)), lambda x: x),
    (lambda x: sg.log(sg.abs(x)), lambda x: sg.log(x)), (lambda x: x * 3.0 / 7.0, lambda x: x * 0.4284),
    (lambda x: onnx("Sum", onnx("Relu", x), onnx("Neg", onnx("Relu", -x))), lambda x: sg.abs(x)),
    (lambda x: x / 3.0, lambda x: x * 0.333), (lambda x: onnx("ReduceMean", onnx("Log", x), [-1]),
                                               lambda x: 2.0 * onnx("ReduceMean", onnx("Log", x), [-1])),
    (lambda x: onnx("Softmax", x, axis=-1), lambda x: onnx("Exp", x) / onnx("ReduceSum", onnx("Exp", x)))])
def test_wrong_relaxed_rules_are_caught(before, after):
    x = sg.Input((3,), name="x")

    with pytest.raises(PassError, match="relaxed changed output"):
        passes.optimize(sg.Graph([x], [before(x)]), [relaxed_rule(before, after)], verify=True)


def by_two(graph):
    return graph.with_outputs([onnx("Mul", graph.outputs[0], sg.tensor(np.float32(2)))], graph.output_names)


def inputs(**types):
    return [symbol(shape, dtype, name) for name, (dtype, shape) in types.items()]


def reads_rows(x, i):
    return onnx("Gather", x, i)


FUSSY = {
    "indices": (inputs(x=("float32", (2, 3)), i=("int64", ("N",))), reads_rows),
    "sizes": (inputs(x=("float32", ("N", 4)), s=("int64", (2,))), lambda x, s: onnx("Reshape", x, s)),
    "a size": (inputs(x=("float32", (1, 4)), s=("int64", (2,))), lambda x, s: onnx("Expand", x, s)),
    "logarithms": (inputs(x=("float32", ("N", 4))), lambda x: onnx("ReduceMean", onnx("Log", x), keepdims=0)),
    "roots": (inputs(x=("float32", ("N", 4))), lambda x: onnx("ReduceSum", onnx("Sqrt", x), keepdims=0)),
    "token types": (inputs(i=("int32", ("N", 7))), lambda i: onnx(
        "Gather", sg.tensor(np.float32([[1, 2], [3, 4]])), i)),
    "long axes": (inputs(x=("float32", ("N", "T"))), lambda x: onnx("Conv", onnx("Unsqueeze", x, [1]), np.ones(
        (1, 1, 200), np.float32))),
    "reflection": (inputs(x=("float32", ("N", "T"))), lambda x: onnx("Pad", x, [0, 64, 0, 64], mode="reflect")),
    "no rank": ([sg.core.apply.placeholder(sg.core.types.TensorType("float32", None), "x")], lambda x: onnx("Tanh", x)),
}


@pytest.mark.parametrize("name", FUSSY)
def test_graphs_that_run_on_few_inputs_are_compared_all_the_same(name):
    symbols, function = FUSSY[name]
    with tracing():
        graph = sg.Graph(symbols, [function(*symbols)], output_names=["y"])
        doubled = by_two(graph)

    check_results(graph, graph, "nothing", is_exact=True)
    with pytest.raises(PassError, match="changed output 'y'"):
        check_results(graph, doubled, "by_two", is_exact=True)


def test_a_graph_that_never_runs_is_not_verified():
    with tracing():
        x = sg.Input((3,), name="x")
        graph = sg.Graph([x], [onnx("Gather", x, sg.Variable(np.int64(9)), axis=1)])

    with pytest.raises(PassError, match="nothing cannot be verified, because the graph runs on no input tried: random"):
        check_results(graph, graph, "nothing", is_exact=True)


def test_a_graph_that_fails_where_it_ran_is_refused():
    x = sg.Input((3,), name="x")

    def reads_too_far(graph):
        return graph.with_outputs([onnx("Gather", graph.outputs[0], sg.Variable(np.int64([9, 9, 9])), axis=1)],
                                  graph.output_names)

    with tracing(), pytest.raises(PassError, match=r"reads_too_far: on random .* ran before, and fails now"):
        passes.optimize(sg.Graph([x], [sg.tanh(x)], output_names=["y"]), [reads_too_far], verify=True)


def test_loops_without_end_are_given_up(monkeypatch):
    x = symbol((), name="x")
    body_i, body_c, body_x = (symbol((), d, n) for d, n in (("int64", "i"), ("bool", "c"), ("float32", "s")))
    with tracing():
        body = sg.Graph([body_i, body_c, body_x], [onnx("Identity", body_c), onnx("Tanh", body_x)])
        graph = sg.Graph([x], [onnx("Loop", sg.tensor(np.int64(2**62)), None, x, body=body)], output_names=["y"])
    monkeypatch.setattr("symgraph.passes.verify.SECONDS", 0.1)

    assert compare(graph, graph, is_exact=True).runs == 0


@pytest.mark.parametrize(("a", "b", "is_exact", "is_same"), [
    (0.0, -0.0, True, False), (0.0, -0.0, False, True), (math.nan, math.nan, True, True), (1.0, 1.00001, False, True),
    (1.0, 1.001, False, False), (math.inf, 3e38, False, False), (math.nan, 0.0, False, False)])
def test_what_counts_as_the_same(a, b, is_exact, is_same):
    assert (difference(np.float32([a]), np.float32([b]), is_exact=is_exact) == "") is is_same


def test_a_pass_declared_relaxed_is_compared_within_a_tolerance():
    @relaxed
    def moves_the_last_bit(graph):
        return graph.rewrite(lambda node, operands: [onnx("Div", operands[0], sg.tensor(np.float32(3)))]
                             if node.op.name == "Mul" else None)

    x = sg.Input((3,), name="x")
    graph = sg.Graph([x], [onnx("Mul", x, sg.tensor(np.float32(1 / 3)))])

    assert len(passes.optimize(graph, [moves_the_last_bit], verify=True).nodes) == 1


def test_the_report_fits_in_100_columns(shared_data):
    graph = sg.load_onnx(shared_data / "onnx" / "gtcrn.onnx").graph
    _, report = passes.optimize(graph, passes.ONNXRUNTIME, report=True)

    assert max(map(len, str(report).splitlines())) <= 100
    assert " more " in str(report)


def test_a_long_name_in_the_report_is_cut():
    from collections import Counter

    row = str(PassReport("p" * 50, Counter({"com.microsoft::SkipSimplifiedLayerNormalization": 2}), Counter(), 1.0))

    assert len(row) <= 100 and row.startswith("p" * (WIDTHS[0] - 1) + "…")
