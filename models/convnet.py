"""A small convolutional network for images."""

from __future__ import annotations

from collections.abc import Sequence

from symgraph import layers
from symgraph.training.model import Model


def convnet(input_shape: Sequence[int] = (28, 28, 1), classes: int = 10, filters: Sequence[int] = (16, 32),
            dropout: float = 0.25, name: str = "convnet") -> Model:
    """Blocks of convolution, normalisation and pooling, then a classifier: images to `(N, classes)` probabilities.

    >>> import symgraph as sg
    >>> sg.models.convnet().predict(np.zeros((2, 28, 28, 1), np.float32)).shape
    (2, 10)
    """
    image = features = layers.Input(tuple(input_shape), name="image")
    for number, count in enumerate(filters, start=1):
        features = layers.Conv2D(count, 3, padding="same", use_bias=False, name=f"conv{number}")(features)
        features = layers.BatchNormalization(name=f"norm{number}")(features)
        features = layers.ReLU(name=f"relu{number}")(features)
        features = layers.MaxPooling2D(name=f"pool{number}")(features)
    features = layers.GlobalAveragePooling2D(name="average")(features)
    features = layers.Dropout(dropout, name="dropout")(features)
    return Model(image, layers.Dense(classes, activation="softmax", name="probabilities")(features), name=name)
