"""How a demonstration tells what it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def step(title: str) -> Iterator[Any]:
    """Time one step and print its line; the step says what it found."""
    found: list[str] = []
    start = time.perf_counter()
    yield found.append
    print(f"  {title:<15} {time.perf_counter() - start:6.2f} s   {' '.join(found)}", flush=True)


def difference(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> str:
    """How far two arrays are apart, in words."""
    return f"at most {np.abs(a - b).max():.1e}"
