"""Progbar: how far a loop has come, on one line of the terminal. Public as `sg.utils.Progbar`."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError

_RECENT = 50


class Progbar:
    """Shows steps done, the time left, the time a step takes, and numbers: `12/32 ━━━━━━━─────────── 3s 9ms/step`.

    `target` is the number of steps, None where nobody knows; `verbose` 0 says nothing, 1 draws a bar, 2 prints one
    line at the end. Where the output is not a terminal, 1 is as 2. The bar is drawn at most every `interval` seconds.

    Numbers in `stateful_metrics` are shown as they come, all others as means over the steps; with
    `stateless_metrics`, those are the means. The time left goes by the steps drawn last, and neither it nor the time
    of a step counts the first one, which compiles; what is not known is not shown.

    Errors: `TrainingError` for both kinds of metrics at once, or a `target` below 0.

    >>> import symgraph as sg
    >>> from symgraph.training.progress_bar import Progbar
    >>> bar = Progbar(2, verbose=2)
    >>> bar.update(1, [("loss", 1.0)])
    >>> bar.update(2, [("loss", 0.5)])
    2/2 - 0s - ...s/step - loss: 0.5000
    """

    def __init__(self, target: int | None, width: int = 20, verbose: int = 1, interval: float = 0.05,
                 stateful_metrics: Iterable[str] | None = None, stateless_metrics: Iterable[str] | None = None,
                 unit_name: str = "step") -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise TrainingError("Progbar takes stateful_metrics (shown as they are) or stateless_metrics (shown as "
                                "means), not both")
        if target is not None and target < 0:
            raise TrainingError(f"Progbar: target must be a number of steps or None, got {target}")
        self.target, self.width, self.verbose, self.interval = target, width, verbose, interval
        self.unit_name = unit_name
        self._shown_as_they_are = None if stateless_metrics is not None else frozenset(stateful_metrics or ())
        self._shown_as_means = frozenset(stateless_metrics or ())
        self._sums: dict[str, tuple[Any, int]] = {}
        self._seen = 0
        self._start = time.perf_counter()
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] = (0, self._start)
        self._recent: deque[tuple[int, float]] = deque(maxlen=_RECENT)
        self._drawn_at = -math.inf
        self._drawn_width = 0

    def update(self, current: int, values: Iterable[tuple[str, Any]] | None = None,
               finalize: bool | None = None) -> None:
        """Say that `current` steps are done, and what the last ones gave; `finalize` ends the line.

        Without `finalize` the line ends when `target` is reached.
        """
        now = time.perf_counter()
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        self._clock(current, now)
        is_bar = self.verbose == 1 and is_terminal()
        is_due = is_bar and self.is_due
        for name, value in values or ():
            self._take(name, value, current, is_final=finalize)
        self._seen = current
        if finalize and self.verbose:
            write(self._bar(now, is_final=True) if is_bar else self._line(now))
        elif is_due:
            self._drawn_at = now
            self._recent.append(self._last)
            write(self._bar(now, is_final=False))

    @property
    def is_due(self) -> bool:
        """Whether `interval` has passed since the bar was drawn."""
        return time.perf_counter() - self._drawn_at >= self.interval

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Say that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _clock(self, current: int, now: float) -> None:
        if current <= self._last[0]:
            return
        self._last = (current, now)
        if self._first is None:
            self._first = self._last
            self._recent.append(self._last)

    def _take(self, name: str, value: Any, current: int, *, is_final: bool) -> None:
        is_mean = name in self._shown_as_means if self._shown_as_they_are is None else (
            name not in self._shown_as_they_are)
        if is_final or not is_mean:
            self._sums[name] = (value, 1)
            return
        steps = max(current - self._seen, 1)
        total, count = self._sums.get(name, (0.0, 0))
        self._sums[name] = (total + value * steps, count + steps)

    # What is written.

    def _bar(self, now: float, *, is_final: bool) -> str:
        parts = []
        if self.target:
            digits = len(str(self.target))
            done = min(int(self.width * self._seen / self.target), self.width)
            parts += [f"{self._seen:{digits}d}/{self.target}", "━" * done + "─" * (self.width - done)]
        else:
            parts += [f"{self._seen:7d}/Unknown"]
        if is_final or not self.target:
            parts += [f"{now - self._start:.0f}s"]
        elif (left := self._left()) is not None:
            parts += [_clock_time(left)]
        if (step := self._step()) is not None:
            parts += [_short_time(step) + f"/{self.unit_name}"]
        text = " ".join(parts) + self._metrics()
        if not is_final:
            text = text[:shutil.get_terminal_size().columns - 1]
        gap = " " * (self._drawn_width - len(text))
        self._drawn_width = len(text)
        return f"\r{text}{gap}" + ("\n" if is_final else "")

    def _line(self, now: float) -> str:
        digits = len(str(self.target))
        count = f"{self._seen:{digits}d}/{self.target}" if self.target else f"{self._seen}/Unknown"
        step = self._step()
        each = "" if step is None else f" - {_short_time(step)}/{self.unit_name}"
        return f"{count} - {now - self._start:.0f}s{each}{self._metrics()}\n"

    def _metrics(self) -> str:
        return "".join(f" - {name}: {_number(total, count)}" for name, (total, count) in self._sums.items())

    def _step(self) -> float | None:
        """The seconds a step takes: the mean without the first one, where there are more."""
        if self._first is None:
            return None
        (first, begun), (last, ended) = self._first, self._last
        return (ended - begun) / (last - first) if last > first else (begun - self._start) / first

    def _left(self) -> float | None:
        """The seconds left, by the steps drawn last; None before there are two."""
        (before, begun), (last, ended) = self._recent[0] if self._recent else self._last, self._last
        if self.target is None or last <= before:
            return None
        return (ended - begun) / (last - before) * (self.target - self._seen)


def write(text: str) -> None:
    """Write to the output as it is now, with plain signs where it has no others."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("━", "=").replace("─", ".").encode(encoding, "replace").decode(encoding)
    sys.stdout.write(text)
    sys.stdout.flush()


def is_terminal() -> bool:
    """Whether a line that was written can be written over: on terminals and in notebooks."""
    is_one = getattr(sys.stdout, "isatty", None)
    return bool(is_one and is_one()) or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


def _number(total: Any, count: int) -> str:
    if np.asarray(total).dtype.kind not in "biuf":
        return str(total)
    mean = float(np.mean(total)) / max(1, count)
    return f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}"


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}" if minutes else f"{rest}s"


def _short_time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
