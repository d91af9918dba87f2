"""Timing candidates in turn, so that a drift of the machine's speed hits all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds for one call, in each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)

    def times(self, base: Timing) -> float:
        """How many times the time of another: the median over the rounds, each of which has a speed of its own."""
        return statistics.median(a / b for a, b in zip(self.rounds, base.rounds, strict=True))


def measure(candidates: Mapping[str, Callable[[], object]], *, rounds: int = 15, target: float = 0.02,
            clock: Callable[[], float] = time.perf_counter) -> dict[str, Timing]:
    """Time every candidate in every round, each called often enough to take `target` seconds.

    With `time.thread_time` as the clock only work of this thread counts, so that other programs disturb less.
    """
    repeats = {}
    for name, call in candidates.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(target / max(time.perf_counter() - start, 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in candidates.items():
                start = clock()
                for _ in range(repeats[name]):
                    call()
                seconds[name].append((clock() - start) / repeats[name])
    finally:
        gc.enable()
    return {name: Timing(tuple(found)) for name, found in seconds.items()}


def table(title: str, rows: Mapping[str, Mapping[str, Timing]], base: str) -> str:
    """A Markdown table: medians, and in brackets how many times the time of `base`."""
    names = list(dict.fromkeys(name for timings in rows.values() for name in timings))
    lines = [f"### {title}", "", "| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for label, timings in rows.items():
        reference = timings.get(base)
        cells = [_cell(timings.get(name), reference, is_base=name == base) for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(timing: Timing | None, reference: Timing | None, *, is_base: bool) -> str:
    if timing is None:
        return "-"
    ratio = "" if is_base or reference is None else f" ({timing.times(reference):.2f})"
    return f"{_seconds(timing.median)}{ratio}"


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.3g} µs"
