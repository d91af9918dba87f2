"""Letting a language model write."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.core.errors import LayerError
from symgraph.training.model import Model


def generate(model: Model, start: Any, count: int, temperature: float = 0.8, window: int = 64, seed: int = 0) -> Any:
    """`start` and `count` numbers more, each drawn with the probabilities `softmax(logits / temperature)`.

    The model sees the last `window` numbers; it gives `(1, T, classes)` logits for `(1, T)` numbers. The same seed
    gives the same numbers.

    Errors: `LayerError` without a number to start from, or for a temperature that is not above 0.
    """
    numbers = [int(number) for number in start]
    if not numbers or not temperature > 0:
        raise LayerError("generate needs a number to start from, and a temperature above 0; got "
                         f"{len(numbers)} numbers and {temperature!r}")
    rng = np.random.Generator(np.random.Philox(key=seed))
    for _ in range(count):
        logits = model.predict_on_batch(np.array([numbers[-window:]], np.int32))[0, -1] / temperature
        odds = np.exp((logits - logits.max()).astype(np.float64))
        numbers.append(int(rng.choice(len(odds), p=odds / odds.sum())))
    return np.array(numbers)
