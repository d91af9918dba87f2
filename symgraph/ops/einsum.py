"""Sums of products over named indices."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence

from symgraph.core.errors import ShapeError
from symgraph.core.tensor import Operand
from symgraph.ops.contraction import Term, contract, in_order, sum_out, take_diagonals
from symgraph.ops.promotion import cast_to, promote

__all__ = ["einsum"]

_SMALL = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64",
          "uint64": "int64"}


def einsum(subscripts: object, *operands: object, **options: object) -> Operand:
    """The sum of products that `subscripts` names: `einsum("ij,jk->ik", x, y)` is a product of matrices.

    NumPy's whole notation: without `->` the letters that occur once, in order; `...` for axes that broadcast;
    a letter twice for a diagonal; or operands and lists of numbers in turn. `optimize=` is ignored: operands are
    multiplied from left to right. An open dimension that is summed over has the same size in both operands.

    Errors: `ShapeError` for a text that does not fit the operands or known sizes that differ.

    >>> import symgraph as sg
    >>> sg.ops.einsum("i,i", [1, 2], [3, 4]).item()
    11
    """
    options.pop("optimize", None)
    if options:
        raise TypeError(f"einsum: unknown arguments {', '.join(options)}")
    if not isinstance(subscripts, str):
        subscripts, operands = _from_lists((subscripts, *operands))
    xs = promote(*operands)
    inputs, output = letters_of(subscripts, xs)
    _check_sizes(subscripts, inputs, xs)
    dtype = xs[0].dtype
    wide = _SMALL.get(dtype)
    if wide is not None:
        xs = tuple(cast_to(x, wide) for x in xs)
    first, *others = (take_diagonals(Term(x, letters)) for x, letters in zip(xs, inputs, strict=True))
    for number, term in enumerate(others, start=2):
        later = "".join(inputs[number:])
        first = contract(first, term, output + "".join(sorted(set(later) - set(output))))
    return cast_to(in_order(sum_out(first, output), output), dtype)


def _from_lists(arguments: Sequence[object]) -> tuple[str, tuple[object, ...]]:
    """`x, [0, 1], y, [1, 2], [0, 2]` as a text and its operands."""
    pairs = len(arguments) // 2
    lists = [*arguments[1:2 * pairs:2], *arguments[2 * pairs:]]
    texts = ["".join("..." if i is ... else string.ascii_letters[int(i)] for i in numbers)  # type: ignore[attr-defined]
             for numbers in lists]
    text = ",".join(texts[:pairs]) + (f"->{texts[pairs]}" if len(texts) > pairs else "")
    return text, tuple(arguments[:2 * pairs:2])


def letters_of(subscripts: str, xs: Sequence[Operand]) -> tuple[list[str], str]:
    """The letters of every operand and of the output, `...` written out in letters of its own."""
    text = "".join(subscripts.split())
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    bare = text.replace("...", "").replace("->", "").replace(",", "")
    if any(c not in string.ascii_letters for c in bare):
        raise ShapeError(f"einsum: {subscripts!r} is not in the form 'ij,jk->ik'")
    if len(terms) != len(xs):
        raise ShapeError(f"einsum: {subscripts!r} names {len(terms)} operands, got {len(xs)}")
    free = [c for c in string.ascii_letters if c not in bare]
    widths = []
    for term, x in zip(terms, xs, strict=True):
        named = len(term.replace("...", ""))
        if term.count("...") > 1 or x.ndim < named or (x.ndim != named and "..." not in term):
            raise ShapeError(f"einsum: {term!r} in {subscripts!r} does not fit {x.type}")
        widths.append(x.ndim - named)
    widest = free[:max(widths)]
    inputs = [term.replace("...", "".join(widest[len(widest) - n:])) for term, n in zip(terms, widths, strict=True)]
    if not arrow:
        once = sorted(c for c, n in Counter("".join(terms).replace(".", "")).items() if n == 1)
        output = "..." * any(widths) + "".join(once)
    if any(widths) and "..." not in output:
        raise ShapeError(f"einsum: the output of {subscripts!r} leaves out the '...' of its operands")
    output = output.replace("...", "".join(widest))
    odd = [c for c, n in Counter(output).items() if n > 1 or c not in "".join(inputs)]
    if odd:
        raise ShapeError(f"einsum: {odd[0]!r} in the output of {subscripts!r} is not once there and in an operand")
    return inputs, output


def _check_sizes(subscripts: str, inputs: Sequence[str], xs: Sequence[Operand]) -> None:
    """Errors: `ShapeError` where two known sizes of a letter differ and none is 1, or differ within an operand."""
    sizes: dict[str, int] = {}
    for letters, x in zip(inputs, xs, strict=True):
        own: dict[str, int] = {}
        for letter, dim in zip(letters, x.shape, strict=True):
            if not isinstance(dim, int):
                continue
            old, before = sizes.get(letter, 1), own.setdefault(letter, dim)
            if before != dim or (old != dim and 1 not in (old, dim)):
                raise ShapeError(f"einsum: {letter!r} in {subscripts!r} is {before if before != dim else old} "
                                 f"and {dim} in " + ", ".join(str(y.type) for y in xs))
            sizes[letter] = dim if old == 1 else old
