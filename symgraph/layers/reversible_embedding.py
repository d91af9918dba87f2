"""An embedding that also leads back: from vectors to a score for each number."""

from __future__ import annotations

from typing import Any

from symgraph.core.tensor import Operand
from symgraph.core.types import as_dtype
from symgraph.layers.core import Embedding
from symgraph.ops.arithmetic import multiply, true_divide
from symgraph.ops.casting import cast
from symgraph.ops.linalg import matmul
from symgraph.ops.shape import transpose
from symgraph.ops.trigonometry import tanh

__all__ = ["ReversibleEmbedding"]


class ReversibleEmbedding(Embedding):
    """`embeddings[x]`, as `Embedding`; with `reverse=True` the scores `x @ embeddingsᵀ`, (..., n) -> (..., input_dim).

    With `tie_weights=False` the way back has a matrix of its own. It computes in `reverse_dtype`, by default the
    `compute_dtype`. With `logit_soft_cap` the scores y are `cap * tanh(y / cap)`.

    Weights: as `Embedding`; with `tie_weights=False` `reverse_embeddings` (output_dim, input_dim), which starts alike.

    Source: Press and Wolf 2016, https://arxiv.org/abs/1608.05859

    >>> import symgraph as sg
    >>> layer = sg.layers.ReversibleEmbedding(100, 8)
    >>> y = layer(sg.Input((5,), dtype="int32"))
    >>> layer(y, reverse=True).shape
    (None, 5, 100)
    """

    def __init__(
            self, input_dim: int, output_dim: int, tie_weights: bool = True,
            embeddings_initializer: object = "uniform", embeddings_regularizer: object = None,
            embeddings_constraint: object = None, mask_zero: bool = False, reverse_dtype: object = None,
            logit_soft_cap: float | None = None, **options: Any) -> None:
        super().__init__(input_dim, output_dim, embeddings_initializer, embeddings_regularizer,
                         embeddings_constraint, mask_zero, **options)
        self.tie_weights = tie_weights
        self.reverse_dtype = None if reverse_dtype is None else as_dtype(reverse_dtype)
        if logit_soft_cap is not None and not logit_soft_cap > 0:
            raise self.error(f"logit_soft_cap must be a positive number, got {logit_soft_cap!r}")
        self.logit_soft_cap = logit_soft_cap

    def build(self, input_shape: Any) -> None:
        """Make the weights."""
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight((self.output_dim, self.input_dim), self.embeddings_initializer,
                                                      name="reverse_embeddings")

    def call(self, inputs: Operand, reverse: bool = False) -> Any:
        """The vectors, or with `reverse` the scores."""
        if not reverse:
            y: Any = super().call(inputs)
            y.mask = super().compute_mask(inputs)
            return y
        dtype = self.reverse_dtype or self.compute_dtype
        matrix = transpose(self.embeddings) if self.tie_weights else self.reverse_embeddings
        y = matmul(cast(inputs, dtype), cast(matrix, dtype))
        return y if self.logit_soft_cap is None else multiply(tanh(true_divide(y, self.logit_soft_cap)),
                                                               self.logit_soft_cap)

    def compute_mask(self, inputs: Operand, previous_mask: Any = None) -> None:
        """None: `call` has set the mask, which scores have none of."""
        return None
