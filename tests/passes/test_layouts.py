"""Channels-last networks, and how transposes get past operators."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.ops import onnx
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph

L = sg.layers


def count(graph, name="Transpose"):
    return sum(node.op.name == name for node in graph.nodes)


def conv(x, filters=8, size=3, **options):
    return L.Conv2D(filters, size, padding="same", **options)(x)


def normalized(x):
    return L.ReLU()(L.BatchNormalization()(conv(x)))


def squeeze_and_excite(x, pooled):
    return conv(L.Multiply()([x, pooled]), 4, 1)


def excited_by_dense(x):
    y = conv(x)
    pooled = L.Dense(8, activation="sigmoid")(L.Dense(4, activation="relu")(L.GlobalAveragePooling2D()(y)))
    return squeeze_and_excite(y, L.Reshape((1, 1, 8))(pooled))


def excited_by_convolution(x):
    y = conv(x)
    pooled = L.GlobalAveragePooling2D(keepdims=True)(y)
    return squeeze_and_excite(y, conv(conv(pooled, 4, 1, activation="relu"), 8, 1, activation="sigmoid"))


def inception(x):
    y = conv(x, activation="relu")
    return conv(L.Concatenate()([conv(y, 4, 1), conv(y, 6), L.MaxPooling2D(3, 1, "same")(y)]), 4)


def u_net(x):
    skip = conv(x, 4, activation="relu")
    deep = L.UpSampling2D(2)(conv(L.MaxPooling2D()(skip), activation="relu"))
    return conv(L.Concatenate()([skip, deep]), 1, 1, activation="sigmoid")


def gated(x):
    a, b = sg.split(conv(x), 2, axis=-1)
    return conv(conv(a, 4, 1) * b, 4, 1)


NETWORKS = {
    "residual": lambda x: L.ReLU()(L.Add()([normalized(x), normalized(normalized(x))])),
    "dense block": lambda x: conv(L.Concatenate()([x, normalized(x)])),
    "inception": inception, "u-net": u_net, "gated": gated,
    "pooling": lambda x: L.AveragePooling2D()(conv(L.MaxPooling2D()(conv(x)))),
    "padding": lambda x: L.BatchNormalization()(L.DepthwiseConv2D(3)(L.ZeroPadding2D(1)(conv(x)))),
    "cropping": lambda x: conv(L.Cropping2D(1)(conv(x))),
    "upsampling": lambda x: conv(L.UpSampling2D(2)(conv(x))),
    "bilinear": lambda x: conv(L.UpSampling2D(2, interpolation="bilinear")(conv(x))),
    "transposed convolution": lambda x: conv(L.Conv2DTranspose(4, 3, strides=2, padding="same")(x)),
    "swish": lambda x: conv(L.Activation("silu")(conv(x))),
    "parametric relu": lambda x: conv(L.PReLU(shared_axes=[1, 2])(conv(x))),
    "softmax": lambda x: conv(L.Softmax()(conv(x))),
    "excited by dense layers": excited_by_dense, "excited by convolutions": excited_by_convolution,
    "less its mean": lambda x: conv(sg.subtract(y := conv(x), sg.mean(y, axis=(1, 2), keepdims=True))),
    "halves added": lambda x: conv((y := conv(x))[..., :4] + y[..., 4:]),
    "scaled at both ends": lambda x: conv((x - 0.5) / 0.25) * 2.0 + 1.0}


@pytest.mark.parametrize("shape", [(8, 8, 3), (None, None, 3)])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_channels_last_network_pays_at_most_one_transpose_at_each_end(name, shape):
    x = sg.Input(shape, name="x")
    graph = sg.Model(x, NETWORKS[name](x)).graph
    after = passes.optimize(graph)

    assert count(after) <= 2
    assert passes.optimize(after) is after
    point = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    for a, b in zip(sg.runtime.evaluate(graph, point), sg.runtime.evaluate(after, point), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("pool", "most"), [(L.GlobalAveragePooling2D, 1), (L.GlobalMaxPooling2D, 2)])
def test_a_classifier_with_global_pooling_pays_at_the_entrance(pool, most):
    x = sg.Input((8, 8, 3), name="x")
    graph = sg.Model(x, L.Dense(5, activation="softmax")(pool()(normalized(x)))).graph

    assert count(passes.optimize(graph)) == most


@pytest.mark.parametrize("name", ["residual", "pooling", "u-net"])
def test_training_graphs_lose_transposes_too(name):
    x = sg.Input((8, 8, 3), name="x")
    graph = sg.Model(x, NETWORKS[name](x)).graph

    assert count(passes.optimize(graph, passes.TRAINING)) < count(graph)


PERM, BACK = (0, 2, 3, 1), (0, 3, 1, 2)
C = np.arange(5, dtype=np.float32)
PAST = {
    "relu": lambda y: onnx("Relu", y), "clip": lambda y: onnx("Clip", y, -1.0, 1.0), "cast": lambda y: onnx(
        "Cast", y, to=7),
    "add a vector": lambda y: y + C, "a scalar first": lambda y: 2.0 - y, "power of two": lambda y: y * y,
    "where": lambda y: onnx("Where", y > 0.0, y, C), "prelu": lambda y: onnx("PRelu", y, C),
    "concat": lambda y: onnx("Concat", y, -y, axis=3), "concat of two axes": lambda y: onnx("Concat", y, y, axis=-3),
    "concat with a constant": lambda y: onnx("Concat", y, np.ones((2, 3, 4, 1), np.float32), axis=3),
    "pad": lambda y: onnx("Pad", y, [0, 1, 2, 3, 0, 4, 5, 6]), "reflect": lambda y: onnx(
        "Pad", y, [0, 1, 2, 3, 0, 1, 1, 1], mode="reflect"),
    "pad one axis": lambda y: onnx("Pad", y, [1, 2], 5.0, np.array([-1])),
    "slice": lambda y: onnx("Slice", y, [1, 0], [3, 9], [-1, 1], [1, 2]), "slice in order": lambda y: onnx(
        "Slice", y, [0, 1], [2, 3]),
    "split": lambda y: onnx("Split", y, [2, 3], outputs=2, axis=3), "softmax": lambda y: onnx("Softmax", y, axis=-1),
    "mean": lambda y: onnx("ReduceMean", y, [1, 2]), "sum of channels": lambda y: onnx("ReduceSum", y, [-1]),
    "quantized": lambda y: onnx(
        "DequantizeLinear", onnx("QuantizeLinear", y, np.float32(0.1), np.uint8(128)), np.float32(0.1), np.uint8(128))}


@pytest.mark.parametrize("name", PAST)
def test_a_transpose_that_is_undone_after_an_operator_goes(name):
    x = sg.symbol((2, 5, 3, 4), name="x")
    results = PAST[name](onnx("Transpose", x, perm=PERM))
    results = results if isinstance(results, tuple | list) else (results,)
    graph = sg.Graph([x], [onnx("Transpose", y, perm=BACK) for y in results])
    after = passes.optimize(graph, (passes.remove_transposes,), verify=True)

    assert count(after) == 0


SHRINKING = {
    "mean": lambda y: onnx("ReduceMean", y, [1, 2], keepdims=0), "squeezed": lambda y: onnx(
        "Squeeze", onnx("ReduceL2", y, [1, 2]), [1, 2]),
    "gather": lambda y: onnx("Gather", onnx("Gather", y, 1, axis=1), -1, axis=1)}


@pytest.mark.parametrize("name", SHRINKING)
def test_a_transpose_goes_where_what_is_left_of_it_moves_nothing(name):
    x = sg.symbol((2, 5, 3, 4), name="x")
    graph = sg.Graph([x], [SHRINKING[name](onnx("Transpose", x, perm=PERM))])

    assert count(passes.optimize(graph, (passes.remove_transposes,), verify=True)) == 0


@pytest.mark.parametrize("axes", [[0], [2], [-1], [1, 3]])
@pytest.mark.parametrize("perm", [(1, 0, 2), (2, 0, 1), (0, 2, 1)])
def test_a_transpose_sinks_past_new_axes(perm, axes):
    x = sg.symbol((2, 5, 3), name="x")
    y = onnx("Relu", onnx("Unsqueeze", onnx("Transpose", x, perm=perm), axes))
    after = passes.optimize(sg.Graph([x], [y]), (passes.remove_transposes,), verify=True)

    assert [node.op.name for node in after.nodes] == ["Unsqueeze", "Relu", "Transpose"]


def test_transposes_are_not_multiplied_for_readers_that_cannot_do_without():
    x = sg.symbol((2, 5, 3), name="x")
    y = onnx("Transpose", x, perm=(0, 2, 1))
    graph = sg.Graph([x], [onnx("Relu", y), onnx("Tanh", y), onnx("CumSum", y, 1)])

    assert passes.remove_transposes(graph) is graph


def test_a_transpose_with_several_readers_goes_where_all_can_do_without():
    x = sg.symbol((2, 5, 3), name="x")
    y = onnx("Transpose", x, perm=(0, 2, 1))
    graph = sg.Graph([x], [onnx("Transpose", onnx("Sigmoid", y) * y, perm=(0, 2, 1)), onnx("ReduceMax", y, [1, 2])])

    assert count(passes.optimize(graph, (passes.remove_transposes,), verify=True)) == 1


def test_two_transposes_in_a_row_are_merged_before_they_sink():
    x = sg.symbol((2, 5, 3), name="x")
    y = onnx("Transpose", onnx("Transpose", x, perm=(1, 2, 0)), perm=(1, 2, 0))
    graph = sg.Graph([x], [onnx("Transpose", onnx("Concat", y, y + 1.0, axis=0), perm=(1, 2, 0))])

    assert count(passes.optimize(graph, (passes.remove_transposes,), verify=True)) == 0


def test_a_transpose_stays_at_the_opset_of_the_file():
    x = sg.symbol((2, 5, 3), name="x")
    model = to_model(sg.Graph([x], [onnx("Relu", onnx("Transpose", x, perm=(0, 2, 1)))]), opset=11).model

    assert {node.op.version for node in passes.remove_transposes(load_graph(model)).nodes} == {1, 6}


def test_a_normalisation_between_transposes_stays_what_it_is():
    x = sg.symbol((2, 8, 4, 5), name="x")
    y = onnx("Transpose", x, perm=PERM)
    d = y - onnx("ReduceMean", y, [-1])
    z = onnx("Transpose", d / onnx("Sqrt", onnx("ReduceMean", d * d, [-1]) + 1e-5), perm=BACK)

    assert [node.op.name for node in passes.optimize(sg.Graph([x], [z])).nodes] == [
        "Transpose", "LayerNormalization", "Transpose"]
