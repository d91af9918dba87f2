"""Rewrite rules in the language of the ops: what to look for, and what to put there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.graph import Graph, node_graphs
from symgraph.core.inference import freeze
from symgraph.core.op import Op
from symgraph.core.scope import tracing
from symgraph.core.structure import flatten
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType
from symgraph.core.value import Tensor
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.errors import PassError
from symgraph.passes.traits import COMMUTATIVE
from symgraph.runtime.adapters import MOVED, UP
from symgraph.runtime.versions import attribute_defaults

Match = Mapping[Operand, Operand]
"""What each symbol of a pattern stands for."""

Note = Callable[[Match, Node | Operand | None, Node | Operand | None, str], None]
"""Told where a match stops: what was known by then, the part of the pattern, what stands there, and why."""


def unheard(known: Match, pattern: Node | Operand | None, found: Node | Operand | None, reason: str) -> None:
    """The note that nobody takes."""


class Rule:
    """A pass that replaces what looks like `before` by `after`. Made by `rule`.

    A match takes nothing away that others still read: values inside of it have no readers outside. Matches
    do not overlap; the pass is run again until none is left.
    """

    def __init__(self, before: Callable[..., Any], after: Callable[..., Any], when: Callable[..., bool] | None,
                 name: str | None, is_exact: bool) -> None:
        self.after = after
        self.when = when
        self.is_exact = is_exact
        self.__name__ = name or getattr(after, "__name__", "rule").strip("<>")
        self.arguments = tuple(inspect.signature(before).parameters)
        self.pattern = trace_pattern(before, self.arguments, self.__name__)
        self.root = self._root()

    def __repr__(self) -> str:
        return f"<Rule {self.__name__!r}: {' '.join(str(self.pattern).split())}>"

    def _root(self) -> Node:
        root = self.pattern.outputs[0]
        if not isinstance(root, SymbolicTensor) or root.node is None:
            raise PassError(f"rule {self.__name__!r}: before must apply at least one op to its arguments")
        return root.node

    def __call__(self, graph: Graph) -> Graph:
        """The graph with all matches replaced, in the bodies of its nodes as well.

        Errors: `PassError` where what is put there has another type than what was there.
        """
        return self.apply(graph, self.matches(graph))

    def apply(self, graph: Graph, matches: Mapping[Node, Match]) -> Graph:
        """The graph with these of its matches replaced, and all matches in the bodies of its nodes."""
        def replace(node: Node, operands: tuple[Operand | None, ...]) -> Any:
            match = matches.get(node)
            if match is None:
                return rewrite_bodies(node, operands, self) if any(True for _ in node_graphs(node)) else None
            return self._replacement(node, match, replaced)

        replaced: dict[Operand, Operand] = {}
        return graph.rewrite(replace, replaced)

    def matches(self, graph: Graph) -> dict[Node, Match]:
        """The matches in a graph, by the node that gives the result; none shares a node with another."""
        readers = readers_of(graph)
        taken: set[Node] = set()
        found: dict[Node, Match] = {}
        for node in graph.nodes:
            for match in match_node(self.root, node, {}):
                if not self.objection(match, readers, taken):
                    taken.update(self.inside(match))
                    found[node] = match
                    break
        return found

    def objection(self, match: Match, readers: Mapping[Operand, list[Node | None]], taken: set[Node]) -> str:
        """Why what looks like the pattern must stay all the same; empty where it may be replaced."""
        inside = self.inside(match)
        if not taken.isdisjoint(inside):
            return "it shares a node with another match"
        if not self._is_closed(match, inside, readers):
            return "a value inside of it has another reader"
        if not self._is_wanted(match):
            return "`when` refused it"
        return ""

    def inside(self, match: Match) -> set[Node]:
        made = (match.get(x) for n in self.pattern.nodes for x in n.outputs if x is not None)
        return {x.node for x in made if isinstance(x, SymbolicTensor) and x.node is not None}

    def _is_closed(self, match: Match, inside: set[Node], readers: Mapping[Operand, list[Node | None]]) -> bool:
        results = {match[x] for x in self.pattern.outputs}
        return all(reader in inside for node in inside for x in node.outputs
                   if x is not None and x not in results for reader in readers.get(x, ()))

    def _is_wanted(self, match: Match) -> bool:
        return self.when is None or bool(self.when(*(match[x] for x in self.pattern.inputs)))

    def _replacement(self, node: Node, match: Match, replaced: Match) -> list[Operand | None]:
        with tracing():
            made = self.after(*(replaced.get(match[x], match[x]) for x in self.pattern.inputs))
        results = flatten(made)
        if len(results) != len(self.pattern.outputs):
            raise PassError(f"rule {self.__name__!r}: before gives {len(self.pattern.outputs)} results, "
                            f"after gives {len(results)}")
        new: list[Operand | None] = [None] * len(node.outputs)
        for wanted, result in zip(self.pattern.outputs, results, strict=True):
            old = match[wanted]
            if not isinstance(result, Operand) or not is_same_type(old.type, result.type):
                kind = result.type if isinstance(result, Operand) else type(result).__name__
                raise PassError(f"rule {self.__name__!r} changes {node.describe()} from {old.type} to {kind}")
            assert isinstance(old, SymbolicTensor)
            new[old.index] = result
        return new


def rule(before: Callable[..., Any], after: Callable[..., Any], when: Callable[..., bool] | None = None,
         name: str | None = None, exact: bool = True) -> Rule:
    """A pass that replaces `before(x, …)` by `after(x, …)`, both written with ops; arguments match any operand.

    `before` is called once on pattern variables, symbols without a type. Numbers in it match constants of
    that value; operands of commutative ops match in any order. `when` looks at the operands that were matched
    and says whether to replace them. `exact=False` says that results may differ by rounding.

    >>> import symgraph as sg
    >>> double_negation = rule(before=lambda x: -(-x), after=lambda x: x, name="double_negation")
    >>> x = sg.Input((3,), name="x")
    >>> print(double_negation(sg.Graph([x], [-(-x) + 1.0])))
    graph(%x: float32[?, 3]):
      %Add: float32[?, 3] = Add(%x, 1.0)
      return %Add
    """
    return Rule(before, after, when, name, exact)


def trace_pattern(before: Callable[..., Any], arguments: tuple[str, ...], name: str) -> Graph:
    """The graph of a pattern: symbols without types, and what is applied to them."""
    symbols = [placeholder(None, argument) for argument in arguments]
    with tracing():
        results = flatten(before(*symbols))
    if any(not isinstance(x, SymbolicTensor) for x in results):
        raise PassError(f"rule {name!r}: before must return what ops make of its arguments, got {results}")
    return Graph(symbols, results, name=name)


def match_node(pattern: Node, node: Node, known: Match, note: Note = unheard) -> Iterator[dict[Operand, Operand]]:
    """The ways in which `node` looks like `pattern`, given what its symbols stand for already."""
    if not is_same_op(pattern.op, node.op):
        return note(known, pattern, node, "operator")
    if len(pattern.inputs) != len(node.inputs):
        return note(known, pattern, node, "number of inputs")
    if not _has_attributes(pattern, node):
        return note(known, pattern, node, "attributes")
    outputs = dict(known)
    for wanted, found in zip(pattern.outputs, node.outputs, strict=False):
        if wanted is not None and found is not None:
            outputs[wanted] = found
    orders = [node.inputs]
    if node.op.name in COMMUTATIVE and len(node.inputs) == 2:
        orders.append(node.inputs[::-1])
    for inputs in orders:
        yield from _match_inputs(pattern.inputs, inputs, outputs, note)


def _match_inputs(patterns: tuple[Operand | None, ...], inputs: tuple[Operand | None, ...], known: Match,
                  note: Note) -> Iterator[dict[Operand, Operand]]:
    if not patterns:
        yield dict(known)
        return
    for match in _match_operand(patterns[0], inputs[0], known, note):
        yield from _match_inputs(patterns[1:], inputs[1:], match, note)


def _match_operand(pattern: Operand | None, x: Operand | None, known: Match, note: Note,
                   ) -> Iterator[dict[Operand, Operand]]:
    if pattern is None or x is None:
        if pattern is not None or x is not None:
            return note(known, pattern, x, "absent input")
        yield dict(known)
    elif isinstance(pattern, Tensor):
        if not isinstance(x, Tensor) or not _is_value(x, pattern):
            return note(known, pattern, x, "constant")
        yield dict(known)
    elif pattern in known:
        if known[pattern] is not x:
            return note(known, pattern, x, "argument")
        yield dict(known)
    elif isinstance(pattern, SymbolicTensor) and pattern.node is not None:
        if not isinstance(x, SymbolicTensor) or x.node is None or x.index != pattern.index:
            return note(known, pattern.node, x, "operator")
        yield from match_node(pattern.node, x.node, known, note)
    else:
        yield {**known, pattern: x}


def _is_value(x: Tensor, wanted: Tensor) -> bool:
    """Whether a constant is the number written in a pattern, in whatever dtype; the sign of zero counts."""
    if x.shape != wanted.shape or x.dtype == "string":
        return False
    a, b = x.numpy(), wanted.numpy().astype(x.numpy().dtype)
    return bool(np.array_equal(a, b) and np.array_equal(np.signbit(a), np.signbit(b)))


@lru_cache(maxsize=4096)
def is_same_op(a: Op, b: Op) -> bool:
    """Whether two ops are one operator, in versions between which its meaning did not change."""
    if a.name != b.name or a.domain != b.domain:
        return False
    between = range(min(a.version, b.version) + 1, max(a.version, b.version) + 1)
    return not any((a.name, version) in table for version in between for table in (UP, MOVED))


def _has_attributes(pattern: Node, node: Node) -> bool:
    """Whether the attributes say the same, those left out with their defaults."""
    wanted, found = (
        {**({} if x.op.schema is None else attribute_defaults(x.op)), **x.attributes} for x in (pattern, node))
    return all(_stored(wanted.get(name)) == _stored(found.get(name)) for name in {*wanted, *found})


def _stored(value: object) -> object:
    """An attribute as a file holds it: floats have 32 bits."""
    return float(np.float32(value)) if isinstance(value, float) else freeze(value)


def readers_of(graph: Graph) -> dict[Operand, list[Node | None]]:
    """Who reads each value; None stands for the graph itself, which returns or pins it."""
    readers: dict[Operand, list[Node | None]] = {}
    for node in graph.nodes:
        for x in node.operands:
            if x is not None:
                readers.setdefault(x, []).append(node)
    for x in (*graph.outputs, *graph.pinned.values()):
        readers.setdefault(x, []).append(None)
    return readers


def is_same_type(a: ValueType | None, b: ValueType | None) -> bool:
    """Whether two types say nothing that contradicts: the same dtype and rank, no two different sizes."""
    if not isinstance(a, TensorType) or not isinstance(b, TensorType) or a.shape is None or b.shape is None:
        return a is None or b is None or (
            isinstance(a, TensorType) and isinstance(b, TensorType) and a.dtype == b.dtype) or a == b
    return a.dtype == b.dtype and len(a.shape) == len(b.shape) and all(
        x == y or not (isinstance(x, int) and isinstance(y, int)) for x, y in zip(a.shape, b.shape, strict=True))
