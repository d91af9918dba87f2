"""The five networks: their batches, and the weights all start from. NumPy alone, for the peers read it too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7
"""Adam's numbers, in all cases."""

VOCABULARY, WIDTH, HEADS, DEPTH, LENGTH = 65, 128, 4, 4, 64
"""Sizes of the GPT."""

STAGES = ((16, 1), (32, 2), (64, 2))
"""Channels and first stride of the three stages of ResNet-20, of three blocks each."""

BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM = 1e-3, 0.99


@dataclass(frozen=True)
class Case:
    """A batch and starting weights, named and laid out as Keras has them, in the order the model makes them."""

    title: str
    x: Array
    y: Array
    weights: dict[str, Array]


def mlp() -> Case:
    rng = np.random.default_rng(0)
    weights = {}
    for i, (n, m) in enumerate(((784, 512), (512, 256), (256, 10))):
        _dense(rng, weights, f"dense{i}", n, m)
    return Case("MLP 784-512-256-10, batch 64", _normal(rng, 64, 784), rng.integers(0, 10, 64), weights)


def cnn() -> Case:
    rng = np.random.default_rng(1)
    weights: dict[str, Array] = {}
    _conv(rng, weights, "conv0", 3, 1, 32)
    _conv(rng, weights, "conv1", 3, 32, 64)
    _dense(rng, weights, "dense", 7 * 7 * 64, 10)
    return Case("CNN of two 3x3 convolutions, 28x28, batch 64", _normal(rng, 64, 28, 28, 1), rng.integers(0, 10, 64),
                weights)


def lstm() -> Case:
    rng = np.random.default_rng(2)
    bias = np.zeros(512, np.float32)
    bias[128:256] = 1
    weights = {"kernel": _normal(rng, 64, 512, scale=0.06), "recurrent": _normal(rng, 128, 512, scale=0.06),
               "bias": bias}
    _dense(rng, weights, "dense", 128, 10)
    return Case("LSTM 64 to 128, 50 steps, batch 32", _normal(rng, 32, 50, 64), rng.integers(0, 10, 32), weights)


def gpt() -> Case:
    rng = np.random.default_rng(3)
    weights = {"token": _normal(rng, VOCABULARY, WIDTH, scale=0.02), "place": _normal(rng, LENGTH, WIDTH, scale=0.02)}
    for i in range(DEPTH):
        _norm(weights, f"{i}/norm1", WIDTH)
        for name in ("query", "key", "value", "out"):
            _dense(rng, weights, f"{i}/{name}", WIDTH, WIDTH)
        _norm(weights, f"{i}/norm2", WIDTH)
        _dense(rng, weights, f"{i}/up", WIDTH, 4 * WIDTH)
        _dense(rng, weights, f"{i}/down", 4 * WIDTH, WIDTH)
    _norm(weights, "norm", WIDTH)
    _dense(rng, weights, "head", WIDTH, VOCABULARY)
    tokens = rng.integers(0, VOCABULARY, (16, LENGTH + 1))
    return Case("GPT of 4 layers, width 128, 16 x 64 tokens", tokens[:, :-1].copy(), tokens[:, 1:].copy(), weights)


def resnet() -> Case:
    rng = np.random.default_rng(4)
    weights: dict[str, Array] = {}
    _conv_norm(rng, weights, "stem", 3, 3, 16)
    channels = 16
    for stage, (width, stride) in enumerate(STAGES):
        for block in range(3):
            name = f"{stage}/{block}"
            _conv_norm(rng, weights, f"{name}/a", 3, channels, width)
            _conv_norm(rng, weights, f"{name}/b", 3, width, width)
            if block == 0 and stride > 1:
                _conv_norm(rng, weights, f"{name}/short", 1, channels, width)
            channels = width
    _dense(rng, weights, "dense", channels, 10)
    return Case("ResNet-20, 32x32, batch 32", _normal(rng, 32, 32, 32, 3), rng.integers(0, 10, 32), weights)


CASES: dict[str, Callable[[], Case]] = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "gpt": gpt, "resnet": resnet}


def _normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    return rng.normal(0, scale, shape).astype(np.float32)


def _dense(rng: np.random.Generator, weights: dict[str, Array], name: str, n: int, m: int) -> None:
    weights[f"{name}/kernel"] = _normal(rng, n, m, scale=n ** -0.5)
    weights[f"{name}/bias"] = np.zeros(m, np.float32)


def _conv(rng: np.random.Generator, weights: dict[str, Array], name: str, k: int, n: int, m: int) -> None:
    weights[f"{name}/kernel"] = _normal(rng, k, k, n, m, scale=(k * k * n / 2) ** -0.5)
    weights[f"{name}/bias"] = np.zeros(m, np.float32)


def _norm(weights: dict[str, Array], name: str, n: int) -> None:
    weights[f"{name}/gamma"] = np.ones(n, np.float32)
    weights[f"{name}/beta"] = np.zeros(n, np.float32)


def _conv_norm(rng: np.random.Generator, weights: dict[str, Array], name: str, k: int, n: int, m: int) -> None:
    weights[f"{name}/kernel"] = _normal(rng, k, k, n, m, scale=(k * k * n / 2) ** -0.5)
    _norm(weights, name, m)
