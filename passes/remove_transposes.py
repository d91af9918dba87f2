"""Transposes meet and cancel, so that a channels-last network keeps at most one at each end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import Op, find_op
from symgraph.core.scope import tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.exactness import relaxed
from symgraph.passes.layouts import Layouts, Moved, Perm, has_rule, inverse, moved
from symgraph.passes.matching import shape_of
from symgraph.passes.rules import readers_of
from symgraph.runtime.opsets import choose_opsets

Results = list[Operand | None] | tuple[Operand | None, ...] | None


@relaxed
def remove_transposes(graph: Graph) -> Graph:
    """T(T(x, p), q) -> T(x, p[q]), or x; f(T(x, p)) -> T(f(x), p), so that transposes meet.

    Transposes move past elementwise operators, joins, cuts, pads and reductions, wherever no more are left than there
    were; constants on the way are transposed here. Relaxed, because some kernels (Elu, Sin, Log) round an element by
    its place in memory.
    """
    return _removed(graph, choose_opsets(graph)[""])


def _removed(graph: Graph, opset: int) -> Graph:
    if not graph.with_graphs and "Transpose" not in graph.by_operator:
        return graph
    plan, transpose, reshape = _Plan(graph), find_op("Transpose", "", opset), find_op("Reshape", "", opset)

    def rewrite(node: Node, operands: tuple[Operand | None, ...]) -> Results:
        if any(True for _ in node_graphs(node)):
            return rewrite_bodies(node, operands, lambda body: _removed(body, opset))
        if is_transpose(node):
            return _merged(node, operands)
        move = plan.moves.get(node)
        if move is None:
            return None
        bare = [x if old not in plan.perms else _source(x) for x, old in zip(operands, node.inputs, strict=True)]
        return _sunk(node, bare, move, transpose, reshape)

    return graph.rewrite(rewrite)


def is_transpose(node: Node | None) -> bool:
    """Whether a node is a Transpose whose perm is known."""
    return node is not None and node.op.name == "Transpose" and not node.op.domain and perm_of(node) is not None


def perm_of(node: Node) -> Perm | None:
    """The perm of a Transpose; None where it is unknown, or does not fit: folding may show what can never run."""
    perm, shape = node.attributes.get("perm"), shape_of(node.inputs[0])
    if isinstance(perm, tuple):
        return perm if shape is None or len(shape) == len(perm) else None
    return None if shape is None else tuple(reversed(range(len(shape))))


def _transposed(x: Operand | None) -> tuple[Operand, Perm] | None:
    """What `x` is the transpose of, and how."""
    node = x.node if isinstance(x, SymbolicTensor) else None
    if node is None or not is_transpose(node):
        return None
    perm, source = perm_of(node), node.inputs[0]
    return None if perm is None or source is None else (source, perm)


def _source(x: Operand | None) -> Operand | None:
    """What `x` is the transpose of."""
    found = _transposed(x)
    return x if found is None else found[0]


def _is_still(perm: Perm) -> bool:
    return perm == tuple(range(len(perm)))


def _merged(node: Node, operands: tuple[Operand | None, ...]) -> Results:
    x, perm = operands[0], perm_of(node)
    if x is None or perm is None:
        return None
    inner = _transposed(x)
    if inner is not None:
        x, first = inner
        perm = tuple(first[axis] for axis in perm)
    if _is_still(perm):
        return [x]
    return None if inner is None else [apply_op(node.op, x, perm=perm)]


def _sunk(node: Node, bare: list[Operand | None], move: Moved, transpose: Op, reshape: Op) -> Results:
    """The outputs of a node that works on what lies before transposes."""
    inputs = [move.inputs.get(place, x) for place, x in enumerate(bare)]
    with tracing():  # weights are not read
        for place, shape in move.reshaped.items():
            inputs[place] = apply_op(reshape, inputs[place], np.array(shape, np.int64))
    inputs += [move.inputs[place] for place in sorted(move.inputs) if place >= len(bare)]
    made = apply_op(node.op, *inputs, outputs=len(node.outputs), **move.attributes)
    results = made if isinstance(made, tuple) else (made,)
    if _is_still(move.perm):
        return list(results)
    return [apply_op(transpose, y, perm=move.perm) for y in results]


class _Plan:
    """Which nodes are to work before the transposes of their inputs: those where it leaves no more transposes."""

    def __init__(self, graph: Graph) -> None:
        self.readers = readers_of(graph)
        self.perms: dict[Operand, Perm] = {}
        self.moves: dict[Node, Moved] = {}
        known, parents = Layouts(self.perms, self._turns(graph)), dict[Node, Node]()
        for node in graph.nodes:
            y = node.outputs[0] if node.outputs else None
            perm = perm_of(node) if is_transpose(node) else None
            if perm is not None and y is not None:
                is_first = node.inputs[0] not in self.perms and _transposed(node.inputs[0]) is None
                if is_first and not _is_still(perm):  # two in a row are merged first
                    self.perms[y] = perm
                continue
            move = None if self._is_mean(node) else moved(node, known)
            if move is None or any(x is None for x in node.outputs):
                continue
            self.moves[node] = move
            if not _is_still(move.perm):
                self.perms.update({x: move.perm for x in node.outputs if x is not None})
        outputs = [x for node in self.moves for x in node.outputs if x is not None]
        self.inner = {x: sum(r in self.moves for r in self._readers(x)) for x in (*self.perms, *outputs)}
        self.bound = {x: sum(not self._takes_bare(r) for r in self._readers(x)) for x in self.perms}
        self.ended = {x: self._ended(x) for x in outputs}
        for nodes in _groups(self.moves, self.perms, parents):
            self._settle(nodes)

    def _is_mean(self, node: Node) -> bool:
        """Whether a node gives the mean of a normalisation, which is to be recognised as it is."""
        if node.op.name != "ReduceMean" or node.op.domain:
            return False
        differences = [r.output for r in self._readers(node.output) if r is not None and r.op.name == "Sub"]
        return any(r is not None and (r.op.name == "Pow" or (r.op.name == "Mul" and r.inputs[0] is r.inputs[1]))
                   for x in differences for r in self._readers(x))

    def _turns(self, graph: Graph) -> dict[tuple[Operand, Perm], Operand]:
        """The transposes of inputs that stay, because somebody reads them who cannot do without."""
        found: dict[tuple[Operand, Perm], Operand] = {}
        for node in graph.nodes:
            x, perm = node.inputs[0] if node.inputs else None, perm_of(node) if is_transpose(node) else None
            if perm is not None and isinstance(x, SymbolicTensor) and x.node is None and not all(
                    map(_could_move, self._readers(node.outputs[0]))):
                found.setdefault((x, perm), node.output)
        return found

    def _settle(self, nodes: list[Node]) -> None:
        """Keep of nodes that hang together those that pay."""
        for worth in (1, 0):
            self._trim(nodes, worth)
            nodes = [node for node in nodes if node in self.moves]
            sources, gain = self._balance(nodes)
            if gain > 0 or (gain == 0 and sources):
                return
        for node in nodes:
            del self.moves[node]

    def _trim(self, nodes: list[Node], worth: int) -> None:
        """Leave nodes at the end where they are, if that saves `worth` transposes or more."""
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in self.moves or any(self.inner[x] for x in node.outputs if x is not None):
                continue
            inputs = [x for x in node.inputs if x is not None and x in self.perms]
            saved = sum(self._needed(x) - self.ended[x] for x in node.outputs if x is not None) - sum(
                not self.bound[x] for x in dict.fromkeys(inputs))
            if saved < worth:
                continue
            del self.moves[node]
            for x in inputs:
                self.inner[x] -= 1
                self.bound[x] += 1
            waiting.extend(x.node for x in inputs if isinstance(x, SymbolicTensor) and x.node is not None)

    def _takes_bare(self, reader: Node | None) -> bool:
        return reader is not None and (reader in self.moves or is_transpose(reader))

    def _readers(self, x: Operand | None) -> Iterable[Node | None]:
        return () if x is None else self.readers.get(x, ())

    def _needed(self, x: Operand) -> bool:
        """Whether a value that a moved node makes must be transposed for others."""
        return bool(self.bound.get(x))

    def _ended(self, x: Operand) -> int:
        """How many transposes go because they undo that of a value that a moved node makes."""
        if x not in self.perms:
            return 0
        back = inverse(self.perms[x])
        return sum(r is not None and is_transpose(r) and perm_of(r) == back for r in self._readers(x))

    def _balance(self, nodes: list[Node]) -> tuple[int, int]:
        """How many transposes before these nodes go, and how many fewer there are in all."""
        inputs = dict.fromkeys(x for node in nodes for x in node.inputs if x is not None and x in self.perms)
        sources = sum(isinstance(x, SymbolicTensor) and is_transpose(x.node) and not self.bound[x] for x in inputs)
        outputs = [x for node in nodes for x in node.outputs if x is not None]
        return sources, sources + sum(self.ended[x] - self._needed(x) for x in outputs)


def _could_move(reader: Node | None) -> bool:
    return reader is not None and (is_transpose(reader) or has_rule(reader))


def _groups(moves: Mapping[Node, Moved], perms: Mapping[Operand, Perm], parents: dict[Node, Node]) -> list[list[Node]]:
    """Nodes that share a transposed value, directly or through others."""
    def root(node: Node) -> Node:
        while parents.setdefault(node, node) is not node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for node in moves:
        for x in node.inputs:
            if x is not None and x in perms and isinstance(x, SymbolicTensor) and x.node is not None:
                parents[root(node)] = root(x.node)
    groups: dict[Node, list[Node]] = {}
    for node in moves:
        groups.setdefault(root(node), []).append(node)
    return list(groups.values())
