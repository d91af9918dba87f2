"""A multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph import layers
from symgraph.training.model import Model


def mlp(input_size: int, classes: int, hidden: Sequence[int] = (64, 32), name: str = "mlp") -> Model:
    """`softmax(W3 relu(W2 relu(W1 x)))`: from `(N, input_size)` to `(N, classes)` probabilities.

    >>> import symgraph as sg
    >>> sg.models.mlp(64, 10).predict(np.zeros((2, 64), np.float32)).shape
    (2, 10)
    """
    x = features = layers.Input((input_size,), name="x")
    for number, units in enumerate(hidden, start=1):
        features = layers.Dense(units, activation="relu", name=f"hidden{number}")(features)
    return Model(x, layers.Dense(classes, activation="softmax", name="probabilities")(features), name=name)
