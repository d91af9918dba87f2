"""How long a function takes, and what it allocates and runs, in the manner of TensorFlow.js."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from symgraph.core.memory import memory
from symgraph.runtime import eager


@dataclass(frozen=True)
class TimeInfo:
    """Milliseconds a function took by the clock on the wall."""

    wall_ms: float


@dataclass(frozen=True)
class Kernel:
    """One op, or the body of a composite one, that a profiled function ran on values."""

    name: str
    input_shapes: tuple[object, ...]
    output_shapes: tuple[object, ...]
    wall_ms: float
    bytes_added: int


@dataclass(frozen=True)
class ProfileInfo:
    """What a profiled function returned, left alive, took at most, and ran."""

    result: Any
    new_tensors: int
    new_bytes: int
    peak_bytes: int
    kernels: tuple[Kernel, ...]

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """The names of the ops that ran, each once, in order of first use."""
        return tuple(dict.fromkeys(kernel.name for kernel in self.kernels))


def time(function: Callable[[], object]) -> TimeInfo:
    """Run `function` and say how many milliseconds it took.

    >>> import symgraph as sg
    >>> sg.time(lambda: 1 + 1).wall_ms < 1000
    True
    """
    start = clock.perf_counter()
    function()
    return TimeInfo((clock.perf_counter() - start) * 1e3)


def profile(function: Callable[[], Any]) -> ProfileInfo:
    """Run `function` and say what it returned, which ops it ran, and the tensors and bytes it added.

    `peak_bytes` is the most that tensors took after any op; inside a compiled graph nothing is counted.
    """
    recorder = _Recorder()
    before = memory()
    with eager.observed_by(recorder):
        result = function()
    after = memory()
    return ProfileInfo(result, after.num_tensors - before.num_tensors, after.num_bytes - before.num_bytes,
                       max(recorder.peak, after.num_bytes), tuple(recorder.kernels))


class _Recorder:
    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.peak = memory().num_bytes

    def __call__(self, name: str, operands: tuple[Any, ...], run: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        before, start = memory().num_bytes, clock.perf_counter()
        with eager.observed_by(None):
            results = run()
        taken, after = clock.perf_counter() - start, memory().num_bytes
        self.peak = max(self.peak, after)
        self.kernels.append(Kernel(name, _shapes(operands), _shapes(results), taken * 1e3, after - before))
        return results


def _shapes(values: tuple[Any, ...]) -> tuple[object, ...]:
    return tuple(getattr(x, "shape", None) for x in values)


