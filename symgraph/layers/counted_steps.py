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
from symgraph.ops.creation import ones_like
from symgraph.ops.indexing import choose
from symgraph.ops.shape import expand_dims, reshape, swapaxes
from symgraph.ops.sizes import dimension, ints, minus

__all__ = ["CountedSteps", "count_steps"]


@dataclass(frozen=True)
class CountedSteps:
    """`rows` (steps, batch, n): first the steps that count, in order, then zeros. `lengths` (batch,) is how many do.

    `mask` (batch, steps) says which count, `numbers` (batch, steps) how many do up to this one, itself included;
    `examples` (batch, steps) holds the number of the example.
    """

    rows: Operand
    lengths: Operand
    mask: Operand
    numbers: Operand
    examples: Operand

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
        places = add(multiply(places, dimension(self.mask, 0)), self.examples)
        picked = apply("Gather", reshape(ys, (-1, ys.shape[-1])), places, axis=0)
        return choose(expand_dims(has_one, -1), picked, 0)


def count_steps(x: Operand, mask: Operand) -> CountedSteps:
    """The steps of `x` (batch, steps, n) where `mask` (batch, steps), bool, is True."""
    ones, steps = cast(mask, "int64"), dimension(mask, 1)
    every = ones_like(mask, "int64")
    times, examples = (apply("CumSum", every, np.int64(axis), exclusive=1) for axis in (1, 0))
    numbers = apply("CumSum", ones, np.int64(1))
    lengths = apply("ReduceSum", ones, ints(1), keepdims=0)
    # those that do not count all go to the last place, which is free wherever there are any
    order = apply("ScatterElements", subtract(every, 1), choose(mask, subtract(numbers, 1), minus(steps, 1)), times,
                  axis=1)
    order = swapaxes(add(order, multiply(examples, steps)), 0, 1)
    rows = apply("Gather", reshape(x, (-1, x.shape[-1])), order, axis=0)
    inside = swapaxes(less(times, expand_dims(lengths, -1)), 0, 1)
    rows = choose(expand_dims(inside, -1), rows, 0)  # a step left out may hold anything, NaN too
    return CountedSteps(rows, cast(lengths, "int32"), mask, numbers, examples)
