"""What a body reads from outside and is a constant stands in the body, so that it folds there."""

import numpy as np

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.passes.bind_constants import bind_constants
from symgraph.passes.remove_unused import remove_unused


def bodies(graph):
    return [body for node in graph.nodes for _, body in node.subgraphs()]


def branching(depth=1):
    x, flag = symbol((3,), name="x"), symbol((), "bool", name="flag")
    with sg.core.scope.tracing():
        c = sg.exp(sg.Variable(np.float32([1, 2, 3])))
        inner = (lambda: x + sg.tanh(c)) if depth == 1 else lambda: sg.cond(flag, lambda: x + sg.tanh(c), lambda: x)
        return sg.Graph([flag, x], [sg.cond(flag, inner, lambda: x * c)])


def test_a_constant_goes_into_both_branches_and_folds_there():
    graph = passes.optimize(branching(), [passes.freeze, passes.fold_constants, bind_constants, remove_unused],
                            verify=True)

    assert [[n.op.name for n in body.nodes] for body in bodies(graph)] == [["Add"], ["Mul"]]
    assert all(len(body.captures) == 1 for body in bodies(graph)) and bind_constants(graph) is graph


def test_a_constant_goes_into_a_body_of_a_body():
    graph = passes.optimize(branching(2), [passes.freeze, passes.fold_constants, bind_constants, remove_unused],
                            verify=True)

    inner = [n.op.name for body in bodies(graph) for deep in bodies(body) for n in deep.nodes]
    assert "Tanh" not in inner and "Add" in inner


def test_what_is_no_constant_stays_outside():
    x, flag = symbol((3,), name="x"), symbol((), "bool", name="flag")
    y = sg.exp(x)
    graph = sg.Graph([flag, x], [sg.cond(flag, lambda: y + 1.0, lambda: y * 2.0)])

    assert bind_constants(graph) is graph
