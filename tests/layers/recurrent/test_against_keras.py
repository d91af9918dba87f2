"""Recurrent layers against what Keras 3 computed (`record.py`), on values, in a model, and their gradients."""

import json
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers

HERE = Path(__file__).resolve().parent
CASES = json.loads((HERE / "keras.json").read_text())["cases"]


def label(case):
    parts = [case["layer"], case.get("inner"), *case["arguments"].items(), *case.get("inside", {}).items()]
    options = [k for k in ("states", "mask") if k in case]
    return "-".join([p if isinstance(p, str) else f"{p[0]}={p[1]}" for p in parts if p] + options)


every_case = pytest.mark.parametrize("number", range(len(CASES)), ids=map(label, CASES))


def make(case, **options):
    if "inner" in case:
        inner = getattr(layers, case["inner"])(**case["inside"], **options)
        return getattr(layers, case["layer"])(inner, **case["arguments"], **options)
    return getattr(layers, case["layer"])(**case["arguments"], **options)


def load(number):
    with np.load(HERE / "keras.npz") as file:
        found = {k.split("/")[1]: file[k] for k in file.files if k.startswith(f"{number}/")}
    weights = [found[f"w{i}"] for i in range(sum(k.startswith("w") for k in found))]
    outputs = [found[f"y{i}"] for i in range(sum(k.startswith("y") for k in found))]
    options = {}
    if "states" in found:
        options["initial_state"] = [sg.tensor(s) for s in found["states"]]
    if "mask" in found:
        options["mask"] = sg.tensor(found["mask"])
    return found["x"], weights, outputs, options


def as_list(y):
    return list(y) if isinstance(y, list | tuple) else [y]


def check(ys, expected):
    assert len(ys) == len(expected)
    for y, each in zip(ys, expected, strict=True):
        np.testing.assert_allclose(np.asarray(y), each, rtol=2e-5, atol=2e-6)


@every_case
def test_on_values_as_keras(number):
    x, weights, expected, options = load(number)
    layer = make(CASES[number])
    layer(x, **options)
    layer.set_weights(weights)

    check([y.numpy() for y in as_list(layer(x, **options))], expected)
    assert [v.path.split("/")[-1] for v in layer.weights] == CASES[number]["names"]


@every_case
def test_in_a_model_of_open_length_as_keras(number):
    x, weights, expected, options = load(number)
    layer = make(CASES[number])
    symbol = layers.Input((None, 3))
    symbols = [symbol, *([layers.Input((4,)) for _ in options.get("initial_state", [])])]
    mask = layers.Input((None,), dtype="bool") if "mask" in options else None
    given = {**({"initial_state": symbols[1:]} if len(symbols) > 1 else {}), **({} if mask is None else {"mask": mask})}
    model = sg.Model([*symbols, *([] if mask is None else [mask])], as_list(layer(symbol, **given)))
    layer.set_weights(weights)
    fed = [x, *(s.numpy() for s in options.get("initial_state", [])),
           *([options["mask"].numpy()] if "mask" in options else [])]

    check(as_list(model.predict_on_batch(fed)), expected)


@every_case
def test_gradients_are_central_differences(rng, number):
    """In float32, so through the operators; the differences are of the layer in float64, so through Scan."""
    x, weights, _, options = load(number)
    layer, exact = make(CASES[number]), make(CASES[number], dtype="float64")
    for each in (layer, exact):
        each(x, **options)
        each.set_weights(weights)
    factors = [rng.standard_normal(y.shape) for y in as_list(layer(x, **options))]

    def loss(which, inputs):
        return sum((sg.cast(y, "float64") * f).sum() for y, f in zip(
            as_list(which(inputs, **options)), factors, strict=True))

    source = sg.tensor(x)
    with sg.GradientTape() as tape:
        tape.watch(source)
        total = loss(layer, source)
    found = tape.gradient(total, [source, *layer.trainable_weights])

    places = [x.astype(np.float64), *(w.astype(np.float64) for w in weights)]
    step = 1e-5
    for which, (place, gradient) in enumerate(zip(places, found, strict=True)):
        direction = rng.standard_normal(place.shape)
        values = []
        for sign in (1, -1):
            moved = [p.copy() for p in places]
            moved[which] += sign * step * direction
            exact.set_weights(moved[1:])
            values.append(float(loss(exact, moved[0])))
        expected = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose((gradient.numpy() * direction).sum(), expected, rtol=1e-3, atol=1e-4)
