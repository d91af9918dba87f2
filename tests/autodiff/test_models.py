"""Whole models from files: the gradient of the sum of squared outputs with respect to every weight."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.types import is_floating
from symgraph.runtime import Session
from symgraph.runtime.importer import load_graph
from tests.conformance.test_shared_models import plain_session, reference

FLOAT_MODELS = ("cnn_mnist_pytorch", "dtln_model_2", "gtcrn", "gtcrn_simple", "magika_standard_v2_1",
                "ort_TFBertForQuestionAnswering", "ort_bert_toy_optimized", "ort_gpt2_past", "ort_mnist", "ort_scan_1",
                "silero_vad_16k_op15")
DIRECTIONS = 5
STEPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)
"""Parts of a weight's own size: in float32 small steps drown in rounding, and large ones cross kinks."""


def squared_sum(graph):
    """`Σ y²` over the floating-point outputs."""
    terms = [sg.sum(sg.cast(y, "float32") ** 2.0) for y in graph.outputs if is_floating(y.dtype)]
    return sum(terms[1:], terms[0])


def own_size(w):
    """How large a weight is: its root mean square; of variances, which must stay positive, each number's own size."""
    return w if (w > 0).all() else np.sqrt(np.mean(np.square(w)))


def check_model(graph, feeds, path):
    weights = [v for v in graph.variables if v.trainable]
    assert weights
    loss = squared_sum(graph)
    found = [(v, dv) for v, dv in zip(weights, sg.gradients(loss, weights), strict=True) if dv is not None]
    assert len(found) >= 0.5 * len(weights), "most weights count"
    gradient_graph = sg.passes.optimize(
        sg.Graph(graph.inputs, [dv for _, dv in found], input_names=graph.input_names), sg.passes.TRAINING)
    forward = Session(sg.Graph(graph.inputs, [loss], input_names=graph.input_names), variables_as_inputs=True)
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
                values.append(float(forward.run(feeds)[0]))
            errors.append(abs((values[0] - values[1]) / (2 * step) - expected) / scale)
        for (v, _), w in zip(found, start, strict=True):
            v.assign(w)
        assert min(errors) < 2e-2, errors


@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_gradients_of_a_real_model_agree_with_differences(name, shared_data, tmp_path):
    feeds, _ = reference(shared_data / "onnx", name)
    graph = load_graph(shared_data / "onnx" / f"{name}.onnx", trainable=True)

    check_model(graph, {key: feeds[key] for key in graph.input_names}, tmp_path / "gradients.onnx")
