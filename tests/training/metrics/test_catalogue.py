"""Every name of the catalogue, with Keras's arguments in Keras's order."""

import inspect
import json

import pytest

import symgraph as sg
from tests.training.metrics.cases import RECORDED

SIGNATURES = json.loads(RECORDED.read_text())["signatures"]



@pytest.mark.parametrize("name", [name for name in SIGNATURES if name != "Metric"])
def test_arguments_are_named_and_ordered_as_in_keras(name):
    found = list(inspect.signature(getattr(sg.metrics, name)).parameters)

    assert found == SIGNATURES[name]


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_public_name_is_listed_and_explained(name):
    assert name in sg.metrics.__all__
    assert getattr(sg.metrics, name).__doc__
