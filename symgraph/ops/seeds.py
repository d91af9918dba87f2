"""Where random numbers start: seeds, the generators that count draws, and the global one.

A draw is a pure function of a key `[seed, step]` and a number. Functions that a graph runs again or perhaps not at all,
the bodies of loops and branches, draw from keys of their own, which are computed of the key around them (`split_key`).
The steps of such a key are the turns of a loop (`key_at`), so nothing is carried from one turn to the next, and
whoever goes over the turns again draws the same.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op, placeholder, record
from symgraph.core.composite import apply_composite
from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.op import find_op
from symgraph.core.scope import EagerStep, Trace, current_eager_step, current_trace, not_tracing
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES, TensorType
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable

__all__ = ["Seed", "SeedGenerator", "draw_key", "global_generator", "key_at", "make_default_seed", "set_seed",
           "split_key"]

_KEY_TYPE = TensorType("int64", (2,))

_ONE_STEP = np.array([0, 1], np.int64)

_GAMMA = 0x9E3779B97F4A7C15
_SHIFTS = (30, 27, 31)
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)

_LAST = 2**32 - 1
"""The number of the first draw of a function; they count down."""

_FIXED_STEP = -1
"""The step of an int seed: no generator counts that far, so its numbers are those of no generator."""


class SeedGenerator:
    """Counts draws: each draw with it gives other numbers, the same ones in every program with this seed.

    `state` is a non-trainable int64 variable `[seed, step]`. A draw on values takes the present step and
    advances it. A draw on symbols becomes a node that reads `state` when the graph runs, with a number of its
    own, so that two draws in one graph differ. Inside a traced function each call of it advances the step, and draws
    are numbered from the start of the function, so that it draws the same however often it was traced before; a bare
    `Graph` is a pure function and running it advances nothing: `advance` does, between runs.

    Every turn of a loop draws other numbers, as in Python, though not the ones that the loop in Python would draw:
    the loop has a seed of its own, and its turns are the steps. Gradients of the loop see what it has drawn.

    Without a seed it takes one from the global generator, so `set_seed` fixes it too.

    >>> import symgraph as sg
    >>> a, b = sg.random.SeedGenerator(7), sg.random.SeedGenerator(7)
    >>> bool((sg.random.uniform((3,), seed=a).numpy() == sg.random.uniform((3,), seed=b).numpy()).all())
    True
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self.seed = make_default_seed() if seed is None else _checked(seed)
        self.name = name or "seed_generator"
        with not_tracing():
            self.state = Variable(_state(self.seed, 0), trainable=False, name=f"{self.name}/state")
        self.given: int | None = None  # what `set_seed` was called with, of the global generator
        self._symbolic_draws = 0
        self._lock = threading.Lock()

    def draw(self, *, is_symbolic: bool) -> tuple[Operand, int]:
        """The key of one draw, `[seed, step]`, and the number of the draw within the step."""
        trace = current_trace()
        if trace is None and not is_symbolic:
            step = current_eager_step()
            return (Tensor(self._advance()), 0) if step is None else self._drawn_in_step(step)
        if trace is not None and (trace.is_body or not trace.is_definition):
            key, numbers = self._drawn_in(trace)
            return key, next(numbers)
        self._symbolic_draws += 1
        return self.state, self._symbolic_draws

    def _drawn_in(self, trace: Trace) -> tuple[Operand, itertools.count[int]]:
        """What draws in a trace are made from: `state`, one step on, or the key of a body; and their numbers.

        The numbers of a function count down, away from those of draws outside of traces.
        """
        if self not in trace.draws:
            if trace.is_body:
                trace.draws[self] = placeholder(_KEY_TYPE, f"{self.name}/key"), itertools.count()
            else:
                trace.draws[self] = self.state, itertools.count(_LAST, -1)
                self.advance()
        return trace.draws[self]  # type: ignore[return-value]

    def _drawn_in_step(self, step: EagerStep) -> tuple[Operand, int]:
        """What a step draws on values: the same as when it is traced."""
        if self not in step.draws:
            step.draws[self] = Tensor(np.add(self._advance(), _ONE_STEP)), itertools.count(_LAST, -1)
        key, numbers = step.draws[self]
        return key, next(numbers)

    def next(self) -> Operand:
        """A key `[seed, step]` that can be given as `seed`, another one at each call."""
        return self.split(is_symbolic=False)

    def split(self, *, is_symbolic: bool) -> Operand:
        """A key that nothing else draws from: that of the step on values, else one with a seed of its own."""
        key, number = draw_key(self, is_symbolic=is_symbolic)
        return key if isinstance(key, Tensor) else split_key(key, number)

    def advance(self) -> None:
        """Go one step on: the next run of a graph that draws from this generator gives other numbers."""
        trace = current_trace()
        if trace is None:
            self._advance()
        elif trace.is_body:
            self._drawn_in(trace)
        elif self.state not in trace.updates:
            self.state.assign(apply_op("Add", self.state, _ONE_STEP))

    def reset(self, seed: int) -> None:
        """Start anew with another seed."""
        with self._lock, not_tracing():
            self.seed = _checked(seed)
            self._symbolic_draws = 0
            self.state.assign(_state(self.seed, 0))

    def _advance(self) -> np.ndarray[Any, Any]:
        with self._lock:
            present = self.state.numpy()
            self.state.assign(np.add(present, _ONE_STEP))
        return present

    def get_config(self) -> dict[str, Any]:
        """What makes an equal generator, at its start."""
        return {"seed": self.seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """A generator of what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<SeedGenerator seed={self.seed}, step={int(self.state.numpy()[1])}>"


Seed = int | SeedGenerator | Operand | None
"""A fixed number, a generator, a key that one gave, or None for the global generator."""

_GLOBAL: list[SeedGenerator] = []


def global_generator() -> SeedGenerator:
    """The generator behind every draw without a seed."""
    return _GLOBAL[0]


def set_seed(seed: int) -> None:
    """Start the global generator anew: what is drawn without a seed is the same from here on.

    Errors: `DtypeError` for what is not a whole number.

    >>> import symgraph as sg
    >>> sg.random.set_seed(6); a = sg.random.normal((2,)).numpy()
    >>> sg.random.set_seed(6); b = sg.random.normal((2,)).numpy()
    >>> bool((a == b).all())
    True
    """
    generator = global_generator()
    generator.reset(_mixed(_checked(seed)))
    generator.given = int(seed)


def make_default_seed() -> int:
    """A fresh seed from the global generator, at least 0 and below 2^31; the generator goes one step on."""
    seed, step = (int(x) for x in global_generator()._advance())
    return _mixed(_mixed(seed) + step) % 2**31


def draw_key(seed: Seed, *, is_symbolic: bool) -> tuple[Operand, int]:
    """The key and the number of one draw with `seed`. Inside a trace and with `is_symbolic`, the key is a symbol
    or a variable, so that what is made of it is recorded."""
    if seed is None:
        seed = global_generator()
    if isinstance(seed, SeedGenerator):
        key, number = seed.draw(is_symbolic=is_symbolic)
    elif isinstance(seed, Operand):
        key, number = _checked_key(seed), 0
    else:
        key, number = Tensor(_state(_checked(seed), _FIXED_STEP)), 0
    is_recorded = is_symbolic or current_trace() is not None
    if is_recorded and (isinstance(key, Tensor) or (isinstance(key, Variable) and current_trace() is None)):
        recorded = record(find_op("Identity"), (key,), {}, (True,))[0]
        assert recorded is not None
        key = recorded
    return key, number


def split_key(key: Operand, number: int) -> Operand:
    """A key with a seed of its own, for the draw `number` of `key`: `[mixed(mixed(seed) + step + number γ), 0]`.

    `mixed` is the finalizer of SplitMix64, γ the odd number next to the golden section of 2^64: neighbours come out far
    from each other.

    Source: Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators.
    """
    result: Operand = apply_composite("RandomKey", _split_body, key, _wrapped(number * _GAMMA))
    return result


def _split_body(key: Operand, offset: Operand) -> Operand:
    seed, step = apply_op("Split", key, np.ones(2, np.int64), outputs=2)
    new = _mixed_operand(apply_op("Add", apply_op("Add", _mixed_operand(seed), step), offset))
    result: Operand = apply_op("Concat", new, np.zeros(1, np.int64), axis=0)
    return result


def key_at(key: Operand, turn: Operand) -> Operand:
    """The key of one turn of a loop that has `key`: `[seed, step + turn]`; `(turns, 2)` for several turns."""
    result: Operand = apply_op("Add", key, apply_op("Mul", apply_op("Unsqueeze", turn, [-1]), _ONE_STEP))
    return result


def _checked(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise DtypeError(f"a seed is a whole number, a sg.random.SeedGenerator or None, got {seed!r}")
    return int(seed)


def _checked_key(key: Operand) -> Operand:
    if key.dtype != "int64" or key.shape != (2,):
        raise ShapeError(f"a seed given as a tensor is int64[2], as SeedGenerator.next() gives it, got {key!r}")
    return key


def _state(seed: int, step: int) -> np.ndarray[Any, Any]:
    return np.array([seed % 2**64, step % 2**64], np.uint64).view(np.int64)


def _mixed(seed: int) -> int:
    """SplitMix64's finalizer: neighbouring seeds become far ones."""
    z = (seed + _GAMMA) % 2**64
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        z = (z ^ (z >> shift)) * factor % 2**64
    return z


def _mixed_operand(seed: Operand) -> Operand:
    """`_mixed` of int64 numbers, as ops; sums and products of int64 have kernels in every ONNX Runtime."""
    z: Operand = apply_op("Add", seed, _wrapped(_GAMMA))
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        bits = apply_op("Cast", z, to=ELEM_TYPES["uint64"])
        shifted = apply_op("BitShift", bits, np.uint64(shift), direction="RIGHT")
        z = apply_op("Cast", apply_op("BitwiseXor", bits, shifted), to=ELEM_TYPES["int64"])
        z = z if factor == 1 else apply_op("Mul", z, _wrapped(factor))
    return z


def _wrapped(number: int) -> np.int64:
    """The int64 with the same 64 bits."""
    return np.uint64(number % 2**64).view(np.int64)


_GLOBAL.append(SeedGenerator(secrets.randbits(63), "global_seed_generator"))
