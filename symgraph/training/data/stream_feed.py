"""Feeds over sources of batches, read ahead by a thread where that pays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from symgraph.core.errors import DtypeError, ShapeError, TrainingError
from symgraph.core.structure import flatten, in_order_of, map_structure, nesting
from symgraph.training.data.feed import Batch, Feed, State, Structure
from symgraph.training.data.passes import place_of_epoch, warn_of_short_epoch
from symgraph.training.data.prefetching import ReadAhead
from symgraph.training.data.sources import Source
from symgraph.training.data.unpacking import as_batch

Element = tuple[Batch, Structure]


class StreamFeed(Feed):
    """Batches of a source."""

    def __init__(
            self, source: Source, *, steps_per_epoch: int | None = None,
            class_weight: dict[int, float] | None = None) -> None:
        self.source, self.class_weight = source, class_weight
        self.steps_per_epoch = steps_per_epoch
        self.batches_in_pass = source.batches
        self._stream: _Stream | None = None
        self._structure: Structure | None = None

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.source.kind

    @property
    def batch_size(self) -> int | None:  # type: ignore[override]
        return self.source.batch_size

    @property
    def samples(self) -> int | None:  # type: ignore[override]
        return self.source.samples

    @property
    def can_resume(self) -> bool:  # type: ignore[override]
        return not self.source.is_one_shot

    @property
    def steps(self) -> int | None:  # type: ignore[override]
        return self.steps_per_epoch or self.batches_in_pass

    @property
    def structure(self) -> Structure:
        if self._structure is None:
            if self.source.is_indexed:
                first = next(_read(self.source, 0, 0, self.class_weight), None)
            else:
                first = self._stream_at(0, 0).peek()
            if first is None:
                raise self._nothing_came(0)
            self._structure = first[1]
        return self._structure

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if start and self.source.is_one_shot:
            raise TrainingError(f"{self.describe()} cannot be started at step {start}: what it gave is gone; "
                                "give a function that returns a new iterator, or a sg.data.Dataset")
        self.source.begin_epoch(epoch)
        is_complete = False
        try:
            yield from self._epoch(epoch, start)
            is_complete = True
        finally:
            if not self._goes_on(is_complete):
                self.close()
        self.source.end_epoch(epoch)

    def _goes_on(self, is_complete: bool) -> bool:
        """Whether the next epoch reads on where this one stopped."""
        if self.source.is_one_shot:
            return True
        return is_complete and self.steps_per_epoch is not None and not self.source.is_indexed

    def _epoch(self, epoch: int, start: int) -> Iterator[Batch]:
        number, first, steps = place_of_epoch(epoch, self.batches_in_pass, self.steps_per_epoch)
        stream = self._stream_at(number, first + start)
        if self.batches_in_pass is None and first and not start and not self.source.is_one_shot \
                and stream.peek() is None:
            self.batches_in_pass = first  # the pass ended exactly with the last epoch
            number, first, steps = place_of_epoch(epoch, first, self.steps_per_epoch)
            stream = self._stream_at(number, 0)
        came = start
        while steps < 0 or came < steps:
            element = stream.next()
            if element is None:
                break
            came += 1
            yield self._checked(element, stream.position)
        if came == 0:
            raise self._nothing_came(stream.position)
        if steps < 0 or came < steps:
            self.batches_in_pass = stream.position if not self.source.is_one_shot else None
        if self.steps_per_epoch is not None and came < self.steps_per_epoch:
            warn_of_short_epoch(self.describe(), came, self.steps_per_epoch)

    def _checked(self, element: Element, position: int) -> Batch:
        batch, structure = element
        if self._structure is None:
            self._structure = structure
        if structure is self._structure or _with_order(structure) == _with_order(self._structure):
            return batch
        if _outline(structure) != _outline(self._structure):
            raise TrainingError(f"batch {position - 1} of {self.describe()} is nested as {_shown(structure)}, those "
                                f"before as {_shown(self._structure)}; all batches have the same arrays")
        return Batch(*([] if known is None else flatten(in_order_of(part, known))
                       for part, known in zip(structure.pack(batch), self._structure, strict=True)))

    def _stream_at(self, number: int, position: int) -> _Stream:
        stream = self._stream
        if stream is not None and (self.source.is_one_shot or (stream.number, stream.position) == (number, position)):
            return stream
        self.close()
        self._stream = _Stream(self.source, number, position, self.class_weight)
        return self._stream

    def _nothing_came(self, position: int) -> TrainingError:
        if self.source.is_one_shot and position:
            return TrainingError(f"{self.describe()} ran out after {position} batches, so none is left for another "
                                 "epoch; give steps_per_epoch, fewer epochs, or a function that gives new iterators")
        return TrainingError(f"{self.describe()} gave no batches")

    def state(self) -> State:
        return {**super().state(), **self.source.state(), "steps_per_epoch": self.steps_per_epoch,
                "batches": self.batches_in_pass, "can_resume": self.can_resume}

    def restore(self, state: State) -> None:
        super().restore(state)
        if state.get("steps_per_epoch") != self.steps_per_epoch:
            raise TrainingError(f"the interrupted run had steps_per_epoch={state.get('steps_per_epoch')!r}, this one "
                                f"has {self.steps_per_epoch!r}; resume with the same arguments")
        self.close()
        self.source.restore(state)
        self.batches_in_pass = state.get("batches")

    def describe(self) -> str:
        return self.source.describe()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class _Stream:
    """One pass over the source, and how far it was read."""

    def __init__(self, source: Source, number: int, position: int, class_weight: dict[int, float] | None) -> None:
        self.number, self.position = number, position
        elements = _read(source, number, position, class_weight)
        size = source.queue_size
        self._elements: Iterator[Element] = ReadAhead(elements, size) if size else elements
        self._waiting: list[Element] = []

    def peek(self) -> Element | None:
        if not self._waiting:
            self._waiting.extend(itertools.islice(self._elements, 1))
        return self._waiting[0] if self._waiting else None

    def next(self) -> Element | None:
        element = self._waiting.pop() if self._waiting else next(self._elements, None)
        if element is not None:
            self.position += 1
        return element

    def close(self) -> None:
        self._elements.close()  # type: ignore[attr-defined]


def _read(source: Source, number: int, start: int, class_weight: dict[int, float] | None) -> Iterator[Element]:
    """The elements of a pass from `start` on, as batches. Knows no feed: the thread that reads would keep it alive."""
    elements = source.open(number, start)
    try:
        for position, element in enumerate(elements, start):
            yield _as_batch(source, element, position, class_weight)
    finally:
        if hasattr(elements, "close") and not source.is_one_shot:
            elements.close()


def _as_batch(source: Source, element: Any, position: int, class_weight: dict[int, float] | None) -> Element:
    try:
        return as_batch(element, class_weight, copy=not source.is_private)
    except (TrainingError, ShapeError, DtypeError) as error:
        raise type(error)(f"batch {position} of {source.describe()}: {error}") from None


def _outline(structure: Structure) -> Any:
    return [None if part is None else map_structure(lambda _: 0, part) for part in structure]


def _with_order(structure: Structure) -> Any:
    """As `_outline`, but the order of keys counts."""
    return ["nothing" if part is None else nesting(part) for part in structure]


def _shown(structure: Structure) -> str:
    return str(tuple(map_structure(str, part) for part in structure if part is not None))
