"""Graphs: inputs, outputs, and the nodes between them. They never change."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from operator import attrgetter, is_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.apply import evaluate_op
from symgraph.core.errors import GraphError, OpError, nearest
from symgraph.core.inference import infer_types, known_data, propagate_data
from symgraph.core.op import Op
from symgraph.core.printing import format_graph
from symgraph.core.scope import Places, Trace, tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import is_unknown
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable, read_variables

if TYPE_CHECKING:
    import networkx

Rewriter = Callable[[Node, tuple[Operand | None, ...]], Iterable[Operand | None] | None]


class Graph:
    """The computation of `outputs` from `inputs`.

    Any symbol may be an input: what lies before it is cut off. Nodes come in the order in which they were
    made, which is the same in every run. Variables and constants are leaves.

    `pinned` are values by name that every pass keeps under that name, though they are no outputs.

    `captures` are symbols that stand for values of a surrounding graph, in the body of an If, Loop or Scan.
    `opsets` and `metadata` are kept from an imported file; `aside` are values of it that no output needs,
    so that `find` knows them too. `gradient` is the user's own gradient of a function: from those of the outputs to
    those of the inputs.

    Errors: `GraphError` where an output needs a symbol that is not among the inputs.

    >>> import symgraph as sg
    >>> x = sg.Input((3,), batch_size="N", name="x")
    >>> print(Graph([x], [x * 2.0]))
    graph(%x: float32[N, 3]):
      %Mul: float32[N, 3] = Mul(%x, 2.0)
      return %Mul
    """

    def __init__(
            self, inputs: Iterable[SymbolicTensor], outputs: Iterable[Operand], *,
            output_names: Iterable[str] | None = None, input_names: Iterable[str] | None = None,
            captures: Iterable[SymbolicTensor] = (), pinned: Mapping[str, Operand] | None = None, name: str = "graph",
            opsets: Mapping[str, int] | None = None, metadata: Mapping[str, str] | None = None,
            aside: Mapping[str, Operand] | None = None,
            gradient: Callable[..., Iterable[Operand | None]] | None = None) -> None:
        self.inputs = _symbols(inputs, "input")
        self.outputs = _operands(outputs)
        self.captures = tuple(captures)
        self.pinned = MappingProxyType(dict(pinned or {}))
        self.name = name
        self.opsets = MappingProxyType(dict(opsets or {}))
        self.metadata = MappingProxyType(dict(metadata or {}))
        self.aside = MappingProxyType(dict(aside or {}))
        self.gradient = gradient
        self.nodes: tuple[Node, ...] = _reachable(self._kept, (*self.inputs, *self.captures))
        self._given_inputs = None if input_names is None else tuple(input_names)
        self._given_outputs = None if output_names is None else tuple(output_names)
        for given, values, kind in ((self._given_inputs, self.inputs, "input"),
                                    (self._given_outputs, self.outputs, "output")):
            if given is not None and len(given) != len(values):
                raise GraphError(f"graph {name!r} has {len(values)} {kind}s, got {len(given)} {kind} names")

    @property
    def _kept(self) -> tuple[Operand, ...]:
        return (*self.outputs, *self.pinned.values())

    @cached_property
    def leaves(self) -> tuple[Tensor | Variable, ...]:
        """Constants and variables that the nodes and outputs use, subgraphs included, in order of first use."""
        found: dict[Tensor | Variable, None] = {}
        for node in self.nodes:
            for x in node.operands:
                if isinstance(x, Tensor | Variable):
                    found.setdefault(x)
            for graph in node_graphs(node):
                found.update(dict.fromkeys(graph.leaves))
        found.update(dict.fromkeys(x for x in self._kept if isinstance(x, Tensor | Variable)))
        return tuple(found)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables among the leaves."""
        return tuple(x for x in self.leaves if isinstance(x, Variable))

    @property
    def constants(self) -> tuple[Tensor, ...]:
        """The constants among the leaves."""
        return tuple(x for x in self.leaves if isinstance(x, Tensor))

    @cached_property
    def readers(self) -> Mapping[Operand, list[Node | None]]:
        """Who reads each value, once for each time; None stands for the graph itself, which returns or pins it."""
        readers: dict[Operand, list[Node | None]] = {}
        for node in self.nodes:
            for x in node.operands:
                if x is not None:
                    readers.setdefault(x, []).append(node)
        for x in self._kept:
            readers.setdefault(x, []).append(None)
        return MappingProxyType(readers)

    @cached_property
    def by_operator(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes by the name of their operator, in order."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(node.op.name, []).append(node)
        return MappingProxyType({name: tuple(nodes) for name, nodes in found.items()})

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The ops of the nodes, those of the graphs inside of them included, each once."""
        found = dict.fromkeys([node.op for node in self.nodes])
        for graph in dict.fromkeys(graph for node in self.with_graphs for graph in node_graphs(node)):
            found.update(dict.fromkeys(graph.ops))
        return tuple(found)

    @cached_property
    def with_graphs(self) -> tuple[Node, ...]:
        """The nodes that have graphs inside."""
        return tuple(node for node in self.nodes if node_graphs(node))

    @cached_property
    def names(self) -> Mapping[Operand, str]:
        """A name for every value, each a different one. Names of inputs and outputs are a contract and come first."""
        return MappingProxyType(_unique_names(self))

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names under which values are fed."""
        names = self.names if "names" in self.__dict__ else _unique_names(self, ends_only=True)
        return tuple(names[x] for x in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names under which results come out; a value that is an output twice has the names it was given."""
        if self._given_outputs is not None:
            return self._given_outputs
        names = self.names if "names" in self.__dict__ else _unique_names(self, ends_only=True)
        return tuple(names[x] for x in self.outputs)

    def find(self, name: str) -> Operand:
        """The value called `name`.

        Errors: `GraphError` listing the nearest names.
        """
        found = self._by_name.get(name)
        if found is None:
            raise GraphError(f"graph {self.name!r} has no tensor {name!r}; {nearest(name, self._by_name)}")
        return found

    @cached_property
    def _by_name(self) -> Mapping[str, Operand]:
        by_name = dict(self.aside)
        by_name.update((name, x) for x, name in self.names.items())
        by_name.update(self.pinned)
        if self._given_outputs is not None:
            by_name.update(zip(self._given_outputs, self.outputs, strict=True))
        return by_name

    def with_outputs(self, outputs: Iterable[Operand], output_names: Iterable[str] | None = None,
                     pinned: Mapping[str, Operand] | None = None) -> Graph:
        """The graph from the same inputs to other outputs, with other values pinned, or none."""
        return Graph(self.inputs, outputs, output_names=output_names, input_names=self._given_inputs, pinned=pinned,
                     captures=self.captures, name=self.name, opsets=self.opsets, metadata=self.metadata,
                     gradient=self.gradient)

    def pin(self, values: Mapping[str, Operand]) -> Graph:
        """The graph that also keeps these values, under these names, through every pass and in a file."""
        return self.with_outputs(self.outputs, self.output_names, {**self.pinned, **values})

    def rewrite(self, rewriter: Rewriter, replaced: dict[Operand, Operand] | None = None, *,
                operators: Collection[str] | None = None) -> Graph:
        """The graph in which `rewriter(node, inputs)` has said for each node what takes the place of its outputs.

        The rewriter sees nodes in order, with inputs already replaced (captures follow the inputs), and
        returns the new outputs, or None to leave the node as it is. `replaced` holds replacements known
        beforehand, and is filled with all others. With `operators` the rewriter sees only nodes of these names, and
        those with graphs inside. The names of outputs stay. Nothing replaced: the same object comes back.
        Ops that the rewriter applies to variables become nodes that read them.
        """
        mapping: dict[Operand, Operand] = {} if replaced is None else replaced
        is_unread = mapping.keys().isdisjoint
        if operators is not None and not mapping and not self.with_graphs and self.by_operator.keys().isdisjoint(
                operators):
            return self
        with Places() as places, tracing(Trace()):
            for node in self.nodes:
                operands = node.operands
                is_same = is_unread(operands)
                if not is_same:
                    operands = tuple([mapping.get(x, x) for x in operands])  # type: ignore[arg-type]
                    is_same = all(map(is_, operands, node.operands))
                results = None
                if operators is None or node.op.name in operators or node_graphs(node):
                    places.move_to(node.layer, node.source)
                    results = rewriter(node, operands)
                if results is None:
                    if is_same:
                        continue
                    results = copy_node(node, operands).outputs
                for old, new in zip(node.outputs, results, strict=True):
                    if old is None or new is None or old is new:
                        continue
                    mapping[old] = new
                    if isinstance(new, SymbolicTensor) and new.hint is None and new.node is not None:
                        new.hint = old.hint
        if not mapping:
            return self
        outputs = [mapping.get(x, x) for x in self.outputs]
        pinned = {name: mapping.get(x, x) for name, x in self.pinned.items()}
        if all(map(is_, (*outputs, *pinned.values()), self._kept)):
            return self
        return self.with_outputs(outputs, self.output_names, pinned)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """A networkx graph of this graph's nodes; inputs, constants and variables are there under their names.

        Edges are values (attribute `value`), from what makes them to what reads them.
        """
        import networkx

        result = networkx.MultiDiGraph(name=self.name)
        for start in (*self.inputs, *self.captures):
            result.add_node(self.names[start], kind="input", label=self.names[start])
        for node in self.nodes:
            result.add_node(node, kind="node", label=str(node.op))
            for position, x in enumerate(node.operands):
                if x is None:
                    continue
                is_made = isinstance(x, SymbolicTensor) and x not in self._boundary
                source: object = x.node if is_made else self.names[x]
                if source not in result:
                    kind = "variable" if isinstance(x, Variable) else "constant"
                    result.add_node(source, kind=kind, label=self.names[x])
                result.add_edge(source, node, value=x, position=position)
        return result

    @cached_property
    def _boundary(self) -> frozenset[Operand]:
        return frozenset((*self.inputs, *self.captures))

    def __str__(self) -> str:
        return format_graph(self)

    def __repr__(self) -> str:
        return (f"<Graph {self.name!r}: {len(self.inputs)} inputs, {len(self.nodes)} nodes, "
                f"{len(self.outputs)} outputs>")


def node_graphs(node: Node) -> tuple[Graph, ...]:
    """The graphs inside a node: subgraphs among its attributes, and its body."""
    if node.body is None and not (node.attributes and node.op.may_hold_graphs):
        return ()
    graphs = tuple(graph for _, graph in node.subgraphs())
    return graphs if node.body is None else (*graphs, node.body)


def copy_node(node: Node, operands: tuple[Operand | None, ...], attributes: Mapping[str, Any] | None = None,
              body: Graph | None = None) -> Node:
    """The same op on other operands; types are inferred anew where they may differ."""
    count = len(node.inputs)
    inputs, captures = operands[:count], operands[count:]
    types = tuple([None if x is None else x.type for x in node.outputs])
    has_graphs = bool(node_graphs(node))
    is_alike = attributes is None and all(map(_is_alike, operands, node.operands))
    attributes = node.attributes if attributes is None else attributes
    if not has_graphs and not is_alike:
        with suppress(OpError):  # a node that can never run, in a branch never taken, stays as it is
            inferred = infer_types(node.op, inputs, attributes, len(node.outputs))
            types = tuple((old or new) if is_unknown(new) else new for new, old in zip(inferred, types, strict=True))
    copy = Node(node.op, inputs, attributes, types, captures=captures, body=body or node.body,  # type: ignore[arg-type]
                absent=node.absent, name=node.name, layer=node.layer, source=node.source)
    for old, new in zip(node.outputs, copy.outputs, strict=True):
        if old is not None and new is not None:
            new.hint, new.call = old.hint, old.call
            if is_alike:
                new.data = old.data
    first = copy.outputs[0] if copy.outputs else None
    if first is not None and first.data is None and not has_graphs:
        first.data = propagate_data(node.op, inputs, attributes)
    return copy


def _is_alike(a: Operand | None, b: Operand | None) -> bool:
    """Whether inference sees the same in two operands: their type, and the numbers it knows of them."""
    if a is b:
        return True
    if a is None or b is None or not (a.type is b.type or a.type == b.type):
        return False
    known, other = known_data(a), known_data(b)
    return known is other or (known is not None and other is not None and np.array_equal(known, other))


def _symbols(values: Iterable[SymbolicTensor], kind: str) -> tuple[SymbolicTensor, ...]:
    if isinstance(values, Operand):
        values = [values]  # type: ignore[list-item]
    found = tuple(values)
    for x in found:
        if not isinstance(x, SymbolicTensor):
            raise GraphError(f"a graph's {kind} must be a symbol, got {type(x).__name__}: {x!r}")
    if len(set(found)) != len(found):
        raise GraphError(f"the same symbol is an {kind} twice: {', '.join(repr(x.name) for x in found)}")
    return found


def _operands(values: Iterable[Operand]) -> tuple[Operand, ...]:
    if isinstance(values, Operand):
        values = [values]
    found = tuple(values)
    for x in found:
        if not isinstance(x, Operand):
            raise GraphError(f"a graph's output must be a symbol, a constant or a variable, got {x!r}")
    return found


def _reachable(outputs: Iterable[Operand], boundary: tuple[SymbolicTensor, ...]) -> tuple[Node, ...]:
    """The nodes between `boundary` and `outputs`, oldest first: nodes are younger than what they read."""
    stops = set(boundary)
    found: set[Node] = set()
    waiting: list[tuple[Iterable[Operand | None], Node | None]] = [(outputs, None)]
    while waiting:
        operands, reader = waiting.pop()
        for x in operands:
            if not isinstance(x, SymbolicTensor) or x in stops:
                continue
            node = x.node
            if node is None:
                needed_by = f", which {reader.describe()} needs," if reader is not None else ""
                given = ", ".join(repr(s.name) for s in boundary) or "none"
                raise GraphError(f"the outputs depend on input {x.name!r}{needed_by} "
                                 f"that is not among the inputs given: {given}")
            if node not in found:
                found.add(node)
                waiting.append((node.operands, node))
    return tuple(sorted(found, key=attrgetter("serial")))


def _unique_names(graph: Graph, *, ends_only: bool = False) -> dict[Operand, str]:
    """Names for all values, or for inputs and outputs, whose names do not depend on others."""
    names: dict[Operand, str] = {}
    taken: dict[str, int] = {}

    def give(x: Operand, wanted: str) -> None:
        if x in names:
            return
        name, number = wanted, taken.get(wanted, 0)
        while name in taken:
            number += 1
            name = f"{wanted}_{number}"
        taken[wanted] = number
        taken.setdefault(name, 0)
        names[x] = name

    for symbol, given in zip(graph.inputs, graph._given_inputs or (None,) * len(graph.inputs), strict=True):
        give(symbol, given or symbol.name)
    for output, given in zip(graph.outputs, graph._given_outputs or (), strict=False):
        taken.setdefault(given, 0)
        names.setdefault(output, given)
    for given, value in graph.pinned.items():
        if given not in taken:
            taken[given] = 0
            names.setdefault(value, given)
    if ends_only:
        for output in graph.outputs:
            give(output, operand_name(output))
        return names
    made = [x for node in graph.nodes for x in node.outputs if x is not None]
    wishes: tuple[Iterable[Operand], ...] = (
        graph.outputs, graph.captures, graph.variables, [x for x in made if x.hint is not None], made, graph.leaves)
    for operand in itertools.chain(*wishes):
        give(operand, operand_name(operand))
    return names


def operand_name(x: Operand) -> str:
    """The name a value would like to have."""
    if isinstance(x, Tensor):
        return x.hint or "constant"
    return x.name if isinstance(x, SymbolicTensor | Variable) else "value"


def bind(graph: Graph, operands: Iterable[Operand]) -> tuple[Operand, ...]:
    """Apply a graph to operands: its nodes are made anew (or run) with the inputs replaced.

    The number of operands is the number of inputs and captures together.
    """
    mapping: dict[Operand, Operand] = dict(zip((*graph.inputs, *graph.captures), operands, strict=True))
    for node in graph.nodes:
        inputs = tuple(mapping.get(x, x) if x is not None else None for x in node.operands)
        for old, new in zip(node.outputs, apply_node(node, inputs), strict=True):
            if old is not None and new is not None:
                mapping[old] = new
    return tuple(mapping.get(x, x) for x in graph.outputs)


def apply_node(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Any, ...]:
    """Apply a node's op to other operands: a new node for symbols, a run for values."""

    operands, is_recorded = read_variables(operands)
    if not is_recorded and node.op.name == "If" and not node.op.domain:
        branch = node.attributes["then_branch" if bool(operands[0]) else "else_branch"]
        assert isinstance(branch, Graph)
        return bind(branch, [x for x in operands[1:] if x is not None])
    if is_recorded or any(True for _ in node.subgraphs()):
        return copy_node(node, operands).outputs
    if node.body is not None:
        return bind(node.body, [x for x in operands if x is not None])
    return evaluate_op(node.op, operands, node.attributes, tuple(x is not None for x in node.outputs))


def constant_array(x: Operand) -> np.ndarray[Any, Any] | None:
    """The value of an operand that is a constant, else None."""
    return x.numpy() if isinstance(x, Tensor) else None
