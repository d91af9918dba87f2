import subprocess
import sys

import networkx
import numpy as np
import pytest

import symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.errors import GraphError
from symgraph.core.graph import Graph, bind


def chain():
    x = symbol(("N", 3), name="x")
    w = sg.Variable(np.ones((3, 2), np.float32), name="w")
    y = apply_op("MatMul", x, w)
    return x, y, apply_op("Relu", apply_op("Add", y, 1.0))


def test_the_text_is_small_and_says_everything():
    x, _, z = chain()

    assert str(Graph([x], [z], output_names=["z"])).splitlines() == [
        "graph(%x: float32[N, 3]):",
        "  %MatMul: float32[N, 2] = MatMul(%x, %w)",
        "  %Add: float32[N, 2] = Add(%MatMul, 1.0)",
        "  %z: float32[N, 2] = Relu(%Add)",
        "  return %z",
    ]


def test_any_symbol_can_be_an_input_and_cuts_off_what_is_before_it():
    _, y, z = chain()

    assert [node.op.name for node in Graph([y], [z]).nodes] == ["Add", "Relu"]


def test_dead_code_is_not_there():
    x, y, _ = chain()

    assert [node.op.name for node in Graph([x], [y]).nodes] == ["MatMul"]


def test_a_missing_input_is_named_with_its_reader():
    x, other = symbol((2,), name="x"), symbol((2,), name="other")

    with pytest.raises(GraphError, match=r"'other'.*Add.*given: 'x'"):
        Graph([x], [apply_op("Add", x, other)])


def test_names_are_unique_and_those_of_inputs_and_outputs_come_first():
    x = symbol((2,), name="y")
    a = apply_op("Relu", x)
    b = apply_op("Relu", a)
    a.hint = b.hint = "y"

    graph = Graph([x], [b])

    assert graph.names[x] == "y"
    assert len(set(graph.names.values())) == len(graph.names)
    assert Graph([x], [b], output_names=["result"]).names[b] == "result"


def test_an_unknown_tensor_lists_the_near_names():
    x, _, z = chain()

    with pytest.raises(GraphError, match='"MatMul"'):
        Graph([x], [z]).find("Matmul")


def test_rewriting_nothing_returns_the_same_graph():
    x, _, z = chain()
    graph = Graph([x], [z])

    assert graph.rewrite(lambda node, operands: None) is graph


def test_a_rewrite_replaces_a_node_and_keeps_names_and_the_old_graph():
    x, _, z = chain()
    graph = Graph([x], [z], output_names=["z"])
    before = str(graph)

    after = graph.rewrite(
        lambda node, operands: [apply_op("Sigmoid", operands[0])] if node.op.name == "Relu" else None)

    assert [node.op.name for node in after.nodes] == ["MatMul", "Add", "Sigmoid"]
    assert after.output_names == ("z",)
    assert str(graph) == before


def test_the_order_of_nodes_does_not_depend_on_the_hash_seed():
    program = (
        "import symgraph as sg\n"
        "from symgraph.core.apply import apply_op, symbol\n"
        "x = symbol((2,), name='x')\n"
        "ys = [apply_op(n, x) for n in ('Relu', 'Tanh', 'Exp', 'Neg', 'Abs')]\n"
        "print(sg.Graph([x], [apply_op('Sum', *ys), *ys]))\n")
    texts = {subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True,
                            capture_output=True, text=True).stdout for seed in "123"}

    assert len(texts) == 1


def test_networkx_sees_the_edges():
    x, y, z = chain()
    graph = Graph([x], [z]).to_networkx()

    assert networkx.is_directed_acyclic_graph(graph)
    assert {d["label"] for _, d in graph.nodes(data=True)} == {
        "x", "w", "MatMul", "Add", "Relu", "constant"}
    assert networkx.has_path(graph, "x", z.node)
    assert y.node in networkx.ancestors(graph, z.node)


def test_a_graph_is_applied_to_other_symbols_and_to_values():
    x, _, z = chain()
    graph = Graph([x], [z])
    point = np.float32([[1, 2, 3]])

    (again,) = bind(graph, [symbol((4, 3))])
    (value,) = bind(graph, [sg.tensor(point)])

    assert again.shape == (4, 2)
    np.testing.assert_array_equal(value.numpy(), [[7, 7]])


def test_ten_thousand_nodes_do_not_recurse():
    x = y = symbol((2,))
    for _ in range(10_000):
        y = apply_op("Neg", y)

    assert len(Graph([x], [y]).nodes) == 10_000


@pytest.mark.parametrize("outputs", ["input", "twice", "constant", "variable"])
def test_outputs_that_nothing_computes_are_fine(outputs):
    x, y, _ = chain()
    found = {"input": [x], "twice": [y, y], "constant": [sg.tensor([1.0])], "variable": [sg.Variable([1.0])]}[outputs]

    values = sg.runtime.evaluate(Graph([x], found), np.ones((1, 3), np.float32))

    assert len(values) == len(found)


def test_a_rewriter_sees_only_the_operators_it_asks_for():
    x = sg.Input((3,), name="x")
    graph = sg.Graph([x], [sg.tanh(sg.exp(sg.tanh(x)))])
    seen = []

    same = graph.rewrite(lambda node, operands: seen.append(node.op.name), operators={"Tanh", "Sin"})

    assert same is graph and seen == ["Tanh", "Tanh"]
    assert graph.rewrite(lambda node, operands: 1 / 0, operators={"Sin"}) is graph


def test_a_graph_knows_readers_operators_and_ops():
    x = sg.Input((3,), name="x")
    y = sg.exp(x)
    graph = sg.Graph([x], [y, y + x])
    exp, add = graph.nodes

    assert graph.readers == {x: [exp, add], y: [add, None], add.output: [None]}
    assert graph.by_operator == {"Exp": (exp,), "Add": (add,)}
    assert graph.ops == (exp.op, add.op) and graph.with_graphs == ()


def test_names_of_ends_are_the_same_whether_or_not_all_are_named():
    x = sg.Input((3,), name="x")
    y = sg.exp(x)
    first, second = (sg.Graph([x], [sg.tanh(y), y, sg.tanh(x)]) for _ in range(2))

    names = second.names

    assert first.output_names == second.output_names == tuple(names[v] for v in second.outputs)
    assert first.input_names == second.input_names
