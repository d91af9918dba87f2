"""Operators of ONNX Runtime's own, domain com.microsoft: their schemas, and the types of what they give.

ONNX Runtime tells schemas but no types. Files name the types of most values; what is written here is for those that do
not, and for passes that make such nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from onnx.defs import OpSchema

from symgraph.core.inference import infer_standard
from symgraph.core.op import Library, Op, find_op
from symgraph.core.types import Dim, Shape, TensorType, ValueType
from symgraph.runtime.kernels import DTYPES
from symgraph.runtime.ort import onnxruntime

DOMAIN = "com.microsoft"

BLOCKED = "com.microsoft.nchwc"
"""The domain of operators on channels in blocks, which only passes make: `runtime/channel_blocks.py`."""

STANDARD = frozenset({"SimplifiedLayerNormalization"})
"""What ONNX Runtime defines, and writes into files, under the standard domain."""

DETERMINISTIC = frozenset({
    "Attention", "BiasAdd", "BiasGelu", "BiasSoftmax", "BiasSplitGelu", "CDist", "ComplexMul", "ComplexMulConj",
    "ConvTransposeWithDynamicPads", "CropAndResize", "DecoderMaskedMultiHeadAttention", "DequantizeLinear",
    "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "EmbedLayerNormalization", "ExpandDims", "FastGelu", "FusedConv",
    "FusedGemm", "FusedMatMul", "FusedMatMulActivation", "GatedAdd", "GatedRelativePositionBias",
    "GatherBlockQuantized", "GatherND", "Gelu", "GemmFastGelu", "GridSample", "GroupNorm", "GroupQueryAttention",
    "Inverse", "Irfft", "LongformerAttention", "MatMulBnb4", "MatMulInteger16", "MatMulIntegerToFloat", "MatMulNBits",
    "MaxpoolWithMask", "MoE", "MulInteger", "MultiHeadAttention", "MurmurHash3", "NGramRepeatBlock", "NhwcConv",
    "NhwcFusedConv", "NhwcMaxPool", "Pad", "QAttention", "QEmbedLayerNormalization", "QGemm", "QLinearAdd",
    "QLinearAveragePool", "QLinearConcat", "QLinearConv", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul",
    "QLinearReduceMean", "QLinearSigmoid", "QLinearSoftmax", "QLinearWhere", "QMoE", "QuantizeLinear", "QuickGelu",
    "Range", "ReduceSumInteger", "RelativePositionBias", "Rfft", "RotaryEmbedding", "ScaledSiLU",
    "SimplifiedLayerNormalization", "SkipGroupNorm", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
    "SparseAttention", "SparseToDenseMatMul", "TransposeMatMul", "Trilu", "UnfoldTensor", "Unique",
    "WordConvEmbedding"})
"""Equal inputs give equal outputs. All others count as having effects: they draw, or keep a state, or nobody knows."""


@dataclass(frozen=True)
class Call:
    """A node whose types are asked for: the types of its inputs, and its attributes."""

    op: Op
    types: tuple[ValueType | None, ...]
    attributes: Mapping[str, Any]

    def dtype(self, index: int) -> str | None:
        """The dtype of an input; None where it is not there or unknown."""
        found = self.types[index] if index < len(self.types) else None
        return found.dtype if isinstance(found, TensorType) else None

    def shape(self, index: int) -> Shape | None:
        """The shape of an input; None where it is not there, or its rank unknown."""
        found = self.types[index] if index < len(self.types) else None
        return found.shape if isinstance(found, TensorType) else None

    def number(self, name: str, default: int = 0) -> int:
        """An attribute that is a whole number."""
        return int(self.attributes.get(name, default))


Shapes = tuple[Shape | None, ...]
Rule = Callable[[Call], Shapes]


@lru_cache(maxsize=1)
def schemas() -> Mapping[tuple[str, str], OpSchema]:
    """All operators by domain and name, as ONNX would describe them."""
    onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    found: dict[tuple[str, str], OpSchema] = {}
    for schema in native.get_all_operator_schema() if hasattr(native, "get_all_operator_schema") else ():
        if schema.domain in (DOMAIN, BLOCKED) or (not schema.domain and schema.name in STANDARD):
            found[schema.domain, schema.name] = _as_onnx(schema)
    return found


def _as_onnx(schema: Any) -> OpSchema:
    determinism, is_same = OpSchema.NodeDeterminism, schema.name in DETERMINISTIC or schema.domain == BLOCKED
    return OpSchema(
        schema.name, schema.domain, schema.since_version, inputs=[_parameter(p) for p in schema.inputs],
        outputs=[_parameter(p) for p in schema.outputs],
        type_constraints=[(c.type_param_str, c.allowed_type_strs, "") for c in schema.type_constraints],
        attributes=[OpSchema.Attribute(a.name, getattr(OpSchema.AttrType, a.type.name), required=a.required)
                    for a in schema.attributes.values()],
        node_determinism=(determinism.Deterministic if is_same  # type: ignore[call-arg]
                          else determinism.NonDeterministic))


def _parameter(parameter: Any) -> OpSchema.FormalParameter:
    option = getattr(OpSchema.FormalParameterOption, parameter.option.name)
    return OpSchema.FormalParameter(
        parameter.name, parameter.typeStr, param_option=option, is_homogeneous=parameter.isHomogeneous)


def infer(op: Op, types: tuple[ValueType | None, ...], attributes: Mapping[str, Any], outputs: int,
          ) -> tuple[ValueType | None, ...]:
    """Types of the outputs: dtypes by the schema, shapes by what each operator does, as far as it is written here."""
    call = Call(op, types, attributes)
    rule = _RULES.get(op.name)
    shapes: Shapes = ()
    if rule is not None:
        with suppress(IndexError, TypeError, ZeroDivisionError):  # operands of ranks the operator does not take
            shapes = rule(call)
    return tuple(_with_shape(_dtype_of_output(call, i), shapes[i] if i < len(shapes) else None)
                 for i in range(outputs))


def _with_shape(dtype: str | None, shape: Shape | None) -> TensorType | None:
    return None if dtype is None else TensorType(dtype, shape)


def _dtype_of_output(call: Call, index: int) -> str | None:
    """The dtype a schema gives an output: its own, that of an input of the same type variable, or the only one."""
    schema = call.op.schema
    assert schema is not None
    variable = schema.outputs[min(index, len(schema.outputs) - 1)].type_str
    if variable in DTYPES:
        return DTYPES[variable]
    for position in range(len(call.types)):
        if call.op.constraint(position)[0] == variable and call.dtype(position) is not None:
            return call.dtype(position)
    allowed = {v for c in schema.type_constraints if c.type_param_str == variable for v in c.allowed_type_strs}
    if len(allowed) == 1:
        return DTYPES.get(allowed.pop())
    return "float32" if variable == "U" and "tensor(float)" in allowed else None


def _like(index: int) -> Rule:
    """The shape of an input."""
    return lambda call: (call.shape(index),)


def _as_standard(name: str, inputs: tuple[int, ...], dropped: tuple[str, ...] = ()) -> Rule:
    """The shape that a standard operator gives for some of the inputs, without the attributes it does not know."""
    def shapes(call: Call) -> Shapes:
        op = find_op(name, "")
        known = {k: v for k, v in call.attributes.items() if k in op.attribute_kinds and k not in dropped}
        given = tuple(_as_float(call.types[i]) for i in inputs if i < len(call.types))
        found = infer_standard(op, given, known, 1)[0]
        return (found.shape if isinstance(found, TensorType) else None,)

    return shapes


def _as_float(value_type: ValueType | None) -> ValueType | None:
    """The same shape in a dtype that every standard operator of real numbers takes."""
    return TensorType("float32", value_type.shape) if isinstance(value_type, TensorType) else value_type


def _product(call: Call) -> Shapes:
    """FusedMatMul: both operands may be turned round, the matrices or, batch first, all of their axes."""
    turned = []
    for index, side in ((0, "A"), (1, "B")):
        shape = call.shape(index)
        if shape is None:
            return (None,)
        if call.number(f"transBatch{side}") and len(shape) > 2:
            shape = (*shape[1:-1], shape[0], shape[-1])
        if call.number(f"trans{side}") and len(shape) > 1:
            shape = (*shape[:-2], shape[-1], shape[-2])
        turned.append(TensorType("float32", shape))
    found = infer_standard(find_op("MatMul"), tuple(turned), {}, 1)[0]
    return (found.shape if isinstance(found, TensorType) else None,)


def _skip_normalization(call: Call) -> Shapes:
    """The sum normalised, mean and deviation of each row, and the sum itself."""
    shape = call.shape(0)
    row = None if shape is None else (*shape[:-1], 1)
    return shape, row, row, shape


def _simplified_normalization(call: Call) -> Shapes:
    shape = call.shape(0)
    axis = call.number("axis", -1)
    return shape, None if shape is None else tuple(
        1 if i >= axis % len(shape) else d for i, d in enumerate(shape))


def _embedding(call: Call) -> Shapes:
    """Ids [B, S] and words [V, D] -> [B, S, D], the length of each row, and the sum of the embeddings."""
    ids, words = call.shape(0), call.shape(2)
    whole = None if ids is None or words is None or len(ids) != 2 or len(words) != 2 else (*ids, words[1])
    return whole, None if ids is None else ids[:1], whole


def _attention(call: Call) -> Shapes:
    """x [B, S, D] and weights [D, Q+K+V] -> [B, S, V]; keys and values [2, B, H, T, V/H]."""
    x, weights = call.shape(0), call.shape(1)
    if x is None or weights is None or len(x) != 3 or len(weights) != 2:
        return None, None
    sizes = call.attributes.get("qkv_hidden_sizes")
    width: Dim = sizes[2] if sizes else weights[1] // 3 if isinstance(weights[1], int) else None
    past, heads = call.shape(4), call.number("num_heads", 1)
    total = x[1] if past is None and len(call.types) < 5 else _sum(x[1], None if past is None else past[3])
    return (*x[:2], width), (2, x[0], heads, total, _quotient(width, heads))


def _multi_head_attention(call: Call) -> Shapes:
    """Query [B, S, D] (or keys packed with it) and value [B, T, V] -> [B, S, V]; keys and values [B, H, T, V/H]."""
    query, key, value = call.shape(0), call.shape(1), call.shape(2)
    heads = call.number("num_heads", 1)
    if query is None:
        return None, None, None
    if len(query) == 5:
        return (*query[:2], _times(query[2], query[4])), None, None
    width = None if value is None else value[2] if len(value) == 3 else _times(value[1], value[3])
    if value is None and key is not None and len(key) == 5:
        width = _times(key[2], key[4])
    past, has_past = call.shape(6), len(call.types) > 6 and call.types[6] is not None
    length = None if key is None or len(key) == 5 else key[2] if len(key) == 4 else key[1]
    total = _sum(length, None if past is None else past[2]) if has_past else length
    return ((*query[:2], width), (query[0], heads, total, _quotient(query[2], heads)),
            (query[0], heads, total, _quotient(width, heads)))


def _group_query_attention(call: Call) -> Shapes:
    query, key = call.shape(0), call.shape(1)
    if query is None or len(query) != 3:
        return None, None, None
    heads, groups = call.number("num_heads", 1), call.number("kv_num_heads", 1)
    width = query[2] if key is not None else _times(_quotient(query[2], heads + 2 * groups), heads)
    kept: Shape = (query[0], groups, None, _quotient(width, heads))
    return (*query[:2], width), kept, kept


def _blocked_product(call: Call) -> Shapes:
    shape = call.shape(0)
    return (None if shape is None else (*shape[:-1], call.number("N")),)


def _matrix_product(call: Call) -> Shapes:
    return _as_standard("MatMul", (0, 1))(call)


def _sum(a: Dim, b: Dim) -> Dim:
    return a + b if isinstance(a, int) and isinstance(b, int) else None


def _times(a: Dim, b: Dim) -> Dim:
    return a * b if isinstance(a, int) and isinstance(b, int) else None


def _quotient(a: Dim, b: int) -> Dim:
    return a // b if isinstance(a, int) and b else None


_RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("BiasAdd", "BiasGelu", "BiasSoftmax", "FastGelu", "Gelu", "GroupNorm", "Inverse", "QuickGelu",
                     "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", "RotaryEmbedding", "ScaledSiLU", "Trilu",
                     "QuantizeLinear", "DequantizeLinear"), _like(0)),
    "FusedConv": _as_standard("Conv", (0, 1)), "QLinearConv": _as_standard("Conv", (0, 3)),
    "FusedGemm": _as_standard("Gemm", (0, 1)), "QGemm": _as_standard("Gemm", (0, 3)),
    **dict.fromkeys(("FusedMatMul", "FusedMatMulActivation", "TransposeMatMul"), _product),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "MatMulInteger16"), _matrix_product),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), _as_standard("Add", (0, 3))),
    "MatMulNBits": _blocked_product, "MatMulBnb4": _blocked_product,
    "SkipLayerNormalization": _skip_normalization, "SkipSimplifiedLayerNormalization": _skip_normalization,
    "SimplifiedLayerNormalization": _simplified_normalization, "EmbedLayerNormalization": _embedding,
    "Attention": _attention, "QAttention": _attention, "MultiHeadAttention": _multi_head_attention,
    "GroupQueryAttention": _group_query_attention}

LIBRARY = Library((DOMAIN, BLOCKED, ""), schemas, infer)
