"""What lies between convolutions in blocks of channels works on blocks too: nothing is reordered back and forth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from symgraph.core.apply import apply_op, placeholder
from symgraph.core.graph import Graph, bind, constant_array, copy_node
from symgraph.core.op import intern_op
from symgraph.core.scope import tracing
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import TensorType
from symgraph.passes.attributes import attribute, attributes_of, axes_of
from symgraph.passes.block_channels import CONV, LARGEST, REORDER_INPUT, REORDER_OUTPUT
from symgraph.passes.block_kernels import blocked_kernel, kernel_source, known_sizes
from symgraph.passes.blocks import BlockBuilder, Outputs, as_image, blocks_of, is_map, linear, of_channels_last, same
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import dtype_of, made_by
from symgraph.passes.rules import readers_of
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE
from symgraph.runtime import channel_blocks
from symgraph.runtime.channel_blocks import channel_block
from symgraph.runtime.opsets import choose_opsets

MAX_POOL, UPSAMPLE = (intern_op(name, channel_blocks.DOMAIN, 1, None) for name in ("MaxPool", "Upsample"))

COMPARISONS = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})

OPSET = 18
"""From this version on operators that reduce take axes as an input."""

Results = tuple[Operand | None, ...] | None


@relaxed
def keep_blocks(graph: Graph) -> Graph:
    """ReorderInput(f(ReorderOutput(x))) -> f(x), for elementwise f, comparisons, the largest of windows, enlarging by
    whole factors, sums over space, normalisation by the batch, convolutions, and If of all these.

    What maps channels (x*a, x + b) becomes a convolution with one number a channel, which takes in sums and a Relu
    behind it. Rounds differently.
    """
    if not graph.by_operator.get(REORDER_OUTPUT.name) or not channel_block() or choose_opsets(graph)[""] < OPSET:
        return graph
    return graph.rewrite(_Blocks(graph).rewrite)


class _Blocks(BlockBuilder):
    """Walks a graph; what is in blocks is known by the ReorderOutput that makes an image of it."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(choose_opsets(graph)[""], channel_block())
        self.readers = readers_of(graph)

    def rewrite(self, node: Node, operands: Outputs) -> Results:
        if node.op is REORDER_INPUT:
            found = blocks_of(operands[0])
            if found is None and not node.attributes["channels_last"]:
                found = of_channels_last(operands[0])
            return None if found is None else (found,)
        if node.op.domain:
            return None
        if node.op.name == "Cast":
            return self.comparison(node, operands)
        if not any(blocks_of(x) is not None for x in operands):
            return None
        rule = _RULES.get(node.op.name)
        if rule is not None:
            return rule(self, node, operands)
        if node.op.name in ELEMENTWISE and len(node.outputs) == 1:
            return self.elementwise(node, operands)
        return self.binary(node, operands) if node.op.name in BROADCASTING else None

    def is_single(self, x: Operand | None) -> bool:
        """Whether one node alone reads a value of the old graph, and the blocks it was reordered from."""
        if x is None or len(self.readers.get(x, ())) != 1:
            return False
        blocks = blocks_of(x)
        return blocks is None or len(self.readers.get(blocks, ())) == 1

    # Rules: what takes the place of the outputs of a node.

    def elementwise(self, node: Node, operands: Outputs) -> Results:
        x = blocks_of(operands[0])
        if x is None or any(y is not None and known_sizes(y) != () for y in operands[1:]):
            return None
        conv = linear(x) if node.op.name == "Relu" and self.is_single(node.inputs[0]) else None
        if conv is not None:
            return (as_image(same(CONV, conv.inputs, x, {**conv.attributes, "activation": "Relu"})),)
        made = apply_op(node.op, x, *operands[1:], **attributes_of(node))
        return (as_image(made),) if dtype_of(made) == "float32" else None

    def comparison(self, node: Node, operands: Outputs) -> Results:
        """What is compared, as numbers: an image of truth values cannot be reordered."""
        maker = operands[0].node if isinstance(operands[0], SymbolicTensor) else None
        shape = known_sizes(node.output)
        if maker is None or maker.op.domain or maker.op.name not in COMPARISONS or dtype_of(node.output) != "float32":
            return None
        a, b = maker.inputs
        sizes = [known_sizes(x) for x in (a, b)]
        if a is None or b is None or (blocks_of(a) is None and blocks_of(b) is None) or any(
                size not in (shape, ()) for size in sizes):
            return None
        pair = [x if size == () else self.reordered(x) for x, size in zip((a, b), sizes, strict=True)]
        return (as_image(apply_op(node.op, apply_op(maker.op, *pair), **attributes_of(node))),)

    def binary(self, node: Node, operands: Outputs) -> Results:
        shape = known_sizes(node.output)
        if len(operands) != 2 or shape is None or dtype_of(node.output) != "float32":
            return None
        a, b = operands
        assert a is not None and b is not None
        if not dtype_of(a) == dtype_of(b) == "float32":
            return None
        if known_sizes(a) == known_sizes(b) == shape:
            return self.pair(node, a, b)
        for x, other, is_first in ((a, b, True), (b, a, False)):
            blocks, sizes = blocks_of(x), known_sizes(other)
            if blocks is None or sizes is None or known_sizes(x) != shape:
                continue
            if sizes == ():
                return (as_image(apply_op(node.op, *((blocks, other) if is_first else (other, blocks)))),)
            if (1,) * (4 - len(sizes)) + sizes == (1, shape[1], 1, 1) and (is_first or node.op.name != "Sub"):
                return self.by_channel(node.op.name, blocks, other)
        return None

    def pair(self, node: Node, a: Operand, b: Operand) -> Results:
        """Two images; one that is not in blocks is brought into them. A convolution takes in what is added to it."""
        blocks = [self.reordered(x) for x in (a, b)]
        for i in (0, 1) if node.op.name == "Add" else ():
            conv = linear(blocks[i])
            if conv is not None and len(conv.inputs) < 4 and self.is_single(node.inputs[i]):
                inputs = (*conv.inputs, *(None,) * (3 - len(conv.inputs)), blocks[1 - i])
                return (as_image(same(CONV, inputs, blocks[i], dict(conv.attributes))),)
        return (as_image(apply_op(node.op, *blocks)),)

    def by_channel(self, name: str, x: Operand, v: Operand) -> Results:
        if name == "Mul":
            return (as_image(self.mapped(x, v, None)),)
        if name not in ("Add", "Sub"):
            return None
        shift = self.vector(v) if name == "Add" else self.at("Neg", self.vector(v))
        maker = linear(x)
        if maker is not None and is_map(maker) and len(maker.inputs) == 2:
            return (as_image(same(CONV, (*maker.inputs, shift), x, dict(maker.attributes))),)
        return (as_image(self.mapped(x, None, shift)),)

    def reduction(self, node: Node, operands: Outputs) -> Results:
        x, axes = blocks_of(operands[0]), axes_of(node, 1)
        shape, made = known_sizes(x), known_sizes(node.output)
        found = None if axes is None else sorted(axis % 4 for axis in axes)
        if x is None or shape is None or made is None or found not in ([2, 3], [0, 2, 3]):
            return None
        y = self.means(x)
        if node.op.name == "ReduceSum":
            y = self.at("Mul", y, np.float32(shape[2] * shape[3]))
        if found == [0, 2, 3]:
            y = self.at(node.op.name, y, np.array([0]), keepdims=0)
        return (self.shaped(y, *made),)

    def normalization(self, node: Node, operands: Outputs) -> Results:
        """By the moments of the batch, which come out as they are."""
        x, gamma, beta = blocks_of(operands[0]), operands[1], operands[2]
        if x is None or gamma is None or beta is None or not attribute(node, "training_mode", 0) or len(
                node.outputs) != 3 or attribute(node, "momentum", 0.9) != 0:
            return None
        mean = self.at("ReduceMean", self.means(x), np.array([0]), keepdims=0)
        beyond = self.mapped(x, None, self.at("Neg", mean))
        variance = self.at("ReduceMean", self.means(self.at("Mul", beyond, beyond)), np.array([0]), keepdims=0)
        deviation = self.at("Sqrt", self.at("Add", variance, np.float32(attribute(node, "epsilon", 1e-5))))
        return as_image(self.mapped(beyond, self.at("Div", gamma, deviation), beta)), mean, variance

    def convolution(self, node: Node, operands: Outputs) -> Results:
        """Those of single points, which `block_channels` leaves alone."""
        x, w, made = blocks_of(operands[0]), operands[1], known_sizes(node.output)
        sizes = None if w is None else known_sizes(w)
        if x is None or w is None or made is None or sizes is None or made[1] % self.block or (
                attribute(node, "group", 1) != 1 or attribute(node, "auto_pad", "NOTSET") != "NOTSET"):
            return None
        if max(sizes[2:]) > LARGEST:
            return None
        source, has_keras_layout = kernel_source(w)
        kernel = blocked_kernel(source, self.block, self.at, has_keras_layout=has_keras_layout)
        y = Node(CONV, (x, kernel, *operands[2:]), attributes_of(node), (TensorType("float32", made),)).output
        return (as_image(y),)

    def largest(self, node: Node, operands: Outputs) -> Results:
        x, made = blocks_of(operands[0]), known_sizes(node.output)
        if x is None or made is None or len(node.outputs) != 1:
            return None
        y = Node(MAX_POOL, (x,), attributes_of(node), (TensorType("float32", made),)).output
        return (as_image(y),)

    def enlarged(self, node: Node, operands: Outputs) -> Results:
        """Each point as a block of as many as a whole factor says."""
        x, factors = blocks_of(operands[0]), _factors(node)
        return None if x is None or factors is None else (as_image(_enlarge(x, node, factors)),)

    def reordered(self, x: Operand) -> Operand:
        """An image in blocks; what was enlarged is reordered while it is small."""
        maker = made_by(x, "Resize")
        factors = None if maker is None or blocks_of(x) is not None else _factors(maker)
        source = None if maker is None else maker.inputs[0]
        if maker is None or factors is None or source is None:
            return super().reordered(x)
        return _enlarge(super().reordered(source), maker, factors)

    def branch(self, node: Node, operands: Outputs) -> Results:
        """An If of one image: both branches take in and give blocks."""
        captures, made = operands[1:], known_sizes(node.outputs[0])
        if len(node.outputs) != 1 or made is None or len(made) != 4 or made[1] % self.block or (
                dtype_of(node.outputs[0]) != "float32"):
            return None
        images = [x is not None and known_sizes(x) == made and dtype_of(x) == "float32" for x in captures]
        given = [self.reordered(x) if x is not None and is_image else x
                 for x, is_image in zip(captures, images, strict=True)]
        enlarging = [enlarging_of(x) for x in given]
        small = tuple(x if maker is None else maker.inputs[0] for x, maker in zip(given, enlarging, strict=True))
        branches = {name: self.in_blocks(graph, small, images, enlarging) for name, graph in node.subgraphs()}
        y = copy_node(node, (operands[0], *small), {**node.attributes, **branches}).outputs[0]
        assert y is not None
        return (as_image(y),)

    def in_blocks(self, graph: Graph, captures: Outputs, images: Sequence[bool],
                  enlarging: Sequence[Node | None]) -> Graph:
        """A branch on values, some of them blocks of what were images, or of smaller ones; it gives blocks."""
        symbols = [placeholder(x.type if x is not None else None, f"x{i}") for i, x in enumerate(captures)]
        with tracing():
            large = [s if maker is None else same(UPSAMPLE, (s,), maker.output, dict(maker.attributes))
                     for s, maker in zip(symbols, enlarging, strict=True)]
            (y,) = bind(graph, [as_image(x) if is_image else x for x, is_image in zip(large, images, strict=True)])
            result = same(REORDER_INPUT, (y,), y, {"channels_last": 0})
        return keep_blocks(Graph([], [result], captures=symbols, name=graph.name))


def enlarging_of(x: Operand | None) -> Node | None:
    """The node that made `x` of smaller blocks."""
    maker = x.node if isinstance(x, SymbolicTensor) else None
    return maker if maker is not None and maker.op is UPSAMPLE else None


def _factors(resize: Node) -> tuple[int, ...] | None:
    """By how much a Resize makes each point a block of equal ones; None where it does something else."""
    given = resize.inputs[2] if len(resize.inputs) == 3 else None
    scales = None if given is None or resize.inputs[1] is not None else constant_array(given)
    modes = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    if scales is None or scales.size != 4 or dict(resize.attributes) != modes or (scales[:2] != 1).any() or (
            scales != np.round(scales)).any() or known_sizes(resize.output) is None:
        return None
    return tuple(int(s) for s in scales)


def _enlarge(x: Operand, resize: Node, factors: tuple[int, ...]) -> Operand:
    attributes = {"mode": "nearest", "scales": factors}
    return Node(UPSAMPLE, (x,), attributes, (resize.output.type,)).output


Rule = Callable[[_Blocks, Node, Outputs], Results]

_RULES: dict[str, Rule] = {
    "ReduceSum": _Blocks.reduction, "ReduceMean": _Blocks.reduction, "BatchNormalization": _Blocks.normalization,
    "Conv": _Blocks.convolution, "MaxPool": _Blocks.largest, "Resize": _Blocks.enlarged, "If": _Blocks.branch}
