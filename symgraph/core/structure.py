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


def flatten_like(structure: Any, known: object) -> list[Any]:
    """The leaves in the order of `known`, which is nested alike: the keys of dicts may come in another order.

    >>> flatten_like({"b": [2, 3], "a": 1}, {"a": 0, "b": [0, 0]})
    [1, 2, 3]
    """
    if isinstance(known, dict):
        return [leaf for key, part in known.items() for leaf in flatten_like(structure[key], part)]
    if isinstance(known, list | tuple):
        return [leaf for own, part in zip(structure, known, strict=True) for leaf in flatten_like(own, part)]
    return [structure]


def map_structure(function: Callable[[Any], object], structure: object) -> Any:
    """`function` of every leaf, in the same nesting."""
    return pack(structure, map(function, flatten(structure)))
