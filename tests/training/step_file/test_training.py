"""A file of a training step trains as the model itself does: losses, metrics and every part of the state."""

import numpy as np
import onnx
import pytest

import symgraph as sg
from symgraph.training.step_variables import variables_of
from tests.training.step_file.cases import CASES, case
from tests.training.step_file.running import run, session_of

TOLERANCE = {"model/mixed_precision": 2e-3}


def export(tmp_path, name, **options):
    model, batches = case(name)
    x, y, w = batches[0]
    path = tmp_path / "step.onnx"
    model.export_train_step(path, y=y, sample_weight=w, **options)
    return model, batches, path


def state_of(step, model):
    by_name = {found.name: v for v, found in variables_of(model).items()}
    return {name: by_name[path].numpy() for name, path in step.variables.items()}


@pytest.mark.parametrize("level", ["ORT_ENABLE_ALL", "ORT_DISABLE_ALL"])
@pytest.mark.parametrize("name", CASES)
def test_steps_of_the_file_are_steps_of_the_model(name, level, tmp_path):
    model, batches, path = export(tmp_path, name)
    step, session = sg.TrainStep.load(path), session_of(path, level)
    state = step.initial_state()
    close = {"rtol": TOLERANCE.get(name, 1e-5), "atol": TOLERANCE.get(name, 1e-5)}

    for batch in batches:
        results, state = run(session, step, batch, state)
        model.reset_metrics()
        logs = model.train_on_batch(*batch, return_dict=True)

        assert logs.keys() == {"loss", *step.metrics}
        np.testing.assert_allclose(results[step.loss], logs["loss"], **close)
        for metric, output in step.metrics.items():
            np.testing.assert_allclose(results[output], logs[metric], **close, err_msg=metric)
        wanted = state_of(step, model)
        assert wanted.keys() == state.keys()
        for key, value in state.items():
            np.testing.assert_allclose(value, wanted[key], **close, err_msg=key)
            assert value.dtype == wanted[key].dtype


@pytest.mark.parametrize("name", CASES)
def test_the_file_is_sound_and_of_standard_operators(name, tmp_path):
    _, _, path = export(tmp_path, name)
    model = onnx.load(path)

    onnx.checker.check_model(model, full_check=True)

    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 21)]
    assert model.functions == []
    assert not any(node.op_type == "Pad" and len(node.input) > 3 for node in model.graph.node)  # see passes
