"""Eager mode: an op on values is a graph of one node, compiled once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from symgraph.core.errors import OpError
from symgraph.core.inference import attribute_to_proto, freeze_attributes, infer_types
from symgraph.core.op import DEFAULT_IR_VERSION, Op, default_opset
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, type_to_proto
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.ort import onnxruntime, uses_global_threads

_KERNELS: dict[object, Any] = {}


def evaluate_op(op: Op, operands: tuple[Operand | None, ...], attributes: Mapping[str, Any],
                wanted: tuple[bool, ...]) -> tuple[Tensor | None, ...]:
    """Run one op on values through its cached session."""
    arrays = [x.numpy() for x in operands if x is not None]  # type: ignore[attr-defined]
    key = (op, tuple(None if x is None else x.type.dtype for x in operands), freeze_attributes(attributes), wanted)
    session = _KERNELS.get(key)
    if session is None:
        session = _KERNELS[key] = _compile(op, operands, attributes, wanted)
    names = [f"i{i}" for i, x in enumerate(operands) if x is not None]
    try:
        results = iter(session.run(None, dict(zip(names, arrays, strict=True))))
    except Exception as error:
        infer_types(op, operands, attributes, len(wanted))
        raise OpError(f"{op}: {error}") from None
    return tuple(Tensor(np.asarray(next(results))) if w else None for w in wanted)


def _compile(op: Op, operands: tuple[Operand | None, ...], attributes: Mapping[str, Any],
             wanted: tuple[bool, ...]) -> Any:
    ort = onnxruntime()
    types = infer_types(op, operands, attributes, len(wanted))
    node = NodeProto(op_type=op.name, domain=op.domain,
                     input=["" if x is None else f"i{i}" for i, x in enumerate(operands)],
                     output=[f"o{i}" if w else "" for i, w in enumerate(wanted)])
    for name, value in attributes.items():
        node.attribute.append(attribute_to_proto(name, value, op))
    inputs = [helper.make_value_info(f"i{i}", type_to_proto(TensorType(x.dtype, None)))
              for i, x in enumerate(operands) if x is not None]
    outputs = [helper.make_value_info(f"o{i}", type_to_proto(TensorType(t.dtype, None) if isinstance(t, TensorType) else t))
               for i, (t, w) in enumerate(zip(types, wanted, strict=True)) if w]
    graph = helper.make_graph([node], op.name, inputs, outputs)
    opset = max(default_opset(op.domain), op.version)
    if op.last_version < opset:
        opset = op.last_version
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(op.domain, opset)],
                              ir_version=DEFAULT_IR_VERSION)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if uses_global_threads():
        options.use_per_session_threads = False
    else:
        options.intra_op_num_threads = 1
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise OpError(f"{op}: ONNX Runtime cannot run it: {error}") from None
