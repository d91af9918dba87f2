"""Products of matrices turn their operands themselves, where that spares moving single elements."""

from __future__ import annotations

from collections.abc import Iterator

from symgraph.core.apply import apply_op
from symgraph.core.graph import Graph
from symgraph.core.tensor import Node, Operand
from symgraph.passes.exactness import relaxed
from symgraph.passes.fuse_for_onnxruntime import FUSED_MATMUL
from symgraph.passes.matching import Region, dtype_of, made_by, rewrite_all_regions, shape_of
from symgraph.passes.remove_transposes import perm_of


@relaxed
def turn_operands(graph: Graph) -> Graph:
    """a @ T(x, [.., n-1, j]) -> FusedMatMul(a, T(x, [.., j, n-1]), transB=1), and so for a, in float32.

    What is left of the transpose moves rows as they are (attention asks for both forms of the same x), or nothing.
    Of matrices, `fuse_gemm` makes the same. Rounds differently.
    """
    return rewrite_all_regions(graph, _find)


def _find(node: Node) -> Iterator[Region]:
    is_plain = node.op.name == "MatMul" and not node.op.domain
    if not (is_plain or node.op is FUSED_MATMUL) or dtype_of(node.outputs[0]) != "float32":
        return
    operands = tuple(x for x in node.inputs if x is not None)
    if any(len(shape_of(x) or ()) < 2 for x in operands) or any(
            node.attributes.get(name) for name in ("transBatchA", "transBatchB")):
        return
    for place, name in ((0, "transA"), (1, "transB")):
        transpose = made_by(operands[place], "Transpose")
        x = None if transpose is None else transpose.inputs[0]
        perm = None if transpose is None else perm_of(transpose)
        if transpose is None or x is None or perm is None or perm[-2] != len(perm) - 1:
            continue
        turned = (*perm[:-2], perm[-1], perm[-2])
        attributes = {**node.attributes, name: 0 if node.attributes.get(name) else 1}

        def make(*given: Operand, place: int = place, turned: tuple[int, ...] = turned, first: Node = transpose,
                 attributes: dict[str, object] = attributes) -> Operand:
            inputs = list(given)
            if turned != tuple(range(len(turned))):
                inputs[place] = apply_op(first.op, given[place], perm=turned)
            return Node(FUSED_MATMUL, tuple(inputs), attributes, (node.output.type,)).output

        yield Region((node,), tuple(x if i == place else y for i, y in enumerate(operands)), make)
        return
