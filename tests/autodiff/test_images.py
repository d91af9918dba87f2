"""Gradients of convolutions, pools and image operators at ties and zeros, of old versions, and without images."""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import symgraph as sg
from symgraph.core.gradient import find_rule
from symgraph.core.op import find_op
from symgraph.passes import TRAINING, optimize
from tests.autodiff.cases import normal


def _gradient(function: Any, x: Any) -> Any:
    return np.array(sg.grads(lambda x: sg.sum(function(x)))(sg.tensor(np.array(x, np.float32)))[0])


@pytest.mark.parametrize("strides", [(2, 2), (1, 1)])
def test_max_pool_gives_all_to_the_first_of_equal_maxima(strides: tuple[int, int]) -> None:
    dx = _gradient(lambda x: sg.ops.onnx("MaxPool", x, kernel_shape=(2, 2), strides=strides), [[[[1, 1], [1, 1]]]])

    np.testing.assert_array_equal(dx, [[[[1, 0], [0, 0]]]])


def test_max_pool_gives_all_to_the_first_of_equal_maxima_when_compiled() -> None:
    x = sg.symbol((1, 1, 4, 4), "float32", "x")
    y = sg.ops.onnx("MaxPool", x, kernel_shape=(2, 2), strides=(2, 2))
    session = sg.runtime.Session(sg.Graph([x], sg.gradients(sg.sum(y), [x])))

    dx = session.run({"x": np.zeros((1, 1, 4, 4), np.float32)})[0]

    np.testing.assert_array_equal(dx[0, 0], [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4])


def test_equal_maxima_of_a_global_max_pool_share_the_gradient() -> None:
    np.testing.assert_array_equal(_gradient(lambda x: sg.ops.onnx("GlobalMaxPool", x), [[[2, 1, 2, 0]]]),
                                  [[[0.5, 0, 0.5, 0]]])


@pytest.mark.parametrize("name", ["LpPool", "GlobalLpPool"])
def test_the_norm_of_zeros_has_gradient_zero(name: str) -> None:
    attributes = {"kernel_shape": (2,)} if name == "LpPool" else {}

    np.testing.assert_array_equal(_gradient(lambda x: sg.ops.onnx(name, x, **attributes), [[[0, 0]]]), [[[0, 0]]])


@pytest.mark.parametrize("scales", [(1, 1, 2, 3), (1, 1, 1.5, 0.6), (1, 1, 0.5, 2.5)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("name", "version"), [("Upsample", 7), ("Upsample", 9), ("Resize", 10)])
def test_the_rule_of_an_old_version_is_the_transpose_of_its_kernel(name: str, version: int, mode: str,
                                                                   scales: tuple[float, ...]) -> None:
    if name == "Upsample" and min(scales) < 1:
        scales = tuple(max(1.0, s) for s in scales)
    x = normal(1, 1, 3, 5).astype(np.float32)
    y = _run_old(name, version, mode, scales, x)
    dy = normal(*y.shape, seed=1).astype(np.float32)
    given = {"scales": scales} if version == 7 else {}
    others = () if version == 7 else (sg.tensor(np.array(scales, np.float32)),)

    found = find_rule(find_op(name, "", version)).function(  # type: ignore[union-attr]
        sg.tensor(dy), sg.tensor(y), sg.tensor(x), *others, mode=mode, **given)

    units = np.eye(x.size, dtype=np.float32).reshape(-1, *x.shape)
    columns = [_run_old(name, version, mode, scales, unit) for unit in units]
    expected = np.array([np.sum(column * dy) for column in columns]).reshape(x.shape)
    np.testing.assert_allclose(np.array(found[0]), expected, rtol=1e-4, atol=1e-5)


def _run_old(name: str, version: int, mode: str, scales: tuple[float, ...], x: Any) -> Any:
    """What ONNX Runtime does in a file of that version."""
    inputs, constants, attributes = ["x"], [], {}
    if version == 7:
        attributes["scales"] = list(map(float, scales))
    else:
        inputs.append("scales")
        constants.append(onnx.numpy_helper.from_array(np.array(scales, np.float32), "scales"))
    node = onnx.helper.make_node(name, inputs, ["y"], mode=mode, **attributes)
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "old", [onnx.helper.make_tensor_value_info("x", real, x.shape)],
        [onnx.helper.make_tensor_value_info("y", real, None)], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", version)], ir_version=8)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"]).run(None, {"x": x})[0]


def test_max_roi_pool_gives_to_the_largest_pixel_of_each_bin() -> None:
    x = np.arange(40, dtype=np.float32).reshape(2, 1, 4, 5)
    rois = np.array([[0, 0, 0, 3, 3], [1, 1, 1, 4, 2], [1, 0.4, 0, 2.6, 3]], np.float32)

    def pool(x: Any) -> Any:
        return sg.ops.onnx("MaxRoiPool", x, rois, pooled_shape=(2, 2))

    factors = normal(3, 1, 2, 2).astype(np.float32)
    found = np.array(sg.grads(lambda x: sg.sum(pool(x) * factors))(sg.tensor(x))[0])

    places = np.array(pool(sg.tensor(x))).astype(int)  # the numbers are their places
    expected = np.zeros(40)
    np.add.at(expected, places.ravel(), factors.ravel())
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-6)


def test_bilinear_sampling_of_version_16_is_linear_sampling_of_version_20() -> None:
    x, grid = (a.astype(np.float32) for a in (normal(1, 2, 3, 4), normal(1, 3, 2, 2)))

    def gradients(version: int, mode: str) -> Any:
        def total(x: Any, grid: Any) -> Any:
            return sg.sum(sg.core.apply.apply_op(find_op("GridSample", "", version), x, grid, mode=mode) ** 2.0)

        return [np.array(g) for g in sg.grads(total)(sg.tensor(x), sg.tensor(grid))]

    for a, b in zip(gradients(16, "bilinear"), gradients(20, "linear"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_stateful_convolution_of_opset_27_has_the_gradients_of_its_definition() -> None:
    arrays = [normal(*shape) for shape in ((2, 3, 5), (3, 1, 3), (3,), (2, 3, 2))]
    symbols = [sg.symbol(a.shape, "float32", f"x{i}") for i, a in enumerate(arrays)]
    y, _ = sg.ops.onnx("CausalConvWithState", *symbols, activation="silu", outputs=2)
    session = sg.runtime.Session(sg.Graph(symbols, sg.gradients(sg.sum(y * y), symbols)))

    found = session.run({f"x{i}": a.astype(np.float32) for i, a in enumerate(arrays)})

    def loss(x: Any, w: Any, b: Any, past: Any) -> Any:
        z = np.concatenate([past, x], -1)
        y = sum(z[:, :, i:i + 5] * w[:, 0, i][:, None] for i in range(3)) + b[:, None]
        return np.sum((y / (1 + np.exp(-y))) ** 2)

    for i, dx in enumerate(found):
        step = normal(*arrays[i].shape, seed=1)
        above, below = ([a + s * step if i == j else a for j, a in enumerate(arrays)] for s in (1e-6, -1e-6))
        np.testing.assert_allclose(np.sum(dx * step), (loss(*above) - loss(*below)) / 2e-6, rtol=1e-4)


@pytest.mark.parametrize(("x", "w", "options"), [
    ((4, 16, 14, 14), (16, 16, 3, 3), {"pads": (1, 1, 1, 1)}),
    ((4, 40, 14, 14), (16, 40, 3, 3), {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
    ((4, 40, 14, 14), (16, 40, 1, 1), {}),
    ((4, 16, 14, 14), (16, 1, 3, 3), {"pads": (1, 1, 1, 1), "group": 16})])
def test_a_gradient_graph_has_at_most_four_times_the_nodes(x: Any, w: Any, options: dict[str, Any]) -> None:
    symbols = [sg.symbol(shape, "float32", name) for name, shape in (("x", x), ("w", w), ("b", w[:1]))]
    y = sg.relu(sg.ops.onnx("Conv", *symbols, **options))
    y = sg.ops.onnx("MaxPool", y, kernel_shape=(2, 2), strides=(1, 1))
    loss = sg.sum(y * y)
    forward = optimize(sg.Graph(symbols, [loss]), TRAINING)
    backward = optimize(sg.Graph(symbols, sg.gradients(loss, symbols)), TRAINING)

    assert len(backward.nodes) <= 4 * len(forward.nodes), f"{forward}\n{backward}"


def test_the_gradient_of_a_convolution_of_no_images_is_zero_for_any_batch() -> None:
    x, w = sg.symbol((None, 2, 5, 5), "float32", "x"), sg.symbol((3, 2, 3, 3), "float32", "w")
    gradients = sg.gradients(sg.sum(sg.ops.onnx("Conv", x, w)), [x, w])
    session = sg.runtime.Session(sg.Graph([x, w], gradients))

    dx, dw = session.run({"x": np.zeros((0, 2, 5, 5), np.float32), "w": np.ones((3, 2, 3, 3), np.float32)})

    assert dx.shape == (0, 2, 5, 5)
    np.testing.assert_array_equal(dw, np.zeros((3, 2, 3, 3)))
