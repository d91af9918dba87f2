"""Whole models from files: the gradient of the sum of squared outputs with respect to every weight.

`python -m tests.autodiff.test_models` checks all nine light topologies that the `onnx` package carries; the tests
take the two smallest.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.types import is_floating
from symgraph.runtime import Session
from symgraph.runtime.importer import load_graph
from tests.conformance.test_official_cases import LIGHT
from tests.conformance.test_shared_models import plain_session, reference

FLOAT_MODELS = ("cnn_mnist_pytorch", "dtln_model_2", "gtcrn", "gtcrn_simple", "magika_standard_v2_1",
                "ort_TFBertForQuestionAnswering", "ort_bert_toy_optimized", "ort_gpt2_past", "ort_mnist", "ort_scan_1",
                "silero_vad_16k_op15")
DIRECTIONS = 5
STEPS = (1e-1, 1e-2, 1e-3, 1e-4, 3e-5, 1e-5)
"""Parts of a weight's own size: in float32 small steps drown in rounding, and large ones cross kinks."""


def real_outputs(graph):
    """The floating-point outputs."""
    return [y for y in graph.outputs if is_floating(y.dtype)]


def squared_sum(graph):
    """`Σ y²` over the floating-point outputs."""
    terms = [sg.sum(sg.cast(y, "float32") ** 2.0) for y in real_outputs(graph)]
    return sum(terms[1:], terms[0])


def own_size(w):
    """How large a weight is: its root mean square; of variances, which must stay positive, each number's own size."""
    return w if (w > 0).all() else np.sqrt(np.mean(np.square(w)))


def count(graph):
    """The nodes of a graph and of its branches and loops; a composite is one."""
    return sum(1 + sum(count(inner) for _, inner in node.subgraphs()) for node in graph.nodes)


def check_model(graph, feeds, path):
    weights = [v for v in graph.variables if v.trainable]
    assert weights
    loss = squared_sum(graph)
    found = [(v, dv) for v, dv in zip(weights, sg.gradients(loss, weights), strict=True) if dv is not None]
    assert len(found) >= 0.5 * len(weights), "most weights count"
    whole = sg.Graph(graph.inputs, [dv for _, dv in found], input_names=graph.input_names)
    gradient_graph = sg.passes.optimize(whole, sg.passes.TRAINING)
    plain = sg.passes.optimize(sg.Graph(graph.inputs, [loss], input_names=graph.input_names), sg.passes.TRAINING)
    assert count(gradient_graph) <= 4 * count(plain)
    forward = Session(sg.Graph(graph.inputs, real_outputs(graph), input_names=graph.input_names),
                      variables_as_inputs=True)
    slopes = Session(gradient_graph, optimize=False).run(feeds)

    sg.runtime.save(gradient_graph, path)
    exported = plain_session(str(path)).run(None, feeds)
    for a, b in zip(slopes, exported, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1e-30, float(np.abs(b).max(initial=0))))

    rng = np.random.default_rng(0)
    start = [np.array(v.numpy()) for v, _ in found]
    sizes = [own_size(w.astype(np.float64)) for w in start]
    for _ in range(DIRECTIONS):
        direction = [rng.normal(size=w.shape) * size for w, size in zip(start, sizes, strict=True)]
        expected = sum(np.sum(s.astype(np.float64) * d) for s, d in zip(slopes, direction, strict=True))
        scale = np.sqrt(sum(np.sum((s.astype(np.float64) * size) ** 2)
                            for s, size in zip(slopes, sizes, strict=True)))
        errors = []
        for step in STEPS:
            values = []
            for sign in (1, -1):
                for (v, _), w, d in zip(found, start, direction, strict=True):
                    v.assign((w + sign * step * d).astype(w.dtype))
                values.append(sum(float(np.sum(np.square(y, dtype=np.float64))) for y in forward.run(feeds)))
            errors.append(abs((values[0] - values[1]) / (2 * step) - expected) / scale)
        for (v, _), w in zip(found, start, strict=True):
            v.assign(w)
        assert min(errors) < 2e-2, errors


@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_gradients_of_a_real_model_agree_with_differences(name, shared_data, tmp_path):
    feeds, _ = reference(shared_data / "onnx", name)
    if name.startswith("magika"):  # what its own file asks saturates the softmax, and float32 shows no slope
        feeds = {key: np.random.default_rng(0).integers(0, 40, x.shape).astype(x.dtype) for key, x in feeds.items()}
    graph = load_graph(shared_data / "onnx" / f"{name}.onnx", trainable=True)

    check_model(graph, {key: feeds[key] for key in graph.input_names}, tmp_path / "gradients.onnx")


def with_random_weights(graph):
    """A light topology, whose weights are all one number, with random ones in their place; before its softmax."""
    rng = np.random.default_rng(0)

    def fill(node, operands):
        if node.op.name != "ConstantOfShape":
            return None
        shape = operands[0].numpy()
        fan_in = max(int(np.prod(shape[1:])), 1)
        array = rng.normal(size=shape) * np.sqrt(2 / fan_in) if len(shape) > 1 else rng.uniform(0.5, 1.5, shape)
        return [sg.Variable(array.astype(np.float32), name=node.output.name)]

    for v in graph.variables:
        v.assign(rng.uniform(0.5, 1.5, v.shape).astype(np.float32))
    last = graph.outputs[0]
    before = last.node.inputs[0] if last.node.op.name == "Softmax" else last
    return graph.with_outputs([before]).rewrite(fill)


def check_topology(path, folder):
    graph = with_random_weights(load_graph(path + ".onnx", trainable=True))
    x = np.random.default_rng(1).normal(size=graph.inputs[0].shape).astype(np.float32)
    check_model(graph, {graph.input_names[0]: x}, folder / "gradients.onnx")


@pytest.mark.parametrize("name", ["shufflenet", "squeezenet"])
def test_gradients_of_a_topology_agree_with_differences(name, tmp_path):
    check_topology(next(path for path in LIGHT if path.endswith(name)), tmp_path)


if __name__ == "__main__":
    for light in LIGHT:
        with tempfile.TemporaryDirectory() as place:
            check_topology(light, Path(place))
        print(light.rpartition("light_")[2], "agrees with central differences", file=sys.stderr)
