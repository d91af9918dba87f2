"""Arithmetic with shapes is done here as far as open dimensions let it, and what then changes no shape goes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, copy_node, node_graphs
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.extent import Extent, Numbers
from symgraph.passes.known_shapes import KnownShapes
from symgraph.runtime.opsets import choose_opsets

Result = list[Operand | None] | None

_ABOUT_SHAPES = frozenset({"Shape", "Size", "Reshape", "Expand", "Tile"})
"""Without any of these there is nothing to fold: all arithmetic with shapes begins with one."""


def fold_shapes(graph: Graph) -> Graph:
    """Reshape(x, [N, n]) -> Reshape(x, [0, -1]) or x; Expand(x, shape of x) -> x; Shape(f(x))[0] -> Shape(x)[0].

    A size is read from the first value that has it. Sizes are polynomials in open dimensions, so that
    `Shape(f(x))[0]*7` is `7*N` where x is [N, 3]; no dimension is ever made a number.
    """
    if not graph.with_graphs and _ABOUT_SHAPES.isdisjoint(graph.by_operator):
        return graph
    sizes, opset = KnownShapes(graph), choose_opsets(graph)[""]
    replaced: dict[Operand, Operand] = {}
    known: dict[Hashable, Operand] = {}

    def fold(node: Node, operands: tuple[Operand | None, ...]) -> Result | tuple[Operand | None, ...]:
        sizes.visit(node)
        if any(True for _ in node_graphs(node)):
            return rewrite_bodies(node, operands, fold_shapes)
        if node.op.domain or len(node.outputs) != 1:
            return None
        numbers = sizes.numbers.get(node.outputs[0]) if node.outputs[0] is not None else None
        if numbers is not None:
            return _folded_numbers(node, numbers, sizes, replaced, known, opset)
        if node.op.name == "Reshape" and len(node.inputs) == 2:
            return _folded_reshape(node, operands, sizes)
        if node.op.name in ("Expand", "Tile"):
            return _unchanged(node, operands, sizes)
        return None

    return graph.rewrite(fold, replaced)


def _unchanged(node: Node, operands: tuple[Operand | None, ...], sizes: KnownShapes) -> Result:
    """Expand to the shape there is, and Tile by ones."""
    shape, repeats = sizes.shape(node.inputs[0]), sizes.known(node.inputs[1])
    if shape is None or repeats is None:
        return None
    if node.op.name == "Tile":
        is_same = len(node.inputs) == 2 and all(n == Extent.of(1) for n in repeats)
    else:
        wanted = (Extent.of(1),) * (len(shape) - len(repeats)) + tuple(repeats)
        is_same = len(wanted) == len(shape) and all(
            n in (Extent.of(1), d) for n, d in zip(wanted, shape, strict=True))
    return [operands[0]] if is_same else None


def _folded_reshape(node: Node, operands: tuple[Operand | None, ...], sizes: KnownShapes) -> Result:
    x, output = node.inputs[0], node.outputs[0]
    target, given, made = sizes.known(node.inputs[1]), sizes.shape(x), sizes.shape(output)
    if target is None or given is None or target.ndim != 1:
        return None
    if made == given:
        return [operands[0]]
    if isinstance(node.inputs[1], Tensor) or node.attributes.get("allowzero", 0):
        return None
    plain = plain_target(target, given)
    return None if plain is None else [_with_target(node, operands, plain)]


def _with_target(node: Node, operands: tuple[Operand | None, ...], target: list[int]) -> Operand | None:
    return copy_node(node, (operands[0], Tensor(np.array(target, np.int64)))).outputs[0]


def plain_target(target: Iterable[Extent | None], given: tuple[Extent, ...]) -> list[int] | None:
    """The same target in plain numbers: 0 for a size that stays in its place, -1 for one that follows."""
    plain = [_plain_size(n, given[i] if i < len(given) else None) for i, n in enumerate(target)]
    unknown = [i for i, n in enumerate(plain) if n is None]
    if len(unknown) == 1 and all(n is None or n > 0 for n in plain):
        plain[unknown[0]] = -1
    known = [n for n in plain if n is not None]
    return known if len(known) == len(plain) else None


def _plain_size(wanted: Extent | None, old: Extent | None) -> int | None:
    if wanted is None:
        return None
    if wanted.number is not None:
        return wanted.number
    return 0 if wanted == old else None


def _folded_numbers(node: Node, numbers: Numbers, sizes: KnownShapes, replaced: dict[Operand, Operand],
                    known: dict[Hashable, Operand], opset: int) -> Result:
    """Numbers that are all known; the same as an earlier node has; one size, or a whole shape, read from a value."""
    output = node.outputs[0]
    if output is None or not isinstance(output.type, TensorType) or any(n is None for n in numbers.flat):
        return None
    plain = [n.number for n in numbers.flat]
    if all(n is not None for n in plain):
        array = np.array(plain, np.int64).reshape(numbers.shape)
        return [Tensor(array.astype(numpy_dtype(output.type.dtype)), name=output.name)]
    first = known.setdefault((output.type.dtype, numbers.shape, tuple(numbers.flat)), output)
    if first is not output:
        return [replaced.get(first, first)]
    if output.type.dtype != "int64" or numbers.ndim > 1:
        return None
    whole = sizes.whole.get(tuple(numbers)) if numbers.ndim else None
    if whole is not None and (not _is_shape(output) or (_is_start(whole) and node.inputs[0] is not whole)):
        return [_shape_of(replaced.get(whole, whole), opset)]
    if numbers.size != 1 or _is_shape(output) or node.op.name == "Size":
        return None
    source, axis = sizes.sources.get(numbers.flat[0], (None, 0))
    measured = _measured(node)
    if source is None or (measured is not None and (measured is source or not _is_start(source))):
        return None
    index = Tensor(np.array([axis] if numbers.ndim else axis, np.int64))
    shape = _shape_of(replaced.get(source, source), opset)
    return [apply_op(find_op("Gather", "", opset), shape, index, axis=0)]


def _shape_of(x: Operand, opset: int) -> Operand:
    shape: Operand = apply_op(find_op("Shape", "", opset), x)
    return shape


def _is_start(x: Operand) -> bool:
    """Whether a value is given to the graph rather than computed in it."""
    return not isinstance(x, SymbolicTensor) or x.node is None


def _is_shape(x: Operand | None) -> bool:
    """Whether a value is the whole shape of another."""
    return isinstance(x, SymbolicTensor) and x.node is not None and (
        x.node.op.name == "Shape" and not x.node.op.domain and not x.node.attributes)


def _measured(node: Node) -> Operand | None:
    """The x in Gather(Shape(x), axis)."""
    if node.op.name != "Gather" or not isinstance(node.inputs[1], Tensor) or not _is_shape(node.inputs[0]):
        return None
    shape = node.inputs[0]
    return shape.node.inputs[0] if isinstance(shape, SymbolicTensor) and shape.node is not None else None
