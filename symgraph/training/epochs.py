"""One epoch of training or evaluation: batches go in, callbacks hear of them, logs come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.errors import DtypeError, LayerError, RunError, ShapeError, TrainingError
from symgraph.core.types import numpy_dtype
from symgraph.training.callbacks import CallbackList, Logs
from symgraph.training.callbacks.logs import numbers
from symgraph.training.data.array_feed import ArrayFeed
from symgraph.training.data.feed import Feed
from symgraph.training.steps import StepFunction

if TYPE_CHECKING:
    from symgraph.training.trainer import Trainer

Results = Callable[[], dict[str, Any]]


@dataclass
class Progress:
    """Where `fit` stands: `step` steps of `epoch` are done. A callback that resumes sets them in `on_train_begin`."""

    feed: Feed
    callbacks: CallbackList
    epoch: int = 0
    step: int = 0
    is_resumed: bool = False
    results: Results | None = None

    def logs(self) -> dict[str, Any]:
        """The logs of the last step."""
        return {} if self.results is None else numbers(self.results())

    def keep_logs(self, logs: dict[str, Any]) -> None:
        """Take these for the logs of the last step."""
        self.results = lambda: logs


@contextmanager
def speaking_of(what: str) -> Iterator[None]:
    """Errors inside begin with what they are about."""
    try:
        yield
    except (TrainingError, ShapeError, DtypeError, LayerError) as error:
        raise type(error)(f"{what}: {error}") from None


def run_epoch(model: Trainer, kind: str, feed: Feed, epoch: int, callbacks: CallbackList, progress: Progress | None,
              ) -> dict[str, Any]:
    """Run the steps of an epoch and give the logs of the last one."""
    start = 0 if progress is None else progress.step
    if progress is not None and start and model.stop_training:  # by a callback, before the interruption
        return progress.logs()
    hooks = _Hooks(callbacks, kind, model.steps_per_execution)
    steps = _eager_steps if model.run_eagerly else _array_steps if isinstance(feed, ArrayFeed) else _steps
    results: Results | None = None
    for step, results in steps(model, kind, feed, epoch, start, hooks):
        if progress is not None:
            progress.step, progress.results = step + 1, results
        if hooks.has_any:
            hooks.end(step, results)
        if model.stop_training if progress is not None else model.stop_evaluating:
            break
    if results is None:
        if progress is not None and start:  # the epoch was interrupted after its last step
            return progress.logs()
        raise TrainingError(f"{feed.describe()} gave no batch in epoch {epoch + 1}")
    logs = numbers(results())
    if hooks.has_any:
        hooks.close(step, results)
    return logs


class _Hooks:
    """The hooks of batches of one loop, called only where somebody listens, and once for each group of steps."""

    def __init__(self, callbacks: CallbackList, kind: str, group: int) -> None:
        begin, end = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
        self._begin = getattr(callbacks, begin) if callbacks.uses(begin) else None
        self._end = getattr(callbacks, end) if callbacks.uses(end) else None
        self.has_any = self._begin is not None or self._end is not None
        self._group, self._waiting = group, 0

    def begin(self, step: int) -> None:
        """A step begins."""
        if self._begin is not None and not self._waiting:
            self._begin(step)

    def end(self, step: int, results: Results) -> None:
        """A step is over."""
        self._waiting += 1
        if self._waiting >= self._group:
            self.close(step, results)

    def close(self, step: int, results: Results) -> None:
        """A group is over, if there is one, for this was its last step."""
        if self._waiting:
            self._waiting = 0
            if self._end is not None:
                self._end(step, Logs(results))


def _array_steps(model: Trainer, kind: str, feed: Feed, epoch: int, start: int, hooks: _Hooks,
                 ) -> Iterator[tuple[int, Results]]:
    """The steps of arrays: rows are gathered right where the compiled step reads them."""
    assert isinstance(feed, ArrayFeed)
    function = model._step_function(kind)
    plan = feed.plan(epoch)
    size, structure = feed.batch_size, feed.structure
    template = structure.pack(_template(structure.unpack(), size))
    compiled, fill = None, None
    results = function.results
    for step in range(start, plan.steps):
        if hooks.has_any:
            hooks.begin(step)
        try:
            if plan.rows(step) == size:
                if compiled is None:
                    compiled = function.prepare(template, plan.steps - step)
                    own = [x for x in compiled.inputs if x is not None]
                    fill = plan.bind(own) if len(own) == len(compiled.inputs) else None
                if fill is not None:
                    fill(step)
                    compiled.run()
                    yield step, results
                    continue
            compiled = None
            function.run(structure.pack(_gather(plan, structure, step)))
        except RunError as error:
            raise _placed(error, kind, epoch, step) from None
        yield step, results


def _template(types: Any, size: int) -> Any:
    """Something with the dtypes and shapes of a batch of `size` rows."""
    return [[np.broadcast_to(np.zeros((), numpy_dtype(t.dtype)), (size, *t.shape[1:])) for t in part] for part in types]


def _gather(plan: Any, structure: Any, step: int) -> Any:
    count = plan.rows(step)
    parts = [[np.empty(a.shape, a.dtype) for a in part] for part in _template(structure.unpack(), count)]
    plan.fill(step, [a for part in parts for a in part])
    return parts


def _steps(model: Trainer, kind: str, feed: Feed, epoch: int, start: int, hooks: _Hooks,
           ) -> Iterator[tuple[int, Results]]:
    function: StepFunction = model._step_function(kind)
    structure, is_training = feed.structure, kind == "train"
    checks: list[tuple[int, Callable[[Any], None]]] = []
    seen: set[object] = set()
    for step, batch in enumerate(feed.batches(epoch, start), start):
        if hooks.has_any:
            hooks.begin(step)
        with speaking_of(f"batch {step} of {feed.describe()}"):
            types = tuple([(a.dtype, a.shape[1:]) for a in (*batch.x, *batch.y)])
            if types not in seen:
                seen.add(types)
                model._check_batch(structure, batch, training=is_training)
                checks = model._class_checks(structure, batch.y, training=is_training)
            for i, check in checks:
                check(batch.y[i])
        try:
            function.run(structure.pack(batch))
        except RunError as error:
            raise _placed(error, kind, epoch, step) from None
        yield step, function.results


def _eager_steps(model: Trainer, kind: str, feed: Feed, epoch: int, start: int, hooks: _Hooks,
                 ) -> Iterator[tuple[int, Results]]:
    for step, batch in enumerate(feed.batches(epoch, start), start):
        if hooks.has_any:
            hooks.begin(step)
        logs = model._run_step(kind, feed.structure.pack(batch))
        yield step, partial(dict, logs)


def _placed(error: RunError, kind: str, epoch: int, step: int) -> RunError:
    """The error of a step that failed, with the number of the step."""
    if kind != "train":
        return type(error)(f"{error}; this was batch {step + 1} of the evaluation")
    return type(error)(f"{error}; this was step {step + 1} of epoch {epoch + 1}, and the model is as it was before it")
