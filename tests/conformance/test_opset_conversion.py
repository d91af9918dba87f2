"""Moving the official cases to other opsets: what is claimed to be the same is the same."""

import numpy as np
import onnxruntime as ort
import pytest

from symgraph.core.errors import UnsupportedOpError
from symgraph.runtime.exporter import to_model
from symgraph.runtime.importer import load_graph
from tests.conformance.cases import KINDS, cases, run, unsupported, versions

NO_KERNEL = {(26, "test_swish"): "Swish", (7, "test_max_float64"): "Max", (7, "test_min_float64"): "Min"}
"""Cases that ONNX Runtime has no kernel for in that opset."""


def standard_cases():
    """The cases that ONNX Runtime passes and that use the standard domain only, with their opset."""
    listed = unsupported()
    for kind in KINDS:
        for case in cases(kind):
            opsets = {entry.domain: entry.version for entry in case.model.opset_import}
            if case.name not in listed and set(opsets) == {""}:
                yield case, opsets[""]


@pytest.mark.parametrize("opset", [9, 13, 18, 21])
def test_a_converted_case_gives_the_same_answers(opset):
    if versions()[1] != ort.__version__:
        pytest.skip(f"the list of cases is that of ONNX Runtime {versions()[1]}")
    wrong, refused, converted = [], set(), 0
    for case, own in standard_cases():
        if own == opset:
            continue
        try:
            model = to_model(load_graph(case.model), opset=opset).model
        except UnsupportedOpError:
            if own < opset:
                refused.add(case.name)
            continue
        try:
            with np.errstate(all="ignore"):
                run(model, case)
            converted += 1
        except Exception as error:
            if NO_KERNEL.get((opset, case.name), "?") not in str(error):
                wrong.append(f"{case.name}: {' '.join(str(error).split())[:200]}")

    assert not wrong, "\n".join(wrong)
    assert not refused
    assert converted > 300
