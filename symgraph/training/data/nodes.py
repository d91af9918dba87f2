"""Stages of a dataset's pipeline. A stage gives its elements pass by pass, from any element on.

The elements of a pass are a pure function of its `path`: the number of the pass, and further down the numbers of the
rounds of `repeat` and of the elements that `flat_map` is at. So any pass can be had again, from any element on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from symgraph.core.structure import pack
from symgraph.core.types import TensorType, as_dtype
from symgraph.training.data.columns import Column, Rows
from symgraph.training.data.elements import Element, as_element, types_of

Path = tuple[int, ...]

INFINITE = -1
"""The number of elements where there is no end, as in tf.data."""

UNKNOWN = -2
"""The number of elements where only a pass over them tells."""


@dataclass(frozen=True, eq=False)
class Node:
    """A stage; `sources` are the stages it reads."""

    @property
    def sources(self) -> tuple[Node, ...]:
        """The stages that this one reads."""
        source = getattr(self, "source", None)
        return () if source is None else (source,)

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        """The elements of a pass, from `start` on."""
        raise NotImplementedError

    def count(self) -> int:
        """The number of elements of a pass, `INFINITE` or `UNKNOWN`."""
        raise NotImplementedError

    @property
    def table(self) -> Table | None:
        """The table whose rows the elements are, where they are; then `numbers` says which rows."""
        return None

    def numbers(self, path: Path, start: int = 0) -> Iterator[int]:
        """The numbers of the rows in the table."""
        raise NotImplementedError

    def spec(self) -> Any:
        """The types of an element; looks at the first one where nothing else tells."""
        for element in self.iterate((0,)):
            return types_of(element)
        return None

    def seeds(self) -> list[int]:
        """The seeds of all stages, in the order of `with_seeds`."""
        return [seed for source in self.sources for seed in source.seeds()]

    def with_seeds(self, seeds: Iterator[int]) -> Self:
        """The same pipeline with other seeds."""
        if not self.sources:
            return self
        return replace(self, source=self.sources[0].with_seeds(seeds))  # type: ignore[call-arg]


@dataclass(frozen=True, eq=False)
class Selection(Node):
    """A stage whose elements are some of another's, in another order, perhaps: `pick` does it for rows and elements."""

    source: Node

    @property
    def table(self) -> Table | None:
        return self.source.table

    def pick(self, read: Callable[[Path, int], Iterator[Any]], path: Path, start: int) -> Iterator[Any]:
        """The selected ones of what `read(path, start)` gives."""
        raise NotImplementedError

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        table = self.table
        if table is None:
            yield from self.pick(self.source.iterate, path, start)
        else:
            for number in self.pick(self.source.numbers, path, start):
                yield table.row(number)

    def numbers(self, path: Path, start: int = 0) -> Iterator[int]:
        return self.pick(self.source.numbers, path, start)

    def spec(self) -> Any:
        return self.source.spec()


@dataclass(frozen=True, eq=False)
class Table(Node):
    """The rows of arrays of equal length."""

    structure: Any
    columns: Sequence[Column]

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        return map(self.row, range(start, self.count()))

    def numbers(self, path: Path, start: int = 0) -> Iterator[int]:
        return iter(range(start, self.count()))

    def count(self) -> int:
        return self.columns[0].length

    @property
    def table(self) -> Table:
        return self

    def row(self, number: int) -> Element:
        """The element of this number, in memory of its own."""
        batch = [np.array(column.rows(slice(number, number + 1)), column.dtype) for column in self.columns]
        return pack(self.structure, [rows[0] for rows in batch])

    def batch(self, rows: Rows | Sequence[int]) -> Element:
        """Many elements at once, stacked, in memory of its own."""
        index: Rows = rows if isinstance(rows, slice) else np.asarray(rows, np.intp)
        copy: Any = np.array if isinstance(index, slice) else np.asarray  # picked rows are copies already
        return pack(self.structure, [copy(column.rows(index), column.dtype) for column in self.columns])

    def spec(self) -> Any:
        return pack(self.structure, [TensorType(as_dtype(c.array.dtype), c.row_shape) for c in self.columns])


@dataclass(frozen=True, eq=False)
class Items(Node):
    """The elements of a sequence in memory."""

    items: Sequence[Element]

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        return itertools.islice(iter(self.items), start, None)

    def count(self) -> int:
        return len(self.items)


@dataclass(frozen=True, eq=False)
class Picked(Node):
    """The elements of these numbers, of a table or of items in memory."""

    source: Table | Items
    order: tuple[int, ...]

    @property
    def table(self) -> Table | None:
        return self.source.table

    def numbers(self, path: Path, start: int = 0) -> Iterator[int]:
        return itertools.islice(iter(self.order), start, None)

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        source = self.source
        pick = source.row if isinstance(source, Table) else source.items.__getitem__
        return map(pick, self.numbers(path, start))

    def count(self) -> int:
        return len(self.order)

    def spec(self) -> Any:
        return self.source.spec()


@dataclass(frozen=True, eq=False)
class Numbers(Node):
    """The numbers of a range."""

    values: range
    dtype: np.dtype[Any]

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        return map(self.dtype.type, self.values[start:])

    def count(self) -> int:
        return len(self.values)

    def spec(self) -> Any:
        return TensorType(as_dtype(self.dtype), ())


@dataclass(frozen=True, eq=False)
class Generated(Node):
    """What a function that returns an iterator gives, called anew for each pass."""

    function: Callable[[], Iterable[Any]]
    convert: Callable[[Any], Element] = as_element
    length: int = UNKNOWN

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        elements = iter(self.function())
        return map(self.convert, itertools.islice(elements, start, None) if start else elements)

    def count(self) -> int:
        return self.length


@dataclass(frozen=True, eq=False)
class Joined(Node):
    """A stage of several sources."""

    parts: tuple[Node, ...] = field(default=())

    @property
    def sources(self) -> tuple[Node, ...]:
        return self.parts

    def with_seeds(self, seeds: Iterator[int]) -> Self:
        return replace(self, parts=tuple(part.with_seeds(seeds) for part in self.parts))


@dataclass(frozen=True, eq=False)
class Zipped(Joined):
    """Element i is the nesting `structure` of elements i of the parts; the shortest part ends it."""

    structure: Any = None

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        for leaves in zip(*(part.iterate(path, start) for part in self.parts), strict=False):
            yield pack(self.structure, leaves)

    def count(self) -> int:
        counts = [part.count() for part in self.parts]
        finite = [count for count in counts if count >= 0]
        if UNKNOWN in counts:
            return UNKNOWN
        return min(finite) if finite else INFINITE

    def spec(self) -> Any:
        return pack(self.structure, [part.spec() for part in self.parts])


@dataclass(frozen=True, eq=False)
class Concatenated(Joined):
    """All of the first part, then all of the second."""

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        for part in self.parts:
            count = part.count()
            if 0 <= count <= start:
                start -= count
                continue
            if count == UNKNOWN and start:
                for element in part.iterate(path):
                    if start:
                        start -= 1
                    else:
                        yield element
                continue
            yield from part.iterate(path, start)
            start = 0

    def count(self) -> int:
        counts = [part.count() for part in self.parts]
        if INFINITE in counts:
            return INFINITE
        return UNKNOWN if UNKNOWN in counts else sum(counts)
