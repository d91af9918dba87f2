"""Building nodes on tensors in blocks of channels, and telling which values are such."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symgraph.core.apply import apply_op
from symgraph.core.op import Op, find_op, intern_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType
from symgraph.core.value import Tensor
from symgraph.passes.block_channels import CONV, REORDER_INPUT, REORDER_OUTPUT
from symgraph.passes.block_kernels import known_sizes
from symgraph.passes.matching import dtype_of, made_by
from symgraph.passes.remove_transposes import perm_of
from symgraph.runtime import channel_blocks

MEANS = intern_op("GlobalAveragePool", channel_blocks.DOMAIN, 1, None)

Outputs = tuple[Operand | None, ...]


class BlockBuilder:
    """Makes nodes of the standard operators of an opset, and of those on blocks of so many channels."""

    def __init__(self, opset: int, block: int) -> None:
        self.opset, self.block = opset, block

    def at(self, name: str, *inputs: object, **options: Any) -> Any:
        """A standard operator of the graph's opset."""
        return apply_op(find_op(name, "", self.opset), *inputs, **options)

    def shaped(self, x: Operand, *sizes: int) -> Any:
        """The same numbers in a shape of these sizes."""
        return self.at("Reshape", x, np.array(sizes, np.int64))

    def reordered(self, x: Operand) -> Operand:
        """An image in blocks."""
        for found in (blocks_of(x), of_channels_last(x)):
            if found is not None:
                return found
        return same(REORDER_INPUT, (x,), x, {"channels_last": 0})

    def vector(self, x: Operand) -> Any:
        """One number a channel, as [channels]."""
        maker = made_by(x, "Unsqueeze", "Reshape")
        source = None if maker is None else maker.inputs[0]
        if len(known_sizes(source) or ()) == 1:
            return source
        count = math.prod(known_sizes(x) or ())
        return x if known_sizes(x) == (count,) else self.shaped(x, count)

    def mapped(self, x: Operand, scale: Operand | None, shift: Operand | None) -> Operand:
        """`x * scale + shift` of blocks, by numbers a channel: a convolution of each channel by itself."""
        channels = (known_sizes(x) or ())[1]
        ones = Tensor(np.ones((channels, 1, 1, 1), np.float32))
        weights = ones if scale is None else self.shaped(self.vector(scale), channels, 1, 1, 1)
        inputs = (x, weights) if shift is None else (x, weights, self.vector(shift))
        return same(CONV, inputs, x, {"group": channels, "kernel_shape": (1, 1)})

    def means(self, x: Operand) -> Any:
        """The mean over space of blocks, for each image and channel: (batch, channels)."""
        batch, channels = (known_sizes(x) or ())[:2]
        found = Node(MEANS, (x,), {}, (TensorType("float32", (batch, channels, 1, 1)),)).output
        return self.shaped(found, batch, channels)


def blocks_of(x: Operand | None) -> Operand | None:
    """The blocks that an image is reordered from; None where it is not."""
    maker = x.node if isinstance(x, SymbolicTensor) else None
    return maker.inputs[0] if maker is not None and maker.op is REORDER_OUTPUT else None


def of_channels_last(x: Operand | None) -> Operand | None:
    """The blocks of an image whose channels have come from behind; None where they have not."""
    maker = made_by(x, "Transpose")
    if x is None or maker is None or perm_of(maker) != (0, 3, 1, 2) or dtype_of(x) != "float32":
        return None
    return same(REORDER_INPUT, maker.inputs[:1], x, {"channels_last": 1})


def as_image(x: Operand) -> Operand:
    """The image that blocks are."""
    return same(REORDER_OUTPUT, (x,), x, {"channels": (known_sizes(x) or ())[1]})


def linear(x: Operand) -> Node | None:
    """The convolution in blocks that gives `x`, where it takes in no Relu yet."""
    maker = x.node if isinstance(x, SymbolicTensor) else None
    return maker if maker is not None and maker.op is CONV and "activation" not in maker.attributes else None


def is_map(conv: Node) -> bool:
    """Whether a convolution in blocks maps channels, and no more."""
    sizes = known_sizes(conv.inputs[1]) or ()
    return sizes[1:] == (1, 1, 1) and conv.attributes.get("group") == sizes[0]


def same(op: Op, inputs: Outputs, like: Operand, attributes: dict[str, Any]) -> Operand:
    """A node whose result has the type of `like`."""
    return Node(op, inputs, attributes, (like.type,)).output
