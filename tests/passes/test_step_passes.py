"""What a training step becomes before it runs on the CPU: each pass by itself, before and after."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import passes
from symgraph.core.apply import symbol
from symgraph.ops import onnx
from symgraph.passes import (
    absorb_relu_masks,
    fold_gradient_pads,
    fold_pads,
    fuse_channel_affine,
    fuse_convolution_bias,
    fuse_gemm,
    fuse_scaled_sums,
    replace_masks,
    share_common_subexpressions,
    share_error_functions,
    split_transposes,
    sum_by_products,
    turn_operands,
)

RNG = np.random.default_rng(0)


def names(graph):
    return [node.op.name for node in graph.nodes]


def after(graph, *pipeline):
    """The operators that are left, once results were compared."""
    result = passes.optimize(graph, pipeline, verify=True)
    assert passes.optimize(result, pipeline) is result
    return names(result)


def vector(n):
    return RNG.normal(size=n).astype(np.float32)


# Scaled sums.


@pytest.mark.parametrize("build", [
    lambda u, y, s: u + y * s, lambda u, y, s: y * s + u, lambda u, y, s: s * y + u, lambda u, y, s: u - y * s])
@pytest.mark.parametrize("factor", ["constant", "number", "variable"])
def test_a_sum_with_something_scaled_is_one_operator(build, factor):
    u, y, s = symbol((40, 32), name="u"), symbol((40, 32), name="y"), symbol((), name="s")
    factors = {"constant": np.float32(0.3), "number": s, "variable": sg.Variable(0.7)}
    with sg.core.scope.tracing():
        graph = sg.Graph([u, y, s], [build(u, y, factors[factor])])

    assert after(graph, fuse_scaled_sums)[-1] == "GatedAdd"


@pytest.mark.parametrize(("shape", "factors"), [
    ((2, 4, 16, 8), (4, 1, 1)), ((2, 4, 16, 8), (1, 4, 1, 1)), ((8, 4, 64), (8, 4, 1)), ((8, 4, 64), (1, 1, 1)),
    ((8, 4, 64), (4, 1)), ((2048,), ()), ((2048,), (1,))])
def test_each_row_may_have_a_factor_of_its_own(shape, factors):
    u, y = symbol(shape, name="u"), symbol(shape, name="y")
    s = symbol(factors, name="s")
    constant = RNG.normal(size=factors).astype(np.float32)

    assert "GatedAdd" in after(sg.Graph([u, y, s], [u + y * s]), fuse_scaled_sums)
    assert "GatedAdd" in after(sg.Graph([u, y], [u - y * constant]), fuse_scaled_sums)


@pytest.mark.parametrize(("shape", "other", "factors"), [
    ((8, 4, 64), (8, 4, 64), (64,)), ((8, 4, 64), (4, 64), ()), ((8, 4, 4), (8, 4, 4), ()), ((8, "N", 64), None, ()),
    ((64, 32), (64, 32), (2, 1, 1))])
def test_what_has_no_factor_a_row_or_is_small_or_open_stays(shape, other, factors):
    u, y, s = symbol(shape, name="u"), symbol(other or shape, name="y"), symbol(factors, name="s")
    graph = sg.Graph([u, y, s], [u + y * s])

    assert fuse_scaled_sums(graph) is graph


def test_a_product_that_others_read_is_not_fused():
    u, y = symbol((40, 32), name="u"), symbol((40, 32), name="y")
    scaled = y * np.float32(3)
    graph = sg.Graph([u, y], [u + scaled, scaled])

    assert fuse_scaled_sums(graph) is graph


# Products.


def test_a_product_takes_in_a_factor():
    a, b = symbol((3, 4), name="a"), symbol((4, 5), name="b")

    assert after(sg.Graph([a, b], [sg.matmul(a, b) * 0.25]), fuse_gemm) == ["Gemm"]
    assert after(sg.Graph([a, b], [2.0 * onnx("Gemm", a, b, alpha=0.5)]), fuse_gemm) == ["Gemm"]


@pytest.mark.parametrize("build", [
    lambda a, b: sg.matmul(a, b) * 0.0, lambda a, b: sg.matmul(a, b) * np.float32(np.inf),
    lambda a, b: sg.matmul(a, b) * np.ones((1, 1, 1), np.float32),
    lambda a, b: onnx("Gemm", a, b, np.ones(5, np.float32)) * 2.0])
def test_a_factor_of_nothing_or_behind_a_bias_stays(build):
    a, b = symbol((3, 4), name="a"), symbol((4, 5), name="b")
    graph = sg.Graph([a, b], [build(a, b)])

    assert fuse_gemm(graph) is graph


def test_products_turn_a_matrix_that_several_read():
    a, b, c = symbol((4, 3), name="a"), symbol((4, 5), name="b"), symbol((4, 6), name="c")
    turned = sg.transpose(a)

    assert after(sg.Graph([a, b, c], [sg.matmul(turned, b), sg.matmul(turned, c)]), fuse_gemm) == ["Gemm", "Gemm"]


@pytest.mark.parametrize(("perm", "wanted"), [
    ((0, 2, 3, 1), ["Transpose", "FusedMatMul"]), ((0, 1, 3, 2), ["FusedMatMul"]), ((0, 2, 1, 3), None),
    ((3, 2, 0, 1), None), ((2, 0, 3, 1), ["Transpose", "FusedMatMul"])])
def test_operands_keep_their_rows(perm, wanted):
    x = symbol((2, 3, 4, 5), name="x")
    turned = sg.transpose(x, perm)
    a = symbol((*turned.shape[:2], 6, turned.shape[2]), name="a")
    b = symbol((*turned.shape[:2], turned.shape[3], 6), name="b")
    graph = sg.Graph([x, a, b], [sg.matmul(a, turned)])

    if wanted is None:
        assert turn_operands(graph) is graph
    else:
        assert after(graph, turn_operands) == wanted
        assert after(sg.Graph([x, b], [sg.matmul(turned, b)]), turn_operands) == wanted


def test_attention_reads_one_transpose_of_its_keys():
    q, k = symbol((2, 3, 4, 8), name="q"), symbol((2, 4, 3, 8), name="k")
    scores = sg.matmul(q, sg.transpose(k, (0, 2, 3, 1)))
    back = sg.matmul(scores, sg.transpose(k, (0, 2, 1, 3)))
    found = after(sg.Graph([q, k], [back]), turn_operands, share_common_subexpressions)

    assert sorted(found) == ["FusedMatMul", "MatMul", "Transpose"]


@pytest.mark.parametrize("shape", [(64, 128), (4, 32, 64)])
def test_the_sum_of_rows_is_a_product(shape):
    x = symbol(shape, name="x")
    graph = sg.Graph([x], [onnx("ReduceSum", x, np.arange(len(shape) - 1), keepdims=0)])

    assert "MatMul" in after(graph, sum_by_products)


@pytest.mark.parametrize(("shape", "axes", "keepdims"), [
    ((64, 128), (1,), 0), ((64, 128), (0,), 1), ((4, 32, 64), (0,), 0), ((16, 16), (0,), 0), ((2048, 8), (0,), 0),
    (("N", 128), (0,), 0)])
def test_other_sums_stay(shape, axes, keepdims):
    x = symbol(shape, name="x")
    graph = sg.Graph([x], [onnx("ReduceSum", x, np.array(axes), keepdims=keepdims)])

    assert sum_by_products(graph) is graph


# Layouts.


@pytest.mark.parametrize(("shape", "perm"), [
    ((3, 3, 32, 64), (3, 2, 0, 1)), ((64, 32, 3, 3), (2, 3, 1, 0)), ((16, 17, 18), (2, 1, 0)),
    ((2, 3, 40, 5, 41), (3, 4, 2, 0, 1)), ((1, 64, 33, 3), (3, 2, 1, 0))])
def test_a_transpose_of_three_blocks_is_done_in_two(shape, perm):
    x = symbol(shape, name="x")
    graph = sg.Graph([x], [sg.transpose(x, perm)])

    assert after(graph, split_transposes).count("Transpose") == 2


@pytest.mark.parametrize(("shape", "perm"), [
    ((64, 128), (1, 0)), ((8, 8, 8, 16), (0, 2, 3, 1)), ((8, 8, 8, 16), (3, 0, 1, 2)), ((3, 3, 8, 8), (3, 2, 0, 1)),
    ((8, 8, 8, 16), (1, 0, 3, 2)), (("N", 3, 64, 64), (3, 2, 0, 1))])
def test_transposes_of_two_blocks_of_few_elements_or_of_open_sizes_stay(shape, perm):
    x = symbol(shape, name="x")
    graph = sg.Graph([x], [sg.transpose(x, perm)])

    assert split_transposes(graph) is graph


# Images.


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1)])
def test_a_map_of_channels_is_a_normalisation(shape):
    x, a, b = symbol(("N", 4, 5, 6), name="x"), symbol(shape, name="a"), symbol(shape, name="b")

    values = [RNG.normal(size=size).astype(np.float32) for size in ((2, 4, 5, 6), shape, shape)]

    for y in (x * a + b, b + a * x):
        graph = fuse_channel_affine(sg.Graph([x, a, b], [y]))
        assert "BatchNormalization" in names(graph) and fuse_channel_affine(graph) is graph
        np.testing.assert_allclose(
            sg.runtime.evaluate(graph, *values)[0], values[0] * values[1] + values[2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 5, 1), (5, 6), (1, 1, 1), ()])
def test_a_map_that_is_not_of_channels_stays(shape):
    x, a, b = symbol((2, 4, 5, 6), name="x"), symbol(shape, name="a"), symbol((4, 1, 1), name="b")
    graph = sg.Graph([x, a, b], [x * a + b])

    assert fuse_channel_affine(graph) is graph


@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1)])
def test_a_convolution_takes_in_a_bias_that_is_no_constant(shape):
    x, w, b = symbol((2, 3, 5, 6), name="x"), symbol((4, 3, 2, 2), name="w"), symbol(shape, name="b")

    assert after(sg.Graph([x, w, b], [onnx("Conv", x, w) + b]), fuse_convolution_bias) == ["Reshape", "Conv"]
    assert after(sg.Graph([x, w, b], [b + onnx("Conv", x, w)]), fuse_convolution_bias) == ["Reshape", "Conv"]


@pytest.mark.parametrize("build", [
    lambda x, w, b: onnx("Conv", x, w) + sg.reshape(b, (1, 2, 2)),
    lambda x, w, b: onnx("Conv", x, w, b) + sg.reshape(b, (4, 1, 1)),
    lambda x, w, b: onnx("Conv", x, w) + b[:1]])
def test_what_is_no_bias_of_channels_is_added_outside(build):
    x, w, b = symbol((2, 3, 3, 3), name="x"), symbol((4, 3, 2, 2), name="w"), symbol((4,), name="b")
    graph = sg.Graph([x, w, b], [build(x, w, b)])

    assert fuse_convolution_bias(graph) is graph


def padded_convolution(pads, stride=1, own=0):
    x, w, dy = symbol((2, 3, 6, 7), name="x"), symbol((4, 3, 3, 3), name="w"), None
    padded = onnx("Pad", x, np.array((0, 0, *pads[:2], 0, 0, *pads[2:])))
    y = onnx("Conv", padded, w, strides=(stride, stride), pads=(own,) * 4)
    dy = symbol(y.shape, name="dy")
    return sg.Graph([x, w, dy], sg.gradients(y, [x, w], dy))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pads", [(1, 1, 1, 1), (0, 1, 2, 0)])
@pytest.mark.parametrize("own", [0, 1])
def test_the_gradients_of_a_padded_convolution_pad_themselves(pads, stride, own):
    graph = padded_convolution(pads, stride, own)
    found = after(graph, fold_pads, fold_gradient_pads)

    assert "Pad" not in found and sorted(found) == ["ConvInputGrad", "ConvWeightGrad"]


def test_the_gradient_of_a_convolution_of_what_was_cut_stays():
    graph = padded_convolution((-1, 0, 0, 0))

    assert fold_gradient_pads(graph) is graph


# Activations.


def test_the_mask_of_a_relu_is_one_operator():
    z = symbol((3, 4), name="z")
    x = sg.relu(z)

    assert names(passes.optimize(sg.Graph([z], [sg.grad(lambda z: sg.sum(sg.relu(z)))(z)]), [replace_masks])).count(
        "HardSigmoid") == 1
    values = np.array([[-1.0, 0.0, -0.0, 1e-38], [2.0, np.inf, -np.inf, 3e38]], np.float32)
    graph = sg.Graph([z], [onnx("Cast", onnx("Greater", x, np.float32(0)), to=1)])
    (mask,) = sg.runtime.evaluate(replace_masks(graph), np.resize(values, (3, 4)))
    assert mask.tolist() == np.resize((values > 0).astype(np.float32), (3, 4)).tolist()


def test_a_mask_of_something_else_stays():
    z = symbol((3, 4), name="z")
    graph = sg.Graph([z], [onnx("Cast", onnx("Greater", z, np.float32(0)), to=1)])

    assert replace_masks(graph) is graph


def test_gelu_and_its_gradient_share_an_error_function():
    x = symbol((3, 4), name="x")
    y = sg.gelu(x, approximate=False)
    graph = sg.Graph([x], [y, *sg.gradients(y, [x])])
    graph = passes.optimize(graph, passes.TRAINING)
    found = after(graph, share_error_functions, share_common_subexpressions)

    assert found.count("Erf") == 1 and "Gelu" not in found
    assert found.count("Mul") == 4 and "Div" in found


def test_gelu_by_itself_stays():
    x = symbol((3, 4), name="x")
    graph = sg.Graph([x], [sg.gelu(x, approximate=False)])

    assert share_error_functions(graph) is graph


def pooled(shape=(2, 3, 4, 6)):
    z = symbol(shape, name="z")
    return z, onnx("MaxPool", sg.relu(z), kernel_shape=(2, 2), strides=(2, 2))


def test_the_gradient_of_a_pool_takes_in_the_mask_of_a_relu():
    z, y = pooled()
    graph = passes.optimize(sg.Graph([z], sg.gradients(y, [z])), [share_common_subexpressions])
    found = passes.optimize(graph, [absorb_relu_masks], verify=True)

    assert "Mul" not in names(found) and "Greater" not in names(found)
    (node,) = [node for node in found.nodes if node.op.name == "TiledMaxPoolGrad"]
    assert node.attributes["above_zero"] == 1


@pytest.mark.parametrize("kind", ["random", "ties", "negative", "zeros"])
def test_a_pool_of_a_relu_has_its_gradient_whatever_is_equal(kind):
    z, y = pooled()
    x = {"random": RNG.normal(size=(2, 3, 4, 6)), "ties": RNG.integers(-1, 2, (2, 3, 4, 6)),
         "negative": -np.ones((2, 3, 4, 6)), "zeros": np.zeros((2, 3, 4, 6))}[kind].astype(np.float32)
    graph = sg.Graph([z], sg.gradients(y, [z]))
    expected = np.zeros_like(x)
    for place in np.ndindex(2, 3, 2, 3):
        n, c, i, j = place
        window = x[n, c, 2 * i:2 * i + 2, 2 * j:2 * j + 2]
        k = int(window.argmax())
        expected[n, c, 2 * i + k // 2, 2 * j + k % 2] = window.max() > 0
    for each in (graph, passes.prepare_step(passes.optimize(graph, passes.TRAINING))):
        assert sg.runtime.evaluate(each, x)[0].tolist() == expected.tolist()
