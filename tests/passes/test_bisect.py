import re

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.core.composite import apply_composite
from symgraph.core.scope import tracing
from symgraph.ops import onnx
from symgraph.passes import PassError
from symgraph.passes.bisect import bisect
from symgraph.passes.bodies import rewrite_bodies
from symgraph.runtime import Session
from symgraph.runtime.importer import load_graph

small = passes.rule(lambda x, y: x * y, lambda x, y: onnx("Mul", x, sg.maximum(y, 0.001)), name="small")


def chain():
    """Five products, of which the rule `small` is wrong only for the third, by minus one."""
    x = sg.Input((3,), name="x")
    y = x
    for number in (2.0, 3.0, -1.0, 4.0, 5.0):
        y = sg.tanh(onnx("Mul", y, sg.tensor(np.float32(number))))
    return sg.Graph([x], [y], output_names=["y"])


def multiplies_by_minus_one_wrongly(graph):
    return graph.rewrite(lambda node, operands: [operands[0]] if node.op.name == "Abs" else None)


def test_the_one_wrong_application_of_a_rule_is_found():
    graph = chain()
    culprit = bisect(graph, [small])

    assert culprit.name == "small" and culprit.applications == 5
    assert culprit.node is [n for n in graph.nodes if n.op.name == "Mul"][2]
    assert [n.op.name for n in culprit.graph.nodes] == ["Mul"]


def test_a_plain_pass_is_pinned_to_the_node_where_it_goes_wrong():
    x = sg.Input((3,), name="x")
    graph = sg.Graph([x], [sg.exp(sg.tanh(onnx("Abs", sg.sin(x))))])
    culprit = bisect(graph, [multiplies_by_minus_one_wrongly])

    assert culprit.node.op.name == "Abs"
    assert [n.op.name for n in culprit.graph.nodes] == ["Abs"]


def test_right_passes_have_no_culprit():
    assert bisect(sg.models.convnet().graph, passes.INFERENCE) is None


def test_the_error_names_pass_node_and_output():
    wanted = r"small changed output 'y' on .*; the culprit is %Mul_2 = Mul.*bisect.py.* one of 5"
    with pytest.raises(PassError, match=wanted):
        passes.optimize(chain(), [small], verify=True)


def test_the_reproducer_is_a_file_that_shows_it_alone(tmp_path):
    path = tmp_path / "wrong.onnx"
    with pytest.raises(PassError, match=r"saved as .*wrong\.onnx"):
        passes.optimize(chain(), [small], verify=True, reproducer=path)

    graph = load_graph(path)
    with np.load(tmp_path / "wrong.npz") as stored:
        feeds = {name: stored[name] for name in stored.files}
    before, after = (Session(g, optimize=False).run(feeds)[0] for g in (graph, small(graph)))

    assert len(graph.nodes) == 1
    assert not np.array_equal(before, after, equal_nan=True)


def test_a_fault_that_needs_its_surroundings_keeps_them():
    def drop_relu_after_sin(graph):
        def rewrite(node, operands):
            maker = getattr(operands[0], "node", None)
            return [operands[0]] if node.op.name == "Relu" and maker and maker.op.name == "Sin" else None

        return graph.rewrite(rewrite)

    x = sg.Input((3,), name="x")
    culprit = bisect(sg.Graph([x], [sg.tanh(sg.relu(sg.sin(sg.tanh(x))))]), [drop_relu_after_sin])

    assert [n.op.name for n in culprit.graph.nodes] == ["Sin", "Relu"]


sines = passes.rule(lambda x: onnx("Sin", x), lambda x: onnx("Cos", x), name="sines")


def drops_sines(graph):
    """A pass that is no rule, and looks into bodies."""
    def drop(node, operands):
        if node.op.name == "Sin":
            return [operands[0]]
        return rewrite_bodies(node, operands, drops_sines)

    return graph.rewrite(drop)


def composite(x):
    return apply_composite("Wave", lambda x: onnx("Exp", onnx("Sin", onnx("Tanh", x))), x)


def nested(x):
    return sg.cond(onnx("ReduceSum", x, keepdims=0) > -9.0, lambda: sg.fori_loop(
        0, 2, lambda i, y: onnx("Sin", onnx("Tanh", y)) + x, x), lambda: x)


CARRIERS = {
    "If": (lambda x: sg.cond(onnx("ReduceSum", x, keepdims=0) > -9.0, lambda: onnx("Exp", onnx("Sin", onnx("Tanh", x))),
                             lambda: onnx("Neg", x)), "then_branch of %.* = If"),
    "else": (lambda x: sg.cond(onnx("ReduceSum", x, keepdims=0) > 99.0, lambda: onnx("Neg", x),
                               lambda: onnx("Sin", onnx("Tanh", x))), "else_branch of %.* = If"),
    "Loop": (lambda x: sg.fori_loop(0, 3, lambda i, y: onnx("Sin", onnx("Tanh", y)) + x, x), "body of %.* = Loop"),
    "Scan": (lambda x: sg.scan(lambda c, r: (onnx("Sin", c + r), onnx("Tanh", c)), sg.tensor(np.ones(4, np.float32)),
                               onnx("Identity", x))[0], "body of %.* = Scan"),
    "composite": (composite, "body of %.* = symgraph::Wave"),
    "nested": (nested, "body of %.* = Loop in then_branch of %.* = If")}


@pytest.mark.parametrize("wrong", [sines, drops_sines])
@pytest.mark.parametrize("kind", CARRIERS)
def test_the_node_inside_a_body_is_named(kind, wrong, tmp_path):
    function, place = CARRIERS[kind]
    x = symbol((3, 4), name="x")
    with tracing():
        graph = sg.Graph([x], [onnx("Abs", function(onnx("Exp", x)))], output_names=["y"])
    culprit = bisect(graph, [wrong], reproducer=tmp_path / "wrong.onnx")

    assert culprit.node.op.name == "Sin" and re.fullmatch(place, culprit.inside)
    assert [n.op.name for n in culprit.graph.nodes] == ["Sin"]
    assert re.search(f"= Sin .*in {place}.*this node alone shows it", str(culprit))
    shows(tmp_path / "wrong.onnx", wrong)


def shows(path, wrong):
    """The file loads, and with the inputs beside it the pass changes what it gives."""
    graph = sg.load_onnx(path).graph
    with np.load(path.with_suffix(".npz")) as stored:
        feeds = {name: stored[name] for name in stored.files}
    before, after = (Session(g, optimize=False).run(feeds)[0] for g in (graph, wrong(graph)))
    assert not np.array_equal(before, after, equal_nan=True)


@pytest.mark.parametrize("name", ["file", "a/b", "x:0", "args"])
def test_inputs_of_any_name_are_saved(name, tmp_path):
    x = symbol((3,), name=name)
    with tracing():
        graph = sg.Graph([x], [onnx("Sin", x)])

    bisect(graph, [sines], reproducer=tmp_path / "wrong.onnx")
    shows(tmp_path / "wrong.onnx", sines)


def test_a_reproducer_that_cannot_be_written_hides_nothing(tmp_path):
    x = symbol((3,), name="x")
    with tracing():
        graph = sg.Graph([x], [onnx("Sin", x)], output_names=["y"])

    with pytest.raises(PassError, match=r"sines changed output 'y'.*not saved: .*No such file"):
        passes.optimize(graph, [sines], verify=True, reproducer=tmp_path / "nowhere" / "wrong.onnx")


def test_nodes_beside_the_fault_are_left_out_of_the_reproducer():
    def drops_the_square_of_a_sine(graph):
        def rewrite(node, operands):
            maker = getattr(operands[0], "node", None)
            return [operands[1]] if node.op.name == "Mul" and maker and maker.op.name == "Sin" else None

        return graph.rewrite(rewrite)

    x = symbol((3,), name="x")
    with tracing():
        y = onnx("Mul", onnx("Sin", onnx("Tanh", x)), onnx("Exp", onnx("Cos", x)))
    culprit = bisect(sg.Graph([x], [y]), [drops_the_square_of_a_sine])

    assert [n.op.name for n in culprit.graph.nodes] == ["Sin", "Mul"]


def test_a_pass_that_fails_on_parts_still_has_its_first_error():
    def fussy(graph):
        if len(graph.nodes) < 3:
            raise KeyError("too small")
        return graph.rewrite(lambda node, operands: [operands[0]] if node.op.name == "Sin" else None)

    x = symbol((3,), name="x")
    with tracing():
        graph = sg.Graph([x], [onnx("Exp", onnx("Sin", onnx("Tanh", x)))], output_names=["y"])

    with pytest.raises(PassError, match="fussy changed output 'y'"):
        passes.optimize(graph, [fussy], verify=True)
