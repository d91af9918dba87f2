"""Sizes as polynomials in the dimensions that are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

Atom = tuple[Any, ...]
"""An open dimension: a name, or an axis of one value."""

Numbers = np.ndarray[Any, Any]
"""What is known of the numbers in a small tensor: extents, and None."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A size: `3`, `N`, `2*N*M + 1`. Equal where it is the same polynomial; open dimensions are never negative."""

    terms: tuple[tuple[tuple[Atom, ...], int], ...]

    @staticmethod
    def of(number: int) -> Extent:
        """The size that is a plain number."""
        return Extent((((), number),) if number else ())

    @property
    def number(self) -> int | None:
        """The size as a number, where it is one."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    def __add__(self, other: Extent) -> Extent:
        return _collect((*self.terms, *other.terms))

    def __neg__(self) -> Extent:
        return Extent(tuple((atoms, -factor) for atoms, factor in self.terms))

    def __sub__(self, other: Extent) -> Extent:
        return self + -other

    def __mul__(self, other: Extent) -> Extent:
        return _collect((tuple(sorted((*a, *b))), m * n) for a, m in self.terms for b, n in other.terms)

    def divided_by(self, other: Extent) -> Extent | None:
        """`self / other` where that is a polynomial again; only single terms divide."""
        if len(other.terms) != 1:
            return None
        (divisor, number), = other.terms
        terms = []
        for atoms, factor in self.terms:
            left = Counter(atoms)
            left.subtract(divisor)
            if factor % number or any(count < 0 for count in left.values()):
                return None
            terms.append((tuple(sorted(left.elements())), factor // number))
        return _collect(terms)

    @property
    def is_size(self) -> bool:
        """Whether it is at least 0 whatever the open dimensions are."""
        return all(factor > 0 for _, factor in self.terms)

    @property
    def is_positive(self) -> bool:
        """Whether it is at least 1 whatever the open dimensions are."""
        return self.is_size and any(not atoms for atoms, _ in self.terms)


def _collect(terms: Iterable[tuple[tuple[Atom, ...], int]]) -> Extent:
    sums: dict[tuple[Atom, ...], int] = {}
    for atoms, factor in terms:
        sums[atoms] = sums.get(atoms, 0) + factor
    return Extent(tuple(sorted((atoms, factor) for atoms, factor in sums.items() if factor)))


ZERO, ONE = Extent.of(0), Extent.of(1)


def product(extents: Iterable[Extent]) -> Extent:
    """The size of all together."""
    return reduce(lambda a, b: a * b, extents, ONE)


Shape = tuple[Extent, ...]


def only(numbers: Numbers | None) -> Extent | None:
    """The one number of a scalar."""
    return numbers.flat[0] if numbers is not None and numbers.size == 1 else None


def as_numbers(items: Sequence[Any], shape: tuple[int, ...]) -> Numbers:
    """An array of these items."""
    result = np.empty(len(items), object)
    result[:] = items
    return result.reshape(shape)
