"""The order in which a step's nodes run."""

import numpy as np
import onnx
import onnxruntime

import symgraph as sg
from symgraph.runtime.exporter import to_model
from symgraph.runtime.leaf_order import order_leaves


def chain(length):
    """Numbers made one of the other; each is also an output, doubled."""
    x = sg.Input(batch_shape=(2,), name="x")
    made, y = [], x
    for _ in range(length):
        y = sg.sin(y)
        made.append(y * 2.0)
    return sg.Graph([x], made)


def test_what_needs_least_comes_last():
    model = to_model(chain(5)).model
    order_leaves(model.graph)
    names = [node.op_type for node in model.graph.node]
    outputs = [x.name for x in model.graph.output]

    assert names == ["Sin"] * 5 + ["Mul"] * 5
    assert [node.output[0] for node in model.graph.node if node.op_type == "Mul"] == outputs[::-1]
    onnx.checker.check_model(model)


def test_what_a_branch_reads_comes_before_it(rng):
    x = sg.Input(batch_shape=(2,), name="x")
    y = sg.exp(x)
    graph = sg.Graph([x], [sg.cond(sg.sum(x) > 0.0, lambda: y * 2.0, lambda: -y)])
    model = to_model(graph).model
    order_leaves(model.graph)
    value = rng.normal(size=2).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    np.testing.assert_array_equal(session.run(None, {"x": value})[0], sg.runtime.evaluate(graph, value)[0])
