"""The gradients of RNN, GRU and LSTM with their usual activations, in closed form.

Gates are computed again for all steps at once, of the h that the operators give. What is done step by step, from the
last to the first, is only what has to be; gradients of weights are one product over all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.creation import zeros_like
from symgraph.ops.loops import scan
from symgraph.ops.recurrent import initial_state, mask_of, only_where, part_of, projected, split, transposed
from symgraph.ops.sizes import dimension, ints, vector

Found = dict[str, Operand]


def recurrent_gradient(*operands: Operand, kind: str, names: tuple[str, ...], wanted: tuple[str, ...],
                       reversed: tuple[bool, ...], is_linear: bool = False) -> list[Operand]:
    """The gradients `wanted`, of X, W, R, B, initial_h and initial_c, from the operands called `names`.

    Those are the inputs and the output Y, and the gradients dY, dY_h and dY_c of the outputs that have one.
    """
    values = dict(zip(names, operands, strict=True))
    lengths = values.get("sequence_lens")
    mask = None if lengths is None else mask_of(values["X"], lengths)
    found = []
    for number, is_reversed in enumerate(reversed):
        way = _way(values, number, mask, is_reversed=is_reversed)
        found.append(_gru(way, is_linear=is_linear) if kind == "GRU" else _KINDS[kind](way))
    results = []
    for name in wanted:
        parts = [each[name] for each in found]
        if name == "X":
            results.append(parts[0] if len(parts) == 1 else apply("Add", *parts))
        else:
            rows = [apply("Unsqueeze", part, ints(0)) for part in parts]
            results.append(rows[0] if len(rows) == 1 else apply("Concat", *rows, axis=0))
    return results


@dataclass(frozen=True)
class _Way:
    """One direction: its operands, h before every step `[T, N, hidden]`, and the gradients that come in."""

    x: Operand
    w: Operand
    r: Operand
    b: Operand | None
    c: Operand
    y: Operand
    previous: Operand
    dy: Operand | None
    dh: Operand
    dc: Operand
    mask: Operand | None
    is_reversed: bool

    def before(self, states: Operand, first: Operand) -> Operand:
        """The states before each step, of those after it and the first."""
        begin = apply("Unsqueeze", first, ints(0))
        if self.is_reversed:
            return apply("Concat", apply("Slice", states, ints(1), ints(2**31 - 1), ints(0)), begin, axis=0)
        return apply("Concat", begin, apply("Slice", states, ints(0), ints(-1), ints(0)), axis=0)

    def forward(self, step: Callable[..., Any], start: Operand, xs: Sequence[Operand]) -> Operand:
        """The states after each step; beyond the end of a sequence they stay."""

        def masked(state: Operand, row: Sequence[Operand]) -> tuple[Operand, Operand]:
            new = step(state, *row[:len(xs)])
            new = new if self.mask is None else apply("Where", row[-1], new, state)
            return new, new

        rows = [*xs] if self.mask is None else [*xs, self.mask]
        return scan(masked, start, rows, reverse=self.is_reversed)[1]  # type: ignore[no-any-return]

    def backward(self, step: Callable[..., Any], xs: Sequence[Operand], start: Sequence[Operand],
                 ) -> tuple[list[Operand], Operand]:
        """From the last step to the first: `step(dh, *more, *xs)` gives the gradients of the states before it, and what
        is kept. Beyond the end of a sequence gradients pass, and 0 is kept.
        """

        def masked(state: list[Operand], row: Sequence[Operand]) -> tuple[list[Operand], Operand]:
            inner = list(state)
            if self.dy is not None:
                inner[0] = apply("Add", state[0], row[len(xs)])
            new, kept = step(*inner, *row[:len(xs)])
            if self.mask is None:
                return new, kept
            inside = row[-1]
            return [apply("Where", inside, a, b) for a, b in zip(new, state, strict=True)], only_where(inside, kept)

        rows = [*xs, *(x for x in (self.dy, self.mask) if x is not None)]
        states, kept = scan(masked, list(start), rows, reverse=not self.is_reversed)
        return states, kept

    def gradients(self, dgates: Operand, dhidden: Operand | None = None, reset: Operand | None = None) -> Found:
        """The gradients of x, W, R and B of those of the gates before their activations.

        `dhidden` are those of the state's part where they differ; `reset` is what the candidate sees of h.
        """
        rows, x, previous = _rows(dgates), _rows(self.x), _rows(self.previous)
        hidden = rows if dhidden is None else _rows(dhidden)
        if reset is None:
            dr = apply("Gemm", hidden, previous, transA=1)
        else:
            zr, n = split(rows, 1, (2, 1))
            dr = apply("Concat", apply("Gemm", zr, previous, transA=1),
                       apply("Gemm", n, _rows(reset), transA=1), axis=0)
        db = apply("ReduceSum", rows, ints(0), keepdims=0)
        bias = [db, db if dhidden is None else apply("ReduceSum", hidden, ints(0), keepdims=0)]
        return {"X": apply("MatMul", dgates, self.w), "W": apply("Gemm", rows, x, transA=1), "R": dr,
                "B": apply("Concat", *bias, axis=0)}


def _way(values: Mapping[str, Operand], number: int, mask: Operand | None, *, is_reversed: bool) -> _Way:
    x, w, r, b = values["X"], *(part_of(values.get(name), number) for name in ("W", "R", "B"))
    h, c = (initial_state(values.get(name), number, x, r) for name in ("initial_h", "initial_c"))
    y = apply("Gather", values["Y"], np.int64(number), axis=1)
    given = values.get("dY")
    dy = None if given is None else apply("Gather", given, np.int64(number), axis=1)
    dh, dc = (_final(values, name, number, h) for name in ("dY_h", "dY_c"))
    way = _Way(x, w, r, b, c, y, y, dy, dh, dc, mask, is_reversed)
    previous = way.before(y, h)
    if mask is not None and is_reversed:  # y is 0 beyond the end, where the first step of a sequence comes from
        none = apply("Expand", np.array(False), apply("Shape", apply("Gather", mask, np.int64(0), axis=0)))
        previous = apply("Where", way.before(mask, none), previous, h)
    return _Way(x, w, r, b, c, y, previous, dy, dh, dc, mask, is_reversed)


def _final(values: Mapping[str, Operand], name: str, number: int, like: Operand) -> Operand:
    """The gradient of a last state; of a sequence without steps it is lost."""
    given = values.get(name)
    if given is None:
        return zeros_like(like)
    dy: Operand = part_of(given, number)
    lengths = values.get("sequence_lens")
    if lengths is None:
        return dy
    return only_where(apply("Unsqueeze", apply("Greater", lengths, np.int32(0)), ints(1)), dy)


def _rows(x: Operand) -> Operand:
    """All steps of all sequences one below the other."""
    return apply("Reshape", x, vector([-1, dimension(x, 2)]))


def _rnn(way: _Way) -> Found:
    slope = _one_minus(apply("Mul", way.y, way.y))

    def back(dh: Operand, slope: Operand) -> tuple[list[Operand], Operand]:
        dgates = apply("Mul", dh, slope)
        return [apply("MatMul", dgates, way.r)], dgates

    (dh,), dgates = way.backward(back, [slope], [way.dh])
    return {**way.gradients(dgates), "initial_h": dh}


def _lstm(way: _Way) -> Found:
    gates = projected(way.x, way.w, None if way.b is None else apply("Add", *split(way.b, 0, (1, 1))))
    gates = apply("Add", gates, apply("MatMul", way.previous, transposed(way.r)))
    sigmoids, new = split(gates, 2, (3, 1))
    i, o, f = split(apply("Sigmoid", sigmoids), 2, (1, 1, 1))
    new = apply("Tanh", new)

    def step(c: Operand, forget: Operand, added: Operand) -> Operand:
        return apply("Add", apply("Mul", forget, c), added)

    c = way.forward(step, way.c, [f, apply("Mul", i, new)])
    squashed = apply("Tanh", c)
    to_c = apply("Mul", o, _one_minus(apply("Mul", squashed, squashed)))
    slopes = apply("Concat", apply("Mul", new, _slope(i)), apply("Mul", squashed, _slope(o)),
                   apply("Mul", way.before(c, way.c), _slope(f)),
                   apply("Mul", i, _one_minus(apply("Mul", new, new))), axis=2)

    def back(dh: Operand, dc: Operand, to_c: Operand, slopes: Operand, f: Operand) -> tuple[list[Operand], Operand]:
        dc = apply("Add", dc, apply("Mul", dh, to_c))
        dgates = apply("Mul", apply("Concat", dc, dh, dc, dc, axis=1), slopes)
        return [apply("MatMul", dgates, way.r), apply("Mul", dc, f)], dgates

    (dh, dc), dgates = way.backward(back, [to_c, slopes, f], [way.dh, way.dc])
    return {**way.gradients(dgates), "initial_h": dh, "initial_c": dc}


def _gru(way: _Way, *, is_linear: bool) -> Found:
    rzr, rn = split(way.r, 0, (2, 1))
    bias, inner = (None, None) if way.b is None else split(way.b, 0, (1, 1))
    x = projected(way.x, way.w, bias)
    xzr, xn = split(x, 2, (2, 1))
    bzr, bn = (None, None) if inner is None else split(inner, 0, (2, 1))
    z, reset = split(apply("Sigmoid", apply("Add", xzr, projected(way.previous, rzr, bzr))), 2, (1, 1))
    seen = way.previous if is_linear else apply("Mul", reset, way.previous)
    hidden = projected(seen, rn, bn)
    new = apply("Tanh", apply("Add", xn, apply("Mul", reset, hidden) if is_linear else hidden))
    to_z = apply("Mul", apply("Sub", way.previous, new), _slope(z))
    to_new = apply("Mul", _one_minus(z), _one_minus(apply("Mul", new, new)))

    def back(dh: Operand, z: Operand, slopes: Operand, reset_slope: Operand) -> tuple[list[Operand], Operand]:
        dz, dnew = split(apply("Mul", apply("Concat", dh, dh, axis=1), slopes), 1, (1, 1))
        dseen = apply("MatMul", dnew, rn)
        dreset, direct = split(apply("Mul", apply("Concat", dseen, dseen, axis=1), reset_slope), 1, (1, 1))
        dzr = apply("Concat", dz, dreset, axis=1)
        before = apply("Add", apply("Add", apply("Mul", dh, z), direct), apply("MatMul", dzr, rzr))
        return [before], apply("Concat", dzr, dnew, axis=1)

    def linear_back(dh: Operand, z: Operand, slopes: Operand) -> tuple[list[Operand], Operand]:
        kept = apply("Mul", apply("Concat", dh, dh, dh, dh, axis=1), slopes)
        dhidden, _ = split(kept, 1, (3, 1))
        return [apply("Add", apply("Mul", dh, z), apply("MatMul", dhidden, way.r))], kept

    if not is_linear:
        slopes = apply("Concat", to_z, to_new, axis=2)
        to_reset = apply("Concat", apply("Mul", way.previous, _slope(reset)), reset, axis=2)
        (dh,), dgates = way.backward(back, [z, slopes, to_reset], [way.dh])
        return {**way.gradients(dgates, reset=seen), "initial_h": dh}
    to_reset = apply("Mul", to_new, apply("Mul", hidden, _slope(reset)))
    slopes = apply("Concat", to_z, to_reset, apply("Mul", to_new, reset), to_new, axis=2)
    (dh,), kept = way.backward(linear_back, [z, slopes], [way.dh])
    dzr, dhidden, dnew = split(kept, 2, (2, 1, 1))
    return {**way.gradients(apply("Concat", dzr, dnew, axis=2), apply("Concat", dzr, dhidden, axis=2)),
            "initial_h": dh}


def _slope(sigmoid: Operand) -> Operand:
    return apply("Mul", sigmoid, _one_minus(sigmoid))


def _one_minus(x: Operand) -> Operand:
    return apply("Sub", 1.0, x)


_KINDS: Mapping[str, Callable[[_Way], Found]] = {"RNN": _rnn, "LSTM": _lstm}
