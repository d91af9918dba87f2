"""Reading ahead: a thread takes from an iterator while the caller works on what came before."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from queue import Empty, Queue
from typing import Generic, Self, TypeVar

T = TypeVar("T")


WORTHWHILE = 3e-4
"""Seconds for an element from which on a thread is worth its own costs, about half of that on two cores."""


class _End:
    """The iterator ended, by an error or without one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetcher(Iterator[T], Generic[T]):
    """The elements of `source`, taken by a thread, at most `size` ahead of the caller.

    An error of the source is raised where its element would have come. `start` starts the thread: who is interrupted in
    it already holds what is to be closed. It ends with the source, when `close` is called, or when nobody holds this
    iterator any more; then it closes the source.
    """

    def __init__(self, source: Iterator[T], size: int = 2) -> None:
        self._source = source
        self._queue: Queue[T | _End] = Queue(max(size, 1))
        stop = threading.Event()
        self._finish = weakref.finalize(self, _stop, stop, self._queue)
        self._is_done = False
        self.thread = threading.Thread(
            target=_produce, args=(source, self._queue, stop), name="symgraph-prefetch", daemon=True)

    def start(self) -> Self:
        """Begin to read ahead."""
        self.thread.start()
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._is_done:
            raise StopIteration
        element = self._next()
        if not isinstance(element, _End):
            return element
        self._is_done = True
        if element.error is not None:
            raise element.error
        raise StopIteration

    def _next(self) -> T | _End:
        while True:
            try:  # waiting in turns: a wait without end cannot be interrupted on every system
                return self._queue.get(timeout=1)
            except Empty:
                continue

    def close(self) -> None:
        """End the thread; elements read ahead are dropped. A source that is at work ends after its element."""
        self._is_done = True
        self._finish()
        if self.thread.ident is None:
            _close(self._source)
        elif self.thread is not threading.current_thread():
            self.thread.join(timeout=1)


class ReadAhead(Iterator[T], Generic[T]):
    """The elements of `source`, which a thread takes ahead of the caller once that pays.

    It does so from the moment when two elements in a row took longer than `WORTHWHILE`.
    """

    def __init__(self, source: Iterator[T], size: int = 2) -> None:
        self._source = source
        self._size = size
        self._slow = 0
        self._ahead: Prefetcher[T] | None = None

    def __next__(self) -> T:
        if self._ahead is not None:
            return next(self._ahead)
        begun = time.perf_counter()
        element = next(self._source)
        self._slow = self._slow + 1 if time.perf_counter() - begun > WORTHWHILE else 0
        if self._slow == 2:
            self._ahead = Prefetcher(self._source, self._size)
            self._ahead.start()
        return element

    def close(self) -> None:
        """End the thread and the source."""
        if self._ahead is not None:
            self._ahead.close()
        else:
            _close(self._source)


def _produce(source: Iterator[T], queue: Queue[T | _End], stop: threading.Event) -> None:
    end = _End()
    try:
        for element in source:
            queue.put(element)
            if stop.is_set():
                break
    except BaseException as error:  # also SystemExit and the like: the caller must learn of them
        end = _End(error)
    try:
        _close(source)
    except BaseException as error:
        end = end if end.error else _End(error)
    if not stop.is_set():
        queue.put(end)


def _close(source: object) -> None:
    if hasattr(source, "close"):
        source.close()


def _stop(stop: threading.Event, queue: Queue[T | _End]) -> None:
    stop.set()
    try:  # a thread that waits for room finds some
        while True:
            queue.get_nowait()
    except Empty:
        pass
