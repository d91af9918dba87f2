"""`timeseries_dataset_from_array`: windows that slide over a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.core.value import Tensor
from symgraph.ops.seeds import make_default_seed
from symgraph.training.data.columns import Column, Index, column
from symgraph.training.data.dataset import Dataset


def timeseries_dataset_from_array(
        data: Any, targets: Any, sequence_length: int, sequence_stride: int = 1, sampling_rate: int = 1,
        batch_size: int | None = 128, shuffle: bool = False, seed: int | None = None, start_index: int | None = None,
        end_index: int | None = None, format: str = "tf") -> Dataset:
    """Windows of a series: `(batch, sequence_length, ...)`, or pairs of them and their targets.

    Window i has the steps `i * sequence_stride + k * sampling_rate` of `data`, for k below `sequence_length`, counted
    from `start_index`; its target is `targets[i * sequence_stride]`, counted likewise. Steps from `end_index` on are
    left out. Without `batch_size` elements are single windows. With `shuffle` the windows come in an order that `seed`
    says, another one in each pass. `format` is accepted for Keras's sake.

    Errors: `TrainingError` for sizes that do not fit the series.

    >>> windows = timeseries_dataset_from_array(np.arange(6), None, sequence_length=3, sequence_stride=2)
    >>> next(iter(windows)).tolist()
    [[0, 1, 2], [2, 3, 4]]
    """
    series = column("data", data, keep_dtype=True)
    goals = None if targets is None else column("targets", targets, keep_dtype=True)
    start = 0 if start_index is None else start_index
    end = series.length if end_index is None else end_index
    _check(series.length, start, end, sequence_length=sequence_length, sequence_stride=sequence_stride,
           sampling_rate=sampling_rate)
    if format not in ("tf", "grain"):
        raise TrainingError(f'format is "tf" or "grain", for Keras\'s sake; got {format!r}')
    count = end - start - (sequence_length - 1) * sampling_rate
    if goals is not None:
        count = min(count, goals.length - start)
    if count < 1:
        raise TrainingError(f"{end - start} steps are too few for a window of {sequence_length}, {sampling_rate} apart")
    positions = np.arange(0, count, sequence_stride, dtype=np.intp)
    if shuffle:
        seed = make_default_seed() if seed is None else seed
        np.random.RandomState(seed).shuffle(positions)
    steps = np.arange(0, sequence_length * sampling_rate, sampling_rate, dtype=np.intp)
    starts = Dataset.from_tensor_slices(positions)
    if shuffle:
        starts = starts.shuffle(1024 if batch_size is None else batch_size * 8, seed=seed)
    if batch_size is not None:
        starts = starts.batch(batch_size)

    def windows(place: Any) -> Any:
        first = np.asarray(place) + start
        parts = Tensor(_gathered(series, first[..., None] + steps))
        return parts if goals is None else (parts, Tensor(_gathered(goals, first)))

    return starts.map(windows)


def _gathered(source: Column, index: Index) -> Any:
    rows = np.array(source.rows(index.reshape(-1)), source.dtype)
    return rows.reshape(*index.shape, *source.row_shape)


def _check(length: int, start: int, end: int, **sizes: int) -> None:
    if not 0 <= start < length:
        raise TrainingError(f"start_index is a step of the series, from 0 to {length - 1}; got {start}")
    if not start < end <= length:
        raise TrainingError(f"end_index lies after start_index={start} and not after the series, at most {length}; "
                            f"got {end}")
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise TrainingError(f"{name} is a whole number of at least 1, got {size!r}")
        if size >= length and name != "sequence_length":
            raise TrainingError(f"{name} is below the number of steps of the series, {length}; got {size}")
