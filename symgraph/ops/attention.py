"""Attention: a mean of values, weighted by how well keys answer queries."""

from __future__ import annotations

import math

import numpy as np

from symgraph.core.errors import DtypeError, ShapeError
from symgraph.core.tensor import Operand
from symgraph.core.types import numpy_dtype
from symgraph.ops.activations import as_float
from symgraph.ops.applying import apply
from symgraph.ops.promotion import as_operand, promote
from symgraph.ops.sizes import dimension, dimensions, ints, vector

__all__ = ["dot_product_attention"]


def dot_product_attention(query: object, key: object, value: object, bias: object = None, mask: object = None,
                          scale: float | None = None, is_causal: bool = False) -> Operand:
    """`softmax(query keyᵀ scale + bias) value` for each head.

    `query` is (batch, T, heads, size), `key` and `value` are (batch, S, heads, size); with fewer heads, each of
    them serves neighbouring heads of `query`. `scale` is `1 / sqrt(size)` unless given. `bias` is added to the
    scores (batch, heads, T, S), and where the boolean `mask` is False they count for nothing; both broadcast.
    `is_causal` hides from position t every key after t. The result has the shape of `query`.

    Errors: `ShapeError` where the shapes do not fit, `DtypeError` for a mask that is not boolean.

    Vaswani et al. 2017; grouped heads: Ainslie et al. 2023.
    """
    q, k, v = promote(as_float(query), as_float(key), as_float(value))
    if not q.ndim == k.ndim == v.ndim == 4:
        raise ShapeError("dot_product_attention: query, key and value are (batch, length, heads, size), "
                         f"got shapes {q.shape}, {k.shape} and {v.shape}")
    k, v = (_for_heads(x, q) for x in (k, v))
    factor = _scale(q) if scale is None else as_operand(scale, q.dtype)
    scores = apply("MatMul", apply("Transpose", apply("Mul", q, factor), perm=(0, 2, 1, 3)),
                   apply("Transpose", k, perm=(0, 2, 3, 1)))
    if bias is not None:
        scores = apply("Add", scores, as_operand(bias, q.dtype))
    kept = None
    if mask is not None:
        kept = as_operand(mask)
        if kept.dtype != "bool":
            raise DtypeError(f"dot_product_attention: mask is boolean, True where keys count, got {kept.dtype}")
    if is_causal:
        past = _causal(q, k)
        kept = past if kept is None else apply("And", kept, past)
    if kept is not None:
        lowest = float(np.float64(np.finfo(np.float16 if q.dtype == "float16" else np.float32).min) * 0.7)
        scores = apply("Where", kept, scores, as_operand(lowest, q.dtype))
    weights = apply("Softmax", scores, axis=-1)
    mixed = apply("MatMul", weights, apply("Transpose", v, perm=(0, 2, 1, 3)))
    return apply("Transpose", mixed, perm=(0, 2, 1, 3))


def _scale(q: Operand) -> Operand:
    size = dimension(q, 3)
    if isinstance(size, int):
        return as_operand(np.array(1 / math.sqrt(size), numpy_dtype(q.dtype)))
    return apply("Reciprocal", apply("Sqrt", apply("CastLike", size, q)))


def _for_heads(x: Operand, q: Operand) -> Operand:
    """Keys or values with as many heads as `q` has: each repeated for its neighbours."""
    heads, given = q.shape[2], x.shape[2]
    if heads == given or not (isinstance(heads, int) and isinstance(given, int)):
        return x
    if given == 0 or heads % given:
        raise ShapeError(f"dot_product_attention: {heads} heads of queries cannot share {given} heads of keys")
    batch, length, _, size = dimensions(x)
    wide = apply("Expand", apply("Unsqueeze", x, ints(3)), ints(1, 1, 1, heads // given, 1))
    return apply("Reshape", wide, vector([batch, length, heads, size]), allowzero=1)


def _causal(q: Operand, k: Operand) -> Operand:
    """True where the key is no later than the query: (T, S)."""
    lengths = [dimension(x, 1) for x in (q, k)]
    rows, columns = (apply("Range", np.int64(0), n if isinstance(n, Operand) else np.int64(n), np.int64(1))
                     for n in lengths)
    return apply("GreaterOrEqual", apply("Unsqueeze", rows, ints(1)), columns)
