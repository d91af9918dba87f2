"""Convolutions, pools, normalisations and images: what the table of ops does not say."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import ops


def operators(*outputs):
    graph = sg.Graph(SYMBOLS, outputs)
    return [node.op.name for node in graph.nodes]


SYMBOLS = [sg.symbol((None, None, None, 3)), sg.symbol((2, 8, 8, 3))]
OPEN, KNOWN = SYMBOLS
KERNEL = np.ones((3, 3, 3, 4), np.float32)


def nodes(y, name):
    return [node for node in sg.Graph(SYMBOLS, [y]).nodes if node.op.name == name]


def test_same_padding_of_known_sizes_is_written_out():
    (node,) = nodes(ops.conv(KNOWN, KERNEL, 2, "same"), "Conv")

    assert node.attributes["pads"] == (0, 0, 1, 1) and "auto_pad" not in node.attributes


def test_same_padding_of_open_sizes_is_left_to_the_operator():
    (node,) = nodes(ops.conv(OPEN, KERNEL, 2, "same"), "Conv")

    assert node.attributes["auto_pad"] == "SAME_UPPER" and "pads" not in node.attributes


def test_same_padding_with_stride_one_needs_no_sizes():
    (node,) = nodes(ops.conv(OPEN, KERNEL, 1, "same", dilation_rate=2), "Conv")

    assert node.attributes["pads"] == (2, 2, 2, 2)


@pytest.mark.parametrize("x", [OPEN, KNOWN], ids=["open", "known"])
def test_a_max_pool_pads_by_itself(x):
    assert operators(ops.max_pool(x, 3, 2, "same")) == ["Transpose", "MaxPool", "Transpose"]


def test_channels_first_needs_no_transpose_of_images():
    x = sg.symbol((None, 3, 8, 8))

    graph = sg.Graph([x], [ops.max_pool(x, 2, data_format="channels_first")])

    assert [node.op.name for node in graph.nodes] == ["MaxPool"]


def test_a_batch_dimension_keeps_its_name():
    x = sg.symbol(("N", 8, 8, 3))

    assert ops.conv(x, KERNEL, 2, "same").shape == ("N", 4, 4, 4)
    assert ops.max_pool(x, 2).shape == ("N", 4, 4, 3)
    assert ops.group_normalization(x, 3).shape == ("N", 8, 8, 3)
    assert ops.dot_product_attention(x, x, x).shape == ("N", 8, 8, 3)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_kernel_for_fewer_channels_convolves_in_groups(rng, groups):
    x = rng.normal(size=(2, 6, 5, 4)).astype(np.float32)
    w = rng.normal(size=(3, 2, 4 // groups, 8)).astype(np.float32)

    parts = [ops.conv(a, b).numpy() for a, b in zip(np.split(x, groups, -1), np.split(w, groups, -1), strict=True)]

    np.testing.assert_allclose(ops.conv(x, w), np.concatenate(parts, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("output_padding", [0, 1])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_output_padding_says_the_size_of_a_transposed_convolution(padding, output_padding):
    y = ops.conv_transpose(np.ones((1, 5, 2), np.float32), np.ones((3, 4, 2), np.float32), 2, padding, output_padding)

    assert y.shape == (1, 4 * 2 + (3 if padding == "valid" else 1) + output_padding, 4)


@pytest.mark.parametrize("dims", [(2, 6, 5, 8), (2, 6, 8)])
@pytest.mark.parametrize("groups", [1, 2, 8])
def test_group_normalization_has_mean_zero_and_variance_one_in_each_group(rng, dims, groups):
    x = rng.normal(3, 2, size=dims).astype(np.float32)

    y = ops.group_normalization(x, groups, epsilon=0).numpy().reshape(*dims[:-1], groups, -1)
    over = tuple(a for a in range(1, y.ndim) if a != y.ndim - 2)

    np.testing.assert_allclose(y.mean(over), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(over), 1, rtol=1e-4)


def test_group_normalization_scales_and_shifts_channels(rng):
    x, gamma, beta = (rng.normal(size=s).astype(np.float32) for s in ((2, 4, 6), (6,), (6,)))

    plain = ops.group_normalization(x, 3).numpy()

    np.testing.assert_allclose(ops.group_normalization(x, 3, gamma, beta), plain * gamma + beta, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ops.group_normalization(x.swapaxes(1, 2), 3, gamma, beta, axis=1),
                               (plain * gamma + beta).swapaxes(1, 2), rtol=1e-5, atol=1e-6)


def test_fewer_heads_of_keys_serve_neighbouring_queries(rng):
    q = rng.normal(size=(2, 5, 4, 8)).astype(np.float32)
    k, v = rng.normal(size=(2, 2, 7, 2, 8)).astype(np.float32)

    whole = ops.dot_product_attention(q, k.repeat(2, 2), v.repeat(2, 2))

    np.testing.assert_allclose(ops.dot_product_attention(q, k, v), whole, rtol=1e-5, atol=1e-6)


def test_patches_are_the_pixels_of_windows(rng):
    x = rng.normal(size=(2, 6, 9, 3)).astype(np.float32)

    patches = ops.extract_patches(x, (2, 3)).numpy()

    np.testing.assert_array_equal(patches, x.reshape(2, 3, 2, 3, 3, 3).transpose(0, 1, 3, 2, 4, 5).reshape(2, 3, 3, 18))


def test_bicubic_resize_keeps_a_plane():
    rows, columns = np.meshgrid(np.arange(8.0), np.arange(8.0), indexing="ij")
    x = (2 * rows + 3 * columns).astype(np.float32)[None, :, :, None]

    y = ops.resize(x, (16, 16), "bicubic").numpy()[0, :, :, 0]

    at = (np.arange(16) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(y[4:-4, 4:-4], (2 * at[:, None] + 3 * at)[4:-4, 4:-4], rtol=1e-5)


def test_antialias_sees_all_pixels_where_images_shrink():
    x = np.zeros((1, 8, 8, 1), np.float32)
    x[:, ::4] = 1

    assert (ops.resize(x, (2, 2)).numpy() == 0).all()
    np.testing.assert_allclose(ops.resize(x, (2, 2), antialias=True), 0.25, atol=0.08)


BAD = {
    "rank": (lambda: ops.conv(np.ones((2, 3), np.float32), KERNEL), r"conv.*\(2, 3\)"),
    "channels": (lambda: ops.conv(np.ones((1, 8, 8, 5), np.float32), KERNEL), r"3 channels.*have 5"),
    "kernel rank": (lambda: ops.conv(KNOWN, np.ones((3, 3, 4), np.float32)), r"rank 4.*\(3, 3, 4\)"),
    "padding": (lambda: ops.conv(KNOWN, KERNEL, padding="sane"), 'did you mean "same"'),
    "causal": (lambda: ops.conv(KNOWN, KERNEL, padding="causal"), "one spatial axis"),
    "data format": (lambda: ops.max_pool(KNOWN, 2, data_format="channels_frist"), "channels_first"),
    "strides": (lambda: ops.conv(KNOWN, KERNEL, strides=0), "strides is a whole number from 1.*0"),
    "window": (lambda: ops.average_pool(KNOWN, (2, 2, 2)), r"2 of them.*\(2, 2, 2\)"),
    "transposed channels": (lambda: ops.conv_transpose(KNOWN, np.ones((3, 3, 4, 5), np.float32)), "5 channels"),
    "depthwise channels": (lambda: ops.depthwise_conv(KNOWN, np.ones((3, 3, 5, 1), np.float32)), "5 channels.*have 3"),
    "glu": (lambda: ops.glu(np.ones((2, 3), np.float32)), "odd size 3"),
    "groups": (lambda: ops.group_normalization(KNOWN, 2), "2 groups"),
    "batch mean": (lambda: ops.batch_normalization(KNOWN, np.ones(4, "f"), np.ones(3, "f"), -1), "size 3"),
    "interpolation": (lambda: ops.resize(KNOWN, (2, 2), "bilinaer"), 'did you mean "bilinear"'),
    "edges": (lambda: ops.pad_images(KNOWN, 1, 1, 1, 1, target_height=9), "two of"),
    "attention rank": (lambda: ops.dot_product_attention(*[np.ones((2, 3, 4), "f")] * 3), "batch, length, heads"),
    "mask": (lambda: ops.dot_product_attention(KNOWN, KNOWN, KNOWN, mask=np.ones((8, 8), np.float32)), "boolean"),
    "normalize order": (lambda: ops.normalize(KNOWN, order=0.5), "0.5"),
}


@pytest.mark.parametrize("case", BAD)
def test_arguments_that_do_not_fit_are_told_at_once(case):
    call, message = BAD[case]

    with pytest.raises(sg.SymgraphError, match=message):
        call()


def test_group_normalization_of_an_open_batch_needs_no_shape_nodes():
    x = sg.symbol(("N", 4, 5, 6), name="x")
    y = ops.group_normalization(x, 3)
    assert y.shape == ("N", 4, 5, 6)
    assert "Shape" not in [node.op.name for node in sg.Graph([x], [y]).nodes]
