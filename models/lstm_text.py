"""A recurrent network that writes text letter by letter: `python -m symgraph.models lstm_text [FILE]`."""

from __future__ import annotations

from symgraph import layers
from symgraph.models.datasets import text_to_learn
from symgraph.models.sampling import generate
from symgraph.training.model import Model


def lstm_text(characters: int, units: int = 128, embedding: int = 64, depth: int = 1, name: str = "lstm_text") -> Model:
    """Embedding, `depth` LSTMs, scores: `(N, T)` characters to `(N, T, characters)` logits of the one that comes next.

    >>> import symgraph as sg
    >>> sg.models.lstm_text(65).predict(np.zeros((2, 7), np.int32)).shape
    (2, 7, 65)
    """
    text = layers.Input((None,), dtype="int32", name="text")
    x = layers.Embedding(characters, embedding, name="embedding")(text)
    for number in range(1, depth + 1):
        x = layers.LSTM(units, return_sequences=True, name=f"lstm{number}")(x)
    return Model(text, layers.Dense(characters, name="logits")(x), name=name)


def main(path: str | None = None, epochs: int = 2) -> Model:
    """Train on a text, look at what it remembers, let it write, export model and training step."""
    from symgraph.training.losses import SparseCategoricalCrossentropy
    from symgraph.training.optimizers import Adam

    text = text_to_learn(path)
    x, y = text.windows(64)
    model = lstm_text(len(text.characters))
    model.compile(Adam(3e-3), SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=epochs, validation_split=0.1, verbose=2)
    memory = model.execute(x[:1], "lstm1").numpy()[0]
    print(f"lstm1: {memory.shape[1]} numbers after each letter, the last {memory[-1, :4].round(2)} …")
    print(text.decode(generate(model, x[0, :8], 200, seed=0)))
    model.export("lstm_text.onnx")
    model.export_train_step("lstm_text_step.onnx")
    return model
