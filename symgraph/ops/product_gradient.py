"""Gradients of products of matrices, sums of products, and determinants."""

from __future__ import annotations

from symgraph.core.gradient import Gradients, gradient_of
from symgraph.core.tensor import Operand
from symgraph.core.types import ELEM_TYPES
from symgraph.ops.applying import apply
from symgraph.ops.contraction import multiply_matrices
from symgraph.ops.diagonals import counting
from symgraph.ops.einsum import einsum, letters_of
from symgraph.ops.shape import broadcast_to, expand_dims, swapaxes, transpose
from symgraph.ops.sizes import Size, dimension, ints, is_exactly, minus
from symgraph.ops.summing import sum_to


@gradient_of("MatMul")
def _matmul_gradient(dy: Operand, y: Operand, x1: Operand, x2: Operand) -> Gradients:
    """`dy x2ᵀ` and `x1ᵀ dy`; a vector is a row on the left and a column on the right."""
    m, n = x1.ndim, x2.ndim
    if m == 1 and n == 1:
        return lambda: dy * x2, lambda: dy * x1
    if m == 1:
        row, columns = expand_dims(x1, 1), expand_dims(dy, dy.ndim - 1)
        return lambda: sum_to(multiply_matrices(x2, dy) if n == 2 else _dot(x2, columns), x1), lambda: sum_to(
            row * columns, x2)
    if n == 1:
        return lambda: expand_dims(dy, dy.ndim) * x2, lambda: multiply_matrices(_row(dy), _rows(x1))
    if n == 2:  # the rows of all matrices of the batch go into one product
        return lambda: multiply_matrices(dy, transpose(x2)), lambda: multiply_matrices(
            transpose(_rows(x1)), _rows(dy))
    return (lambda: sum_to(multiply_matrices(dy, swapaxes(x2, -1, -2)), x1),
            lambda: sum_to(multiply_matrices(swapaxes(x1, -1, -2), dy), x2))


def _dot(x: Operand, row: Operand) -> Operand:
    """`x @ rowᵀ` for every matrix of a batch, as vectors."""
    return apply("ReduceSum", x * row, ints(x.ndim - 1), keepdims=0)


def _rows(x: Operand) -> Operand:
    """All axes but the last made one."""
    return x if x.ndim == 2 else apply("Flatten", x, axis=x.ndim - 1)


def _row(x: Operand) -> Operand:
    return x if x.ndim == 1 else apply("Reshape", x, ints(-1))


@gradient_of("Gemm")
def _gemm_gradient(dy: Operand, y: Operand, a: Operand, b: Operand, c: Operand | None = None, *, alpha: float = 1.0,
                   beta: float = 1.0, transA: int = 0, transB: int = 0, broadcast: int = 0) -> Gradients:
    def product(x: Operand, z: Operand, *, turns: tuple[int, int]) -> Operand:
        return apply("Gemm", x, z, alpha=alpha, transA=turns[0], transB=turns[1])

    return (lambda: product(b, dy, turns=(transB, 1)) if transA else product(dy, b, turns=(0, 1 - transB)),
            lambda: product(dy, a, turns=(1, transA)) if transB else product(a, dy, turns=(1 - transA, 0)),
            lambda: None if c is None else _bias_gradient(dy if beta == 1 else dy * beta, c))


def _bias_gradient(dy: Operand, c: Operand) -> Operand:
    """The sum of the rows as a product of matrices, which is faster than a sum."""
    if c.ndim != 1 or not isinstance(c.shape[0], int) or c.shape[0] != dy.shape[1] or c.shape[0] == 1:
        return sum_to(dy, c)
    one = apply("Cast", 1.0, to=ELEM_TYPES[dy.dtype])
    return multiply_matrices(apply("Expand", one, apply("Shape", dy, start=0, end=1)), dy)


@gradient_of("Einsum")
def _einsum_gradient(dy: Operand, y: Operand, *xs: Operand, equation: str) -> Gradients:
    """For each operand the sum of products of the gradient with all others, by its own letters."""
    inputs, output = letters_of(equation, xs)
    return [lambda i=i: _operand_gradient(dy, xs, inputs, output, i) for i in range(len(xs))]  # type: ignore[misc]


def _operand_gradient(dy: Operand, xs: tuple[Operand, ...], inputs: list[str], output: str, i: int) -> Operand:
    x, letters = xs[i], inputs[i]
    terms = [output, *(inputs[j] for j in range(len(xs)) if j != i)]
    own = "".join(dict.fromkeys(letters))
    found = "".join(c for c in own if any(c in term for term in terms))
    dx = einsum(",".join(terms) + "->" + found, dy, *(xs[j] for j in range(len(xs)) if j != i))
    alone = tuple(k for k, c in enumerate(own) if c not in found)
    if alone:  # summed without anything else: the same for all of them
        sizes = [dimension(x, letters.index(c)) if k in alone else dimension(dx, found.index(c))
                 for k, c in enumerate(own)]
        dx = broadcast_to(expand_dims(dx, alone), sizes)
    for k, c in enumerate(letters):
        if c in letters[:k]:
            dx, own = _on_diagonal(dx, own.index(c), dimension(x, k)), own + c
    order: list[int] = []
    for c in letters:
        order.append(next(k for k, d in enumerate(own) if d == c and k not in order))
    return sum_to(transpose(dx, order), x)


def _on_diagonal(x: Operand, axis: int, size: Size) -> Operand:
    """`x` with a new last axis that repeats another one: zeros where the two places differ."""
    places = counting(size)
    shape = [-1 if k == axis else 1 for k in range(x.ndim + 1)]
    is_on = apply("Equal", apply("Reshape", places, ints(*shape)), places)
    return apply("Where", is_on, expand_dims(x, x.ndim), 0.0)


@gradient_of("Det")
def _det_gradient(dy: Operand, y: Operand, x: Operand) -> Operand:
    """`dy · adj(x)ᵀ`: the cofactors, as determinants of all minors, which singular matrices have too.

    For `n x n` matrices these are `n²` determinants: made for small matrices.
    """
    size = dimension(x, -1)
    if is_exactly(size, 1):
        return expand_dims(dy, (dy.ndim, dy.ndim + 1))
    places, left = counting(size), counting(minus(size, 1))
    is_behind = apply("GreaterOrEqual", left, expand_dims(places, 1))
    others = left + apply("Cast", is_behind, to=ELEM_TYPES["int64"])  # [n, n - 1]: all places but one
    n = x.ndim
    minors = apply("Gather", apply("Gather", x, others, axis=n - 2), others, axis=n)
    minors = swapaxes(minors, n - 1, n)
    is_odd = apply("Mod", expand_dims(places, 1) + places, 2)
    sign = 1.0 - 2.0 * apply("Cast", is_odd, to=ELEM_TYPES[x.dtype])
    return expand_dims(dy, (dy.ndim, dy.ndim + 1)) * sign * apply("Det", minors)
