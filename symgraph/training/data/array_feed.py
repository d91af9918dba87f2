"""Feeds over arrays: the order of an epoch is a pure function of seed and epoch; batches are gathered in place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from symgraph.core.errors import ShapeError, TrainingError
from symgraph.core.structure import flatten, map_structure
from symgraph.training.data.columns import Array, Column, Index, Rows, count_rows
from symgraph.training.data.feed import Batch, Feed, State, Structure
from symgraph.training.data.passes import place_of_epoch, warn_of_short_epoch

Shuffle = bool | str
"""False, True, or `"batch"`: whole batches change places, their rows stay together."""


def permutation(count: int, seed: int, number: int) -> Index:
    """The numbers below `count` in an order that depends on `seed` and `number` only (Philox4x64, counter 0)."""
    key = np.array([seed % 2**64, number % 2**64], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(count).astype(np.intp, copy=False)


class ArrayFeed(Feed):
    """Batches of arrays that have one row a sample.

    `plan(epoch)` gives the fast way: rows written into memory that the caller owns.
    """

    kind = "arrays"

    def __init__(
            self, x: Any, y: Any, sample_weight: Any, *, batch_size: int, shuffle: Shuffle = False,
            steps_per_epoch: int | None = None, seed: int = 0) -> None:
        """`x`, `y` and `sample_weight` are nestings of columns, or None."""
        given = (x, y, sample_weight)
        self._parts: list[list[Column]] = [[] if part is None else flatten(part) for part in given]
        self.columns = [column for part in self._parts for column in part]
        self.samples: int = count_rows(self.columns)
        self.batch_size: int = batch_size
        self.shuffle, self.seed = shuffle, seed
        self.batches_in_pass = math.ceil(self.samples / batch_size)
        self.steps_per_epoch = steps_per_epoch
        self.steps: int = steps_per_epoch or self.batches_in_pass
        self._structure = Structure(*(
            None if part is None else map_structure(lambda column: column.type, part) for part in given))
        self._order: tuple[int, Index | None] | None = None

    @property
    def structure(self) -> Structure:
        return self._structure

    def plan(self, epoch: int) -> Plan:
        """The rows of every step of this epoch. Warns where the data end before `steps_per_epoch`."""
        number, first, steps = place_of_epoch(epoch, self.batches_in_pass, self.steps_per_epoch)
        if self._order is None or self._order[0] != number:
            self._order = number, self._new_order(number)
        if steps < self.steps:
            warn_of_short_epoch(self.describe(), steps, self.steps)
        return Plan(self, self._order[1], first, steps)

    def _new_order(self, number: int) -> Index | None:
        if not self.shuffle:
            return None
        if self.shuffle == "batch":
            full = self.samples // self.batch_size
            rest = np.arange(full, self.batches_in_pass, dtype=np.intp)
            return np.concatenate([permutation(full, self.seed, number), rest])
        return permutation(self.samples, self.seed, number)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        plan = self.plan(epoch)
        counts = [len(part) for part in self._parts]
        ends = np.cumsum(counts).tolist()
        for step in range(start, plan.steps):
            count = plan.rows(step)
            arrays = [column.new(count) for column in self.columns]
            plan.fill(step, arrays)
            x, y, w = (arrays[end - n:end] for n, end in zip(counts, ends, strict=True))
            yield Batch(x, y, w)

    def state(self) -> State:
        return {**super().state(), "shuffle": self.shuffle, "seed": self.seed,
                "steps_per_epoch": self.steps_per_epoch}

    def restore(self, state: State) -> None:
        super().restore(state)
        for key, value in (("shuffle", self.shuffle), ("steps_per_epoch", self.steps_per_epoch)):
            if state.get(key) != value:
                raise TrainingError(f"the interrupted run had {key}={state.get(key)!r}, this one has {value!r}; "
                                    "resume with the same arguments")
        self.seed, self._order = int(state["seed"]), None

    def describe(self) -> str:
        return f"an array of {self.samples} samples"


class Plan:
    """Which rows the batches of one epoch are made of, and the means to write them where they are wanted.

    `steps` is the number of batches; all have `batch_size` rows but, perhaps, the last of a pass over the data.
    """

    __slots__ = ("_columns", "_first", "_is_chunked", "_order", "_samples", "_size", "steps")

    def __init__(self, feed: ArrayFeed, order: Index | None, first: int, steps: int) -> None:
        self._columns, self._samples, self._size = feed.columns, feed.samples, feed.batch_size
        self._order, self._is_chunked = order, feed.shuffle == "batch"
        self._first = first
        self.steps = steps

    def rows(self, step: int) -> int:
        """How many rows the batch of this step has."""
        start = (self._first + step) * self._size
        return min(self._size, self._samples - start)

    def numbers(self, step: int) -> list[int]:
        """Which rows of the data the batch of this step has."""
        rows = self._selected(step)
        return list(range(rows.start, rows.stop)) if isinstance(rows, slice) else rows.tolist()

    def _selected(self, step: int) -> Rows:
        if not 0 <= step < self.steps:
            raise TrainingError(f"this epoch has the steps 0 to {self.steps - 1}, so no step {step}")
        number = self._first + step
        if self._order is not None and self._is_chunked:
            number = int(self._order[number])
        start = number * self._size
        stop = min(start + self._size, self._samples)
        return slice(start, stop) if self._order is None or self._is_chunked else self._order[start:stop]

    def fill(self, step: int, buffers: Sequence[Array]) -> int:
        """Write the rows of `step` to the beginning of each buffer, in the order x, y, sample weights.

        Buffers may have dtypes of their own: rows are cast. Returns the number of rows.

        Errors: `ShapeError` where a buffer cannot hold the rows.
        """
        count, rows = self.rows(step), self._selected(step)
        self._check(buffers, count)
        for column, buffer in zip(self._columns, buffers, strict=True):
            column.reader(buffer if len(buffer) == count else buffer[:count])(rows)
        return count

    def bind(self, buffers: Sequence[Array]) -> Callable[[int], int]:
        """A function that does what `fill` does, for these buffers, with less around it.

        Each buffer has `batch_size` rows.
        """
        self._check(buffers, self._size)
        readers = [c.reader(b) for c, b in zip(self._columns, buffers, strict=True)]
        size, samples, order, first = self._size, self._samples, self._order, self._first
        full = min(self.steps, samples // size - first)

        def fill(step: int) -> int:
            if not 0 <= step < full:
                return self.fill(step, buffers)
            if order is None:
                start = (first + step) * size
                rows: Rows = slice(start, start + size)
            elif self._is_chunked:
                start = int(order[first + step]) * size
                rows = slice(start, start + size)
            else:
                start = (first + step) * size
                rows = order[start:start + size]
            for read in readers:
                read(rows)
            return size

        return fill

    def _check(self, buffers: Sequence[Array], count: int) -> None:
        if len(buffers) != len(self._columns):
            raise ShapeError(f"a batch has {len(self._columns)} arrays, got {len(buffers)} buffers")
        for column, buffer in zip(self._columns, buffers, strict=True):
            if buffer.shape[1:] != column.row_shape or len(buffer) < count:
                raise ShapeError(f"a batch of {column.name} has the shape {(count, *column.row_shape)}, "
                                 f"the buffer for it {buffer.shape}")
