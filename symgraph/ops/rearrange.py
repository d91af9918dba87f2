"""Moving, splitting and merging axes, said as a pattern of their names."""

from __future__ import annotations

import re

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.ops.promotion import as_operand
from symgraph.ops.shape import reshape, transpose
from symgraph.ops.sizes import Size, as_size, dimension, is_exactly, product, quotient

__all__ = ["rearrange"]

_ENTRY = re.compile(r"\(([^()]*)\)|(\w+)|\S")


def rearrange(tensor: object, pattern: str, **axes_lengths: object) -> Operand:
    """The axes of `tensor` as `pattern` says, in the notation of einops: `"b h w c -> b (h w) c"`.

    Names in parentheses are one axis; of those on the left all sizes but one are given in `axes_lengths`.
    `1` is an axis of that size.

    Errors: `ShapeError` for a pattern that does not fit the tensor or its other side.

    >>> import symgraph as sg
    >>> sg.ops.rearrange([[1, 2, 3, 4], [5, 6, 7, 8]], "a (b c) -> c (a b)", b=2).tolist()
    [[1, 3, 5, 7], [2, 4, 6, 8]]
    """
    x = as_operand(tensor)
    sides = pattern.split("->")
    before, after = (_groups(side, pattern) for side in (sides * 2)[:2])
    names, wanted = ([name for group in side for name in group] for side in (before, after))
    if len(sides) != 2 or len(before) != x.ndim or len(set(names)) != len(names) or sorted(names) != sorted(wanted):
        raise ShapeError(f"rearrange: {pattern!r} does not name each axis of {x.type} once on either side")
    if set(axes_lengths) - set(names):
        raise ShapeError(f"rearrange: {pattern!r} has no axis {', '.join(sorted(set(axes_lengths) - set(names)))}")
    sizes: dict[str, Size] = {name: as_size(length, "rearrange") for name, length in axes_lengths.items()}
    for axis, group in enumerate(before):
        _complete(sizes, group, dimension(x, axis), pattern)
    y = reshape(x, [sizes[name] for name in names]) if len(names) != x.ndim else x
    y = transpose(y, [names.index(name) for name in wanted])
    is_same = all(len(group) == 1 for group in after)
    return y if is_same else reshape(y, [product(sizes[name] for name in group) for group in after])


def _groups(side: str, pattern: str) -> list[list[str]]:
    """`a (b c) 1` as [["a"], ["b", "c"], []]."""
    groups = []
    for entry in _ENTRY.finditer(side):
        names = (entry[1] if entry[1] is not None else entry[2] or "?").split()
        if not all(name.isidentifier() or name == "1" for name in names):
            raise ShapeError(f"rearrange: {pattern!r} is not in the form 'a (b c) -> (a b) c'")
        groups.append([name for name in names if name != "1"])
    return groups


def _complete(sizes: dict[str, Size], group: list[str], have: Size, pattern: str) -> None:
    """Find the one size of a group that is not given.

    Errors: `ShapeError` where more are missing, or those given do not fit.
    """
    missing = [name for name in group if name not in sizes]
    known = product(sizes[name] for name in group if name in sizes)
    if len(missing) > 1:
        raise ShapeError(f"rearrange: in {pattern!r} {' and '.join(missing)} share an axis; give all sizes but one")
    if isinstance(have, int) and isinstance(known, int) and (
            have != known if not missing else not known or have % known):
        raise ShapeError(f"rearrange: in {pattern!r} an axis of size {have} is not {' * '.join(group) or '1'}")
    if missing:
        sizes[missing[0]] = have if is_exactly(known, 1) else quotient(have, known)
