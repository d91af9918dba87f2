"""The gradients of a convolution of something padded are those of a convolution that pads itself."""

from __future__ import annotations

from collections.abc import Iterator

from symgraph.core.apply import placeholder
from symgraph.core.composite import DOMAIN
from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, SymbolicTensor
from symgraph.core.types import TensorType
from symgraph.ops.convolution_gradient import Window, input_gradient, weight_gradient
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, made_by, rewrite_regions, shape_of
from symgraph.passes.merge_pads import Padding, padding_of


@relaxed
def fold_gradient_pads(graph: Graph) -> Graph:
    """ConvWeightGrad(Pad(x, p), dy, pads=q) -> ConvWeightGrad(x, dy, pads=p+q);
    Pad(ConvInputGrad(dy, w, pads=q), -p) -> ConvInputGrad(dy, w, pads=p+q).

    Of zeros, in space, the second where sizes are known: what `fold_pads` does to the convolution. Rounds differently.
    """
    return rewrite_regions(graph, _find)


def _find(node: Node) -> Iterator[Region]:
    if node.op.domain == DOMAIN and node.op.name == "ConvWeightGrad":
        yield from _of_weights(node)
    elif node.op.name == "Pad" and not node.op.domain:
        yield from _of_input(node)


def _of_weights(node: Node) -> Iterator[Region]:
    pad = made_by(node.inputs[0], "Pad")
    padding, x = (None, None) if pad is None else (padding_of(pad), pad.inputs[0])
    kernel, made = attribute(node, "kernel"), shape_of(node.output)
    dy, shape = node.inputs[1], shape_of(x)
    if padding is None or x is None or dy is None or made is None or shape is None or len(node.inputs) > 2 or not (
            padding.is_growing and _is_of_zeros(padding)):
        return
    window, w = _padded(node, padding, 1), placeholder(TensorType(dtype_of(x), (*made[:2], *kernel)))
    yield Region((node,), (x, dy), lambda x, dy: weight_gradient(x, dy, w, window))


def _of_input(pad: Node) -> Iterator[Region]:
    dx = pad.inputs[0]
    node = dx.node if isinstance(dx, SymbolicTensor) else None
    padding, shape = padding_of(pad), shape_of(pad.output)
    if node is None or node.op.domain != DOMAIN or node.op.name != "ConvInputGrad" or len(node.inputs) > 2 or (
            padding is None or shape is None or not all(isinstance(n, int) for n in shape[2:])):
        return
    if max((*padding.before, *padding.after)) > 0 or not _is_spatial(padding):
        return
    window, like = _padded(node, padding, -1), placeholder(TensorType(dtype_of(dx), shape))
    dy, w = node.inputs
    assert dy is not None and w is not None
    yield Region((node, pad), (dy, w), lambda dy, w: input_gradient(dy, w, like, window))


def _padded(node: Node, padding: Padding, sign: int) -> Window:
    """How a gradient moves with a padding more."""
    added = (*padding.before[2:], *padding.after[2:])
    pads = tuple(p + sign * q for p, q in zip(attribute(node, "pads"), added, strict=True))
    return Window(attribute(node, "strides"), attribute(node, "dilations"), pads, attribute(node, "group"))


def _is_of_zeros(padding: Padding) -> bool:
    return _is_spatial(padding) and padding.mode == "constant" and padding.filling is not None and (
        not padding.filling.any())


def _is_spatial(padding: Padding) -> bool:
    return len(padding.before) > 2 and not any((*padding.before[:2], *padding.after[:2]))

