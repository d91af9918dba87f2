"""Making tensors: of given values, of one value, of ranges."""

from __future__ import annotations

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.tensor import Operand, method
from symgraph.core.types import as_dtype, is_floating, numpy_dtype
from symgraph.core.value import Tensor, as_array, tensor
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to, common_dtype
from symgraph.ops.shape import broadcast_to, expand_dims, moveaxis, ravel
from symgraph.ops.sizes import Size, as_size, as_sizes, dimension, dimensions, is_symbolic

__all__ = [
    "arange", "constant", "empty", "empty_like", "eye", "fill", "full", "full_like", "identity", "linspace", "logspace",
    "meshgrid", "ones", "ones_like", "scalar", "tensor", "tensor1d", "tensor2d", "tensor3d", "tensor4d", "tensor5d",
    "tensor6d", "tri", "zeros", "zeros_like",
]


def constant(value: object, dtype: object = None, shape: object = None) -> Tensor:
    """A tensor of `value`; a number fills the given `shape`, flat values take it.

    >>> import symgraph as sg
    >>> sg.ops.constant(7, shape=(2,)).tolist()
    [7, 7]
    """
    if shape is not None and np.ndim(value) == 0:  # type: ignore[arg-type]
        sizes = as_sizes(shape, "constant")
        return tensor(np.full(sizes, as_array(value, None if dtype is None else as_dtype(dtype))))
    return tensor(value, shape, dtype)


def scalar(value: object, dtype: object = None) -> Tensor:
    """A tensor of one number, without axes.

    Errors: `ShapeError` for anything with axes.
    """
    return _of_rank(0, value, None, dtype)


def _of_rank(rank: int, values: object, shape: object, dtype: object) -> Tensor:
    made = tensor(values, shape, dtype)
    if made.ndim != rank:
        who = f"tensor{rank}d" if rank else "scalar"
        raise ShapeError(f"{who}: values must have {rank} axes, got shape {made.shape}"
                         + ("; give shape= with flat values" if rank > 1 and made.ndim == 1 else ""))
    return made


def tensor1d(values: object, dtype: object = None) -> Tensor:
    """A vector.

    Errors: `ShapeError` naming the shape where `values` have another rank.
    """
    return _of_rank(1, values, None, dtype)


def tensor2d(values: object, shape: object = None, dtype: object = None) -> Tensor:
    """A matrix of nested values, or of flat ones and a shape.

    Errors: `ShapeError` naming the shape where the rank is another.
    """
    return _of_rank(2, values, shape, dtype)


def tensor3d(values: object, shape: object = None, dtype: object = None) -> Tensor:
    """A tensor of rank 3; see `tensor2d`."""
    return _of_rank(3, values, shape, dtype)


def tensor4d(values: object, shape: object = None, dtype: object = None) -> Tensor:
    """A tensor of rank 4; see `tensor2d`."""
    return _of_rank(4, values, shape, dtype)


def tensor5d(values: object, shape: object = None, dtype: object = None) -> Tensor:
    """A tensor of rank 5; see `tensor2d`."""
    return _of_rank(5, values, shape, dtype)


def tensor6d(values: object, shape: object = None, dtype: object = None) -> Tensor:
    """A tensor of rank 6; see `tensor2d`."""
    return _of_rank(6, values, shape, dtype)


def full(shape: object, fill_value: object, dtype: object = None) -> Operand:
    """`fill_value` in every place of `shape`, in its own dtype unless one is given. Sizes may be scalar symbols.

    Errors: `ShapeError` for negative sizes.

    >>> import symgraph as sg
    >>> sg.ops.full((2, 2), 7).tolist()
    [[7, 7], [7, 7]]
    """
    value = as_operand(_as_bool(fill_value) if dtype is not None and as_dtype(dtype) == "bool" else fill_value, dtype)
    sizes = as_sizes(shape, "full")
    if any(isinstance(n, int) and n < 0 for n in sizes):
        raise ShapeError(f"full: sizes count from 0, got {shape!r}")
    if is_symbolic(value) or not all(isinstance(n, int) for n in sizes):
        return broadcast_to(value, sizes)
    array = as_array(value)
    try:
        return Tensor(np.full(sizes, array, array.dtype))
    except ValueError:
        raise ShapeError(f"full: a value of shape {array.shape} does not fill the shape {tuple(sizes)}") from None


def _as_bool(value: object) -> object:
    """0 and 1 are booleans too where booleans are asked for."""
    return bool(value) if isinstance(value, int | float) else value


def fill(shape: object, value: object, dtype: object = None) -> Operand:
    """`value` in every place of `shape`, as `full`."""
    return full(shape, value, dtype)


def zeros(shape: object, dtype: object = "float32") -> Operand:
    """0 in every place of `shape`. Sizes may be scalar symbols."""
    return full(shape, 0, "float32" if dtype is None else dtype)


def ones(shape: object, dtype: object = "float32") -> Operand:
    """1 in every place of `shape`. Sizes may be scalar symbols."""
    return full(shape, 1, "float32" if dtype is None else dtype)


def empty(shape: object, dtype: object = "float32") -> Operand:
    """A tensor of `shape` with any values: zeros."""
    return zeros(shape, dtype)


def full_like(x: object, fill_value: object, dtype: object = None) -> Operand:
    """`fill_value` in every place of the shape of `x`, in the dtype of `x` unless one is given."""
    x = as_operand(x)
    sizes = dimensions(x) if not all(isinstance(d, int) for d in x.shape) else x.shape
    return full(sizes, fill_value, x.dtype if dtype is None else dtype)


@method
def zeros_like(x: object, dtype: object = None) -> Operand:
    """0 in every place of the shape of `x`."""
    return full_like(x, 0, dtype)


@method
def ones_like(x: object, dtype: object = None) -> Operand:
    """1 in every place of the shape of `x`."""
    return full_like(x, 1, dtype)


@method
def empty_like(x: object, dtype: object = None) -> Operand:
    """Any values, in the shape of `x`: zeros."""
    return full_like(x, 0, dtype)


def _plane(rows: object, columns: object, who: str) -> tuple[Size, Size]:
    height = as_size(rows, who)
    width = height if columns is None else as_size(columns, who)
    if any(isinstance(n, int) and n < 0 for n in (height, width)):
        raise ShapeError(f"{who}: sizes count from 0, got {rows!r} and {columns!r}")
    return height, width


def eye(N: object, M: object = None, k: int = 0, dtype: object = "float32") -> Operand:
    """The matrix `[N, M]` with 1 on its diagonal `k` and 0 elsewhere; sizes may be scalar symbols.

    >>> import symgraph as sg
    >>> sg.ops.eye(2, 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    dtype = "float32" if dtype is None else as_dtype(dtype)
    rows, columns = _plane(N, M, "eye")
    if isinstance(rows, int) and isinstance(columns, int):
        return Tensor(np.eye(rows, columns, k, numpy_dtype(dtype)))
    return cast_to(_compare("Equal", rows, columns, k), dtype)


def identity(n: object, dtype: object = "float32") -> Operand:
    """The square matrix with 1 on its diagonal and 0 elsewhere."""
    return eye(n, dtype=dtype)


def tri(N: object, M: object = None, k: int = 0, dtype: object = "float32") -> Operand:
    """The matrix `[N, M]` with 1 on its diagonal `k` and below, and 0 above."""
    dtype = "float32" if dtype is None else as_dtype(dtype)
    rows, columns = _plane(N, M, "tri")
    if isinstance(rows, int) and isinstance(columns, int):
        return Tensor(np.tri(rows, columns, k).astype(numpy_dtype(dtype)))
    return cast_to(_compare("GreaterOrEqual", rows, columns, k), dtype)


def _compare(op: str, rows: Size, columns: Size, k: int) -> Operand:
    """`row + k OP column` for every place of a matrix."""
    i, j = (apply("Range", np.int64(0), n, np.int64(1)) for n in (rows, columns))
    return apply(op, apply("Add", expand_dims(i, 1), np.int64(k)), j)


def arange(start: object, stop: object = None, step: object = 1, dtype: object = None) -> Operand:
    """`start, start + step, ...` as long as `stop` is not reached; `arange(stop)` begins at 0 (ONNX Range).

    Whole numbers give int32, others float32, tensors their own dtype. Ends may be scalar symbols.

    Errors: `ShapeError` for a step of 0 or ends that are not scalars.

    >>> import symgraph as sg
    >>> sg.ops.arange(1, 7, 2).tolist()
    [1, 3, 5]
    """
    step = 1 if step is None else step
    first, last = (0, start) if stop is None else (start, stop)
    numbers = [first, last, step]
    wanted = common_dtype(numbers) if dtype is None else as_dtype(dtype)
    if wanted == "bool":
        raise DtypeError("arange: counts numbers, got booleans")
    if any(np.ndim(n) if not isinstance(n, Operand) else n.ndim for n in numbers):  # type: ignore[arg-type]
        raise ShapeError("arange: start, stop and step must be scalars")
    if any(is_symbolic(n) or (isinstance(n, Operand) and is_floating(n.dtype)) for n in numbers):
        inner = wanted if wanted in ("float32", "float64", "int16", "int32", "int64") else (
            "float32" if is_floating(wanted) else "int64")
        return cast_to(apply("Range", *(as_operand(n, inner) for n in numbers)), wanted)
    values = [as_array(n).item() for n in numbers]
    if values[2] == 0:
        raise ShapeError("arange: the step cannot be 0")
    return Tensor(np.arange(*values).astype(numpy_dtype(wanted)))


def linspace(start: object, stop: object, num: int = 50, endpoint: bool = True, retstep: bool = False,
             dtype: object = None, axis: int = 0) -> Operand | tuple[Operand, Operand]:
    """`num` numbers from `start` to `stop` at equal distances, along `axis`; without `endpoint`, `stop` left out.

    `start` and `stop` may be tensors, which broadcast, and symbols. With `retstep` also the distance.

    Errors: `ShapeError` for a negative `num`.

    >>> import symgraph as sg
    >>> sg.ops.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if num < 0:
        raise ShapeError(f"linspace: num counts from 0, got {num}")
    found = common_dtype([start, stop, 1.0])
    wanted = found if dtype is None else as_dtype(dtype)
    if not isinstance(start, Operand) and not isinstance(stop, Operand):
        ends = [as_array(x).astype(np.float64) for x in (start, stop)]
        numbers, gap = np.linspace(ends[0], ends[1], num, endpoint, retstep=True, axis=axis)
        result = Tensor(np.asarray(numbers).astype(numpy_dtype(wanted)))
        return (result, Tensor(np.asarray(gap).astype(numpy_dtype(found)))) if retstep else result
    a, b = (as_operand(x, found) for x in (start, stop))
    parts = max(num - 1 if endpoint else num, 1)
    rank = max(a.ndim, b.ndim)
    along = Tensor((np.arange(num) / parts).astype(numpy_dtype(found)).reshape((num,) + (1,) * rank))
    rest = Tensor((1 - np.arange(num) / parts).astype(numpy_dtype(found)).reshape((num,) + (1,) * rank))
    values = cast_to(apply("Add", apply("Mul", rest, a), apply("Mul", along, b)), wanted)
    values = moveaxis(values, 0, axis) if rank else values
    distance = apply("Div", apply("Sub", b, a), float(parts))
    return (values, distance) if retstep else values


def logspace(start: object, stop: object, num: int = 50, endpoint: bool = True, base: object = 10,
             dtype: object = None, axis: int = 0) -> Operand:
    """`base` to the powers that `linspace` gives."""
    found = common_dtype([start, stop, base, 1.0])
    wanted = found if dtype is None else as_dtype(dtype)
    if not any(isinstance(x, Operand) for x in (start, stop, base)):
        ends = [as_array(x).astype(np.float64) for x in (start, stop, base)]
        return Tensor(np.logspace(ends[0], ends[1], num, endpoint, ends[2], axis=axis).astype(numpy_dtype(wanted)))
    powers = linspace(start, stop, num, endpoint, dtype=found, axis=axis)
    return cast_to(apply("Pow", as_operand(base, found), powers), wanted)


def meshgrid(*x: object, indexing: str = "xy") -> list[Operand]:
    """The vectors `x` repeated along the axes of one grid.

    With "ij" `x[i]` varies along axis i; "xy" swaps the first two axes.

    Errors: `ShapeError` for another `indexing`.
    """
    if indexing not in ("xy", "ij"):
        raise ShapeError(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}")
    vectors = [ravel(v) for v in x]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[0], order[1] = 1, 0
    sizes = [dimension(v, 0) for v in vectors]
    grid = [sizes[i] for i in order]
    return [broadcast_to(expand_dims(v, tuple(i for i in range(len(order)) if i != order[n])), grid)
            for n, v in enumerate(vectors)]
