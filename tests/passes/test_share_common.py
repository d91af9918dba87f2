"""What is computed around a body is not computed in it again."""

import numpy as np

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes import share_common_subexpressions
from symgraph.passes.remove_unused import remove_unused


def inside(graph):
    return [[n.op.name for n in body.nodes] for node in graph.nodes for _, body in node.subgraphs()]


def branches(build, other=None):
    x, flag = symbol((3,), name="x"), symbol((), "bool", name="flag")
    y = build(x)
    return sg.Graph([flag, x], [sg.cond(flag, lambda: build(x) + 1.0, lambda: (other or build)(x) * 2.0), y])


def optimized(graph):
    after = passes.optimize(graph, [share_common_subexpressions, remove_unused], verify=True)
    assert share_common_subexpressions(after) is after
    return after


def test_branches_read_what_is_known_around_them():
    assert inside(optimized(branches(sg.exp))) == [["Add"], ["Mul"]]


def test_chains_are_read_from_around_to_their_end():
    assert inside(optimized(branches(lambda x: sg.tanh(sg.exp(x) + 3.0)))) == [["Add"], ["Mul"]]


def test_one_branch_may_share_more_than_the_other():
    assert inside(optimized(branches(sg.exp, sg.tanh))) == [["Add"], ["Tanh", "Mul"]]


def test_what_comes_after_a_body_is_not_read_in_it():
    x, flag = symbol((3,), name="x"), symbol((), "bool", name="flag")
    y = sg.cond(flag, lambda: sg.exp(x), lambda: x * 2.0)
    graph = sg.Graph([flag, x], [y, sg.exp(x)])

    assert inside(optimized(graph)) == [["Exp"], ["Mul"]]


def test_random_numbers_of_a_branch_are_its_own():
    graph = branches(lambda x: onnx("RandomNormalLike", x))

    assert share_common_subexpressions(graph) is graph


def test_constants_of_a_body_are_the_same_when_their_bytes_are():
    graph = branches(lambda x: onnx("Mul", x, np.float32(0.0)), lambda x: onnx("Mul", x, np.float32(-0.0)))

    assert inside(optimized(graph)) == [["Add"], ["Mul", "Mul"]]


def test_a_body_computes_nothing_twice():
    xs = symbol(("N", 3), name="xs")
    graph = sg.Graph([xs], list(sg.scan(
        lambda total, row: (total + sg.exp(row), sg.exp(row)), sg.tensor(np.zeros(3, np.float32)), xs)))

    assert inside(optimized(graph))[0].count("Exp") == 1


def test_bodies_in_bodies_read_from_the_body_around_them():
    x, flag = symbol((3,), name="x"), symbol((), "bool", name="flag")
    graph = sg.Graph([flag, x], [sg.cond(
        flag, lambda: sg.tanh(x) + sg.cond(flag, lambda: sg.tanh(x), lambda: sg.exp(x)), lambda: x * 2.0)])
    after = optimized(graph)

    assert str([inside(body) for node in after.nodes for _, body in node.subgraphs()]).count("Tanh") == 0
