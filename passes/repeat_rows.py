"""Images enlarged by whole factors grow along their rows alone; each row is then read several times."""

from __future__ import annotations

import math
from collections.abc import Iterator

from symgraph.core.graph import Graph
from symgraph.core.scope import tracing
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import TensorType
from symgraph.passes.attributes import attribute
from symgraph.passes.block_kernels import known_sizes
from symgraph.passes.blocks import BlockBuilder, Outputs
from symgraph.passes.keep_blocks import UPSAMPLE, enlarging_of
from symgraph.passes.matching import Region, dtype_of, made_by, rewrite_regions
from symgraph.passes.traits import BROADCASTING
from symgraph.runtime.channel_blocks import channel_block
from symgraph.runtime.opsets import choose_opsets

LONG = 128
"""Rows have at least so many numbers: for shorter ones broadcasting takes longer than what it saves."""


def repeat_rows(graph: Graph) -> Graph:
    """f(x, nchwc.Upsample(y)) -> f(x as rows, nchwc.Upsample(y) along rows), broadcast over the rows that are equal,
    for f of two images in blocks.

    As in the gradient of pooling, which takes 0.55 to 0.9 times as long. After `keep_blocks`.
    """
    block = channel_block()
    if not block:
        return graph
    build = BlockBuilder(choose_opsets(graph)[""], block)
    found = rewrite_regions(graph, lambda node: _find(node, build))
    return found if found is graph else found.rewrite(lambda node, operands: _give_rows(node, operands, build))


def _find(node: Node, build: BlockBuilder) -> Iterator[Region]:
    if node.op.domain or node.op.name not in BROADCASTING or len(node.inputs) != 2:
        return
    for other, x, is_first in ((*node.inputs, True), (*node.inputs[::-1], False)):
        maker = enlarging_of(x)
        if maker is not None and other is not None:
            yield from _broadcast(node, build, other, maker, is_first=is_first)


def _broadcast(node: Node, build: BlockBuilder, other: Operand, enlarging: Node, *, is_first: bool) -> Iterator[Region]:
    sizes, small = known_sizes(node.output), enlarging.inputs[0]
    made, given = known_sizes(enlarging.output), known_sizes(small)
    if small is None or given is None or sizes is None or not known_sizes(other) == made == sizes:
        return
    across, along = attribute(enlarging, "scales")[2:]
    length = sizes[3] * build.block
    if across == 1 or length < LONG:
        return
    rows = math.prod(given[:3]) // build.block

    def make(other: Operand, small: Operand) -> Operand:
        wide = Node(UPSAMPLE, (small,), {**enlarging.attributes, "scales": (1, 1, 1, along)},
                    (TensorType("float32", (*given[:3], sizes[3])),)).output if along > 1 else small
        pair = build.shaped(other, rows, across, length), build.shaped(wide, rows, 1, length)
        made = build.at(node.op.name, *(pair if is_first else pair[::-1]))
        return build.shaped(made, *sizes)  # type: ignore[no-any-return]

    yield Region((node,), (other, small), make)


def _give_rows(node: Node, operands: Outputs, build: BlockBuilder) -> Outputs | None:
    """An If gives rows where one of its graphs ends with them: a Reshape at the end of a graph is a copy."""
    sizes = known_sizes(node.outputs[0]) if len(node.outputs) == 1 else None
    branches = dict(node.subgraphs()) if node.op.name == "If" and not node.op.domain else {}
    found = {name: rows for name, graph in branches.items() if (rows := _rows(graph)) is not None}
    shapes = {known_sizes(rows) for rows in found.values()}
    if sizes is None or len(shapes) != 1 or dtype_of(node.outputs[0]) != "float32":
        return None
    shape = shapes.pop() or ()
    with tracing():
        made = {name: graph.with_outputs([found[name] if name in found else build.shaped(graph.outputs[0], *shape)],
                                         graph.output_names) for name, graph in branches.items()}
    y = Node(node.op, operands[:1], {**node.attributes, **made}, (TensorType("float32", shape),),
             captures=operands[1:]).output  # type: ignore[arg-type]
    return (build.shaped(y, *sizes),)


def _rows(graph: Graph) -> Operand | None:
    """The rows (count, repeats, length) that the last Reshape of a graph makes an image of."""
    y = graph.outputs[0]
    maker = made_by(y, "Reshape")
    x = None if maker is None else maker.inputs[0]
    return x if len(known_sizes(x) or ()) == 3 and len(known_sizes(y) or ()) == 4 else None
