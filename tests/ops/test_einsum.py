"""einsum is what NumPy says, with empty axes of every kind, and in few nodes."""

import itertools

import numpy as np
import pytest

from symgraph import ops
from symgraph.core.apply import symbol
from symgraph.core.errors import ShapeError
from symgraph.core.graph import Graph
from symgraph.core.value import tensor
from symgraph.runtime import evaluate

EQUATIONS = (
    "bik,bjk->bij", "bij,bjk->ikb", "bi,bi->b", "ij,ij->", "i,j->ij", "abc,cd->abd", "abc,cde->abde", "ij,bjk->bik",
    "aibj,bkja->kia", "bhqd,bhkd->bhqk", "abij,abjk->", "ij,jk,kl->il", "bij,bkj,bk->bi", "iij,jk->ik", "iji,ik->kj",
    "ijk,ljk->il", "abijk,abkjl->abil", "ij,kl->jl", "i,->i", "ii->", "ijij->ij", "abcd->ca", "k,abk->ab", "abk,k->ab",
    "bi,bj,bk->ijk", "xbi,ybi->bxy")
SIZES = {c: 2 + i % 3 for i, c in enumerate("abcdehijklqxy")}


def arrays(equation, sizes):
    rng = np.random.default_rng(0)
    return [np.asarray(rng.normal(size=[sizes[c] for c in term]), np.float32)
            for term in equation.split("->")[0].split(",")]


def ops_of(graph):
    return [node.op.name for node in graph.nodes]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_with_empty_axes_equals_numpy(equation):
    letters = sorted(set(equation) - set("->,"))
    for empty in ((), *itertools.combinations(letters, 1), *itertools.combinations(letters, 2)):
        given = arrays(equation, {**SIZES, **dict.fromkeys(empty, 0)})
        expected = np.einsum(equation, *given)
        found = ops.einsum(equation, *map(tensor, given)).numpy()
        assert found.shape == expected.shape, f"empty {empty}"
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5, err_msg=f"empty {empty}")


@pytest.mark.parametrize("equation", EQUATIONS)
def test_one_graph_of_open_dimensions_takes_empty_axes(equation):
    letters = sorted(set(equation) - set("->,"))
    symbols = [symbol((None,) * x.ndim, name=f"x{i}") for i, x in enumerate(arrays(equation, SIZES))]
    graph = Graph(symbols, [ops.einsum(equation, *symbols)])
    assert "Einsum" not in ops_of(graph)
    for empty in ((), *letters):
        given = arrays(equation, {**SIZES, **dict.fromkeys(empty, 0)})
        expected = np.einsum(equation, *given)
        found = evaluate(graph, *given)[0].numpy()
        assert found.shape == expected.shape, f"empty {empty}"
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5, err_msg=f"empty {empty}")


@pytest.mark.parametrize(("equation", "expected"), [
    ("nij,kj->nik", ["Transpose", "MatMul"]), ("nij,njk->nik", ["MatMul"]), ("nij,jk->nik", ["MatMul"]),
    ("nij,nkj->nik", ["Transpose", "MatMul"]), ("nij,jkl->nikl", ["MatMul", "Reshape", "Reshape"]),
    ("nij,ijk->nk", ["Reshape", "Reshape", "MatMul"]), ("ni,ni->n", ["Mul", "ReduceSum"])])
def test_a_single_open_dimension_needs_no_shape_nodes(equation, expected):
    shapes = [["N" if c == "n" else SIZES[c] for c in term] for term in equation.split("->")[0].split(",")]
    symbols = [symbol(shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    y = ops.einsum(equation, *symbols)
    assert sorted(ops_of(Graph(symbols, [y]))) == sorted(expected)
    assert y.shape == tuple("N" if c == "n" else SIZES[c] for c in equation.split("->")[1])


def test_known_axes_of_size_1_broadcast_where_they_are_summed():
    x, y = np.random.default_rng(0).normal(size=(2, 3, 1)), np.random.default_rng(1).normal(size=(1, 4))
    np.testing.assert_allclose(ops.einsum("ijk,jk->ik", x, y).numpy(), np.einsum("ijk,jk->ik", x, y), rtol=1e-6)


def test_a_letter_has_one_size_within_an_operand():
    with pytest.raises(ShapeError, match="'i' in 'ii' is 1 and 3"):
        ops.einsum("ii", np.ones((1, 3)))


def test_tensordot_with_empty_axes_equals_numpy():
    for shape in itertools.product((0, 2), (0, 3), (0, 4)):
        x, y = np.ones(shape, np.float32), np.ones((shape[2], shape[1], 5), np.float32)
        np.testing.assert_array_equal(ops.tensordot(x, y, ([2, 1], [0, 1])), np.tensordot(x, y, ([2, 1], [0, 1])))


@pytest.mark.parametrize(("first", "second"), [
    ((2, 3), (0, 3, 4)), ((1, 2, 3), (0, 3, 4)), ((0, 2, 3), (3,)), ((5, 1, 2, 3), (0, 3, 4)), ((3,), (0, 3, 4)),
    ((0, 5, 2, 3), (5, 3, 4)), ((0, 3), (3,)), ((0, 2, 3), (3, 4))])
def test_matmul_broadcasts_over_an_empty_batch(first, second):
    x, y = np.ones(first, np.float32), np.ones(second, np.float32)
    assert ops.matmul(x, y).shape == np.matmul(x, y).shape
