"""TensorFlow.js's functions that make datasets: `array`, `csv`, `func`, `generator`, `zip`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training.data.csv_files import CSVDataset
from symgraph.training.data.dataset import Dataset

__all__ = ["array", "csv", "func", "generator", "zip"]


def array(items: Iterable[Any]) -> Dataset:
    """The items of a list, each an element.

    >>> import symgraph as sg
    >>> sg.data.array([{"x": 1}, {"x": 2}]).map(lambda item: item["x"]).to_array()
    [1, 2]
    """
    return Dataset.array(items)


def csv(source: Any, **options: Any) -> CSVDataset:
    """The rows of a CSV file; see `CSVDataset` for the options."""
    return CSVDataset(source, **options)


def func(function: Callable[[], Any]) -> Dataset:
    """What `function()` returns, called for one element after the other, until it raises StopIteration.

    As in TensorFlow.js it may also return `{"value": element, "done": False}`, and `"done": True` at the end.

    >>> import symgraph as sg
    >>> numbers = iter([3, 4])
    >>> sg.data.func(lambda: next(numbers)).to_array()
    [3, 4]
    """
    if not callable(function):
        raise TrainingError(f"func takes a function, got {type(function).__name__}")
    return Dataset.from_generator(lambda: _called(function))


def generator(function: Callable[[], Iterable[Any]]) -> Dataset:
    """What `function()`, a generator function, gives: called anew for each pass.

    >>> import symgraph as sg
    >>> sg.data.generator(lambda: iter("ab")).to_array()
    ['a', 'b']
    """
    return Dataset.from_generator(function)


def zip(datasets: Any) -> Dataset:
    """Elements nested as the list, tuple or dict of datasets is; the shortest one ends it.

    >>> import symgraph as sg
    >>> sg.data.zip({"a": sg.data.array([1, 2]), "b": sg.data.array([3, 4])}).to_array()
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 4}]
    """
    return Dataset.zip(datasets)


def _called(function: Callable[[], Any]) -> Iterator[Any]:
    while True:
        try:
            element = function()
        except StopIteration:
            return
        if isinstance(element, dict) and set(element) == {"value", "done"}:
            if element["done"]:
                return
            element = element["value"]
        yield element
