"""Every name of the catalogue, with Keras's arguments in Keras's order."""

import inspect
import json

import pytest

import symgraph as sg
from tests.training.losses.cases import RECORDED

SIGNATURES = json.loads(RECORDED.read_text())["signatures"]

TENSORFLOW_JS = ["absolute_difference", "compute_weighted_loss", "cosine_distance", "hinge_loss", "huber_loss",
                 "log_loss", "sigmoid_cross_entropy", "softmax_cross_entropy"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_named_and_ordered_as_in_keras(name):
    found = list(inspect.signature(getattr(sg.losses, name)).parameters)

    assert found == SIGNATURES[name]


@pytest.mark.parametrize("name", [*SIGNATURES, *TENSORFLOW_JS])
def test_a_public_name_is_listed_and_explained(name):
    assert name in sg.losses.__all__
    assert getattr(sg.losses, name).__doc__


@pytest.mark.parametrize("name", [name for name in SIGNATURES if name[0].isupper() and not name.startswith("Loss")])
def test_a_class_is_found_by_its_name(name):
    assert type(sg.losses.get(name)).__name__ == name
