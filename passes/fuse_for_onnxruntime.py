"""Operators of ONNX Runtime's own, domain com.microsoft, that do the work of several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symgraph.core.graph import Graph
from symgraph.core.op import intern_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.passes.attributes import attribute
from symgraph.passes.exactness import relaxed
from symgraph.passes.matching import Region, dtype_of, in_both_orders, made_by, number, rewrite_all_regions, shape_of

DOMAIN = "com.microsoft"

FUSED_MATMUL = intern_op("FusedMatMul", DOMAIN, 1, None)

FUSED_CONV = intern_op("FusedConv", DOMAIN, 1, None)

ACTIVATIONS = ("Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Clip")
"""What FusedConv can do to its result."""


@relaxed
def fuse_for_onnxruntime(graph: Graph) -> Graph:
    """f(Conv(x) + z) -> FusedConv(x, z) for activations f, or without; x * sigmoid(c*x) -> QuickGelu(x).

    T(x) @ w * c -> FusedMatMul(x, w), where c is a number; Gelu(x + b) -> BiasGelu(x, b). For float32. ONNX Runtime's
    own optimiser does as much when a session is made; this is for files that are run without it, or that are to load
    faster. Rounds differently.

    SkipLayerNormalization is not used: ONNX Runtime 1.31 takes 4 to 8 times as long for it as for Add and
    LayerNormalization (1,464 and 198 us for float32[1, 384, 768] on one core).
    """
    return rewrite_all_regions(graph, _find)


def _find(node: Node) -> Iterator[Region]:
    if not node.outputs or dtype_of(node.outputs[0]) != "float32":
        return
    if not node.op.domain and node.op.name in ACTIVATIONS:
        yield from _fused_conv(node)
    elif not node.op.domain and node.op.name == "Gelu" and node.attributes.get("approximate", "none") == "none":
        yield from _bias_gelu(node)
    elif not node.op.domain and node.op.name == "Add":
        yield from _summed_conv(node)
    elif not node.op.domain and node.op.name in ("Mul", "Div"):
        yield from _swish(node)
        yield from _scaled(node)
    elif (node.op.name == "MatMul" and not node.op.domain) or node.op is FUSED_MATMUL:
        yield from _untransposed(node)


def _region(name: str, nodes: tuple[Node, ...], inputs: tuple[Operand, ...], attributes: dict[str, Any]) -> Region:
    """The region that becomes one node, of the type its root has."""
    op, result = intern_op(name, DOMAIN, 1, None), nodes[-1].output.type
    return Region(nodes, inputs, lambda *operands: Node(op, operands, attributes, (result,)).output)


def _fused_conv(activation: Node) -> Iterator[Region]:
    conv = _conv_of(activation.inputs[0])
    parameters = _activation_parameters(activation)
    if conv is not None and parameters is not None:
        given = {"activation_params": parameters} if parameters else {}
        yield _conv_region((conv, activation), conv.inputs, {"activation": activation.op.name, **given})


def _summed_conv(add: Node) -> Iterator[Region]:
    """What is added must have the shape of the result: FusedConv spreads nothing out."""
    for result, other in in_both_orders(add):
        conv, shape = _conv_of(result), shape_of(result)
        if conv is not None and len(conv.inputs) < 4 and other is not None and other is not result and (
                shape is not None) and (
                None not in shape and shape_of(other) == shape):
            padding = (None,) * (3 - len(conv.inputs))
            yield _conv_region((conv, add), (*conv.inputs, *padding, other), {})
            return


def _conv_of(x: Operand | None) -> Node | None:
    """The convolution over two axes that gives `x`; one that is fused with a sum, but no activation, as well."""
    conv = x.node if isinstance(x, SymbolicTensor) else None
    is_free = conv is not None and ((conv.op.name == "Conv" and not conv.op.domain) or (
        conv.op is FUSED_CONV and "activation" not in conv.attributes))
    return conv if conv is not None and is_free and len(shape_of(conv.inputs[0]) or ()) == 4 else None


def _conv_region(nodes: tuple[Node, ...], inputs: tuple[Operand | None, ...], added: dict[str, Any]) -> Region:
    """The region that becomes one FusedConv, with the inputs that are there in their places."""
    attributes, result = {**nodes[0].attributes, **added}, nodes[-1].output.type

    def make(*given: Operand) -> Operand:
        rest = iter(given)
        return Node(FUSED_CONV, tuple(None if x is None else next(rest) for x in inputs), attributes, (result,)).output

    return Region(nodes, tuple(x for x in inputs if x is not None), make)


def _swish(node: Node) -> Iterator[Region]:
    """x * sigmoid(x), or x * sigmoid(c*x)."""
    for x, gate in in_both_orders(node if node.op.name == "Mul" else None):
        sigmoid = made_by(gate, "Sigmoid")
        if sigmoid is None or x is None or not shape_of(x):
            continue
        if sigmoid.inputs[0] is x:
            yield _region("QuickGelu", (sigmoid, node), (x,), {"alpha": 1.0})
        scaled = made_by(sigmoid.inputs[0], "Mul")
        for y, factor in in_both_orders(scaled):
            alpha = number(factor)
            if scaled is not None and y is x and alpha is not None and len(shape_of(factor) or ()) <= len(
                    shape_of(x) or ()):
                yield _region("QuickGelu", (scaled, sigmoid, node), (x,), {"alpha": alpha})


def _activation_parameters(node: Node) -> tuple[float, ...] | None:
    """The numbers that say more of an activation, as FusedConv takes them; None where they are not constants."""
    if node.op.name == "LeakyRelu":
        return (float(attribute(node, "alpha", 0.01)),)
    if node.op.name == "HardSigmoid":
        return (float(attribute(node, "alpha", 0.2)), float(attribute(node, "beta", 0.5)))
    if node.op.name == "Clip":
        limits = tuple(number(x) for x in node.inputs[1:3])
        found = tuple(x for x in limits if x is not None)
        return found if len(found) == 2 else None
    return ()


def _bias_gelu(gelu: Node) -> Iterator[Region]:
    """The bias must be a vector as long as the last axis."""
    total = made_by(gelu.inputs[0], "Add")
    for x, bias in in_both_orders(total):
        shape, size = shape_of(x), shape_of(bias)
        if total is not None and x is not None and bias is not None and shape and size is not None and (
                len(size) == 1 and isinstance(size[0], int) and size[0] == shape[-1]):
            yield _region("BiasGelu", (total, gelu), (x, bias), {})


def _scaled(node: Node) -> Iterator[Region]:
    """A product times a number, or divided by one."""
    pairs = in_both_orders(node) if node.op.name == "Mul" else iter([(node.inputs[0], node.inputs[1])])
    for result, factor in pairs:
        value, product = number(factor), _product_of(result)
        if product is None or not value or len(shape_of(factor) or ()) > 0:
            continue
        scale = (1 / value if node.op.name == "Div" else value) * float(attribute(product, "alpha", 1.0))
        inputs = tuple(x for x in product.inputs if x is not None)
        yield _region("FusedMatMul", (product, node), inputs, {**product.attributes, "alpha": scale})


def _product_of(x: Operand | None) -> Node | None:
    """The product of matrices, fused or not, that gives `x`."""
    plain = made_by(x, "MatMul")
    if plain is not None:
        return plain if all(len(shape_of(y) or ()) > 1 for y in plain.inputs) else None
    maker = getattr(x, "node", None)
    return maker if isinstance(maker, Node) and maker.op is FUSED_MATMUL else None


def _untransposed(product: Node) -> Iterator[Region]:
    """A transpose of the last two axes before a product."""
    operands = tuple(x for x in product.inputs if x is not None)
    if any(len(shape_of(x) or ()) < 2 for x in operands):
        return
    for position, name in ((0, "transA"), (1, "transB")):
        transpose = made_by(operands[position], "Transpose")
        x = None if transpose is None else transpose.inputs[0]
        rank = len(shape_of(x) or ())
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        if transpose is None or x is None or rank < 2 or transpose.attributes.get(
                "perm", tuple(reversed(range(rank)))) != swapped:
            continue
        attributes = {**product.attributes, name: 0 if product.attributes.get(name, 0) else 1}
        yield _region("FusedMatMul", (transpose, product), (*operands[:position], x, *operands[position + 1:]),
                      attributes)
