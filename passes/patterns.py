"""What a rule looks for, as graphs of pattern variables, and the ways in which a node looks like one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from symgraph.core.apply import placeholder
from symgraph.core.errors import GraphError, OpError, ShapeError
from symgraph.core.graph import Graph
from symgraph.core.inference import freeze, freeze_attributes
from symgraph.core.op import Captured, Op, find_op
from symgraph.core.scope import tracing
from symgraph.core.structure import flatten
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, is_floating
from symgraph.core.value import Tensor
from symgraph.passes.errors import PassError
from symgraph.passes.traits import COMMUTATIVE
from symgraph.runtime.adapters import MOVED, UP, step
from symgraph.runtime.versions import Call, Stuck, attribute_defaults

Symbol = Operand | Captured
"""What a pattern leaves open: operands, and attributes."""

Match = Mapping[Symbol, Any]
"""What each symbol of a pattern stands for: an operand, or the value of an attribute."""

Note = Callable[[Match, Node | Operand | None, Node | Operand | None, str], None]
"""Told where a match stops: what was known by then, the part of the pattern, what stands there, and why."""

Signature = tuple[TensorType | None, ...]
"""A type for each argument of a pattern, with the dtype and the rank; None where any will do."""

MAX_SIGNATURES = 512
"""So many combinations of types are tried for the arguments of a pattern."""

_BY_TYPE = frozenset({"Cast", "Mod", "ReduceMax", "ReduceMin"})
"""Operators that the ops of symgraph apply to some types and not to others."""


def unheard(known: Match, pattern: Node | Operand | None, found: Node | Operand | None, reason: str) -> None:
    """The note that nobody takes."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """A graph to look for. Where it was made for arguments of certain types, it matches such alone."""

    graph: Graph
    structure: object
    signatures: set[Signature] = field(default_factory=set)

    @property
    def root(self) -> Node:
        """The node that gives the results."""
        root = self.graph.outputs[0]
        assert isinstance(root, SymbolicTensor) and root.node is not None
        return root.node

    def arguments(self, match: Match) -> tuple[Operand, ...]:
        """What the arguments stand for in a match."""
        return tuple(match[x] for x in self.graph.inputs)

    @staticmethod
    def attributes(match: Match) -> dict[str, Any]:
        """The values of the attributes that a match captured."""
        return {symbol.name: value for symbol, value in match.items() if isinstance(symbol, Captured)}

    def takes(self, match: Match) -> bool:
        """Whether a match is whole, and its arguments have types that the pattern was made for."""
        if any(x not in match for x in (*self.graph.inputs, *self.graph.outputs)):
            return False
        found = tuple(_open_type(x) for x in self.arguments(match))
        return not self.signatures or any(
            all(a is None or a == b for a, b in zip(wanted, found, strict=True)) for wanted in self.signatures)


class Patterns:
    """The graphs that `before` makes: one of symbols without types, and where its ops ask for types, one for each."""

    def __init__(self, before: Callable[..., Any], arguments: tuple[str, ...], attributes: tuple[str, ...], name: str,
                 ) -> None:
        self.before, self.arguments, self.attributes, self.name = before, arguments, attributes, name
        self.misfit = ""
        self._traced: dict[Signature, Pattern | None] = {}
        try:
            self.untyped: Pattern | None = self._trace((None,) * len(arguments))
        except (GraphError, ShapeError) as error:  # an op that asks for a type or a rank
            self.untyped, self.misfit = None, str(error)
        self.asks_for_types = self.untyped is None or _depends_on_types(self.untyped.graph)

    def __str__(self) -> str:
        shown = self.untyped or next((x for x in self._traced.values() if x is not None), None)
        return "a pattern for each type" if shown is None else " ".join(str(shown.graph).split())

    def of(self, graph: Graph) -> tuple[Pattern, ...]:
        """The patterns to look for in a graph, whose values have certain types."""
        if not self.asks_for_types:
            assert self.untyped is not None
            return (self.untyped,)
        found: dict[object, Pattern] = {}
        if self.untyped is not None:
            found[self.untyped.structure] = self.untyped
        for signature in self._signatures(_types(graph)):
            if signature not in self._traced:
                self._traced[signature] = self._trace_typed(signature)
            pattern = self._traced[signature]
            if pattern is None:
                continue
            same = found.setdefault(pattern.structure, Pattern(pattern.graph, pattern.structure))
            if same is not self.untyped:
                same.signatures.add(signature)
        return tuple(found.values())

    def _signatures(self, types: list[TensorType]) -> Iterator[Signature]:
        """Types for as few arguments as the ops ask for, and no more combinations than `MAX_SIGNATURES`."""
        left = MAX_SIGNATURES
        for count in range(1, len(self.arguments) + 1):
            found = False
            for places in itertools.combinations(range(len(self.arguments)), count):
                left -= len(types) ** count
                if left < 0:
                    return
                for chosen in itertools.product(types, repeat=count):
                    signature: list[TensorType | None] = [None] * len(self.arguments)
                    for place, chosen_type in zip(places, chosen, strict=True):
                        signature[place] = chosen_type
                    yield tuple(signature)
                    pattern = self._traced.get(tuple(signature))
                    found |= pattern is not None and not _depends_on_types(pattern.graph)
            if found:
                return

    def _trace_typed(self, signature: Signature) -> Pattern | None:
        try:
            return self._trace(signature)
        except (GraphError, ShapeError, OpError, TypeError, PassError, IndexError) as error:
            self.misfit = str(error)
            return None

    def _trace(self, signature: Signature) -> Pattern:
        symbols = [placeholder(t, name) for t, name in zip(signature, self.arguments, strict=True)]
        captured = {name: Captured(name) for name in self.attributes}
        try:
            with tracing():
                results = flatten(self.before(*symbols, **captured))
        except (TypeError, AttributeError) as error:
            if not captured:
                raise
            raise PassError(f"rule {self.name!r}: before must hand {', '.join(captured)} to an operator as it is, such "
                            f"as ops.onnx(…, {next(iter(captured))}=…): {error}") from error
        if not results or any(not isinstance(x, SymbolicTensor) for x in results):
            raise PassError(f"rule {self.name!r}: before must return what ops make of its arguments, got {results}")
        graph = Graph(symbols, results, name=self.name)
        root = graph.outputs[0]
        if not isinstance(root, SymbolicTensor) or root.node is None:
            raise PassError(f"rule {self.name!r}: before must apply at least one op to its arguments")
        reached = set(graph.with_outputs([x for x in root.node.outputs if x is not None]).nodes)
        for x in graph.outputs:
            if isinstance(x, SymbolicTensor) and x.node not in reached:
                raise PassError(f"rule {self.name!r}: the first result of before must be the one made last, "
                                "of all that gives the others")
        unused = [name for x, name in zip(symbols, self.arguments, strict=True)
                  if not any(x is y for node in reached for y in node.operands)]
        used = {value for node in reached for value in node.attributes.values() if isinstance(value, Captured)}
        unused += [name for name, symbol in captured.items() if symbol not in used]
        if unused:
            raise PassError(f"rule {self.name!r}: before does not use {', '.join(unused)}")
        return Pattern(graph, _structure(graph))


def _depends_on_types(graph: Graph) -> bool:
    """Whether the ops of a pattern may apply others where they know the types."""
    return any(node.op.domain == "symgraph" or node.op.name in _BY_TYPE for node in graph.nodes) or any(
        is_floating(x.dtype) and x.dtype != "float32" for x in graph.constants)


def _types(graph: Graph) -> list[TensorType]:
    """The types in a graph, as far as dtype and rank go, in the order in which they come."""
    values = itertools.chain(graph.inputs, graph.captures, (x for node in graph.nodes for x in node.outputs),
                             graph.leaves)
    found = (_open_type(x) for x in values)
    return list(dict.fromkeys(x for x in found if x is not None))


def _open_type(x: Operand | None) -> TensorType | None:
    if x is None or not isinstance(x.type, TensorType) or x.type.shape is None:
        return None
    return TensorType(x.type.dtype, (None,) * len(x.type.shape))


def _structure(graph: Graph) -> object:
    """Equal for graphs that look for the same."""
    places: dict[Operand, object] = {x: i for i, x in enumerate(graph.inputs)}
    for number, node in enumerate(graph.nodes):
        places.update((x, (number, x.index)) for x in node.outputs if x is not None)

    def place(x: Operand | None) -> object:
        return freeze(x.numpy()) if isinstance(x, Tensor) else None if x is None else places.get(x, x)

    return (tuple(map(place, graph.outputs)), tuple(
        (node.op, tuple(map(place, node.operands)), freeze_attributes(node.attributes)) for node in graph.nodes))


def match_node(pattern: Node, node: Node, known: Match, note: Note = unheard) -> Iterator[dict[Symbol, Any]]:
    """The ways in which `node` looks like `pattern`, given what its symbols stand for already."""
    seen = seen_as(node, pattern.op)
    if seen is None:
        return note(known, pattern, node, "operator")
    found, attributes = seen
    wanted = _given(pattern.inputs)
    if len(wanted) != len(found):
        return note(known, pattern, node, "number of inputs")
    captured = _capture(pattern, attributes, rank_of_axes(node), known)
    if captured is None:
        return note(known, pattern, node, "attributes")
    outputs = {**known, **captured}
    for symbol, value in zip(pattern.outputs, node.outputs, strict=False):
        if symbol is not None and value is not None:
            outputs[symbol] = value
    axes = [i for i, x in enumerate(wanted) if isinstance(x, Tensor) and _is_axes(pattern.op, i)]
    if any(not _are_axes(wanted[i], found[i], node) for i in axes):
        return note(known, pattern, node, "axes")
    orders = [found]
    if node.op.name in COMMUTATIVE and len(found) == 2:
        orders.append(found[::-1])
    for inputs in orders:
        parts = [pair for i, pair in enumerate(zip(wanted, inputs, strict=True)) if i not in axes]
        yield from _match_inputs(parts, outputs, note)


def _capture(pattern: Node, attributes: Mapping[str, object], rank: int | None, known: Match,
             ) -> dict[Symbol, Any] | None:
    """What the attributes of a node say for those that the pattern captures; None where the others say otherwise."""
    if not pattern.attributes and not attributes:
        return {}
    wanted, found = meaning(pattern.op, pattern.attributes, rank), meaning(pattern.op, attributes, rank)
    captured: dict[Symbol, Any] = {}
    for name, symbol in pattern.attributes.items():
        if isinstance(symbol, Captured):
            del wanted[name]
            said = attributes.get(name)
            value = said if isinstance(said, np.ndarray) else found.get(name)
            found.pop(name, None)
            before = captured.get(symbol, known.get(symbol, value))
            if freeze(before) != freeze(value):
                return None
            captured[symbol] = value
    return captured if wanted == found else None


def _match_inputs(parts: list[tuple[Operand | None, Operand | None]], known: Match, note: Note,
                  ) -> Iterator[dict[Symbol, Any]]:
    if not parts:
        yield dict(known)
        return
    for match in _match_operand(*parts[0], known, note):
        yield from _match_inputs(parts[1:], match, note)


def _match_operand(pattern: Operand | None, x: Operand | None, known: Match, note: Note,
                   ) -> Iterator[dict[Symbol, Any]]:
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
    if x.shape != wanted.shape or "string" in (x.dtype, wanted.dtype):
        return x is wanted
    a, written = x.numpy(), wanted.numpy()
    b = written.astype(a.dtype)
    if not is_floating(x.dtype) and not np.array_equal(b, written):
        return False  # 2.5 is no whole number
    same = (a == b) & (np.signbit(a) == np.signbit(b)) if is_floating(x.dtype) else a == b
    return bool(np.all(same | ((a != a) & (b != b))))


@lru_cache(maxsize=4096)
def is_same_op(a: Op, b: Op) -> bool:
    """Whether two ops are one operator, in versions between which its meaning did not change."""
    if a.name != b.name or a.domain != b.domain:
        return False
    between = range(min(a.version, b.version) + 1, max(a.version, b.version) + 1)
    return not any((a.name, version) in table for version in between for table in (UP, MOVED))


def seen_as(node: Node, op: Op) -> tuple[tuple[Operand | None, ...], Mapping[str, object]] | None:
    """Inputs and attributes of a node as another version of its operator has them; None where it cannot say it."""
    if (node.op.name, node.op.domain) != (op.name, op.domain):
        return None
    if is_same_op(node.op, op):
        return _given(node.inputs), node.attributes
    types = tuple(None if x is None else x.type for x in node.outputs)
    call = Call(op.name, node.inputs, node.attributes, types, tuple(x is not None for x in node.outputs), op.version)
    at = node.op
    try:
        with tracing():
            while at.version != op.version:
                older = at.version > op.version
                following = find_op(op.name, op.domain, at.version - 1 if older else at.last_version + 1)
                result = step(at, following, call)
                if not isinstance(result, Call) or result.name != op.name:
                    return None
                at, call = following, result
    except (Stuck, OpError, ShapeError, GraphError):
        return None
    return _given(call.inputs), call.attributes


def _given(inputs: tuple[Operand | None, ...]) -> tuple[Operand | None, ...]:
    """Inputs without those left out at the end."""
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    return inputs


def rank_of_axes(node: Node) -> int | None:
    """The rank that the axes of a node are counted in; None where it is unknown, or they count in another way."""
    if node.op.domain or node.op.name == "OneHot":
        return None
    x = node.outputs[0] if node.op.name == "Unsqueeze" else node.inputs[0] if node.inputs else None
    kind = None if x is None else x.type
    return None if not isinstance(kind, TensorType) or kind.shape is None else len(kind.shape)


def meaning(op: Op, attributes: Mapping[str, object], rank: int | None) -> dict[str, object]:
    """What attributes say: those left out with their defaults, axes counted from the front."""
    said = {**({} if op.schema is None else attribute_defaults(op)), **attributes}
    found = {name: _stored(value) for name, value in said.items() if value is not None}
    if rank is not None:
        for name in ("axis", "axes"):
            value = found.get(name)
            if isinstance(value, int):
                found[name] = value + rank if value < 0 else value
            elif isinstance(value, tuple):
                found[name] = tuple(axis + rank if axis < 0 else axis for axis in value)
        if op.name == "Transpose" and "perm" not in found:
            found["perm"] = tuple(reversed(range(rank)))
    return found


def _stored(value: object) -> object:
    """An attribute as a file holds it: floats have 32 bits."""
    if isinstance(value, tuple):
        return tuple(map(_stored, value))
    return float(np.float32(value)) if isinstance(value, float) else freeze(value)


def _is_axes(op: Op, place: int) -> bool:
    return op.schema is not None and place > 0 and op.input_name(place) in ("axis", "axes")


def _are_axes(wanted: Operand | None, found: Operand | None, node: Node) -> bool:
    """Whether two constants name the same axes, from whichever end they are counted."""
    if not isinstance(wanted, Tensor) or not isinstance(found, Tensor) or wanted.shape != found.shape:
        return False
    rank = rank_of_axes(node) or 0
    a, b = (np.where(x.numpy() < 0, x.numpy() + rank, x.numpy()) for x in (wanted, found))
    is_set = node.op.name.startswith("Reduce") or node.op.name in ("Squeeze", "Unsqueeze")
    return np.array_equal(*((np.sort(a), np.sort(b)) if is_set and a.ndim else (a, b)))
