"""The gradients of RNN, GRU and LSTM with their usual activations, in closed form.

What is done step by step, from the last to the first, is only what has to be; gradients of weights are one product
over all steps. Inside, the examples of a batch come last, as in `recurrent_states.py`.
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
from symgraph.ops.recurrent import only_where, part_of, split, transposed
from symgraph.ops.recurrent_states import Way, float_values, kept_names, last_examples, states_of_outputs, way_of
from symgraph.ops.sizes import dimension, ints, minus, of_rank, vector

Found = dict[str, Operand]


def recurrent_gradient(*operands: Operand, kind: str, names: tuple[str, ...], wanted: tuple[str, ...],
                       reversed: tuple[bool, ...], is_linear: bool = False) -> list[Operand]:
    """The gradients `wanted`, of X, W, R, B, initial_h and initial_c, from the operands called `names`.

    Those are the inputs, the gradients dY, dY_h and dY_c of the outputs that have one, and Y, or for each direction
    the `kept_names`.
    """
    values = float_values(operands, names)
    found = []
    for number, is_reversed in enumerate(reversed):
        way = way_of(values, number, is_reversed=is_reversed)
        if "Y" in values:
            y = apply("Gather", values["Y"], np.int64(number), axis=1)
            kept = states_of_outputs(way, y, kind, is_linear=is_linear)
        else:
            kept = [values[name] for name in kept_names(kind, number, is_linear=is_linear)]
        found.append(_KINDS[kind](_Back(way, values, number), *kept))
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
        dy = None if given is None else apply("Gather", given, np.int64(number), axis=1)
        ends = [part_of(values.get(name), number) for name in ("dY_h", "dY_c")]
        all_given = [dy, None]
        if way.lengths is not None:  # beyond the ends gradients are 0; those of the last states come in at the ends
            dy = None if dy is None else way.turned(only_where(way.mask, dy))
            all_given = [_with_ends(way, x, end) for x, end in zip((dy, None), ends, strict=True)]
            ends = [None, None]
        self.given = [None if x is None else last_examples(x) for x in all_given]
        self.start = [zeros_like(way.h) if end is None else transposed(end) for end in ends]

    def over(self, step: Callable[..., Any], xs: Sequence[Operand], *, count: int = 1) -> tuple[list[Operand], Any]:
        """From the last step to the first: `step(*gradients, *xs)` gives the gradients of the states before it, and
        what is kept.
        """
        given = self.given[:count]

        def one(state: list[Operand], row: Sequence[Operand]) -> tuple[list[Operand], Any]:
            rows = iter(row)
            inner = [dx if dy is None else apply("Add", dx, next(rows)) for dx, dy in zip(state, given, strict=True)]
            return step(*inner, *rows)  # type: ignore[no-any-return]

        rows = [*(x for x in given if x is not None), *xs]
        return scan(one, self.start[:count], rows, reverse=not self.way.goes_back)

    def gradients(self, dgates: Operand, seen: Operand) -> Found:
        """The gradients of X, W, R and B of those of the gates, `[T, gates * hidden, N]`, which all see h and x."""
        rows = _rows(dgates)
        return {"X": self.x(rows), **self.weights(rows, _rows(seen))}

    def weights(self, rows: Operand, seen: Operand) -> Found:
        """The gradients of W, R and B of rows and what was seen, `[size, T * N]`."""
        way = self.way
        dr, dw, *db = _cut(apply("Gemm", seen, rows, transB=1), 0, dimension(way.r, 1), dimension(way.w, 1), *way.ones)
        found = {"R": transposed(dr), "W": transposed(dw)}
        if db:
            bias = apply("Squeeze", db[0], ints(0))
            found["B"] = apply("Concat", bias, bias, axis=0)
        return found

    def x(self, rows: Operand) -> Operand:
        """The gradient of X, `[T, N, n]`, of rows `[gates * hidden, T * N]`."""
        way = self.way
        dx = apply("Reshape", apply("MatMul", transposed(way.w), rows),
                   vector([-1, dimension(way.x, 0), dimension(way.x, 2)]))
        return way.turned(apply("Transpose", dx, perm=[1, 2, 0]))


def _with_ends(way: Way, dy: Operand | None, end: Operand | None) -> Operand | None:
    """`dy` `[T, N, hidden]` and, at the last step of each sequence, `end` `[N, hidden]`."""
    if end is None:
        return dy
    times = apply("Unsqueeze", apply("Range", np.int64(0), dimension(way.x, 0), np.int64(1)), ints(1))
    last = apply("Sub", cast(way.lengths, "int64"), np.int64(1))
    is_last = apply("Unsqueeze", apply("Equal", times, last), ints(2))
    placed = only_where(is_last, apply("Unsqueeze", end, ints(0)))
    return placed if dy is None else apply("Add", dy, placed)


def _rows(x: Operand) -> Operand:
    """`[size, T * N]` of `[T, size, N]`: for sums over all steps of all examples."""
    return apply("Reshape", apply("Transpose", x, perm=[1, 0, 2]), vector([dimension(x, 1), -1]))


def _cut(x: Operand, axis: int, *sizes: Any) -> list[Operand]:
    """A matrix cut into parts of these sizes."""
    return [of_rank(part, 2) for part in apply_many("Split", x, vector(sizes), outputs=len(sizes), axis=axis)]


def _rnn(back: _Back, seen: Operand, slope: Operand) -> Found:
    rt = transposed(back.way.r)

    def step(dh: Operand, slope: Operand) -> tuple[list[Operand], Operand]:
        dgates = apply("Mul", dh, slope)
        return [apply("MatMul", rt, dgates)], dgates

    (dh,), dgates = back.over(step, [slope])
    return {**back.gradients(dgates, seen), "initial_h": transposed(dh)}


def _lstm(back: _Back, seen: Operand, to_i: Operand, to_o: Operand, to_f: Operand, to_new: Operand, to_c: Operand,
          f: Operand) -> Found:
    rt = transposed(back.way.r)

    def step(dh: Operand, dc: Operand, *factors: Operand) -> tuple[list[Operand], Operand]:
        to_i, to_o, to_f, to_new, to_c, f = factors
        dc = apply("Add", dc, apply("Mul", dh, to_c))
        dgates = apply("Concat", apply("Mul", dc, to_i), apply("Mul", dh, to_o), apply("Mul", dc, to_f),
                       apply("Mul", dc, to_new), axis=0)
        return [apply("MatMul", rt, dgates), apply("Mul", dc, f)], dgates

    (dh, dc), dgates = back.over(step, [to_i, to_o, to_f, to_new, to_c, f], count=2)
    return {**back.gradients(dgates, seen), "initial_h": transposed(dh), "initial_c": transposed(dc)}


def _gru(back: _Back, seen: Operand, z: Operand, to_z: Operand, to_reset: Operand, reset: Operand, to_new: Operand,
         part: Operand | None = None) -> Found:
    way, rt = back.way, transposed(back.way.r)
    to_gates, to_part = split(rt, 1, (2, 1))

    def linear_step(dh: Operand, *factors: Operand) -> Any:
        z, to_z, to_reset, to_hidden, to_new = factors
        dz, dreset, dhidden = (apply("Mul", dh, factor) for factor in (to_z, to_reset, to_hidden))
        dgates = apply("Concat", dz, dreset, dhidden, axis=0)
        return [apply("Gemm", rt, dgates, apply("Mul", dh, z))], (dgates, apply("Mul", dh, to_new))

    def step(dh: Operand, *factors: Operand) -> Any:
        z, to_z, to_reset, reset, to_new = factors
        dnew = apply("Mul", dh, to_new)
        dpart = apply("MatMul", to_part, dnew)
        dgates = apply("Concat", apply("Mul", dh, to_z), apply("Mul", dpart, to_reset), axis=0)
        direct = apply("Add", apply("Mul", dh, z), apply("Mul", dpart, reset))
        return [apply("Gemm", to_gates, dgates, direct)], (dgates, dnew)

    (dh,), kept = back.over(linear_step if part is None else step, [z, to_z, to_reset, reset, to_new])
    rows, new_rows = (_rows(x) for x in kept)
    size = dimension(way.r, 1)
    gates_rows, hidden_rows = split(rows, 0, (2, 1)) if part is None else (rows, new_rows)
    found = back.weights(gates_rows, _rows(seen))
    h, x = _cut(_rows(seen), 0, size, minus(dimension(seen, 1), size))
    of_h = apply("Gemm", hidden_rows, h if part is None else _rows(part), transB=1)
    of_x, *of_ones = _cut(apply("Gemm", new_rows, x, transB=1), 1, dimension(way.w, 1), *way.ones)
    results = {"X": back.x(apply("Concat", gates_rows, new_rows, axis=0)), "initial_h": transposed(dh),
               "W": apply("Concat", found["W"], of_x, axis=0), "R": apply("Concat", found["R"], of_h, axis=0)}
    if of_ones:
        both, first = split(found["B"], 0, (1, 1))[0], apply("Squeeze", of_ones[0], ints(1))
        second = apply("ReduceSum", hidden_rows, ints(1), keepdims=0) if part is None else first
        results["B"] = apply("Concat", both, first, both, second, axis=0)
    return results


_KINDS: Mapping[str, Callable[..., Found]] = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}
