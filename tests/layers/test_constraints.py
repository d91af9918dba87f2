"""Constraints: what they make of a weight."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import LayerError

C = sg.constraints
W = (np.random.default_rng(0).normal(size=(4, 3)) * [0.1, 1, 10]).astype(np.float32)


def norms(w, axis=0):
    return np.sqrt((w.astype(np.float64)**2).sum(axis, keepdims=True))


@pytest.mark.parametrize(("constraint", "expected"), [
    (C.MaxNorm(), W * (np.clip(norms(W), 0, 2) / (1e-7 + norms(W)))),
    (C.MaxNorm(0.5, axis=1), W * (np.clip(norms(W, 1), 0, 0.5) / (1e-7 + norms(W, 1)))),
    (C.MaxNorm(0.5, axis=[0, 1]), W * (0.5 / (1e-7 + norms(W, (0, 1))))),
    (C.NonNeg(), np.maximum(W, 0)),
    (C.UnitNorm(), W / (1e-7 + norms(W))),
    (C.UnitNorm(axis=1), W / (1e-7 + norms(W, 1))),
    (C.MinMaxNorm(), W * (np.clip(norms(W), 0, 1) / (1e-7 + norms(W)))),
    (C.MinMaxNorm(0.5, 2.0, rate=0.3),
     W * ((0.3 * np.clip(norms(W), 0.5, 2) + 0.7 * norms(W)) / (1e-7 + norms(W)))),
    (C.Constraint(), W),
], ids=repr)
def test_the_value_is_the_formula(constraint, expected):
    for w in (sg.Variable(W), sg.tensor(W)):
        made = constraint(w)
        assert (made.shape, made.dtype) == (W.shape, "float32")
        np.testing.assert_allclose(made.numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("constraint", [C.MaxNorm(), C.UnitNorm(), C.MinMaxNorm(0.0)], ids=repr)
def test_a_weight_of_zeros_stays_zero(constraint):
    assert constraint(sg.zeros((2, 3))).numpy().tolist() == np.zeros((2, 3)).tolist()


@pytest.mark.parametrize("constraint", [
    C.MaxNorm(0.5, 1), C.NonNeg(), C.UnitNorm(1), C.MinMaxNorm(0.1, 0.2, 0.3, 1)], ids=repr)
def test_a_configuration_makes_an_equal_constraint(constraint):
    again = C.get(C.serialize(constraint))
    assert (type(again), again.get_config()) == (type(constraint), constraint.get_config())


def test_names_classes_and_functions_are_found():
    assert [type(C.get(x)) for x in ("max_norm", "MaxNorm", C.MaxNorm)] == [C.MaxNorm] * 3
    assert [type(C.get(x)) for x in ("non_neg", "unit_norm", "min_max_norm")] == [C.NonNeg, C.UnitNorm, C.MinMaxNorm]
    assert C.get(sg.abs) is sg.abs
    assert C.get(None) is None


@pytest.mark.parametrize(("make", "words"), [
    (lambda: C.get("maxnorm"), ["'maxnorm'", "max_norm"]),
    (lambda: C.get(5), ["5"]),
    (lambda: C.get({"config": {}}), ["class_name"]),
    (lambda: C.get({"class_name": "MaxNorm", "config": {"most": 1}}), ["MaxNorm", "most"]),
    (lambda: sg.layers.Conv2D(2, 3, bias_constraint="positive"), ["'positive'"]),
])
def test_mistakes_are_named(make, words):
    with pytest.raises(LayerError) as raised:
        make()
    for word in words:
        assert word in str(raised.value)
