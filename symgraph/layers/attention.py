"""Attention without projections: queries, values and keys as they come, answered by their product or their sum."""

from __future__ import annotations

from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import Shape, TensorType, promote_dtypes
from symgraph.core.variable import Variable
from symgraph.layers.attention_masks import as_bool, causal_mask, merge_masks
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.regularization import Dropout, Seed
from symgraph.ops.activations import softmax
from symgraph.ops.arithmetic import add, multiply
from symgraph.ops.indexing import where
from symgraph.ops.linalg import matmul
from symgraph.ops.promotion import as_operand, cast_to
from symgraph.ops.reductions import sum as reduce_sum
from symgraph.ops.shape import expand_dims, swapaxes
from symgraph.ops.sizes import dimension
from symgraph.ops.trigonometry import tanh

__all__ = ["AdditiveAttention", "Attention"]

SCORE_MODES = ("dot", "concat")
LOWEST = -1e9


class Attention(CheckedLayer):
    """`softmax(scale * query keyᵀ) value` of `[query, value]` or `[query, value, key]`; without `key`, `value` is both.

    (batch, T, n), (batch, S, m) and (batch, S, n) give (batch, T, m); there may be more axes in front. With
    `score_mode="concat"` the scores are `concat_score_weight * sum(tanh(scale * (query + key)))`. With
    `return_attention_scores` the softmax follows, (batch, T, S), as it is before dropout.

    `mask` is a list of those of queries and values, (batch, T) and (batch, S), or None: outputs of queries that do not
    count are 0, values that do not count are left out; where none counts, all do. `use_causal_mask` hides keys later
    than the query.

    Weights: scalars, 1 at first: `scale` with `use_scale`, `concat_score_weight` with `score_mode="concat"`.

    Source: Luong et al. 2015, https://arxiv.org/abs/1508.04025

    >>> import symgraph as sg
    >>> q, v = sg.Input((5, 8)), sg.Input((None, 8))
    >>> sg.layers.Attention()([q, v]).shape
    (None, 5, 8)
    """

    supports_masking = True

    def __init__(self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed: Seed = None,
                 **options: Any) -> None:
        super().__init__(**options)
        self.use_scale = use_scale
        self.score_mode = self.one_of("score_mode", score_mode, SCORE_MODES)
        self.dropout = self.share("dropout", dropout)
        self.seed = seed
        self._drop = Dropout(self.dropout, seed=seed, dtype=self.dtype_policy) if self.dropout else None
        self.scale: Variable | None = None
        self.concat_score_weight: Variable | None = None

    def _check_inputs(self, inputs: Any) -> None:
        if not isinstance(inputs, list | tuple) or len(inputs) not in (2, 3) or not all(
                isinstance(x, Operand) and isinstance(x.type, TensorType) and x.type.shape is not None
                for x in inputs):
            got = f"{len(inputs)} of them" if isinstance(inputs, list | tuple) else (
                str(inputs.type) if isinstance(inputs, Operand) else repr(inputs))
            raise self.error(f"expects a list of tensors, [query, value] or [query, value, key], got {got}")
        query, value, key = inputs[0], inputs[1], inputs[-1]
        shapes = ", ".join(str(x.type) for x in inputs)
        if query.ndim < 2 or not query.ndim == value.ndim == key.ndim:
            raise self.error(f"expects query, value and key of equal rank, at least 2, got {shapes}")
        for what, a, b in (("query and key differ in size", query.shape[-1], key.shape[-1]),
                           ("value and key differ in length", value.shape[-2], key.shape[-2])):
            if isinstance(a, int) and isinstance(b, int) and a != b:
                raise self.error(f"{what}, {a} and {b}: {shapes}")

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def scores(self, query: Operand, key: Operand) -> Operand:
        """How well each key answers each query: (batch, T, S)."""
        if self.score_mode == "dot":
            y = matmul(query, swapaxes(key, -2, -1))
            return y if self.scale is None else multiply(y, self.scale)
        total = add(expand_dims(query, -2), expand_dims(key, -3))
        y = reduce_sum(tanh(total if self.scale is None else multiply(self.scale, total)), axis=-1)
        return multiply(self.concat_score_weight, y)

    def call(self, inputs: Any, mask: Any = None, training: bool = False, return_attention_scores: bool = False,
             use_causal_mask: bool = False) -> Any:
        """The output, and the weights where they are wanted."""
        query, value, key = inputs[0], inputs[1], inputs[-1]
        query_mask, value_mask = self._masks(mask)
        scores = self.scores(query, key)
        causal = causal_mask(dimension(query, -2), dimension(key, -2)) if use_causal_mask else None
        kept = merge_masks(None if value_mask is None else expand_dims(value_mask, -2), causal)
        weights = self._weights_of(scores, kept)
        y: Any = matmul(self._drop(weights, training=True) if self._drop is not None and training else weights, value)
        if query_mask is not None:
            y = where(expand_dims(query_mask, -1), y, 0)
        return (y, weights) if return_attention_scores else y

    def _masks(self, mask: Any) -> tuple[Operand | None, Operand | None]:
        if mask is None:
            return None, None
        if not isinstance(mask, list | tuple) or len(mask) not in (2, 3):
            raise self.error(f"mask is a list of the masks of query and value, or None for one, got {mask!r}")
        query, value = (None if each is None else as_bool(each) for each in mask[:2])
        return query, value

    @staticmethod
    def _weights_of(scores: Operand, kept: Operand | None) -> Operand:
        x = cast_to(scores, promote_dtypes(scores.dtype, "float32"))
        if kept is not None:
            x = add(x, where(kept, as_operand(0.0, x.dtype), as_operand(LOWEST, x.dtype)))
        return cast_to(softmax(x), scores.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the queries."""
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else None

    def compute_output_shape(self, input_shape: Any) -> Shape:
        """The shape of the output for inputs of these shapes."""
        return (*input_shape[0][:-1], input_shape[1][-1])


class AdditiveAttention(Attention):
    """`Attention` with the scores `sum(scale * tanh(query + key))`.

    Weights: `scale` (n,), glorot_uniform, with `use_scale`.

    Source: Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473

    >>> import symgraph as sg
    >>> sg.layers.AdditiveAttention()([sg.Input((5, 8)), sg.Input((None, 8))]).shape
    (None, 5, 8)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, seed: Seed = None, **options: Any) -> None:
        super().__init__(use_scale, "dot", dropout, seed, **options)

    def build(self, input_shape: Any) -> None:
        """Make the scale, of the size of the queries."""
        if self.use_scale:
            self.scale = self.add_weight((self.known_size(input_shape[0], -1, "query"),), "glorot_uniform",
                                         name="scale")

    def scores(self, query: Operand, key: Operand) -> Operand:
        y = tanh(add(expand_dims(query, -2), expand_dims(key, -3)))
        if self.scale is None:
            return reduce_sum(y, axis=-1)
        return matmul(y, self.scale)
