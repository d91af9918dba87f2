"""Stages between elements and batches of them: batch, padded_batch, unbatch, window."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.errors import ShapeError
from symgraph.core.structure import flatten, in_order_of, map_structure, pack
from symgraph.core.types import Shape, TensorType
from symgraph.training.data.columns import Array
from symgraph.training.data.elements import Element, dtype_of, join, rows, stack, stack_leaves
from symgraph.training.data.nodes import UNKNOWN, Items, Node, Path


@dataclass(frozen=True, eq=False)
class Batched(Node):
    """`size` elements at a time, stacked; the last ones that do not fill a batch are left out with `drops`."""

    source: Node
    size: int
    drops: bool = False

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        table = self.source.table
        if table is None:
            for elements in self._groups(self.source.iterate(path, start * self.size)):
                yield self.joined(elements)
        else:
            for numbers in self._groups(self.source.numbers(path, start * self.size)):
                yield table.batch(numbers)

    def _groups(self, elements: Iterator[Any]) -> Iterator[list[Any]]:
        while group := list(itertools.islice(elements, self.size)):
            if len(group) == self.size or not self.drops:
                yield group

    def joined(self, elements: list[Element]) -> Element:
        return stack(elements)

    def count(self) -> int:
        count = self.source.count()
        if count < 0:
            return count
        return count // self.size if self.drops else -(-count // self.size)

    def spec(self) -> Any:
        size = self.size if self.drops else None
        return map_structure(lambda t: _with_shape(t, lambda shape: (size, *shape)), self.source.spec())


def _with_shape(known: Any, change: Callable[[Shape], Shape]) -> Any:
    """The type with another shape; what is no type stays."""
    if not isinstance(known, TensorType) or known.shape is None:
        return known
    return TensorType(known.dtype, change(known.shape))


@dataclass(frozen=True, eq=False)
class PaddedBatched(Batched):
    """As `Batched`, but shorter arrays are filled up at the end of each axis.

    `shapes` says to what sizes, None (and -1) for the longest of the batch; `values` with what: 0 and "" unless said.
    """

    shapes: Any = None
    values: Any = None

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        return map(self.joined, self._groups(self.source.iterate(path, start * self.size)))

    def joined(self, elements: list[Element]) -> Element:
        count = len(flatten(elements[0]))
        shapes = _for_each(in_order_of(self.shapes, elements[0]), count, _is_shape)
        values = _for_each(in_order_of(self.values, elements[0]), count,
                           lambda value: not isinstance(value, tuple | list | dict))
        return join(elements, lambda leaves, i: _padded(leaves, i, shapes[i], values[i]))

    def spec(self) -> Any:
        inner = self.source.spec()
        shapes = _for_each(in_order_of(self.shapes, inner), len(flatten(inner)), _is_shape)
        size = self.size if self.drops else None
        return pack(inner, [TensorType(t.dtype, (size, *_wanted(shape, t.shape)))
                            for t, shape in zip(flatten(inner), shapes, strict=True)])


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(d is None or isinstance(d, int) for d in value)


def _for_each(given: Any, count: int, is_one: Callable[[Any], bool]) -> list[Any]:
    """What was given for each array: one for all, or a nesting of one for each."""
    if given is None or is_one(given):
        return [given] * count
    found: list[Any] = []

    def walk(part: Any) -> None:
        if part is None or is_one(part):
            found.append(part)
        else:
            for inner in part.values() if isinstance(part, dict) else part:
                walk(inner)

    walk(given)
    if len(found) != count:
        raise ShapeError(f"padded_batch got {len(found)} shapes or values for elements of {count} arrays; "
                         "give one for each, nested as the elements are")
    return found


def _wanted(shape: Any, known: tuple[Any, ...]) -> tuple[int | None, ...]:
    if shape is None:
        return (None,) * len(known)
    return tuple(None if d is None or d < 0 else int(d) for d in shape)


def _padded(leaves: list[Any], number: int, shape: Any, value: Any) -> Array:
    if not isinstance(leaves[0], np.ndarray):
        return stack_leaves(leaves, number)
    shapes = [np.shape(leaf) for leaf in leaves]
    ranks = set(map(len, shapes))
    wanted = _wanted(shape, leaves[0].shape)
    if len(ranks) > 1 or len(wanted) not in ranks:
        raise ShapeError(f"padded_batch: array {number} of the elements has {sorted(ranks)} dimensions, "
                         f"the shape to pad to {len(wanted)}")
    longest = [max(sizes) for sizes in zip(*shapes, strict=True)]
    sizes = [size if d is None else d for d, size in zip(wanted, longest, strict=True)]
    if any(size > limit for size, limit in zip(longest, sizes, strict=True)):
        raise ShapeError(f"padded_batch: array {number} of an element has shape up to {longest}, "
                         f"larger than the {sizes} to pad to")
    filling = value if value is not None else "" if leaves[0].dtype.kind in "OSU" else 0
    out = np.full((len(leaves), *sizes), filling, dtype_of(leaves, f"array {number} of the elements"))
    for i, leaf in enumerate(leaves):
        place: tuple[Any, ...] = (i, *map(slice, shapes[i]))
        out[place] = leaf
    return out


@dataclass(frozen=True, eq=False)
class Unbatched(Node):
    """The rows of every element, one by one."""

    source: Node

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        source, count = self.source, self.count()
        if type(source) is Batched and (count >= 0 or not source.drops):  # what it joined need not be taken apart
            end = None if not source.drops else max(count - start, 0)
            return itertools.islice(source.source.iterate(path, start), end)
        every = itertools.chain.from_iterable(map(rows, source.iterate(path)))
        return itertools.islice(every, start, None)

    def count(self) -> int:
        source = self.source
        if type(source) is Batched:
            count = source.source.count()
            return count if count < 0 or not source.drops else count - count % source.size
        return source.count() if source.count() <= 0 else UNKNOWN

    def spec(self) -> Any:
        return map_structure(lambda t: _with_shape(t, lambda shape: shape[1:]), self.source.spec())


@dataclass(frozen=True, eq=False)
class Windowed(Node):
    """Datasets of `size` elements, `stride` apart from each other, each window `shift` after the one before."""

    source: Node
    size: int
    shift: int
    stride: int
    drops: bool
    wrap: Callable[[Node], Any]

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        span = (self.size - 1) * self.stride + 1
        elements = self.source.iterate(path, start * self.shift)
        held: list[Element] = []
        while True:
            held.extend(itertools.islice(elements, span - len(held)))
            if not held or (self.drops and len(held) < span):
                return
            yield self._window(held[:span:self.stride])
            if self.shift > len(held):
                skipped = self.shift - len(held)
                if len(list(itertools.islice(elements, skipped))) < skipped:
                    return
            del held[:self.shift]

    def _window(self, elements: list[Element]) -> Element:
        return join(elements, lambda leaves, _: self.wrap(Items(leaves)))

    def count(self) -> int:
        count = self.source.count()
        if count < 0:
            return count
        if self.drops:
            count -= (self.size - 1) * self.stride
        return max(-(-count // self.shift), 0)

    def spec(self) -> Any:
        return map_structure(lambda t: ("dataset", t), self.source.spec())
