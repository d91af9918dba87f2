"""Dicts of data mean what their keys say, in whatever order these come."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers

ONES, ZEROS = np.ones((4, 3), np.float32), np.zeros((4, 3), np.float32)


def two_inputs(**options):
    """`sum(p) + 2 sum(q)`, whose loss is 9 for p = 1, q = 0 and 36 for p = 0, q = 1."""
    p, q = sg.Input((3,), name="p"), sg.Input((3,), name="q")
    joined = layers.Concatenate().apply([p, 2.0 * q])
    model = sg.Model([p, q], layers.Dense(1, kernel_initializer="ones").apply(joined))
    model.compile(sg.optimizers.SGD(0.0), lambda y, p: sg.square(y - p), **options)
    return model


def losses(model, method, *batches):
    options = {} if "batch" in method else {"verbose": 0}
    found = []
    for x, y in batches:
        model.reset_metrics()
        found.append(getattr(model, method)(x, y, **options))
    return [x.history["loss"][0] if method == "fit" else x for x in found]


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_inputs_may_come_in_any_order_from_call_to_call(method):
    y = np.zeros((4, 1))

    assert losses(two_inputs(), method, ({"p": ONES, "q": ZEROS}, y), ({"q": ZEROS, "p": ONES}, y),
                  ([ONES, ZEROS], y)) == [9.0] * 3


def test_inputs_may_come_in_any_order_from_batch_to_batch():
    y = np.zeros((4, 1))
    batches = [({"p": ONES, "q": ZEROS}, y), ({"q": ZEROS, "p": ONES}, y)]

    assert two_inputs().evaluate(lambda: iter(batches), verbose=0) == 9.0


def test_targets_may_come_in_any_order_from_call_to_call():
    x = sg.Input((3,), name="x")
    model = sg.Model(x, {"a": layers.Dense(1, name="a", kernel_initializer="ones").apply(x),
                         "b": layers.Dense(1, name="b", kernel_initializer="zeros").apply(x)})
    model.compile("sgd", "mse")
    three, zero = np.full((4, 1), 3.0), np.zeros((4, 1))

    assert losses(model, "test_on_batch", (ONES, {"a": three, "b": zero}), (ONES, {"b": zero, "a": three})) == [
        [0.0] * 3] * 2
