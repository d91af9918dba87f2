"""For which sizes of batches a step is compiled: the first and frequent ones exactly, others with sizes left open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from symgraph.core.types import Dim, TensorType

Types = tuple[TensorType, ...]

REPEATS = 16
"""After so many batches of one size it is compiled for that size."""

EXACT = 4
"""At most so many sizes are compiled for exactly."""


@dataclass
class Plan:
    """What was chosen so far, which decides what is chosen next; as plain data it goes into checkpoints.

    >>> from symgraph.core.types import TensorType
    >>> plan = Plan()
    >>> full, rest = (TensorType("float32", (32, 4)),), (TensorType("float32", (7, 4)),)
    >>> [str(plan.choose(types)[0]) for types in (full, rest, full)]
    ['float32[32, 4]', 'float32[batch, 4]', 'float32[32, 4]']
    """

    exact: list[Types] = field(default_factory=list)
    open: list[Types] = field(default_factory=list)
    seen: Counter[Types] = field(default_factory=Counter)

    def choose(self, types: Types, times: int = 1) -> Types:
        """The types to compile for where a batch of these types comes, `times` times from now on."""
        if types in self.exact:
            return types
        self.seen[types] += times
        alike = [known for known in self.exact if _is_alike(known, types)]
        if not alike or (self.seen[types] > REPEATS and len(self.exact) < EXACT):
            self.exact.append(types)
            return types
        found = next((known for known in self.open if _covers(known, types)), None)
        if found is None:
            found = _open_types([known for known in self.seen if _is_alike(known, types)])
            self.open.append(found)
        return found

    def to_data(self) -> dict[str, Any]:
        """As lists, strings and numbers."""
        return {"exact": [_plain(t) for t in self.exact], "open": [_plain(t) for t in self.open],
                "seen": [[_plain(t), count] for t, count in self.seen.items()]}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Plan:
        """What `to_data` gave."""
        return cls([_types(t) for t in data["exact"]], [_types(t) for t in data["open"]],
                   Counter({_types(t): int(count) for t, count in data["seen"]}))


def _plain(types: Types) -> list[Any]:
    return [[t.dtype, list(t.shape or ())] for t in types]


def _types(data: Iterable[Any]) -> Types:
    return tuple(TensorType(dtype, tuple(shape)) for dtype, shape in data)


def _is_alike(a: Types, b: Types) -> bool:
    """Whether dtypes and ranks are the same."""
    return [(t.dtype, len(t.shape or ())) for t in a] == [(t.dtype, len(t.shape or ())) for t in b]


def _covers(known: Types, wanted: Types) -> bool:
    return _is_alike(known, wanted) and all(
        not isinstance(a, int) or a == b for k, w in zip(known, wanted, strict=True)
        for a, b in zip(k.shape or (), w.shape or (), strict=True))


def _open_types(seen: Sequence[Types]) -> Types:
    """The types with those sizes open that were not always the same.

    Where the first axes always agree they have one name, for they are the batch.
    """
    lengths = [{t.shape[0] for t in types if t.shape} for types in seen]
    batch = "batch" if all(len(found) == 1 for found in lengths) else None
    made = []
    for group in zip(*seen, strict=True):
        dims: list[Dim] = []
        for axis, sizes in enumerate(zip(*(t.shape or () for t in group), strict=True)):
            is_same = len(set(sizes)) == 1
            dims.append(sizes[0] if is_same else batch if axis == 0 else None)
        made.append(TensorType(group[0].dtype, tuple(dims)))
    return tuple(made)
