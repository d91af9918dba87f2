"""Stages that choose which elements come, and in which order: shuffle, repeat, skip, take, shard, cache, prefetch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from symgraph.training.data.elements import Element
from symgraph.training.data.nodes import INFINITE, UNKNOWN, Node, Path, Selection
from symgraph.training.data.prefetching import Prefetcher

DRAWS = 1024
"""Random numbers drawn at a time."""

Read = Callable[[Path, int], Iterator[Any]]


@dataclass(frozen=True, eq=False)
class Shuffled(Selection):
    """Elements drawn at random from a buffer of `size`, which the next elements of the source fill up again.

    A buffer for all elements gives every order equally often. The order is a pure function of `seed` and path, of
    `seed` alone where each pass is to be the same.
    """

    size: int
    seed: int
    reshuffles: bool = True

    def pick(self, read: Read, path: Path, start: int) -> Iterator[Any]:
        count = self.source.count()
        rng = self._generator(path)
        if self.source.table is not None and 0 <= count <= self.size:
            elements = list(read(path, 0))
            return map(elements.__getitem__, rng.permutation(count)[start:].tolist())
        if start and count >= 0:
            return self._from(read, path, start, count)
        return itertools.islice(_drawn(rng, read(path, 0), self.size), start, None)

    def _from(self, read: Read, path: Path, start: int, count: int) -> Iterator[Any]:
        """As from the beginning, but only elements still to come are kept: numbers are drawn in their place."""
        order = list(_drawn(self._generator(path), iter(range(count)), self.size))[start:]
        first = min(order, default=count)
        source = enumerate(read(path, first), first)
        waiting: dict[int, Any] = {}
        wanted = set(order)
        for number in order:
            while number not in waiting:
                place, element = next(source)
                if place in wanted:
                    waiting[place] = element
            yield waiting.pop(number)

    def _generator(self, path: Path) -> np.random.Generator:
        entropy = [self.seed % 2**64, *(path if self.reshuffles else ())]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))

    def count(self) -> int:
        return self.source.count()

    def seeds(self) -> list[int]:
        return [*super().seeds(), self.seed]

    def with_seeds(self, seeds: Iterator[int]) -> Self:
        source = self.source.with_seeds(seeds)
        return replace(self, source=source, seed=next(seeds))


def _drawn(rng: np.random.Generator, elements: Iterator[Any], size: int) -> Iterator[Any]:
    buffer = list(itertools.islice(elements, size))
    draws = itertools.chain.from_iterable(iter(lambda: rng.random(DRAWS).tolist(), None))
    while buffer:
        place = int(next(draws) * len(buffer))
        yield buffer[place]
        for element in elements:
            buffer[place] = element
            break
        else:
            buffer[place] = buffer[-1]
            buffer.pop()


@dataclass(frozen=True, eq=False)
class Repeated(Selection):
    """`times` passes over the source, without end where that is -1; each pass shuffles anew."""

    times: int

    def pick(self, read: Read, path: Path, start: int) -> Iterator[Any]:
        count = self.source.count()
        first, start = divmod(start, count) if count > 0 else (0, start)
        for number in itertools.count(first) if self.times < 0 else range(first, self.times):
            came = 0
            for element in read((*path, number), start if count >= 0 else 0):
                came += 1
                if count >= 0 or came > start:
                    yield element
            start = 0 if count >= 0 else max(start - came, 0)
            if came == 0 and count <= 0:
                return

    def count(self) -> int:
        count = self.source.count()
        if self.times == 0 or count == 0:
            return 0
        if self.times < 0:
            return INFINITE
        return count if count < 0 else count * self.times


@dataclass(frozen=True, eq=False)
class Skipped(Selection):
    """All elements but the first `number`; none where that is -1."""

    number: int

    def pick(self, read: Read, path: Path, start: int) -> Iterator[Any]:
        return iter(()) if self.number < 0 else read(path, self.number + start)

    def count(self) -> int:
        count = self.source.count()
        if self.number < 0:
            return 0
        return count if count < 0 else max(count - self.number, 0)


@dataclass(frozen=True, eq=False)
class Taken(Selection):
    """The first `number` elements; all of them where that is -1."""

    number: int

    def pick(self, read: Read, path: Path, start: int) -> Iterator[Any]:
        if self.number < 0:
            return read(path, start)
        left = max(self.number - start, 0)
        return itertools.islice(read(path, start), left) if left else iter(())

    def count(self) -> int:
        count = self.source.count()
        if self.number < 0 or count == UNKNOWN:
            return count
        return self.number if count == INFINITE else min(count, self.number)


@dataclass(frozen=True, eq=False)
class Sharded(Selection):
    """Every `shards`-th element, from `index` on."""

    shards: int
    index: int

    def pick(self, read: Read, path: Path, start: int) -> Iterator[Any]:
        return itertools.islice(read(path, self.index + start * self.shards), 0, None, self.shards)

    def count(self) -> int:
        count = self.source.count()
        return count if count < 0 else max(-(-(count - self.index) // self.shards), 0)


@dataclass(frozen=True, eq=False)
class Cached(Node):
    """The elements of the first pass, kept in memory, for every pass."""

    source: Node
    kept: list[Element] = field(default_factory=list)

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        if self.kept:
            yield from itertools.islice(self.kept, start, None)
            return
        elements = []
        for number, element in enumerate(self.source.iterate((0,))):
            elements.append(element)
            if number >= start:
                yield element
        self.kept[:] = elements

    def count(self) -> int:
        return self.source.count()

    def spec(self) -> Any:
        return self.source.spec()


@dataclass(frozen=True, eq=False)
class Prefetched(Node):
    """The same elements, read ahead by a thread."""

    source: Node
    size: int

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        ahead = Prefetcher(self.source.iterate(path, start), self.size)
        try:
            yield from ahead.start()
        finally:
            ahead.close()

    def count(self) -> int:
        return self.source.count()

    def spec(self) -> Any:
        return self.source.spec()
