"""Paddings merge with each other and go into convolutions and poolings, where that changes nothing."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import apply_op, symbol
from symgraph.core.op import find_op
from symgraph.ops import onnx
from symgraph.passes.fold_pads import fold_pads
from symgraph.passes.merge_pads import merge_pads

INF = np.float32(np.inf)
KERNEL = np.random.default_rng(0).normal(size=(5, 3, 3, 2)).astype(np.float32)


def names(graph):
    return [node.op.name for node in graph.nodes]


def pad(x, *sizes, filling=None, **attributes):
    return onnx("Pad", x, np.int64(sizes), filling, **attributes)


def bits(x):
    return onnx("Cast", x > 0, to=1)


def optimized(x, y, *pipeline):
    return passes.optimize(sg.Graph([x], [y]), pipeline, verify=True)


@pytest.mark.parametrize(("first", "second", "wanted"), [
    ({}, {}, ["Pad"]), ({"filling": np.float32(1)}, {"filling": np.float32(1)}, ["Pad"]),
    ({"filling": np.float32(1)}, {}, ["Pad", "Pad"]), ({"filling": np.float32(-0.0)}, {}, ["Pad", "Pad"]),
    ({"filling": np.float32(0.0)}, {}, ["Pad"]), ({"mode": "edge"}, {"mode": "edge"}, ["Pad"]),
    ({"mode": "reflect"}, {"mode": "reflect"}, ["Pad", "Pad"]), ({"mode": "wrap"}, {"mode": "wrap"}, ["Pad", "Pad"]),
    ({"mode": "edge"}, {}, ["Pad", "Pad"])])
@pytest.mark.parametrize("dims", [(2, 3), ("N", None)])
def test_paddings_of_one_kind_merge(first, second, wanted, dims):
    x = symbol(dims, name="x")

    assert names(optimized(x, pad(pad(x, 1, 0, 0, 1, **first), 0, 1, 2, 0, **second), merge_pads)) == wanted


@pytest.mark.parametrize(("first", "second"), [((1, 0, 0, 1), (-1, 0, 0, 0)), ((-1, 0, 0, 0), (1, 0, 0, 0))])
def test_paddings_that_cut_never_merge(first, second):
    x = symbol((3, 3), name="x")

    assert names(optimized(x, pad(pad(x, *first), *second), merge_pads)) == ["Pad", "Pad"]


@pytest.mark.parametrize("count", [3, 4])
def test_many_paddings_merge_in_one_go(count):
    x = symbol(("N", 3), name="x")
    y = x
    for i in range(count):
        y = pad(y, 0, i, 1, 2)
    graph = merge_pads(sg.Graph([x], [y]))

    assert names(graph) == ["Pad"]
    assert names(optimized(x, y, merge_pads)) == ["Pad"]


def test_paddings_of_chosen_axes_merge():
    x = symbol(("N", 2, 3), name="x")
    inner = onnx("Pad", x, np.int64([1, 2]), None, np.int64([-1]))

    y = onnx("Pad", inner, np.int64([3, 1, 0, 1]), None, np.int64([0, 2]))

    assert names(optimized(x, y, merge_pads)) == ["Pad"]


@pytest.mark.parametrize("version", [2, 11, 13, 18])
def test_paddings_of_older_opsets_merge(version):
    x, op = symbol((2, 3), name="x"), find_op("Pad", "", version)

    def padded(y, *sizes):
        return apply_op(op, y, pads=sizes) if version < 11 else apply_op(op, y, np.int64(sizes))

    assert names(optimized(x, padded(padded(x, 1, 0, 0, 1), 0, 1, 1, 0), merge_pads)) == ["Pad"]


def test_a_padding_of_a_computed_number_merges_with_one_of_the_same_number_alone():
    x, c, d = symbol((2,), name="x"), symbol((), name="c"), symbol((), name="d")
    same = sg.Graph([x, c, d], [pad(pad(x, 1, 0, filling=c), 0, 1, filling=c), d])
    other = sg.Graph([x, c, d], [pad(pad(x, 1, 0, filling=c), 0, 1, filling=d)])

    assert names(passes.optimize(same, [merge_pads], verify=True)) == ["Pad"]
    assert merge_pads(other) is other


def test_a_padding_that_others_read_stays():
    x = symbol((2,), name="x")
    inner = pad(x, 1, 0)
    graph = sg.Graph([x], [pad(inner, 0, 1), inner])

    assert merge_pads(graph) is graph


FOLDED = {
    "conv": lambda x: onnx("Conv", pad(x, 0, 0, 1, 2, 0, 0, 0, 1), KERNEL),
    "conv_with_pads": lambda x: onnx("Conv", pad(x, 0, 0, 1, 0, 0, 0, 1, 4), KERNEL, pads=[1, 0, 2, 1], strides=[2, 1]),
    "conv_valid": lambda x: onnx("Conv", pad(x, 0, 0, 1, 0, 0, 0, 1, 4), KERNEL, np.zeros(5, np.float32),
                                 auto_pad="VALID"),
    "average": lambda x: onnx("AveragePool", pad(x, 0, 0, 1, 0, 0, 0, 1, 2), kernel_shape=[3, 3]),
    "average_counted": lambda x: onnx("AveragePool", pad(x, 0, 0, 1, 0, 0, 0, 1, 1), kernel_shape=[3, 3],
                                      count_include_pad=1, pads=[0, 1, 1, 0], strides=[2, 2]),
    "largest": lambda x: onnx("MaxPool", pad(bits(x), 0, 0, 1, 0, 0, 0, 1, 1, filling=-INF),
                              kernel_shape=[3, 2], pads=[1, 0, 0, 0])}

LEFT = {
    "conv_of_ones": lambda x: onnx("Conv", pad(x, 0, 0, 1, 2, 0, 0, 0, 1, filling=np.float32(1)), KERNEL),
    "conv_of_cut": lambda x: onnx("Conv", pad(x, 0, 0, -1, 2, 0, 0, 0, 1), KERNEL),
    "conv_of_channels": lambda x: onnx("Conv", pad(x, 0, 1, 0, 0, 0, 0, 0, 0), KERNEL[:, [0, 1, 2, 2]]),
    "conv_of_batch": lambda x: onnx("Conv", pad(x, 1, 0, 0, 0, 0, 0, 0, 0), KERNEL),
    "conv_same": lambda x: onnx("Conv", pad(x, 0, 0, 1, 2, 0, 0, 0, 1), KERNEL, auto_pad="SAME_UPPER"),
    "conv_of_edge": lambda x: onnx("Conv", pad(x, 0, 0, 1, 2, 0, 0, 0, 1, mode="edge"), KERNEL),
    "average_uncounted": lambda x: onnx("AveragePool", pad(x, 0, 0, 1, 0, 0, 0, 1, 1), kernel_shape=[3, 3],
                                        pads=[0, 1, 1, 0]),
    "average_of_ones": lambda x: onnx("AveragePool", pad(x, 0, 0, 1, 0, 0, 0, 1, 2, filling=np.float32(1)),
                                      kernel_shape=[3, 3]),
    "average_wider_than_window": lambda x: onnx("AveragePool", pad(x, 0, 0, 2, 0, 0, 0, 1, 2), kernel_shape=[2, 3]),
    "average_ceil": lambda x: onnx("AveragePool", pad(x, 0, 0, 1, 0, 0, 0, 1, 0), kernel_shape=[2, 2], ceil_mode=1,
                                   strides=[2, 2]),
    "largest_of_what_may_be_infinite": lambda x: onnx("MaxPool", pad(sg.relu(x), 0, 0, 1, 0, 0, 0, 1, 1, filling=-INF),
                                                      kernel_shape=[3, 2]),
    "largest_of_zeros": lambda x: onnx("MaxPool", pad(sg.relu(x), 0, 0, 1, 0, 0, 0, 1, 1), kernel_shape=[3, 2]),
    "largest_and_places": lambda x: onnx("MaxPool", pad(bits(x), 0, 0, 1, 0, 0, 0, 1, 1, filling=-INF),
                                         kernel_shape=[3, 2], outputs=2)[1],
    "largest_dilated": lambda x: onnx("MaxPool", pad(bits(x), 0, 0, 1, 0, 0, 0, 1, 1, filling=-INF),
                                      kernel_shape=[3, 2], dilations=[2, 1])}


@pytest.mark.parametrize("case", FOLDED)
@pytest.mark.parametrize("batch", [2, "N"])
def test_a_padding_goes_into_what_reads_it(case, batch):
    x = symbol((batch, 3, 6, 5), name="x")

    graph = optimized(x, FOLDED[case](x), merge_pads, fold_pads)

    assert names(graph)[-1] == FOLDED[case](x).node.op.name and "Pad" not in names(graph)
    assert fold_pads(graph) is graph


@pytest.mark.parametrize("case", LEFT)
def test_a_padding_stays_where_it_is_more_than_that_of_what_reads_it(case):
    x = symbol((2, 3, 6, 5), name="x")

    assert "Pad" in names(optimized(x, LEFT[case](x), merge_pads, fold_pads))


@pytest.mark.parametrize(("dtype", "filling"), [("uint8", 0), ("int8", -128)])
def test_the_least_number_is_the_padding_of_whole_numbers(dtype, filling):
    x = symbol((1, 1, 4), dtype, name="x")
    y = onnx("MaxPool", pad(x, 0, 0, 1, 0, 0, 1, filling=np.array(filling, dtype)), kernel_shape=[2])

    assert names(optimized(x, y, fold_pads)) == ["MaxPool"]


@pytest.mark.parametrize("seed", range(30))
def test_random_paddings_keep_their_results(seed):
    rng = np.random.default_rng(seed)
    x = symbol(("N", 3, "H", 5), name="x")
    y = bits(x) if seed % 2 else x
    for _ in range(2):
        before, after = (rng.integers(-1 if seed % 3 == 0 else 0, 3, 2) for _ in range(2))
        y = pad(y, 0, 0, *before, 0, 0, *after, filling=np.float32(rng.choice([0, -np.inf, 1])))
    name = ("Conv", "AveragePool", "MaxPool")[seed % 3]
    attributes = {"pads": rng.integers(0, 2, 4).tolist(), "strides": rng.integers(1, 3, 2).tolist()}
    if name == "Conv":
        y = onnx("Conv", y, KERNEL, **attributes)
    else:
        counted = {"count_include_pad": int(rng.integers(2))} if name == "AveragePool" else {}
        y = onnx(name, y, kernel_shape=[3, 2], ceil_mode=int(rng.integers(2)), **attributes, **counted)

    optimized(x, y, merge_pads, fold_pads)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_padded_pieces_that_are_added_are_joined(order):
    x = symbol((3, 2), name="x")
    pieces = [pad(x * float(i + 1), 0, 2 * i, 0, 4 - 2 * i) for i in range(3)]
    y = pieces[order[0]] + pieces[order[1]] + pieces[order[2]]

    assert names(optimized(x, y, passes.join_pads)) == ["Mul", "Mul", "Mul", "Concat"]


def test_pieces_in_the_middle_keep_one_pad_and_other_terms_stay():
    x = symbol((3, 2), name="x")
    y = pad(x, 1, 0, 7, 0) + pad(x * 2.0, 4, 0, 4, 0) + pad(x, 0, 0, 8, 0)

    assert names(optimized(x, y, passes.join_pads)) == ["Mul", "Pad", "Concat", "Pad", "Add"]


@pytest.mark.parametrize("second", [(0, 1, 0, 1), (0, 3, 0, -1), (0, 4, 0, 0)])
def test_pieces_that_overlap_or_leave_a_gap_stay_sums(second):
    x = symbol((3, 2), name="x")
    graph = sg.Graph([x], [pad(x, 0, 0, 0, 4) + pad(pad(x, *second), 0, 0, 0, 6 - 2 - sum(second))])

    assert passes.join_pads(graph) is graph


def test_pads_of_something_else_than_zero_stay():
    x = symbol((3, 2), name="x")
    graph = sg.Graph([x], [pad(x, 0, 0, 0, 2, filling=np.float32(1)) + pad(x, 0, 2, 0, 0)])

    assert passes.join_pads(graph) is graph


def test_the_gradient_of_gates_is_one_concat():
    x = sg.symbol((None, 8), name="x")
    a, b, c, d = (x[:, 2 * i:2 * i + 2] for i in range(4))
    (dx,) = sg.gradients(sg.sum(sg.tanh(a) * sg.tanh(b) * sg.tanh(c) * sg.tanh(d)), [x])
    graph = passes.optimize(sg.Graph([x], [dx]), passes.TRAINING)

    assert names(graph).count("Concat") == 1 and "Pad" not in names(graph)
