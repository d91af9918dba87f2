"""Finding regions of nodes by hand, where a rule cannot say what to look for, and putting others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from symgraph.core.graph import Graph, constant_array, node_graphs
from symgraph.core.scope import tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import Shape, TensorType
from symgraph.passes.bodies import rewrite_bodies
from symgraph.passes.rules import is_same_type, readers_of


@dataclass(frozen=True)
class Region:
    """Nodes that become one value: `make(*inputs)`. The last of them in the graph is the root, which others read."""

    nodes: tuple[Node, ...]
    inputs: tuple[Operand, ...]
    make: Callable[..., Operand]


def rewrite_regions(graph: Graph, find: Callable[[Node], Iterator[Region]]) -> Graph:
    """The graph in which the regions that `find` sees at their roots are replaced, in bodies as well.

    Regions are left alone where others read what is inside, where one was found that shares a node, and where the
    new value has another type.
    """
    readers, found, taken, replaced = readers_of(graph), dict[Node, Region](), set[Node](), dict[Operand, Operand]()
    for node in graph.nodes:
        for region in find(node):
            if taken.isdisjoint(region.nodes) and _is_closed(region, node, readers):
                taken.update(region.nodes)
                found[node] = region
                break

    if not found and not graph.with_graphs:
        return graph

    def replace(node: Node, operands: tuple[Operand | None, ...]) -> tuple[Operand | None, ...] | None:
        region = found.get(node)
        if region is None:
            has_graphs = any(True for _ in node_graphs(node))
            return rewrite_bodies(node, operands, lambda body: rewrite_regions(body, find)) if has_graphs else None
        with tracing():
            made = region.make(*(replaced.get(x, x) for x in region.inputs))
        return (made,) if is_same_type(node.output.type, made.type) else None

    return graph.rewrite(replace, replaced)


def rewrite_all_regions(graph: Graph, find: Callable[[Node], Iterator[Region]]) -> Graph:
    """`rewrite_regions` again and again, until `find` sees nothing: where what was made is part of the next region."""
    while True:
        found = rewrite_regions(graph, find)
        if found is graph:
            return graph
        graph = found


def _is_closed(region: Region, root: Node, readers: Mapping[Operand, list[Node | None]]) -> bool:
    inside = set(region.nodes)
    return all(reader in inside for node in region.nodes if node is not root for x in node.outputs if x is not None
               for reader in readers.get(x, ()))


def made_by(x: Operand | None, *names: str) -> Node | None:
    """The node of a standard operator of one of these names whose first output is `x`."""
    node = x.node if isinstance(x, SymbolicTensor) and x.index == 0 else None
    return node if node is not None and not node.op.domain and node.op.name in names else None


def in_both_orders(node: Node | None) -> Iterator[tuple[Operand | None, Operand | None]]:
    """The two inputs of a commutative node, either first; nothing where there is no node or not two of them."""
    if node is not None and len(node.inputs) == 2:
        yield node.inputs[0], node.inputs[1]
        yield node.inputs[1], node.inputs[0]


def number(x: Operand | None) -> float | None:
    """The one number in a constant of one real element."""
    array = None if x is None else constant_array(x)
    return float(array.item()) if array is not None and array.size == 1 and array.dtype.kind in "fiuV" else None


def shape_of(x: Operand | None) -> Shape | None:
    """The shape of a tensor whose rank is known."""
    return x.type.shape if x is not None and isinstance(x.type, TensorType) else None


def dtype_of(x: Operand | None) -> str:
    """The dtype of a tensor; empty where it is unknown."""
    return x.type.dtype if x is not None and isinstance(x.type, TensorType) else ""


def kept_axes(node: Node | None) -> tuple[int, ...] | None:
    """The axes that a reduction makes 1 long, from the front; None where they are unknown, or taken away."""
    x = None if node is None else node.inputs[0]
    shape = shape_of(x)
    if node is None or shape is None or not node.attributes.get("keepdims", 1):
        return None
    given = node.attributes.get("axes")
    if given is None and len(node.inputs) > 1 and node.inputs[1] is not None:
        array = constant_array(node.inputs[1])
        if array is None:
            return None
        given = tuple(array.tolist())
    if not isinstance(given, tuple) or not given:
        return None
    return tuple(sorted(axis % len(shape) for axis in given))
