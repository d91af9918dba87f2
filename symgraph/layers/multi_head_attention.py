"""Attention of many heads, with projections of queries, keys, values and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.core.scope import layer_scope
from symgraph.core.tensor import Operand
from symgraph.core.types import Dim, Shape, TensorType, format_dims
from symgraph.layers import constraints, initializers, regularizers
from symgraph.layers.attention_heads import attend
from symgraph.layers.attention_masks import as_bool, causal_mask, merge_masks, step_masks, window_mask
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.einsum import EinsumDense
from symgraph.layers.layer import Layer
from symgraph.layers.regularization import Dropout, Seed
from symgraph.ops.arithmetic import multiply
from symgraph.ops.sizes import dimension

__all__ = ["HeadsLayer", "MultiHeadAttention"]


class HeadsLayer(CheckedLayer):
    """What attention of many heads has in common: the projections, the masks, the products."""

    supports_masking = True
    min_ndim = 3

    def __init__(
            self, dropout: float, use_bias: bool, sliding_window: int | None, kernel_initializer: object,
            bias_initializer: object, kernel_regularizer: object, bias_regularizer: object,
            activity_regularizer: object, kernel_constraint: object, bias_constraint: object, use_gate: bool,
            seed: Seed, **options: Any) -> None:
        super().__init__(**options)
        self.dropout = self.share("dropout", dropout)
        self.use_bias = use_bias
        self.use_gate = use_gate
        self.sliding_window = None if sliding_window is None else self.whole("sliding_window", sliding_window)
        self.seed = seed
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self._shared: dict[str, Any] = {
            "kernel_regularizer": regularizers.get(kernel_regularizer),
            "bias_regularizer": regularizers.get(bias_regularizer),
            "activity_regularizer": regularizers.get(activity_regularizer),
            "kernel_constraint": constraints.get(kernel_constraint),
            "bias_constraint": constraints.get(bias_constraint)}

    def _check_inputs(self, inputs: Any) -> None:
        """Of several inputs, `build` checks the shapes."""

    def add_projection(self, name: str, input_shape: Shape, inner: int, sizes: Sequence[int],
                       activation: object = None) -> EinsumDense:
        """A dense layer from the last `inner` axes to axes of these sizes."""
        letters = "abcdefghijklmnopqrstuvwxyz"
        old, new = letters[:inner], letters[inner:inner + len(sizes)]
        layer = EinsumDense(f"...{old},{old}{new}->...{new}", output_shape=tuple(sizes), activation=activation,
                            bias_axes=new if self.use_bias else None, name=name, dtype=self.dtype_policy,
                            kernel_initializer=_anew(self.kernel_initializer),
                            bias_initializer=_anew(self.bias_initializer), **self._shared)
        layer.supports_masking = True  # `run` is where masks count
        with layer_scope(name):
            layer.build(input_shape)
        return layer

    def build_inner(self, query: Shape, value: Shape, key: Shape, heads: tuple[int, int], sizes: tuple[int, int],
                    output_shape: Sequence[int]) -> None:
        """Make the projections: `heads` of queries and of keys, the size of each key and of each value."""
        for name, given in (("query", query), ("value", value), ("key", key)):
            if len(given) < 3:
                raise self.error(f"expects {name} of at least 3 dimensions (batch, steps, size), got shape "
                                 f"({format_dims(given)})")
        if len(value) != len(key) or any(map(_differ, value[1:-1], key[1:-1])):
            raise self.error(f"value and key differ in their last dimension at most, got shapes "
                             f"({format_dims(value)}) and ({format_dims(key)})")
        own, shared = heads
        self.query_dense = self.add_projection("query", query, 1, (own, sizes[0]))
        self.key_dense = self.add_projection("key", key, 1, (shared, sizes[0]))
        self.gate_dense = None
        if self.use_gate:
            self.gate_dense = self.add_projection("gate", query, 1, (own, sizes[1]), "sigmoid")
        self.value_dense = self.add_projection("value", value, 1, (shared, sizes[1]))
        self.output_dense = self.add_projection("attention_output", (*query[:-1], own, sizes[1]), 2, output_shape)
        self._drop = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy) if self.dropout else None

    def run(self, query: Operand, value: Operand, key: Operand, axes: Sequence[int], masks: Sequence[Any],
            attention_mask: Any, *, is_causal: bool, wants_scores: bool, training: bool) -> Any:
        """The output, and the scores where they are wanted."""
        for name, x, projection in (("query", query, self.query_dense), ("value", value, self.value_dense),
                                    ("key", key, self.key_dense)):
            self._check(name, x, projection)
        lengths = [(query.shape[axis], value.shape[axis], key.shape[axis]) for axis in axes]
        if any(_differ(v, k) for _, v, k in lengths):
            raise self.error(f"expects value and key of equal length, got {value.type} and {key.type}")
        if isinstance(attention_mask, Operand) and isinstance(attention_mask.type, TensorType):
            wanted = [*(q for q, _, _ in lengths), *(v for _, v, _ in lengths)]
            given = attention_mask.type.shape or ()
            if any(a != 1 and _differ(a, b) for a, b in zip(given[::-1], wanted[::-1], strict=False)):
                raise self.error(f"expects an attention_mask whose last dimensions are ({format_dims(wanted)}), got "
                                 f"{attention_mask.type}")
        mask = self._merged_mask(query, value, axes, masks, attention_mask, is_causal=is_causal)
        is_open = mask is None or (is_causal and self.sliding_window is None and attention_mask is None
                                   and all(m is None for m in masks))
        q, k, v = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        gate = None if self.gate_dense is None else self.gate_dense(query)
        is_zeroed = not is_open and (bool(self.dropout) or wants_scores or query.ndim != 3)
        drop = None if self._drop is None or not training else self._dropped
        mixed, scores = attend(q, k, v, axes, mask, is_zeroed=is_zeroed, drop=drop)
        y = self.output_dense(mixed if gate is None else multiply(mixed, gate))
        return (y, scores) if wants_scores else y

    def _dropped(self, weights: Operand) -> Operand:
        assert self._drop is not None
        y: Operand = self._drop(weights, training=True)
        return y

    def _check(self, name: str, x: Any, projection: Layer) -> None:
        if not isinstance(x, Operand) or not isinstance(x.type, TensorType) or x.type.shape is None:
            raise self.error(f"expects {name} as a tensor of known rank, got {x!r}")
        size = projection.weights[0].shape[0]
        if isinstance(x.shape[-1], int) and x.shape[-1] != size:
            raise self.error(f"expects {name} whose last dimension is {size}, got {x.type}")

    def _merged_mask(self, query: Operand, value: Operand, axes: Sequence[int], masks: Sequence[Any],
                     attention_mask: Any, *, is_causal: bool) -> Operand | None:
        automatic: list[Operand | None] = step_masks(*masks)
        if is_causal or self.sliding_window is not None:
            if len(axes) != 1:
                word = "use_causal_mask" if is_causal else "sliding_window"
                raise self.error(f"{word} needs attention along one axis, got attention_axes {tuple(axes)}")
            lengths = dimension(query, axes[0]), dimension(value, axes[0])
            automatic.append(causal_mask(*lengths) if is_causal else None)
            if self.sliding_window is not None:
                automatic.append(window_mask(*lengths, self.sliding_window))
        merged = merge_masks(None if attention_mask is None else as_bool(attention_mask), *automatic)
        most = query.ndim + len(axes)
        if merged is not None and not 2 * len(axes) <= merged.ndim <= most:
            raise self.error(f"a mask has {2 * len(axes)} to {most} dimensions here, the last ones for queries and "
                             f"keys; got {merged.type}")
        return merged


def _differ(a: Dim, b: Dim) -> bool:
    """Whether two sizes are known to be different."""
    return isinstance(a, int) and isinstance(b, int) and a != b


def _anew(initializer: Any) -> Any:
    """An equal initializer with a seed of its own, where none was given: each projection starts from other numbers."""
    is_seedless = isinstance(initializer, initializers.Initializer) and initializer.get_config().get("seed") is None
    return initializer.clone() if is_seedless else initializer


class MultiHeadAttention(HeadsLayer):
    """`(softmax(q kᵀ / sqrt(key_dim)) v) @ w + b` for `num_heads` heads, with `q = query @ w_q + b_q`, and k, v alike.

    `query` (batch, T, n), `value` and `key` (batch, S, ...) give (batch, T, n), or (batch, T, *output_shape). Without
    `key`, `value` is both. With `return_attention_scores` the softmax follows, (batch, heads, T, S).

    A query looks at a key where all masks are True: `attention_mask` (batch, T, S), the `mask`s that the inputs carry
    (or `query_mask`, `value_mask`, `key_mask`), with `use_causal_mask` those of keys no later than the query, with
    `sliding_window` those less than so many steps away. As in Keras, a query that sees no key takes the mean of all
    values; nothing where the layer has dropout, returns the scores, or takes inputs of more than three dimensions.

    Inputs may have more axes: attention goes along `attention_axes`, all between the batch and the last by default.
    `use_gate` multiplies the heads with `sigmoid(query @ w_g + b_g)`. `flash_attention` changes nothing: what runs is
    chosen when the graph is compiled.

    Weights, glorot_uniform, and biases, zeros: `query/kernel` (n, num_heads, key_dim), `query/bias` (num_heads,
    key_dim), alike those of `key`, `gate`, `value`; `attention_output/kernel` (num_heads, value_dim, n) and `bias`.

    Errors: `LayerError` where shapes do not fit.

    Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762

    >>> import symgraph as sg
    >>> x = sg.Input((None, 64))
    >>> sg.layers.MultiHeadAttention(num_heads=8, key_dim=8)(x, x, use_causal_mask=True).shape
    (None, None, 64)
    """

    def __init__(
            self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0,
            use_bias: bool = True, output_shape: int | Sequence[int] | None = None,
            attention_axes: int | Sequence[int] | None = None, sliding_window: int | None = None,
            flash_attention: bool | None = None, kernel_initializer: object = "glorot_uniform",
            bias_initializer: object = "zeros", kernel_regularizer: object = None, bias_regularizer: object = None,
            activity_regularizer: object = None, kernel_constraint: object = None, bias_constraint: object = None,
            use_gate: bool = False, seed: Seed = None, **options: Any) -> None:
        del flash_attention
        super().__init__(
            dropout, use_bias, sliding_window, kernel_initializer, bias_initializer, kernel_regularizer,
            bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint, use_gate, seed, **options)
        self.num_heads = self.whole("num_heads", num_heads)
        self.key_dim = self.whole("key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else self.whole("value_dim", value_dim)
        sizes = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape or ())
        self._output_sizes = tuple(self.whole("an entry of output_shape", size) for size in sizes)
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.attention_axes = None if axes is None else tuple(
            self.whole("an entry of attention_axes", axis, low=-(2**31)) for axis in axes)

    def build(  # type: ignore[override]  # as in Keras, the shapes by the names of the arguments
            self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        """Make the projections, knowing the shapes of the inputs."""
        if len(query_shape) > 2:
            self._axes_of(len(query_shape))
        self.build_inner(
            query_shape, value_shape, value_shape if key_shape is None else key_shape, (self.num_heads,) * 2,
            (self.key_dim, self.value_dim), self._output_sizes or (self.known_size(query_shape, -1, "query"),))

    def _axes_of(self, rank: int) -> tuple[int, ...]:
        """The axes along which attention goes, for inputs of this rank."""
        given = tuple(range(1, rank - 1)) if self.attention_axes is None else self.attention_axes
        axes = tuple(axis + rank if axis < 0 else axis for axis in given)
        if not axes or len(set(axes)) < len(axes) or any(not 0 < axis < rank - 1 for axis in axes):
            raise self.error(f"attention_axes are axes between the batch and the last of {rank}, got {tuple(given)}")
        return axes

    def call(self, query: Operand, value: Operand, key: Operand | None = None, query_mask: Any = None,
             value_mask: Any = None, key_mask: Any = None, attention_mask: Any = None,
             return_attention_scores: bool = False, training: bool = False, use_causal_mask: bool = False) -> Any:
        """The output, and the scores where they are wanted."""
        return self.run(query, value, value if key is None else key, self._axes_of(query.ndim),
                        (query_mask, value_mask, key_mask), attention_mask, is_causal=use_causal_mask,
                        wants_scores=return_attention_scores, training=training)

    def compute_output_shape(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> Shape:
        """The shape of the output for inputs of these shapes."""
        return (*query_shape[:-1], *(self._output_sizes or query_shape[-1:]))
