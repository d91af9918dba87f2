"""Attention becomes ONNX Runtime's operator, wherever it is that."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.ops import onnx

RNG = np.random.default_rng(0)
HEADS, SIZE = 4, 8
WIDTH = HEADS * SIZE


def names(graph):
    return [node.op.name for node in graph.nodes]


def dense(x, bias=True):
    y = onnx("MatMul", x, RNG.normal(0, 0.3, (WIDTH, WIDTH)).astype(np.float32))
    return y + RNG.normal(0, 0.3, WIDTH).astype(np.float32) if bias else y


def heads(x, count=HEADS):
    return onnx("Transpose", onnx("Reshape", x, np.array([0, 0, count, WIDTH // count])), perm=(0, 2, 1, 3))


def joined(x):
    return onnx("Reshape", onnx("Transpose", x, perm=(0, 2, 1, 3)), np.array([0, 0, WIDTH]))


def attention(x, other=None, mask=None, scale=lambda q, k: onnx("MatMul", q, k) / np.float32(np.sqrt(SIZE)), bias=True,
              key_heads=HEADS, axis=-1):
    other = x if other is None else other
    q, k, v = heads(dense(x, bias)), heads(dense(other, bias), key_heads), heads(dense(other, bias))
    scores = scale(q, onnx("Transpose", k, perm=(0, 1, 3, 2)))
    scores = scores if mask is None else scores + mask
    return joined(onnx("MatMul", onnx("Softmax", scores, axis=axis), v))


def source(*shape, name="x"):
    return sg.symbol(shape or ("N", "T", WIDTH), name=name)


@pytest.mark.parametrize("scale", [
    lambda q, k: onnx("MatMul", q, k), lambda q, k: np.float32(0.25) * onnx("MatMul", q, k),
    lambda q, k: onnx("MatMul", q * np.float32(0.5), k), lambda q, k: onnx("MatMul", q * 0.6, 0.6 * k)])
def test_scaled_attention_to_itself_is_one_node(scale):
    x = source()
    graph = passes.optimize(sg.Graph([x], [attention(x, scale=scale)]), passes.ONNXRUNTIME, verify=True)

    assert names(graph) == ["Attention"]
    assert passes.optimize(graph, passes.ONNXRUNTIME) is graph


def test_attention_without_biases_or_to_something_else_takes_queries_keys_and_values():
    x, y = source(), source("N", "S", WIDTH, name="y")
    for graph in (sg.Graph([x], [attention(x, bias=False)]), sg.Graph([x, y], [attention(x, y)])):
        assert names(passes.optimize(graph, passes.ONNXRUNTIME, verify=True))[-1] == "MultiHeadAttention"


@pytest.mark.parametrize("shape", [("N", 1, 1, "T"), (1, 1, "T", "T"), ("N", HEADS, "T", "T"), (1, 1, 1, 1)])
def test_a_mask_is_stretched_to_what_the_operator_wants(shape):
    x, mask = source(), source(*shape, name="mask")
    graph = passes.optimize(sg.Graph([x, mask], [attention(x, mask=mask)]), passes.ONNXRUNTIME, verify=True)

    assert "Attention" in names(graph)


@pytest.mark.parametrize("make", [
    lambda x, mask: attention(x, mask=mask), lambda x, mask: attention(x, axis=2),
    lambda x, mask: attention(x, scale=lambda q, k: onnx("Tanh", onnx("MatMul", q, k))),
    lambda x, mask: attention(x, scale=lambda q, k: onnx("MatMul", q, onnx("Relu", k)))])
def test_what_only_looks_like_attention_stays(make):
    x, mask = source(), source("M", 1, 1, "T", name="mask")
    graph = passes.optimize(sg.Graph([x, mask], [make(x, mask)]), passes.ONNXRUNTIME)

    assert not {"Attention", "MultiHeadAttention"} & set(names(graph))


def test_scores_that_others_read_stay():
    x, seen = source(), []
    y = attention(x, scale=lambda q, k: seen.append(onnx("MatMul", q, k)) or seen[0])
    graph = passes.optimize(sg.Graph([x], [y, seen[0]]), passes.ONNXRUNTIME)

    assert "Softmax" in names(graph)


def test_portable_graphs_keep_to_standard_operators():
    x = source()

    assert {node.op.domain for node in passes.optimize(sg.Graph([x], [attention(x)]), passes.PORTABLE).nodes} == {""}
