"""Variables of a graph become its inputs."""

import numpy as np

import symgraph as sg
from symgraph.autodiff.lifting import lift_variables
from symgraph.core.composite import apply_composite
from symgraph.core.scope import tracing

W = sg.Variable(np.float32([2, 3]), name="w")
B = sg.Variable(np.float32([0.5, -0.5]), name="b")
U = sg.Variable(np.float32(1.5), name="u")


def run(graph, *arrays):
    feeds = dict(zip(graph.input_names, arrays, strict=True))
    return sg.runtime.Session(graph, optimize=False).run(feeds)


def check(function, *arrays):
    """The lifted graph reads no variable, and computes the same of their values."""
    xs = [sg.symbol(x.shape, x.dtype, f"x{i}") for i, x in enumerate(arrays)]
    with tracing():
        y = function(*xs)
    graph = sg.Graph(xs, [y], output_names=["y"])

    lifted, variables = lift_variables(graph)

    assert variables == graph.variables
    assert lifted.variables == ()
    assert lifted.inputs[:len(xs)] == graph.inputs
    assert lifted.output_names == ("y",)
    assert [x.name for x in lifted.inputs[len(xs):]] == [v.name for v in variables]
    (found,) = run(lifted, *arrays, *(v.numpy() for v in variables))
    np.testing.assert_array_equal(found, run(graph, *arrays)[0])
    moved = [v.numpy() + 1 for v in variables]
    assert not np.array_equal(run(lifted, *arrays, *moved)[0], found)
    return lifted


X = np.float32([1, -1])
ROWS = np.float32([[1, 2], [3, 4], [5, 6]])


def test_variables_of_nodes():
    lifted = check(lambda x: x * W + B * W, X)

    assert len(lifted.inputs) == 3


def test_a_variable_that_is_returned():
    y = sg.Graph([], [W])

    lifted, variables = lift_variables(y)

    assert lifted.outputs == lifted.inputs
    assert variables == (W,)


def test_variables_of_branches():
    check(lambda x: sg.cond(sg.sum(x) > 1.0, lambda: x * W, lambda: x + B), X)


def test_variables_of_loops():
    check(lambda x: sg.fori_loop(0, 3, lambda i, v: v * W + B, x), X)
    check(lambda x: sg.while_loop(lambda v: sg.sum(v) < U * 20.0, lambda v: v * W + B + 1.0, x), X)


def test_variables_of_scans_inside_of_branches():
    check(lambda rows: sg.cond(sg.sum(rows) > 1.0, lambda: sg.scan(lambda c, x: (c + x * W, c * U), B, rows)[0],
                               lambda: B * 2.0), ROWS)


def test_variables_of_composites_inside_of_loops():
    def twice(x, y):
        return x * y + W

    check(lambda x: sg.fori_loop(0, 2, lambda i, v: apply_composite("Twice", twice, v, B), x), X)


def test_a_graph_without_variables_stays():
    x = sg.symbol([2], "float32", "x")
    graph = sg.Graph([x], [x * 2.0])

    assert lift_variables(graph) == (graph, ())


def test_lifting_again_gives_the_same_graph():
    x = sg.symbol([2], "float32", "x")
    graph = sg.Graph([x], [x * W])

    assert lift_variables(graph)[0] is lift_variables(graph)[0]
