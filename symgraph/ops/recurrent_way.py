"""The way of a recurrent operator over its sequences: operands of one direction, as it is best to compute with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.casting import cast
from symgraph.ops.creation import ones
from symgraph.ops.recurrent import initial_state, mask_of, only_where, part_of, split, transposed
from symgraph.ops.sizes import Size, dimension, ints, vector

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c")
"""The inputs of the operators that are known here."""

MANY = 16
"""From so many examples on they come last: a row of them fills a register."""


@dataclass(frozen=True)
class Way:
    """One direction of an operator: its operands, and sequences in the order in which it goes over them.

    Of many examples, or of who knows how many, the examples come last: `[T, size, N]`, states `[size, N]`. What is
    multiplied with the weights at a step is then the one of the two that has to be packed, which is the smaller one,
    and gates lie one below the other as whole blocks. Of few examples it is `[T, N, size]` and `[N, size]`.

    `x` is laid out so, with ones after its own entries where there are biases. With lengths the sequences of the way
    back are turned round, so that all begin at the first step; what is computed beyond their ends is cut off from the
    results, and no gradient comes from there.
    """

    x: Operand
    w: Operand
    r: Operand
    b: Operand | None
    h: Operand
    c: Operand
    lengths: Operand | None
    is_reversed: bool
    is_last: bool

    @property
    def axis(self) -> int:
        """The axis of sizes, of matrices and of sequences of them."""
        return -2 if self.is_last else -1

    @property
    def goes_back(self) -> bool:
        """Whether steps are gone over from the last to the first."""
        return self.is_reversed and self.lengths is None

    @property
    def sizes(self) -> tuple[Size, ...]:
        """How much of what a step sees is of h, of x, and of ones."""
        return dimension(self.r, 1), dimension(self.w, 1), *([] if self.b is None else [1])

    @cached_property
    def mask(self) -> Operand | None:
        """`[T, N, 1]`: whether a step is before the end of its sequence; None where all are."""
        return None if self.lengths is None else mask_of(self.x, self.lengths)

    def placed(self, x: Operand) -> Operand:
        """Sequences `[T, N, size]` or states `[N, size]` as they are laid out here, or back."""
        if not self.is_last:
            return x
        return transposed(x) if x.ndim == 2 else apply("Transpose", x, perm=[0, 2, 1])

    def inside(self, x: Operand) -> Operand:
        """`x` `[T, N, size]`, 0 beyond the ends."""
        return x if self.mask is None else only_where(self.mask, x)

    def turned(self, x: Operand) -> Operand:
        """`[T, N, size]`, the sequences of the way back the other way round."""
        if not self.is_reversed or self.lengths is None:
            return x
        return apply("ReverseSequence", x, cast(self.lengths, "int64"), time_axis=0, batch_axis=1)

    def before(self, states: Operand, first: Operand) -> Operand:
        """The states before each step, of those after it and the first."""
        begin = apply("Unsqueeze", first, ints(0))
        if self.goes_back:
            return apply("Concat", apply("Slice", states, ints(1), ints(2**31 - 1), ints(0)), begin, axis=0)
        return apply("Concat", begin, apply("Slice", states, ints(0), ints(-1), ints(0)), axis=0)

    def joined(self, *parts: Operand) -> Operand:
        """One below the other."""
        return apply("Concat", *parts, axis=self.axis)

    def parted(self, x: Operand, parts: Sequence[int]) -> tuple[Operand, ...]:
        """`x` cut into `parts` of its equal shares."""
        return split(x, self.axis, parts)

    def factor(self, weights: Operand) -> Operand:
        """`weights` `[gates, size]` for `times`."""
        return weights if self.is_last else transposed(weights)

    def times(self, factor: Operand, x: Operand, added: Operand | None = None) -> Operand:
        """The product with `x`, the matrix of one step, and the sum with another."""
        both = (factor, x) if self.is_last else (x, factor)
        return apply("MatMul", *both) if added is None else apply("Gemm", *both, added)

    def times_all(self, factor: Operand, x: Operand) -> Operand:
        """The product with `x`, a sequence, at all steps at once."""
        if not self.is_last:
            return apply("MatMul", x, factor)
        product = apply("MatMul", factor, self.rows(x))
        sizes = vector([dimension(factor, 0), dimension(x, 0), dimension(x, 2)])
        return apply("Transpose", apply("Reshape", product, sizes), perm=[1, 0, 2])

    def rows(self, x: Operand) -> Operand:
        """A sequence as a matrix `[size, T * N]`, or `[T * N, size]`: for one product of all steps."""
        if not self.is_last:
            return apply("Reshape", x, vector([-1, dimension(x, 2)]))
        return apply("Reshape", apply("Transpose", x, perm=[1, 0, 2]), vector([dimension(x, 1), -1]))

    def summed(self, a: Operand, b: Operand) -> Operand:
        """`[size of a, size of b]`: the products of two `rows`, added up over steps and examples."""
        return apply("Gemm", a, b, transB=1) if self.is_last else apply("Gemm", a, b, transA=1)


def ways_of(values: Mapping[str, Operand], reversed: Sequence[bool]) -> list[Way]:
    """The directions, of the operands called X, W, R, B, sequence_lens, initial_h and initial_c."""
    return [_way(values, number, is_reversed=is_reversed) for number, is_reversed in enumerate(reversed)]


def _way(values: Mapping[str, Operand], number: int, *, is_reversed: bool) -> Way:
    x, lengths = values["X"], values.get("sequence_lens")
    count = dimension(x, 1)
    w, r, b = (part_of(values.get(name), number) for name in ("W", "R", "B"))
    h, c = (initial_state(values.get(name), number, x, r) for name in ("initial_h", "initial_c"))
    way = Way(x, w, r, b, h, c, lengths, is_reversed, is_last=not isinstance(count, int) or count >= MANY)
    x = way.placed(way.turned(way.inside(x)))  # beyond the ends there may be anything, NaN too
    if b is not None:
        sizes = (dimension(x, 0), 1, dimension(x, 2)) if way.is_last else (dimension(x, 0), dimension(x, 1), 1)
        x = way.joined(x, ones(sizes, x.dtype))
    return replace(way, x=x, h=way.placed(h), c=way.placed(c))


def float_values(operands: Sequence[Operand], names: Sequence[str]) -> dict[str, Operand]:
    """Operands by their names, halves as float32: what goes on step by step is neither exact nor fast in halves."""
    return {name: cast(x, "float32") if x.dtype in ("float16", "bfloat16") else x
            for x, name in zip(operands, names, strict=True)}


def biases_of(b: Operand) -> tuple[Operand, ...]:
    """The bias of the input and that of the state, each as a column."""
    return tuple(apply("Unsqueeze", half, ints(1)) for half in split(b, 0, (1, 1)))


def at_ends(states: Operand, lengths: Operand) -> Operand:
    """`[N, size]`: of `[T, N, size]` those after the last steps; 0 where there are no steps."""
    count, lengths = dimension(states, 1), cast(lengths, "int64")
    places = apply("Add", apply("Mul", apply("Sub", lengths, np.int64(1)), count),
                   apply("Range", np.int64(0), count, np.int64(1)))
    rows = apply("Reshape", states, vector([-1, dimension(states, 2)]))
    has_steps = apply("Unsqueeze", apply("Greater", lengths, np.int64(0)), ints(1))
    return only_where(has_steps, apply("Gather", rows, places, axis=0))


def with_ends(dy: Operand | None, end: Operand | None, lengths: Operand, steps: Size) -> Operand | None:
    """`dy` `[T, N, size]` and, at the last step of each sequence, `end` `[N, size]`."""
    if end is None:
        return dy
    times = apply("Unsqueeze", apply("Range", np.int64(0), steps, np.int64(1)), ints(1))
    last = apply("Sub", cast(lengths, "int64"), np.int64(1))
    is_last = apply("Unsqueeze", apply("Equal", times, last), ints(2))
    placed = only_where(is_last, apply("Unsqueeze", end, ints(0)))
    return placed if dy is None else apply("Add", dy, placed)
