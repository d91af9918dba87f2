"""Values of several variables at one moment, while steps in other threads change them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from symgraph.core.value import Array
from symgraph.core.variable import MOVING, Variable


@contextmanager
def steady(variables: Collection[Variable]) -> Iterator[None]:
    """Inside, no step changes these variables: what is read of them belongs together."""
    if all(v.home is None for v in variables):
        yield
        return
    with ExitStack() as held:
        held.enter_context(MOVING)
        homes = {v.home for v in variables if v.home is not None}
        for home in sorted(homes, key=lambda home: home.number):
            held.enter_context(home.reading())
        yield


def snapshot(variables: Sequence[Variable]) -> list[Array]:
    """The values of all of them after one and the same step.

    >>> snapshot([Variable([1.0]), Variable([2.0])])
    [array([1.], dtype=float32), array([2.], dtype=float32)]
    """
    if any([v.home is not None for v in variables]):
        with steady(variables):
            return [v.numpy() for v in variables]
    return [v.numpy() for v in variables]
