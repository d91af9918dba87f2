"""A small transformer that writes text letter by letter: `python -m symgraph.models gpt [FILE]`."""

from __future__ import annotations

from typing import Any

from symgraph import layers, ops
from symgraph.models.datasets import text_to_learn
from symgraph.models.sampling import generate
from symgraph.training.model import Model


class PositionEmbedding(layers.Layer):
    """`x[t] + w[t]`: what stands where, for up to `length` places."""

    def __init__(self, length: int, **options: Any) -> None:
        super().__init__(**options)
        self.length = length

    def build(self, input_shape: Any) -> None:
        self.positions = self.add_weight((self.length, input_shape[-1]), "uniform", name="positions")

    def call(self, inputs: Any) -> Any:
        return inputs + self.positions[:ops.shape(inputs)[1]]


def gpt(characters: int, length: int = 64, width: int = 128, depth: int = 4, heads: int = 4, dropout: float = 0.0,
        name: str = "gpt") -> Model:
    """A decoder of `depth` blocks (Radford et al. 2019): `(N, T)` characters to `(N, T, characters)` logits.

    A block is `x + attention(norm(x))`, then `x + dense(gelu(dense(norm(x))))`; no place sees a later one. T may be
    anything up to `length`.

    >>> import symgraph as sg
    >>> sg.models.gpt(65, depth=1).predict(np.zeros((2, 7), np.int32)).shape
    (2, 7, 65)
    """
    text = layers.Input((None,), dtype="int32", name="text")
    x = layers.Embedding(characters, width, name="embedding")(text)
    x = PositionEmbedding(length, name="positions")(x)
    for number in range(1, depth + 1):
        x = _block(x, width, heads, dropout, f"block{number}")
    x = layers.LayerNormalization(name="norm")(x)
    return Model(text, layers.Dense(characters, name="logits")(x), name=name)


def _block(x: Any, width: int, heads: int, dropout: float, name: str) -> Any:
    y = layers.LayerNormalization(name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(heads, width // heads, dropout=dropout, name=f"{name}_attention")(
        y, y, use_causal_mask=True)
    x = layers.Add(name=f"{name}_sum1")([x, layers.Dropout(dropout, name=f"{name}_dropout1")(y)])
    y = layers.LayerNormalization(name=f"{name}_norm2")(x)
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}_dense1")(y)
    y = layers.Dense(width, name=f"{name}_dense2")(y)
    return layers.Add(name=name)([x, layers.Dropout(dropout, name=f"{name}_dropout2")(y)])


def main(path: str | None = None, epochs: int = 2) -> Model:
    """Train on a text, look at a block, let it write, export model and training step."""
    from symgraph.training.losses import SparseCategoricalCrossentropy
    from symgraph.training.optimizers import AdamW

    text = text_to_learn(path)
    x, y = text.windows(64)
    model = gpt(len(text.characters))
    model.compile(AdamW(1e-3), SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=epochs, batch_size=16, validation_split=0.1, verbose=2)
    inside = model.execute(x[:1], "block1").numpy()[0]
    print(f"block1: {inside.shape[1]} numbers for each letter, the last {inside[-1, :4].round(2)} …")
    print(text.decode(generate(model, x[0, :8], 200, window=64, seed=0)))
    model.export("gpt.onnx")
    model.export_train_step("gpt_step.onnx")
    return model
