"""A residual network (He et al. 2015), trained, looked into and exported: `python -m symgraph.models resnet`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph import layers
from symgraph.training.model import Model


def resnet(input_shape: Sequence[int] = (32, 32, 3), classes: int = 10, blocks: int = 3,
           filters: Sequence[int] = (16, 32, 64), name: str = "resnet") -> Model:
    """The residual networks for small images: stages of `blocks` blocks, each after the first at half the size.

    With the defaults it is ResNet-20, from images to `(N, classes)` probabilities; `6 blocks + 2` layers deep.

    >>> import symgraph as sg
    >>> sg.models.resnet(blocks=1).predict(np.zeros((2, 32, 32, 3), np.float32)).shape
    (2, 10)
    """
    image = layers.Input(tuple(input_shape), name="image")
    x = _normalized(image, filters[0], 3, 1, "entry")
    x = layers.ReLU(name="entry_relu")(x)
    for stage, count in enumerate(filters, start=1):
        for number in range(1, blocks + 1):
            x = _block(x, count, strides=2 if stage > 1 and number == 1 else 1, name=f"stage{stage}_block{number}")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return Model(image, layers.Dense(classes, activation="softmax", name="probabilities")(x), name=name)


def _block(x: Any, filters: int, strides: int, name: str) -> Any:
    """`relu(x + f(x))`, where f is two normalised convolutions; x is projected where its shape is another."""
    y = _normalized(x, filters, 3, strides, f"{name}_1")
    y = layers.ReLU(name=f"{name}_1_relu")(y)
    y = _normalized(y, filters, 3, 1, f"{name}_2")
    if strides > 1 or x.shape[-1] != filters:
        x = _normalized(x, filters, 1, strides, f"{name}_shortcut")
    return layers.ReLU(name=name)(layers.Add(name=f"{name}_sum")([x, y]))


def _normalized(x: Any, filters: int, size: int, strides: int, name: str) -> Any:
    x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal",
                      name=f"{name}_conv")(x)
    return layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)


def main(epochs: int = 5) -> Model:
    """Train a shallow one on handwritten digits, look at the end of its first stage, export model and training step."""
    from symgraph.models.datasets import digits

    data = digits()
    model = resnet((8, 8, 1), blocks=1)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.x_train, data.y_train, epochs=epochs, validation_data=(data.x_test, data.y_test), verbose=2)
    inside = model.execute(data.x_test, "stage1_block1").numpy()
    print(f"stage1_block1 of {len(inside)} digits: {inside.shape[1:]}, {(inside > 0).mean():.0%} active")
    model.export("resnet.onnx")
    model.export_train_step("resnet_step.onnx")
    return model
