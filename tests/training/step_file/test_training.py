"""A file of a training step is sound, has standard operators only, and trains as the model itself does: losses, metrics
and every part of the state are the same.
"""

import numpy as np
import onnx
import pytest

from symgraph.training.step_variables import variables_of
from tests.training.step_file.cases import CASES
from tests.training.step_file.running import exported, run, session_of

LEVELS = ("ORT_ENABLE_ALL", "ORT_DISABLE_ALL")

TOLERANCE = {"model/mixed_precision": 2e-3}
"""float16 within; elsewhere 1e-5."""

OF_OTHER_OPSETS = [
    ("model/regression", 13), ("model/two_inputs_and_outputs", 17), ("optimizer/muon", 17), ("model/gru", 17),
    ("model/convolutional", 18), ("model/masked_text", 18), ("model/transformer", 20), ("model/transformer", 23)]
"""Random draws need opset 18 (BitwiseXor), Gelu 20."""


def check_steps(path, name, opset=21):
    model, batches, step = exported(path, name, opset=opset)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    assert not proto.functions
    sessions = [session_of(path, level) for level in LEVELS]
    states = [step.initial_state() for _ in sessions]
    tolerance = TOLERANCE.get(name, 1e-5)

    def check(actual, wanted, what):
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance, err_msg=what)

    for batch in batches:
        model.reset_metrics()
        logs = model.train_on_batch(*batch, return_dict=True)
        by_name = {found.name: v.numpy() for v, found in variables_of(model).items()}
        assert logs.keys() == {"loss", *step.metrics}
        for i, session in enumerate(sessions):
            results, states[i] = run(session, step, batch, states[i])
            check(results[step.loss], logs["loss"], "loss")
            for metric, output in step.metrics.items():
                check(results[output], logs[metric], metric)
            for key, value in states[i].items():
                wanted = by_name[step.variables[key]]
                check(value, wanted, key)
                assert value.dtype == wanted.dtype


@pytest.mark.parametrize("name", CASES)
def test_steps_of_the_file_are_steps_of_the_model(name, tmp_path):
    check_steps(tmp_path / "step.onnx", name)


@pytest.mark.parametrize(("name", "opset"), OF_OTHER_OPSETS)
def test_a_file_of_another_opset_trains_the_same(name, opset, tmp_path):
    check_steps(tmp_path / "step.onnx", name, opset)
