"""The official ONNX cases: file -> graph -> file -> ONNX Runtime gives what ONNX Runtime gives for the file itself."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph
from tests.conformance.cases import DOMAINS, KINDS, Case, cases, compare, run, unsupported, versions

PARTS = [(kind, part, 12 if kind == "node" else 1) for kind in KINDS for part in range(12 if kind == "node" else 1)]
LIGHT = sorted((onnx.__path__[0] + "/backend/test/data/light/light_" + name) for name in (
    "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19",
    "zfnet512"))


def failure(model_of, case: Case) -> str | None:
    """Why a case does not pass; None where it does."""
    try:
        with np.errstate(all="ignore"):
            run(model_of(), case)
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


def round_trip(case: Case) -> onnx.ModelProto:
    return to_model(load_graph(case.model, domains=DOMAINS), allow_newer=True).model


@pytest.mark.parametrize(("kind", "part", "parts"), PARTS)
def test_every_case_that_onnx_runtime_passes_survives_import_and_export(kind, part, parts):
    listed = unsupported()
    is_listed_version = versions() == (onnx.__version__, ort.__version__)
    wrong = []
    for case in cases(kind)[part::parts]:
        reason = failure(lambda case=case: round_trip(case), case)
        if reason is not None and case.name not in listed and (
                is_listed_version or failure(lambda case=case: case.model, case) is None):
            wrong.append(f"{case.name}: {reason}")
        if reason is None and is_listed_version and not listed.get(case.name, "machine").startswith("machine"):
            wrong.append(f"{case.name} passes: remove it from unsupported.txt")
    assert not wrong, "\n".join(wrong)


def test_the_list_of_unsupported_cases_names_only_cases_that_exist():
    existing = {case.name for kind in KINDS for case in cases(kind)}
    assert [name for name in unsupported() if name not in existing] == []


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.rpartition("light_")[2])
def test_real_topologies_give_their_stored_answers_after_import_and_export(path):
    graph = load_graph(path + ".onnx")
    model = to_model(graph).model

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    x = (np.arange(np.prod(given.shape)).reshape(given.shape) / np.prod(given.shape)).astype(np.float32)
    with open(path + "_output_0.pb", "rb") as file:
        expected = numpy_helper.to_array(onnx.TensorProto.FromString(file.read()))
    compare(session.run(None, {given.name: x})[0], expected, 1e-3, 1e-7)
