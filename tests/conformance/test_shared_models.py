"""Real ONNX models by many exporters: they import, run and re-export, and every tensor is found by its name."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from symgraph.core.errors import UnsupportedOpError
from symgraph.runtime import Session
from symgraph.runtime.exporter import save, to_model
from symgraph.runtime.importer import load_graph

MODELS = ("cnn_mnist_pytorch", "dtln_model_2", "gtcrn", "gtcrn_simple", "magika_standard_v2_1",
          "ort_TFBertForQuestionAnswering", "ort_bert_toy_optimized", "ort_gpt2_past", "ort_mnist",
          "ort_qdq_with_multi_consumer_dq_nodes", "ort_scan_1", "silero_vad_16k_op15")


def reference(folder, name):
    """Feeds and expected outputs of a model, from the file beside it."""
    stored = np.load(folder / f"{name}.ref.npz")
    feeds = {key[4:].replace("|", "/"): stored[key] for key in stored.files if key.startswith("in__")}
    outputs = {key[5:].replace("|", "/"): stored[key] for key in stored.files if key.startswith("out__")}
    return feeds, outputs


def assert_close(found, wanted, what):
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, what
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(found, wanted, err_msg=what)
        return
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = float(finite.max()) if finite.size else 1.0
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * scale, err_msg=what)


def plain_session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = model if isinstance(model, bytes | str) else model.SerializeToString()
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", MODELS)
def test_a_real_model_runs_as_its_reference_says(name, shared_data):
    feeds, expected = reference(shared_data / "onnx", name)
    graph = load_graph(shared_data / "onnx" / f"{name}.onnx")

    outputs = dict(zip(graph.output_names, Session(graph, optimize=False).run(feeds), strict=True))

    for key, wanted in expected.items():
        assert_close(outputs[key], wanted, key)


@pytest.mark.parametrize("name", MODELS)
def test_a_real_model_is_exported_with_the_same_names_and_answers(name, shared_data, tmp_path):
    feeds, expected = reference(shared_data / "onnx", name)
    source = onnx.load(shared_data / "onnx" / f"{name}.onnx")
    path = tmp_path / "again.onnx"

    save(load_graph(shared_data / "onnx" / f"{name}.onnx"), path)

    onnx.checker.check_model(path, full_check=True)
    session = plain_session(str(path))
    weights = {x.name for x in source.graph.initializer}
    assert [x.name for x in session.get_inputs()] == [x.name for x in source.graph.input if x.name not in weights]
    assert [x.name for x in session.get_outputs()] == [x.name for x in source.graph.output]
    outputs = dict(zip((x.name for x in session.get_outputs()), session.run(None, feeds), strict=True))
    for key, wanted in expected.items():
        assert_close(outputs[key], wanted, key)


def tensor_names(model):
    """Every tensor of the main graph: inputs, initializers, and what nodes make."""
    graph = model.graph
    names = [x.name for x in (*graph.input, *graph.initializer)]
    names += [name for node in graph.node for name in node.output if name]
    return list(dict.fromkeys(names))


def values_of_onnx_runtime(model, names, feeds):
    """What ONNX Runtime gives for tensors of a file: they are added to its outputs."""
    given = {x.name for x in model.graph.input}
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    del typed.graph.output[:]
    typed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = plain_session(typed)
    return dict(zip(names, session.run(None, {k: v for k, v in feeds.items() if k in given}), strict=True))


def assert_type_holds(value_type, array, sizes, what):
    """The type known before running is that of the value; a name stands for one size everywhere."""
    assert value_type.dtype == array.dtype.name, what
    if value_type.shape is None:
        return
    assert len(value_type.shape) == array.ndim, what
    for dim, size in zip(value_type.shape, array.shape, strict=True):
        expected = sizes.setdefault(dim, size) if isinstance(dim, str) else size if dim is None else dim
        assert size == expected, f"{what}: {value_type}, got {array.shape}"


OTHER_OPSETS = [(name, opset) for name in MODELS for opset in (11, 13, 17, 21, 23)
                if (name, opset) != ("magika_standard_v2_1", 11)]
"""Without one that cannot be: before opset 13 a Softmax depends on the rank, which is not known there."""


@pytest.mark.parametrize(("name", "opset"), OTHER_OPSETS)
def test_a_real_model_gives_the_same_answers_in_another_opset(name, opset, shared_data):
    feeds, expected = reference(shared_data / "onnx", name)

    model = to_model(load_graph(shared_data / "onnx" / f"{name}.onnx"), opset=opset).model

    assert [entry.version for entry in model.opset_import] == [opset]
    session = plain_session(model)
    outputs = dict(zip((x.name for x in session.get_outputs()), session.run(None, feeds), strict=True))
    for key, wanted in expected.items():
        assert_close(outputs[key], wanted, key)


@pytest.mark.parametrize("name", MODELS)
def test_every_tensor_of_a_real_model_is_found_by_name_and_is_what_onnx_runtime_gives(name, shared_data):
    feeds, _ = reference(shared_data / "onnx", name)
    model = onnx.load(shared_data / "onnx" / f"{name}.onnx")
    graph = load_graph(model)
    names = tensor_names(model)

    part = graph.with_outputs([graph.find(key) for key in names], names)
    values = dict(zip(names, Session(part, optimize=False).run(feeds), strict=True))

    sizes: dict[str, int] = {}
    for key, wanted in values_of_onnx_runtime(model, names, feeds).items():
        assert_close(values[key], wanted, key)
        if key not in graph.output_names:  # what a file declares of its outputs is kept, even if it is not so
            assert_type_holds(graph.find(key).type, wanted, sizes, key)


@pytest.mark.parametrize(("name", "operators"), [
    ("ort_tiny_gpt2_beamsearch", ["com.microsoft::BeamSearch", "LayerNormalization (opset 11"])])
def test_a_model_with_unknown_operators_ends_in_one_error_that_names_them_all(name, operators, shared_data):
    with pytest.raises(UnsupportedOpError) as caught:
        load_graph(shared_data / "onnx" / f"{name}.onnx")

    assert [op for op in operators if op not in str(caught.value)] == []


def test_operators_of_classical_models_load_and_run(shared_data):
    graph = load_graph(shared_data / "onnx" / "lr_mnist_scikit.onnx")
    feeds, expected = reference(shared_data / "onnx", "lr_mnist_scikit")

    written, _ = plain_session(to_model(graph).model).run(None, feeds)
    label, _ = Session(graph, optimize=False).run(feeds)

    np.testing.assert_array_equal(written, expected["output_label"])
    np.testing.assert_array_equal(label, expected["output_label"])
