"""The gradients of RNN, GRU and LSTM with their usual activations, in closed form.

What is done step by step, from the last to the first, is only what has to be; gradients of weights are one product
over all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.casting import cast
from symgraph.ops.creation import zeros_like
from symgraph.ops.loops import scan
from symgraph.ops.recurrent import part_of, split, transposed
from symgraph.ops.recurrent_states import kept_names, one_minus, states_of_outputs, tanh_slope
from symgraph.ops.recurrent_way import Way, float_values, ways_of, with_ends
from symgraph.ops.sizes import Size, dimension, ints, minus, of_rank, vector

Found = dict[str, Operand]


def recurrent_gradient(*operands: Operand, kind: str, names: tuple[str, ...], wanted: tuple[str, ...],
                       reversed: tuple[bool, ...], is_linear: bool = False) -> list[Operand]:
    """The gradients `wanted`, of X, W, R, B, initial_h and initial_c, from the operands called `names`.

    Those are the inputs, the gradients dY, dY_h and dY_c of the outputs that have one, and Y, or for each direction
    the `kept_names`.
    """
    values = float_values(operands, names)
    found = []
    for number, way in enumerate(ways_of(values, reversed)):
        if "Y" in values:
            y = apply("Gather", values["Y"], np.int64(number), axis=1)
            kept = states_of_outputs(way, y, kind, is_linear=is_linear)
        else:
            kept = [values[name] for name in kept_names(kind, number)]
        back = _Back(way, values, number)
        found.append(_gru(back, *kept, is_linear=is_linear) if kind == "GRU" else _KINDS[kind](back, *kept))
    results = []
    for name in wanted:
        parts = [each[name] for each in found]
        if name == "X":
            results.append(parts[0] if len(parts) == 1 else apply("Add", *parts))
        else:
            rows = [apply("Unsqueeze", part, ints(0)) for part in parts]
            results.append(rows[0] if len(rows) == 1 else apply("Concat", *rows, axis=0))
    dtypes = dict(zip(names, (x.dtype for x in operands), strict=True))
    return [cast(dx, dtypes[name]) for name, dx in zip(wanted, results, strict=True)]


class _Back:
    """The way back over one direction, from the gradients of its results."""

    def __init__(self, way: Way, values: Mapping[str, Operand], number: int) -> None:
        self.way = way
        given = values.get("dY")
        dy = None if given is None else way.turned(way.inside(apply("Gather", given, np.int64(number), axis=1)))
        dys = [dy, None]
        ends = [part_of(values.get(name), number) for name in ("dY_h", "dY_c")]
        if way.lengths is not None:  # gradients of the last states come in at the ends, and are 0 beyond them
            steps = dimension(way.x, 0)
            dys = [with_ends(x, end, way.lengths, steps) for x, end in zip(dys, ends, strict=True)]
            ends = [None, None]
        self.dys = [None if x is None else way.placed(x) for x in dys]
        self.start = [zeros_like(way.h) if end is None else way.placed(end) for end in ends]
        self.to_h = way.factor(transposed(way.r))

    def over(self, step: Callable[..., Any], xs: Sequence[Operand], *, count: int = 1) -> tuple[list[Operand], Any]:
        """From the last step to the first: `step(*gradients, *xs)` gives the gradients of the states before it, and
        what is kept.
        """
        dys = self.dys[:count]

        def one(state: list[Operand], row: Sequence[Operand]) -> Any:
            rows = iter(row)
            inner = [dx if dy is None else apply("Add", dx, next(rows)) for dx, dy in zip(state, dys, strict=True)]
            return step(*inner, *rows)

        rows = [*(x for x in dys if x is not None), *xs]
        return scan(one, self.start[:count], rows, reverse=not self.way.goes_back)

    def gradients(self, dgates: Operand, seen: Operand) -> Found:
        """The gradients of X, W, R and B of those of the gates, which all see h and x."""
        rows = self.way.rows(dgates)
        return {"X": self.x(rows), **self.weights(rows, self.way.rows(seen))}

    def weights(self, rows: Operand, seen: Operand) -> Found:
        """The gradients of W, R and B, of the gates' rows and of what they see."""
        dr, dw, *db = _cut(self.way.summed(seen, rows), 0, self.way.sizes)
        found = {"R": transposed(dr), "W": transposed(dw)}
        if db:
            bias = apply("Squeeze", db[0], ints(0))
            found["B"] = apply("Concat", bias, bias, axis=0)
        return found

    def x(self, rows: Operand) -> Operand:
        """The gradient of X, `[T, N, n]`, of the gates' rows."""
        way = self.way
        dx = transposed(apply("MatMul", transposed(way.w), rows)) if way.is_last else apply("MatMul", rows, way.w)
        sizes = dimension(way.x, 0), dimension(way.h, 1 if way.is_last else 0), dimension(way.w, 1)
        return way.turned(apply("Reshape", dx, vector(sizes)))


def _cut(x: Operand, axis: int, sizes: Sequence[Size]) -> list[Operand]:
    """A matrix cut into parts of these sizes."""
    return [of_rank(part, 2) for part in apply_many("Split", x, vector(sizes), outputs=len(sizes), axis=axis)]


def _rnn(back: _Back, seen: Operand, to_h: Operand) -> Found:
    way = back.way

    def step(dh: Operand, to_h: Operand) -> tuple[list[Operand], Operand]:
        dgates = apply("Mul", dh, to_h)
        return [way.times(back.to_h, dgates)], dgates

    (dh,), dgates = back.over(step, [to_h])
    return {**back.gradients(dgates, seen), "initial_h": way.placed(dh)}


def _lstm(back: _Back, seen: Operand, i: Operand, o: Operand, f: Operand, new: Operand, held: Operand,
          squashed: Operand) -> Found:
    way = back.way
    h, added = apply("Mul", o, squashed), apply("Mul", i, new)
    to_i, to_o, to_f = (apply("Mul", part, one_minus(gate)) for part, gate in ((added, i), (h, o), (held, f)))
    to_new, to_c = apply("Sub", i, apply("Mul", added, new)), apply("Sub", o, apply("Mul", h, squashed))

    def step(dh: Operand, dc: Operand, *factors: Operand) -> tuple[list[Operand], Operand]:
        to_i, to_o, to_f, to_new, to_c, f = factors
        dc = apply("Add", dc, apply("Mul", dh, to_c))
        dgates = way.joined(*(apply("Mul", dx, factor) for dx, factor in (
            (dc, to_i), (dh, to_o), (dc, to_f), (dc, to_new))))
        return [way.times(back.to_h, dgates), apply("Mul", dc, f)], dgates

    (dh, dc), dgates = back.over(step, [to_i, to_o, to_f, to_new, to_c, f], count=2)
    return {**back.gradients(dgates, seen), "initial_h": way.placed(dh), "initial_c": way.placed(dc)}


def _gru(back: _Back, seen: Operand, z: Operand, reset: Operand, new: Operand, moved: Operand, part: Operand, *,
         is_linear: bool) -> Found:
    way, rest = back.way, one_minus(z)
    to_z, to_new = apply("Mul", moved, rest), apply("Mul", rest, tanh_slope(new))
    to_reset = apply("Mul", part, one_minus(reset))
    factors = [z, to_z, to_reset, reset, to_new]
    if is_linear:  # all are gradients of h
        factors[2:4] = apply("Mul", to_reset, to_new), apply("Mul", reset, to_new)
    gates_to_h, part_to_h = (way.factor(transposed(x)) for x in split(way.r, 0, (2, 1)))

    def linear_step(dh: Operand, *factors: Operand) -> Any:
        z, to_z, to_reset, to_hidden, to_new = factors
        dgates = way.joined(*(apply("Mul", dh, factor) for factor in (to_z, to_reset, to_hidden)))
        return [way.times(back.to_h, dgates, apply("Mul", dh, z))], (dgates, apply("Mul", dh, to_new))

    def step(dh: Operand, *factors: Operand) -> Any:
        z, to_z, to_reset, reset, to_new = factors
        dnew = apply("Mul", dh, to_new)
        dpart = way.times(part_to_h, dnew)
        dgates = way.joined(apply("Mul", dh, to_z), apply("Mul", dpart, to_reset))
        direct = apply("Add", apply("Mul", dh, z), apply("Mul", dpart, reset))
        return [way.times(gates_to_h, dgates, direct)], (dgates, dnew)

    (dh,), (dgates, dnew) = back.over(linear_step if is_linear else step, factors)
    gates_rows, new_rows = way.rows(dgates), way.rows(dnew)
    hidden_rows = new_rows
    if is_linear:
        gates_rows, hidden_rows = way.parted(gates_rows, (2, 1))
    found = _gru_weights(back, gates_rows, new_rows, hidden_rows, way.rows(seen), None if is_linear else way.rows(part))
    return {**found, "X": back.x(way.joined(gates_rows, new_rows)), "initial_h": way.placed(dh)}


def _gru_weights(back: _Back, gates: Operand, new: Operand, hidden: Operand, seen: Operand, part: Operand | None,
                 ) -> Found:
    """The gradients of W, R and B, of the rows of the gates, of the candidate, and of what the state adds to it.

    That has seen h and has a bias of its own, or has seen `part` and is the candidate's.
    """
    way, found = back.way, back.weights(gates, seen)
    h, x = _cut(seen, way.axis, (way.sizes[0], minus(dimension(seen, way.axis), way.sizes[0])))
    of_h, of_x = way.summed(hidden, h if part is None else part), way.summed(new, x)
    weight, *ones = _cut(of_x, 1, way.sizes[1:])
    results = {"W": apply("Concat", found["W"], weight, axis=0), "R": apply("Concat", found["R"], of_h, axis=0)}
    if ones:
        both, of_input = split(found["B"], 0, (1, 1))[0], apply("Squeeze", ones[0], ints(1))
        of_state = of_input
        if part is None:
            of_state = apply("ReduceSum", hidden, ints(1 if way.is_last else 0), keepdims=0)
        results["B"] = apply("Concat", both, of_input, both, of_state, axis=0)
    return results


_KINDS: Mapping[str, Callable[..., Found]] = {"RNN": _rnn, "LSTM": _lstm}
