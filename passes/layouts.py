"""How operators work on tensors whose axes lie in another order."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from symgraph.core.graph import constant_array
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.passes.attributes import attribute, axes_of
from symgraph.passes.matching import dtype_of, shape_of
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE

Perm = tuple[int, ...]
"""y = Transpose(x, perm): axis i of y is axis perm[i] of x."""

REDUCTIONS = frozenset({
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceProd", "ReduceSum",
    "ReduceSumSquare"})
"""Not the largest and smallest: what ONNX Runtime makes of NaN there depends on its place in memory."""


@dataclass(frozen=True)
class Moved:
    """A node before transposes: its outputs are to be transposed by `perm`; attributes, and inputs that change.

    `reshaped` are inputs that were not transposed and are to have these shapes now; only axes of size 1 move.
    """

    perm: Perm
    attributes: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[int, Operand] = field(default_factory=dict)
    reshaped: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Layouts:
    """What is known of a graph: the values that are transposes of others, and what inputs are transposed to."""

    perms: Mapping[Operand, Perm]
    turns: Mapping[tuple[Operand, Perm], Operand]

    def __contains__(self, x: Operand | None) -> bool:
        return x is not None and x in self.perms


def moved(node: Node, known: Layouts) -> Moved | None:
    """How `node` works on what its transposed inputs are transposes of; None where it does not, or there are none."""
    found = {known.perms[x] for x in node.inputs if x is not None and x in known}
    rule = None if node.op.domain else _rule(node)
    if rule is None or len(found) != 1 or node.captures:
        return None
    (perm,) = found
    return rule(node, perm, known)


Rule = Callable[[Node, Perm, Layouts], Moved | None]


def _rule(node: Node) -> Rule | None:
    name = node.op.name
    if name in ELEMENTWISE or name in ("QuantizeLinear", "DequantizeLinear", "Identity"):
        return _elementwise
    if name in BROADCASTING:
        return _broadcast if node.op.version >= 7 else None
    if name in ("Softmax", "LogSoftmax", "Hardmax"):
        return _along_axis if node.op.version >= 13 else None
    return _reduction if name in REDUCTIONS else _RULES.get(name)


def has_rule(node: Node) -> bool:
    """Whether a node may work on what lies before transposes."""
    return not node.op.domain and _rule(node) is not None


def inverse(perm: Perm) -> Perm:
    """What undoes a transposition."""
    return tuple(perm.index(axis) for axis in range(len(perm)))


def laid_out(x: Tensor, perm: Perm) -> Tensor:
    """A constant so laid out that it broadcasts with a tensor before its transposition by `perm` as it did after."""
    if x.ndim == 0:
        return x
    array = x.numpy().reshape((1,) * (len(perm) - x.ndim) + x.numpy().shape)
    return Tensor(np.ascontiguousarray(array.transpose(inverse(perm))))


def _is_first_only(node: Node, known: Layouts) -> bool:
    return node.inputs[0] in known and not any(x in known for x in node.inputs[1:] if x is not None)


def _elementwise(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    is_plain = _is_first_only(node, known) and all(x is None or shape_of(x) == () for x in node.inputs[1:])
    return Moved(perm, node.attributes) if is_plain and len(node.outputs) == 1 else None


def _broadcast(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    moved = _others(node, perm, known, range(1, len(perm) + 1))
    return None if moved is None else Moved(perm, node.attributes, *moved)


def _others(node: Node, perm: Perm, known: Layouts, ranks: Container[int],
            ) -> tuple[dict[int, Operand], dict[int, tuple[int, ...]]] | None:
    """The inputs that are no transposes, laid out as those are: by place, and the shapes of those to be reshaped.

    Constants of one of these `ranks` are transposed; scalars may stay where these allow for broadcasting.
    """
    inputs: dict[int, Operand] = {}
    reshaped: dict[int, tuple[int, ...]] = {}
    for place, x in enumerate(node.inputs):
        if x is None or x in known or (shape_of(x) == () and 1 in ranks):
            continue
        turned, shape = _turned(x, perm, known), _reshaped(x, perm)
        if isinstance(x, Tensor) and x.ndim in ranks:
            inputs[place] = laid_out(x, perm)
        elif turned is not None:
            inputs[place] = turned
        elif shape is not None:
            reshaped[place] = shape
        else:
            return None
    return inputs, reshaped


def _turned(x: Operand, perm: Perm, known: Layouts) -> Operand | None:
    """What `perm` makes `x` of, where the graph has that."""
    return known.turns.get((x, inverse(perm)))


def _reshaped(x: Operand, perm: Perm) -> tuple[int, ...] | None:
    """The shape of what `perm` makes `x` of, where only axes of size 1 move, and x is a weight or made by a reshape."""
    shape, maker = shape_of(x) or (), x.node if isinstance(x, SymbolicTensor) else None
    if isinstance(x, Variable):
        shape = (1,) * (len(perm) - len(shape)) + shape
    elif maker is None or maker.op.domain or maker.op.name not in ("Reshape", "Unsqueeze"):
        return None
    if len(shape) != len(perm):
        return None
    long = [axis for axis in inverse(perm) if shape[axis] != 1]
    sizes = tuple(shape[axis] if isinstance(shape[axis], int) else -1 for axis in inverse(perm))
    known = tuple(size for size in sizes if isinstance(size, int))
    return known if long == sorted(long) and known.count(-1) <= 1 and 0 not in known else None


def _prelu(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    slope = node.inputs[1]
    if not _is_first_only(node, known) or not isinstance(slope, Tensor) or slope.ndim > len(perm):
        return None
    return Moved(perm, node.attributes, {1: laid_out(slope, perm)})


def _concat(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    moved = _others(node, perm, known, (len(perm),))
    return None if moved is None else Moved(perm, _with_axis(node, perm), *moved)


def _with_axis(node: Node, perm: Perm, default: int = -1) -> dict[str, Any]:
    return {**node.attributes, "axis": perm[attribute(node, "axis", default) % len(perm)]}


def _along_axis(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    return Moved(perm, _with_axis(node, perm)) if _is_first_only(node, known) else None


def _split(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    return Moved(perm, _with_axis(node, perm, 0)) if _is_first_only(node, known) else None


def _pad(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    rank, order = len(perm), inverse(perm)
    if not _is_first_only(node, known):
        return None
    if node.op.version < 11:
        pads = attribute(node, "pads", ())
        return Moved(perm, {**node.attributes, "pads": _reordered(pads, order)}) if len(pads) == 2 * rank else None
    pads = _constant(node, 1)
    if pads is None:
        return None
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        return _with_axes(node, perm, 3)
    return Moved(perm, node.attributes, {1: Tensor(np.array(_reordered(pads, order), np.int64))}) if (
        len(pads) == 2 * rank) else None


def _reordered(pads: tuple[int, ...], order: Perm) -> tuple[int, ...]:
    return tuple(pads[axis + side * len(order)] for side in (0, 1) for axis in order)


def _constant(node: Node, place: int) -> tuple[int, ...] | None:
    x = node.inputs[place] if len(node.inputs) > place else None
    array = None if x is None else constant_array(x)
    return None if array is None or array.ndim > 1 else tuple(int(n) for n in array.flat)


def _with_axes(node: Node, perm: Perm, place: int, out: Perm | None = None) -> Moved | None:
    """The node with its axes, an attribute or the input at `place`, moved."""
    axes = axes_of(node, place)
    if not axes:
        return None
    new = [perm[axis % len(perm)] for axis in axes]
    out = perm if out is None else out
    if "axes" in node.attributes:
        return Moved(out, {**node.attributes, "axes": tuple(new)})
    old = node.inputs[place]
    assert isinstance(old, Tensor)
    return Moved(out, node.attributes, {place: Tensor(np.array(new, old.numpy().dtype))})


def _slice(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    if not _is_first_only(node, known):
        return None
    starts = shape_of(node.inputs[1]) if len(node.inputs) > 1 else None
    if len(node.inputs) in (3, 4) and starts and isinstance(starts[0], int) and axes_of(node, 3) == ():
        return Moved(perm, node.attributes, {3: Tensor(np.array(perm[:starts[0]], dtype_of(node.inputs[1])))})
    return _with_axes(node, perm, 3)


def _left(perm: Perm, gone: set[int]) -> Perm:
    """The perm of what is left when these axes of the transposed tensor go."""
    kept = [axis for i, axis in enumerate(perm) if i not in gone]
    return tuple(sorted(kept).index(axis) for axis in kept)


def _reduction(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    axes = axes_of(node, 1)
    if not _is_first_only(node, known) or not axes:
        return None
    keeps = attribute(node, "keepdims", 1)
    return _with_axes(node, perm, 1, perm if keeps else _left(perm, {axis % len(perm) for axis in axes}))


def _squeeze(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    axes = axes_of(node, 1)
    if not _is_first_only(node, known) or not axes:
        return None
    return _with_axes(node, perm, 1, _left(perm, {axis % len(perm) for axis in axes}))


def _unsqueeze(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    axes = axes_of(node, 1)
    if not _is_first_only(node, known) or not axes:
        return None
    rank = len(perm) + len(axes)
    new = {axis % rank for axis in axes}
    old = [axis for axis in range(rank) if axis not in new]
    places = iter(perm)
    return Moved(tuple(axis if axis in new else old[next(places)] for axis in range(rank)), node.attributes)


def _gather(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    index = node.inputs[1]
    if not _is_first_only(node, known) or not isinstance(index, Tensor) or index.ndim > 1:
        return None
    gone = {attribute(node, "axis", 0) % len(perm)}
    return Moved(perm if index.ndim else _left(perm, gone), _with_axis(node, perm, 0))


def _batch_normalization(node: Node, perm: Perm, known: Layouts) -> Moved | None:
    return Moved(perm, node.attributes) if _is_first_only(node, known) and perm[:2] == (0, 1) and (
        len(node.outputs) == 1) else None


_RULES: dict[str, Rule] = {
    "Concat": _concat, "Pad": _pad, "Slice": _slice, "Split": _split, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Gather": _gather, "PRelu": _prelu, "BatchNormalization": _batch_normalization}
