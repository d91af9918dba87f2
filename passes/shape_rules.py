"""The shapes that operators make, as far as ONNX's inference cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING

from symgraph.core.op import Op
from symgraph.core.tensor import Node
from symgraph.passes.attributes import attribute, axes_of
from symgraph.passes.extent import ONE, ZERO, Extent, Numbers, Shape, only, product
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE

if TYPE_CHECKING:
    from symgraph.passes.known_shapes import KnownShapes

Partial = tuple[Extent | None, ...]
ShapeRule = Callable[["KnownShapes", Node], Partial | None]


def _same(sizes: KnownShapes, node: Node) -> Partial | None:
    return sizes.shape(node.inputs[0])


def broadcast(shapes: Sequence[Shape]) -> Partial:
    """The shape in which `shapes` meet; None where it depends on which of two open sizes is 1."""
    rank = max(map(len, shapes))
    return tuple(reduce(_meet, column) for column in zip(
        *((ONE,) * (rank - len(shape)) + shape for shape in shapes), strict=True))


def _meet(a: Extent | None, b: Extent | None) -> Extent | None:
    if a == b or b == ONE:
        return a
    if a == ONE:
        return b
    for x in (a, b):
        if x is not None and x.number is not None and x.number > 1:
            return x
    return None


def _broadcast(sizes: KnownShapes, node: Node) -> Partial | None:
    shapes = [sizes.shape(x) for x in node.inputs]
    known = [shape for shape in shapes if shape is not None]
    return broadcast(known) if len(known) == len(shapes) and known else None


def _transpose(sizes: KnownShapes, node: Node) -> Partial | None:
    shape = sizes.shape(node.inputs[0])
    if shape is None:
        return None
    return tuple(shape[axis] for axis in attribute(node, "perm", range(len(shape))[::-1]))


def _concat(sizes: KnownShapes, node: Node) -> Partial | None:
    shapes = [shape for shape in map(sizes.shape, node.inputs) if shape is not None]
    if len(shapes) < len(node.inputs) or "axis" not in node.attributes:
        return None
    axis = attribute(node, "axis") % len(shapes[0])
    total = reduce(lambda a, b: a + b, [shape[axis] for shape in shapes])
    return (*shapes[0][:axis], total, *shapes[0][axis + 1:])


def _matmul(sizes: KnownShapes, node: Node) -> Partial | None:
    a, b = map(sizes.shape, node.inputs)
    if a is None or b is None or len(a) < 2 or len(b) < 2:
        return None
    stacked = broadcast([a[:-2], b[:-2]]) if len(a) > 2 or len(b) > 2 else ()
    return (*stacked, a[-2], b[-1])


def _gemm(sizes: KnownShapes, node: Node) -> Partial | None:
    a, b = map(sizes.shape, node.inputs[:2])
    if a is None or b is None:
        return None
    return a[1 if attribute(node, "transA", 0) else 0], b[0 if attribute(node, "transB", 0) else 1]


def _gather(sizes: KnownShapes, node: Node) -> Partial | None:
    x, indices = map(sizes.shape, node.inputs)
    if x is None or indices is None:
        return None
    axis = attribute(node, "axis", 0) % len(x)
    return (*x[:axis], *indices, *x[axis + 1:])


def _reshape(sizes: KnownShapes, node: Node) -> Partial | None:
    if len(node.inputs) < 2:
        return None
    target, given = sizes.known(node.inputs[1]), sizes.shape(node.inputs[0])
    if target is None:
        length = sizes.shape(node.inputs[1])
        return (None,) * length[0].number if length and length[0].number is not None else None
    if given is None:
        return tuple(n if n is not None and n.number is not None and n.number > 0 else None for n in target)
    if attribute(node, "allowzero", 0) and any(n is not None and n.number == 0 for n in target):
        return None
    return _reshaped(target, given)


def _reshaped(target: Numbers, given: Shape) -> Partial:
    """The shape that `target` makes of `given`. A size that turns out 0 means: as it was at this place."""
    dims: list[Extent | None] = []
    is_whole = all(n is not None and n.is_size for n in target) and product(
        given[i] if n.number == 0 and i < len(given) else n for i, n in enumerate(target)) == product(given)
    for i, n in enumerate(target):
        old = given[i] if i < len(given) else None
        if n is None or n.number == -1:
            dims.append(None)
        elif n.number == 0:
            dims.append(old)
        elif n.number is not None or is_whole or n.is_positive or (
                old is not None and n.is_size and old.divided_by(n) is not None):
            dims.append(n)
        else:
            dims.append(None)
    if dims.count(None) == 1:
        rest = product(d for d in dims if d is not None)
        dims[dims.index(None)] = product(given).divided_by(rest)
    return tuple(dims)


def _expand(sizes: KnownShapes, node: Node) -> Partial | None:
    shape, target = sizes.shape(node.inputs[0]), sizes.known(node.inputs[1])
    if shape is None or target is None or any(n is None for n in target):
        return None
    return broadcast([shape, tuple(target)])


def _filled(sizes: KnownShapes, node: Node) -> Partial | None:
    target = sizes.known(node.inputs[0])
    return None if target is None else tuple(target)


def _unsqueeze(sizes: KnownShapes, node: Node) -> Partial | None:
    shape, axes = sizes.shape(node.inputs[0]), axes_of(node, 1)
    if shape is None or axes is None:
        return None
    rank = len(shape) + len(axes)
    added, old = {axis % rank for axis in axes}, iter(shape)
    return tuple(ONE if axis in added else next(old) for axis in range(rank))


def _flatten(sizes: KnownShapes, node: Node) -> Partial | None:
    shape = sizes.shape(node.inputs[0])
    if shape is None:
        return None
    axis = attribute(node, "axis", 1)
    return product(shape[:axis]), product(shape[axis:])


def _squeeze(sizes: KnownShapes, node: Node) -> Partial | None:
    shape, axes = sizes.shape(node.inputs[0]), axes_of(node, 1)
    if shape is None or not axes:
        return None
    gone = {axis % len(shape) for axis in axes}
    return tuple(d for axis, d in enumerate(shape) if axis not in gone)


def _reduced(sizes: KnownShapes, node: Node) -> Partial | None:
    shape, axes = sizes.shape(node.inputs[0]), axes_of(node, 1)
    if shape is None or not axes:
        return None
    gone, keeps = {axis % len(shape) for axis in axes}, attribute(node, "keepdims", 1)
    return tuple(ONE if axis in gone else d for axis, d in enumerate(shape) if keeps or axis not in gone)


def _split(sizes: KnownShapes, node: Node) -> Partial | None:
    shape = sizes.shape(node.inputs[0])
    if shape is None:
        return None
    axis = attribute(node, "axis", 0) % len(shape)
    return tuple(None if i == axis else d for i, d in enumerate(shape))


def _sliced(sizes: KnownShapes, node: Node) -> Partial | None:
    shape, axes = sizes.shape(node.inputs[0]), axes_of(node, 3)
    if shape is None or not axes:
        return None
    starts, ends = (sizes.known(x) for x in node.inputs[1:3]) if len(node.inputs) > 2 else (None, None)
    steps = sizes.known(node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] is not None else None
    is_plain = len(node.inputs) < 5 or (steps is not None and all(n == ONE for n in steps))
    if not is_plain:
        starts = None
    if starts is None or ends is None:
        cut = {axis % len(shape) for axis in axes}
        return tuple(None if i in cut else d for i, d in enumerate(shape))
    dims: list[Extent | None] = list(shape)
    for axis, start, end in zip(axes, starts, ends, strict=True):
        dims[axis] = _cut(shape[axis], start, end, sizes.limits)
    return tuple(dims)


def _cut(dim: Extent, start: Extent | None, end: Extent | None, limits: Mapping[Extent, int]) -> Extent | None:
    """The size of x[start:end]."""
    if start is None or end is None:
        return None
    if start == ZERO and (end == dim or (end.number is not None and end.number >= 2**31 - 1)):
        return dim
    size, limit = end - start, limits.get(end)
    is_inside = limit is not None and dim.number is not None and limit <= dim.number
    return size if is_inside and start.is_size and size.is_size else None


def _counted(sizes: KnownShapes, node: Node) -> Partial | None:
    start, end, step = (only(sizes.known(x)) for x in node.inputs)
    if start is None or end is None or step != ONE:
        return None
    return (end - start,) if (end - start).is_size else None


_SHAPES: dict[str, ShapeRule] = {
    "Transpose": _transpose, "Concat": _concat, "MatMul": _matmul, "Gemm": _gemm, "Gather": _gather,
    "Reshape": _reshape, "Expand": _expand, "ConstantOfShape": _filled, "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze, "Flatten": _flatten, "Split": _split, "Slice": _sliced, "Range": _counted}

_SHAPE_OF_FIRST = frozenset({
    "Softmax", "LogSoftmax", "Hardmax", "LayerNormalization", "BatchNormalization", "InstanceNormalization",
    "Identity", "Dropout", "PRelu", "CumSum", "ScatterND", "ScatterElements", "Trilu", "LRN", "LpNormalization"})


def shape_rule(op: Op) -> ShapeRule | None:
    """What tells the shape an operator makes, where anything does."""
    if op.name in ELEMENTWISE or op.name in _SHAPE_OF_FIRST:
        return _same
    if op.name in BROADCASTING:
        return _broadcast if op.version >= 7 else _same
    return _reduced if op.name.startswith("Reduce") else _SHAPES.get(op.name)
