"""Masks through layers against what Keras 3 computed (`record.py`): on values, in a model, in a compiled function."""

import json
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.structure import flatten
from symgraph.layers.masking import mask_of
from tests.layers.masks.networks import NETWORKS, Network, names_in

HERE = Path(__file__).resolve().parent
CARRYING = json.loads((HERE / "keras.json").read_text())["carrying"]


def label(number):
    name, arguments = NETWORKS[number][:2]
    return "-".join([str(number), name, *(f"{k}={v}" for k, v in arguments.items() if not isinstance(v, list))])


every_network = pytest.mark.parametrize("number", range(len(NETWORKS)), ids=map(label, range(len(NETWORKS))))


def load(number):
    """What is fed, the weights of each layer, the outputs, their masks, and the weights after a call in training."""
    with np.load(HERE / "keras.npz") as file:
        fed = {name: file[f"fed/{name}"] for name in dict.fromkeys(names_in(NETWORKS[number]))}
        own = {k.split("/")[1]: file[k] for k in file.files if k.startswith(f"{number}/")}
    count = len(CARRYING[number])
    return fed, own, [own[f"y{i}"] for i in range(count)], [own.get(f"mask{i}") for i in range(count)]


def set_weights(network, own, prefix="w"):
    for i, layer in enumerate(network.layers.values()):
        layer.set_weights([own[f"{prefix}{i}_{j}"] for j in range(len(layer.weights))])


def check(ys, masks, expected, expected_masks):
    assert len(ys) == len(expected)
    for y, each in zip(ys, expected, strict=True):
        np.testing.assert_allclose(np.asarray(y), each, rtol=2e-5, atol=2e-6)
    for mask, each in zip(masks, expected_masks, strict=True):
        assert (mask is None) == (each is None)
        if mask is not None:
            np.testing.assert_array_equal(np.asarray(mask), each)


@every_network
def test_on_values_as_keras(number):
    fed, own, expected, masks = load(number)
    network = Network(layers, NETWORKS[number])
    tensors = {name: sg.tensor(x) for name, x in fed.items()}
    network(tensors)
    set_weights(network, own)

    ys = flatten(network(tensors))

    check(ys, map(mask_of, ys), expected, masks)
    for i, layer in enumerate(network.layers.values()):
        for j, v in enumerate(layer.weights):
            np.testing.assert_allclose(v.numpy(), own.get(f"after{i}_{j}", own[f"w{i}_{j}"]), rtol=1e-5, atol=1e-6)


@every_network
def test_in_a_model_of_open_length_as_keras(number):
    """The masks of the outputs are outputs of the model as well; `predict` runs the graph, a call runs the layers."""
    fed, own, expected, masks = load(number)
    network = Network(layers, NETWORKS[number])
    # the number of steps is left open where no layer wants to know it
    is_open = not any(word in str(NETWORKS[number]) for word in ("PReLU", "'axis': 1", "Permute"))
    shapes = {name: (None, *x.shape[2:]) if is_open and name not in ("h", "c") else x.shape[1:]
              for name, x in fed.items()}
    inputs = {name: layers.Input(shapes[name], dtype=x.dtype) for name, x in fed.items()}
    ys = flatten(network(inputs))
    carried = [mask_of(y) for y in ys]
    assert [mask is not None for mask in carried] == CARRYING[number]
    model = sg.Model(list(inputs.values()), [*ys, *(mask for mask in carried if mask is not None)])
    set_weights(network, own)
    arrays = list(fed.values())

    called = model(arrays)
    if "training" not in str(NETWORKS[number]):  # batch statistics are those of the batch in `fit` and when called
        found = model.predict(arrays, batch_size=5)
        rest = iter(found[len(ys):])
        check(found[:len(ys)], [None if m is None else next(rest) for m in carried], expected, masks)

    rest = iter(called[len(ys):])
    check(called[:len(ys)], [None if m is None else next(rest) for m in carried], expected, masks)
    check(called[:len(ys)], map(mask_of, called[:len(ys)]), expected, masks)


@every_network
def test_in_a_compiled_function_as_keras(number):
    fed, own, expected, masks = load(number)
    network = Network(layers, NETWORKS[number])
    tensors = {name: sg.tensor(x) for name, x in fed.items()}
    network(tensors)
    set_weights(network, own)

    ys = flatten(sg.function(lambda **given: network(given))(**tensors))

    check(ys, map(mask_of, ys), expected, masks)
