"""Functions traced into closed subgraphs: the branches of If, the bodies of Loop and Scan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from symgraph.core.apply import placeholder, record
from symgraph.core.errors import GraphError
from symgraph.core.graph import Graph, copy_node
from symgraph.core.op import find_op
from symgraph.core.scope import Trace, current_trace, tracing
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType, ValueType
from symgraph.ops.promotion import as_operand
from symgraph.ops.seeds import SeedGenerator, key_at


@dataclass(frozen=True)
class Traced:
    """What a function gave for symbols: its result as it came, the leaves as operands, and when it began.

    For each generator that it draws from there is a symbol: the key that is to be given to it (`keys_for`).
    """

    result: Any
    outputs: tuple[Operand, ...]
    inputs: tuple[SymbolicTensor, ...]
    begin: int  # nodes with this serial number or a later one belong to the function
    draws: Mapping[SeedGenerator, tuple[SymbolicTensor, Iterator[int]]] = field(default_factory=dict)


def leaves(structure: object) -> list[Any]:
    """The leaves of a nesting that are something; None is nothing."""
    return [leaf for leaf in flatten(structure) if leaf is not None]


def refill(structure: Any, values: Iterable[object]) -> Any:
    """A nesting like `structure` with `values` for its leaves; None stays."""
    remaining = iter(values)
    return pack(structure, (None if leaf is None else next(remaining) for leaf in flatten(structure)))


def trace_function(function: Callable[..., Any], inputs: Sequence[SymbolicTensor], arguments: Sequence[object],
                   who: str, before: Traced | None = None) -> Traced:
    """Run `function(*arguments)`, made of the symbols `inputs`, and keep what it returns.

    It draws from the same keys as the function `before`, and numbers go on, so that both may run on them.

    Errors: `GraphError` where it assigns a variable or adds to a loss: that could not be undone or repeated.
    """
    begin = Node(find_op("Identity"), (), {}, ()).serial
    outer = current_trace()
    inner = Trace(is_body=True)
    if before is not None:
        inner.draws.update(before.draws)
    if outer is not None:
        inner.updates.update(outer.updates)
    known = dict(inner.updates)
    with tracing(inner):
        result = function(*arguments)
        outputs = tuple(as_operand(leaf) for leaf in leaves(result))
    for variable, value in inner.updates.items():
        if known.get(variable) is not value:
            raise GraphError(f"{who}: the function assigns variable {variable.name!r}; return the new value instead, "
                             "and assign it after")
    if inner.losses:
        raise GraphError(f"{who}: the function calls layer {inner.losses[0][0].name!r}, which adds to the loss; "
                         "such a layer cannot be called in a branch or a loop")
    return Traced(result, outputs, tuple(inputs), begin, inner.draws)  # type: ignore[arg-type]


def keys_for(traced: Traced, *, is_symbolic: bool = True) -> dict[Operand, Operand]:
    """A key for each that the function draws from, made of what the generators draw from around it."""
    return {key: generator.split(is_symbolic=is_symbolic) for generator, (key, _) in traced.draws.items()}


def close(traced: Traced, captured: Iterable[SymbolicTensor], name: str,
          outputs: Sequence[Operand] | None = None, turn: SymbolicTensor | None = None) -> Graph:
    """A graph of what was traced, with placeholders in place of the symbols it has captured.

    Every output is made by a node of the graph, as ONNX wants it, and no two are the same. Draws of a loop are those of
    its `turn`.
    """
    mapping: dict[Operand, Operand] = {x: placeholder(x.type, x.name) for x in captured}
    captures = tuple(mapping.values())
    if turn is not None:
        mapping.update((key, key_at(mapping[key], turn)) for key, _ in traced.draws.values() if key in mapping)
    for node in _inner_nodes(traced):
        operands = tuple(None if x is None else mapping.get(x, x) for x in node.operands)
        if any(a is not b for a, b in zip(operands, node.operands, strict=True)):
            copy = copy_node(node, operands)
            mapping.update((old, new) for old, new in zip(node.outputs, copy.outputs, strict=True)
                           if old is not None and new is not None)
    inner = {x for node in _inner_nodes(traced) for x in node.outputs}
    given = traced.outputs if outputs is None else outputs
    results = own_outputs([mapping.get(x, x) for x in given],
                          [mapping.get(x, x) for x in given if x not in inner])
    return Graph(traced.inputs, results, captures=captures, name=name)  # type: ignore[arg-type]


def own_outputs(outputs: Iterable[Operand], outer: Iterable[Operand]) -> list[Operand]:
    """The outputs of a subgraph as ONNX wants them: each made inside, as those of `outer` are not, no two the same."""
    taken = set(outer)
    results: list[Operand] = []
    for x in outputs:
        result = x
        if x in taken or not isinstance(x, SymbolicTensor):
            made = record(find_op("Identity"), (x,), {}, (True,))[0]
            assert made is not None
            result = made
        taken.add(result)
        results.append(result)
    return results


def captured_symbols(traced: Traced) -> tuple[SymbolicTensor, ...]:
    """The symbols of the surrounding graph that the function uses, in the order of first use."""
    found: dict[SymbolicTensor, None] = {}
    nodes = _inner_nodes(traced)
    own = {x for node in nodes for x in node.outputs} | set(traced.inputs)
    for x in (*(x for node in nodes for x in node.operands), *traced.outputs):
        if isinstance(x, SymbolicTensor) and x not in own:
            found.setdefault(x)
    return tuple(found)


def _inner_nodes(traced: Traced) -> tuple[Node, ...]:
    """The nodes that the function has made and its outputs need, oldest first."""
    found: set[Node] = set()
    waiting: list[Operand | None] = list(traced.outputs)
    while waiting:
        x = waiting.pop()
        node = x.node if isinstance(x, SymbolicTensor) else None
        if node is not None and node.serial >= traced.begin and node not in found:
            found.add(node)
            waiting += node.operands
    return tuple(sorted(found, key=lambda node: node.serial))


def merge_types(a: ValueType | None, b: ValueType | None) -> ValueType | None:
    """What is known of a value that is one or the other, both of one dtype."""
    if not isinstance(a, TensorType) or not isinstance(b, TensorType):
        return a if a == b else None
    if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
        return TensorType(a.dtype, None)
    return TensorType(a.dtype, tuple(m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)))
