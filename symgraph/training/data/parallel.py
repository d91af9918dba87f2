"""Several workers on one sequence, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


def in_threads(function: Callable[[S], T], elements: Iterable[S], workers: int) -> Iterator[T]:
    """`function` of every element in order, by `workers` threads, at most twice as many ahead."""
    return in_order(ThreadPoolExecutor(workers, "symgraph-data"), function, elements, 2 * workers)


def in_order(pool: Executor, function: Callable[[S], T], elements: Iterable[S], ahead: int) -> Iterator[T]:
    """The results of `pool` in the order of `elements`, at most `ahead` of the caller; shuts the pool down."""
    waiting: deque[Future[Any]] = deque()
    try:
        for element in elements:
            waiting.append(pool.submit(function, element))
            if len(waiting) >= max(ahead, 1):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
