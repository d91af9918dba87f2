"""Sizes: Python ints where they are known, int64 scalars where they are not; axes; shapes made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.inference import known_data
from symgraph.core.scope import current_trace
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import TensorType, is_integer
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.promotion import cast_to

Size = int | Operand
"""A known size, or an int64 scalar."""

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


def ints(*values: int) -> Tensor:
    """An int64 vector."""
    return Tensor(np.array(values, np.int64))


def dimension(x: Operand, axis: int) -> Size:
    """The size of `x` along `axis`."""
    if isinstance(x.type, TensorType) and x.type.shape is None:
        return apply("Gather", apply("Shape", x), np.int64(axis))
    dim = x.shape[axis]
    if isinstance(dim, int):
        return dim
    axis %= x.ndim
    return apply("Squeeze", apply("Shape", x, start=axis, end=axis + 1), ints(0))


def of_rank(x: Operand, rank: int) -> Operand:
    """`x`, whose rank may be unknown, known to have this one."""
    if not isinstance(x.type, TensorType) or x.type.shape is not None:
        return x
    return apply("Reshape", x, apply("Gather", apply("Shape", x), ints(*range(rank))), allowzero=1)


def dimensions(x: Operand) -> tuple[Size, ...]:
    """The sizes of `x` along all axes."""
    return tuple(dimension(x, axis) for axis in range(x.ndim))


def is_symbolic(x: object) -> bool:
    """Whether the value of `x` is not to be read now."""
    return isinstance(x, SymbolicTensor) or (isinstance(x, Variable) and current_trace() is not None)


def is_exactly(size: object, number: int) -> bool:
    """Whether a size is known to be `number` (`==` on operands makes a node)."""
    return isinstance(size, int) and size == number


def are_exactly(sizes: Sequence[object], dims: Sequence[object]) -> bool:
    """Whether all `sizes` are known and are `dims`."""
    return len(sizes) == len(dims) and all(
        isinstance(a, int) and isinstance(b, int) and a == b for a, b in zip(sizes, dims, strict=True))


def as_size(value: object, who: str) -> Size:
    """A whole number given by a user: a Python or NumPy int, a tensor of one, or a symbol.

    Errors: `ShapeError` for anything else.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = Tensor(np.array(value))
    if not isinstance(value, Operand):
        raise ShapeError(f"{who}: {value!r} is not a whole number")
    if not is_integer(value.dtype):
        raise DtypeError(f"{who}: a size must be a whole number, got {value!r}")
    if value.shape != ():
        raise ShapeError(f"{who}: a size must be a scalar, got shape {value.shape}")
    if not is_symbolic(value):
        return int(value)
    data = known_data(value)
    if data is not None and isinstance(data.item(), int):
        return int(data.item())
    return cast_to(value, "int64")


def as_sizes(values: object, who: str) -> list[Size]:
    """Sizes given as a number, a list of them, or an integer vector of known length."""
    if isinstance(values, np.ndarray) or (isinstance(values, Operand) and not is_symbolic(values)):
        values = np.asarray(values).tolist()
    if isinstance(values, Operand) and values.ndim == 1:
        length = values.shape[0]
        if not isinstance(length, int):
            raise ShapeError(f"{who}: {values!r} has an unknown length, so the rank of the result would be unknown")
        data = known_data(values)
        return [data[i] if data is not None and isinstance(data[i], int) else
                cast_to(apply("Gather", values, np.int64(i)), "int64") for i in range(length)]
    if isinstance(values, list | tuple | range):
        return [as_size(value, who) for value in values]
    return [as_size(values, who)]


def vector(sizes: Sequence[Size]) -> Operand:
    """An int64 vector of `sizes`: a constant where all are known, else a Concat of the pieces."""
    pieces: list[Operand] = []
    known: list[int] = []
    for size in sizes:
        if isinstance(size, int):
            known.append(size)
            continue
        if known:
            pieces.append(ints(*known))
            known = []
        pieces.append(_as_vector(size))
    if known or not pieces:
        pieces.append(ints(*known))
    return pieces[0] if len(pieces) == 1 else apply("Concat", *pieces, axis=0)


def _as_vector(size: Operand) -> Operand:
    """The scalar as a vector of one; what a Squeeze has just taken away is not put back with a node."""
    node = size.node if isinstance(size, SymbolicTensor) else None
    if node is not None and node.op.name == "Squeeze" and not node.op.domain:
        before = node.inputs[0]
        if before is not None and before.ndim == 1:
            return before
    return apply("Unsqueeze", size, ints(0))


def _arithmetic(op: str, function: Callable[[int, int], int]) -> Callable[[Size, Size], Size]:
    def combine(a: Size, b: Size) -> Size:
        if isinstance(a, int) and isinstance(b, int):
            return function(a, b)
        return apply(op, *(Tensor(np.array(x, np.int64)) if isinstance(x, int) else x for x in (a, b)))

    return combine


plus = _arithmetic("Add", lambda a, b: a + b)
minus = _arithmetic("Sub", lambda a, b: a - b)
times = _arithmetic("Mul", lambda a, b: a * b)
smaller = _arithmetic("Min", min)
larger = _arithmetic("Max", max)
quotient = _arithmetic("Div", lambda a, b: a // b)
"""Of sizes, which are not negative, by a positive number."""
remainder = _arithmetic("Mod", lambda a, b: a % b)


def product(sizes: Iterable[Size]) -> Size:
    """The product of `sizes`; known ones are multiplied at once."""
    sizes = list(sizes)
    result: Size = math.prod(s for s in sizes if isinstance(s, int))
    for size in sizes:
        if not isinstance(size, int):
            result = size if isinstance(result, int) and result == 1 else times(result, size)
    return result


def as_axis(axis: object, rank: int, who: str) -> int:
    """An axis from 0 on; negative ones count from the end.

    Errors: `ShapeError` naming the axes there are.
    """
    if not hasattr(axis, "__index__") or isinstance(axis, bool) or is_symbolic(axis):
        raise ShapeError(f"{who}: an axis must be a whole number, got {axis!r}")
    number = int(axis)
    if not -rank <= number < rank:
        there_are = f"a tensor of rank {rank} has the axes {-rank} to {rank - 1}" if rank else "a scalar has no axes"
        raise ShapeError(f"{who}: there is no axis {number}; {there_are}")
    return int(number % rank)


def as_axes(axes: object, rank: int, who: str) -> tuple[int, ...]:
    """Axes given as a number or a list, each once; None is all of them."""
    if axes is None:
        return tuple(range(rank))
    items = axes if isinstance(axes, list | tuple | range | np.ndarray) else (axes,)
    found = tuple(as_axis(axis, rank, who) for axis in items)
    if len(set(found)) != len(found):
        raise ShapeError(f"{who}: an axis is given twice in {tuple(items)}")
    return found
