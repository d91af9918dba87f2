"""What a graph costs: arithmetic, bytes moved, parameters, and the most memory its values take at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from symgraph.core.apply import placeholder
from symgraph.core.errors import GraphError, nearest
from symgraph.core.graph import Graph, constant_array, copy_node
from symgraph.core.inference import MAX_DATA
from symgraph.core.scope import in_place_of
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import Dim, TensorType, ValueType, is_floating
from symgraph.core.variable import Variable
from symgraph.passes.flops import count_flops
from symgraph.passes.fold_constants import fold_node
from symgraph.runtime.tensors import stored_bytes


@dataclass(frozen=True)
class NodeCost:
    """What one node costs; None where the sizes are not known. An If costs what its dearest branch does."""

    node: Node
    name: str
    type: ValueType | None
    flops: int | None
    read: int | None
    written: int | None
    inner_peak: int | None = 0

    def __str__(self) -> str:
        kind = str(self.type or "?")
        return (f"{self.node.op!s:<22} {self.name[:32]:<32} {kind[:28]:<28} {count(self.flops):>8} "
                f"{count(self.read):>8}B {count(self.written):>8}B")


@dataclass(frozen=True)
class Cost:
    """What a graph costs, node by node in order of execution.

    `flops` counts a multiplication and an addition as two. `read` and `written` are bytes, weights included.
    `peak` is the most bytes that intermediate values and outputs take at once, each from the node that makes it
    to the last that reads it; inputs and weights are not among them. A sum is None where a part of it is.
    `parameters` are the numbers in variables, and in floating-point constants, which variables are after `freeze`.
    """

    rows: tuple[NodeCost, ...]
    parameters: int
    parameter_bytes: int
    peak: int | None
    peak_node: Node | None

    @property
    def flops(self) -> int | None:
        """Floating-point (or whole-number) operations of the whole graph."""
        return _sum(row.flops for row in self.rows)

    @property
    def read(self) -> int | None:
        """Bytes that nodes read."""
        return _sum(row.read for row in self.rows)

    @property
    def written(self) -> int | None:
        """Bytes that nodes write."""
        return _sum(row.written for row in self.rows)

    def summary(self) -> str:
        """The totals in one line."""
        unknown = [row for row in self.rows if row.flops is None]
        least = sum(row.flops for row in self.rows if row.flops is not None)
        flops = f"{count(least)}FLOPs"
        if unknown:
            flops = f"at least {flops} ({len(unknown)} nodes unknown)"
        return (f"{len(self.rows)} nodes, {flops}, {count(self.read)}B read, {count(self.written)}B written, "
                f"{count(self.peak)}B at the peak, {count(self.parameters).strip()} parameters")

    def table(self, limit: int | None = 40) -> str:
        """A line for every node; of more than `limit`, the dearest ones."""
        rows = list(self.rows)
        if limit is not None and len(rows) > limit:
            dearest = sorted(range(len(rows)), key=lambda i: (-(rows[i].flops or 0), -(rows[i].written or 0), i))
            rows = [rows[i] for i in sorted(dearest[:limit])]
        title = f"{'op':<22} {'output':<32} {'type':<28} {'FLOPs':>8} {'read':>9} {'written':>9}"
        rest = [f"and {len(self.rows) - len(rows)} nodes that cost less"] if len(rows) < len(self.rows) else []
        return "\n".join([title, *map(str, rows), *rest, self.summary()])

    def __str__(self) -> str:
        return self.table()


def cost(graph: Graph, sizes: Mapping[str, int] | None = None, default_size: int | None = None) -> Cost:
    """What each node of a graph costs, and all together, in order of execution.

    `sizes` are those of named dimensions, `default_size` is that of all others that are not known.

    Errors: `GraphError` for a size of a dimension that no input has.

    >>> import symgraph as sg
    >>> x = sg.Input((4,), batch_size="N", name="x")
    >>> print(cost(sg.Graph([x], [x @ sg.ones((4, 2))]), sizes={"N": 8}).summary())
    1 nodes, 128 FLOPs, 160 B read, 64 B written, 64 B at the peak, 8 parameters
    """
    sizes = dict(sizes or {})
    shapes = [x.type.shape or () for x in graph.inputs if isinstance(x.type, TensorType)]
    known = dict.fromkeys(d for shape in shapes for d in shape if isinstance(d, str))
    for name in sizes:
        if name not in known:
            raise GraphError(f"graph {graph.name!r} has no dimension {name!r}; {nearest(name, known)}")
    counter = _Counter(sizes, default_size)
    start = [placeholder(counter.close(counter.bind(x.type)), x.hint) for x in graph.inputs]
    rows, peak, where = counter.run(graph, start)
    weights = [x for x in graph.leaves if isinstance(x, Variable) or is_floating(x.dtype)]
    return Cost(rows, sum(x.size for x in weights), sum(x.nbytes for x in weights), peak, where)


class _Counter:
    """Infers all types anew from inputs with sizes, and counts."""

    def __init__(self, sizes: Mapping[str, int], default_size: int | None) -> None:
        self.sizes, self.default_size = sizes, default_size

    def bind(self, value_type: ValueType | None, inferred: ValueType | None = None) -> ValueType | None:
        """A type with its named dimensions bound, or as `inferred` where that knows more."""
        if not isinstance(value_type, TensorType) or value_type.shape is None:
            return value_type if inferred is None else inferred
        dims: list[Dim] = [self.sizes.get(d, d) if isinstance(d, str) else d for d in value_type.shape]
        if isinstance(inferred, TensorType) and inferred.shape is not None and len(inferred.shape) == len(dims):
            dims = [known if isinstance(known, int) else d for d, known in zip(dims, inferred.shape, strict=True)]
        return TensorType(value_type.dtype, tuple(dims))

    def close(self, value_type: ValueType | None) -> ValueType | None:
        """A type with the default size in all dimensions that are still open."""
        if not isinstance(value_type, TensorType) or value_type.shape is None or self.default_size is None:
            return value_type
        dims = tuple(d if isinstance(d, int) else self.default_size for d in value_type.shape)
        return TensorType(value_type.dtype, dims)

    def type_of(self, x: Operand | None) -> ValueType | None:
        """The type an operand is counted with."""
        return None if x is None else self.close(x.type)

    def run(self, graph: Graph, given: Sequence[Operand]) -> tuple[tuple[NodeCost, ...], int | None, Node | None]:
        """The cost of the nodes of a graph on operands of these types, its peak, and where that is."""
        rows: list[NodeCost] = []
        values: dict[Operand, Operand] = dict(zip(graph.inputs, given, strict=False))
        values.update(zip(graph.captures, given[len(graph.inputs):], strict=False))
        for node in graph.nodes:
            operands = tuple(None if x is None else values.get(x, x) for x in node.operands)
            row, outputs = self.node(graph, node, operands)
            rows.append(row)
            values.update((old, new) for old, new in zip(node.outputs, outputs, strict=True)
                          if old is not None and new is not None)
        peak, where = self.peak(graph, rows, values)
        self.outputs: list[Operand] = [values.get(x, x) for x in graph.outputs]
        return tuple(rows), peak, where

    def node(self, graph: Graph, node: Node, operands: tuple[Operand | None, ...],
             ) -> tuple[NodeCost, tuple[Operand | None, ...]]:
        """What one node costs, and its outputs with sizes; those that say sizes themselves as numbers."""
        outputs: tuple[Operand | None, ...]
        flops: int | None = 0
        inner_peak: int | None = 0
        if node.body is not None:
            rows, inner_peak, _ = self.run(node.body, [x for x in operands if x is not None])
            outputs = tuple(None if x is None else placeholder(self.bind(x.type, y.type))
                            for x, y in zip(node.outputs, self.outputs, strict=True))
            flops = _sum(row.flops for row in rows)
        else:
            with in_place_of(node.layer, node.source):
                made = copy_node(node, operands)
            for old, new in zip(node.outputs, made.outputs, strict=True):
                if old is not None and new is not None:
                    new.type = self.bind(old.type, new.type)
            outputs = (fold_node(made, operands) if _is_small(made) else None) or made.outputs
            if node.subgraphs():
                flops, inner_peak = self._with_graphs(node, operands, made)
            else:
                flops = count_flops(node, list(map(self.type_of, operands)), list(map(self.type_of, outputs)))
        first = next(x for x in node.outputs if x is not None)
        shown = self.type_of(next(x for x in outputs if x is not None))
        written = _sum(self.bytes(x) for x in outputs if x is not None)
        read = self.read(node, operands, written)
        return NodeCost(node, graph.names[first], shown, flops, read, written, inner_peak), outputs

    def _with_graphs(self, node: Node, operands: tuple[Operand | None, ...], made: Node,
                     ) -> tuple[int | None, int | None]:
        """An If costs the branch that is taken, or else its dearest, a Scan its body at every step; how often a Loop
        runs is not known."""
        is_if = node.op.name == "If" and not node.op.domain
        condition = constant_array(operands[0]) if is_if and operands[0] is not None else None
        captures = [x for x in operands[len(node.inputs):] if x is not None]
        totals: list[int | None] = []
        peaks: list[int | None] = []
        results: list[list[Operand]] = []
        for name, graph in node.subgraphs():
            if condition is not None and name != ("then_branch" if condition.item() else "else_branch"):
                continue
            rows, peak, _ = self.run(graph, [*graph.inputs, *captures])
            totals.append(_sum(row.flops for row in rows))
            peaks.append(peak)
            results.append(self.outputs)
        for x, *given in zip(made.outputs, *results, strict=True) if is_if else ():
            if x is not None and all(y.type == given[0].type for y in given):
                x.type = self.bind(x.type, given[0].type)
                if isinstance(x.type, TensorType) and x.type.shape is None:
                    x.type = given[0].type
        peak = None if None in peaks else max((x for x in peaks if x is not None), default=0)
        if is_if and None not in totals:
            return max((x for x in totals if x is not None), default=0), peak
        steps = self.steps(node, operands)
        return (None if steps is None or totals[0] is None else steps * totals[0]), peak

    def steps(self, node: Node, operands: Sequence[Operand | None]) -> int | None:
        """How often a Scan runs its body: the length of what it goes along; None where that is not known."""
        count = node.attributes.get("num_scan_inputs")
        if node.op.name != "Scan" or node.op.version < 9 or not isinstance(count, int):
            return None
        axes = node.attributes.get("scan_input_axes", (0,))
        scanned = self.type_of(operands[len(node.inputs) - count])
        if not isinstance(scanned, TensorType) or not scanned.shape or not isinstance(axes, tuple):
            return None
        length = scanned.shape[axes[0]]
        return length if isinstance(length, int) else None


    def peak(self, graph: Graph, rows: Sequence[NodeCost], values: Mapping[Operand, Operand],
             ) -> tuple[int | None, Node | None]:
        """The most bytes alive at once, and the node at which that is."""
        last: dict[Operand, int] = {}
        for step, node in enumerate(graph.nodes):
            last.update((x, step) for x in (*node.outputs, *node.operands) if x is not None)
        last.update((x, len(graph.nodes)) for x in (*graph.outputs, *graph.pinned.values()))
        ending: dict[int, list[Operand]] = {}
        for x, step in last.items():
            ending.setdefault(step, []).append(x)
        made = {x for node in graph.nodes for x in node.outputs if x is not None}
        alive, peak, where = 0, 0, None
        for step, (node, row) in enumerate(zip(graph.nodes, rows, strict=True)):
            if row.written is None or row.inner_peak is None:
                return None, None
            alive += row.written
            if alive + row.inner_peak > peak:
                peak, where = alive + row.inner_peak, node
            alive -= sum(self.bytes(values[x]) or 0 for x in ending.get(step, ()) if x in made)
        return peak, where

    def read(self, node: Node, operands: Sequence[Operand | None], written: int | None) -> int | None:
        """Bytes of all different operands; operators that look at a part of the first read no more than they write."""
        different = list(dict.fromkeys(x for x in operands if x is not None))
        if node.op.name in ("Shape", "Size"):
            return 0
        if node.op.name in ("Gather", "GatherElements", "GatherND", "Slice") and different:
            others = _sum(self.bytes(x) for x in different[1:])
            return None if others is None or written is None else others + written
        return _sum(self.bytes(x) for x in different)

    def bytes(self, x: Operand) -> int | None:
        """How much memory a value takes."""
        value_type = self.type_of(x)
        shape = value_type.shape if isinstance(value_type, TensorType) else None
        if shape is None or x.dtype == "string" or not all(isinstance(d, int) for d in shape):
            return None
        return stored_bytes(x.dtype, math.prod(d for d in shape if isinstance(d, int)))


def _is_small(node: Node) -> bool:
    """Whether results may say sizes: a few numbers, which are worth to be known."""
    sizes = [x.type.shape if isinstance(x.type, TensorType) else None for x in node.outputs if x is not None]
    return all(shape is not None and len(shape) <= 1 and all(isinstance(d, int) and d <= MAX_DATA for d in shape)
               for shape in sizes)


def _sum(parts: Iterator[int | None]) -> int | None:
    total = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def count(number: int | None) -> str:
    """`1.23 G`: a number with a unit's prefix."""
    if number is None:
        return "? "
    for unit, prefix in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {prefix}" if number < 1000 * unit else f"{number / unit:,.0f} {prefix}"
    return f"{number} "
