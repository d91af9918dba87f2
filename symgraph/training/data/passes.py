"""Epochs and passes: which part of which pass over the data an epoch is, where `steps_per_epoch` cuts passes up."""

from __future__ import annotations

import math
import warnings


def place_of_epoch(epoch: int, batches: int | None, steps: int | None) -> tuple[int, int, int]:
    """The pass that `epoch` lies in, its first batch there, and how many batches it has, as Keras counts them.

    A pass has `batches` batches, None where that is not known yet (it is then taken to be without end). Without
    `steps` an epoch is a pass. With them epochs go on in the pass where the last one ended, and the last epoch of
    a pass has what is left of it.

    >>> [place_of_epoch(epoch, 10, 4) for epoch in range(4)]
    [(0, 0, 4), (0, 4, 4), (0, 8, 2), (1, 0, 4)]
    """
    if steps is None:
        return epoch, 0, -1 if batches is None else batches
    if batches is None:
        return 0, epoch * steps, steps
    number, part = divmod(epoch, math.ceil(batches / steps))
    return number, part * steps, min(steps, batches - part * steps)


def warn_of_short_epoch(source: str, came: int, wanted: int) -> None:
    """Say that an epoch ends early."""
    warnings.warn(f"{source} ran out of data: this epoch has {came} batches instead of steps_per_epoch={wanted}; make "
                  "sure that there are at least steps_per_epoch * epochs batches, for example with dataset.repeat()",
                  stacklevel=3)
