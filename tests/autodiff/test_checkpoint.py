"""Checkpoints give the same gradients and keep less."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import symgraph as sg

W = np.float32([[1.0, 2.0], [0.5, -1.0]])


def block(x):
    return sg.tanh(sg.exp(x) * 0.5)


def test_a_checkpoint_changes_no_gradient() -> None:
    w = sg.Variable(W)
    plain = lambda x: sg.sum(sg.tanh(sg.exp(x) * w) ** 2)  # noqa: E731
    kept = sg.checkpoint(lambda x: sg.tanh(sg.exp(x) * w))

    with sg.GradientTape() as tape:
        x = sg.tensor(W)
        tape.watch(x)
        y = sg.sum(kept(x) ** 2)
    dx, dw = tape.gradient(y, [x, w])

    with sg.GradientTape() as tape:
        tape.watch(x)
        y = plain(x)
    for found, expected in zip((dx, dw), tape.gradient(y, [x, w]), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_the_inside_is_computed_twice_even_after_all_optimisation(tmp_path) -> None:
    x = sg.symbol((2, 2), name="x")
    y = sg.sum(sg.checkpoint(block)(x) ** 2)
    graph = sg.passes.optimize(sg.Graph([x], [y, *sg.gradients(y, [x])]),
                               (sg.passes.inline_composites, *sg.passes.TRAINING))
    sg.runtime.save(graph, tmp_path / "g.onnx")
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "o.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(tmp_path / "g.onnx", options, providers=["CPUExecutionProvider"])

    for path in ("g.onnx", "o.onnx"):
        assert [node.op_type for node in onnx.load(tmp_path / path).graph.node].count("Exp") == 2


@pytest.mark.parametrize("order", [1, 2])
def test_a_checkpoint_is_differentiable_again(order: int) -> None:
    def scalar(function):
        return lambda x: sg.sum(function(x) * sg.tensor(W))

    f, g = scalar(block), scalar(sg.checkpoint(block))
    for _ in range(order):
        f, g = (lambda x, h=h: sg.sum(sg.grad(h)(x) ** 2) for h in (f, g))

    np.testing.assert_allclose(np.array(g(W)), np.array(f(W)), rtol=1e-5)


def test_a_checkpoint_takes_nests_and_captures() -> None:
    x, z = sg.symbol((2,), name="x"), sg.symbol((2,), name="z")
    result = sg.checkpoint(lambda p: {"y": p["a"] * z, "n": p["b"]})({"a": x, "b": x * 2.0})
    dx, dz = sg.gradients(sg.sum(result["y"] * result["n"]), [x, z])

    graph = sg.Graph([x, z], [dx, dz])
    found = sg.runtime.Session(graph).run({"x": np.float32([1, 2]), "z": np.float32([3, 5])})
    np.testing.assert_allclose(found, [[12, 40], [2, 8]])
