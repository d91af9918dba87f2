"""Stages that ask functions: map, filter, take_while, flat_map and interleave; and enumerate."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.core.types import TensorType
from symgraph.training.data.elements import Element, as_element, call
from symgraph.training.data.nodes import INFINITE, UNKNOWN, Node, Path
from symgraph.training.data.parallel import in_threads

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Mapped(Node):
    """`function` of every element, by several threads where `workers` is more than one; the order stays."""

    source: Node
    function: Function
    workers: int = 1

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        elements = self.source.iterate(path, start)
        return in_threads(self._of, elements, self.workers) if self.workers > 1 else map(self._of, elements)

    def _of(self, element: Element) -> Element:
        return as_element(call(self.function, element))

    def count(self) -> int:
        return self.source.count()


@dataclass(frozen=True, eq=False)
class Filtered(Node):
    """The elements that `predicate` says yes to; with `stops` those before its first no."""

    source: Node
    predicate: Function
    stops: bool = False

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        chosen = itertools.takewhile(self._says_yes, self.source.iterate(path)) if self.stops else filter(
            self._says_yes, self.source.iterate(path))
        return itertools.islice(chosen, start, None)

    def _says_yes(self, element: Element) -> bool:
        return bool(call(self.predicate, element))

    def count(self) -> int:
        return UNKNOWN if self.source.count() != 0 else 0

    def spec(self) -> Any:
        return self.source.spec()


@dataclass(frozen=True, eq=False)
class Enumerated(Node):
    """Pairs of a number, counted from `first`, and an element."""

    source: Node
    first: int

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        return zip(map(np.int64, itertools.count(self.first + start)), self.source.iterate(path, start), strict=False)

    def count(self) -> int:
        return self.source.count()

    def spec(self) -> Any:
        return TensorType("int64", ()), self.source.spec()


@dataclass(frozen=True, eq=False)
class Interleaved(Node):
    """The elements of the datasets that `function` makes of the elements.

    `cycle` of them are open at a time, and give `block` elements each in turn. The place of one that ended is taken
    by the next when its turn comes, as in tf.data.
    """

    source: Node
    function: Function
    node_of: Callable[[Any], Node]
    cycle: int = 1
    block: int = 1

    def iterate(self, path: Path, start: int = 0) -> Iterator[Element]:
        return itertools.islice(self._from_the_start(path), start, None)

    def _from_the_start(self, path: Path) -> Iterator[Element]:
        inputs = enumerate(self.source.iterate(path))
        opened: list[Iterator[Element] | None] = [None] * self.cycle
        has_inputs = True
        while has_inputs or any(part is not None for part in opened):
            for place in range(self.cycle):
                part = opened[place]
                if part is None and has_inputs:
                    number, element = next(inputs, (0, _NOTHING))
                    has_inputs = element is not _NOTHING
                    part = opened[place] = self._open(element, (*path, number)) if has_inputs else None
                if part is None:
                    continue
                came = 0
                for element in itertools.islice(part, self.block):
                    came += 1
                    yield element
                if came < self.block:
                    opened[place] = None

    def _open(self, element: Element, path: Path) -> Iterator[Element]:
        made = call(self.function, element)
        try:
            node = self.node_of(made)
        except TypeError:
            raise TrainingError(f"the function returned {type(made).__name__}, where a sg.data.Dataset was "
                                "expected; map is for functions that return elements") from None
        return node.iterate(path)

    def count(self) -> int:
        return INFINITE if self.source.count() == INFINITE else UNKNOWN


_NOTHING = object()
