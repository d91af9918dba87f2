"""How many operations an operator takes: a multiplication and an addition are two."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from symgraph.core.tensor import Node
from symgraph.core.types import TensorType, ValueType
from symgraph.passes.traits import BROADCASTING, ELEMENTWISE

Sizes = tuple[int, ...]

PER_OUTPUT = {
    **dict.fromkeys(ELEMENTWISE | BROADCASTING, 1),
    "PRelu": 2, "Swish": 2, "BatchNormalization": 2, "QuantizeLinear": 2, "DequantizeLinear": 2,
    "DynamicQuantizeLinear": 4, "Dropout": 1, "Hardmax": 1, "Range": 1, "CumSum": 1, "Softmax": 5, "LogSoftmax": 5,
    "InstanceNormalization": 7, "LayerNormalization": 7, "GroupNormalization": 7, "RMSNormalization": 4,
    "SimplifiedLayerNormalization": 4, "SkipLayerNormalization": 8, "SkipSimplifiedLayerNormalization": 5,
    "BiasAdd": 1, "BiasSoftmax": 6, "EmbedLayerNormalization": 9, "RotaryEmbedding": 3, "QLinearAdd": 4,
    "QLinearMul": 4, "BiasGelu": 2, "FastGelu": 2, "QuickGelu": 2, "LpNormalization": 3,
    "MeanVarianceNormalization": 7, "Cast": 0}
"""Operations per element of the first output. Seven: mean, difference, square, its mean, product, scale, shift."""

PER_INPUT = frozenset({"ArgMax", "ArgMin", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "NonZero"})
"""One operation per element of the first input; so do all that are called Reduce…."""

MOVING = frozenset({
    "BitCast", "CastLike", "CenterCropPad", "Compress", "Concat", "ConcatFromSequence", "Constant",
    "ConstantOfShape", "DepthToSpace", "Expand", "EyeLike", "Flatten", "Gather", "GatherElements", "GatherND",
    "Identity", "OneHot", "Optional", "OptionalGetElement", "OptionalHasElement", "Pad", "Reshape",
    "ReverseSequence", "ScatterElements", "ScatterND", "SequenceAt", "SequenceConstruct", "SequenceEmpty",
    "SequenceErase", "SequenceInsert", "SequenceLength", "Shape", "Size", "Slice", "SpaceToDepth", "Split",
    "SplitToSequence", "Squeeze", "TensorScatter", "Tile", "Transpose", "Trilu", "Unsqueeze", "Upsample"})
"""Operators that only move data: none."""


def count_flops(node: Node, operands: Sequence[ValueType | None], results: Sequence[ValueType | None]) -> int | None:
    """The operations one node takes on operands of these types; None where sizes or the operator are not known."""
    name = node.op.name
    if name in MOVING:
        return 0
    inputs = [_sizes(x) for x in operands[:len(node.inputs)]]
    outputs = [_sizes(x) for x in results]
    if not outputs or outputs[0] is None or any(
            x is not None and sizes is None for x, sizes in zip(node.inputs, inputs, strict=True)):
        return None
    shapes = [() if sizes is None else sizes for sizes in inputs]
    if name in PER_OUTPUT:
        return PER_OUTPUT[name] * math.prod(outputs[0]) * (max(len(shapes) - 1, 1) if name in VARIADIC else 1)
    if name in PER_INPUT or name.startswith("Reduce"):
        return math.prod(shapes[0])
    count = (SPECIAL if not node.op.domain else FUSED).get(name)
    return None if count is None else count(node, shapes, outputs[0])


VARIADIC = ("Max", "Mean", "Min", "Sum")


def _sizes(value_type: ValueType | None) -> Sizes | None:
    if not isinstance(value_type, TensorType) or value_type.shape is None:
        return None
    sizes = tuple(d for d in value_type.shape if isinstance(d, int))
    return sizes if len(sizes) == len(value_type.shape) else None


def _has(node: Node, index: int) -> bool:
    return index < len(node.inputs) and node.inputs[index] is not None


def _matmul(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    is_turned = bool(node.attributes.get("transA")) and len(shapes[0]) > 1
    return 2 * math.prod(output) * shapes[0][-2 if is_turned else -1]


def _qlinear_matmul(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    return 2 * math.prod(output) * shapes[0][-1]


def _gemm(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    return _matmul(node, shapes, output) + (math.prod(output) if _has(node, 2) else 0)


def _convolution(weight: int, bias: int) -> Callable[[Node, list[Sizes], Sizes], int]:
    """Each output is a sum over a window of `weight`; its shape is (outputs, inputs in a group, *window)."""
    return lambda node, shapes, output: 2 * math.prod(output) * math.prod(shapes[weight][1:]) + (
        math.prod(output) if _has(node, bias) else 0)


def _transposed_convolution(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    """Each input is spread over a window; the weight's shape is (inputs, outputs in a group, *window)."""
    return 2 * math.prod(shapes[0]) * math.prod(shapes[1][1:]) + (math.prod(output) if _has(node, 2) else 0)


def _pool(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    window: Any = node.attributes["kernel_shape"]
    return math.prod(output) * int(math.prod(window))


def _recurrent(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    """The products with both weights at every step; what comes after them is a per cent of it and left out."""
    is_batch_first = bool(node.attributes.get("layout"))
    length, batch = shapes[0][:2][::-1] if is_batch_first else shapes[0][:2]
    return 2 * length * batch * (math.prod(shapes[1]) + math.prod(shapes[2]))


def _attention(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    """Scores `q @ k`, their softmax at five each, and `scores @ v`."""
    query, key = shapes[0], shapes[1]
    past = shapes[4][-2] if _has(node, 4) else 0
    keys = key[-2] + past
    heads = query[1] if len(query) == 4 else int(node.attributes["q_num_heads"])  # type: ignore[call-overload]
    return keys * (2 * math.prod(query) + 2 * math.prod(output) + 5 * query[0] * heads * query[-2])


def _einsum(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    """Every combination of indices takes a product of all operands and an addition."""
    terms = str(node.attributes["equation"]).replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        hidden = "".join(chr(0x2080 + i) for i in range(len(shape) - len(term.replace("...", "")), 0, -1))
        for label, size in zip(term.replace("...", hidden), shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1)) if size else 0
    return len(shapes) * math.prod(sizes.values())


def _resize(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    """Linear interpolation weighs two neighbours in every axis that changes, cubic four; nearest only moves."""
    taps = {"linear": 2, "cubic": 4}.get(str(node.attributes.get("mode", "nearest")), 0)
    changed = sum(a != b for a, b in zip(shapes[0], output, strict=True))
    return 2 * math.prod(output) * taps**changed if taps and changed else 0


def _packed_attention(node: Node, shapes: list[Sizes], output: Sizes) -> int:
    """com.microsoft: `x @ w` for query, key and value at once, then as `_attention`."""
    batch, length, width = output
    past = shapes[4][3] if _has(node, 4) else 0
    return 2 * math.prod(shapes[0]) * shapes[1][1] + _scores(node, batch, length, length + past, width)


def _heads_attention(node: Node, shapes: list[Sizes], output: Sizes) -> int | None:
    """com.microsoft: `_attention` of query, key and value that lie apart."""
    if not (_has(node, 1) and _has(node, 2)) or len(shapes[0]) != 3:
        return None
    past = shapes[6][2] if _has(node, 6) else 0
    batch, length, width = output
    return _scores(node, batch, length, shapes[1][1 if len(shapes[1]) == 3 else 2] + past, width)


def _scores(node: Node, batch: int, length: int, keys: int, width: int) -> int:
    """Products of queries and keys, softmax at five each, products with values, where all are as wide."""
    heads = int(node.attributes.get("num_heads", 1))  # type: ignore[call-overload]
    return int(batch * length * keys * (4 * width + 5 * heads))


SPECIAL: dict[str, Callable[[Node, list[Sizes], Sizes], int]] = {
    "MatMul": _matmul, "MatMulInteger": _matmul, "QLinearMatMul": _qlinear_matmul, "Gemm": _gemm,
    "Conv": _convolution(1, 2), "ConvInteger": _convolution(1, 9),
    "QLinearConv": _convolution(3, 8), "ConvTranspose": _transposed_convolution,
    "MaxPool": _pool, "AveragePool": _pool, "LpPool": _pool, "LSTM": _recurrent, "GRU": _recurrent, "RNN": _recurrent,
    "Attention": _attention, "Einsum": _einsum, "Resize": _resize}

FUSED: dict[str, Callable[[Node, list[Sizes], Sizes], int | None]] = {
    "FusedMatMul": _matmul, "FusedMatMulActivation": _matmul, "TransposeMatMul": _matmul, "FusedGemm": _gemm,
    "FusedConv": _convolution(1, 2), "Attention": _packed_attention, "MultiHeadAttention": _heads_attention,
    "QLinearConv": _convolution(3, 8), "DynamicQuantizeMatMul": _qlinear_matmul,
    "MatMulIntegerToFloat": _qlinear_matmul, "MatMulNBits": _qlinear_matmul}
"""What ONNX Runtime's own operators take."""
