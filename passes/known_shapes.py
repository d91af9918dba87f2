"""The shape of every value of a graph, in terms of the dimensions that are open."""

from __future__ import annotations

import numpy as np

from symgraph.core.graph import Graph
from symgraph.core.inference import MAX_DATA
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import Dim, TensorType, ValueType, is_integer, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.passes.attributes import attribute
from symgraph.passes.extent import ONE, Extent, Numbers, Shape, as_numbers, only
from symgraph.passes.number_rules import NUMBER_RULES
from symgraph.passes.shape_rules import shape_rule


class KnownShapes:
    """The shape of every value in a graph, and the numbers in those that compute with shapes, of nodes visited so far.

    `whole` says for each open shape the first value that has it, `sources` for each open size the first value
    that has it, and its axis. `spans` holds first number and end of values that count up; `limits` what a size
    cannot exceed, because the graph fails where it does.
    """

    def __init__(self, graph: Graph) -> None:
        self.shapes: dict[Operand, Shape | None] = {}
        self.numbers: dict[Operand, Numbers | None] = {}
        self._places: dict[Operand, int] = {}
        self.spans: dict[Operand, tuple[Extent, Extent]] = {}
        self.limits: dict[Extent, int] = {}
        self.sources: dict[Extent, tuple[Operand, int]] = {}
        self.whole: dict[Shape, Operand] = {}
        for x in (*graph.inputs, *graph.captures):
            self._note(x, self.shape(x))

    def shape(self, x: Operand | None) -> Shape | None:
        """The shape of a value of known rank."""
        if x is None:
            return None
        if x not in self.shapes:
            known = x.type.shape if isinstance(x.type, TensorType) else None
            self.shapes[x] = None if known is None else tuple(
                self._extent(d, x, i) for i, d in enumerate(known))
        return self.shapes[x]

    def known(self, x: Operand | None) -> Numbers | None:
        """The numbers in a value, as far as they are known."""
        if isinstance(x, Tensor) and x not in self.numbers:
            small = x.size <= MAX_DATA and is_integer(x.dtype)
            array = x.numpy()
            self.numbers[x] = as_numbers([Extent.of(int(n)) for n in array.flat], array.shape) if small else None
        return None if x is None else self.numbers.get(x)

    def _extent(self, dim: Dim, x: Operand, axis: int) -> Extent:
        if isinstance(dim, int):
            return Extent.of(dim)
        atom = ("dim", dim) if isinstance(dim, str) else ("size", self._places.setdefault(x, len(self._places)), axis)
        return Extent((((atom,), 1),))

    def visit(self, node: Node) -> None:
        """Take the next node of the graph in."""
        rule = None if node.op.domain else shape_rule(node.op)
        found = None if rule is None else rule(self, node)
        for x in node.outputs:
            if x is None:
                continue
            given = self.shape(x)
            if found is not None and (x.index == 0 or node.op.name == "Split") and (
                    given is None or len(given) == len(found)):
                dims = given or (None,) * len(found)
                self.shapes[x] = tuple(
                    f if f is not None and not _is_said(x, i) else d if d is not None else self._extent(None, x, i)
                    for i, (f, d) in enumerate(zip(found, dims, strict=True)))
        first = node.outputs[0] if node.outputs else None
        if first is None:
            return
        if isinstance(first.type, TensorType) and is_integer(first.type.dtype):
            self._compute(node, first)
            self._count(node, first)
        if node.op.name == "Gather":
            self._limit(node)
        if self.numbers.get(first) is None:
            for x in node.outputs:
                if x is not None:
                    self._note(x, self.shape(x))

    def _compute(self, node: Node, first: SymbolicTensor) -> None:
        compute = None if node.op.domain else NUMBER_RULES.get(node.op.name)
        try:
            found = None if compute is None else compute(self, node)
        except (ValueError, IndexError, TypeError):
            return
        if found is not None and found.size <= MAX_DATA and _fits(found, first.type):
            self.numbers[first] = found
            self.shapes[first] = tuple(Extent.of(n) for n in found.shape)

    def _count(self, node: Node, first: SymbolicTensor) -> None:
        source = node.inputs[0] if node.inputs else None
        if node.op.name == "Range" and not node.op.domain:
            start, end, step = (only(self.known(x)) for x in node.inputs)
            if start is not None and end is not None and step == ONE:
                self.spans[first] = start, end
        elif node.op.name in ("Reshape", "Unsqueeze", "Squeeze", "Identity", "Cast") and source in self.spans:
            self.spans[first] = self.spans[source]

    def _limit(self, node: Node) -> None:
        """Gather fails where an index lies behind the end."""
        shape = self.shape(node.inputs[0])
        span = None if node.inputs[1] is None else self.spans.get(node.inputs[1])
        size = shape[attribute(node, "axis", 0) % len(shape)].number if shape else None
        if span is not None and size is not None and (span[1] - span[0]).is_positive:
            self.limits[span[1]] = min(size, self.limits.get(span[1], size))

    def _note(self, x: Operand, shape: Shape | None) -> None:
        if shape is None:
            return
        self.whole.setdefault(shape, x)
        for axis, extent in enumerate(shape):
            if extent.number is None:
                self.sources.setdefault(extent, (x, axis))


def _fits(numbers: Numbers, value_type: ValueType | None) -> bool:
    """Whether a dtype holds the numbers that are plain; others would wrap around."""
    assert isinstance(value_type, TensorType)
    plain = [n.number for n in numbers.flat if n is not None and n.number is not None]
    dtype = numpy_dtype(value_type.dtype)
    return all(int(np.array(n & 2**64 - 1, np.uint64).astype(dtype)) == n for n in plain)


def _is_said(x: SymbolicTensor, axis: int) -> bool:
    """Whether the type says how large an axis is."""
    return isinstance(x.type, TensorType) and x.type.shape is not None and x.type.shape[axis] is not None
