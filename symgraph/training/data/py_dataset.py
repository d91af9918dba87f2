"""Batches by number: Keras's `PyDataset`, and whatever has `__getitem__` and `__len__` as it does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training.data.array_feed import permutation
from symgraph.training.data.feed import State
from symgraph.training.data.parallel import in_order
from symgraph.training.data.sources import Source, length_of


class PyDataset:
    """A dataset that makes batch number `index` when asked for: subclass it and say `__getitem__` and `__len__`.

    `workers` make batches ahead of the training loop, at most `max_queue_size` of them: threads, or, with
    `use_multiprocessing`, new processes, for which the dataset must be picklable. With `workers=0` the training
    loop makes them itself. `on_epoch_begin` and `on_epoch_end` may change the dataset between epochs.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, index):
    ...         return np.full((2, 1), index), np.full(2, index ** 2)
    >>> [y.tolist() for x, y in Squares()]
    [[0, 0], [1, 1], [4, 4]]
    """

    def __init__(self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Batch number `index`: (x, y) or (x, y, sample_weight)."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    @property
    def num_batches(self) -> int | None:
        """How many batches there are, None where there is no end."""
        return length_of(self)

    def on_epoch_begin(self) -> None:
        """An epoch begins."""

    def on_epoch_end(self) -> None:
        """An epoch has ended."""

    def __iter__(self) -> Iterator[Any]:
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]


Sequence = PyDataset
"""Its older name."""


def is_sequence(x: Any) -> bool:
    """Whether `x` gives batches by their numbers.

    Errors: `TrainingError` for torch datasets, whose elements are samples.
    """
    bases = {(base.__module__.partition(".")[0], base.__name__) for base in type(x).__mro__}
    if ("torch", "Dataset") in bases:
        raise TrainingError(f"the elements of the torch {type(x).__name__} are samples, not batches; "
                            "give torch.utils.data.DataLoader(dataset, batch_size=32)")
    if isinstance(x, PyDataset):
        return True
    return hasattr(x, "__getitem__") and hasattr(x, "__len__") and not isinstance(x, str | bytes | list | tuple)


class SequenceSource(Source):
    """The batches of a `PyDataset`, their order shuffled by seed and number of the pass."""

    kind = "sequence"
    is_indexed = True

    def __init__(self, dataset: Any, *, shuffle: bool = False, seed: int = 0) -> None:
        self.dataset, self.shuffle, self.seed = dataset, shuffle, seed
        self.workers = int(getattr(dataset, "workers", 1))
        self.ahead = int(getattr(dataset, "max_queue_size", 10))
        self.use_processes = bool(getattr(dataset, "use_multiprocessing", False)) and self.workers > 0
        self._ended = 0

    @property
    def batches(self) -> int | None:  # type: ignore[override]
        return self.dataset.num_batches if isinstance(self.dataset, PyDataset) else length_of(self.dataset)

    @property
    def has_end(self) -> bool:  # type: ignore[override]
        return self.batches is not None

    @property
    def queue_size(self) -> int:  # type: ignore[override]
        return self.ahead if self.workers else 0

    def open(self, number: int, start: int) -> Iterator[Any]:
        count = self.batches
        if count is None:
            indices: Iterator[int] = itertools.count(start)
        elif self.shuffle:
            indices = iter(permutation(count, self.seed, number)[start:].tolist())
        else:
            indices = iter(range(start, count))
        if self.workers > 1 or self.use_processes:
            return _in_parallel(self.dataset, indices, self.workers, self.ahead, self.use_processes)
        return (self.dataset[index] for index in indices)

    def begin_epoch(self, epoch: int) -> None:
        """Bring the dataset to this epoch: `on_epoch_end` once for each that has passed, then `on_epoch_begin`."""
        while self._ended < epoch:
            self.end_epoch(self._ended)
        if hasattr(self.dataset, "on_epoch_begin"):
            self.dataset.on_epoch_begin()

    def end_epoch(self, epoch: int) -> None:
        self._ended = epoch + 1
        if hasattr(self.dataset, "on_epoch_end"):
            self.dataset.on_epoch_end()

    def state(self) -> State:
        return {"shuffle": self.shuffle, "seed": self.seed}

    def restore(self, state: State) -> None:
        if state.get("shuffle") != self.shuffle:
            raise TrainingError(f"the interrupted run had shuffle={state.get('shuffle')!r}, this one has "
                                f"{self.shuffle!r}; resume with the same arguments")
        self.seed = int(state["seed"])

    def describe(self) -> str:
        return f"the {type(self.dataset).__name__}"


def _in_parallel(dataset: Any, indices: Iterator[int], workers: int, ahead: int, in_processes: bool) -> Iterator[Any]:
    """The batches in the order of `indices`, made by `workers` at a time."""
    pool: Executor
    if in_processes:
        # spawned, not forked: the threads of ONNX Runtime do not survive a fork
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _adopt, (dataset,))
        make: Any = _of_adopted
    else:
        pool, make = ThreadPoolExecutor(workers, "symgraph-dataset"), dataset.__getitem__
    return in_order(pool, make, indices, max(ahead, workers))


_ADOPTED: list[Any] = []
"""The dataset that this worker process makes batches of."""


def _adopt(dataset: Any) -> None:
    _ADOPTED[:] = [dataset]


def _of_adopted(index: int) -> Any:
    return _ADOPTED[0][index]
