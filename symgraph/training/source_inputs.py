"""Where a symbol comes from. Public in `sg.utils`."""

from __future__ import annotations

from typing import Any

from symgraph.core.errors import GraphError
from symgraph.core.structure import flatten
from symgraph.core.tensor import Node, SymbolicTensor

__all__ = ["get_source_inputs", "is_keras_tensor"]


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbol: an `Input`, or what layers and ops made of one."""
    return isinstance(x, SymbolicTensor)


def get_source_inputs(tensor: Any) -> list[SymbolicTensor]:
    """The inputs that a symbol, or a structure of symbols, depends on, in the order in which they are first used.

    Errors: `GraphError` for what is no symbol.

    >>> import symgraph as sg
    >>> a, b = sg.Input((2,), name="a"), sg.Input((2,), name="b")
    >>> [x.name for x in get_source_inputs(sg.layers.add([a, b]) * 2.0)]
    ['a', 'b']
    """
    waiting: list[SymbolicTensor] = []
    for x in flatten(tensor):
        if not isinstance(x, SymbolicTensor):
            raise GraphError(f"get_source_inputs: only symbols come from inputs, got {x!r}")
        waiting.append(x)
    inputs = {x: None for x in waiting if x.node is None}
    nodes: set[Node] = set()
    while waiting:
        node = waiting.pop().node
        if node is not None and node not in nodes:
            nodes.add(node)
            waiting += [x for x in node.operands if isinstance(x, SymbolicTensor)]
    for node in sorted(nodes, key=lambda node: node.serial):
        inputs.update((x, None) for x in node.operands if isinstance(x, SymbolicTensor) and x.node is None)
    return list(inputs)
