"""The loops of training and evaluation: batches go in, callbacks hear of it, logs come out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.errors import DtypeError, LayerError, RunError, ShapeError, TrainingError
from symgraph.core.structure import flatten, pack
from symgraph.core.types import numpy_dtype
from symgraph.ops.seeds import make_default_seed
from symgraph.training.batches import check_divides
from symgraph.training.callbacks import CallbackList, Logs
from symgraph.training.callbacks.logs import numbers
from symgraph.training.data.array_feed import ArrayFeed
from symgraph.training.data.columns import is_arrays
from symgraph.training.data.feed import Feed
from symgraph.training.data.feeding import make_feed, split_validation
from symgraph.training.interrupts import hearing_interrupts
from symgraph.training.progress_bar import is_terminal
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


def fit(model: Trainer, x: Any, y: Any, batch_size: int | None, epochs: int, verbose: Any, callbacks: Any,
        validation_split: float, validation_data: Any, shuffle: Any, class_weight: Any, sample_weight: Any,
        initial_epoch: int, steps_per_epoch: int | None, validation_steps: int | None,
        validation_batch_size: int | None, validation_freq: Any) -> Any:
    """`Model.fit`, which says what the arguments are."""
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise TrainingError(f"fit: {name} must be a whole number from 0 on, got {value!r}")
    _check_frequency(validation_freq)
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = split_validation((x, y, sample_weight), validation_split)
    feed = make_feed(x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, steps_per_epoch=steps_per_epoch,
                     seed=make_default_seed(), class_weight=class_weight, training=True)
    with ExitStack() as open_feeds, hearing_interrupts():
        open_feeds.enter_context(closing(feed))
        prepare(model, feed, training=True)
        validation = None
        if validation_data is not None:
            with _speaking_of("validation_data"):
                validation = _validation_feed(validation_data, validation_batch_size or batch_size, validation_steps)
                open_feeds.enter_context(closing(validation))
                prepare(model, validation, training=False)
        listening = CallbackList(callbacks, add_history=True, add_progbar=verbose != 0, model=model, verbose=verbose,
                                 epochs=epochs, steps=feed.steps)
        progress = model._progress = Progress(feed, listening, initial_epoch)
        try:
            _fit(model, progress, epochs, validation, validation_freq)
        finally:
            model._progress = None
    return model.history


def _fit(model: Trainer, progress: Progress, epochs: int, validation: Feed | None, validation_freq: Any) -> None:
    callbacks, feed = progress.callbacks, progress.feed
    model.stop_training = False
    logs: dict[str, Any] = {}
    callbacks.on_train_begin()
    while progress.epoch < epochs and (not model.stop_training or progress.is_resumed):
        epoch = progress.epoch
        if not progress.is_resumed:
            model.reset_metrics()
        progress.is_resumed = False
        callbacks.on_epoch_begin(epoch)
        logs = _epoch(model, "train", feed, epoch, callbacks, progress)
        if validation is not None and _is_due(epoch, validation_freq):
            found = run_test(model, validation, callbacks)
            logs = {**logs, **{f"val_{name}": value for name, value in found.items()}}
        progress.epoch, progress.step = epoch + 1, 0
        callbacks.on_epoch_end(epoch, logs)
    if epochs and model.optimizer is not None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(logs)


def evaluate(model: Trainer, x: Any, y: Any, batch_size: int | None, verbose: Any, sample_weight: Any,
             steps: int | None, callbacks: Any) -> dict[str, Any]:
    """`Model.evaluate`; gives the logs."""
    feed = make_feed(x, y, sample_weight, batch_size=batch_size, steps_per_epoch=steps, training=False)
    with closing(feed), hearing_interrupts():
        prepare(model, feed, training=False)
        listening = CallbackList(callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1,
                                 steps=feed.steps)
        return run_test(model, feed, listening)


def run_test(model: Trainer, feed: Feed, callbacks: CallbackList) -> dict[str, Any]:
    """Evaluate on a feed, with metrics started anew."""
    model.reset_metrics()
    model.stop_evaluating = False
    callbacks.on_test_begin()
    logs = _epoch(model, "test", feed, 0, callbacks, None)
    callbacks.on_test_end(logs)
    return logs


def needs_loop(model: Trainer, x: Any, verbose: Any, callbacks: Any) -> bool:
    """Whether predicting for `x` is more than running the graph on arrays."""
    is_shown = verbose in (1, 2) or (verbose == "auto" and is_terminal())
    return is_shown or _predicts_by_steps(model) or bool(callbacks) or not is_arrays(x)


def _predicts_by_steps(model: Any) -> bool:
    """Whether predicting runs `predict_step`: where it is one's own, and where layers change variables, as the graph
    alone does not."""
    return bool(model.run_eagerly or model._has_own("predict_step") or model._assigned)


def predict(model: Any, x: Any, batch_size: int | None, verbose: Any, steps: int | None, callbacks: Any) -> Any:
    """`Model.predict` in a loop that callbacks hear of."""
    fixed = model._fixed_batch if is_arrays(x) else None
    feed = make_feed(x, batch_size=fixed or batch_size, steps_per_epoch=steps, training=False)
    with closing(feed), hearing_interrupts():
        model._ready_for("predict", feed.structure)
        if isinstance(feed, ArrayFeed):
            check_divides(fixed, feed.samples)
        listening = CallbackList(callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1,
                                 steps=feed.steps)
        by_steps = _predicts_by_steps(model)
        model.stop_predicting = False
        listening.on_predict_begin()
        parts = []
        for step, batch in enumerate(feed.batches(0)):
            listening.on_predict_batch_begin(step)
            data = feed.structure.pack(batch)
            outputs = model._run_step("predict", data) if by_steps else model.predict_on_batch(data[0])
            parts.append(flatten(outputs))
            listening.on_predict_batch_end(step, {"outputs": outputs})
            if model.stop_predicting:
                break
        listening.on_predict_end()
    if short := [len(batch) for batch in parts if any(np.ndim(a) == 0 for a in batch)]:
        raise TrainingError(f'model "{model.name}": an output without samples, of {short[0]}, cannot be joined; '
                            "use predict_on_batch")
    return pack(outputs, [np.concatenate(pieces) for pieces in zip(*parts, strict=True)])


def prepare(model: Trainer, feed: Feed, *, training: bool) -> None:
    """Build model and optimizer for the batches of this feed, and look whether inputs and targets fit."""
    structure = feed.structure
    model._ready_for("train" if training else "test", structure)
    model._target_types = structure.y
    if isinstance(feed, ArrayFeed):
        counts = [len(part) for part in structure.unpack()]
        columns = [c.array for c in feed.columns[counts[0]:counts[0] + counts[1]]]
        model._check_targets(structure, columns, training=training)


def _validation_feed(data: Any, batch_size: int | None, steps: int | None) -> Feed:
    if isinstance(data, tuple | list) and 2 <= len(data) <= 3:
        x, y, weight = (*data, None)[:3]
        return make_feed(x, y, weight, batch_size=batch_size, steps_per_epoch=steps, training=False)
    return make_feed(data, steps_per_epoch=steps, training=False)


def _check_frequency(frequency: Any) -> None:
    is_number = isinstance(frequency, int | np.integer) and not isinstance(frequency, bool)
    if not (is_number and frequency >= 1) and not isinstance(frequency, Collection):
        raise TrainingError("fit: validation_freq must be a number of epochs from 1 on, or a list of epochs, "
                            f"got {frequency!r}")


def _is_due(epoch: int, frequency: Any) -> bool:
    """Whether this epoch is followed by validation: every so many, or those numbered from 1 in a list."""
    if isinstance(frequency, Collection):
        return epoch + 1 in frequency
    return bool((epoch + 1) % frequency == 0)


@contextmanager
def _speaking_of(what: str) -> Iterator[None]:
    """Errors inside begin with what they are about."""
    try:
        yield
    except (TrainingError, ShapeError, DtypeError, LayerError) as error:
        raise type(error)(f"{what}: {error}") from None


def _epoch(model: Trainer, kind: str, feed: Feed, epoch: int, callbacks: CallbackList, progress: Progress | None,
           ) -> dict[str, Any]:
    """Run the steps of an epoch and give the logs of the last one."""
    start = 0 if progress is None else progress.step
    if progress is not None and model.stop_training:  # by a callback, before the interruption
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
    checks: list[tuple[int, Callable[[Any], None]]] | None = None
    for step, batch in enumerate(feed.batches(epoch, start), start):
        if hooks.has_any:
            hooks.begin(step)
        with _speaking_of(f"batch {step} of {feed.describe()}"):
            if checks is None:
                model._check_targets(structure, batch.y, training=is_training)
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
