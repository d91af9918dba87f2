"""Running a session over data in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import LayerError
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType
from symgraph.runtime.session import Session
from symgraph.training.data.feeding import check_count
from symgraph.training.input_checks import fitted_array

DEFAULT_BATCH = 32


def run_on(session: Session, feeds: Mapping[str, Any], weights: Mapping[str, Any] | None = None) -> list[Any]:
    """Run a session on arrays by input name, fitted to the inputs."""
    types = zip(session.input_names, session.graph.inputs, strict=True)
    fitted = {name: fitted_array(feeds[name], x.type) for name, x in types if name in feeds}
    return session.run({**feeds, **fitted}, weights=weights)


class Batches:
    """A session that runs over any number of samples."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._fixed = fixed_batch(session.graph.inputs)

    def run(self, feeds: Mapping[str, Any], batch_size: int | None, steps: int | None = None) -> list[Any]:
        """Results for all samples, in the order of the graph's outputs; `steps` stops after so many batches.

        All batches see the same weights.

        Errors: `LayerError` where the inputs have different numbers of samples, or where the results are not
        one for each sample, so that batches cannot be joined; `TrainingError` for a size or steps below 1.
        """
        check_count("batch_size", batch_size)
        check_count("steps", steps)
        fixed = self._fixed
        size = fixed or batch_size
        count = None if size is None else _count(self.session, feeds)
        if count is None or size is None or (count <= size and steps is None and fixed is None):
            return run_on(self.session, feeds)
        check_divides(fixed, count)
        arrays = {name: np.asarray(value) for name, value in feeds.items()}
        weights = self.session.weights()
        parts = []
        for start in range(0, max(count, 1), size)[:steps]:
            stop = min(start + size, count)
            part = run_on(self.session, {name: array[start:stop] for name, array in arrays.items()}, weights)
            _check_lengths(self.session, part, stop - start)
            parts.append(part)
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def _count(session: Session, feeds: Mapping[str, Any]) -> int | None:
    lengths = {name: len(value) for name, value in feeds.items() if np.ndim(value) > 0}
    if not lengths or len(lengths) < len(feeds) or session.graph.nodes == ():
        return None
    if len(set(lengths.values())) > 1:
        session.check(feeds)
        types = [x.type for x in session.graph.inputs]
        if any(isinstance(t, TensorType) and t.shape and t.shape[0] is None for t in types):
            shown = ", ".join(f"{name}: {n}" for name, n in lengths.items())
            raise LayerError(f"the inputs have different numbers of samples ({shown})")
        return None
    return next(iter(lengths.values()))


def fixed_batch(inputs: Iterable[Operand]) -> int | None:
    """The batch size that is part of a model with these inputs, where all have the same one."""
    sizes = {x.type.shape[0] if isinstance(x.type, TensorType) and x.type.shape else None for x in inputs}
    (size,) = sizes if len(sizes) == 1 else (None,)
    return size if isinstance(size, int) and size > 0 else None


def check_divides(fixed: int | None, count: int) -> None:
    """Errors: `LayerError` for so many samples that they do not make whole batches of a size that is fixed."""
    if fixed is not None and count % fixed:
        raise LayerError(f"the model takes batches of exactly {fixed}, got {count} samples, which do not divide evenly")


def _check_lengths(session: Session, part: list[Any], count: int) -> None:
    for name, result in zip(session.output_names, part, strict=True):
        if np.ndim(result) == 0 or len(result) != count:
            raise LayerError(f'output "{name}" has shape {np.shape(result)} for a batch of {count}: not one result for '
                             "each sample, so batches cannot be joined; use predict_on_batch, or a larger batch_size")
