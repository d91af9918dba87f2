"""The numbers that operators compute with shapes, as far as they are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.inference import MAX_DATA
from symgraph.core.tensor import Node, Operand
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute, axes_of
from symgraph.passes.extent import Extent, Numbers, as_numbers, product

if TYPE_CHECKING:
    from symgraph.passes.known_shapes import KnownShapes


def _numbers_of_shape(sizes: KnownShapes, node: Node) -> Numbers | None:
    shape = sizes.shape(node.inputs[0])
    if shape is None:
        return None
    return as_numbers(shape, (len(shape),))[attribute(node, "start", 0):attribute(node, "end")]


def _numbers_of_size(sizes: KnownShapes, node: Node) -> Numbers | None:
    shape = sizes.shape(node.inputs[0])
    return None if shape is None else as_numbers([product(shape)], ())


def _plain(sizes: KnownShapes, x: Operand | None) -> Numbers:
    """The numbers of an operand, all of which must be plain.

    Errors: `ValueError` where they are not.
    """
    found = sizes.known(x)
    if found is None or any(n is None or n.number is None for n in found.flat):
        raise ValueError
    return np.array([n.number for n in found.flat], np.int64).reshape(found.shape)


def _kept(sizes: KnownShapes, node: Node) -> Numbers | None:
    return sizes.known(node.inputs[0])


def _gathered(sizes: KnownShapes, node: Node) -> Numbers | None:
    x = sizes.known(node.inputs[0])
    if x is None:
        return None
    return _wholeas_numbers(np.take(x, _plain(sizes, node.inputs[1]), axis=attribute(node, "axis", 0)))


def _wholeas_numbers(x: Any) -> Numbers:
    return x if isinstance(x, np.ndarray) else as_numbers([x], ())


def _concatenated(sizes: KnownShapes, node: Node) -> Numbers | None:
    parts = []
    for x in node.inputs:
        found, shape = sizes.known(x), sizes.shape(x)
        if found is None and shape is not None and len(shape) == 1 and (shape[0].number or MAX_DATA + 1) <= MAX_DATA:
            found = np.full(shape[0].number or 0, None, object)
        if found is None:
            return None
        parts.append(found)
    return np.concatenate(parts, axis=attribute(node, "axis"))


def _unsqueezed(sizes: KnownShapes, node: Node) -> Numbers | None:
    x, axes = sizes.known(node.inputs[0]), axes_of(node, 1)
    return None if x is None or axes is None else np.expand_dims(x, axes)


def _squeezed(sizes: KnownShapes, node: Node) -> Numbers | None:
    x, axes = sizes.known(node.inputs[0]), axes_of(node, 1)
    return None if x is None or axes is None else _wholeas_numbers(np.squeeze(x, axes or None))


def _reshaped_numbers(sizes: KnownShapes, node: Node) -> Numbers | None:
    x = sizes.known(node.inputs[0])
    return None if x is None or x.size == 0 else x.reshape([
        x.shape[i] if n == 0 else int(n) for i, n in enumerate(_plain(sizes, node.inputs[1]).flat)])


def _slice_numbers(sizes: KnownShapes, node: Node) -> Numbers | None:
    x = sizes.known(node.inputs[0])
    if x is None or x.ndim != 1:
        return None
    if "starts" in node.attributes:
        start, end, step = attribute(node, "starts")[0], attribute(node, "ends")[0], 1
    else:
        has_steps = len(node.inputs) > 4 and node.inputs[4] is not None
        start, end, step = (int(_plain(sizes, each).item()) for each in (
            node.inputs[1], node.inputs[2], node.inputs[4] if has_steps else Tensor(np.array([1]))))
    return x[start:None if step < 0 and end < -x.size else end:step]


def _arithmetic(function: Callable[[Extent, Extent], Extent | None]) -> Callable[[KnownShapes, Node], Numbers | None]:
    known = np.frompyfunc(lambda a, b: None if a is None or b is None else function(a, b), 2, 1)

    def compute(sizes: KnownShapes, node: Node) -> Numbers | None:
        a, b = map(sizes.known, node.inputs)
        return None if a is None or b is None else _wholeas_numbers(known(a, b))

    return compute


def _quotient(a: Extent, b: Extent) -> Extent | None:
    if a.number is not None and b.number:
        return Extent.of(int(math.copysign(abs(a.number) // abs(b.number), a.number * b.number)))
    return a.divided_by(b) if b.is_positive else None


def _folded(function: Callable[[Extent, Extent], Extent]) -> Callable[[KnownShapes, Node], Numbers | None]:
    def compute(sizes: KnownShapes, node: Node) -> Numbers | None:
        x, axes = sizes.known(node.inputs[0]), axes_of(node, 1)
        if x is None or x.ndim != 1 or x.size == 0 or axes is None or (
                not axes and attribute(node, "noop_with_empty_axes", 0)):
            return None
        total = None if any(n is None for n in x) else reduce(function, x)
        return as_numbers([total], (1,) if attribute(node, "keepdims", 1) else ())

    return compute


NUMBER_RULES: dict[str, Callable[[KnownShapes, Node], Numbers | None]] = {
    "Shape": _numbers_of_shape, "Size": _numbers_of_size, "Identity": _kept, "Cast": _kept, "Gather": _gathered,
    "Concat": _concatenated, "Unsqueeze": _unsqueezed, "Squeeze": _squeezed, "Reshape": _reshaped_numbers,
    "Slice": _slice_numbers, "Add": _arithmetic(lambda a, b: a + b), "Sub": _arithmetic(lambda a, b: a - b),
    "Mul": _arithmetic(lambda a, b: a * b), "Div": _arithmetic(_quotient),
    "ReduceProd": _folded(lambda a, b: a * b), "ReduceSum": _folded(lambda a, b: a + b)}
"""By operator."""
