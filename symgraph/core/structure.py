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


def nesting(structure: object) -> object:
    """The nesting alone, to be compared and hashed: kinds and keys in their order, None for a leaf.

    >>> nesting({"a": 1, "b": 2}) == nesting({"a": 3, "b": 4}), nesting({"a": 1, "b": 2}) == nesting({"b": 2, "a": 1})
    (True, False)
    """
    if isinstance(structure, dict):
        return dict, tuple([(key, nesting(part)) for key, part in structure.items()])
    if isinstance(structure, list | tuple):
        return type(structure), tuple([nesting(part) for part in structure])
    return None


def in_order_of(structure: Any, known: object) -> Any:
    """The same nesting, with the keys of its dicts in the order of those of `known`, where these are the same keys.

    >>> in_order_of({"b": [2, 3], "a": 1}, {"a": 0, "b": [0, 0]})
    {'a': 1, 'b': [2, 3]}
    """
    if isinstance(structure, dict) and isinstance(known, dict):
        is_alike = structure.keys() == known.keys()
        return {key: in_order_of(structure[key], part) for key, part in known.items()} if is_alike else structure
    if isinstance(structure, list | tuple) and isinstance(known, list | tuple) and len(structure) == len(known):
        parts = [in_order_of(own, part) for own, part in zip(structure, known, strict=True)]
        make: Any = type(structure)
        return make(*parts) if hasattr(structure, "_fields") else make(parts)
    return structure


def map_structure(function: Callable[[Any], object], structure: object) -> Any:
    """`function` of every leaf, in the same nesting."""
    return pack(structure, map(function, flatten(structure)))
