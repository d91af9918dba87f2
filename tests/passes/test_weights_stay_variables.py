"""Passes for training leave weights variables, whatever they make of the ops on them."""

import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.types import TensorType
from symgraph.training.function import HOLE, trace

L = sg.layers

NETWORKS = {
    "dense": lambda x: L.Dense(3)(L.Dense(4, activation="relu")(L.Flatten()(x))),
    "simple_rnn": lambda x: L.SimpleRNN(4)(x),
    "lstm": lambda x: L.LSTM(4)(x),
    "gru": lambda x: L.GRU(4)(x),
    "bidirectional": lambda x: L.Bidirectional(L.LSTM(4))(x),
    "convolution": lambda x: L.BatchNormalization()(L.Conv1D(4, 2, padding="same")(x)),
    "normalised": lambda x: L.Dense(2)(L.LayerNormalization()(L.Dense(4)(x))),
}


@pytest.fixture(params=NETWORKS)
def graph(request):
    """A step's gradients, whose graph reads all weights."""
    x = sg.Input((5, 3))
    model = sg.Model(x, NETWORKS[request.param](x))

    def gradients(x):
        with sg.GradientTape() as tape:
            loss = sg.sum(sg.square(model(x, training=True)))
        return tape.gradient(loss, model.trainable_variables)

    return trace(gradients, [TensorType("float32", (8, 5, 3))], ((HOLE,), {})).graph


@pytest.mark.parametrize("each", passes.TRAINING, ids=lambda p: p.__name__)
def test_a_pass_keeps_the_variables_of(each, graph):
    assert set(each(graph).variables) == set(graph.variables)


def test_the_pipeline_keeps_the_variables_of(graph):
    assert set(passes.optimize(graph, passes.TRAINING).variables) == set(graph.variables)


def test_what_a_rewriter_computes_of_a_variable_is_read_when_the_graph_runs():
    w = sg.Variable([[1.0, 2.0]])
    x = sg.symbol((2, 1))
    graph = sg.Graph([x], [x @ w])

    turned = graph.rewrite(
        lambda node, operands: (sg.transpose(sg.transpose(operands[1]) @ sg.transpose(operands[0])),))
    w.assign([[3.0, 4.0]])

    assert sg.runtime.evaluate(turned, [[1.0], [1.0]])[0].numpy().tolist() == [[3.0, 4.0], [3.0, 4.0]]
