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

_KEPT = {"RNN": ("seen", "to_h"), "GRU": ("seen", "z", "to_z", "to_reset", "reset", "to_new", "part"),
         "LSTM": ("seen", "to_i", "to_o", "to_f", "to_new", "to_c", "f")}


def kept_names(kind: str, number: int, *, is_linear: bool) -> tuple[str, ...]:
    """What is kept for the direction of this number: `seen0` is h before each step with x and ones after it, the
    others are what gradients are multiplied with. A GRU that resets h after the product needs no `part`.
    """
    names = _KEPT[kind][:-1] if kind == "GRU" and is_linear else _KEPT[kind]
    return tuple(f"{name}{number}" for name in names)


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
        return [new], [seen, _tanh_slope(new)]

    return [way.x], step


def _rnn_of_outputs(way: Way, previous: Operand, y: Operand, *, is_linear: bool) -> list[Operand]:
    del is_linear
    return [way.joined(previous, way.x), _tanh_slope(y)]


def _tanh_slope(y: Operand) -> Operand:
    return apply("Sub", 1.0, apply("Mul", y, y))


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
        held, added = apply("Mul", f, c), apply("Mul", i, new)
        c = apply("Add", held, added)
        h, factors = _lstm_factors(i, o, f, new, held, added, apply("Tanh", c))
        return [h, c], [seen, *factors]

    return [way.x], step


def _lstm_of_outputs(way: Way, previous: Operand, y: Operand, *, is_linear: bool) -> list[Operand]:
    del y, is_linear
    seen = way.joined(previous, way.x)
    i, o, f, new = _lstm_gates(way, way.times_all(way.factor(_all_weights(way)), seen))
    added = apply("Mul", i, new)

    def step(c: Operand, row: Sequence[Operand]) -> tuple[Operand, list[Operand]]:
        f, added = row
        held = apply("Mul", f, c)
        c = apply("Add", held, added)
        return c, [c, held]

    c, held = scan(step, way.c, [f, added], reverse=way.goes_back)[1]
    return [seen, *_lstm_factors(i, o, f, new, held, added, apply("Tanh", c))[1]]


def _lstm_gates(way: Way, z: Operand) -> tuple[Operand, ...]:
    """The gates i, o and f, and the candidate."""
    *gates, new = way.parted(z, (1, 1, 1, 1))
    return (*(apply("Sigmoid", gate) for gate in gates), apply("Tanh", new))


def _lstm_factors(i: Operand, o: Operand, f: Operand, new: Operand, held: Operand, added: Operand, squashed: Operand,
                  ) -> tuple[Operand, list[Operand]]:
    """h, and what gradients are multiplied with on their way to i, o, f, the candidate, c, and c before the step.

    `held` and `added` are the two parts of c.
    """
    h = apply("Mul", o, squashed)
    to_gates = [apply("Mul", part, apply("Sub", 1.0, gate)) for part, gate in ((added, i), (h, o), (held, f))]
    to_new, to_c = apply("Sub", i, apply("Mul", added, new)), apply("Sub", o, apply("Mul", h, squashed))
    return h, [*to_gates, to_new, to_c, f]


def _gru_step(way: Way, *, is_linear: bool) -> Run:
    weights = _GRU(way, is_linear=is_linear)

    def step(x: Operand, own: Operand, h: Operand) -> tuple[list[Operand], list[Operand]]:
        seen = way.joined(h, x)
        z, reset = weights.gates_of(way.times(weights.gates, seen))
        new, part = weights.candidate(h, own, reset, way.times)
        h, factors = weights.factors(h, z, reset, new, part)
        return [h], [seen, *factors]

    return [way.x, way.times_all(weights.x, way.x)], step


def _gru_of_outputs(way: Way, previous: Operand, y: Operand, *, is_linear: bool) -> list[Operand]:
    del y
    weights, seen = _GRU(way, is_linear=is_linear), way.joined(previous, way.x)
    z, reset = weights.gates_of(way.times_all(weights.gates, seen))
    new, part = weights.candidate(previous, way.times_all(weights.x, way.x), reset, way.times_all)
    return [seen, *weights.factors(previous, z, reset, new, part)[1]]


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

    def factors(self, h: Operand, z: Operand, reset: Operand, new: Operand, part: Operand,
                ) -> tuple[Operand, list[Operand]]:
        """h after the step, and what gradients are multiplied with on their way to h before it and to z, r and the
        candidate.

        All are gradients of h, but those of what is reset where that is h itself.
        """
        moved, rest = apply("Mul", z, apply("Sub", h, new)), apply("Sub", 1.0, z)
        to_z, to_new = apply("Mul", moved, rest), apply("Mul", rest, _tanh_slope(new))
        to_reset = apply("Mul", part, apply("Sub", 1.0, reset))
        factors = [z, to_z, to_reset, reset, to_new, part]
        if self.is_linear:
            factors = [z, to_z, apply("Mul", to_reset, to_new), apply("Mul", reset, to_new), to_new]
        return apply("Add", new, moved), factors


_STEPS: Mapping[str, Callable[..., Run]] = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step}
_OF_OUTPUTS: Mapping[str, Callable[..., list[Operand]]] = {
    "RNN": _rnn_of_outputs, "GRU": _gru_of_outputs, "LSTM": _lstm_of_outputs}
