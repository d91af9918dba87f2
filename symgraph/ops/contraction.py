"""Sums of products over axes with names, as transposes, reshapes and one product of matrices.

ONNX has Einsum for this, but ONNX Runtime's kernel ends the process (SIGFPE) where an axis that both operands
keep is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.diagonals import diagonal
from symgraph.ops.promotion import cast_to
from symgraph.ops.shape import expand_dims, reshape, squeeze, transpose
from symgraph.ops.sizes import Size, dimension, dimensions, ints, is_exactly, product

_SMALL = {"bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def multiply_matrices(x: Operand, y: Operand) -> Operand:
    """ONNX MatMul, which small integers and booleans pass through in 32 bits.

    ONNX Runtime's kernel refuses to broadcast a matrix, or a vector, over an empty batch, and of a batch of
    products over nothing it sets the first alone: such cases, where they are known, are put differently.
    """
    dtype = x.dtype
    wide = _SMALL.get(dtype)
    if wide is not None:
        return cast_to(multiply_matrices(cast_to(x, wide), cast_to(y, wide)), dtype)
    if x.ndim > 1 and y.ndim == 1 and not all(isinstance(d, int) and d for d in x.shape):
        return squeeze(apply("MatMul", x, expand_dims(y, 1)), x.ndim - 1)
    batches = x.shape[:-2], y.shape[:-2]
    if x.shape[-1] == y.shape[max(-2, -y.ndim)] == 0 or (batches[0] != batches[1] and 0 in batches[0] + batches[1]):
        return _multiply_none(x, y)
    return apply("MatMul", x, y)


def _multiply_none(x: Operand, y: Operand) -> Operand:
    """The product where the batch or the summed axis is known to be empty: there is nothing, or zeros."""
    if y.ndim == 1:
        return apply("ReduceSum", apply("Mul", x, y), ints(x.ndim - 1), keepdims=0)
    rows = apply("ReduceSum", x, ints(x.ndim - 1), keepdims=1)
    z = apply("Mul", rows, apply("ReduceSum", y, ints(y.ndim - 2), keepdims=1))
    return squeeze(z, z.ndim - 2) if x.ndim == 1 else z


@dataclass(frozen=True)
class Term:
    """A tensor and a letter for each of its axes."""

    x: Operand
    letters: str

    def size(self, letter: str) -> Size:
        """The size of the axis of that letter."""
        return dimension(self.x, self.letters.index(letter))


def take_diagonals(term: Term) -> Term:
    """`iji -> ji`: axes of one letter become their diagonal."""
    x, letters = term.x, term.letters
    for letter in sorted(set(letters)):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            x = diagonal(x, 0, first, second)
            letters = letters[:first] + letters[first + 1:second] + letters[second + 1:] + letter
    return Term(x, letters)


def sum_out(term: Term, keep: str) -> Term:
    """The sum over all letters that are not among `keep`."""
    axes = [i for i, c in enumerate(term.letters) if c not in keep]
    if not axes:
        return term
    return Term(apply("ReduceSum", term.x, ints(*axes), keepdims=0), "".join(c for c in term.letters if c in keep))


def in_order(term: Term, letters: str) -> Operand:
    """The tensor with its axes in the order `letters`."""
    return transpose(term.x, [term.letters.index(c) for c in letters])


def contract(a: Term, b: Term, keep: str) -> Term:
    """`sum a * b` over the letters that are not among `keep`. Axes of one letter are equal, or known to be 1.

    Axes of size 1 that only the run tells broadcast where they are kept, or where all letters are shared.
    """
    a, b = sum_out(a, keep + b.letters), sum_out(b, keep + a.letters)
    if set(a.letters) != set(b.letters):
        a, b = _drop_ones(a, b, keep)
    batch = "".join(c for c in keep if c in a.letters and c in b.letters)
    left = "".join(c for c in keep if c in a.letters and c not in b.letters)
    right = "".join(c for c in keep if c in b.letters and c not in a.letters)
    inner = "".join(c for c in a.letters if c not in keep)
    if not inner or not left + right:
        return sum_out(_multiply(a, b, batch + left + right + inner), keep)
    if not batch and len(inner) == 1 and len(right) <= 1:
        return Term(multiply_matrices(in_order(a, left + inner), in_order(b, inner + right)), left + right)
    if not batch and len(inner) == 1 and len(left) <= 1:
        return Term(multiply_matrices(in_order(b, right + inner), in_order(a, inner + left)), right + left)
    return _contract_blocks(a, b, batch, left, right, inner)


def _contract_blocks(a: Term, b: Term, batch: str, left: str, right: str, inner: str) -> Term:
    """The letters of a kind made one axis, a product of matrices, and the letters split again.

    Without batch, MatMul itself takes many left axes.
    """
    n = len(batch)
    x = _merge(in_order(a, batch + left + inner), n + len(left), len(inner))
    y = _merge(in_order(b, batch + inner + right), n + len(inner), len(right))
    y = _merge(y, n, len(inner))
    columns = [b.size(c) for c in right]
    if not batch:
        z = multiply_matrices(x, y)
        return Term(z if len(right) == 1 else _split(z, len(left), columns), left + right)
    z = multiply_matrices(_merge(x, n, len(left)), y)
    is_split = len(left) == len(right) == 1
    return Term(z if is_split else _split(z, n, [*(a.size(c) for c in left), *columns]), batch + left + right)


def _drop_ones(a: Term, b: Term, keep: str) -> tuple[Term, Term]:
    """Letters known to have size 1 on one side leave it; where they are summed, the other side is summed alone."""
    for letter in [c for c in a.letters if c in b.letters]:
        is_one = [is_exactly(term.size(letter), 1) for term in (a, b)]
        if is_one[0] != is_one[1]:
            a, b = (_without(term, letter) if one else sum_out(term, keep + term.letters.replace(letter, ""))
                    for term, one in zip((a, b), is_one, strict=True))
    return a, b


def _without(term: Term, letter: str) -> Term:
    return Term(squeeze(term.x, term.letters.index(letter)), term.letters.replace(letter, ""))


def _multiply(a: Term, b: Term, letters: str) -> Term:
    x, y = (_spread(term, letters) for term in (a, b))
    return Term(apply("Mul", x, y), letters)


def _spread(term: Term, letters: str) -> Operand:
    """The tensor with its axes in the order `letters`, with axes of size 1 for letters it lacks within."""
    own = [c for c in letters if c in term.letters]
    first = letters.index(own[0]) if own else len(letters)
    missing = tuple(i - first for i, c in enumerate(letters) if c not in own and i > first)
    y = in_order(term, "".join(own))
    return expand_dims(y, missing) if missing else y


def _merge(x: Operand, start: int, count: int) -> Operand:
    """`x` with `count` axes from `start` on made one, of size 1 where there are none."""
    if count == 1:
        return x
    if count == 0:
        return expand_dims(x, start)
    sizes = dimensions(x)
    return _reshape(x, (*sizes[:start], product(sizes[start:start + count]), *sizes[start + count:]))


def _split(x: Operand, start: int, sizes: Sequence[Size]) -> Operand:
    """`x` with all axes from `start` on split into axes of the given sizes."""
    return _reshape(x, (*dimensions(x)[:start], *sizes))


def _reshape(x: Operand, sizes: Sequence[Size]) -> Operand:
    """Reshape, with the only open size left to ONNX, unless another size is 0 and would hide it."""
    is_only = sum(not isinstance(s, int) for s in sizes) == 1 and 0 not in [s for s in sizes if isinstance(s, int)]
    return reshape(x, [s if isinstance(s, int) or not is_only else -1 for s in sizes])
