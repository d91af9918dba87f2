"""Where batches come from when it is not arrays: iterators, what can be iterated over, functions, sequences."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from symgraph.training.data.feed import State


class Source:
    """Elements, pass by pass.

    - `batches`: how many a pass has, None while unknown
    - `is_one_shot`: there is one pass only, and no way back
    - `is_indexed`: any element can be had without those before it
    - `has_end`: False where it is known to go on for ever
    - `is_private`: nobody else changes the arrays it gave
    - `queue_size`: how far to read ahead, 0 for not at all
    """

    kind = "iterable"
    batches: int | None = None
    batch_size: int | None = None
    samples: int | None = None
    is_one_shot = False
    is_indexed = False
    queue_size = 2
    has_end = True
    is_private = False

    def open(self, number: int, start: int) -> Iterator[Any]:
        """The elements of pass `number` from `start` on."""
        raise NotImplementedError

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins; the source may change."""

    def end_epoch(self, epoch: int) -> None:
        """An epoch has ended; the source may change."""

    def state(self) -> State:
        """What, with the number of a pass, says which elements come."""
        return {}

    def restore(self, state: State) -> None:
        """Give the elements of the source whose `state()` this is."""

    def describe(self) -> str:
        """What the source is, for messages."""
        return "the data"


class IteratorSource(Source):
    """A generator or another iterator."""

    kind = "iterator"
    is_one_shot = True

    def __init__(self, iterator: Iterator[Any]) -> None:
        self.iterator = iterator

    def open(self, number: int, start: int) -> Iterator[Any]:
        return self.iterator

    def describe(self) -> str:
        return f"the {type(self.iterator).__name__}"


class IterableSource(Source):
    """What gives a new iterator each time it is asked, such as a torch DataLoader.

    In the middle of a pass it is started by reading what comes before: the same elements, if every pass of the
    iterable is the same.
    """

    def __init__(self, iterable: Iterable[Any]) -> None:
        self.iterable = iterable
        self.batches = length_of(iterable)

    def open(self, number: int, start: int) -> Iterator[Any]:
        return itertools.islice(iter(self.iterable), start, None) if start else iter(self.iterable)

    def describe(self) -> str:
        return f"the {type(self.iterable).__name__}"


class CallableSource(Source):
    """A function without arguments that returns an iterator of batches, a new one for each pass."""

    kind = "function"

    def __init__(self, function: Callable[[], Iterable[Any]]) -> None:
        self.function = function

    def open(self, number: int, start: int) -> Iterator[Any]:
        elements = iter(self.function())
        return itertools.islice(elements, start, None) if start else elements

    def describe(self) -> str:
        return f"the function {getattr(self.function, '__name__', type(self.function).__name__)}"


def length_of(source: Any) -> int | None:
    """`len(source)` where there is one."""
    try:
        return len(source)
    except (TypeError, NotImplementedError, AttributeError):
        return None
