"""`split_dataset`: the left and the right part of data."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.ops.seeds import make_default_seed
from symgraph.training.data.columns import is_one_array
from symgraph.training.data.dataset import Dataset
from symgraph.training.data.nodes import Items, Picked
from symgraph.training.data.nodes_batching import Batched
from symgraph.training.data.nodes_order import Prefetched

Size = int | float | None


def split_dataset(
        dataset: Any, left_size: Size = None, right_size: Size = None, shuffle: bool = False, seed: int | None = None,
        preferred_backend: str | None = None) -> tuple[Dataset, Dataset]:
    """The first samples and the last ones, as two datasets.

    `dataset` is an array, a nesting of arrays with equally many rows, or a `Dataset`; batches of it are taken apart,
    and made again. Sizes are numbers of samples (int) or shares of them (float); one that is left out is the rest.
    With `shuffle` the samples change places before, as `random.Random(seed).shuffle` says. The elements of a
    `Dataset` are read once, and kept. `preferred_backend` is accepted for Keras's sake.

    Errors: `TrainingError` for sizes that do not fit.

    >>> left, right = split_dataset(np.arange(10), left_size=0.8)
    >>> len(left), [x.item() for x in right]
    (8, [8, 9])
    """
    if left_size is None and right_size is None:
        raise TrainingError("split_dataset needs left_size or right_size, or both")
    batch_size = None
    if isinstance(dataset, Dataset):
        node = dataset.node.source if isinstance(dataset.node, Prefetched) else dataset.node
        if isinstance(node, Batched):
            batch_size, dataset = node.size, dataset.unbatch()
        if dataset.cardinality() == -1:
            raise TrainingError("split_dataset cannot split a dataset without end; take(count) gives it one")
        source: Any = Items(list(dataset.as_numpy_iterator()))
    else:
        given = tuple(dataset) if isinstance(dataset, list) and not is_one_array(dataset) else dataset
        source = Dataset.from_tensor_slices(given).node
    count = source.count()
    left, right = _sizes(left_size, right_size, count)
    order = list(range(count))
    if shuffle:
        random.Random(make_default_seed() if seed is None else seed).shuffle(order)
    parts = [Dataset(Picked(source, tuple(numbers))) for numbers in (order[:left], order[count - right:])]
    first, second = (part if batch_size is None else part.batch(batch_size) for part in parts)
    return first, second


def _sizes(left: Size, right: Size, count: int) -> tuple[int, int]:
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            continue
        if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating):
            raise TrainingError(f"{name} is a number of samples (int), a share of them (float) or None, got {size!r}")
        if not 0 < size < (1 if isinstance(size, float | np.floating) else count):
            raise TrainingError(f"{name} is a number of samples below {count}, or a share between 0.0 and 1.0; "
                                f"got {size!r}")
    first = count - _number(right, count) if left is None else _number(left, count)
    second = count - first if right is None else _number(right, count)
    if first + second > count:
        raise TrainingError(f"left_size={left!r} and right_size={right!r} are {first} and {second} of {count} samples, "
                            "more than there are")
    if 0 in (first, second):
        raise TrainingError(f"left_size={left!r} and right_size={right!r} of {count} samples leave one part empty")
    return first, second


def _number(size: Size, count: int) -> int:
    return round(size * count) if isinstance(size, float | np.floating) else int(size or 0)
