"""Callbacks do what Keras's do: when they stop, save and change the rate, what they write and print."""

import json

import pytest

from symgraph.training import callbacks
from tests.training.callbacks.cases import CASES, RECORDED, name_of, run

KERAS = json.loads(RECORDED.read_text())


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_callback_does_what_that_of_keras_does(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert run(callbacks, case) == KERAS[name_of(case)]
