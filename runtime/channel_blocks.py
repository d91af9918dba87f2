"""The layout ONNX Runtime's fastest convolutions work in: channels in blocks of as many as a vector register holds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from symgraph.runtime.kernels import has_operator
from symgraph.runtime.microsoft import BLOCKED
from symgraph.runtime.ort import CPU, onnxruntime, session_options

DOMAIN = BLOCKED
"""Operators on tensors (batch, channels / block, height, width, block); types say (batch, channels, height, width)."""

_LARGEST = 64


@lru_cache(maxsize=1)
def channel_block() -> int:
    """How many channels a block has on this processor (16 with AVX-512, 8 with AVX); 0 where there is no such layout.

    ONNX Runtime does not tell: it is found by looking at where an element of a tensor ends up.
    """
    if not has_operator("ReorderInput", DOMAIN):
        return 0
    x = np.arange(2 * _LARGEST, dtype=np.float32).reshape(1, _LARGEST, 1, 2)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)
    graph = helper.make_graph([helper.make_node("ReorderInput", ["x"], ["y"], domain=DOMAIN)], "probe", [given], [made])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    try:
        session: Any = onnxruntime().InferenceSession(
            model.SerializeToString(), session_options(threads=1, optimize=False), providers=[CPU])
        found = np.asarray(session.run(None, {"x": x})[0]).ravel().tolist()
    except Exception:
        return 0
    block = found.index(1.0)  # the second point of the first channel comes after the first points of a block
    return block if block > 1 else 0
