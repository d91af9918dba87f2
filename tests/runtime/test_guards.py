"""Empty tensors never end the process, and where ONNX says what comes of them, that comes out."""

import subprocess
import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.runtime.legalize import legalize
from symgraph.runtime.session import Session

HEAD = """
import numpy as np
import symgraph as sg
from symgraph.core.apply import apply_op, symbol
from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node
from symgraph.runtime.session import Session

def ones(*shape, dtype="float32"):
    return np.ones(shape, dtype)
"""


def printed(program, *shapes):
    """What a program prints in a process of its own, which must end well."""
    done = subprocess.run([sys.executable, "-c", HEAD + program, *map(repr, shapes)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split("\n")


RECURRENT = """
import sys
kind, gates, dtype, directions = "{kind}", {gates}, "{dtype}", {directions}
x, h = symbol((None, None, {size}), dtype, "x"), symbol((directions, None, 3), dtype, "h")
w, r = ones(directions, gates * 3, 2, dtype=dtype), ones(directions, gates * 3, 3, dtype=dtype)
given = dict(hidden_size=3, direction="bidirectional" if directions == 2 else "forward")
outputs = apply_op(kind, x, w, r, None, None, h, outputs=3 if kind == "LSTM" else 2, **given)
for optimize in (False, True):
    session = Session(Graph([x, h], list(outputs)), optimize=optimize)
    for length, batch in ((2, 2), (0, 2), (2, 0), (0, 0)):
        feeds = dict(x=ones(length, batch, 2, dtype=dtype), h=ones(directions, batch, 3, dtype=dtype) / 2)
        y, *states = session.run(feeds)
        assert y.shape == (length, directions, batch, 3) and y.dtype == dtype
        for state in states[:1]:
            assert state.shape == (directions, batch, 3)
            assert length or kind == "RNN" or (state == 0.5).all()
        if dtype != "float32":
            continue  # where there is no kernel, eager mode runs the reference
        y, state = apply_op(kind, feeds["x"], w, r, outputs=2, **given)
        assert y.shape == (length, directions, batch, 3) and state.shape == (directions, batch, 3)
        assert length or not state.numpy().any()
print("done")
"""


@pytest.mark.parametrize("size", [2, None])
@pytest.mark.parametrize(("kind", "gates", "dtype", "directions"), [
    ("LSTM", 4, "float32", 1), ("LSTM", 4, "float32", 2), ("GRU", 3, "float32", 1), ("GRU", 3, "float32", 2),
    ("GRU", 3, "float16", 1), ("RNN", 1, "float32", 1)])
def test_recurrent_operators_of_nothing_give_nothing_and_the_state_they_began_with(kind, gates, dtype, directions,
                                                                                   size):
    program = RECURRENT.format(kind=kind, gates=gates, dtype=dtype, directions=directions, size=size)

    assert printed(program)[0] == "done"


def test_a_recurrent_operator_without_inputs_runs_on_its_state():
    program = """
x, w = symbol((None, None, None), "float32", "x"), symbol((1, 9, None), "float32", "w")
y = apply_op("GRU", x, w, ones(1, 9, 3), hidden_size=3)
session = Session(Graph([x, w], [y]))
for size in (0, 2):
    found = session.run({"x": ones(2, 2, size) * 0, "w": ones(1, 9, size)})[0]
    print(found.shape, bool((found == 0).all()))
"""
    assert printed(program)[:2] == ["(2, 1, 2, 3) True", "(2, 1, 2, 3) True"]


def test_instance_normalization_of_nothing_gives_nothing():
    program = """
x = symbol(("N", 3, None, None), "float32", "x")
session = Session(Graph([x], [apply_op("InstanceNormalization", x * 2, ones(3), ones(3))]))
for shape in ((2, 3, 4, 4), (2, 3, 0, 4), (0, 3, 4, 4), (0, 3, 0, 0)):
    print(session.run({"x": ones(*shape)})[0].shape, apply_op(
        "InstanceNormalization", sg.tensor(ones(*shape)) * 2, ones(3), ones(3)).shape)
y = symbol((2, 3, 0, 4), "float32", "x")
print(Session(Graph([y], [apply_op("InstanceNormalization", y * 2, ones(3), ones(3))])).run({"x": ones(2, 3, 0, 4)}))
"""
    lines = printed(program)
    assert lines[:4] == [f"{s} {s}" for s in ((2, 3, 4, 4), (2, 3, 0, 4), (0, 3, 4, 4), (0, 3, 0, 0))]
    assert "shape=(2, 3, 0, 4)" in lines[4]


ATTENTION = """
q = symbol({given}, "float32", "q")
op = find_op("{name}", "{domain}", 23)
inputs = (q, q, q) {more}
node = Node(op, inputs, {attributes}, (q.type, None, None)[:{outputs}])
session = Session(Graph([q], [node.output]))
try:
    session.run({{"q": ones(*{empty})}})
except sg.RunError as error:
    print(error)
print(session.run({{"q": ones(*{full})}})[0].shape)
"""


@pytest.mark.parametrize(("name", "domain", "given", "empty", "full", "attributes"), [
    ("Attention", "", (2, None, 4, 6), (2, 0, 4, 6), (2, 3, 4, 6), {}),
    ("MultiHeadAttention", "com.microsoft", (2, 4, None), (2, 4, 0), (2, 4, 6), {"num_heads": 2})])
def test_attention_without_heads_is_refused(name, domain, given, empty, full, attributes):
    lines = printed(ATTENTION.format(name=name, domain=domain, given=given, empty=empty, full=full, more="",
                                     attributes=attributes, outputs=1))

    assert name in lines[0] and "its queries are empty" in lines[0]
    assert lines[1] == str(full)


def operators(name, shape, *weights, **attributes):
    """What becomes of an operator on an input of a shape."""
    x = symbol(shape, "float32", "x")
    graph = Graph([x], [apply_op(name, x, *(np.ones(w, np.float32) for w in weights), **attributes)])
    return [node.op.name for node in legalize(graph).nodes]


def test_where_nothing_can_be_empty_nothing_is_added():
    gru, lstm = ((1, 9, 2), (1, 9, 3)), ((1, 12, 2), (1, 12, 3))
    assert operators("GRU", (5, 1, 2), *gru, hidden_size=3) == ["GRU"]
    assert operators("GRU", ("T", 1, 2), *gru, hidden_size=3) != ["GRU"]
    assert operators("LSTM", ("T", 1, 2), *lstm, hidden_size=3) == ["LSTM"]
    assert operators("LSTM", (5, "N", 2), *lstm, hidden_size=3) != ["LSTM"]
    assert operators("InstanceNormalization", ("N", 3, 4, 4), (3,), (3,)) == ["InstanceNormalization"]
    assert operators("InstanceNormalization", ("N", 3, "H", 4), (3,), (3,)) != ["InstanceNormalization"]


def test_a_convolution_of_no_channels_gives_its_bias():
    program = """
x = symbol((1, 0, 4, 4), "float32", "x")
y = apply_op("Conv", x * 2, ones(2, 0, 3, 3), ones(2), pads=[1, 1, 1, 1])
found = Session(Graph([x], [y])).run({"x": ones(1, 0, 4, 4)})[0]
print(found.shape, bool((found == 1).all()))
"""
    assert printed(program)[0] == "(1, 2, 4, 4) True"


def test_a_convolution_with_an_empty_kernel_is_refused():
    x = symbol((1, 3, 4, 4), "float32", "x")
    with pytest.raises(sg.UnsupportedOpError, match=r"Conv: a kernel of shape \[2, 3, 0, 3\] has nothing to sum up"):
        Session(Graph([x], [apply_op("Conv", x, np.ones((2, 3, 0, 3), np.float32), kernel_shape=[1, 3])]))


def test_guarded_operators_give_the_bits_of_plain_ones(rng):
    w, r = (rng.normal(size=s).astype(np.float32) for s in ((1, 9, 2), (1, 9, 3)))
    x = rng.normal(size=(5, 4, 2)).astype(np.float32)
    results = []
    for shape in ((None, None, 2), (5, 4, 2)):
        given = symbol(shape, "float32", "x")
        node = Node(find_op("GRU"), (given, sg.tensor(w), sg.tensor(r)), {"hidden_size": 3}, (given.type,))
        results.append(Session(Graph([given], [node.output])).run({"x": x})[0])
    np.testing.assert_array_equal(*results)
