"""What is taken where nothing is said: the dtype of floats, and the small number that keeps divisions from 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

from symgraph.core.errors import DtypeError
from symgraph.core.types import FLOATS, as_dtype


@dataclass
class Defaults:
    """The present settings."""

    floatx: str = "float32"
    epsilon: float = 1e-7


_DEFAULTS = Defaults()


def floatx() -> str:
    """The dtype of inputs and layers that say none: float32 unless `set_floatx` said another."""
    return _DEFAULTS.floatx


def set_floatx(value: object) -> None:
    """Let inputs and layers made from now on have this dtype where they say none.

    Errors: `DtypeError` for anything but float16, bfloat16, float32 and float64.
    """
    dtype = as_dtype(value)
    if dtype not in FLOATS:
        raise DtypeError(f"set_floatx takes {', '.join(FLOATS)}, got {dtype}")
    _DEFAULTS.floatx = dtype


def epsilon() -> float:
    """The number that losses and metrics keep between a divisor or a logarithm and 0."""
    return _DEFAULTS.epsilon


def set_epsilon(value: float) -> None:
    """Let losses and metrics keep this far from 0.

    Errors: `DtypeError` for what is no positive finite number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise DtypeError(f"set_epsilon takes a positive number, got {value!r}")
    _DEFAULTS.epsilon = float(value)
