"""Real data that is at hand on every machine, for the examples of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from symgraph.core.errors import FormatError, MissingDependencyError

Array = np.ndarray[Any, Any]


class Digits(NamedTuple):
    """Grey images of handwritten digits, `(N, 8, 8, 1)` from 0 to 1, and which digits they are."""

    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array


def digits(seed: int = 0) -> Digits:
    """1,797 handwritten digits of 43 people (Alpaydin and Kaynak 1998), which scikit-learn brings; a fifth are to test.

    Errors: `MissingDependencyError` without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError("the digits come with scikit-learn: pip install 'symgraph[demo]'") from error
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    x, y = (images[order] / 16).astype(np.float32).reshape(-1, 8, 8, 1), labels[order]
    count = len(x) // 5
    return Digits(x[count:], y[count:], x[:count], y[:count])


class Text:
    """A text as whole numbers, one a character.

    >>> text = Text("to be or not to be")
    >>> text.decode(text.encode("bet"))
    'bet'
    """

    def __init__(self, text: str) -> None:
        self.characters = sorted(set(text))
        self._numbers = {character: number for number, character in enumerate(self.characters)}
        self.numbers = self.encode(text)

    def encode(self, text: str) -> Array:
        """The numbers of characters."""
        return np.array([self._numbers[character] for character in text], np.int32)

    def decode(self, numbers: Any) -> str:
        """The characters of numbers."""
        return "".join(self.characters[int(number)] for number in numbers)

    def windows(self, length: int, share: float = 1.0, start: float = 0.0) -> tuple[Array, Array]:
        """Pieces of `length` characters of a part of the text, and for each the same piece one character later."""
        first = int(len(self.numbers) * start)
        count = (int(len(self.numbers) * share) - 1) // length
        used = self.numbers[first:first + count * length + 1][:count * length + 1]
        count = (len(used) - 1) // length
        return used[:count * length].reshape(count, length), used[1:count * length + 1].reshape(count, length)


def text_to_learn(path: str | None = None) -> Text:
    """The text in a file, or the beginning of Python's own help texts.

    Errors: `FormatError` for what is no file of UTF-8 text, or of fewer than 1,000 characters.
    """
    if path is None:
        return python_topics()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        raise FormatError(f"{path}: {reason}, expected a text to learn from") from None
    if len(text) < 1000:
        raise FormatError(f"{path}: {len(text)} characters, expected 1,000 or more to learn from")
    return Text(text)


def python_topics(characters: int = 200_000) -> Text:
    """The beginning of Python's own help texts, which come with every Python."""
    from pydoc_data.topics import topics

    return Text("\n".join(topics[name] for name in sorted(topics))[:characters].encode("ascii", "ignore").decode())
