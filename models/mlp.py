"""A multi-layer perceptron, and how it is trained, looked into and exported: `python -m symgraph.models mlp`."""

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


def main(epochs: int = 10) -> Model:
    """Train on handwritten digits, look at a hidden layer, export model and training step."""
    from symgraph.models.datasets import digits

    data = digits()
    x_train, x_test = data.x_train.reshape(-1, 64), data.x_test.reshape(-1, 64)
    model = mlp(64, 10)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, data.y_train, epochs=epochs, validation_data=(x_test, data.y_test), verbose=2)
    hidden = model.execute(x_test, "hidden1").numpy()
    print(f"hidden1 of {len(x_test)} digits: {(hidden > 0).mean():.0%} of the units are active")
    model.export("mlp.onnx")
    model.export_train_step("mlp_step.onnx")
    return model
