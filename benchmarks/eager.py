"""What one eager op costs, beside NumPy, torch and keras.ops."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np

import symgraph as sg
from benchmarks.timing import measure, table

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x * 2.0": lambda x, y: x * 2.0,
    "x @ y": lambda x, y: x @ y,
    "(x + y) * x - y": lambda x, y: (x + y) * x - y,
    "x[:, 1:]": lambda x, y: x[:, 1:],
}


def report() -> str:
    """Tables for small and for larger matrices."""
    sections = []
    for size in (3, 256):
        rows = {label: measure({name: _bound(call, *make(size)) for name, make in makers().items()})
                for label, call in OPERATIONS.items()}
        sections.append(table(f"Eager ops on {size}x{size} float32, time a call (times NumPy)", rows, "NumPy"))
    return "\n".join(sections)


def makers() -> dict[str, Callable[[int], tuple[Any, Any]]]:
    """How each library makes the two operands; only those that are installed."""
    found: dict[str, Callable[[int], tuple[Any, Any]]] = {
        "symgraph": lambda n: tuple(map(sg.tensor, arrays(n))), "NumPy": arrays}
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(2)
        found["torch"] = lambda n: tuple(map(torch.from_numpy, arrays(n)))
    if importlib.util.find_spec("keras"):
        os.environ.setdefault("KERAS_BACKEND", "torch")
        import keras

        found["keras.ops"] = lambda n: tuple(map(_KerasOperand, map(keras.ops.convert_to_tensor, arrays(n))))
    return found


class _KerasOperand:
    """Operators that go through keras.ops."""

    def __init__(self, value: Any) -> None:
        import keras

        self.value, self.ops = value, keras.ops

    def __add__(self, other: Any) -> Any:
        return _KerasOperand(self.ops.add(self.value, other.value))

    def __sub__(self, other: Any) -> Any:
        return _KerasOperand(self.ops.subtract(self.value, other.value))

    def __mul__(self, other: Any) -> Any:
        return _KerasOperand(self.ops.multiply(self.value, getattr(other, "value", other)))

    def __matmul__(self, other: Any) -> Any:
        return _KerasOperand(self.ops.matmul(self.value, other.value))

    def __getitem__(self, key: Any) -> Any:
        return self.value[key]


def arrays(size: int) -> tuple[Any, Any]:
    """Two random matrices."""
    rng = np.random.default_rng(0)
    return rng.random((size, size), np.float32), rng.random((size, size), np.float32)


def _bound(call: Callable[[Any, Any], Any], x: Any, y: Any) -> Callable[[], Any]:
    return lambda: call(x, y)
