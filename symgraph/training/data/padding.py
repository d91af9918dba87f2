"""`pad_sequences`: sequences of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symgraph.core.errors import DtypeError, ShapeError, TrainingError
from symgraph.training.data.columns import Array
from symgraph.training.data.elements import number_of

ENDS = ("pre", "post")


def pad_sequences(
        sequences: Sequence[Any], maxlen: int | None = None, dtype: npt.DTypeLike = "int32", padding: str = "pre",
        truncating: str = "pre", value: Any = 0.0) -> Array:
    """Sequences as one array `(sequences, maxlen, ...)`: shorter ones are filled up, longer ones cut off.

    Without `maxlen` the longest sequence says how long. `padding` says whether `value` is filled in before ("pre") or
    after ("post") a sequence, `truncating` which end of a long one is cut off. Strings need `dtype=object`.

    Errors: `ShapeError` for steps of different shapes, `DtypeError` for a text as value of a number dtype,
    `TrainingError` for what are no sequences, and for other lengths than whole numbers.

    >>> pad_sequences([[1], [2, 3, 4]]).tolist()
    [[0, 0, 1], [2, 3, 4]]
    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2, padding="post", truncating="post", value=-1).tolist()
    [[1, -1], [2, 3]]
    """
    for name, end in (("padding", padding), ("truncating", truncating)):
        if end not in ENDS:
            raise TrainingError(f'pad_sequences: {name} is "pre" or "post", got {end!r}')
    length = None if maxlen is None else number_of(maxlen, "pad_sequences: maxlen", 0)
    if not hasattr(sequences, "__len__"):
        raise TrainingError(f"pad_sequences takes a list of sequences, got {type(sequences).__name__}")
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise TrainingError(f"pad_sequences takes a list of sequences; element {i} is {sequence!r}")
    wanted = np.dtype(dtype)
    if isinstance(value, str) and wanted.kind not in "OSU":
        raise DtypeError(f"pad_sequences: the value {value!r} is no {wanted}; give dtype=object for strings")
    length = max(map(len, sequences), default=0) if length is None else length
    inner = next((np.shape(sequence)[1:] for sequence in sequences if len(sequence)), ())
    out = np.full((len(sequences), length, *inner), value, wanted)
    for i, sequence in enumerate(sequences):
        kept = np.asarray(sequence[-length:] if truncating == "pre" else sequence[:length], wanted)
        if length == 0 or len(sequence) == 0:
            continue
        if kept.shape[1:] != inner:
            raise ShapeError(f"pad_sequences: the steps of sequence {i} have shape {kept.shape[1:]}, "
                             f"those of the first {inner}")
        place = slice(length - len(kept), None) if padding == "pre" else slice(len(kept))
        out[i, place] = kept
    return out
