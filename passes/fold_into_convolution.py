"""What scales and shifts the channels of a convolution goes into its weights."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.errors import OpError
from symgraph.core.graph import Graph, constant_array
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import is_floating
from symgraph.core.value import Array, Tensor
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.rules import readers_of

Affine = tuple[Array, Array]
"""A factor and an offset for each channel, in float64."""


@relaxed
def fold_into_convolution(graph: Graph) -> Graph:
    """f(Conv(x, w, b)) -> Conv(x, w*s, b*s + t), where f(c) = c*s + t by channel: batch normalisation, +, -, *, /.

    Where all weights are constants and nobody else reads the convolution. Rounds differently.
    """
    readers = readers_of(graph)

    def fold(node: Node, operands: tuple[Operand | None, ...]) -> list[Operand | None] | None:
        place, conv = _find_conv(node, operands)
        if conv is None:
            return None
        weights, old = _constant_weights(conv), node.inputs[place]
        if weights is None or old is None or len(readers[old]) != 1:
            return None
        affine = _affine(node, operands, place, weights[0])
        folded = None if affine is None else _folded(*weights, *affine)
        if folded is None:
            return None
        attributes: dict[str, Any] = dict(conv.attributes)
        with suppress(OpError):  # a convolution that can never run, as folding has shown, stays as it is
            return [apply_op(conv.op, conv.inputs[0], *folded, **attributes), *(None for _ in node.outputs[1:])]
        return None

    return graph.rewrite(fold)


def _find_conv(node: Node, operands: tuple[Operand | None, ...]) -> tuple[int, Node | None]:
    """Which input of `node` a convolution gives, and the convolution."""
    if node.op.domain or node.op.name not in ("BatchNormalization", "Add", "Sub", "Mul", "Div"):
        return 0, None
    for place, x in enumerate(operands[:2] if node.op.name in ("Add", "Mul") else operands[:1]):
        maker = x.node if isinstance(x, SymbolicTensor) else None
        if maker is not None and maker.op.name == "Conv" and not maker.op.domain:
            return place, maker
    return 0, None


def _constant_weights(conv: Node) -> tuple[Array, Array] | None:
    """Kernel and bias of a convolution, a bias of zeros where it has none."""
    kernel = None if conv.inputs[1] is None else constant_array(conv.inputs[1])
    given = conv.inputs[2] if len(conv.inputs) > 2 else None
    bias = None if given is None else constant_array(given)
    if kernel is None or (given is not None and bias is None):
        return None
    return kernel, np.zeros(len(kernel), kernel.dtype) if bias is None else bias


def _affine(node: Node, operands: tuple[Operand | None, ...], place: int, kernel: Array) -> Affine | None:
    if node.op.name == "BatchNormalization":
        return affine_of_normalization(node, operands)
    other = operands[1 - place]
    array = None if other is None else constant_array(other)
    values = None if array is None else _by_channel(array, kernel)
    if values is None:
        return None
    zeros, ones = np.zeros_like(values), np.ones_like(values)
    with np.errstate(all="ignore"):
        return {"Add": (ones, values), "Sub": (ones, -values), "Mul": (values, zeros),
                "Div": (ones / values, zeros)}[node.op.name]


def affine_of_normalization(node: Node, operands: tuple[Operand | None, ...]) -> Affine | None:
    """What a normalisation by constants does to each channel; None in training."""
    constants = [None if x is None else constant_array(x) for x in operands[1:5]]
    is_training = node.attributes.get("training_mode", 0) or any(x is not None for x in node.outputs[1:])
    if is_training or node.op.version < 7 or any(c is None for c in constants):
        return None
    scale, offset, mean, variance = (np.asarray(c, np.float64) for c in constants)
    epsilon = np.float32(attribute(node, "epsilon", 1e-5))
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + epsilon)
        return factor, offset - mean * factor


def _by_channel(array: Array, kernel: Array) -> Array | None:
    """A constant as one number a channel: one number, or channels and then as many ones as the kernel has axes."""
    channels, spatial = len(kernel), kernel.ndim - 2
    if array.ndim > kernel.ndim:
        return None
    if array.size == 1:
        return np.full(channels, array.item(), np.float64)
    if array.shape[-spatial - 1:] != (channels, *(1,) * spatial) or array.size != channels:
        return None
    return array.reshape(channels).astype(np.float64)


def _folded(kernel: Array, bias: Array, factor: Array, offset: Array) -> tuple[Tensor, Tensor] | None:
    if not is_floating(str(kernel.dtype)):
        return None
    with np.errstate(all="ignore"):
        new_kernel = (kernel * factor.reshape(-1, *(1,) * (kernel.ndim - 1))).astype(kernel.dtype)
        new_bias = (bias * factor + offset).astype(kernel.dtype)
    if not (is_kept(kernel, new_kernel) and np.isfinite(new_bias).all()):
        return None
    return Tensor(new_kernel), Tensor(new_bias)


def is_kept(old: Array, new: Array) -> bool:
    """Whether weights are numbers still, and none became so small that it lost digits."""
    least = np.finfo(new.dtype).tiny if new.dtype.kind == "f" else 0
    return bool(np.isfinite(new).all() and ((np.abs(new) >= least) | (old == 0)).all())
