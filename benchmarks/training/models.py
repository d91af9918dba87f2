"""The five networks in symgraph, as anyone would write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.training.cases import DEPTH, HEADS, LENGTH, STAGES, VOCABULARY, WIDTH, Case

layers = sg.layers


def mlp() -> Any:
    return sg.Sequential([
        sg.Input((784,)), layers.Dense(512, activation="relu"), layers.Dense(256, activation="relu"),
        layers.Dense(10)])


def cnn() -> Any:
    return sg.Sequential([
        sg.Input((28, 28, 1)), layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
        layers.Dense(10)])


def lstm() -> Any:
    return sg.Sequential([sg.Input((50, 64)), layers.LSTM(128), layers.Dense(10)])


class Places(layers.Layer):
    """Adds a learned vector for each place of a text."""

    def build(self, input_shape: Any) -> None:
        self.table = self.add_weight(input_shape[1:], name="table")

    def call(self, x: Any) -> Any:
        return x + self.table


def gpt() -> Any:
    tokens = sg.Input((LENGTH,), dtype="int64")
    x = layers.Embedding(VOCABULARY, WIDTH)(tokens)
    x = Places()(x)
    is_past = np.tril(np.ones((LENGTH, LENGTH), bool))
    hidden = np.where(is_past, 0, -1e9).astype(np.float32)
    for _ in range(DEPTH):
        z = layers.LayerNormalization()(x)
        q, k, v = (_heads(layers.Dense(WIDTH)(z)) for _ in range(3))
        scores = sg.matmul(q, sg.swapaxes(k, 2, 3)) * (WIDTH // HEADS) ** -0.5 + hidden
        y = sg.swapaxes(sg.matmul(sg.softmax(scores), v), 1, 2)
        x = x + layers.Dense(WIDTH)(sg.reshape(y, (-1, LENGTH, WIDTH)))
        z = layers.LayerNormalization()(x)
        x = x + layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(z))
    return sg.Model(tokens, layers.Dense(VOCABULARY)(layers.LayerNormalization()(x)))


def _heads(x: Any) -> Any:
    return sg.swapaxes(sg.reshape(x, (-1, LENGTH, HEADS, WIDTH // HEADS)), 1, 2)


def resnet() -> Any:
    image = sg.Input((32, 32, 3))
    x = layers.ReLU()(_conv_norm(image, 16))
    for width, first in STAGES:
        for block in range(3):
            stride = first if block == 0 else 1
            y = layers.ReLU()(_conv_norm(x, width, stride=stride))
            y = _conv_norm(y, width)
            x = layers.ReLU()(y + (_conv_norm(x, width, 1, stride) if stride > 1 else x))
    return sg.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _conv_norm(x: Any, width: int, kernel: int = 3, stride: int = 1) -> Any:
    x = layers.ZeroPadding2D(kernel // 2)(x) if kernel > 1 else x
    return layers.BatchNormalization()(layers.Conv2D(width, kernel, stride, use_bias=False)(x))


MODELS: dict[str, Callable[[], Any]] = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "gpt": gpt, "resnet": resnet}


def make(name: str, case: Case) -> Any:
    """The network with the case's starting weights."""
    model = MODELS[name]()
    for variable, array in zip(model.trainable_variables, case.weights.values(), strict=True):
        variable.assign(array)
    return model
