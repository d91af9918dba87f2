"""Forward parts of RNN, GRU and LSTM that keep what their gradients need: step by step, or of the h that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.casting import cast
from symgraph.ops.loops import scan
from symgraph.ops.recurrent import split
from symgraph.ops.recurrent_way import Way, at_ends, biases_of, float_values, ways_of
from symgraph.ops.sizes import ints

Step = Callable[..., tuple[list[Operand], list[Operand]]]
Run = tuple[list[Operand], Step]
"""The rows that are gone over, and what `step(*row, *states)` gives: the next states, and what is kept."""

_KEPT = {"RNN": ("seen", "to_h"), "GRU": ("seen", "z", "reset", "new", "moved", "part"),
         "LSTM": ("seen", "i", "o", "f", "new", "held", "squashed")}


def kept_names(kind: str, number: int) -> tuple[str, ...]:
    """What is kept for the direction of this number: `seen0` is h before each step with x and ones after it, the
    others are gates and parts of the states.
    """
    return tuple(f"{name}{number}" for name in _KEPT[kind])


def recurrent_steps(*operands: Operand, kind: str, names: tuple[str, ...], reversed: tuple[bool, ...],
                    is_linear: bool) -> list[Operand]:
    """Y, Y_h and for an LSTM Y_c, all step by step, and then, for each direction, what the gradients need."""
    columns, everything = [], []
    for way in ways_of(float_values(operands, names), reversed):
        start = [way.h, way.c] if kind == "LSTM" else [way.h]
        ys, kept = _gone_over(way, _STEPS[kind](way, is_linear=is_linear), start)
        columns.append([apply("Unsqueeze", y, ints(0 if i else 1)) for i, y in enumerate(ys)])
        everything += kept
    results = [column[0] if len(column) == 1 else apply("Concat", *column, axis=0 if i else 1)
               for i, column in enumerate(zip(*columns, strict=True))]
    return [*(cast(y, operands[0].dtype) for y in results), *everything]


def states_of_outputs(way: Way, y: Operand, kind: str, *, is_linear: bool) -> list[Operand]:
    """What the gradients need, at all steps at once, of the h after each step, `[T, N, hidden]`."""
    y = way.placed(way.turned(y))
    return _OF_OUTPUTS[kind](way, way.before(y, way.h), y, is_linear=is_linear)


def _gone_over(way: Way, run: Run, start: list[Operand]) -> tuple[list[Operand], list[Operand]]:
    """Of one direction the results, laid out as those of the operators, and what is kept."""
    rows, step = run

    def both(state: list[Operand], row: list[Operand]) -> Any:
        new, kept = step(*row, *state)
        return new, (new, kept)

    states, (all_states, kept) = scan(both, start, rows, reverse=way.goes_back)
    sequences = [way.placed(x) for x in all_states]
    lengths = way.lengths
    finals = [way.placed(x) for x in states] if lengths is None else [at_ends(x, lengths) for x in sequences]
    return [way.turned(way.inside(sequences[0])), *finals], kept


def _rnn_step(way: Way, *, is_linear: bool) -> Run:
    del is_linear
    weights = way.factor(_all_weights(way))

    def step(x: Operand, h: Operand) -> tuple[list[Operand], list[Operand]]:
        seen = way.joined(h, x)
        new = apply("Tanh", way.times(weights, seen))
        return [new], [seen, tanh_slope(new)]

    return [way.x], step


def _rnn_of_outputs(way: Way, previous: Operand, y: Operand, *, is_linear: bool) -> list[Operand]:
    del is_linear
    return [way.joined(previous, way.x), tanh_slope(y)]


def tanh_slope(y: Operand) -> Operand:
    """`1 - y²`."""
    return one_minus(apply("Mul", y, y))


def one_minus(x: Operand) -> Operand:
    """`1 - x`."""
    return apply("Sub", 1.0, x)


def _all_weights(way: Way) -> Operand:
    """The weights of h, those of x, and the sum of the biases, side by side."""
    bias = () if way.b is None else (apply("Add", *biases_of(way.b)),)
    return apply("Concat", way.r, way.w, *bias, axis=1)


def _lstm_step(way: Way, *, is_linear: bool) -> Run:
    del is_linear
    weights = way.factor(_all_weights(way))

    def step(x: Operand, h: Operand, c: Operand) -> tuple[list[Operand], list[Operand]]:
        seen = way.joined(h, x)
        i, o, f, new = _lstm_gates(way, way.times(weights, seen))
        held = apply("Mul", f, c)
        c = apply("Add", held, apply("Mul", i, new))
        squashed = apply("Tanh", c)
        return [apply("Mul", o, squashed), c], [seen, i, o, f, new, held, squashed]

    return [way.x], step


def _lstm_of_outputs(way: Way, previous: Operand, y: Operand, *, is_linear: bool) -> list[Operand]:
    del y, is_linear
    seen = way.joined(previous, way.x)
    i, o, f, new = _lstm_gates(way, way.times_all(way.factor(_all_weights(way)), seen))

    def step(c: Operand, row: Sequence[Operand]) -> tuple[Operand, list[Operand]]:
        f, added = row
        held = apply("Mul", f, c)
        c = apply("Add", held, added)
        return c, [c, held]

    c, held = scan(step, way.c, [f, apply("Mul", i, new)], reverse=way.goes_back)[1]
    return [seen, i, o, f, new, held, apply("Tanh", c)]


def _lstm_gates(way: Way, z: Operand) -> tuple[Operand, ...]:
    """The gates i, o and f, and the candidate."""
    *gates, new = way.parted(z, (1, 1, 1, 1))
    return (*(apply("Sigmoid", gate) for gate in gates), apply("Tanh", new))


def _gru_step(way: Way, *, is_linear: bool) -> Run:
    weights = _GRU(way, is_linear=is_linear)

    def step(x: Operand, own: Operand, h: Operand) -> tuple[list[Operand], list[Operand]]:
        seen = way.joined(h, x)
        z, reset = weights.gates_of(way.times(weights.gates, seen))
        new, part = weights.candidate(h, own, reset, way.times)
        moved = apply("Mul", z, apply("Sub", h, new))
        return [apply("Add", new, moved)], [seen, z, reset, new, moved, part]

    return [way.x, way.times_all(weights.x, way.x)], step


def _gru_of_outputs(way: Way, previous: Operand, y: Operand, *, is_linear: bool) -> list[Operand]:
    del y
    weights, seen = _GRU(way, is_linear=is_linear), way.joined(previous, way.x)
    z, reset = weights.gates_of(way.times_all(weights.gates, seen))
    new, part = weights.candidate(previous, way.times_all(weights.x, way.x), reset, way.times_all)
    return [seen, z, reset, new, apply("Mul", z, apply("Sub", previous, new)), part]


class _GRU:
    """The weights of a GRU: of the gates z and r, which see h and x, and of the two parts of the candidate."""

    def __init__(self, way: Way, *, is_linear: bool) -> None:
        (rzr, rn), (wzr, wn) = split(way.r, 0, (2, 1)), split(way.w, 0, (2, 1))
        self.way, self.is_linear, self.hidden_bias = way, is_linear, None
        gates, of_x = [rzr, wzr], [wn]
        if way.b is not None:
            (bzr, bn), (hzr, hn) = (split(b, 0, (2, 1)) for b in biases_of(way.b))
            gates.append(apply("Add", bzr, hzr))
            of_x.append(bn if is_linear else apply("Add", bn, hn))
            self.hidden_bias = way.placed(apply("Transpose", hn, perm=[1, 0])) if is_linear else None
        self.gates = way.factor(apply("Concat", *gates, axis=1))
        self.x = way.factor(apply("Concat", *of_x, axis=1))
        self.hidden = way.factor(rn)

    def gates_of(self, sums: Operand) -> tuple[Operand, ...]:
        """The gates z and r."""
        return self.way.parted(apply("Sigmoid", sums), (1, 1))

    def candidate(self, h: Operand, own: Operand, reset: Operand, times: Callable[[Operand, Operand], Operand],
                  ) -> tuple[Operand, Operand]:
        """The candidate of h and `own`, the part that x has in it; and what the reset gate has let through."""
        if not self.is_linear:
            part = apply("Mul", reset, h)
            return apply("Tanh", apply("Add", own, times(self.hidden, part))), part
        hidden = times(self.hidden, h)
        part = apply("Mul", reset, hidden if self.hidden_bias is None else apply("Add", hidden, self.hidden_bias))
        return apply("Tanh", apply("Add", own, part)), part


_STEPS: Mapping[str, Callable[..., Run]] = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step}
_OF_OUTPUTS: Mapping[str, Callable[..., list[Operand]]] = {
    "RNN": _rnn_of_outputs, "GRU": _gru_of_outputs, "LSTM": _lstm_of_outputs}
