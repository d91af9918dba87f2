"""Scans by a function whose operands may be grouped in any way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.core.errors import ShapeError
from symgraph.core.structure import flatten, in_order_of, pack
from symgraph.core.tensor import Operand
from symgraph.ops.getitem import getitem
from symgraph.ops.joining import concat, stack
from symgraph.ops.promotion import as_operand
from symgraph.ops.rearranging import flip
from symgraph.ops.shape import reshape
from symgraph.ops.sizes import as_axis, dimensions

__all__ = ["associative_scan"]

Combine = Callable[[list[Operand], list[Operand]], list[Operand]]


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """`y_0 = x_0, y_i = f(y_(i - 1), x_i)` along `axis`, for an `f` with `f(f(a, b), c) = f(a, f(b, c))`.

    `elems` is any nesting of tensors; `f` takes two slices of it, of any length along `axis`, and is applied
    about `2 log2 N` times. With `reverse` from the last to the first.

    Errors: `ShapeError` where lengths differ or are not known.

    >>> import symgraph as sg
    >>> sg.ops.associative_scan(lambda a, b: a + b, sg.tensor([1, 2, 3, 4])).tolist()
    [1, 3, 6, 10]
    """
    leaves = [as_operand(x) for x in flatten(elems)]
    axes = [as_axis(axis, x.ndim, "associative_scan") for x in leaves]
    lengths = {x.shape[a] for x, a in zip(leaves, axes, strict=True)}
    length = lengths.pop() if len(lengths) == 1 else None
    if not isinstance(length, int) or len(set(axes)) != 1:
        raise ShapeError("associative_scan: needs tensors of one known length along the axis, got "
                         + ", ".join(str(x.type) for x in leaves))

    def combine(a: list[Operand], b: list[Operand]) -> list[Operand]:
        return [as_operand(x) for x in flatten(in_order_of(f(pack(elems, a), pack(elems, b)), elems))]

    start = [flip(x, axes[0]) for x in leaves] if reverse else leaves
    found = _scan(combine, start, axes[0], length)
    return pack(elems, [flip(x, axes[0]) for x in found] if reverse else found)


def _scan(combine: Combine, xs: list[Operand], axis: int, length: int) -> list[Operand]:
    """The scan of neighbours combined gives every second result; one more `combine` the others."""
    if length < 2:
        return xs
    firsts, seconds = _part(xs, axis, 0, length - length % 2, 2), _part(xs, axis, 1, None, 2)
    odd = _scan(combine, combine(firsts, seconds), axis, length // 2)
    if length == 2:
        return [concat([x, y], axis) for x, y in zip(firsts, odd, strict=True)]
    even = combine(_part(odd, axis, 0, (length - 1) // 2, 1), _part(xs, axis, 2, None, 2))
    even = [concat([x, y], axis) for x, y in zip(_part(xs, axis, 0, 1, 1), even, strict=True)]
    return [_interleave(a, b, axis, length) for a, b in zip(even, odd, strict=True)]


def _part(xs: list[Operand], axis: int, start: int, stop: int | None, step: int) -> list[Operand]:
    key = (*(slice(None),) * axis, slice(start, stop, step))
    return [getitem(x, key) for x in xs]


def _interleave(even: Operand, odd: Operand, axis: int, length: int) -> Operand:
    half = length // 2
    pairs = stack([_part([even], axis, 0, half, 1)[0], odd], axis + 1)
    sizes = dimensions(odd)
    mixed = reshape(pairs, (*sizes[:axis], 2 * half, *sizes[axis + 1:]))
    return mixed if length % 2 == 0 else concat([mixed, _part([even], axis, half, None, 1)[0]], axis)
