"""Timing candidates in turn, so that a drift of the machine's speed hits all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds for one call: the median over the rounds, and the range."""

    median: float
    low: float
    high: float


def measure(candidates: Mapping[str, Callable[[], object]], *, rounds: int = 15, target: float = 0.02,
            ) -> dict[str, Timing]:
    """Time every candidate in every round, each called often enough to take `target` seconds."""
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
                start = time.perf_counter()
                for _ in range(repeats[name]):
                    call()
                seconds[name].append((time.perf_counter() - start) / repeats[name])
    finally:
        gc.enable()
    return {name: Timing(statistics.median(s), min(s), max(s)) for name, s in seconds.items()}


def table(title: str, rows: Mapping[str, Mapping[str, Timing]], base: str) -> str:
    """A Markdown table: medians, and in brackets how many times the time of `base`."""
    names = list(dict.fromkeys(name for timings in rows.values() for name in timings))
    lines = [f"### {title}", "", "| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for label, timings in rows.items():
        reference = timings[base].median if base in timings else None
        cells = [_cell(timings.get(name), reference, is_base=name == base) for name in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(timing: Timing | None, reference: float | None, *, is_base: bool) -> str:
    if timing is None:
        return "-"
    ratio = "" if is_base or not reference else f" ({timing.median / reference:.2f})"
    return f"{_seconds(timing.median)}{ratio}"


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-6:.3g} µs"
