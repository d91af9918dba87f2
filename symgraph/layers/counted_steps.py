"""The steps of a sequence that a mask leaves, moved together, so that a recurrent operator goes over them at once.

Masked steps change no state, so a layer does with any mask what it does with the other steps alone, one after the
other: an operator that takes the length of each sequence. Two Gathers are all that is done step by step elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.arithmetic import add, maximum, minimum, multiply, subtract
from symgraph.ops.casting import cast
from symgraph.ops.comparison import greater, less
from symgraph.ops.creation import zeros
from symgraph.ops.indexing import choose
from symgraph.ops.shape import expand_dims, reshape, swapaxes
from symgraph.ops.sizes import Size, dimension, ints, minus, plus

__all__ = ["CountedSteps", "count_steps"]


@dataclass(frozen=True)
class CountedSteps:
    """`rows` (steps, batch, n): first the steps that count, in order, then zeros. `lengths` (batch,) is how many do.

    `mask` (batch, steps) says which count, `numbers` (batch, steps) how many do up to this one, itself included.
    """

    rows: Operand
    lengths: Operand
    mask: Operand
    numbers: Operand

    @property
    def has_steps(self) -> Operand:
        """(batch, 1): whether any step counts."""
        return expand_dims(greater(self.lengths, 0), -1)

    def spread(self, ys: Operand, *, is_reversed: bool, is_held: bool) -> Operand:
        """(batch, steps, n): of `ys` (steps, batch, n), one for each step that counts, each at its place.

        At the other steps there is 0, or with `is_held` the one that a layer going this way had last, if any.
        """
        before = subtract(self.numbers, cast(self.mask, "int64"))
        places = minimum(before, minus(dimension(self.mask, 1), 1)) if is_reversed else maximum(
            subtract(self.numbers, 1), 0)
        own = expand_dims(cast(self.lengths, "int64"), -1)
        has_one = self.mask if not is_held else less(before, own) if is_reversed else greater(self.numbers, 0)
        batch = dimension(self.mask, 0)
        flat = reshape(ys, (-1, ys.shape[-1]))
        picked = apply("Gather", flat, add(multiply(places, batch), expand_dims(_upto(batch), -1)), axis=0)
        return choose(expand_dims(has_one, -1), picked, 0)


def count_steps(x: Operand, mask: Operand) -> CountedSteps:
    """The steps of `x` (batch, steps, n) where `mask` (batch, steps), bool, is True."""
    batch, steps = dimension(mask, 0), dimension(mask, 1)
    ones = cast(mask, "int64")
    numbers = apply("CumSum", ones, np.int64(1))
    lengths = apply("ReduceSum", ones, ints(1), keepdims=0)
    places = choose(mask, subtract(numbers, 1), steps)  # those that do not count all go to one place more
    times = add(multiply(ones, 0), _upto(steps))
    order = apply("ScatterElements", zeros((batch, plus(steps, 1)), "int64"), places, times, axis=1)
    order = apply("Slice", order, ints(0), ints(-1), ints(1))
    order = add(swapaxes(order, 0, 1), multiply(_upto(batch), steps))
    rows = apply("Gather", reshape(x, (-1, x.shape[-1])), order, axis=0)
    inside = less(expand_dims(_upto(steps), -1), lengths)
    rows = choose(expand_dims(inside, -1), rows, 0)  # a step left out may hold anything, NaN too
    return CountedSteps(rows, cast(lengths, "int32"), mask, numbers)


def _upto(size: Size) -> Operand:
    """`0, 1, ..., size - 1`, int64."""
    return apply("Range", np.int64(0), size if isinstance(size, Operand) else np.int64(size), np.int64(1))
