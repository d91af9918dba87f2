"""One seed for everything that draws. Public as `sg.utils.set_random_seed`."""

from __future__ import annotations

import random

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.ops.seeds import set_seed

__all__ = ["set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Start the generators of Python, NumPy and symgraph anew: a program that begins with it always does the same.

    Errors: `TrainingError` for what is no whole number from 0 to 2^32 - 1, which NumPy takes.

    >>> import symgraph as sg
    >>> set_random_seed(3); a = sg.random.normal((2,)).numpy()
    >>> set_random_seed(3); bool((sg.random.normal((2,)).numpy() == a).all())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise TrainingError(f"set_random_seed: a seed is a whole number from 0 to 2^32 - 1, got {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))
    set_seed(int(seed))
