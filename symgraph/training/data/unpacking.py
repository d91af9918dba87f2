"""What one element of a dataset says: inputs, targets and sample weights, as NumPy arrays."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.core.structure import flatten, map_structure
from symgraph.core.types import TensorType, as_dtype
from symgraph.training.data.class_weights import weights_by_class
from symgraph.training.data.columns import Column, columns_of, count_rows, weights_of
from symgraph.training.data.feed import Batch, Structure

_PLAIN = frozenset(map(np.dtype, (np.float32, np.int32, np.int64, np.uint8)))
"""What is delivered in the dtype it has."""


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """The three parts of `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`; None for what is not there.

    TensorFlow.js's `{"xs": x, "ys": y}` is taken too.

    Errors: `TrainingError` for longer tuples.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if isinstance(data, dict) and set(data) == {"xs", "ys"}:
        return data["xs"], data["ys"], None
    if not isinstance(data, tuple | list):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise TrainingError(f"an element of a dataset is x, (x,), (x, y) or (x, y, sample_weight), "
                            f"got a {type(data).__name__} of {len(data)}")
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What `unpack_x_y_sample_weight` takes apart, as short as can be.

    >>> pack_x_y_sample_weight(1), pack_x_y_sample_weight([1]), pack_x_y_sample_weight(1, 2)
    (1, ([1],), (1, 2))
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, tuple | list) or (isinstance(x, dict) and set(x) == {"xs", "ys"}) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def as_batch(
        element: Any, class_weight: dict[int, float] | None = None, *, copy: bool = False) -> tuple[Batch, Structure]:
    """An element of a dataset as a batch, with its nesting; in memory of its own with `copy`.

    Errors: `TrainingError`, `DtypeError`, `ShapeError` for what is no batch.
    """
    if class_weight is None and _is_plain(element):
        x, y = (a.copy() if copy else a for a in element)
        return Batch([x], [y], []), _plain_structure(x.dtype, x.shape[1:], y.dtype, y.shape[1:])
    x, y, w = unpack_x_y_sample_weight(element)
    parts = [columns_of("x", x), columns_of("y", y), weights_of(w)]
    flat: list[list[Column]] = [[] if part is None else flatten(part) for part in parts]
    count_rows([c for part in flat for c in part])
    take: Any = np.array if copy else np.asarray
    batch = Batch(*([take(c.rows(slice(None)), c.dtype, order="C") for c in part] for part in flat))
    structure = Structure(*(None if part is None else map_structure(lambda c: c.type, part) for part in parts))
    return (batch, structure) if class_weight is None else with_class_weights(batch, structure, class_weight)


def _is_plain(element: Any) -> bool:
    """Whether an element is inputs and targets that are delivered as they are: the rest is only asked of others."""
    return (type(element) is tuple and len(element) == 2 and all(
        type(a) is np.ndarray and a.dtype in _PLAIN and a.ndim > 0 and a.flags.c_contiguous for a in element)
        and len(element[0]) == len(element[1]) > 0)


@lru_cache(maxsize=64)
def _plain_structure(x: np.dtype[Any], x_row: tuple[int, ...], y: np.dtype[Any], y_row: tuple[int, ...]) -> Structure:
    """The same object for the same dtypes and shapes of rows, so that it need not be compared."""
    return Structure(TensorType(as_dtype(x), (None, *x_row)), TensorType(as_dtype(y), (None, *y_row)), None)


def with_class_weights(
        batch: Batch, structure: Structure, class_weight: dict[int, float]) -> tuple[Batch, Structure]:
    """The batch with sample weights by class, times the sample weights it has."""
    if len(batch.y) != 1:
        raise TrainingError(f"class_weight is for models with a single output; y has {len(batch.y)} arrays; "
                            "give sample weights for each instead")
    weights = weights_by_class(batch.y[0], class_weight)
    if not batch.sample_weight:
        part = Column("sample_weight", weights)
        return batch._replace(sample_weight=[weights]), structure._replace(sample_weight=part.type)
    (given,) = batch.sample_weight
    weights = weights.reshape(-1, *(1 for _ in given.shape[1:]))
    return batch._replace(sample_weight=[given * weights]), structure
