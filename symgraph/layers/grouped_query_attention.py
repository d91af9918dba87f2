"""Attention whose heads share keys and values in groups."""

from __future__ import annotations

from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import Shape
from symgraph.layers.multi_head_attention import HeadsLayer
from symgraph.layers.regularization import Seed

__all__ = ["GroupQueryAttention"]


class GroupQueryAttention(HeadsLayer):
    """`MultiHeadAttention` with fewer heads of keys and values than of queries: each serves neighbouring ones.

    `query` (batch, T, n), `value` and `key` (batch, S, ...) give (batch, T, n). One head of keys is multi-query
    attention, as many as of queries multi-head attention. Masks, gate and the other arguments are those of
    `MultiHeadAttention`.

    Weights, glorot_uniform, and biases, zeros: `query/kernel` (n, num_query_heads, head_dim), `query/bias`, `key` and
    `value` of `num_key_value_heads`, `gate` like `query`, `attention_output/kernel` (num_query_heads, head_dim, n),
    `attention_output/bias`.

    Errors: `LayerError` where shapes do not fit, or the heads of queries are no multiple of those of keys.

    Source: Ainslie et al. 2023, https://arxiv.org/abs/2305.13245

    >>> import symgraph as sg
    >>> x = sg.Input((None, 64))
    >>> sg.layers.GroupQueryAttention(head_dim=8, num_query_heads=8, num_key_value_heads=2)(x, x).shape
    (None, None, 64)
    """

    def __init__(
            self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
            use_bias: bool = True, sliding_window: int | None = None, flash_attention: bool | None = None,
            kernel_initializer: object = "glorot_uniform", bias_initializer: object = "zeros",
            kernel_regularizer: object = None, bias_regularizer: object = None, activity_regularizer: object = None,
            kernel_constraint: object = None, bias_constraint: object = None, use_gate: bool = False,
            seed: Seed = None, **options: Any) -> None:
        del flash_attention
        super().__init__(
            dropout, use_bias, sliding_window, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, use_gate, seed, **options)
        self.head_dim = self.whole("head_dim", head_dim)
        self.num_query_heads = self.whole("num_query_heads", num_query_heads)
        self.num_key_value_heads = self.whole("num_key_value_heads", num_key_value_heads)
        if self.num_query_heads % self.num_key_value_heads:
            raise self.error(f"num_query_heads {num_query_heads} must be a multiple of num_key_value_heads "
                             f"{num_key_value_heads}")

    def build(  # type: ignore[override]  # as in Keras, the shapes by the names of the arguments
            self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Make the projections, knowing the shapes of the inputs."""
        if len(query_shape) != 3:
            raise self.error(f"expects query of 3 dimensions (batch, steps, size), got shape {tuple(query_shape)}")
        self.build_inner(
            query_shape, value_shape, value_shape if key_shape is None else key_shape,
            (self.num_query_heads, self.num_key_value_heads), (self.head_dim, self.head_dim),
            (self.known_size(query_shape, -1, "query"),))

    def call(self, query: Operand, value: Operand, key: Operand | None = None, query_mask: Any = None,
             value_mask: Any = None, key_mask: Any = None, attention_mask: Any = None,
             return_attention_scores: bool = False, training: bool = False, use_causal_mask: bool = False) -> Any:
        """The output, and the scores where they are wanted."""
        return self.run(query, value, value if key is None else key, (1,), (query_mask, value_mask, key_mask),
                        attention_mask, is_causal=use_causal_mask, wants_scores=return_attention_scores,
                        training=training)

    def compute_output_shape(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> Shape:
        """The shape of the output for inputs of these shapes: that of the query."""
        return tuple(query_shape)
