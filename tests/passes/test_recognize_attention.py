"""Attention is recognised where the operator stands and gives the same for every input."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import apply_op, symbol
from symgraph.core.op import find_op
from symgraph.ops import onnx
from symgraph.passes.recognize_attention import recognize_attention

MASK = np.where(np.tri(3, 5, dtype=bool), 0, -np.inf).astype(np.float32)
HALF = np.float32(0.5)


def heads(batch=2, count=2, keys=5):
    return [symbol((batch, count, n, 4), name=name) for name, n in (("q", 3), ("k", keys), ("v", keys))]


def scores(q, k):
    return onnx("MatMul", q, onnx("Transpose", k, perm=[0, 1, 3, 2]))


def attend(weights, v):
    return onnx("MatMul", onnx("Softmax", weights, axis=-1), v)


def graph_of(inputs, y, opset=23):
    return sg.Graph(inputs, [apply_op(find_op("Identity", "", opset), y)], opsets={"": opset})


FORMS = {
    "plain": lambda q, k, v: attend(scores(q, k), v),
    "multiplied": lambda q, k, v: attend(scores(q, k) * HALF, v),
    "divided": lambda q, k, v: attend(scores(q, k) / np.float32(2), v),
    "both scaled": lambda q, k, v: attend(scores(q * np.float32(0.7), k * np.float32(0.7)), v),
    "masked": lambda q, k, v: attend(scores(q, k) * HALF + MASK, v),
    "masked from the left": lambda q, k, v: attend(MASK + scores(q, k), v)}


@pytest.mark.parametrize("form", FORMS)
def test_attention_is_one_operator(form):
    inputs = heads()
    graph = passes.optimize(graph_of(inputs, FORMS[form](*inputs)), [recognize_attention], verify=True)

    assert [node.op.name for node in graph.nodes] == ["Attention", "Identity"]
    assert recognize_attention(graph) is graph


def test_a_graph_of_an_older_opset_has_no_such_operator():
    inputs = heads()
    graph = graph_of(inputs, FORMS["plain"](*inputs), 21)

    assert recognize_attention(graph) is graph


STAYS = {
    "keys of an open length": lambda: (x := heads(keys="T"), FORMS["plain"](*x)),
    "batches of an open number": lambda: (x := heads("N"), FORMS["plain"](*x)),
    "negative": lambda: (x := heads(), attend(scores(x[0], x[1]) * np.float32(-1), x[2])),
    "over another axis": lambda: (x := heads(), onnx("MatMul", onnx("Softmax", scores(x[0], x[1]), axis=1), x[2])),
    "a row of nothing": lambda: (x := heads(), attend(scores(x[0], x[1]) + np.where(
        np.arange(3)[:, None] == 1, -np.inf, np.zeros((3, 5))).astype(np.float32), x[2])),
    "a mask that is given": lambda: ((x := [*heads(), symbol((3, 5), name="m")]), attend(
        scores(x[0], x[1]) + x[3], x[2])),
    "scores that others read": lambda: (x := heads(), FORMS["plain"](*x) + onnx(
        "ReduceSum", scores(x[0], x[1]), np.int64([-1]))),
    "keys of one head": lambda: (x := [heads()[0], *heads(count=1)[1:]], FORMS["plain"](*x))}


@pytest.mark.parametrize("case", STAYS)
def test_what_might_give_something_else_stays(case):
    inputs, y = STAYS[case]()
    graph = passes.share_common_subexpressions(graph_of(inputs, y))

    assert recognize_attention(graph) is graph
