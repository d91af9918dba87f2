"""Forward parts of RNN, GRU and LSTM that keep what their gradients need.

Inside, the examples of a batch come last, `[T, size, N]`: what is multiplied with the weights at a step is then the
small matrix of the two, which is the one that has to be packed, and gates lie one below the other as whole blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.casting import cast
from symgraph.ops.creation import ones
from symgraph.ops.loops import scan
from symgraph.ops.recurrent import initial_state, mask_of, only_where, part_of, split, transposed
from symgraph.ops.sizes import dimension, ints, vector

INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c")
"""The inputs of the operators that are known here."""

_KEPT = {"RNN": ("seen", "slope"), "GRU": ("seen", "z", "to_z", "to_reset", "reset", "to_new", "part"),
         "LSTM": ("seen", "to_i", "to_o", "to_f", "to_new", "to_c", "f")}

Step = Callable[..., tuple[list[Operand], list[Operand]]]
Run = tuple[list[Operand], Step]
"""The rows that are gone over, and what `step(*row, *states)` gives: the next states, and what is kept."""


@dataclass(frozen=True)
class Way:
    """One direction of an operator: its operands, and sequences in the order in which it goes over them.

    `x` is `[T, n, N]`, with ones below where there are biases; the first states `h` and `c` are `[hidden, N]`. With
    lengths the sequences of the way back are turned round, so that all begin at the first step; what is computed
    beyond their ends is cut off from the results, and no gradient comes from there. `goes_back` is whether steps are
    gone over from the last to the first.
    """

    x: Operand
    w: Operand
    r: Operand
    b: Operand | None
    h: Operand
    c: Operand
    lengths: Operand | None
    is_reversed: bool

    @property
    def goes_back(self) -> bool:
        """Whether steps are gone over from the last to the first."""
        return self.is_reversed and self.lengths is None

    @property
    def ones(self) -> tuple[int, ...]:
        """The number of rows of ones below those of x, where there is one."""
        return () if self.b is None else (1,)

    @cached_property
    def biases(self) -> tuple[Operand, ...]:
        """The bias of the input and that of the state, each as a column; nothing where there are none."""
        return () if self.b is None else tuple(apply("Unsqueeze", b, ints(1)) for b in split(self.b, 0, (1, 1)))

    @cached_property
    def mask(self) -> Any:
        """`[T, N, 1]`: whether a step is before the end of its sequence; None where all are."""
        return None if self.lengths is None else mask_of(self.x, self.lengths)

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
        """Columns of weights side by side, with those of the biases, both together, last."""
        if not self.biases:
            return apply("Concat", *parts, axis=1)
        return apply("Concat", *parts, apply("Add", *self.biases), axis=1)


def way_of(values: Mapping[str, Operand], number: int, *, is_reversed: bool) -> Way:
    """The direction of this number of the operands called X, W, R, B, sequence_lens, initial_h and initial_c."""
    x, lengths = values["X"], values.get("sequence_lens")
    w, r, b = (part_of(values.get(name), number) for name in ("W", "R", "B"))
    h, c = (transposed(initial_state(values.get(name), number, x, r)) for name in ("initial_h", "initial_c"))
    bare = Way(x, w, r, b, h, c, lengths, is_reversed)
    if lengths is not None:  # beyond the ends there may be anything, NaN too
        x = bare.turned(only_where(bare.mask, x))
    x = last_examples(x)
    if b is not None:
        x = apply("Concat", x, ones((dimension(x, 0), 1, dimension(x, 2)), x.dtype), axis=1)
    return Way(x, w, r, b, h, c, lengths, is_reversed)


def last_examples(x: Operand) -> Operand:
    """`[T, N, size]` with the examples last, and back."""
    return apply("Transpose", x, perm=[0, 2, 1])


def float_values(operands: Sequence[Operand], names: Sequence[str]) -> dict[str, Operand]:
    """Operands by their names, halves as float32: what goes on step by step is neither exact nor fast in halves."""
    return {name: cast(x, "float32") if x.dtype in ("float16", "bfloat16") else x
            for x, name in zip(operands, names, strict=True)}


def kept_names(kind: str, number: int, *, is_linear: bool) -> tuple[str, ...]:
    """What is kept for the direction of this number: `seen0` is h before each step with x and ones below, the others
    are what gradients are multiplied with. A GRU that resets h after the product needs no `part`.
    """
    return tuple(f"{name}{number}" for name in (_KEPT[kind][:-1] if is_linear else _KEPT[kind]))


def recurrent_steps(*operands: Operand, kind: str, names: tuple[str, ...], reversed: tuple[bool, ...],
                    is_linear: bool) -> list[Operand]:
    """Y, Y_h and for an LSTM Y_c, all step by step, and then, for each direction, what the gradients need."""
    values = float_values(operands, names)
    columns, everything = [], []
    for number, is_reversed in enumerate(reversed):
        way = way_of(values, number, is_reversed=is_reversed)
        ys, kept = _gone_over(way, _STEPS[kind](way, is_linear), [way.h, way.c][:_STATES[kind]])
        columns.append([apply("Unsqueeze", y, ints(0 if i else 1)) for i, y in enumerate(ys)])
        everything += kept
    results = [column[0] if len(column) == 1 else apply("Concat", *column, axis=0 if i else 1)
               for i, column in enumerate(zip(*columns, strict=True))]
    return [*(cast(y, operands[0].dtype) for y in results), *everything]


def states_of_outputs(way: Way, y: Operand, kind: str, *, is_linear: bool) -> list[Operand]:
    """What the gradients need, for all steps at once, of the h after each step, `[T, N, hidden]`."""
    y = last_examples(way.turned(y))
    previous = way.before(y, way.h)
    return _OF_OUTPUTS[kind](way, previous, apply("Concat", previous, way.x, axis=1), y, is_linear)


def _gone_over(way: Way, run: Run, start: list[Operand]) -> tuple[list[Operand], list[Operand]]:
    """Of one direction the results, with the examples where the operators have them, and what is kept."""
    rows, step = run

    def both(state: list[Operand], row: list[Operand]) -> Any:
        new, kept = step(*row, *state)
        return new, (new, kept)

    states, (all_states, kept) = scan(both, start, rows, reverse=way.goes_back)
    sequences = [last_examples(states) for states in all_states]
    if way.lengths is None:
        return [sequences[0], *map(transposed, states)], kept
    y = way.turned(only_where(way.mask, sequences[0]))
    return [y, *(_at_ends(way, states) for states in sequences)], kept


def _at_ends(way: Way, states: Operand) -> Operand:
    """`[N, hidden]`: of `[T, N, hidden]` those after the last steps; 0 where there are no steps."""
    count, lengths = dimension(states, 1), cast(way.lengths, "int64")
    places = apply("Add", apply("Mul", apply("Sub", lengths, np.int64(1)), count),
                   apply("Range", np.int64(0), count, np.int64(1)))
    rows = apply("Reshape", states, vector([-1, dimension(states, 2)]))
    has_steps = apply("Unsqueeze", apply("Greater", lengths, np.int64(0)), ints(1))
    return only_where(has_steps, apply("Gather", rows, places, axis=0))


def _rnn_step(way: Way, _: bool) -> Run:
    weights = way.joined(way.r, way.w)

    def step(x: Operand, h: Operand) -> tuple[list[Operand], list[Operand]]:
        seen = apply("Concat", h, x, axis=0)
        new = apply("Tanh", apply("MatMul", weights, seen))
        return [new], [seen, apply("Sub", 1.0, apply("Mul", new, new))]

    return [way.x], step


def _rnn_of_outputs(way: Way, previous: Operand, seen: Operand, y: Operand, _: bool) -> list[Operand]:
    del way, previous
    return [seen, apply("Sub", 1.0, apply("Mul", y, y))]


def _lstm_step(way: Way, _: bool) -> Run:
    weights = way.joined(way.r, way.w)

    def step(x: Operand, h: Operand, c: Operand) -> tuple[list[Operand], list[Operand]]:
        seen = apply("Concat", h, x, axis=0)
        i, o, f, new = _lstm_gates(apply("MatMul", weights, seen), 0)
        kept, added = apply("Mul", f, c), apply("Mul", i, new)
        after = apply("Add", kept, added)
        h, factors = _lstm_factors(i, o, f, new, kept, added, apply("Tanh", after))
        return [h, after], [seen, *factors]

    return [way.x], step


def _lstm_of_outputs(way: Way, previous: Operand, seen: Operand, y: Operand, _: bool) -> list[Operand]:
    del previous, y
    i, o, f, new = _lstm_gates(apply("MatMul", way.joined(way.r, way.w), seen), 1)
    added = apply("Mul", i, new)

    def step(c: Operand, row: Sequence[Operand]) -> tuple[Operand, list[Operand]]:
        forget, added = row
        kept = apply("Mul", forget, c)
        after = apply("Add", kept, added)
        return after, [after, kept]

    after, kept = scan(step, way.c, [f, added], reverse=way.goes_back)[1]
    return [seen, *_lstm_factors(i, o, f, new, kept, added, apply("Tanh", after))[1]]


def _lstm_gates(z: Operand, axis: int) -> tuple[Operand, ...]:
    """The gates i, o and f, and the candidate."""
    *gates, new = split(z, axis, (1, 1, 1, 1))
    return (*(apply("Sigmoid", gate) for gate in gates), apply("Tanh", new))


def _lstm_factors(i: Operand, o: Operand, f: Operand, new: Operand, kept: Operand, added: Operand, squashed: Operand,
                  ) -> tuple[Operand, list[Operand]]:
    """h, and what gradients are multiplied with on their way to i, o, f, the candidate, c, and c before.

    `kept` and `added` are the two parts of c.
    """
    h = apply("Mul", o, squashed)
    to_gates = [apply("Mul", part, apply("Sub", 1.0, gate)) for part, gate in ((added, i), (h, o), (kept, f))]
    to_new, to_c = apply("Sub", i, apply("Mul", added, new)), apply("Sub", o, apply("Mul", h, squashed))
    return h, [*to_gates, to_new, to_c, f]


@dataclass(frozen=True)
class _GRU:
    """The weights of a GRU: of the gates z and r, which see h and x, and of the candidate's parts."""

    gates: Operand
    hidden: Operand
    hidden_bias: Operand | None
    x: Operand

    def candidate(self, h: Operand, own: Operand, reset: Operand, *, is_linear: bool) -> tuple[Operand, Operand]:
        """The candidate of h and the part `own` that x has in it, and what the reset gate has let through."""
        if not is_linear:
            part = apply("Mul", reset, h)
            return apply("Tanh", apply("Add", own, apply("MatMul", self.hidden, part))), part
        hidden = apply("MatMul", self.hidden, h)
        part = apply("Mul", reset, hidden if self.hidden_bias is None else apply("Add", hidden, self.hidden_bias))
        return apply("Tanh", apply("Add", own, part)), part


def _gru(way: Way, *, is_linear: bool) -> _GRU:
    (rzr, rn), (wzr, wn) = split(way.r, 0, (2, 1)), split(way.w, 0, (2, 1))
    if way.b is None:
        return _GRU(apply("Concat", rzr, wzr, axis=1), rn, None, wn)
    (bzr, bn), (hzr, hn) = (split(b, 0, (2, 1)) for b in way.biases)
    bias = bn if is_linear else apply("Add", bn, hn)
    return _GRU(apply("Concat", rzr, wzr, apply("Add", bzr, hzr), axis=1), rn, hn if is_linear else None,
                apply("Concat", wn, bias, axis=1))


def _gru_step(way: Way, is_linear: bool) -> Run:
    weights = _gru(way, is_linear=is_linear)

    def step(x: Operand, own: Operand, h: Operand) -> tuple[list[Operand], list[Operand]]:
        seen = apply("Concat", h, x, axis=0)
        z, reset = split(apply("Sigmoid", apply("MatMul", weights.gates, seen)), 0, (1, 1))
        new, part = weights.candidate(h, own, reset, is_linear=is_linear)
        after, factors = _gru_factors(h, z, reset, new, part, is_linear=is_linear)
        return [after], [seen, *factors]

    return [way.x, apply("MatMul", weights.x, way.x)], step


def _gru_of_outputs(way: Way, previous: Operand, seen: Operand, y: Operand, is_linear: bool) -> list[Operand]:
    del y
    weights = _gru(way, is_linear=is_linear)
    z, reset = split(apply("Sigmoid", apply("MatMul", weights.gates, seen)), 1, (1, 1))
    new, part = weights.candidate(previous, apply("MatMul", weights.x, way.x), reset, is_linear=is_linear)
    return [seen, *_gru_factors(previous, z, reset, new, part, is_linear=is_linear)[1]]


def _gru_factors(h: Operand, z: Operand, reset: Operand, new: Operand, part: Operand, *, is_linear: bool,
                 ) -> tuple[Operand, list[Operand]]:
    """h after the step, and what gradients are multiplied with on their way to h before, z, r and the candidate.

    With `is_linear` that of r and of the state's part of the candidate is that of h, too; else that of the product.
    """
    moved, rest = apply("Mul", z, apply("Sub", h, new)), apply("Sub", 1.0, z)
    to_z, to_new = apply("Mul", moved, rest), apply("Mul", rest, apply("Sub", 1.0, apply("Mul", new, new)))
    to_reset = apply("Mul", part, apply("Sub", 1.0, reset))
    factors = [z, to_z, apply("Mul", to_reset, to_new), apply("Mul", reset, to_new), to_new] if is_linear else (
        [z, to_z, to_reset, reset, to_new, part])
    return apply("Add", new, moved), factors


_STEPS: Mapping[str, Callable[[Way, bool], Run]] = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step}
_OF_OUTPUTS: Mapping[str, Callable[[Way, Operand, Operand, Operand, bool], list[Operand]]] = {
    "RNN": _rnn_of_outputs, "GRU": _gru_of_outputs, "LSTM": _lstm_of_outputs}
_STATES: Mapping[str, int] = {"RNN": 1, "GRU": 1, "LSTM": 2}
