"""Every pass alone, and each pipeline, keeps what the official cases and the real models give, and comes to rest."""

import functools
import inspect
import itertools

import numpy as np
import pytest

from symgraph import passes
from symgraph.core.errors import SymgraphError, UnsupportedOpError
from symgraph.passes import PassError
from symgraph.passes.bisect import is_exact
from symgraph.passes.verify import check_results, difference, name_of
from symgraph.runtime import Session
from symgraph.runtime.importer import load_graph
from tests.conformance.cases import DOMAINS, cases, unsupported


def is_pass(function):
    """Whether a function takes a graph, and nothing else that it needs, and gives a graph."""
    signature = inspect.signature(function) if inspect.isfunction(function) else None
    if signature is None or signature.return_annotation != "Graph":
        return False
    first, *others = signature.parameters.values()
    return first.name == "graph" and all(x.default is not inspect.Parameter.empty for x in others)


EXPORTED = [getattr(passes, name) for name in passes.__all__ if is_pass(getattr(passes, name))]

ALONE = tuple(dict.fromkeys((*passes.ONNXRUNTIME, *EXPORTED)))

PIPELINES = {"TRAINING": passes.TRAINING, "INFERENCE": passes.INFERENCE, "PORTABLE": passes.PORTABLE,
             "ONNXRUNTIME": passes.ONNXRUNTIME,
             "exact": tuple(p for p in passes.INFERENCE if is_exact(p))}

PARTS = 4

MODELS = ("cnn_mnist_pytorch", "dtln_model_2", "gtcrn", "gtcrn_simple", "magika_standard_v2_1",
          "ort_TFBertForQuestionAnswering", "ort_bert_toy_optimized", "ort_gpt2_past", "ort_mnist",
          "ort_qdq_with_multi_consumer_dq_nodes", "ort_scan_1", "silero_vad_16k_op15")


@functools.cache
def graphs():
    """The graphs of the official node cases, with the inputs of each."""
    found, listed = [], unsupported()
    for case in cases("node"):
        if case.name not in listed:
            graph = load_graph(case.model, domains=DOMAINS)
            feeds = [dict(zip(graph.input_names, inputs, strict=False)) for inputs, _ in case.data_sets()]
            found.append((case.name, graph, feeds))
    return found


@functools.cache
def model(path):
    """A real model, with inputs it takes."""
    graph = load_graph(path)
    with np.load(path.with_suffix(".ref.npz")) as reference:
        return graph, [{name: reference["in__" + name.replace("/", "|")] for name in graph.input_names}]


_RESULTS = {}


def results(name, graph, feeds):
    """What a graph gives, as it came; None where it does not run on these inputs."""
    if name not in _RESULTS:
        try:
            session = Session(graph, optimize=False, threads=1)
            _RESULTS[name] = [session.run(values) for values in feeds]
        except SymgraphError:
            _RESULTS[name] = None
    return _RESULTS[name]


def wrong_with(name, graph, feeds, pipeline, *, exact):
    """What a pipeline changes that it must keep; empty where nothing."""
    after = passes.optimize(graph, pipeline)
    if after is graph:
        return ""
    if passes.optimize(after, pipeline) is not after:
        return "it does not come to rest"
    wanted = results(name, graph, feeds)
    if wanted is None:
        return ""
    session = Session(after, optimize=False, threads=1)
    for values, expected in zip(feeds, wanted, strict=True):
        for output, a, b in zip(graph.output_names, expected, session.run(values), strict=True):
            reason = _difference(a, b, exact=exact)
            if reason:
                return f"{output}: {reason}"
    return ""


def _difference(a, b, *, exact):
    if isinstance(a, list):
        pairs = itertools.zip_longest(a, b)
        return next((reason for x, y in pairs if (reason := _difference(x, y, exact=exact))), "")
    return difference(a, b, is_exact=exact)


@pytest.mark.parametrize("part", range(PARTS))
def test_each_pass_alone_keeps_the_official_cases(part):
    wrong = []
    for each in ALONE:
        for name, graph, feeds in graphs()[part::PARTS]:
            reason = wrong_with(name, graph, feeds, [each], exact=is_exact(each))
            if reason:
                wrong.append(f"{name_of(each)} on {name}: {reason}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_each_pipeline_keeps_the_official_cases(pipeline):
    wrong = [f"{name}: {reason}" for name, graph, feeds in graphs()
             if (reason := wrong_with(name, graph, feeds, PIPELINES[pipeline], exact=pipeline == "exact"))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", MODELS)
def test_each_pass_alone_keeps_the_real_models(name, shared_data):
    graph, feeds = model(shared_data / "onnx" / f"{name}.onnx")
    wrong = [f"{name_of(each)}: {reason}" for each in ALONE
             if (reason := wrong_with(name, graph, feeds, [each], exact=is_exact(each)))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("name", MODELS)
def test_each_pipeline_keeps_the_real_models(name, pipeline, shared_data):
    graph, feeds = model(shared_data / "onnx" / f"{name}.onnx")

    assert wrong_with(name, graph, feeds, PIPELINES[pipeline], exact=pipeline == "exact") == ""


LYING = {"reshape_fusion_with_graph_inputs.onnx"}
"""The file declares another rank for its output than it gives; test_ort_transform.py sees that `optimize` says so."""


@pytest.mark.parametrize("each", ALONE, ids=name_of)
def test_each_pass_alone_keeps_the_cases_of_onnx_runtime(each, shared_data):
    wrong = []
    for path in sorted((shared_data / "ort_transform").rglob("*.onnx")):
        if path.name in LYING:
            continue
        graph = transform_case(path)
        try:
            after = passes.optimize(graph, [each]) if graph is not None else graph
            if after is not graph:
                check_results(graph, after, name_of(each), is_exact=is_exact(each))
                assert passes.optimize(after, [each]) is after
        except (PassError, AssertionError) as error:
            wrong.append(f"{path.name}: {error}")
    assert not wrong, "\n".join(wrong)


@functools.cache
def transform_case(path):
    """One of ONNX Runtime's own cases; None where it has operators that are not known here."""
    try:
        return load_graph(path)
    except UnsupportedOpError:
        return None


def test_nearly_all_official_cases_are_compared():
    assert sum(results(*case) is not None for case in graphs()) > 0.99 * len(graphs())


def test_no_pass_is_left_out():
    assert {"freeze", "fuse_elementwise", "inline_composites"} < {name_of(each) for each in EXPORTED}
