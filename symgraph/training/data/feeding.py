"""From whatever a user gives as data to a feed of batches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.core.structure import flatten
from symgraph.training.data.array_feed import ArrayFeed
from symgraph.training.data.class_weights import check_class_weight, weights_by_class
from symgraph.training.data.columns import Column, column, columns_of, count_rows, is_arrays, weights_of
from symgraph.training.data.dataset import Dataset
from symgraph.training.data.dataset_source import DatasetSource
from symgraph.training.data.feed import Feed
from symgraph.training.data.py_dataset import SequenceSource, is_sequence
from symgraph.training.data.sources import CallableSource, IterableSource, IteratorSource, Source
from symgraph.training.data.splitting import split_validation
from symgraph.training.data.stream_feed import StreamFeed

__all__ = ["DEFAULT_BATCH", "as_source", "check_count", "make_feed", "split_validation"]

DEFAULT_BATCH = 32


def make_feed(
        x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None, shuffle: bool | str = False,
        steps_per_epoch: int | None = None, seed: int = 0, class_weight: Mapping[int, float] | None = None,
        training: bool = True) -> Feed:
    """The batches of arrays, datasets, sequences, iterables, iterators or functions that return iterators.

    Arrays: `x`, `y` and `sample_weight` are arrays with one row a sample, or nestings of them; epoch e's order is a
    pure function of `seed` and e. Anything else gives batches itself: x, (x,), (x, y) or (x, y, sample_weight).
    `class_weight`, weights by class number, becomes (or multiplies) sample weights. Without `training` there is no
    need for targets.

    Errors: `TrainingError`, `ShapeError`, `DtypeError` that name the array.

    >>> feed = make_feed(np.zeros((5, 2), np.float32), np.arange(5), batch_size=2)
    >>> [batch.y[0].tolist() for batch in feed.batches(epoch=0)]
    [[0, 1], [2, 3], [4]]
    """
    weights = None if class_weight is None else check_class_weight(class_weight)
    check_count("steps_per_epoch", steps_per_epoch)
    check_count("batch_size", batch_size)
    if not (isinstance(shuffle, bool | np.bool_) or shuffle == "batch"):
        raise TrainingError(f'shuffle is True, False or "batch", got {shuffle!r}')
    if x is None:
        raise TrainingError("x is None; give arrays, a dataset or an iterator of batches")
    source = as_source(x, shuffle=bool(shuffle), seed=seed)
    if source is not None:
        _refuse(source, y=y, sample_weight=sample_weight, batch_size=batch_size)
        if not source.has_end and steps_per_epoch is None:
            raise TrainingError(f"{source.describe()} has no end; give steps_per_epoch, so that epochs have one")
        return StreamFeed(source, steps_per_epoch=steps_per_epoch, class_weight=weights)
    columns, targets, given = columns_of("x", x), columns_of("y", y), weights_of(sample_weight)
    count = count_rows([c for part in (columns, targets, given) if part is not None for c in flatten(part)])
    if given is not None:
        _check_weights(targets, given)
    if weights is not None:
        given = _by_class(targets, given, weights)
    size = batch_size or (math.ceil(count / steps_per_epoch) if steps_per_epoch else DEFAULT_BATCH)
    return ArrayFeed(columns, targets, given, batch_size=size, steps_per_epoch=steps_per_epoch, seed=seed,
                     shuffle=shuffle if shuffle == "batch" else bool(shuffle))


def as_source(x: Any, *, shuffle: bool = False, seed: int = 0) -> Source | None:
    """The source of batches that `x` is, None where it is arrays.

    Errors: `TrainingError` for what is neither.
    """
    if isinstance(x, Dataset):
        return DatasetSource(x)
    if is_arrays(x):
        return None
    if is_sequence(x):
        return SequenceSource(x, shuffle=shuffle, seed=seed)
    if hasattr(x, "__next__"):
        return IteratorSource(x)
    if hasattr(x, "__iter__") and not isinstance(x, str | bytes | set | frozenset):
        return IterableSource(x)
    if callable(x) and not isinstance(x, type):
        return CallableSource(x)
    raise TrainingError(f"data are arrays, a dataset, an iterator of batches, or a function that returns one; "
                        f"got {type(x).__name__}")


def _refuse(source: Source, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            why = "batches come as the data give them" if name == "batch_size" else \
                "let it give (x, y) or (x, y, sample_weight)"
            raise TrainingError(f"{name} does not go with {source.describe()}, which gives whole batches; {why}")


def check_count(name: str, value: Any) -> None:
    """Errors: `TrainingError` for what is neither a number of batches or rows, from 1 on, nor None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1):
        raise TrainingError(f"{name} is a whole number of at least 1, or None; got {value!r}")


def _check_weights(targets: Any, given: Any) -> None:
    """One array of weights for all targets, or one for each."""
    if isinstance(given, Column):
        if targets is not None and len(flatten(targets)) > 1 and given.row_shape not in ((), (1,)):
            raise TrainingError(f"one sample_weight for several targets has one number a sample; its shape is "
                                f"{(given.length, *given.row_shape)}; give one array of weights for each target")
    elif targets is None or (len(flatten(targets)) > 1 and _outline(targets) != _outline(given)):
        raise TrainingError(f"sample_weight is nested as {_outline(given)}, y as "
                            f"{None if targets is None else _outline(targets)}; give one array of weights for each "
                            "target, or one for all")


def _outline(structure: Any) -> Any:
    if isinstance(structure, dict):
        return {key: _outline(part) for key, part in structure.items()}
    return [_outline(part) for part in structure] if isinstance(structure, list | tuple) else "array"


def _by_class(targets: Any, given: Any, weights: dict[int, float]) -> Column:
    flat: list[Column] = [] if targets is None else flatten(targets)
    if len(flat) != 1:
        raise TrainingError(f"class_weight is for models with a single output; y has {len(flat)} arrays; "
                            "give sample_weight instead")
    by_class = weights_by_class(flat[0].rows(slice(None)), weights)
    if given is None:
        return column("sample_weight", by_class)
    (one,) = flatten(given)
    own = one.rows(slice(None)).astype(np.float32)
    return column("sample_weight", own * by_class.reshape(-1, *(1 for _ in one.row_shape)))
