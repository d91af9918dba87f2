"""Applying a pass inside the graphs that nodes carry: bodies of If, Loop and Scan, and of composite ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symgraph.core.graph import Graph, copy_node
from symgraph.core.tensor import Node, Operand


def rewrite_bodies(node: Node, operands: tuple[Operand | None, ...], rewrite: Callable[[Graph], Graph],
                   ) -> tuple[Any, ...] | None:
    """The outputs of `node` with `rewrite` applied to each of its graphs; None where that changes none of them."""
    old = dict(node.subgraphs())
    new = {name: rewrite(graph) for name, graph in old.items()}
    body = None if node.body is None else rewrite(node.body)
    if body is node.body and all(new[name] is old[name] for name in old):
        return None
    return copy_node(node, operands, {**node.attributes, **new}, body).outputs
