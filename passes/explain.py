"""Why a rule does not match: how far each match came, and where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from symgraph.core.graph import Graph, node_graphs
from symgraph.core.op import Captured
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.passes.errors import PassError
from symgraph.passes.patterns import Match, Pattern, match_node, meaning, rank_of_axes, seen_as
from symgraph.passes.rules import Found, Rule, objection, readers_of


@dataclass(frozen=True)
class Attempt:
    """How far a match at one node came: how many operators of the pattern it found, and why it stopped there."""

    node: Node
    name: str
    found: int
    reason: str
    size: int

    @property
    def has_matched(self) -> bool:
        """Whether the rule applies here."""
        return not self.reason


@dataclass(frozen=True)
class Explanation:
    """What came of a rule in a graph; `attempts` are those at nodes with the operator it looks for, nearest first."""

    rule: str
    operator: str
    size: str
    nodes: int
    attempts: tuple[Attempt, ...]
    shown: int
    hint: str = ""

    @property
    def matches(self) -> tuple[Attempt, ...]:
        """The places where the rule applies."""
        return tuple(x for x in self.attempts if x.has_matched)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if not self.operator:
            yield f"rule {self.rule!r} matches none of {self.nodes} nodes: {self.hint}"
            return
        counted = "one operator," if self.size == "1" else f"{self.size} operators that end in"
        hint = f"; {self.hint}" if self.hint else ""
        yield (f"rule {self.rule!r} looks for {counted} {self.operator}; "
               f"of {self.nodes} nodes {len(self.attempts)} are {self.operator}, {len(self.matches)} match{hint}")
        for x in self.attempts[:self.shown]:
            place = f"  %{x.name} = {x.node.describe()}"
            yield f"{place}: matches" if x.has_matched else f"{place}: {x.found} of {x.size}, then {x.reason}"
        if len(self.attempts) > self.shown:
            yield f"  and {len(self.attempts) - self.shown} more that came less far"


def explain(rule: Rule, graph: Graph, limit: int = 10) -> Explanation:
    """Where in a graph a rule matches, and where it does not, how far it came and why it stopped.

    The `limit` nearest places are printed; bodies of If, Loop, Scan and composite ops are searched as well.

    >>> import symgraph as sg
    >>> twice = sg.passes.rule(lambda x: sg.relu(x * 2.0), lambda x: sg.relu(x) * 2.0, name="twice")
    >>> x = sg.Input((3,), name="x")
    >>> print(explain(twice, sg.Graph([x], [sg.relu(x * 3.0)])).attempts[0].reason.split(") ")[-1])
    reads 3 where the rule has 2
    """
    parts = list(_graphs(graph))
    attempts = [x for part in parts for x in _attempts(rule, part)]
    attempts.sort(key=lambda x: (not x.has_matched, -x.found))
    patterns = list(dict.fromkeys(x for part in parts for x in rule.patterns.of(part)))
    nodes = sum(len(part.nodes) for part in parts)
    if not patterns:
        return Explanation(rule.__name__, "", "0", nodes, (), limit, f"its ops fit no types in the graph: "
                           f"{rule.patterns.misfit}")
    firsts = [found[0] for each in rule.patterns.each if (found := [x for part in parts for x in each.of(part)])]
    present = {str(node.op) for part in parts for node in part.nodes}
    missing = min((sorted({str(node.op) for node in x.graph.nodes} - present) for x in firsts), key=len)
    hint = f"the graph has none of {', '.join(missing)}" if len(missing) > 1 else (
        f"the graph has no {missing[0]}" if missing else "")
    operators = " or ".join(dict.fromkeys(str(x.root.op) for x in firsts))
    sizes = " or ".join(map(str, dict.fromkeys(len(x.graph.nodes) for x in firsts)))
    return Explanation(rule.__name__, operators, sizes, nodes, tuple(attempts), limit, hint)


def _graphs(graph: Graph) -> Iterator[Graph]:
    yield graph
    for node in graph.nodes:
        for inner in node_graphs(node):
            yield from _graphs(inner)


def _attempts(rule: Rule, graph: Graph) -> Iterator[Attempt]:
    refusals: dict[Node, str] = {}

    def ask(found: Found) -> bool:
        try:
            is_wanted = rule.wants(found)
        except PassError as error:
            refusals.setdefault(found.root, str(error).partition(": ")[2])
            return False
        if not is_wanted:
            refusals.setdefault(found.root, f"`when` refused it for {_arguments(rule, found, graph)}")
        return is_wanted

    matches = rule.matches(graph, ask)
    readers = readers_of(graph)
    taken = {inside for found in matches.values() for inside in found.inside}
    patterns = rule.patterns.of(graph)
    for node in graph.nodes:
        tried = [x for x in patterns if (x.root.op.name, x.root.op.domain) == (node.op.name, node.op.domain)]
        if not tried:
            continue
        name = graph.names[next(x for x in node.outputs if x is not None)]
        if node in matches:
            yield Attempt(node, name, len(matches[node].inside), "", len(matches[node].pattern.graph.nodes))
            continue
        journal = _Journal(graph)
        for pattern in tried:
            journal.pattern = pattern
            for match in match_node(pattern.root, node, {}, journal.note):
                reason = _objection(Found(pattern, match), readers, taken, graph) if pattern.takes(match) else (
                    _misfit(pattern, match, graph))
                journal.keep(len(pattern.graph.nodes), reason or refusals.get(node, ""))
        yield Attempt(node, name, journal.found, journal.reason, journal.size)


def _objection(found: Found, readers: Mapping[Operand, list[Node | None]], taken: set[Node], graph: Graph) -> str:
    """What stands against a whole match, with the reader that is in the way."""
    for value, reader in found.read_outside(readers):
        who = "the graph itself returns it" if reader is None else f"{_place(reader, graph)} reads it too"
        return f"%{graph.names[value]} must stay: {who}"
    return objection(found, readers, taken)


def _misfit(pattern: Pattern, match: Match, graph: Graph) -> str:
    """The argument that has a type for which the ops of the pattern apply other operators."""
    if any(x not in match for x in pattern.graph.outputs):
        return "it lacks an output that the rule looks for"
    types = ", ".join(f"{x.name} = {_name(match[x], graph)}: {match[x].type}" for x in pattern.graph.inputs)
    return f"for these types `before` applies other operators ({types})"


def _arguments(rule: Rule, found: Found, graph: Graph) -> str:
    operands = (f"{name} = {_name(x, graph)}: {x.type}"
                for name, x in zip(rule.patterns.arguments, found.arguments, strict=True))
    return ", ".join((*operands, *(f"{name} = {value!r}" for name, value in found.attributes.items())))


def _name(x: Operand, graph: Graph) -> str:
    return _constant(x) if isinstance(x, Tensor) else f"%{graph.names[x]}" if x in graph.names else "a value outside"


class _Journal:
    """Keeps the miss that came furthest; of several ways that come equally far, the first."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.pattern: Pattern | None = None
        self.found, self.reason, self.size = -1, "", 0

    def note(self, known: Match, pattern: Node | Operand | None, found: Node | Operand | None, reason: str) -> None:
        nodes = {x.node for x in known if isinstance(x, SymbolicTensor) and x.node is not None}
        if len(nodes) > self.found:
            self.keep(len(nodes), self._sentence(known, pattern, found, reason))

    def keep(self, found: int, reason: str) -> None:
        if found > self.found:
            self.found, self.reason = found, reason
            self.size = 0 if self.pattern is None else len(self.pattern.graph.nodes)

    def _sentence(self, known: Match, pattern: Node | Operand | None, found: Node | Operand | None, reason: str) -> str:
        if isinstance(pattern, Node) and isinstance(found, Node) and reason != "operator":
            if reason == "axes":
                has, wanted = (_axes(x, pattern) for x in (found, pattern))
            elif reason == "attributes":
                has, wanted = _attributes(found, pattern, known)
            else:
                has, wanted = (", ".join(x.op.input_name(i) for i, y in enumerate(x.inputs) if y is not None)
                               for x in (found, pattern))
                has, wanted = f"the inputs {has}", f"{wanted}"
            return f"{_place(found, self.graph)} has {has} where the rule has {wanted}"
        if isinstance(pattern, Node) and isinstance(found, Node) and pattern.op.name == found.op.name:
            return (f"{_place(found, self.graph)} is of opset {found.op.version}, "
                    f"which means something else than in opset {pattern.op.version}")
        wanted = _wanted(pattern)
        if isinstance(pattern, SymbolicTensor):
            wanted = f"{pattern.name!r} again, which is {_name(known[pattern], self.graph)}"
        return f"{self._reader(known, pattern)} reads {self._found(found, pattern)} where the rule has {wanted}"

    def _reader(self, known: Match, pattern: Node | Operand | None) -> str:
        """The node that reads what stands in the wrong place."""
        parts = set(pattern.outputs if isinstance(pattern, Node) else (pattern,))
        for node in reversed(self.pattern.graph.nodes if self.pattern is not None else ()):
            match = known.get(node.output)
            if isinstance(match, SymbolicTensor) and match.node is not None and not parts.isdisjoint(node.inputs):
                return _place(match.node, self.graph)
        return "it"

    def _found(self, x: Node | Operand | None, pattern: Node | Operand | None) -> str:
        if x is None:
            return "no input"
        if isinstance(x, Node):
            return _place(x, self.graph)
        if isinstance(x, Variable):
            hint = " (freeze makes it a constant)" if isinstance(pattern, Tensor) else ""
            return f"variable %{x.name}{hint}"
        if isinstance(x, Tensor):
            is_other_shape = isinstance(pattern, Tensor) and x.shape != pattern.shape
            return f"{_constant(x)} of shape {list(x.shape)}" if is_other_shape else _constant(x)
        if isinstance(x, SymbolicTensor) and x.node is not None:
            return _place(x.node, self.graph)
        return f"input %{self.graph.names[x]}"


def _wanted(pattern: Node | Operand | None) -> str:
    if isinstance(pattern, Node):
        return str(pattern.op)
    return _constant(pattern) if isinstance(pattern, Tensor) else "no input"


def _constant(x: Tensor) -> str:
    """The numbers in a small constant, with as many digits as float32 has."""
    if x.size > 8 or x.dtype == "string":
        return f"constant<{x.type}>"
    shown = [f"{v:.7g}" if isinstance(v, float) else repr(v) for v in x.numpy().ravel().tolist()]
    return shown[0] if not x.shape else f"[{', '.join(shown)}]"


def _axes(node: Node, pattern: Node) -> str:
    """The axes of a node, as the version of its operator in the pattern has them."""
    seen = seen_as(node, pattern.op)
    inputs = node.inputs if seen is None else seen[0]
    return next((f"axes {_constant(x) if isinstance(x, Tensor) else 'that are computed'}"
                 for i, x in enumerate(inputs) if x is not None and pattern.op.input_name(i) in ("axes", "axis")), "")


def _place(node: Node, graph: Graph) -> str:
    """`%y = Mul in layer "head"`."""
    name = next(graph.names[x] for x in node.outputs if x is not None)
    return f"%{name} = {node.describe()}"


def _attributes(node: Node, pattern: Node, known: Match) -> tuple[str, str]:
    """The attributes in which a node differs from a pattern, as either has them; those captured before as they were."""
    rank = rank_of_axes(node)
    seen = seen_as(node, pattern.op)
    given = node.attributes if seen is None else seen[1]
    means, wanted = meaning(pattern.op, given, rank), meaning(pattern.op, pattern.attributes, rank)
    said_before = {name: known[x] for name, x in pattern.attributes.items() if isinstance(x, Captured) and x in known}
    wanted.update(said_before)
    is_any = {name for name, x in pattern.attributes.items() if isinstance(x, Captured) and x not in known}
    names = sorted(name for name in {*means, *wanted} - is_any if means.get(name) != wanted.get(name))
    a, b = (", ".join(f"{n}={said.get(n, meant[n])!r}" if n in meant else f"no {n}" for n in names)
            for meant, said in ((means, given), (wanted, {**pattern.attributes, **said_before})))
    return a, b
