"""What nodes say in attributes in older versions of their operators, and in inputs in newer ones."""

from __future__ import annotations

from typing import Any

from symgraph.core.tensor import Node
from symgraph.core.value import Tensor


def attribute(node: Node, name: str, default: Any = None) -> Any:
    """An attribute of a node, or what stands for it where it is left out."""
    return node.attributes.get(name, default)


def attributes_of(node: Node, **changed: Any) -> dict[str, Any]:
    """All attributes of a node, some of them changed: what another node like it is made with."""
    return {**node.attributes, **changed}


def axes_of(node: Node, place: int) -> tuple[int, ...] | None:
    """The axes of a node: an attribute in older versions, a constant input in newer ones; () where none are given."""
    if "axes" in node.attributes:
        return tuple(attribute(node, "axes"))
    x = node.inputs[place] if len(node.inputs) > place else None
    if x is None:
        return ()
    return tuple(int(a) for a in x.numpy().flat) if isinstance(x, Tensor) else None
