"""What lies between convolutions works on blocks of channels, as far as it can."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.core.graph import Graph
from symgraph.ops import onnx
from symgraph.ops.applying import apply_many
from symgraph.passes import block_channels, keep_blocks, repeat_rows
from symgraph.runtime.channel_blocks import channel_block

pytestmark = pytest.mark.skipif(not channel_block(), reason="this processor has no blocks of channels")

B = channel_block() or 16

SHAPE = (3, 2 * B, 4, 6)


def names(graph):
    return [node.op.name for node in graph.nodes]


def convolution(x, made=2 * B, name="w"):
    w = symbol((made, x.shape[1], 3, 3), name=name)
    return w, onnx("Conv", x, w, pads=(1, 1, 1, 1))


def between(build, *shapes):
    """A graph of `build` between two convolutions; it may take more inputs of these shapes."""
    x = symbol((3, B, 4, 6), name="x")
    more = [symbol(shape, name=f"v{i}") for i, shape in enumerate(shapes)]
    w, y = convolution(x)
    z = build(y, *more)
    second, result = convolution(z, B, "w2") if len(z.shape) == 4 else (None, z)
    return Graph([x, w, *more, *([] if second is None else [second])], [result])


def checked(graph, rng):
    """The graph in blocks, once its results were compared."""
    before = passes.optimize(graph, [block_channels])
    after = passes.optimize(before, [keep_blocks])
    assert keep_blocks(after) is after
    inputs = [rng.normal(size=x.shape).astype(x.dtype) for x in graph.inputs]
    for a, b in zip(sg.runtime.evaluate(graph, *inputs), sg.runtime.evaluate(after, *inputs), strict=True):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() <= 1e-5 * np.abs(np.asarray(a)).max()
    return names(after)


def normalized(y, gamma, beta):
    zeros, ones = np.zeros(2 * B, np.float32), np.ones(2 * B, np.float32)
    return apply_many("BatchNormalization", y, gamma, beta, zeros, ones, training_mode=1, momentum=0.0, outputs=3)


def enlarged(y, factor):
    return onnx("Resize", y, None, np.array([1, 1, factor, factor], np.float32), mode="nearest", nearest_mode="floor",
                coordinate_transformation_mode="asymmetric")


def chosen(y, v):
    return sg.cond(sg.sum(v) > 0.0, lambda: y * 2.0 + sg.relu(y), lambda: y * np.float32(3.0))


CHANNELS = (2 * B, 1, 1)

STAYING = {
    "an elementwise operator": (lambda y: onnx("HardSigmoid", y, alpha=0.3),),
    "a number": (lambda y: 2.0 - y,),
    "a product with itself": (lambda y: y * y,),
    "an image that comes in between": (lambda y, v: y * v, SHAPE),
    "a map of channels": (lambda y, a, b: y * a + b, CHANNELS, CHANNELS),
    "what is taken away from channels": (lambda y, a: y - a, CHANNELS),
    "a normalisation by the batch": (lambda y, a, b: normalized(y, a, b)[0], (2 * B,), (2 * B,)),
    "the largest of windows": (lambda y: enlarged(onnx("MaxPool", y, kernel_shape=(2, 2), strides=(2, 2)), 2),),
    "a comparison": (lambda y, v: onnx("Cast", onnx("Equal", onnx("Relu", y), onnx("Relu", v)), to=1), SHAPE),
    "a comparison with a number": (lambda y: onnx("Cast", onnx("Greater", y, np.float32(0.5)), to=1),),
    "a convolution of points": (lambda y, w: onnx("Conv", y, w), (2 * B, 2 * B, 1, 1)),
    "a convolution of every other point, enlarged": (
        lambda y, w: enlarged(onnx("Conv", y, w, strides=(2, 2)), 2), (2 * B, 2 * B, 1, 1)),
    "a choice": (chosen, (2,))}


@pytest.mark.parametrize("name", STAYING)
def test_blocks_stay_blocks_through(name, rng):
    build, *shapes = STAYING[name]
    found = checked(between(build, *shapes), rng)

    assert found.count("ReorderOutput") == 1 and found.count("ReorderInput") <= 2


def test_a_convolution_takes_in_a_sum_and_a_relu(rng):
    found = checked(between(lambda y, v: sg.relu(y + v), SHAPE), rng)

    assert "Add" not in found and "Relu" not in found


def test_a_map_takes_in_a_sum_and_a_relu(rng):
    found = checked(between(lambda y, a, b, v: sg.relu(y * a + b + v), CHANNELS, CHANNELS, SHAPE), rng)

    assert "Add" not in found and "Relu" not in found and found.count("Conv") == 3


def test_what_others_read_takes_nothing_in(rng):
    def build(y, v):
        z = y + v
        return sg.relu(z) * z + y

    found = checked(between(build, SHAPE), rng)

    assert "Add" in found and "Relu" in found


@pytest.mark.parametrize("operator", ["ReduceSum", "ReduceMean"])
@pytest.mark.parametrize("axes", [(2, 3), (0, 2, 3)])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_sums_over_space_are_those_of_blocks(operator, axes, keepdims, rng):
    found = checked(between(lambda y: sg.reshape(onnx(operator, y, np.array(axes), keepdims=keepdims), (-1,))), rng)

    assert "ReorderOutput" not in found and "GlobalAveragePool" in found


def test_moments_of_the_batch_are_its_own(rng):
    x = symbol((3, B, 4, 6), name="x")
    w, y = convolution(x)
    gamma, beta = symbol((2 * B,), name="gamma"), symbol((2 * B,), name="beta")
    z, mean, variance = normalized(y, gamma, beta)
    second, result = convolution(z, B, "w2")

    assert "BatchNormalization" not in checked(Graph([x, w, gamma, beta, second], [result, mean, variance]), rng)


@pytest.mark.parametrize("build", [
    lambda y: onnx("ReduceSum", y, np.array([1]), keepdims=0), lambda y: sg.softmax(y, axis=1),
    lambda y: sg.transpose(y, (0, 2, 3, 1)), lambda y: onnx("AveragePool", y, kernel_shape=(2, 2))])
def test_other_operators_see_images(build, rng):
    assert "ReorderOutput" in checked(between(lambda y: sg.reshape(build(y), (-1,))), rng)


def test_a_mask_of_integers_that_a_branch_reads_stays_as_it_is(rng):
    x, mask = symbol((3, B, 4, 6), name="x"), symbol((3, 2 * B, 4, 6), "int64", name="mask")
    w, y = convolution(x)
    z = sg.cond(sg.sum(y) > 0.0, lambda: y * sg.cast(mask, "float32"), lambda: y * np.float32(3.0))
    v, result = convolution(z, B, "v")

    assert "If" in checked(Graph([x, mask, w, v], [result]), rng)


def test_powers_of_integers_stay_images(rng):
    x, power = symbol((3, B, 4, 6), name="x"), symbol((3, 2 * B, 4, 6), "int64", name="power")
    w, y = convolution(x)
    v, result = convolution(onnx("Pow", sg.sigmoid(y), sg.abs(power)), B, "v")

    assert "Pow" in checked(Graph([x, power, w, v], [result]), rng)


def test_a_graph_without_blocks_stays():
    x = symbol((3, B, 4, 6), name="x")
    graph = Graph([x], [sg.relu(x)])

    assert keep_blocks(graph) is graph


def pooled(size):
    """The gradient of pooling an image that a convolution gives, of the image."""
    x = symbol((3, B, *size), name="x")
    w, y = convolution(x)
    z = onnx("MaxPool", y, kernel_shape=(2, 2), strides=(2, 2))
    dz = symbol(z.shape, name="dz")
    v, found = convolution(sg.gradients(z, [y], dz)[0], B, "v")
    graph = Graph([x, w, dz, v], [found])
    return passes.optimize(graph, [passes.inline_composites, block_channels, keep_blocks])


@pytest.mark.parametrize("values", ["random", "ties"])
def test_rows_are_repeated_where_an_image_was_enlarged(values, rng):
    before = pooled((4, 16))
    after = repeat_rows(before)
    inputs = [(rng.normal(size=x.shape) if values == "random" else rng.integers(0, 2, x.shape)).astype(np.float32)
              for x in before.inputs]

    assert repeat_rows(after) is after
    assert [x.type.shape[2:] for x in after.by_operator["If"][0].outputs] == [(16 * B,)]
    for a, b in zip(sg.runtime.evaluate(before, *inputs), sg.runtime.evaluate(after, *inputs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_short_rows_are_not_repeated():
    before = pooled((4, 6))

    assert repeat_rows(before) is before


@pytest.mark.parametrize("operator", ["Mul", "Sub", "Max"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("factor", [2, 3])
def test_both_operands_may_be_enlarged(operator, is_first, factor, rng):
    x, y = symbol((2, B, 3, 10), name="x"), symbol((2, B, 3 * factor, 10 * factor), name="y")
    large = enlarged(x, factor)
    w, given = convolution(y, B)
    z = onnx(operator, *((large, given) if is_first else (given, large)))
    v, result = convolution(z, B, "v")
    before = passes.optimize(Graph([x, y, w, v], [result]), [block_channels, keep_blocks])
    after = repeat_rows(before)
    inputs = [rng.normal(size=s.shape).astype(np.float32) for s in before.inputs]

    assert after is not before
    np.testing.assert_array_equal(sg.runtime.evaluate(before, *inputs)[0], sg.runtime.evaluate(after, *inputs)[0])


def test_an_image_of_channels_last_is_put_into_blocks_at_once(rng):
    x = symbol((3, 4, 6, B), name="x")
    w, y = convolution(sg.transpose(x, (0, 3, 1, 2)))

    assert "Transpose" not in [n.op.name for n in passes.optimize(
        passes.optimize(Graph([x, w], [y]), [block_channels]), [keep_blocks]).nodes if n.inputs[0] is x]
    assert "ReorderInput" in checked(Graph([x, w], [y]), rng)
