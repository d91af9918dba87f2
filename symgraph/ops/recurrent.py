"""The recurrent operators RNN, GRU and LSTM said in other ops: a Scan over time, for every option that they have.

Their gradients come from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply, apply_many
from symgraph.ops.creation import zeros
from symgraph.ops.loops import scan
from symgraph.ops.sizes import dimension, ints

Activation = Callable[[Operand], Operand]
Texts = Sequence[str | bytes]


def rnn(X: Operand, W: Operand, R: Operand, B: Operand | None = None, sequence_lens: Operand | None = None,
        initial_h: Operand | None = None, *, activations: Texts | None = None, activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (), clip: float | None = None, direction: str | bytes = "forward",
        hidden_size: int | None = None, layout: int = 0) -> list[Operand]:
    """`h_t = f(x_t Wᵀ + h_(t - 1) Rᵀ + b)`; Y and Y_h."""
    del hidden_size
    options = _Options("rnn", activations or ("Tanh",), activation_alpha, activation_beta, clip, _text(direction))

    def directed(number: int) -> _Run:
        (f,) = options.functions(number, 1)
        w, r, b = part_of(W, number), part_of(R, number), part_of(B, number)
        x, rt = projected(x_first, w, _sum_of_halves(b)), transposed(r)

        def step(h: Operand, row: Operand) -> Operand:
            return f(options.clipped(apply("Add", row, apply("MatMul", h, rt))))

        return _Run(x, lambda state, row: [step(state[0], row)], [initial_state(initial, number, x_first, r)])

    x_first, initial = _time_first(X, layout), _time_first(initial_h, layout)
    return _outputs(options, directed, x_first, sequence_lens, layout)


def gru(X: Operand, W: Operand, R: Operand, B: Operand | None = None, sequence_lens: Operand | None = None,
        initial_h: Operand | None = None, *, activations: Texts | None = None, activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (), clip: float | None = None, direction: str | bytes = "forward",
        hidden_size: int | None = None, layout: int = 0, linear_before_reset: int = 0) -> list[Operand]:
    """`h_t = (1 - z) ⊙ h~ + z ⊙ h_(t - 1)` with the gates z and r, and `h~` of x and `r ⊙ h`; Y and Y_h."""
    del hidden_size
    options = _Options("gru", activations or ("Sigmoid", "Tanh"), activation_alpha, activation_beta, clip,
                       _text(direction))

    def directed(number: int) -> _Run:
        f, g = options.functions(number, 2)
        w, r, b = part_of(W, number), part_of(R, number), part_of(B, number)
        rt = transposed(r)
        gates, candidate = split(rt, 1, (2, 1))
        bias, inner = _gru_bias(b, is_linear=bool(linear_before_reset))
        x = projected(x_first, w, bias)

        def step(h: Operand, row: Operand) -> Operand:
            xzr, xh = split(row, 1, (2, 1))
            z, reset = split(f(options.clipped(apply("Add", xzr, apply("MatMul", h, gates)))), 1, (1, 1))
            if linear_before_reset:
                product = apply("MatMul", h, candidate)
                hidden = apply("Mul", reset, product if inner is None else apply("Add", product, inner))
            else:
                hidden = apply("MatMul", apply("Mul", reset, h), candidate)
            new = g(options.clipped(apply("Add", xh, hidden)))
            return apply("Add", new, apply("Mul", z, apply("Sub", h, new)))

        return _Run(x, lambda state, row: [step(state[0], row)], [initial_state(initial, number, x_first, r)])

    x_first, initial = _time_first(X, layout), _time_first(initial_h, layout)
    return _outputs(options, directed, x_first, sequence_lens, layout)


def lstm(X: Operand, W: Operand, R: Operand, B: Operand | None = None, sequence_lens: Operand | None = None,
         initial_h: Operand | None = None, initial_c: Operand | None = None, P: Operand | None = None, *,
         activations: Texts | None = None, activation_alpha: Sequence[float] = (),
         activation_beta: Sequence[float] = (), clip: float | None = None, direction: str | bytes = "forward",
         hidden_size: int | None = None, input_forget: int = 0, layout: int = 0) -> list[Operand]:
    """`c_t = f ⊙ c_(t - 1) + i ⊙ c~` and `h_t = o ⊙ h(c_t)` with the gates i, o and f; Y, Y_h and Y_c."""
    del hidden_size
    options = _Options("lstm", activations or ("Sigmoid", "Tanh", "Tanh"), activation_alpha, activation_beta, clip,
                       _text(direction))

    def directed(number: int) -> _Run:
        f, g, squash = options.functions(number, 3)
        w, r, b = part_of(W, number), part_of(R, number), part_of(B, number)
        x, rt = projected(x_first, w, _sum_of_halves(b)), transposed(r)
        peepholes = None if P is None else split(part_of(P, number), 0, (1, 1, 1))

        def peeped(gate: Operand, c: Operand, which: int) -> Operand:
            return gate if peepholes is None else apply("Add", gate, apply("Mul", peepholes[which], c))

        def step(h: Operand, c: Operand, row: Operand) -> list[Operand]:
            i, o, forget, new = split(apply("Add", row, apply("MatMul", h, rt)), 1, (1, 1, 1, 1))
            i = f(options.clipped(peeped(i, c, 0)))
            if input_forget:
                forget = apply("Sub", 1.0, i)
            else:
                forget = f(options.clipped(peeped(forget, c, 2)))
            c = apply("Add", apply("Mul", forget, c), apply("Mul", i, g(options.clipped(new))))
            o = f(options.clipped(peeped(o, c, 1)))
            return [apply("Mul", o, squash(c)), c]

        return _Run(x, lambda state, row: step(*state, row), [  # type: ignore[call-arg]
            initial_state(initial, number, x_first, r), initial_state(cell, number, x_first, r)])

    x_first, initial, cell = (_time_first(x, layout) for x in (X, initial_h, initial_c))
    return _outputs(options, directed, x_first, sequence_lens, layout)


@dataclass(frozen=True)
class _Run:
    """One direction: the projected inputs `[T, N, gates]`, a step from state and row to the state, and its start."""

    x: Operand
    step: Callable[[Sequence[Operand], Operand], list[Operand]]
    start: list[Operand]


@dataclass(frozen=True)
class _Options:
    """What the operators have in common."""

    who: str
    activations: Texts
    alphas: Sequence[float]
    betas: Sequence[float]
    clip: float | None
    direction: str

    @property
    def reversed(self) -> tuple[bool, ...]:
        """For each direction, whether it goes from the last step to the first."""
        return directions(self.direction)

    def functions(self, number: int, count: int) -> list[Activation]:
        """The activations of one direction; each takes what it needs from the lists of numbers, in order."""
        names = [_text(name).lower() for name in self.activations]
        names = names if len(names) > count else names * len(self.reversed)
        alphas, betas, found = iter(self.alphas), iter(self.betas), []
        for name in names:
            make, defaults = _ACTIVATIONS[name]
            numbers = [next(given, default) for given, default in zip((alphas, betas), defaults, strict=False)]
            found.append(make(*numbers))
        return found[number * count:(number + 1) * count]

    def clipped(self, x: Operand) -> Operand:
        """`x` between -clip and clip."""
        if self.clip is None:
            return x
        return apply("Clip", x, -self.clip, self.clip)


def directions(direction: str | bytes) -> tuple[bool, ...]:
    """For each direction of a recurrent operator, whether it goes from the last step to the first."""
    return {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[_text(direction)]


def _plain(name: str) -> tuple[Callable[..., Activation], tuple[float, ...]]:
    return lambda: lambda x: apply(name, x), ()


def _affine(alpha: float, beta: float) -> Activation:
    return lambda x: apply("Add", apply("Mul", x, alpha), beta)


def _scaled_tanh(alpha: float, beta: float) -> Activation:
    return lambda x: apply("Mul", apply("Tanh", apply("Mul", x, beta)), alpha)


_ACTIVATIONS: dict[str, tuple[Callable[..., Activation], tuple[float, ...]]] = {
    **{name.lower(): _plain(name) for name in ("Relu", "Tanh", "Sigmoid", "Softsign", "Softplus")},
    "affine": (_affine, (0.0, 0.0)),
    "scaledtanh": (_scaled_tanh, (0.0, 0.0)),
    "leakyrelu": (lambda alpha: lambda x: apply("LeakyRelu", x, alpha=alpha), (0.01,)),
    "thresholdedrelu": (lambda alpha: lambda x: apply("ThresholdedRelu", x, alpha=alpha), (0.0,)),
    "hardsigmoid": (lambda alpha, beta: lambda x: apply("HardSigmoid", x, alpha=alpha, beta=beta), (0.2, 0.5)),
    "elu": (lambda alpha: lambda x: apply("Elu", x, alpha=alpha), (1.0,)),
}
"""What makes an activation of its numbers, and these where they are not given: those that ONNX Runtime takes."""


def _outputs(options: _Options, directed: Callable[[int], _Run], x: Operand, lengths: Operand | None, layout: int,
             ) -> list[Operand]:
    """Y `[T, directions, N, hidden]` and the last states `[directions, N, hidden]`, or as `layout` 1 has them."""
    mask = None if lengths is None else mask_of(x, lengths)
    runs = [_run(directed(number), mask, is_reversed=is_reversed)
            for number, is_reversed in enumerate(options.reversed)]
    if lengths is not None:  # of a sequence without steps the last state is 0, as ONNX Runtime has it
        has_steps = apply("Unsqueeze", apply("Greater", lengths, np.int32(0)), ints(1))
        runs = [(y, [only_where(has_steps, state) for state in states]) for y, states in runs]
    ys = [apply("Unsqueeze", y, ints(1)) for y, _ in runs]
    finals = [[apply("Unsqueeze", state, ints(0)) for state in states] for _, states in runs]
    found = [ys[0] if len(ys) == 1 else apply("Concat", *ys, axis=1)]
    found += [column[0] if len(column) == 1 else apply("Concat", *column, axis=0)
              for column in zip(*finals, strict=True)]
    if layout:
        return [apply("Transpose", found[0], perm=[2, 0, 1, 3]), *(
            apply("Transpose", x, perm=[1, 0, 2]) for x in found[1:])]
    return found


def _run(run: _Run, mask: Operand | None, *, is_reversed: bool) -> tuple[Operand, Sequence[Operand]]:
    """All h and the last states. Beyond the end of a sequence states stay as they are, and y is 0."""

    def step(state: Sequence[Operand], row: Any) -> tuple[Sequence[Operand], Operand]:
        if mask is None:
            new = run.step(state, row)
            return new, new[0]
        x, is_inside = row
        new = run.step(state, x)
        kept = [apply("Where", is_inside, a, b) for a, b in zip(new, state, strict=True)]
        return kept, only_where(is_inside, new[0])

    states, ys = scan(step, run.start, run.x if mask is None else (run.x, mask), reverse=is_reversed)
    return ys, states


def only_where(condition: Operand, x: Operand) -> Operand:
    """`x` where the condition holds, else 0."""
    return apply("Where", condition, x, 0.0)


def mask_of(x: Operand, lengths: Operand) -> Operand:
    """`[T, N, 1]`: whether a step is before the end of a sequence."""
    times = apply("Range", np.int64(0), dimension(x, 0), np.int64(1))
    inside = apply("Less", apply("Unsqueeze", times, ints(1)), apply("Cast", lengths, to=7))
    return apply("Unsqueeze", inside, ints(2))


def _time_first(x: Any, layout: int) -> Any:
    return apply("Transpose", x, perm=[1, 0, 2]) if layout and x is not None else x


def part_of(x: Operand | None, number: int) -> Any:
    """What belongs to one direction."""
    return None if x is None else apply("Gather", x, np.int64(number), axis=0)


def transposed(x: Operand) -> Operand:
    """A matrix, the other way round."""
    return apply("Transpose", x, perm=[1, 0])


def projected(x: Operand, w: Operand, b: Operand | None) -> Operand:
    """`x wᵀ + b`."""
    product = apply("MatMul", x, transposed(w))
    return product if b is None else apply("Add", product, b)


def split(x: Operand, axis: int, parts: Sequence[int]) -> tuple[Operand, ...]:
    """`x` cut into `parts` of its equal shares."""
    size, shares = x.shape[axis], sum(parts)
    if isinstance(size, int):
        sizes = ints(*(size // shares * count for count in parts))
        return apply_many("Split", x, sizes, outputs=len(parts), axis=axis)
    found, rest = [], list(apply_many("Split", x, outputs=shares, axis=axis, num_outputs=shares))
    for count in parts:
        found.append(rest[0] if count == 1 else apply("Concat", *rest[:count], axis=axis))
        del rest[:count]
    return tuple(found)


def _sum_of_halves(b: Operand | None) -> Operand | None:
    """The bias of the input and that of the state together."""
    if b is None:
        return None
    first, second = split(b, 0, (1, 1))
    return apply("Add", first, second)


def _gru_bias(b: Operand | None, *, is_linear: bool) -> tuple[Operand | None, Operand | None]:
    """The bias to add to the projected input, and the one to add to the state's part of the candidate."""
    if b is None:
        return None, None
    if not is_linear:
        return _sum_of_halves(b), None
    wz, wr, wh, rz, rr, rh = split(b, 0, (1,) * 6)
    return apply("Concat", apply("Add", wz, rz), apply("Add", wr, rr), wh, axis=0), rh


def initial_state(x: Operand | None, number: int, row: Operand, r: Operand) -> Operand:
    """The first state of one direction, zeros unless given."""
    if x is not None:
        return part_of(x, number)  # type: ignore[no-any-return]
    return zeros((dimension(row, 1), dimension(r, 1)), row.dtype)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
