"""Rewrite rules in the language of the ops: what to look for, and what to put there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from symgraph.core.graph import Graph, node_graphs
from symgraph.core.scope import tracing
from symgraph.core.structure import flatten
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType
from symgraph.passes.alternatives import Alternatives
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.errors import PassError
from symgraph.passes.patterns import Match, Pattern, match_node


class Rule:
    """A pass that replaces what looks like `before` by `after`. Made by `rule`.

    A match takes nothing away that others still read: values inside of it have no readers outside. Matches
    do not overlap; the pass is run again until none is left.
    """

    def __init__(self, before: Callable[..., Any] | Sequence[Callable[..., Any]], after: Callable[..., Any],
                 when: Callable[..., bool] | None, name: str | None, is_exact: bool) -> None:
        self.after = after
        self.when = when
        self.is_exact = is_exact
        self.__name__ = name or getattr(after, "__name__", "rule").strip("<>")
        self.patterns = Alternatives([before] if callable(before) else tuple(before), self.__name__)
        captured, who = self.patterns.attributes, f"rule {self.__name__!r}"
        self._for_after = _wanted(after, captured, f"{who}: after")
        self._for_when = () if when is None else _wanted(when, captured, f"{who}: when")

    def __repr__(self) -> str:
        return f"<Rule {self.__name__!r}: {self.patterns}>"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with all matches replaced, in the bodies of its nodes as well.

        Errors: `PassError` where what is put there has another type than what was there, and where `after` or
        `when` raises.
        """
        return self.apply(graph, self.matches(graph))

    def apply(self, graph: Graph, matches: Mapping[Node, Found]) -> Graph:
        """The graph with these of its matches replaced, and all matches in the bodies of its nodes."""
        def replace(node: Node, operands: tuple[Operand | None, ...]) -> Any:
            found = matches.get(node)
            if found is None:
                return rewrite_bodies(node, operands, self) if any(True for _ in node_graphs(node)) else None
            return self._replacement(node, found, replaced)

        if not matches and not graph.with_graphs:
            return graph
        replaced: dict[Operand, Operand] = {}
        return graph.rewrite(replace, replaced)

    def matches(self, graph: Graph, ask: Callable[[Found], bool] | None = None) -> dict[Node, Found]:
        """The matches in a graph, by the node that gives the result; none shares a node with another.

        `ask` is asked in place of `when`.

        Errors: `PassError` where `when` raises.
        """
        patterns: dict[tuple[str, str], list[Pattern]] = {}
        for pattern in self.patterns.of(graph):
            patterns.setdefault((pattern.root.op.name, pattern.root.op.domain), []).append(pattern)
        named = [node for name in {name for name, _ in patterns} for node in graph.by_operator.get(name, ())]
        candidates = sorted((x for x in named if (x.op.name, x.op.domain) in patterns), key=lambda x: x.serial)
        if not candidates:
            return {}
        readers = readers_of(graph)
        taken: set[Node] = set()
        chosen: dict[Node, Found] = {}
        for node in candidates:
            for found in self._found(node, patterns[node.op.name, node.op.domain]):
                if not objection(found, readers, taken) and (ask or self.wants)(found):
                    taken.update(found.inside)
                    chosen[node] = found
                    break
        return chosen

    def _found(self, node: Node, patterns: list[Pattern]) -> Iterator[Found]:
        for pattern in patterns:
            for match in match_node(pattern.root, node, {}):
                if pattern.takes(match):
                    yield Found(pattern, match)

    def wants(self, found: Found) -> bool:
        """Whether `when` agrees.

        Errors: `PassError` where it raises.
        """
        if self.when is None:
            return True
        try:
            return bool(self.when(*found.arguments, **{name: found.attributes[name] for name in self._for_when}))
        except Exception as error:
            raise PassError(f"rule {self.__name__!r}: `when` raised {type(error).__name__} at "
                            f"{found.root.describe()}: {error}") from error

    def _replacement(self, node: Node, found: Found, replaced: dict[Operand, Operand]) -> list[Operand | None]:
        try:
            with tracing():
                made = self.after(*(replaced.get(x, x) for x in found.arguments),
                                  **{name: found.attributes[name] for name in self._for_after})
        except Exception as error:
            raise PassError(f"rule {self.__name__!r}: `after` raised {type(error).__name__} at "
                            f"{node.describe()}: {error}") from error
        results = flatten(made)
        if len(results) != len(found.results):
            raise PassError(f"rule {self.__name__!r}: before gives {len(found.results)} results, "
                            f"after gives {len(results)}")
        new: list[Operand | None] = [None] * len(node.outputs)
        for old, result in zip(found.results, results, strict=True):
            if not isinstance(result, Operand) or not is_same_type(old.type, result.type):
                kind = result.type if isinstance(result, Operand) else type(result).__name__
                raise PassError(f"rule {self.__name__!r} changes {node.describe()} from {old.type} to {kind}")
            if old.node is node:
                new[old.index] = result
            else:
                replaced[old] = result
        return new


@dataclass(frozen=True)
class Found:
    """A place that looks like a pattern, and what the symbols of the pattern stand for there."""

    pattern: Pattern
    match: Match

    @property
    def arguments(self) -> tuple[Operand, ...]:
        """What the arguments of the rule stand for."""
        return self.pattern.arguments(self.match)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The values of the attributes that the pattern captures."""
        return self.pattern.attributes(self.match)

    @property
    def results(self) -> tuple[SymbolicTensor, ...]:
        """The values that are to be replaced."""
        found = (self.match[x] for x in self.pattern.graph.outputs)
        return tuple(x for x in found if isinstance(x, SymbolicTensor))

    @property
    def root(self) -> Node:
        """The last node of it."""
        node = self.results[0].node
        assert node is not None
        return node

    @cached_property
    def inside(self) -> frozenset[Node]:
        """The nodes that look like those of the pattern."""
        made = (self.match.get(x) for node in self.pattern.graph.nodes for x in node.outputs if x is not None)
        return frozenset(x.node for x in made if isinstance(x, SymbolicTensor) and x.node is not None)

    def read_outside(self, readers: Mapping[Operand, list[Node | None]],
                     ) -> Iterator[tuple[SymbolicTensor, Node | None]]:
        """Values inside of it, other than the results, that something outside reads; None is the graph itself."""
        for node in sorted(self.inside, key=lambda node: node.serial):
            for x in node.outputs:
                if x is not None and not any(x is result for result in self.results):
                    yield from ((x, reader) for reader in readers.get(x, ()) if reader not in self.inside)


def objection(found: Found, readers: Mapping[Operand, list[Node | None]], taken: set[Node]) -> str:
    """Why what looks like the pattern must stay all the same; empty where it may be replaced."""
    if not taken.isdisjoint(found.inside):
        return "it shares a node with another match"
    if any(True for _ in found.read_outside(readers)):
        return "a value inside of it has another reader"
    return ""


def _wanted(function: Callable[..., Any], captured: tuple[str, ...], who: str) -> tuple[str, ...]:
    """Which of the captured attributes a function takes.

    Errors: `PassError` where it asks for one that is not captured.
    """
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C
        return ()
    if any(x.kind is x.VAR_KEYWORD for x in found):
        return captured
    asked = [x for x in found if x.kind is x.KEYWORD_ONLY]
    unknown = [x.name for x in asked if x.name not in captured and x.default is x.empty]
    if unknown:
        raise PassError(f"{who} asks for {', '.join(unknown)}, which before does not capture; "
                        "it captures its keyword-only parameters")
    return tuple(x.name for x in asked if x.name in captured)


def rule(before: Callable[..., Any] | Sequence[Callable[..., Any]], after: Callable[..., Any],
         when: Callable[..., bool] | None = None, name: str | None = None, exact: bool = True) -> Rule:
    """A pass that replaces `before(x, …)` by `after(x, …)`, both written with ops; arguments match any operand.

    `before` is called on pattern variables: symbols without a type, and where its ops ask for types (`x.T`,
    `sg.softmax`), symbols of the dtypes and ranks that a graph has. Numbers in it match constants of that value;
    operands of commutative ops match in any order, axes however they are counted, operators of older opsets by what
    they mean. `when` looks at the operands that were matched and says whether to replace them. `exact=False` says
    that results may differ by rounding.

    >>> import symgraph as sg
    >>> double_negation = rule(before=lambda x: -(-x), after=lambda x: x, name="double_negation")
    >>> x = sg.Input((3,), name="x")
    >>> print(double_negation(sg.Graph([x], [-(-x) + 1.0])))
    graph(%x: float32[?, 3]):
      %Add: float32[?, 3] = Add(%x, 1.0)
      return %Add

    Parameters that are keywords only capture attributes: they match any value, the default of ONNX where a node has
    none, and go to `after` and `when`, axes counted from the front. One that stands twice must be the same in both.
    Several functions are alternatives, the first that matches counts:

    >>> twice = rule(before=(lambda x, *, alpha: sg.ops.onnx("LeakyRelu", x * 2.0, alpha=alpha),
    ...                      lambda x, *, alpha: sg.ops.onnx("LeakyRelu", x + x, alpha=alpha)),
    ...              after=lambda x, *, alpha: sg.ops.onnx("LeakyRelu", x, alpha=alpha) * 2.0, name="twice")
    >>> graph = twice(sg.Graph([x], [sg.ops.onnx("LeakyRelu", x + x, alpha=0.25)]))
    >>> [(node.op.name, dict(node.attributes)) for node in graph.nodes]
    [('LeakyRelu', {'alpha': 0.25}), ('Mul', {})]

    Errors: `PassError` for a `before` that applies no op, does not use a parameter or computes with an attribute,
    alternatives with other parameters, and an `after` or `when` that asks for what is not captured.
    """
    return Rule(before, after, when, name, exact)


def readers_of(graph: Graph) -> Mapping[Operand, list[Node | None]]:
    """Who reads each value; None stands for the graph itself, which returns or pins it."""
    return graph.readers


def is_same_type(a: ValueType | None, b: ValueType | None) -> bool:
    """Whether two types say nothing that contradicts: the same dtype and rank, no two different sizes."""
    if not isinstance(a, TensorType) or not isinstance(b, TensorType) or a.shape is None or b.shape is None:
        return a is None or b is None or (
            isinstance(a, TensorType) and isinstance(b, TensorType) and a.dtype == b.dtype) or a == b
    return a.dtype == b.dtype and len(a.shape) == len(b.shape) and all(
        x == y or not (isinstance(x, int) and isinstance(y, int)) for x, y in zip(a.shape, b.shape, strict=True))
