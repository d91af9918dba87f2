"""Rotary embeddings by other ops, for their gradient."""

from __future__ import annotations

from symgraph.core.gradient import expansion_of
from symgraph.core.tensor import Operand
from symgraph.ops.applying import apply
from symgraph.ops.sizes import INT64_MAX, ints


@expansion_of("RotaryEmbedding")
def _rotary_embedding(x: Operand, cos: Operand, sin: Operand, position_ids: Operand | None = None, *,
                      interleaved: int = 0, num_heads: int = 0, rotary_embedding_dim: int = 0) -> Operand:
    """`(a, b) -> (a·cos - b·sin, a·sin + b·cos)` for pairs of features: halves, or neighbours where interleaved.

    x is (batch, heads, length, size), or (batch, length, heads·size). Features behind those that turn stay.
    """
    del rotary_embedding_dim  # twice the width of the caches
    if x.ndim == 3:
        heads = apply("Transpose", apply("Reshape", x, ints(0, 0, num_heads, -1)), perm=(0, 2, 1, 3))
        turned = apply("Transpose", _rotated(heads, cos, sin, position_ids, interleaved), perm=(0, 2, 1, 3))
        return apply("Reshape", turned, apply("Shape", x), allowzero=1)
    return _rotated(x, cos, sin, position_ids, interleaved)


def _rotated(x: Operand, cos: Operand, sin: Operand, position_ids: Operand | None, interleaved: int) -> Operand:
    if position_ids is not None:
        cos, sin = (apply("Gather", cache, position_ids, axis=0) for cache in (cos, sin))
    half = apply("Shape", cos, start=-1)
    cos, sin = (apply("Unsqueeze", cache, ints(1)) for cache in (cos, sin))
    moving = apply("Slice", x, ints(0), 2 * half, ints(-1))
    if interleaved:
        a, b = (apply("Slice", moving, ints(start), ints(INT64_MAX), ints(-1), ints(2)) for start in (0, 1))
        pairs = [apply("Unsqueeze", part, ints(-1)) for part in (a * cos - b * sin, a * sin + b * cos)]
        moved = apply("Reshape", apply("Concat", *pairs, axis=-1), apply("Shape", moving), allowzero=1)
    else:
        a, b = apply("Slice", moving, ints(0), half, ints(-1)), apply("Slice", moving, half, 2 * half, ints(-1))
        moved = apply("Concat", a * cos - b * sin, a * sin + b * cos, axis=-1)
    return apply("Concat", moved, apply("Slice", x, 2 * half, ints(INT64_MAX), ints(-1)), axis=-1)
