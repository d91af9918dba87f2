"""Open dimensions stay open and keep their names; sizes that are known become constants."""

import numpy as np
import pytest

from symgraph import ops
from symgraph.core.apply import symbol
from symgraph.core.errors import SymgraphError
from symgraph.core.graph import Graph
from symgraph.core.scope import tracing
from symgraph.core.variable import Variable
from symgraph.runtime import evaluate

CASES = [
    ("reshape keeps the batch", lambda x: ops.reshape(x, (ops.shape(x)[0], -1)), "float32[N, 12]"),
    ("reshape by name", lambda x: ops.reshape(x, ("N", 12)), "float32[N, 12]"),
    ("reshape with -1", lambda x: ops.reshape(x, (-1, 2, 6)), "float32[N, 2, 6]"),
    ("reshape moves the batch", lambda x: ops.reshape(x, (12, ops.shape(x)[0])), "float32[12, N]"),
    ("transpose", lambda x: ops.transpose(x), "float32[4, 3, N]"),
    ("expand_dims", lambda x: ops.expand_dims(x, 1), "float32[N, 1, 3, 4]"),
    ("concat", lambda x: ops.concat([x, x], axis=1), "float32[N, 6, 4]"),
    ("stack", lambda x: ops.stack([x, x]), "float32[2, N, 3, 4]"),
    ("split", lambda x: ops.split(x, 3, axis=1)[2], "float32[N, 1, 4]"),
    ("slice", lambda x: x[:, 1:, ::2], "float32[N, 2, 2]"),
    ("flip", lambda x: x[::-1], "float32[N, 3, 4]"),
    ("flip all", ops.flip, "float32[N, 3, 4]"),
    ("number", lambda x: x[:, -1], "float32[N, 4]"),
    ("new axis", lambda x: x[:, None, ..., 0], "float32[N, 1, 3]"),
    ("array", lambda x: x[:, [[0, 1], [2, 2]]], "float32[N, 2, 2, 4]"),
    ("arrays", lambda x: x[:, [0, 1], [1, 2]], "float32[N, 2]"),
    ("mask", lambda x: x[:, [True, False, True]], "float32[N, ?, 4]"),
    ("pad", lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 2))), "float32[N, 5, 6]"),
    ("tile", lambda x: ops.tile(x, (1, 2, 1)), "float32[?, 6, 4]"),
    ("broadcast_to", lambda x: ops.broadcast_to(x, (2, ops.shape(x)[0], 3, 4)), "float32[2, N, 3, 4]"),
    ("zeros", lambda x: ops.zeros((ops.shape(x)[0], 7)), "float32[N, 7]"),
    ("zeros_like", ops.zeros_like, "float32[N, 3, 4]"),
    ("matmul", lambda x: x @ np.ones((4, 5), np.float32), "float32[N, 3, 5]"),
    ("tensordot", lambda x: ops.tensordot(x, np.ones((3, 4, 2), np.float32)), "float32[N, 2]"),
    ("einsum", lambda x: ops.einsum("nij,kj->nik", x, np.ones((5, 4), np.float32)), "float32[N, 3, 5]"),
    ("diagonal", lambda x: ops.diagonal(x, 0, 1, 2), "float32[N, 3]"),
    ("tril", ops.tril, "float32[N, 3, 4]"),
    ("take", lambda x: ops.take(x, [0, 1], axis=2), "float32[N, 3, 2]"),
    ("sort", ops.sort, "float32[N, 3, 4]"),
    ("cumprod", lambda x: ops.cumprod(x, 0), "float32[N, 3, 4]"),
    ("slice_update", lambda x: ops.slice_update(x, (0, 1, 0), x[:, :2]), "float32[N, 3, 4]"),
    ("one_hot", lambda x: ops.one_hot(ops.cast(x[:, 0, 0], "int32"), 5), "float32[N, 5]"),
]


@pytest.mark.parametrize(("function", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_batch_keeps_its_name(function, expected):
    assert str(function(symbol(("N", 3, 4))).type) == expected


@pytest.mark.parametrize("count", [0, 1, 5])
@pytest.mark.parametrize("batch", ["N", None])
@pytest.mark.parametrize("function", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_one_graph_runs_for_every_batch(function, batch, count):
    if batch is None and function is CASES[1][1]:
        return
    x = symbol((batch, 3, 4))
    y = function(x)
    (found,) = evaluate(Graph([x], [y]), np.ones((count, 3, 4), np.float32))
    assert all(d == n for d, n in zip(y.shape, found.shape, strict=True) if isinstance(d, int))
    assert count in found.shape


def test_shape_gives_ints_and_symbols():
    n, c = ops.shape(symbol(("N", 3)))
    assert c == 3 and n.shape == () and n.dtype == "int64"


def test_shape_of_known_dimensions_makes_no_nodes():
    assert ops.shape(symbol((2, 3))) == (2, 3) and ops.size(symbol((2, 3))) == 6


def test_a_known_reshape_is_one_node_with_a_constant():
    x = symbol((None, 3, 4))
    y = ops.reshape(x, (ops.shape(x)[0], 12))
    (node,) = Graph([x], [y]).nodes
    assert node.inputs[1].tolist() == [-1, 12]


def test_arithmetic_with_sizes_is_known_where_it_can_be():
    x = symbol(("N", 6))
    n, c = ops.shape(x)
    assert str(ops.zeros((n, c // 2)).type) == "float32[N, 3]"
    assert str(ops.zeros((n * 2, c)).type) == "float32[?, 6]"


def test_a_shape_given_as_a_vector_symbol_is_taken():
    x, s = symbol((None,)), symbol((2,), "int64")
    y = ops.reshape(x, s)
    assert y.shape == (None, None)
    assert evaluate(Graph([x, s], [y]), np.zeros(6, np.float32), np.array([2, 3]))[0].shape == (2, 3)


def test_a_size_in_a_variable_is_read_when_the_graph_runs():
    n = Variable(np.int64(3), name="n")
    with tracing():
        y = ops.zeros((n, 2))
    graph = Graph([], [y])
    n.assign(5)
    assert y.shape == (None, 2) and evaluate(graph)[0].shape == (5, 2)


def test_an_open_split_that_does_not_divide_fails_when_it_runs():
    x = symbol(("N",))
    graph = Graph([x], ops.split(x, 2))
    assert evaluate(graph, np.zeros(4, np.float32))[1].shape == (2,)
    with pytest.raises(SymgraphError):
        evaluate(graph, np.zeros(5, np.float32))


@pytest.mark.parametrize(("call", "words"), [
    (lambda x: ops.reshape(x[0], (5, 5)), r"3, 4.*5, 5"),
    (lambda x: ops.reshape(x[0], (7, -1)), r"3, 4.*7, -1"), (lambda x: ops.reshape(x, (-1, -1)), "-1"),
    (lambda x: ops.transpose(x, (0, 1)), "3 axes"), (lambda x: ops.squeeze(x, 1), "axis 1"),
    (lambda x: ops.expand_dims(x, 9), "no axis 9"), (lambda x: ops.concat([]), "at least one"),
    (lambda x: ops.concat([x, x[0]]), "one rank"), (lambda x: ops.concat([x[0], x[0, :, :3]]), "4"),
    (lambda x: ops.split(x, 2, axis=1), "axis 1"), (lambda x: ops.unstack(x), "num="),
    (lambda x: ops.tile(x, -1), "negative"), (lambda x: ops.pad(x, -1), "slice"), (lambda x: ops.pad(x, 1, "odd"),
    "odd"),
    (lambda x: ops.broadcast_to(x, (2, 4)), "broadcast"), (lambda x: ops.flip(x, 3), "no axis 3"),
    (lambda x: ops.slice(x[0], (2, 0), (2, 2)), "size 2 from 2"), (lambda x: ops.top_k(x, 5), "5"),
    (lambda x: ops.matmul(x, 2.0), "scalar"), (lambda x: ops.einsum("ij->ij", x), "does not fit"),
    (lambda x: ops.einsum("nij,j", x, np.ones(3)), "'j'"), (lambda x: ops.one_hot(x, 3), "whole"),
    (lambda x: ops.norm(x[0], "nuc", (0, 1)), "singular"), (lambda x: ops.tensor2d([1.0, 2.0]), r"tensor2d.*\(2,\)"),
    (lambda x: ops.arange(1, 2, 0), "step"), (lambda x: ops.full((2, -1), 0), "-1"),
    (lambda x: ops.squeeze(x), "axis="), (lambda x: ops.slice_update(x[0], (2, 0), x[0]), "not inside")])
def test_what_is_known_not_to_fit_is_refused(call, words):
    with pytest.raises(SymgraphError, match=words):
        call(symbol((None, 3, 4)))


@pytest.mark.parametrize("mode", ["reflect", "wrap", "edge", "symmetric"])
def test_padding_beside_an_axis_of_unknown_size_pads_each_axis_by_its_own_widths(mode):
    array = np.arange(8.0, dtype=np.float32).reshape(4, 2)
    x = symbol((None, 2))

    found = evaluate(Graph([x], [ops.pad(x, ((2, 1), (3, 0)), mode)]), array)[0].numpy()

    assert np.array_equal(found, np.pad(array, ((2, 1), (3, 0)), mode=mode))
