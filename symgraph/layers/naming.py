"""Names of layers: the class in snake case, numbered."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["clear_session", "snake_case", "unique_layer_name"]

_NAME_COUNTS: Counter[str] = Counter()


def unique_layer_name(base: str) -> str:
    """`dense`, then `dense_1`, `dense_2` …"""
    number = _NAME_COUNTS[base]
    _NAME_COUNTS[base] += 1
    return f"{base}_{number}" if number else base


def clear_session() -> None:
    """Start counting layer names anew."""
    _NAME_COUNTS.clear()


def snake_case(name: str) -> str:
    """`LSTMCell` as `lstm_cell`.

    >>> snake_case("Conv2DTranspose")
    'conv2d_transpose'
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
