"""What the training loop sees of data: a feed of batches that can start anew at any epoch and step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy.typing as npt

from symgraph.core.errors import TrainingError
from symgraph.core.structure import flatten, pack

Array = npt.NDArray[Any]

State = dict[str, Any]
"""Where a feed stands, as plain JSON data."""


class Batch(NamedTuple):
    """The arrays of one batch, flat and in the order given; an empty list where there are none."""

    x: list[Array]
    y: list[Array]
    sample_weight: list[Array]


class Structure(NamedTuple):
    """How batches are nested: like the user's x, y and sample weights, with a `TensorType` for every array.

    None where there are none. The batch dimension is unknown (None); others are those of the data.
    """

    x: Any
    y: Any
    sample_weight: Any

    def pack(self, batch: Batch) -> tuple[Any, Any, Any]:
        """The arrays of `batch` nested as the user gave them."""
        x, y, w = (None if shape is None else pack(shape, leaves) for shape, leaves in zip(self, batch, strict=True))
        return x, y, w

    def unpack(self) -> tuple[list[Any], list[Any], list[Any]]:
        """The types, flat, in the order of a batch."""
        x, y, w = ([] if shape is None else flatten(shape) for shape in self)
        return x, y, w


class Feed:
    """A source of batches.

    - `batch_size`: rows of a full batch, None where the source decides
    - `steps`: batches of an epoch, None while unknown
    - `samples`: rows of the data, None while unknown
    - `can_resume`: whether batches can be had again from any epoch and step
    """

    kind = "feed"
    batch_size: int | None = None
    steps: int | None = None
    samples: int | None = None
    can_resume = True

    @property
    def structure(self) -> Structure:
        """How the batches are nested; looks at the first batch where nothing else tells."""
        raise NotImplementedError

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from step `start` on: the same ones whether or not others were read before."""
        raise NotImplementedError

    def state(self) -> State:
        """What, with epoch and step, says which batches come: plain data for a checkpoint."""
        return {"kind": self.kind, "samples": self.samples, "batch_size": self.batch_size}

    def restore(self, state: State) -> None:
        """Give the batches of the feed whose `state()` this is.

        Errors: `TrainingError` where the data are others, or cannot be had again.
        """
        if not self.can_resume:
            raise TrainingError(f"{self.describe()} cannot be started in the middle, so training on it cannot be "
                                "resumed; give arrays, a sg.data.Dataset, or a function that returns a new iterator")
        own = Feed.state(self)
        for key, value in own.items():
            if state.get(key) != value:
                raise TrainingError(f"the data are not those of the interrupted run: {key} was {state.get(key)!r}, "
                                    f"now it is {value!r}; resume with the same data and batch_size")

    def describe(self) -> str:
        """What the source is, for messages."""
        return "this data"

    def close(self) -> None:
        """End what runs in the background."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
