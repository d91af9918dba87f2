"""`compile`, `fit` and `evaluate` give Keras's logs and weights, from the same weights on the same data."""

import json

import numpy as np
import pytest

import symgraph as sg
from tests.training.compile.fit_cases import CASES, RECORDED_LOGS, RECORDED_WEIGHTS, trained, weights_of

LOGS = json.loads(RECORDED_LOGS.read_text())["cases"]


def recorded(case, when):
    start = f"{case}/{when}/"
    with np.load(RECORDED_WEIGHTS) as arrays:
        return {name.removeprefix(start): arrays[name] for name in arrays.files if name.startswith(start)}


@pytest.mark.parametrize("case", CASES)
def test_five_epochs_are_those_of_keras(case):
    model, history, _, evaluated = trained(sg, case, recorded(case, "before"))

    assert sorted(history) == sorted(LOGS[case]["history"])
    for name, values in LOGS[case]["history"].items():
        np.testing.assert_allclose(history[name], values, rtol=2e-4, atol=2e-6, err_msg=name)
    assert sorted(evaluated) == sorted(LOGS[case]["evaluated"])
    for name, (value,) in LOGS[case]["evaluated"].items():
        np.testing.assert_allclose(evaluated[name], value, rtol=2e-4, atol=2e-6, err_msg=name)
    after = recorded(case, "after")
    found = weights_of(model)
    assert sorted(found) == sorted(after)
    for name, value in after.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_training_changed_every_weight(case):
    before, after = recorded(case, "before"), recorded(case, "after")

    assert before.keys() == after.keys()
    assert all((before[name] != after[name]).any() for name in before)


def test_every_case_was_recorded():
    assert set(LOGS) == set(CASES)
