"""Attention, rotary embeddings, and other ops that ONNX defines by others."""

import numpy as np

import symgraph as sg
from tests.autodiff.cases import Case, normal

onnx = sg.ops.onnx
MASK = np.array([[True, True, False], [True, False, True]])
POSITIONS = np.array([[4, 0, 2]], np.int64)

CASES = [
    Case("attention", lambda q, k, v: onnx("Attention", q, k, v),
         (normal(1, 2, 2, 4), normal(1, 2, 3, 4), normal(1, 2, 3, 2))),
    Case("attention, causal", lambda q, k, v: onnx("Attention", q, k, v, is_causal=1, scale=0.3),
         (normal(1, 1, 3, 2), normal(1, 1, 3, 2, seed=1), normal(1, 1, 3, 2, seed=2))),
    Case("attention, mask", lambda q, k, v: onnx("Attention", q, k, v, MASK),
         (normal(1, 1, 2, 2), normal(1, 1, 3, 2, seed=1), normal(1, 1, 3, 2, seed=2))),
    Case("attention, three axes", lambda q, k, v: onnx("Attention", q, k, v, q_num_heads=2, kv_num_heads=1),
         (normal(1, 2, 4), normal(1, 3, 2, seed=1), normal(1, 3, 2, seed=2)),
         dynamic=False),  # ONNX infers a width of 0
    Case("attention, softcap", lambda q, k, v: onnx("Attention", q, k, v, softcap=2.0),
         (normal(1, 1, 2, 2), normal(1, 1, 3, 2, seed=1), normal(1, 1, 3, 2, seed=2))),
    Case("attention, past", lambda q, k, v, pk, pv: onnx("Attention", q, k, v, None, pk, pv, outputs=3),
         (normal(1, 1, 2, 2), normal(1, 1, 2, 2, seed=1), normal(1, 1, 2, 2, seed=2), normal(1, 1, 1, 2),
          normal(1, 1, 1, 2, seed=3))),
    Case("dot_product_attention", lambda q, k, v: sg.dot_product_attention(q, k, v, is_causal=True),
         (normal(1, 3, 2, 2), normal(1, 3, 2, 2, seed=1), normal(1, 3, 2, 2, seed=2)), dynamic=False),
    Case("rotary embedding", lambda x, c, s: onnx("RotaryEmbedding", x, c, s),
         (normal(1, 2, 3, 4), normal(1, 3, 2), normal(1, 3, 2, seed=1)), dtype="float32"),
    Case("rotary embedding, interleaved", lambda x, c, s: onnx("RotaryEmbedding", x, c, s, interleaved=1),
         (normal(1, 2, 3, 4), normal(1, 3, 2), normal(1, 3, 2, seed=1)), dtype="float32"),
    Case("rotary embedding of three axes, in part", lambda x, c, s: onnx(
        "RotaryEmbedding", x, c, s, POSITIONS, num_heads=2, rotary_embedding_dim=2),
         (normal(1, 3, 8), normal(5, 1), normal(5, 1, seed=1)), dtype="float32"),
    Case("dropout at inference", lambda x: onnx("Dropout", x), (normal(2, 3),)),
]
