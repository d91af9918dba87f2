import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.ops import onnx
from symgraph.passes import PassError
from symgraph.passes.bisect import bisect
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
