"""Small models and data that the tests of this folder train."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph import layers

ROWS = 50


def data(rows: int = ROWS, columns: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, and their sums."""
    x = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    return x, x.sum(1, keepdims=True)


def classes(rows: int = ROWS) -> np.ndarray:
    """Whether the sums are above 0, as class numbers."""
    return (data(rows)[1][:, 0] > 0).astype(np.int64)


def line(optimizer: Any = "sgd", loss: Any = "mse", **options: Any) -> sg.Model:
    """A linear model of four numbers, compiled."""
    model = sg.Sequential([sg.Input((4,), name="x"), layers.Dense(1, name="out")])
    model.compile(optimizer, loss, **options)
    return model


def classifier(**options: Any) -> sg.Model:
    """A model that says one of three classes, compiled."""
    model = sg.Sequential([sg.Input((4,), name="x"), layers.Dense(3, activation="softmax", name="digit")])
    model.compile("sgd", "sparse_categorical_crossentropy", **options)
    return model


def two_outputs() -> sg.Model:
    """A model with the outputs "height", a number, and "kind", one of two classes; not compiled."""
    x = sg.Input((4,), name="x")
    inside = layers.Dense(5, activation="tanh", name="inside")(x)
    return sg.Model(x, [layers.Dense(1, name="height")(inside),
                        layers.Dense(2, activation="softmax", name="kind")(inside)])


def named() -> sg.Model:
    """The same with inputs and outputs in dicts; not compiled."""
    a, b = sg.Input((4,), name="a"), sg.Input((4,), name="b")
    inside = layers.Concatenate()([layers.Dense(3)(a), layers.Dense(3)(b)])
    return sg.Model({"a": a, "b": b}, {"height": layers.Dense(1)(inside),
                                       "kind": layers.Dense(2, activation="softmax")(inside)})


def same_weights(one: sg.Model, other: sg.Model) -> bool:
    return all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
