"""Attention layers against what Keras computed: on values, in a model, and in a model of open lengths."""

import json
from pathlib import Path

import numpy as np
import pytest

from symgraph import layers
from symgraph.core.structure import flatten
from symgraph.training.model import Model
from tests.layers.attention.cases import CASES

every_case = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).with_name("cases.npz")) as arrays:
        return dict(arrays)


def arrays_of(recorded, name, kind):
    return [recorded[key] for key in sorted(k for k in recorded if k.startswith(f"{name}/{kind}"))]


def load(recorded, name):
    """The layer, its inputs, the arguments of its call, and its outputs."""
    cls, arguments, _, call = CASES[name]
    layer = getattr(layers, cls)(**arguments)
    kwargs = {k: [None if m is None else recorded[f"{name}/{k}{i}"] for i, m in enumerate(v)] if isinstance(v, list)
              else recorded[f"{name}/{k}0"] if isinstance(v, str) else v for k, v in call.items()}
    return layer, arrays_of(recorded, name, "x"), kwargs, arrays_of(recorded, name, "y")


def apply(layer, xs, **kwargs):
    y = layer(xs, **kwargs) if isinstance(layer, layers.Attention) else layer(*xs, **kwargs)
    return list(y) if isinstance(y, tuple) else [y]


def check(actual, desired):
    assert len(actual) == len(desired)
    for y, wanted in zip(actual, desired, strict=True):
        np.testing.assert_allclose(np.asarray(y), wanted, rtol=1e-5, atol=2e-5)


@every_case
def test_values(recorded, name):
    layer, xs, kwargs, expected = load(recorded, name)
    apply(layer, xs, **kwargs)
    layer.set_weights(arrays_of(recorded, name, "w"))

    check(apply(layer, xs, **kwargs), expected)


@every_case
@pytest.mark.parametrize("is_open", [False, True])
def test_models_whose_masks_are_inputs(recorded, name, is_open):
    layer, xs, kwargs, expected = load(recorded, name)
    symbols = [layers.Input((*(None,) * (x.ndim - 2), x.shape[-1]) if is_open else x.shape[1:]) for x in xs]
    masks = [m for m in flatten(kwargs) if isinstance(m, np.ndarray) and m.shape[0] == xs[0].shape[0]]
    inputs = [layers.Input((None,) * (m.ndim - 1) if is_open else m.shape[1:], dtype=m.dtype) for m in masks]
    places = {id(m): symbol for m, symbol in zip(masks, inputs, strict=True)}
    given = {k: [places.get(id(m), m) for m in v] if isinstance(v, list) else places.get(id(v), v)
             for k, v in kwargs.items()}
    ys = apply(layer, symbols, **given)
    layer.set_weights(arrays_of(recorded, name, "w"))

    found = Model([*symbols, *inputs], ys).predict([*xs, *masks])

    check(found, expected)
    for y, wanted in zip(ys, expected, strict=True):
        assert len(y.shape) == wanted.ndim and (is_open or y.shape[1:] == wanted.shape[1:])


@every_case
def test_weights_have_the_names_and_the_order_of_keras(recorded, name):
    layer, xs, kwargs, _ = load(recorded, name)
    apply(layer, xs, **kwargs)

    assert [v.path.split("/", 1)[1] for v in layer.weights] == json.loads(str(recorded["weights"]))[name]
    assert [v.shape for v in layer.weights] == [w.shape for w in arrays_of(recorded, name, "w")]
