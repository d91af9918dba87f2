"""Old files come to newer operators only where that pays; slices side by side become splits."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.ops import onnx
from symgraph.runtime import Session
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph
from symgraph.runtime.opsets import choose_opsets, walk_nodes

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "onnx"
DOMAINS = ("", "ai.onnx.ml", "com.microsoft")


def names(graph):
    return [node.op.name for node in graph.nodes]


def of_opset(opset, x, y):
    return load_graph(to_model(sg.Graph([x], [y]), opset=opset).model)


def gelu(x):
    return 0.5 * x * (1 + onnx("Erf", x / math.sqrt(2)))


def layer_norm(x):
    d = x - onnx("ReduceMean", x, [-1])
    return d / onnx("Sqrt", onnx("ReduceMean", d * d, [-1]) + 1e-5)


@pytest.mark.parametrize(("make", "op"), [(gelu, "Gelu"), (layer_norm, "LayerNormalization")])
def test_an_old_file_gets_a_newer_operator(make, op):
    x = sg.symbol((2, 8), name="x")
    after = passes.optimize(of_opset(11, x, make(x)), verify=True)

    assert names(after) == [op] and choose_opsets(after)[""] == 21


def test_an_old_file_without_use_for_newer_operators_stays_at_its_opset():
    x = sg.symbol((2, 8), name="x")
    graph = of_opset(11, x, onnx("Relu", onnx("MatMul", x, np.ones((8, 3), np.float32)) + 1.0))

    assert passes.use_newer_operators(graph) is graph
    after = passes.optimize(graph)
    assert names(after) == ["Gemm", "Relu"] and choose_opsets(after)[""] == 11
    assert choose_opsets(passes.optimize(graph, passes.PORTABLE))[""] == 21


def test_training_keeps_opset_and_weights():
    x = sg.symbol((2, 8), name="x")
    graph = of_opset(11, x, gelu(onnx("MatMul", x, sg.Variable(np.ones((8, 8), np.float32)))))
    after = passes.optimize(graph, passes.TRAINING)

    assert "Erf" in names(after) and choose_opsets(after)[""] == 11


def peers():
    if not DATA.is_dir():
        return []
    rows = map(json.loads, (DATA / "peers_node_counts.jsonl").read_text().splitlines())
    return [pytest.param(Path(row["f"]).name, row, id=Path(row["f"]).stem) for row in rows
            if "beamsearch" not in row["f"]]  # two of its operators are no standard ones and none of the domains known


@pytest.mark.parametrize(("file", "row"), peers())
def test_no_more_nodes_are_left_than_peers_leave(file, row):
    graph = load_graph(DATA / file, domains=DOMAINS)
    best = min(row[k] for k in ("onnxslim", "onnxsim", "ort_basic") if isinstance(row[k], int))
    best = {"ort_gpt2_past.onnx": 609}.get(file, best)  # what ONNX Runtime's extended optimisations leave

    for pipeline in (passes.INFERENCE, passes.PORTABLE, passes.ONNXRUNTIME):
        after = passes.optimize(graph, pipeline)
        assert sum(node.op.name != "Constant" for node in walk_nodes(after)) <= best


@pytest.mark.parametrize("opset", [9, 11, 13, 21])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_slices_side_by_side_become_one_split(axis, opset):
    x = sg.symbol((6, 6), name="x")
    pieces = [onnx("Slice", x, [start], [end], [axis]) for start, end in ((4, 2**31 - 1), (0, 3), (3, 4))]
    graph = sg.Graph([x], [onnx("Relu", piece) for piece in pieces])
    graph = load_graph(to_model(graph, opset=opset).model)
    after = passes.split_slices(graph)

    assert sorted(names(after)) == ["Relu", "Relu", "Relu", "Split"]
    point = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    for a, b in zip(*(Session(g, optimize=False).run({"x": point}) for g in (graph, after)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bounds", [((0, 3), (4, 6)), ((0, 3), (2, 6)), ((1, 3), (3, 6)), ((0, 6), (6, 6)), ((0, 3),)])
def test_slices_with_gaps_or_overlaps_stay(bounds):
    x = sg.symbol((6, 6), name="x")
    graph = sg.Graph([x], [onnx("Slice", x, [start], [end], [0]) for start, end in bounds])

    assert passes.split_slices(graph) is graph


def test_slices_of_an_open_axis_stay():
    x = sg.symbol(("N", 6), name="x")
    graph = sg.Graph([x], [onnx("Slice", x, [0], [3], [0]), onnx("Slice", x, [3], [2**31 - 1], [0])])

    assert passes.split_slices(graph) is graph


def test_slices_in_the_body_of_a_loop_become_a_split():
    x = sg.symbol((4, 6), name="x")
    y = sg.map(lambda row: row[:2] * row[2:4] + row[4:], x)
    after = passes.optimize(sg.Graph([x], [y]), (passes.split_slices,), verify=True)

    assert [node.op.name for node in walk_nodes(after)].count("Split") == 1


@pytest.mark.parametrize("opset", [11, 21])
@pytest.mark.parametrize(("op", "shape", "first", "second"), [
    ("Unsqueeze", (None, None, 3), [1], [0, -1]), ("Unsqueeze", (None, None, 3), [-1, 0], [2]),
    ("Squeeze", (None, 1, None, 1, 1), [1], [-1, 2]), ("Squeeze", (None, 1, None, 1, 1), [-1, 3], [1])])
def test_axes_that_come_or_go_in_two_steps_do_so_in_one(op, shape, first, second, opset):
    x = sg.symbol(shape, name="x")
    graph = load_graph(to_model(sg.Graph([x], [onnx(op, onnx(op, x, first), second)]), opset=opset).model)

    assert names(passes.optimize(graph, (passes.merge_reshapes,), verify=True)) == [op]


@pytest.mark.parametrize("count", [50, 400])
def test_a_long_chain_of_reshapes_is_one(count):
    x = y = sg.symbol((2, 4, 6), name="x")
    for i in range(count):
        y = onnx("Reshape", y, [(8, 6), (48,), (4, 12), (2, 24)][i % 4])

    assert len(passes.merge_reshapes(sg.Graph([x], [y])).nodes) == 1
