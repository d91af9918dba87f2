"""A small convolutional network for images, trained, looked into and exported: `python -m symgraph.models convnet`."""

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
        features = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(features)
        features = layers.ReLU(name=f"relu{number}")(features)
        features = layers.MaxPooling2D(name=f"pool{number}")(features)
    features = layers.Flatten(name="flat")(features)
    features = layers.Dropout(dropout, name="dropout")(features)
    return Model(image, layers.Dense(classes, activation="softmax", name="probabilities")(features), name=name)


def main(epochs: int = 5) -> Model:
    """Train on handwritten digits, look at what the first filters see, export model and training step."""
    from symgraph.models.datasets import digits

    data = digits()
    model = convnet((8, 8, 1))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, epochs=epochs, validation_data=(data.x_test, data.y_test), verbose=2)
    maps = model.execute(data.x_test[:1], "relu1").numpy()[0]
    print(f"relu1 of a {data.y_test[0]}: {maps.shape[-1]} maps of {maps.shape[0]} x {maps.shape[1]}, the strongest is "
          f"number {maps.mean((0, 1)).argmax()}")
    model.export("convnet.onnx")
    model.export_train_step("convnet_step.onnx")
    return model
