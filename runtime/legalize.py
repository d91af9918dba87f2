"""What a graph must become before ONNX Runtime runs it: same numbers, but only kernels that exist and never crash.

Eager mode and compiled graphs go through here alike, so that both give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from symgraph.core.graph import Graph, copy_node
from symgraph.core.inference import infer_types
from symgraph.core.op import Op, find_op
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.types import ELEM_TYPES, TensorType
from symgraph.core.value import Tensor, convert_array
from symgraph.ops.einsum import einsum
from symgraph.runtime.functions import constant, expand_function
from symgraph.runtime.guards import guard_empty
from symgraph.runtime.kernels import DTYPES, has_kernel, tensor_name, type_name
from symgraph.runtime.opsets import choose_opsets
from symgraph.runtime.ort import CPU

Outputs = tuple[Operand | None, ...]

WIDER: Mapping[str, tuple[str, ...]] = {
    "bool": ("uint8", "int32", "float32"),
    "int2": ("int8", "int32"), "uint2": ("uint8", "int32"), "int4": ("int8", "int32"), "uint4": ("uint8", "int32"),
    "int8": ("int32", "int64", "int16"), "uint8": ("int32", "int64", "uint32"),
    "int16": ("int32", "int64"), "uint16": ("int32", "uint32", "int64", "uint64"),
    "uint32": ("int64", "uint64"), "uint64": ("int64",),
    "float16": ("float32",), "bfloat16": ("float32",),
    "float8_e4m3fn": ("float32",), "float8_e4m3fnuz": ("float32",), "float8_e5m2": ("float32",),
    "float8_e5m2fnuz": ("float32",), "float8_e8m0fnu": ("float32",), "float4_e2m1fn": ("float32",)}
"""dtype -> dtypes that hold all its values (modulo 2^64 for uint64). float64 and int64 have none."""

MODULAR = frozenset({
    "Add", "Sub", "Mul", "Neg", "Sum", "MatMul", "Gemm", "Einsum", "ReduceSum", "ReduceProd", "CumSum", "Equal",
    "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "Where", "Gather", "GatherElements", "GatherND",
    "Scatter", "ScatterElements", "ScatterND", "TensorScatter", "Concat", "Split", "Slice", "Pad", "Tile", "Expand",
    "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Compress", "Trilu", "ReverseSequence",
    "DepthToSpace", "SpaceToDepth", "NonZero", "OneHot", "EyeLike", "ConstantOfShape", "CenterCropPad"})
"""Operators that give the same bits on int64 as on uint64: arithmetic modulo 2^64, and moving data."""

_EXACT_DTYPE = frozenset({
    "Cast", "CastLike", "BitCast", "Constant", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "If", "Loop", "Scan", "SequenceMap"})
"""Operators whose result depends on the dtype itself, or that carry graphs: never widened."""


def legalize(graph: Graph, providers: tuple[str, ...] = (CPU,), opsets: Mapping[str, int] | None = None) -> Graph:
    """The same function in operators that `providers` and the CPU have kernels for, as far as they go.

    Composite ops become their bodies. A dtype without a kernel is cast to a wider one and back. Integer
    division is kept from INT_MIN / -1, and empty tensors from kernels that they would kill the process in. Nothing to
    do: the same graph.
    """
    legalizer = _Legalizer(choose_opsets(graph) if opsets is None else opsets, providers)
    return legalizer.graph(graph)


def missing_kernels(graph: Graph, providers: tuple[str, ...] = (CPU,)) -> tuple[str, ...]:
    """Operators of a legalised graph, with the dtypes they have no kernel for: `Conv(float64, float64)`."""
    opsets = choose_opsets(graph)
    found: dict[str, None] = {}
    for node in _walk(graph):
        op = op_in_force(node.op, opsets)
        if not _is_runnable(op, node, providers) and expand_function(op, node, node.inputs, opsets) is None and (
                not is_function(op)):
            found.setdefault(describe_kernel(op, node.inputs))
    return tuple(found)


def is_function(op: Op) -> bool:
    """Whether ONNX defines the operator by others, so that ONNX Runtime can do without a kernel."""
    schema: Any = op.schema  # its stubs do not tell of functions
    return schema is not None and bool(schema.has_function or schema.has_context_dependent_function)


def describe_kernel(op: Op, inputs: Outputs) -> str:
    """`Conv(float64, float64)`: an operator with the dtypes of its operands."""
    shown = ", ".join(x.type.dtype if isinstance(x.type, TensorType) else str(x.type or "?")
                      for x in inputs if x is not None)
    return f"{op}({shown})"


def op_in_force(op: Op, opsets: Mapping[str, int]) -> Op:
    """The version of an op that stands at the opset the graph is written with."""
    opset = opsets.get(op.domain, op.version)
    return op if op.schema is None or op.last_version >= opset else find_op(op.name, op.domain, opset)


def _walk(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        yield node
        for _, inner in node.subgraphs():
            yield from _walk(inner)


def _types(values: Outputs) -> tuple[str, ...]:
    return tuple("" if x is None else type_name(_without_shape(x)) for x in values)


def _without_shape(x: Operand) -> object:
    return _OPEN[x.type.dtype] if isinstance(x.type, TensorType) else x.type


_OPEN = {dtype: TensorType(dtype, None) for dtype in ELEM_TYPES}


def _is_runnable(op: Op, node: Node, providers: tuple[str, ...]) -> bool:
    outputs = node.outputs if op is node.op else ()  # another version may give another type (the mask of Dropout)
    return has_kernel(op, _types(node.inputs), _types(outputs), providers)


class _Legalizer:
    def __init__(self, opsets: Mapping[str, int], providers: tuple[str, ...], *, guards: bool = True) -> None:
        self.opsets = opsets
        self.providers = providers
        self.guards = guards

    def graph(self, graph: Graph) -> Graph:
        return graph.rewrite(self.node)

    def node(self, node: Node, operands: Outputs) -> Outputs | None:
        if node.body is not None:
            return self.inline(node.body, operands)
        if any(True for _ in node.subgraphs()):
            return self.subgraphs(node, operands)
        if node.op.schema is None:
            return None
        op = op_in_force(node.op, self.opsets)
        inputs = operands[:len(node.inputs)]
        if op.name in ("Div", "Mod") and not op.domain:
            guarded = self.guard(node, inputs)
            if guarded is not None:
                return guarded
        if self.guards and (safe := guard_empty(node, inputs, self.opsets.get("", op.version), self.unguarded)):
            return safe
        if op.name == "Pad" and not op.domain and (full := self.pad_all_axes(node, inputs)):
            return self.node(full, full.inputs) or full.outputs
        if op.name == "BatchNormalization" and not op.domain and (own := self.copy_moments(node, inputs)):
            return self.node(own, own.inputs) or own.outputs
        if op.name == "Einsum" and not op.domain and _may_be_empty(inputs):
            return (einsum(node.attributes["equation"], *inputs),)
        if has_kernel(op, _types(inputs), _types(node.outputs), self.providers):
            return None
        return self.widen(op, node, inputs) or self.expand(op, node, inputs)

    def unguarded(self, graph: Graph) -> Graph:
        """A graph whose operators are guarded from outside."""
        return _Legalizer(self.opsets, self.providers, guards=False).graph(graph)

    def inline(self, body: Graph, operands: Outputs) -> Outputs:
        """Put the body of a composite op in its place."""
        mapping: dict[Operand, Operand | None] = dict(zip((*body.inputs, *body.captures), operands, strict=True))
        for node in body.nodes:
            inner = tuple(None if x is None else mapping.get(x, x) for x in node.operands)
            copy = copy_node(node, inner)
            results = self.node(copy, copy.operands) or copy.outputs
            mapping.update((old, new) for old, new in zip(node.outputs, results, strict=True) if old is not None)
        return tuple(mapping.get(x, x) for x in body.outputs)

    def subgraphs(self, node: Node, operands: Outputs) -> Outputs | None:
        changed = {}
        for name, value in node.attributes.items():
            if isinstance(value, Graph):
                changed[name] = self.graph(value)
        if all(node.attributes[name] is graph for name, graph in changed.items()):
            return None
        return copy_node(node, operands, {**node.attributes, **changed}).outputs

    def guard(self, node: Node, inputs: Outputs) -> Outputs | None:
        """Keep INT_MIN / -1 and INT_MIN % -1 away from the processor, and 64-bit fmod away from doubles.

        Div: `a / where(b == -1, 1, b)`, negated where b is -1. Mod: `a % where(b == -1, 1, b)`.
        Mod(fmod=1) of 64 bits: `a - a / b * b`, for ONNX Runtime computes it in float64.
        """
        a, b = inputs
        dtype = b.type.dtype if b is not None and isinstance(b.type, TensorType) else ""
        is_fmod = bool(node.attributes.get("fmod", 0))
        assert a is not None
        if dtype == "uint64" and is_fmod:
            quotient = self.make("Div", node, a, b)
            return (self.make("Sub", node, a, self.make("Mul", node, quotient, b)),)
        if dtype not in ("int32", "int64") or (is_fmod and dtype == "int32"):
            return None
        if isinstance(b, Tensor) and not (b.numpy() == -1).any() and not is_fmod:
            return None
        one, minus_one = (constant(np.array(v, dtype)) for v in (1, -1))
        is_minus_one = self.make("Equal", node, b, minus_one)
        divisor = self.make("Where", node, is_minus_one, one, b)
        if node.op.name == "Div":
            quotient = self.make("Div", node, a, divisor)
            return (self.make("Where", node, is_minus_one, self.make("Neg", node, quotient), quotient),)
        if is_fmod:
            quotient = self.make("Div", node, a, divisor)
            return (self.make("Sub", node, a, self.make("Mul", node, quotient, divisor)),)
        return (self.make("Mod", node, a, divisor, **node.attributes),)

    def copy_moments(self, node: Node, inputs: Outputs) -> Node | None:
        """Moments of its own for a normalisation in training: ONNX Runtime writes over those it is given.

        They may be a constant that others read, or an array of the user. `-(-x)` is a copy that no optimiser removes.
        """
        if not node.attributes.get("training_mode", 0) or len(inputs) < 5:
            return None
        given = inputs[3:5]
        makers = [x.node for x in given if isinstance(x, SymbolicTensor) and x.node is not None]
        if len(makers) == 2 and all(maker.op.name in ("Neg", "Abs") for maker in makers):
            return None
        copies = tuple(self.make("Neg", node, self.make("Neg", node, x)) for x in given)
        return copy_node(node, (*inputs[:3], *copies))

    def pad_all_axes(self, node: Node, inputs: Outputs) -> Node | None:
        """Widths for chosen axes become widths for all: where ONNX Runtime moves a Transpose past a Pad, it takes
        the chosen axes for all of them.
        """
        x, pads, value, axes = inputs if len(inputs) == 4 else (None,) * 4
        shape = x.type.shape if x is not None and isinstance(x.type, TensorType) else None
        if not isinstance(axes, Tensor) or shape is None:
            return None
        chosen = [int(i) % len(shape) for i in axes.numpy()]
        places = np.full(2 * len(shape), 2 * len(chosen))
        for i, axis in enumerate(chosen):
            places[axis], places[axis + len(shape)] = i, i + len(chosen)
        zero = constant(np.zeros(1, np.int64))
        widths = (constant(np.append(pads.numpy(), 0)[places]) if isinstance(pads, Tensor) else
                  self.make("Gather", node, self.make("Concat", node, pads, zero, axis=0), constant(places), axis=0))
        return self.make("Pad", node, x, widths, value, **node.attributes).node

    def widen(self, op: Op, node: Node, inputs: Outputs) -> Outputs | None:
        """Cast inputs to the nearest wider dtypes that have a kernel, and the outputs back."""
        wider = self.choose(op, node, inputs)
        if wider is None:
            return None
        attributes = dict(node.attributes)
        if "dtype" in attributes and (target := _output_wider(op, node, wider)):
            attributes["dtype"] = ELEM_TYPES[target]
        cast = tuple(None if x is None else self.cast(node, x, wider.get(op.constraint(i)[0]))
                     for i, x in enumerate(inputs))
        results = self.outputs_of(op, node, cast, attributes)
        return tuple(None if new is None or old is None else self.cast(node, new, _dtype(old))
                     for old, new in zip(node.outputs, results, strict=True))

    def choose(self, op: Op, node: Node, inputs: Outputs) -> Mapping[str, str] | None:
        """Type variable -> wider dtype, the fewest and nearest for which there is a kernel."""
        given = _variables(op, inputs, node.outputs)
        if given is None or op.name in _EXACT_DTYPE:
            return None
        choices = [(dtype, *(w for w in WIDER.get(dtype, ()) if _may_widen(op, node, dtype) and (
            tensor_name(w) in _allowed(op, variable)))) for variable, dtype in given.items()]
        ins, outs = _types(inputs), _types(node.outputs)
        for steps in sorted(product(*(range(len(c)) for c in choices)), key=sum):
            chosen = {v: c[s] for v, c, s in zip(given, choices, steps, strict=True) if s}
            if chosen and has_kernel(op, _replaced(op.schema.inputs, ins, chosen),  # type: ignore[union-attr]
                                     _replaced(op.schema.outputs, outs, chosen),  # type: ignore[union-attr]
                                     self.providers):
                return chosen
        return None

    def expand(self, op: Op, node: Node, inputs: Outputs) -> Outputs | None:
        """Put the operators in place by which ONNX defines this one."""
        if op.name in ("Softplus", "Mish") and inputs[0] is not None:
            y = self.softplus(node, inputs[0])
            return (y if op.name == "Softplus" else self.make("Mul", node, inputs[0], self.make("Tanh", node, y)),)
        body = expand_function(op, node, inputs, self.opsets)
        return None if body is None else self.inline(body, tuple(x for x in inputs if x is not None))

    def softplus(self, node: Node, x: Operand) -> Operand:
        """`max(x, 0) + log1p(e)` with e = exp(-|x|), and `log1p(e) = log(1 + e) * e / ((1 + e) - 1)`.

        Source: Goldberg, "What every computer scientist should know about floating-point arithmetic", theorem 4.
        """
        zero, one = (constant(np.array(v, _dtype(x))) for v in (0, 1))
        e = self.make("Exp", node, self.make("Neg", node, self.make("Abs", node, x)))
        total = self.make("Add", node, e, one)
        rounded = self.make("Sub", node, total, one)
        exact = self.make("Mul", node, self.make("Log", node, total), self.make("Div", node, e, rounded))
        log1p = self.make("Where", node, self.make("Equal", node, rounded, zero), e, exact)
        return self.make("Add", node, self.make("Max", node, x, zero), log1p)

    def cast(self, node: Node, x: Operand, dtype: str | None) -> Operand:
        if dtype is None or _dtype(x) == dtype:
            return x
        if isinstance(x, Tensor) and not x.shape:
            return constant(convert_array(x.numpy(), dtype))
        return self.make("Cast", node, x, to=ELEM_TYPES[dtype])

    def make(self, name: str, like: Node, *inputs: Operand | None, **attributes: object) -> SymbolicTensor:
        op = find_op(name, "", self.opsets.get(""))
        made = Node(op, inputs, attributes, infer_types(op, inputs, attributes, 1), layer=like.layer,
                    source=like.source)
        return made.output

    def outputs_of(self, op: Op, like: Node, inputs: Outputs, attributes: Mapping[str, object]) -> Outputs:
        absent = frozenset(i for i, x in enumerate(like.outputs) if x is None)
        types = infer_types(op, inputs, attributes, len(like.outputs))
        return Node(op, inputs, attributes, types, absent=absent, layer=like.layer, source=like.source).outputs


def _may_be_empty(inputs: Outputs) -> bool:
    """Whether several operands of known rank may have no elements: then ONNX Runtime's Einsum kills the process."""
    shapes = [x.type.shape if x is not None and isinstance(x.type, TensorType) else None for x in inputs]
    return len(shapes) > 1 and None not in shapes and any(
        not isinstance(size, int) or size == 0 for shape in shapes for size in shape or ())


def _dtype(x: Operand) -> str | None:
    return x.type.dtype if isinstance(x.type, TensorType) else None


def _may_widen(op: Op, node: Node, dtype: str) -> bool:
    if dtype != "uint64":
        return True
    return op.name in MODULAR and node.attributes.get("reduction", "none") in ("none", "add", "mul")


def _allowed(op: Op, variable: str) -> frozenset[str]:
    assert op.schema is not None
    for constraint in op.schema.type_constraints:
        if constraint.type_param_str == variable:
            return frozenset(constraint.allowed_type_strs)
    return frozenset()


def _variables(op: Op, inputs: Outputs, outputs: Outputs) -> dict[str, str] | None:
    """The dtype of every type variable; None where one stands for several."""
    assert op.schema is not None
    found: dict[str, str] = {}
    for formal, values in ((op.schema.inputs, inputs), (op.schema.outputs, outputs)):
        for i, x in enumerate(values):
            dtype = None if x is None else _dtype(x)
            if dtype is None or not formal:
                continue
            variable = formal[min(i, len(formal) - 1)].type_str
            if variable not in DTYPES and found.setdefault(variable, dtype) != dtype:
                return None
    return found


def _replaced(formal: object, types: tuple[str, ...], chosen: Mapping[str, str]) -> tuple[str, ...]:
    names = [p.type_str for p in formal]  # type: ignore[attr-defined]
    return tuple(tensor_name(chosen[names[min(i, len(names) - 1)]]) if t and names[min(i, len(names) - 1)] in chosen
                 else t for i, t in enumerate(types))


def _output_wider(op: Op, node: Node, wider: Mapping[str, str]) -> str | None:
    assert op.schema is not None
    return wider.get(op.schema.outputs[0].type_str)
