"""The batches of a `Dataset`, for the training loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symgraph.training.data.dataset import Dataset
from symgraph.training.data.feed import State
from symgraph.training.data.nodes_batching import Batched
from symgraph.training.data.nodes_order import Prefetched
from symgraph.training.data.sources import Source


class DatasetSource(Source):
    """A dataset of batches; any pass can be had again, from any batch on."""

    kind = "dataset"
    is_private = True

    def __init__(self, dataset: Dataset) -> None:
        self.node = dataset.node
        count = self.node.count()
        self.batches = count if count >= 0 else None
        self.has_end = count != -1
        last = self.node.source if isinstance(self.node, Prefetched) else self.node
        if isinstance(last, Batched):
            self.batch_size = last.size
            samples = last.source.count()
            self.samples = samples if samples >= 0 and not last.drops else None

    def open(self, number: int, start: int) -> Iterator[Any]:
        return self.node.iterate((number,), start)

    def state(self) -> State:
        return {"seeds": self.node.seeds()}

    def restore(self, state: State) -> None:
        self.node = self.node.with_seeds(iter(state["seeds"]))

    def describe(self) -> str:
        return "the dataset"
