"""Random order: the elements along an axis, shuffled."""

from __future__ import annotations

import numpy as np

from symgraph.core.composite import apply_composite
from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.random_words import random_words
from symgraph.ops.seeds import Seed, draw_key
from symgraph.ops.sizes import as_axis, is_symbolic

__all__ = ["shuffle"]


def shuffle(x: object, axis: int = 0, seed: Seed = None) -> Operand:
    """`x` with its slices along `axis` in another order, every order equally likely.

    The order is that of as many random 63-bit numbers (ONNX TopK). Gradients follow the slices. `seed` as in
    `uniform`.

    Errors: `ShapeError` for a scalar, or an axis that is not there.

    >>> import symgraph as sg
    >>> x = sg.random.shuffle([[1, 2], [3, 4], [5, 6]], seed=1)
    >>> x.shape, sorted(x.tolist())
    ((3, 2), [[1, 2], [3, 4], [5, 6]])
    """
    operand = as_operand(x)
    if operand.ndim == 0:
        raise ShapeError("shuffle: a scalar has nothing to shuffle")
    key, number = draw_key(seed, is_symbolic=is_symbolic(operand))
    result: Operand = apply_composite("RandomShuffle", _shuffle_body, operand, key, np.int64(number),
                                      axis=as_axis(axis, operand.ndim, "shuffle"))
    return result


def _shuffle_body(x: Operand, key: Operand, number: Operand, *, axis: int) -> Operand:
    length = apply("Shape", x, start=axis, end=axis + 1)
    high, low = (cast_to(word, "int64") for word in random_words(key, number, length, 2))
    numbers = apply("Add", apply("Mul", apply("Div", high, np.int64(2)), np.int64(2**32)), low)
    _, order = apply_many("TopK", numbers, length, axis=0, outputs=2)
    return apply("Gather", x, order, axis=axis)
