"""What each pass of a pipeline did to a graph, as a table of at most 100 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

WIDTHS = (30, 35, 20)
"""Columns for the pass, what it removed, and what it added."""


@dataclass(frozen=True)
class PassReport:
    """What one pass did, over all rounds."""

    name: str
    removed: Counter[str]
    added: Counter[str]
    seconds: float

    def __str__(self) -> str:
        cells = (cut(self.name, WIDTHS[0]), count(self.removed, WIDTHS[1]), count(self.added, WIDTHS[2]))
        return _row(*cells, f"{1e3 * self.seconds:.1f} ms")


@dataclass(frozen=True)
class Report:
    """What each pass of a pipeline did, in order."""

    rows: tuple[PassReport, ...]
    nodes_before: int
    nodes_after: int

    def __iter__(self) -> Iterator[PassReport]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        head = f"{self.nodes_before} nodes before, {self.nodes_after} after"
        return "\n".join([head, _row("pass", "removed", "added", "time"), *map(str, self.rows)])


def _row(name: str, removed: str, added: str, time: str) -> str:
    return f"{name:<{WIDTHS[0]}} {removed:<{WIDTHS[1]}} {added:<{WIDTHS[2]}} {time:>11}"


def count(operators: Counter[str], width: int) -> str:
    """`12 Mul, 3 Add … 5 more`: the most frequent operators, as many as there is room for.

    >>> count(Counter(Mul=12, Transpose=3, Add=3, Sub=1), 22), count(Counter(), 22)
    ('12 Mul, 3 Add … 2 more', '-')
    """
    if not operators:
        return "-"
    shown = [f"{n} {name}" for name, n in sorted(operators.items(), key=lambda item: (-item[1], item[0]))]
    text = ", ".join(shown)
    for kept in range(len(shown) - 1, 0, -1):
        if len(text) <= width:
            return text
        text = f"{', '.join(shown[:kept])} … {len(shown) - kept} more"
    return cut(text, width)


def cut(text: str, width: int) -> str:
    """A text that is no longer than there is room for."""
    return text if len(text) <= width else f"{text[:width - 1]}…"
