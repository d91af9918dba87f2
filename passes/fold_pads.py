"""Padding before a convolution or a pooling is done by the convolution or the pooling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import Shape, is_floating, is_integer
from symgraph.core.value import Array
from symgraph.passes.attributes import attribute, attributes_of
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, made_by, rewrite_regions, shape_of
from symgraph.passes.merge_pads import Padding, padding_of


@relaxed
def fold_pads(graph: Graph) -> Graph:
    """Conv(Pad(x, p, 0), w, pads=q) -> Conv(x, w, pads=p+q); MaxPool(Pad(x, p, -inf)) -> MaxPool(x, pads=p).

    AveragePool(Pad(x, p, 0), pads=q) -> AveragePool(x, pads=p+q, count_include_pad=1), where q is 0 or counted.
    Never where something is cut away, and never a padding of 0 into MaxPool, which pads with -inf. Into MaxPool only
    whole numbers, padded with the least one, or what was cast from such: where ONNX Runtime pads floats itself, a
    window of nothing but -inf gives the lowest finite number, and NaN comes out elsewhere. Rounds differently.
    """
    return rewrite_regions(graph, _find)


def _find(node: Node) -> Iterator[Region]:
    if node.op.domain or node.op.name not in ("Conv", "AveragePool", "MaxPool"):
        return
    pad = made_by(node.inputs[0], "Pad")
    padding, x = (None, None) if pad is None else (padding_of(pad), pad.inputs[0])
    shape = shape_of(x)
    own = None if shape is None else _own_pads(node, len(shape) - 2)
    if pad is None or padding is None or x is None or shape is None or own is None or not _is_spatial(padding):
        return
    pads = tuple(a + b for a, b in zip((*padding.before[2:], *padding.after[2:]), own, strict=True))
    if not _may_take(node, padding, own, pads, shape) or (node.op.name == "MaxPool" and not _is_whole(x)):
        return
    attributes = attributes_of(node, pads=pads, auto_pad=None)
    if node.op.name == "AveragePool":
        attributes["count_include_pad"] = 1
    inputs = (x, *(y for y in node.inputs[1:] if y is not None))
    yield Region((node,), inputs,  # whoever else reads what is padded: it costs nothing
                 lambda *operands: apply_op(node.op, *operands, **attributes))


def _own_pads(node: Node, spatial: int) -> tuple[int, ...] | None:
    """The padding that a node has of its own; None where it depends on sizes."""
    if any(y is None for y in node.inputs) or attribute(node, "auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return None
    given: tuple[int, ...] = attribute(node, "pads", (0,) * 2 * spatial)
    is_plain = attribute(node, "auto_pad", "NOTSET") == "NOTSET"
    return given if is_plain and min(given, default=0) >= 0 else None if is_plain else (0,) * 2 * spatial


def _is_spatial(padding: Padding) -> bool:
    """Whether a padding of a constant grows axes behind batch and channels alone."""
    return padding.mode == "constant" and padding.is_growing and len(padding.before) > 2 and not any(
        (*padding.before[:2], *padding.after[:2]))


def _may_take(node: Node, padding: Padding, own: tuple[int, ...], pads: tuple[int, ...], shape: Shape) -> bool:
    filling = padding.filling
    if filling is None:
        return False
    if node.op.name == "Conv":
        return not filling.any()
    kernel: tuple[int, ...] = attribute(node, "kernel_shape", ())
    if attribute(node, "ceil_mode", 0) or any(n >= k for n, k in zip(pads, (*kernel, *kernel), strict=True)):
        return False
    if node.op.name == "AveragePool":
        is_counted = attribute(node, "count_include_pad", 0) or not any(own)
        return bool(node.op.version >= 7 and is_counted and not filling.any())
    return _is_least(filling, dtype_of(node.inputs[0])) and _has_no_empty_window(node, kernel, pads, shape)


def _is_whole(x: Operand) -> bool:
    """Whether a value holds whole numbers, so neither -inf nor NaN."""
    cast = made_by(x, "Cast")
    dtype = dtype_of(x if cast is None else cast.inputs[0])
    return is_integer(dtype) or dtype == "bool"


def _is_least(filling: Array, dtype: str) -> bool:
    """Whether nothing is less: what MaxPool pads with."""
    if is_floating(dtype):
        return bool(np.isneginf(filling.astype(np.float64)))
    return filling.dtype.kind in "iu" and int(filling) == np.iinfo(filling.dtype).min


def _has_no_empty_window(node: Node, kernel: tuple[int, ...], pads: tuple[int, ...], shape: Shape) -> bool:
    """Whether only the largest numbers are wanted, and each window meets one of x: then the padding never shows."""
    is_dense = all(d == 1 for d in attribute(node, "dilations", ()))
    count = len(kernel)
    return len(node.outputs) == 1 and is_dense and all(
        (isinstance(dim, int) and dim > 0) or first + last < k
        for dim, k, first, last in zip(shape[2:], kernel, pads[:count], pads[count:], strict=True))
