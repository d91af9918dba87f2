from pathlib import Path

import numpy as np
import onnx as onnx_package
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.ops import onnx
from symgraph.passes.cost import cost
from symgraph.runtime import Session
from symgraph.runtime.importer import load_graph

F32 = np.float32


def ones(*shape):
    return sg.ones(shape)


def flops(build, *shapes, **sizes):
    inputs = [sg.core.apply.symbol(shape, name=f"x{i}") for i, shape in enumerate(shapes)]
    return cost(sg.Graph(inputs, [build(*inputs)]), **sizes).flops


@pytest.mark.parametrize(("build", "shapes", "wanted"), [
    (lambda x: onnx("MatMul", x, ones(4, 5)), [(3, 4)], 2 * 3 * 4 * 5),
    (lambda x, y: onnx("MatMul", x, y), [(7, 3, 4), (7, 4, 5)], 2 * 7 * 3 * 4 * 5),
    (lambda x, y: onnx("MatMul", x, y), [(4,), (4,)], 2 * 4),
    (lambda x: onnx("Gemm", x, ones(5, 4), ones(5), transA=1, transB=1), [(4, 3)], 2 * 3 * 4 * 5 + 3 * 5),
    (lambda x: onnx("Gemm", x, ones(4, 5)), [(3, 4)], 2 * 3 * 4 * 5),
    (lambda x: onnx("Conv", x, ones(6, 2, 3, 3), group=2), [(1, 4, 10, 10)], 2 * 6 * 8 * 8 * 2 * 9),
    (lambda x: onnx("Conv", x, ones(6, 4, 3, 3), ones(6)), [(1, 4, 10, 10)], 2 * 6 * 8 * 8 * 4 * 9 + 6 * 64),
    (lambda x: onnx("ConvTranspose", x, ones(4, 6, 2, 2), strides=(2, 2)), [(1, 4, 5, 5)], 2 * 4 * 25 * 6 * 4),
    (lambda x: onnx("MaxPool", x, kernel_shape=(2, 2), strides=(2, 2)), [(1, 3, 8, 8)], 3 * 16 * 4),
    (lambda x: onnx("GlobalAveragePool", x), [(1, 3, 8, 8)], 3 * 64),
    (lambda x: onnx("ReduceSum", x, np.int64([1])), [(3, 4)], 12),
    (lambda x, y: x + y, [(3, 1), (4,)], 12),
    (lambda x, y, z: onnx("Sum", x, y, z), [(3,), (3,), (3,)], 6),
    (lambda x: onnx("Transpose", x), [(3, 4)], 0),
    (lambda x: onnx("Softmax", x), [(3, 4)], 60),
    (lambda x: onnx("LayerNormalization", x, ones(4), ones(4)), [(3, 4)], 84),
    (lambda x, y: onnx("Einsum", x, y, equation="bij,bjk->bik"), [(2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5),
    (lambda x, y: onnx("Einsum", x, y, equation="...ij,jk->...ik"), [(7, 2, 3, 4), (4, 5)], 2 * 14 * 3 * 4 * 5),
])
def test_operations_are_those_counted_by_hand(build, shapes, wanted):
    assert flops(build, *shapes) == wanted


def test_attention_is_two_products_and_a_softmax():
    q, k = sg.core.apply.symbol((2, 8, 10, 16)), sg.core.apply.symbol((2, 8, 12, 16))
    with sg.core.scope.tracing():
        y = sg.core.apply.apply_op("Attention", q, k, k)

    assert cost(sg.Graph([q, k], [y])).flops == 2 * 8 * 10 * 12 * (2 * 16 + 2 * 16 + 5)


def test_an_open_dimension_is_unknown_until_it_is_bound():
    x = sg.Input((4,), batch_size="N", name="x")
    graph = sg.Graph([x], [sg.relu(x @ ones(4, 5))])

    assert (cost(graph).flops, cost(graph).read, cost(graph).peak) == (None, None, None)
    assert "at least 0 FLOPs (2 nodes unknown)" in str(cost(graph))
    assert cost(graph, sizes={"N": 8}).flops == 8 * 4 * 5 * 2 + 8 * 5
    assert cost(graph, default_size=8).flops == 8 * 4 * 5 * 2 + 8 * 5


def test_a_size_reaches_shapes_that_are_computed():
    x = sg.Input((4, 6), batch_size="N", name="x")
    y = onnx("Reshape", x, onnx("Concat", onnx("Shape", x, end=1) * np.int64([2]), np.int64([-1]), axis=0))

    assert cost(sg.Graph([x], [sg.exp(y)]), sizes={"N": 3}).rows[-1].flops == 3 * 24


def test_a_size_of_no_dimension_is_refused():
    x = sg.Input((4,), batch_size="N")

    with pytest.raises(sg.GraphError, match="no dimension 'M'; there are: N"):
        cost(sg.Graph([x], [sg.relu(x)]), sizes={"M": 1})


def test_peak_memory_is_that_of_values_alive_at_once():
    x = sg.core.apply.symbol((100,), name="x")
    a = sg.exp(x)
    b = sg.exp(a)
    c = sg.exp(b)
    counted = cost(sg.Graph([x], [a + c]))

    assert counted.peak == 400 * 3
    assert (counted.read, counted.written) == (400 * 5, 400 * 4)


def test_bytes_are_those_of_the_arrays_at_run_time(shared_data):
    graph = load_graph(shared_data / "onnx" / "cnn_mnist_pytorch.onnx")
    with np.load(shared_data / "onnx" / "cnn_mnist_pytorch.ref.npz") as reference:
        feeds = {n: reference["in__" + n] for n in graph.input_names}
    sizes = {d: feeds[n].shape[i] for n, x in zip(graph.input_names, graph.inputs, strict=True)
             for i, d in enumerate(x.shape) if isinstance(d, str)}
    values = [x for node in graph.nodes for x in node.outputs if x is not None]
    found = Session(graph.with_outputs(values), optimize=False).run(feeds)

    counted = cost(graph, sizes, default_size=1)

    assert [row.written for row in counted.rows] == [x.nbytes for x in found]
    assert counted.parameters == cost(passes.freeze(graph), sizes).parameters > 20_000


def test_resnet_50_takes_four_thousand_million_multiplications():
    light = Path(onnx_package.__file__).parent / "backend/test/data/light/light_resnet50.onnx"
    convolutions = [row.flops for row in cost(load_graph(light)).rows if row.node.op.name == "Conv"]

    assert sum(convolutions) / 2 == pytest.approx(4.09e9, rel=0.01)


def test_composite_ops_cost_what_is_inside():
    x = sg.core.apply.symbol((3, 4), name="x")
    graph = sg.Graph([x], [sg.gelu(x)])

    assert cost(graph).flops > 0


def test_a_branch_costs_the_dearer_one():
    x = sg.core.apply.symbol((10,), name="x")
    graph = sg.Graph([x], [sg.cond(sg.sum(x) > 0.0, lambda: sg.exp(sg.exp(x)), lambda: x * 2.0)])

    assert next(row.flops for row in cost(graph).rows if row.node.op.name == "If") == 20


def test_a_large_table_shows_the_dearest_nodes():
    x = sg.core.apply.symbol((10,), name="x")
    y = x
    for _ in range(50):
        y = sg.exp(y)
    lines = str(cost(sg.Graph([x], [y @ ones(10, 10)]))).splitlines()

    assert len(lines) == 1 + 40 + 2
    assert any("MatMul" in line for line in lines)
    assert lines[-2] == "and 11 nodes that cost less"
