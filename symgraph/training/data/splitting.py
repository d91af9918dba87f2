"""Splitting data: the share of the rows that validates."""

from __future__ import annotations

import math
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.core.structure import flatten, map_structure
from symgraph.training.data.columns import columns_of, count_rows, is_arrays


def split_validation(arrays: Any, share: float) -> tuple[Any, Any]:
    """`arrays`, any nesting of them and of None, once with the first rows and once with the last, as Keras does.

    The first part has `floor(samples * (1 - share))` rows; nothing is shuffled or copied.

    Errors: `TrainingError` for data that are no arrays, where one part would be empty, and for a share that is not
    between 0 and 1.

    >>> (x, y), (x_val, y_val) = split_validation((np.arange(10), np.arange(10)), 0.2)
    >>> x.tolist(), y_val.tolist()
    ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    if not 0 < share < 1:
        raise TrainingError(f"validation_split is the share of the samples that validates, between 0 and 1; "
                            f"got {share}")
    named = _named(arrays)
    for _, part in named:
        if part is not None and not is_arrays(part):
            raise TrainingError(f"validation_split cuts arrays in two, got {type(part).__name__}; "
                                "give validation_data instead")
    columns = tuple(columns_of(name, part) for name, part in named)
    count = count_rows([c for part in columns for c in flatten(part) if c is not None])
    place = math.floor(count * (1.0 - share))
    if place in (0, count):
        raise TrainingError(f"validation_split={share} of {count} samples leaves none to "
                            f"{'learn from' if place == 0 else 'validate with'}; give more data or another share")

    def cut(start: int, stop: int) -> Any:
        parts = tuple(map_structure(lambda c: None if c is None else c.part(start, stop), part) for part in columns)
        return parts if isinstance(arrays, tuple | list) else parts[0]

    return cut(0, place), cut(place, count)


def _named(arrays: Any) -> list[tuple[str, Any]]:
    if not isinstance(arrays, tuple | list):
        return [("x", arrays)]
    names = ("x", "y", "sample_weight")
    return [(names[i] if i < 3 else f"array {i}", part) for i, part in enumerate(arrays)]


