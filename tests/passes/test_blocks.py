"""Convolutions of a training step in blocks of channels: forward, and both gradients."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes import block_channels, block_weight_gradients, patch_weight_gradients
from symgraph.runtime.channel_blocks import channel_block

pytestmark = pytest.mark.skipif(not channel_block(), reason="this processor has no blocks of channels")

B = channel_block() or 16


def names(graph):
    return [node.op.name for node in graph.nodes]


def difference(before, after, rng):
    """The largest difference of results, in proportion to the largest of them."""
    inputs = [rng.normal(size=x.shape).astype(np.float32) for x in before.inputs]
    pairs = zip(sg.runtime.evaluate(before, *inputs), sg.runtime.evaluate(after, *inputs), strict=True)
    return max(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(a)).max() for a, b in pairs)


def convolution(*, batch=2, given=B, made=2 * B, size=(6, 7), window=3, stride=1, pad=1, dilation=1, keras=True,
                bias=False, relu=False):
    """x, w, maybe a bias, and the convolution of them."""
    x = symbol((batch, given, *size), name="x")
    w = symbol((window, window, given, made) if keras else (made, given, window, window), name="w")
    b = [symbol((made,), name="b")] if bias else []
    y = onnx("Conv", x, sg.transpose(w, (3, 2, 0, 1)) if keras else w, *b, strides=(stride,) * 2, pads=(pad,) * 4,
             dilations=(dilation,) * 2)
    return [x, w, *b], sg.relu(y) if relu else y


CONVOLUTIONS = {
    "plain": {}, "by twos": {"stride": 2}, "of an image": {"given": 3}, "of a grey image": {"given": 1},
    "of ONNX's weights": {"keras": False}, "with a bias": {"bias": True}, "with a relu": {"relu": True},
    "with both": {"bias": True, "relu": True}, "with gaps": {"dilation": 2, "pad": 2},
    "5x5 without padding": {"window": 5, "pad": 0}, "of many channels": {"given": 3 * B, "made": 4 * B}}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_runs_in_blocks(name, rng):
    inputs, y = convolution(**CONVOLUTIONS[name])
    graph = sg.Graph(inputs, [y])
    after = passes.optimize(graph, [block_channels])

    assert "ReorderOutput" in names(after) and "Relu" not in names(after)
    assert block_channels(after) is after
    assert difference(graph, after, rng) < 1e-5


@pytest.mark.parametrize("options", [
    {"made": B + 1}, {"given": B + 1}, {"window": 1, "pad": 0}, {"batch": "N"}, {"window": 9, "pad": 4}])
def test_a_convolution_that_fills_no_blocks_stays(options):
    inputs, y = convolution(**options)
    graph = sg.Graph(inputs, [y])

    assert block_channels(graph) is graph


@pytest.mark.parametrize("name", ["plain", "of ONNX's weights", "with gaps", "5x5 without padding", "of many channels"])
def test_the_gradient_of_the_input_runs_in_blocks(name, rng):
    inputs, y = convolution(**CONVOLUTIONS[name])
    dy = symbol(y.shape, name="dy")
    graph = sg.Graph([*inputs, dy], sg.gradients(y, inputs[:1], dy))
    after = passes.optimize(graph, [block_channels])

    assert "ConvInputGrad" not in names(after)
    assert difference(graph, after, rng) < 1e-5


@pytest.mark.parametrize("options", [{"stride": 2}, {"made": B + 1}, {"given": 3}])
def test_other_gradients_of_the_input_stay(options):
    inputs, y = convolution(**options)
    dy = symbol(y.shape, name="dy")
    graph = sg.Graph([*inputs, dy], sg.gradients(y, inputs[:1], dy))

    assert block_channels(graph) is graph


@pytest.mark.parametrize("name", [
    "plain", "by twos", "of an image", "of ONNX's weights", "5x5 without padding", "of many channels"])
@pytest.mark.parametrize("size", [(6, 7), (8, 8), (9, 10)])
def test_the_gradient_of_the_weights_runs_in_blocks(name, size, rng):
    inputs, y = convolution(batch=2 * B, size=size, **CONVOLUTIONS[name])
    dy = symbol(y.shape, name="dy")
    graph = sg.Graph([*inputs, dy], sg.gradients(y, inputs[1:2], dy))
    after = passes.optimize(graph, [block_weight_gradients])

    assert "ConvWeightGrad" not in names(after)
    assert difference(graph, after, rng) < 1e-5


@pytest.mark.parametrize("options", [
    {"batch": B + 1}, {"made": B + 1}, {"given": 1}, {"window": 1, "pad": 0}, {"dilation": 2, "pad": 2}])
def test_other_gradients_of_the_weights_stay(options):
    inputs, y = convolution(**{"batch": B, **options})
    dy = symbol(y.shape, name="dy")
    graph = sg.Graph([*inputs, dy], sg.gradients(y, inputs[1:2], dy))

    assert block_weight_gradients(graph) is graph


@pytest.mark.parametrize("options", [
    {"window": 3 if B > 8 else 2}, {"window": 2, "stride": 2}, {"given": 2, "window": 2},
    {"window": 2, "dilation": 2, "pad": 2}, {"window": 2, "keras": False}, {"given": B // 4, "window": 2, "batch": 1}])
def test_the_gradient_of_the_weights_of_few_channels_is_a_product(options, rng):
    inputs, y = convolution(**{"given": 1, **options})
    dy = symbol(y.shape, name="dy")
    graph = sg.Graph([*inputs, dy], sg.gradients(y, inputs[1:2], dy))
    after = passes.optimize(graph, [patch_weight_gradients])

    assert "ConvWeightGrad" not in names(after) and "FusedMatMul" in names(after)
    assert difference(graph, after, rng) < 1e-5


@pytest.mark.parametrize("options", [
    {"made": B + 1}, {"given": B}, {"given": 3}, {"batch": "N"}, {"window": 5}, {"window": 1, "pad": 0}])
def test_the_gradient_of_the_weights_of_many_channels_is_no_product(options):
    inputs, y = convolution(**{"given": 1, **options})
    dy = symbol(y.shape, name="dy")
    graph = sg.Graph([*inputs, dy], sg.gradients(y, inputs[1:2], dy))

    assert patch_weight_gradients(graph) is graph


def test_a_network_is_the_same_before_it_runs(rng):
    inputs, y = convolution(batch=B, relu=True)
    z = onnx("MaxPool", y[:, :, :, :6], kernel_shape=(2, 2), strides=(2, 2))
    graph = passes.optimize(sg.Graph(inputs, [z, *sg.gradients(z, inputs)]), passes.TRAINING)
    after = passes.prepare_step(graph)

    assert "ReorderInput" in names(after) and not any(node.body for node in after.nodes)
    assert difference(graph, after, rng) < 1e-5
