"""The first version of Scan, over a batch of sequences of different lengths, said as a Scan of Scans of today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.core.graph import Graph
from symgraph.core.op import find_op
from symgraph.core.tensor import Node, Operand
from symgraph.core.types import TensorType
from symgraph.ops.applying import apply
from symgraph.ops.loops import scan
from symgraph.ops.sizes import dimension, ints


def unbatched_scan(attributes: Mapping[str, Any], operands: Sequence[Operand | None]) -> list[Operand]:
    """What a Scan of version 8 computes of `operands`: its inputs, the lengths first, and what its body captures."""
    body: Graph = attributes["body"]
    count = attributes["num_scan_inputs"]
    states = len(body.inputs) - count
    lengths, rows, captures = operands[0], operands[1:1 + len(body.inputs)], operands[1 + len(body.inputs):]
    directions = attributes.get("directions") or (0,) * count
    given = {"body": body, "num_scan_inputs": count, "scan_input_directions": tuple(directions)}
    types = [x.type for x in body.outputs[:states]]
    types += [TensorType(x.dtype, (None, *x.shape)) for x in body.outputs[states:]]
    xs = [x for x in rows if x is not None]

    def one(row: list[Operand]) -> list[Operand]:
        begin, elements, steps = row[:states], row[states:states + count], row[states + count:]
        cut = [_first(x, steps[0]) for x in elements] if steps else elements
        node = Node(find_op("Scan"), (*begin, *cut), given, tuple(types),
                    captures=tuple(x for x in captures if x is not None))
        found: list[Any] = list(node.outputs)
        if not steps:
            return found
        missing = apply("Sub", dimension(elements[0], 0), apply("Cast", steps[0], to=7))
        return [*found[:states], *(_padded(y, missing) for y in found[states:])]

    if lengths is not None:
        xs.append(lengths)
    results: list[Operand] = scan(lambda carry, row: (None, one(row)), None, xs)[1]
    return results


def _first(x: Operand, length: Operand) -> Operand:
    """The first rows of `x`."""
    return apply("Slice", x, ints(0), apply("Reshape", length, ints(1)), ints(0))


def _padded(y: Operand, missing: Operand) -> Operand:
    """`y` with zeros after its last row."""
    before, after = np.zeros(y.ndim, np.int64), np.zeros(y.ndim - 1, np.int64)
    return apply("Pad", y, apply("Concat", before, apply("Reshape", missing, ints(1)), after, axis=0))
