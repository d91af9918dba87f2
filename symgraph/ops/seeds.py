"""Where random numbers start: seeds, the generators that count draws, and the global one."""

from __future__ import annotations

import itertools
import secrets
import threading
import weakref
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op, record
from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.op import find_op
from symgraph.core.scope import Trace, current_trace, not_tracing
from symgraph.core.tensor import Operand
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable

__all__ = ["Seed", "SeedGenerator", "draw_key", "global_generator", "make_default_seed", "set_seed"]

_ONE_STEP = np.array([0, 1], np.int64)

_FIXED_STEP = -1
"""The step of an int seed: no generator counts that far, so its numbers are those of no generator."""


class SeedGenerator:
    """Counts draws: each draw with it gives other numbers, the same ones in every program with this seed.

    `state` is a non-trainable int64 variable `[seed, step]`. A draw on values takes the present step and
    advances it. A draw on symbols becomes a node that reads `state` when the graph runs, with a number of its
    own, so that two draws in one graph differ. Inside a traced function each call of it advances the step, and draws
    are numbered from the start of the function, so that it draws the same however often it was traced before; a bare
    `Graph` is a pure function and running it advances nothing: `advance` does, between runs.

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
        self._symbolic_draws = 0
        self._traces: list[tuple[weakref.ref[Trace], weakref.ref[Operand], itertools.count[int]]] = []
        self._lock = threading.Lock()

    def draw(self, *, is_symbolic: bool) -> tuple[Operand, int]:
        """The key of one draw, `[seed, step]`, and the number of the draw within the step."""
        trace = current_trace()
        if trace is None and not is_symbolic:
            return Tensor(self._advance()), 0
        if trace is not None and not trace.is_definition:
            self.advance()
            return self.state, next(self._numbers(trace))
        self._symbolic_draws += 1
        return self.state, self._symbolic_draws

    def _numbers(self, trace: Trace) -> itertools.count[int]:
        """The numbers of the draws in a trace, and in its branches, which have its update of `state`.

        They count down, away from those of draws outside of traces.
        """
        update = trace.updates[self.state]
        self._traces = [entry for entry in self._traces if entry[0]() is not None]
        for known, known_update, numbers in self._traces:
            if known() is trace or known_update() is update:
                return numbers
        numbers = itertools.count(2**32 - 1, -1)
        self._traces.append((weakref.ref(trace), weakref.ref(update), numbers))
        return numbers

    def next(self) -> Operand:
        """A key `[seed, step]` that can be given as `seed`, and go one step on."""
        return self.draw(is_symbolic=False)[0]

    def advance(self) -> None:
        """Go one step on: the next run of a graph that draws from this generator gives other numbers."""
        if current_trace() is None:
            self._advance()
        elif self.state not in current_trace().updates:  # type: ignore[union-attr]
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
    global_generator().reset(_mixed(_checked(seed)))


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
    z = (seed + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


_GLOBAL.append(SeedGenerator(secrets.randbits(63), "global_seed_generator"))
