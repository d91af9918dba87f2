"""Shapes: asking for them, and giving the same elements another one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symgraph.core.errors import ShapeError
from symgraph.core.gradient import gradient_of, not_differentiable
from symgraph.core.inference import known_data
from symgraph.core.tensor import Operand, SymbolicTensor, method
from symgraph.core.types import Dim, format_dims
from symgraph.core.variable import Variable
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.sizes import (
    Size,
    are_exactly,
    as_axes,
    as_axis,
    as_size,
    as_sizes,
    dimension,
    dimensions,
    ints,
    is_exactly,
    is_symbolic,
    product,
    vector,
)

not_differentiable("its output is a size, a whole number", "Shape", "Size")

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to", "expand_dims", "flatten", "moveaxis",
    "ndim", "permute", "ravel", "reshape", "shape", "size", "squeeze", "swapaxes", "transpose",
]


def shape(x: object) -> tuple[Size, ...]:
    """The shape of `x` as a tuple: ints where dimensions are known, int64 scalar symbols where they are open.

    >>> import symgraph as sg
    >>> sg.shape([[1, 2, 3]])
    (1, 3)
    """
    return dimensions(as_operand(x))


def size(x: object) -> Size:
    """The number of elements, an int or an int64 scalar symbol."""
    return product(dimensions(as_operand(x)))


def ndim(x: object) -> int:
    """The number of dimensions."""
    return as_operand(x).ndim


def unchanged(x: Operand) -> Operand:
    """`x` itself; the present value where it is a variable that is not being traced."""
    return x.value if isinstance(x, Variable) and not is_symbolic(x) else x


@method
def reshape(x: object, newshape: object) -> Operand:
    """The same elements in the shape `newshape`, in row-major order (ONNX Reshape).

    One entry may be -1 (or None): what is left. Entries may be scalar symbols, such as those of `shape(x)`,
    and names of dimensions of `x`. A dimension that is open stays open.

    Errors: `ShapeError` naming both shapes where the numbers of elements differ.

    >>> import symgraph as sg
    >>> sg.ops.reshape([[1, 2, 3], [4, 5, 6]], (3, -1)).tolist()
    [[1, 2], [3, 4], [5, 6]]
    """
    x = as_operand(x)
    if isinstance(newshape, SymbolicTensor) and newshape.ndim == 1 and known_data(newshape) is None:
        return apply("Reshape", x, cast_to(newshape, "int64"), allowzero=1)
    wanted, copies_axes = _resolve(x, _wanted_sizes(x, newshape))
    if are_exactly(wanted, x.shape):
        return unchanged(x)
    known = [d for d in wanted if isinstance(d, int)]
    is_literal = not copies_axes and (len(known) < len(wanted) or (0 in known and -1 not in known))
    return apply("Reshape", x, vector(wanted), allowzero=1 if is_literal else None)


@gradient_of("Reshape")
def _reshape_gradient(dy: Operand, y: Operand, x: Operand, shape: Operand, *, allowzero: int = 0) -> Operand:
    return reshape_like(dy, x)


@gradient_of("Flatten")
def _flatten_gradient(dy: Operand, y: Operand, x: Operand, *, axis: int = 1) -> Operand:
    return reshape_like(dy, x)


def reshape_like(dy: Operand, x: Operand) -> Operand:
    """`dy` in the shape of `x`."""
    return apply("Reshape", dy, apply("Shape", x), allowzero=1)


def _wanted_sizes(x: Operand, newshape: object) -> list[Size]:
    if isinstance(newshape, list | tuple):
        wanted: list[Size] = []
        for d in newshape:
            if isinstance(d, str):
                if d not in x.shape:
                    raise ShapeError(f"reshape: {x.type} has no dimension named {d!r}")
                wanted.append(dimension(x, x.shape.index(d)))
            else:
                wanted.append(-1 if d is None else as_size(d, "reshape"))
    else:
        wanted = as_sizes(newshape, "reshape")
    if sum(is_exactly(d, -1) for d in wanted) > 1 or any(isinstance(d, int) and d < -1 for d in wanted):
        raise ShapeError(f"reshape: a shape has sizes from 0 on and at most one -1, got {newshape!r}")
    return wanted


def _resolve(x: Operand, wanted: list[Size]) -> tuple[list[Size], bool]:
    """`wanted` with -1 replaced by its size, and open sizes by -1 or 0 ("as in x"), where that is surely the same.

    The second result says whether a 0 means "as in x".
    """
    given: list[object] = [d if d is not None else ("axis", i) for i, d in enumerate(x.shape)]
    tokens = [_token(x, d) for d in wanted]
    left = [t for t in given if not isinstance(t, int)]
    open_wanted = [t for t in tokens if not isinstance(t, int)]
    for token in list(open_wanted):
        if token in left:
            left.remove(token)
            open_wanted.remove(token)
    is_same_open = not left and not open_wanted
    have = math.prod(d for d in given if isinstance(d, int))
    need = math.prod(d for d in tokens if isinstance(d, int) and d != -1)
    if is_same_open:
        fits = have == need if -1 not in tokens else (need != 0 and have % need == 0)
        if not fits:
            shown = ", ".join(str(t) if isinstance(t, int | str) else "?" for t in tokens)
            raise ShapeError(f"reshape: {x.type} has {_count(x.shape)} elements, which do not fill the shape [{shown}]")
        if -1 in tokens:
            position = tokens.index(-1)
            wanted[position] = tokens[position] = have // need
    places = [i for i, t in enumerate(tokens) if not isinstance(t, int)]
    if not places or 0 in tokens:
        return wanted, False
    if len(places) == 1 and is_same_open and -1 not in tokens:
        return [-1 if i in places else d for i, d in enumerate(wanted)], False
    if all(i < len(given) and given[i] == tokens[i] for i in places):
        return [0 if i in places else d for i, d in enumerate(wanted)], True
    return wanted, False


def _token(x: Operand, d: Size) -> object:
    """What stands for a size when sizes are compared: an int, a name, or the axis of `x` it is the size of."""
    if isinstance(d, int):
        return d
    data = known_data(d)
    if data is not None and data.item() is not None:
        return data.item()
    squeeze = d.node if isinstance(d, SymbolicTensor) else None
    made = squeeze.inputs[0] if squeeze is not None and squeeze.op.name == "Squeeze" else None
    if isinstance(made, SymbolicTensor) and made.node is not None and made.node.op.name == "Shape" and (
            made.node.inputs[0] is x):
        return "axis", made.node.attributes.get("start", 0)
    return object()


def _count(dims: Sequence[Dim]) -> str:
    names = ["?" if d is None else d for d in dims if not isinstance(d, int)]
    return " * ".join([str(math.prod(d for d in dims if isinstance(d, int))), *names])


@method
def ravel(x: object) -> Operand:
    """All elements in one row."""
    return reshape(x, (-1,))


@method
def flatten(x: object) -> Operand:
    """All elements in one row, as `ravel`."""
    return reshape(x, (-1,))


@method
def transpose(x: object, axes: Sequence[int] | None = None) -> Operand:
    """`x` with its axes in the order `axes`; without it, in reverse (ONNX Transpose).

    Errors: `ShapeError` where `axes` is not a permutation of the axes of `x`.
    """
    x = as_operand(x)
    order = tuple(range(x.ndim))[::-1] if axes is None else as_axes(axes, x.ndim, "transpose")
    if len(order) != x.ndim:
        raise ShapeError(f"transpose: {x.type} has {x.ndim} axes, got {len(order)}: {tuple(axes or ())}")
    if order == tuple(range(x.ndim)):
        return unchanged(x)
    return apply("Transpose", x, perm=order)


@gradient_of("Transpose")
def _transpose_gradient(dy: Operand, y: Operand, x: Operand, *, perm: tuple[int, ...] | None = None) -> Operand:
    return apply("Transpose", dy, perm=None if perm is None else tuple(perm.index(i) for i in range(len(perm))))


@method
def permute(x: object, axes: Sequence[int]) -> Operand:
    """`x` with its axes in the order `axes`."""
    return transpose(x, axes)


@method
def swapaxes(x: object, axis1: int, axis2: int) -> Operand:
    """`x` with two axes exchanged."""
    x = as_operand(x)
    a, b = as_axis(axis1, x.ndim, "swapaxes"), as_axis(axis2, x.ndim, "swapaxes")
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return transpose(x, order)


@method
def moveaxis(x: object, source: int | Sequence[int], destination: int | Sequence[int]) -> Operand:
    """`x` with the axes `source` moved to the places `destination`; the others keep their order.

    Errors: `ShapeError` where the two do not have the same length.
    """
    x = as_operand(x)
    start = as_axes(source, x.ndim, "moveaxis")
    end = as_axes(destination, x.ndim, "moveaxis")
    if len(start) != len(end):
        raise ShapeError(f"moveaxis: {len(start)} axes cannot move to {len(end)} places")
    order = [axis for axis in range(x.ndim) if axis not in start]
    for place, axis in sorted(zip(end, start, strict=True)):
        order.insert(place, axis)
    return transpose(x, order)


@method
def expand_dims(x: object, axis: int | Sequence[int]) -> Operand:
    """`x` with axes of size 1 at the places `axis` of the result (ONNX Unsqueeze)."""
    x = as_operand(x)
    count = len(axis) if isinstance(axis, list | tuple) else 1
    axes = as_axes(axis, x.ndim + count, "expand_dims")
    return apply("Unsqueeze", x, ints(*axes)) if axes else unchanged(x)


@method
def squeeze(x: object, axis: int | Sequence[int] | None = None) -> Operand:
    """`x` without its axes of size 1; with `axis`, without those axes (ONNX Squeeze).

    Errors: `ShapeError` for an axis known to be larger than 1, or, without `axis`, where open dimensions
    leave the rank of the result unknown.
    """
    x = as_operand(x)
    if axis is None and any(not isinstance(d, int) for d in x.shape):
        raise ShapeError(f"squeeze: which dimensions of {x.type} are 1 is not known; give axis=")
    axes = as_axes(axis, x.ndim, "squeeze") if axis is not None else tuple(
        i for i, d in enumerate(x.shape) if d == 1)
    for i in axes:
        if isinstance(x.shape[i], int) and x.shape[i] != 1:
            raise ShapeError(f"squeeze: axis {i} of {x.type} has the size {x.shape[i]}, not 1")
    return apply("Squeeze", x, ints(*axes)) if axes else unchanged(x)


@gradient_of("Squeeze")
def _squeeze_gradient(dy: Operand, y: Operand, x: Operand, axes: Operand | tuple[int, ...] | None = None) -> Operand:
    if axes is None:
        return reshape_like(dy, x)
    return apply("Unsqueeze", dy, ints(*axes) if isinstance(axes, tuple) else axes)


@gradient_of("Unsqueeze")
def _expand_dims_gradient(dy: Operand, y: Operand, x: Operand, axes: Operand | tuple[int, ...]) -> Operand:
    return apply("Squeeze", dy, ints(*axes) if isinstance(axes, tuple) else axes)


@method
def broadcast_to(x: object, shape: object) -> Operand:
    """`x` repeated to the given shape by NumPy's rules (ONNX Expand). Sizes may be scalar symbols.

    Errors: `ShapeError` naming both shapes where a known size is neither 1 nor the wanted one.
    """
    x = as_operand(x)
    wanted = as_sizes(shape, "broadcast_to")
    offset = len(wanted) - x.ndim
    for have, want in zip(x.shape, wanted[max(offset, 0):], strict=False):
        if offset < 0 or (isinstance(have, int) and isinstance(want, int) and have not in (1, want)):
            shown = format_dims(d if isinstance(d, int) else None for d in wanted)
            raise ShapeError(f"broadcast_to: {x.type} does not broadcast to [{shown}]")
    if offset < 0 or any(isinstance(d, int) and d < 0 for d in wanted):
        raise ShapeError(f"broadcast_to: {x.type} does not broadcast to {shape!r}")
    if are_exactly(wanted, x.shape):
        return unchanged(x)
    return apply("Expand", x, vector(wanted))


@gradient_of("Expand", broadcasts=True)
def _expand_gradient(dy: Operand, y: Operand, x: Operand, shape: Operand) -> Operand:
    return dy


def broadcast_shape(*xs: Operand) -> tuple[Size, ...]:
    """The shape operands broadcast to; sizes that only the run tells are computed there.

    Errors: `ShapeError` naming the shapes that do not go together.
    """
    rank = max(x.ndim for x in xs)
    result: list[Size] = []
    for place in range(-rank, 0):
        found = [(x, x.shape[place]) for x in xs if x.ndim >= -place and x.shape[place] != 1]
        fixed = {d for _, d in found if isinstance(d, int)}
        if len(fixed) > 1:
            raise ShapeError("shapes do not broadcast: " + ", ".join(str(x.type) for x in xs))
        names = {d for _, d in found}
        if not found:
            result.append(1)
        elif fixed:
            result.append(fixed.pop())
        elif len(names) == 1 and (None not in names or len(found) == 1):
            result.append(dimension(found[0][0], place))
        else:
            result.append(_run_time_size([dimension(x, place) for x, _ in found]))
    return tuple(result)


def _run_time_size(sizes: Sequence[Size]) -> Size:
    """The size that equal sizes and ones broadcast to: `1 + sum of those that differ`, by Expand's own rule."""
    parts = [apply("ConstantOfShape", vector([s]), value=np.zeros(1, np.bool_)) for s in sizes]
    total = parts[0]
    for part in parts[1:]:
        total = apply("Or", total, part)
    return dimension(total, 0)


def broadcast_arrays(*xs: object) -> list[Operand]:
    """All of `xs` in the one shape they broadcast to."""
    operands = [as_operand(x) for x in xs]
    wanted = broadcast_shape(*operands) if operands else ()
    return [broadcast_to(x, wanted) for x in operands]


def atleast_1d(x: object) -> Operand:
    """`x`, a scalar as a vector of one."""
    x = as_operand(x)
    return reshape(x, (1,)) if x.ndim == 0 else unchanged(x)


def atleast_2d(x: object) -> Operand:
    """`x` with axes of size 1 put before it until it has two."""
    x = as_operand(x)
    return expand_dims(x, tuple(range(2 - x.ndim))) if x.ndim < 2 else unchanged(x)


def atleast_3d(x: object) -> Operand:
    """`x` with axes of size 1 around it until it has three, as NumPy puts them: `[N] -> [1, N, 1]`."""
    x = as_operand(x)
    missing = {0: (0, 1, 2), 1: (0, 2), 2: (2,)}.get(x.ndim)
    return expand_dims(x, missing) if missing else unchanged(x)
