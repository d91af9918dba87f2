"""`Dataset`: a pipeline of elements, as in tf.data and TensorFlow.js."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.ops.seeds import make_default_seed
from symgraph.training.data.dataset_sources import DatasetSources
from symgraph.training.data.elements import as_element, call, handed_out, number_of
from symgraph.training.data.nodes import INFINITE, Concatenated, Node
from symgraph.training.data.nodes_batching import Batched, PaddedBatched, Unbatched, Windowed
from symgraph.training.data.nodes_mapping import Enumerated, Filtered, Interleaved, Mapped
from symgraph.training.data.nodes_order import Cached, Prefetched, Repeated, Sharded, Shuffled, Skipped, Taken

AUTOTUNE = -1
"""As many as seem right."""


class Dataset(DatasetSources):
    """Elements to iterate over: nestings of tuples, lists and dicts of tensors. It never changes; methods give others.

    Nothing is computed before the elements are asked for. Each iteration is a pass of its own: passes shuffle anew,
    each as a pure function of the seed and the number of the pass, so training goes on after an interruption with
    the very batches it would have had. Functions given to `map` and its kind get tensors, the parts of a tuple one by
    one; it is quicker to call them on batches than on single elements.

    >>> import symgraph as sg
    >>> numbers = Dataset.range(10).filter(lambda x: x % 2 == 0).map(lambda x: x * x).batch(2)
    >>> [batch.tolist() for batch in numbers]
    [[0, 4], [16, 36], [64]]
    """

    def __iter__(self) -> Iterator[Any]:
        return map(handed_out, self.node.iterate((next(self._passes),)))

    def as_numpy_iterator(self) -> Iterator[Any]:
        """The elements with NumPy arrays for tensors."""
        return self.node.iterate((next(self._passes),))

    def cardinality(self) -> int:
        """The number of elements; -1 where there is no end, -2 where only a pass over them tells."""
        return self.node.count()

    def __len__(self) -> int:
        count = self.node.count()
        if count < 0:
            raise TypeError("the dataset has no end" if count == INFINITE else
                            "the number of elements is not known before a pass over them")
        return count

    def __bool__(self) -> bool:
        return True

    @property
    def size(self) -> float | None:
        """The number of elements, infinity where there is no end, None where it is not known."""
        count = self.node.count()
        return count if count >= 0 else math.inf if count == INFINITE else None

    @property
    def element_spec(self) -> Any:
        """The types of an element, nested as it is. Looks at the first one where the pipeline does not tell."""
        return self.node.spec()

    def __repr__(self) -> str:
        count = self.node.count()
        shown = count if count >= 0 else "infinitely many" if count == INFINITE else "unknown"
        return f"<{type(self).__name__} of {type(self.node).__name__.lower()} elements, number: {shown}>"

    # Which elements, in which order.

    def shuffle(
            self, buffer_size: int, seed: int | None = None, reshuffle_each_iteration: bool = True) -> Dataset:
        """Draw each element at random from a buffer of the next `buffer_size`.

        As many as there are elements make every order equally likely. Without `seed` one is taken from the global
        generator (`sg.random.set_seed`). Every pass has an order of its own, unless `reshuffle_each_iteration`
        is False.

        >>> sorted(x.item() for x in Dataset.range(4).shuffle(4, seed=1))
        [0, 1, 2, 3]
        """
        size = self._number("shuffle(buffer_size)", buffer_size)
        own = make_default_seed() if seed is None else self._number("shuffle(seed)", seed, least=-2**63)
        return Dataset(Shuffled(self.node, size, own, bool(reshuffle_each_iteration)))

    def repeat(self, count: int | None = None) -> Dataset:
        """The elements `count` times over; without end for None and -1."""
        return Dataset(Repeated(self.node, -1 if count is None else self._number("repeat(count)", count, least=-1)))

    def skip(self, count: int) -> Dataset:
        """All but the first `count` elements; none for -1."""
        return Dataset(Skipped(self.node, self._number("skip(count)", count, least=-1)))

    def take(self, count: int) -> Dataset:
        """The first `count` elements; all for -1."""
        return Dataset(Taken(self.node, self._number("take(count)", count, least=-1)))

    def shard(self, num_shards: int, index: int) -> Dataset:
        """Every `num_shards`-th element, from number `index` on: what one of several workers reads."""
        shards = self._number("shard(num_shards)", num_shards)
        place = self._number("shard(index)", index, least=0)
        if place >= shards:
            raise TrainingError(f"shard(index) is below num_shards={shards}, got {place}")
        return Dataset(Sharded(self.node, shards, place))

    def concatenate(self, dataset: Dataset) -> Dataset:
        """These elements, then those of `dataset`."""
        if not isinstance(dataset, Dataset):
            raise TrainingError(f"concatenate takes another dataset, got {type(dataset).__name__}")
        return Dataset(Concatenated((self.node, dataset.node)))

    def cache(self, filename: str = "") -> Dataset:
        """Keep the elements of the first complete pass in memory; later passes give them again.

        Errors: `TrainingError` for a file name: nothing is kept in files.
        """
        if filename:
            raise TrainingError(f"cache keeps elements in memory, not in files such as {filename!r}")
        return Dataset(Cached(self.node))

    def prefetch(self, buffer_size: int = AUTOTUNE) -> Dataset:
        """Let a thread make the next `buffer_size` elements while the last one is worked on."""
        size = self._number("prefetch(buffer_size)", buffer_size, least=-1)
        return Dataset(Prefetched(self.node, size if size > 0 else 2)) if size else self

    def apply(self, transformation_func: Callable[[Dataset], Dataset]) -> Dataset:
        """What the function makes of this dataset."""
        return transformation_func(self)

    # Functions of elements.

    def map(
            self, map_func: Callable[..., Any], num_parallel_calls: int | None = None,
            deterministic: bool | None = None) -> Dataset:
        """`map_func` of every element. Of several threads (`num_parallel_calls`) the results come in order, always."""
        return Dataset(Mapped(self.node, self._function("map", map_func), _workers(num_parallel_calls)))

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which `predicate` is true."""
        return Dataset(Filtered(self.node, self._function("filter", predicate)))

    def take_while(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements before the first for which `predicate` is false."""
        return Dataset(Filtered(self.node, self._function("take_while", predicate), stops=True))

    def flat_map(self, map_func: Callable[..., Any]) -> Dataset:
        """The elements of the datasets that `map_func` makes of the elements, one after the other."""
        return Dataset(Interleaved(self.node, self._function("flat_map", map_func), _node_of))

    def interleave(
            self, map_func: Callable[..., Any], cycle_length: int | None = None, block_length: int | None = None,
            num_parallel_calls: int | None = None, deterministic: bool | None = None) -> Dataset:
        """The elements of the datasets that `map_func` makes, `cycle_length` of them by turns.

        Each gives `block_length` elements (1) in its turn. The order is always the same, whatever
        `num_parallel_calls`. Without `cycle_length` there are two.

        >>> made = Dataset.range(3).interleave(lambda x: Dataset.from_tensors(x).repeat(2), cycle_length=2)
        >>> [x.item() for x in made]
        [0, 1, 0, 1, 2, 2]
        """
        cycle = 2 if cycle_length in (None, AUTOTUNE) else self._number("interleave(cycle_length)", cycle_length)
        block = 1 if block_length is None else self._number("interleave(block_length)", block_length)
        return Dataset(Interleaved(self.node, self._function("interleave", map_func), _node_of, cycle, block))

    def enumerate(self, start: int = 0) -> Dataset:
        """Pairs of a number, from `start` on, and an element."""
        return Dataset(Enumerated(self.node, self._number("enumerate(start)", start, least=-2**63)))

    def reduce(self, initial_state: Any, reduce_func: Callable[[Any, Any], Any]) -> Any:
        """`state = reduce_func(state, element)` over all elements; the last state.

        >>> Dataset.range(5).reduce(np.int64(0), lambda state, x: state + x).item()
        10
        """
        state = as_element(initial_state)
        for element in self.as_numpy_iterator():
            state = as_element(reduce_func(handed_out(state), handed_out(element)))
        return handed_out(state)

    def for_each(self, function: Callable[..., Any]) -> None:
        """Call `function` with every element."""
        for element in self.as_numpy_iterator():
            call(function, element)

    def to_array(self) -> list[Any]:
        """All elements, as a list."""
        return list(self)

    # Batches.

    def batch(
            self, batch_size: int, drop_remainder: bool = False, num_parallel_calls: int | None = None,
            deterministic: bool | None = None, *, small_last_batch: bool = True) -> Dataset:
        """`batch_size` elements at a time, stacked along a new first axis.

        The last batch may have fewer, unless `drop_remainder` (or, in TensorFlow.js's words, not `small_last_batch`).

        >>> [x.shape for x in Dataset.from_tensor_slices(np.zeros((5, 2))).batch(3)]
        [(3, 2), (2, 2)]
        """
        size = self._number("batch(batch_size)", batch_size)
        return Dataset(Batched(self.node, size, bool(drop_remainder) or not small_last_batch))

    def padded_batch(
            self, batch_size: int, padded_shapes: Any = None, padding_values: Any = None,
            drop_remainder: bool = False) -> Dataset:
        """As `batch`, for arrays of different sizes: shorter ones are filled up at their ends.

        `padded_shapes`, one for each array, says to what sizes, None (or -1) for the longest of the batch;
        `padding_values` with what, 0 and "" unless said otherwise.

        >>> words = Dataset.from_generator(lambda: iter([[1], [2, 3]])).padded_batch(2)
        >>> [x.tolist() for x in words]
        [[[1, 0], [2, 3]]]
        """
        size = self._number("padded_batch(batch_size)", batch_size)
        return Dataset(PaddedBatched(self.node, size, bool(drop_remainder), padded_shapes, as_element(padding_values)))

    def unbatch(self) -> Dataset:
        """The rows of every element, one by one."""
        return Dataset(Unbatched(self.node))

    def window(self, size: int, shift: int | None = None, stride: int = 1, drop_remainder: bool = False) -> Dataset:
        """Datasets of `size` elements `stride` apart; each begins `shift` (`size`) elements after the one before.

        >>> [window.to_array() for window in Dataset.array(["a", "b", "c"]).window(2)]
        [['a', 'b'], ['c']]
        """
        width = self._number("window(size)", size)
        move = width if shift is None else self._number("window(shift)", shift)
        step = self._number("window(stride)", stride)
        return Dataset(Windowed(self.node, width, move, step, bool(drop_remainder), Dataset))

    def _number(self, who: str, value: Any, least: int = 1) -> int:
        return number_of(value, who, least)

    def _function(self, who: str, function: Any) -> Callable[..., Any]:
        if not callable(function):
            raise TrainingError(f"{who} takes a function, got {type(function).__name__}")
        return function  # type: ignore[no-any-return]


def _workers(calls: Any) -> int:
    if calls is None:
        return 1
    count = number_of(calls, "num_parallel_calls", -1)
    return os.cpu_count() or 1 if count == AUTOTUNE else max(count, 1)


def _node_of(value: Any) -> Node:
    if not isinstance(value, Dataset):
        raise TypeError(type(value).__name__)
    return value.node


