"""Why a rule does not match: how far each match came, and where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symgraph.core.graph import Graph, node_graphs
from symgraph.core.inference import freeze
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.passes.rules import Match, Rule, match_node, readers_of
from symgraph.runtime.versions import attribute_defaults


@dataclass(frozen=True)
class Attempt:
    """How far a match at one node came: how many operators of the pattern it found, and why it stopped there."""

    node: Node
    name: str
    found: int
    reason: str

    @property
    def has_matched(self) -> bool:
        """Whether the rule applies here."""
        return not self.reason


@dataclass(frozen=True)
class Explanation:
    """What came of a rule in a graph; `attempts` are those at nodes with the operator it looks for, nearest first."""

    rule: str
    operator: str
    size: int
    nodes: int
    attempts: tuple[Attempt, ...]
    shown: int

    @property
    def matches(self) -> tuple[Attempt, ...]:
        """The places where the rule applies."""
        return tuple(x for x in self.attempts if x.has_matched)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield (f"rule {self.rule!r} looks for {self.size} operators that end in {self.operator}; "
               f"of {self.nodes} nodes {len(self.attempts)} are {self.operator}, {len(self.matches)} match")
        for x in self.attempts[:self.shown]:
            place = f"  %{x.name} = {x.node.describe()}"
            yield f"{place}: matches" if x.has_matched else f"{place}: {x.found} of {self.size}, then {x.reason}"
        if len(self.attempts) > self.shown:
            yield f"  and {len(self.attempts) - self.shown} more that came less far"


def explain(rule: Rule, graph: Graph, limit: int = 10) -> Explanation:
    """Where in a graph a rule matches, and where it does not, how far it came and why it stopped.

    The `limit` nearest places are printed; bodies of If, Loop, Scan and composite ops are searched as well.

    >>> import symgraph as sg
    >>> twice = sg.passes.rule(lambda x: sg.relu(x * 2.0), lambda x: sg.relu(x) * 2.0, name="twice")
    >>> x = sg.Input((3,), name="x")
    >>> print(explain(twice, sg.Graph([x], [sg.relu(x * 3.0)])).attempts[0].reason.split(") ")[-1])
    reads 3.0 where the rule has 2.0
    """
    attempts = [x for part in _graphs(graph) for x in _attempts(rule, part)]
    attempts.sort(key=lambda x: (not x.has_matched, -x.found))
    return Explanation(rule.__name__, str(rule.root.op), len(rule.pattern.nodes),
                       sum(len(part.nodes) for part in _graphs(graph)), tuple(attempts), limit)


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for node in graph.nodes:
        for inner in node_graphs(node):
            yield from _graphs(inner)


def _attempts(rule: Rule, graph: Graph) -> Iterator[Attempt]:
    matches = rule.matches(graph)
    readers = readers_of(graph)
    taken = {inside for match in matches.values() for inside in rule.inside(match)}
    for node in graph.nodes:
        if (rule.root.op.name, rule.root.op.domain) != (node.op.name, node.op.domain):
            continue
        name = graph.names[next(x for x in node.outputs if x is not None)]
        if node in matches:
            yield Attempt(node, name, len(rule.pattern.nodes), "")
            continue
        journal = _Journal(rule, graph)
        for match in match_node(rule.root, node, {}, journal.note):
            journal.keep(len(rule.pattern.nodes), _objection(rule, match, readers, taken, graph))
        yield Attempt(node, name, journal.found, journal.reason)


def _objection(rule: Rule, match: Match, readers: dict[Operand, list[Node | None]], taken: set[Node],
               graph: Graph) -> str:
    """The rule's objection to a whole match, with the reader that is in the way."""
    reason = rule.objection(match, readers, taken)
    if reason != "a value inside of it has another reader":
        return reason
    inside, results = rule.inside(match), {match[x] for x in rule.pattern.outputs}
    value, reader = next((x, reader) for node in sorted(inside, key=lambda node: node.serial) for x in node.outputs
                         if x is not None and x not in results
                         for reader in readers.get(x, ()) if reader not in inside)
    who = "the graph itself returns it" if reader is None else f"{_place(reader, graph)} reads it too"
    return f"%{graph.names[value]} must stay: {who}"


class _Journal:
    """Keeps the miss that came furthest; of several ways that come equally far, the first."""

    def __init__(self, rule: Rule, graph: Graph) -> None:
        self.rule, self.graph = rule, graph
        self.found, self.reason = -1, ""

    def note(self, known: Match, pattern: Node | Operand | None, found: Node | Operand | None, reason: str) -> None:
        nodes = {x.node for x in known if isinstance(x, SymbolicTensor) and x.node is not None}
        if len(nodes) > self.found:
            self.keep(len(nodes), self._sentence(known, pattern, found, reason))

    def keep(self, found: int, reason: str) -> None:
        if found > self.found:
            self.found, self.reason = found, reason

    def _sentence(self, known: Match, pattern: Node | Operand | None, found: Node | Operand | None, reason: str) -> str:
        if isinstance(pattern, Node) and isinstance(found, Node) and reason != "operator":
            has, wanted = f"{len(found.inputs)} inputs", f"{len(pattern.inputs)}"
            if reason == "attributes":
                has, wanted = _attributes(found, pattern), _attributes(pattern, found)
            return f"{_place(found, self.graph)} has {has} where the rule has {wanted}"
        if isinstance(pattern, Node) and isinstance(found, Node) and pattern.op.name == found.op.name:
            return (f"{_place(found, self.graph)} is of opset {found.op.version}, "
                    f"which means something else than in opset {pattern.op.version}")
        return f"{self._reader(known, pattern)} reads {self._found(found)} where the rule has {_wanted(pattern)}"

    def _reader(self, known: Match, pattern: Node | Operand | None) -> str:
        """The node that reads what stands in the wrong place."""
        parts = set(pattern.outputs if isinstance(pattern, Node) else (pattern,))
        for node in reversed(self.rule.pattern.nodes):
            match = known.get(node.output)
            if isinstance(match, SymbolicTensor) and match.node is not None and not parts.isdisjoint(node.inputs):
                return _place(match.node, self.graph)
        return "it"

    def _found(self, x: Node | Operand | None) -> str:
        if isinstance(x, Node):
            return _place(x, self.graph)
        if isinstance(x, Tensor):
            return _constant(x)
        if isinstance(x, Variable):
            return f"variable %{x.name}"
        return "no input" if x is None else f"%{self.graph.names[x]}"


def _wanted(pattern: Node | Operand | None) -> str:
    if isinstance(pattern, Node):
        return str(pattern.op)
    if isinstance(pattern, Tensor):
        return _constant(pattern)
    return f"{pattern.name!r}, which is another" if isinstance(pattern, SymbolicTensor) else "no input"


def _constant(x: Tensor) -> str:
    return repr(x.numpy().tolist()) if x.size <= 8 else f"constant<{x.type}>"


def _place(node: Node, graph: Graph) -> str:
    """`%y = Mul in layer "head"`."""
    name = next(graph.names[x] for x in node.outputs if x is not None)
    return f"%{name} = {node.describe()}"


def _attributes(node: Node, other: Node) -> str:
    """The attributes in which `node` differs from `other`."""
    mine, theirs = ({**({} if n.op.schema is None else attribute_defaults(n.op)), **n.attributes}
                    for n in (node, other))
    names = sorted(n for n in {*mine, *theirs} if freeze(mine.get(n)) != freeze(theirs.get(n)))
    return ", ".join(f"{n}={mine[n]!r}" if n in mine else f"no {n}" for n in names)
