"""Layers of every policy against what Keras computed: dtypes of outputs and weights, and the numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from symgraph import layers
from symgraph.core.errors import UnsupportedOpError
from symgraph.training.model import Model
from tests.layers.dtypes.cases import LAYERS, POLICIES

TOLERANCES = {"float16": 4e-3, "bfloat16": 4e-2, "float64": 1e-6, "float32": 1e-5}
"""Several times the distance of two numbers near 1; Keras on JAX rounds in other places."""

pytestmark = [
    pytest.mark.filterwarnings("ignore::symgraph.runtime.eager.KernelFallbackWarning"),  # float64: the reference runs
    pytest.mark.parametrize("policy", POLICIES),
    pytest.mark.parametrize("name", LAYERS),
]


@pytest.fixture(scope="module")
def recorded():
    with np.load(Path(__file__).with_name("cases.npz")) as arrays:
        return dict(arrays)


def load(recorded, name, policy):
    cls, arguments, _, call = LAYERS[name]
    layer = getattr(layers, cls)(**{"dtype": policy, **arguments})
    x = recorded[f"{name}/x"]
    inputs = [x, x] if cls == "MultiHeadAttention" else [x]
    layer(*inputs)
    layer.set_weights([recorded[f"{name}/w{i}"] for i in range(len(layer.weights))])
    return layer, inputs, call


def check(actual, desired, dtype):
    actual = np.asarray(actual).astype(np.float32)
    scale = max(1, np.abs(desired).max())
    np.testing.assert_allclose(actual, desired, rtol=0, atol=TOLERANCES[dtype] * scale)


def test_values(recorded, name, policy):
    layer, inputs, call = load(recorded, name, policy)
    dtype, weight_dtypes = json.loads(str(recorded["dtypes"]))[f"{name}/{policy}"]

    y = layer(*inputs, **call)

    assert (y.dtype, [v.dtype for v in layer.weights]) == (dtype, weight_dtypes)
    check(y.numpy(), recorded[f"{name}/{policy}"], dtype)
    for i, w in enumerate(layer.get_weights() if call.get("training") else ()):
        check(w, recorded[f"{name}/{policy}/after{i}"], layer.variable_dtype)


def test_models(recorded, name, policy):
    layer, inputs, call = load(recorded, name, policy)
    symbol = layers.Input(inputs[0].shape[1:], dtype=inputs[0].dtype)
    y = layer(*[symbol] * len(inputs), **call)
    expected = recorded[f"{name}/{policy}"]
    if policy == "float64" and "Conv" in type(layer).__name__:  # stock ONNX Runtime has no kernel for it
        with pytest.raises(UnsupportedOpError, match="no kernel for Conv"):
            Model(symbol, y).predict(inputs[0])
        return

    found = Model(symbol, y).predict(inputs[0], batch_size=len(expected))

    assert y.dtype == json.loads(str(recorded["dtypes"]))[f"{name}/{policy}"][0]
    check(found, expected, y.dtype)
