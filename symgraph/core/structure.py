"""Nested lists, tuples and dicts of things: take the leaves out, put others in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


def flatten(structure: object) -> list[Any]:
    """The leaves of any nesting of lists, tuples and dicts, in order.

    >>> flatten({"a": [1, (2,)], "b": 3})
    [1, 2, 3]
    """
    return list(_leaves(structure))


def _leaves(structure: object) -> Iterator[Any]:
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, list | tuple | set | frozenset):
        for part in structure:
            yield from _leaves(part)
    else:
        yield structure


def pack(structure: object, leaves: Iterable[object]) -> Any:
    """A nesting like `structure` with other leaves.

    >>> pack({"a": [1, (2,)], "b": 3}, [7, 8, 9])
    {'a': [7, (8,)], 'b': 9}
    """
    return _pack(structure, iter(leaves))


def _pack(structure: object, leaves: Iterator[object]) -> object:
    if isinstance(structure, dict):
        return {key: _pack(part, leaves) for key, part in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        make: Any = type(structure)
        return make(*(_pack(part, leaves) for part in structure))
    if isinstance(structure, list):
        return [_pack(part, leaves) for part in structure]
    if isinstance(structure, tuple):
        return tuple(_pack(part, leaves) for part in structure)
    return next(leaves)


def map_structure(function: Callable[[Any], object], structure: object) -> Any:
    """`function` of every leaf, in the same nesting."""
    return pack(structure, map(function, flatten(structure)))
