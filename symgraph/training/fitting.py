"""The loops of training and evaluation: batches go in, callbacks hear of it, logs come out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.core.structure import flatten, pack
from symgraph.core.tensor import Operand
from symgraph.ops.seeds import make_default_seed
from symgraph.training.batches import check_divides
from symgraph.training.callbacks import CallbackList
from symgraph.training.data.array_feed import ArrayFeed
from symgraph.training.data.columns import is_arrays
from symgraph.training.data.feed import Feed
from symgraph.training.data.feeding import check_count, make_feed, split_validation
from symgraph.training.epochs import Progress, run_epoch, speaking_of
from symgraph.training.interrupts import hearing_interrupts
from symgraph.training.progress_bar import is_terminal

if TYPE_CHECKING:
    from symgraph.training.trainer import Trainer


def fit(model: Trainer, x: Any, y: Any, batch_size: int | None, epochs: int, verbose: Any, callbacks: Any,
        validation_split: float, validation_data: Any, shuffle: Any, class_weight: Any, sample_weight: Any,
        initial_epoch: int, steps_per_epoch: int | None, validation_steps: int | None,
        validation_batch_size: int | None, validation_freq: Any) -> Any:
    """`Model.fit`, which says what the arguments are."""
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise TrainingError(f"fit: {name} must be a whole number from 0 on, got {value!r}")
    _check_frequency(validation_freq)
    check_count("validation_steps", validation_steps)
    check_count("validation_batch_size", validation_batch_size)
    if validation_split and validation_data is None:
        (x, y, sample_weight), validation_data = split_validation((x, y, sample_weight), validation_split)
    feed = make_feed(x, y, sample_weight, batch_size=batch_size, shuffle=shuffle, steps_per_epoch=steps_per_epoch,
                     seed=make_default_seed(), class_weight=class_weight, training=True)
    with ExitStack() as open_feeds, hearing_interrupts():
        open_feeds.enter_context(closing(feed))
        prepare(model, feed, training=True)
        validation = None
        if validation_data is not None:
            with speaking_of("validation_data"):
                validation = _validation_feed(validation_data, validation_batch_size or batch_size, validation_steps)
                open_feeds.enter_context(closing(validation))
                prepare(model, validation, training=False)
        listening = CallbackList(callbacks, add_history=True, add_progbar=verbose != 0, model=model, verbose=verbose,
                                 epochs=epochs, steps=feed.steps)
        progress = model._progress = Progress(feed, listening, initial_epoch)
        try:
            with _given_up(listening):
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
        logs = run_epoch(model, "train", feed, epoch, callbacks, progress)
        if validation is not None and _is_due(epoch, validation_freq):
            found = run_test(model, validation, callbacks)
            logs = {**logs, **{f"val_{name}": value for name, value in found.items()}}
        progress.epoch, progress.step = epoch + 1, 0
        callbacks.on_epoch_end(epoch, logs)
    if epochs and model.optimizer is not None:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(logs)


@contextmanager
def _given_up(callbacks: CallbackList) -> Iterator[None]:
    """Where a loop ends with an error or is interrupted, callbacks put back what they have changed for a while."""
    try:
        yield
    except BaseException:
        callbacks.give_up()
        raise


def evaluate(model: Trainer, x: Any, y: Any, batch_size: int | None, verbose: Any, sample_weight: Any,
             steps: int | None, callbacks: Any) -> dict[str, Any]:
    """`Model.evaluate`; gives the logs."""
    check_count("steps", steps)
    feed = make_feed(x, y, sample_weight, batch_size=batch_size, steps_per_epoch=steps, training=False)
    with closing(feed), hearing_interrupts():
        prepare(model, feed, training=False)
        listening = CallbackList(callbacks, add_progbar=verbose != 0, model=model, verbose=verbose, epochs=1,
                                 steps=feed.steps)
        with _given_up(listening):
            return run_test(model, feed, listening)


def run_test(model: Trainer, feed: Feed, callbacks: CallbackList) -> dict[str, Any]:
    """Evaluate on a feed, with metrics started anew."""
    model.reset_metrics()
    model.stop_evaluating = False
    callbacks.on_test_begin()
    logs = run_epoch(model, "test", feed, 0, callbacks, None)
    callbacks.on_test_end(logs)
    return logs


def needs_loop(model: Trainer, x: Any, verbose: Any, callbacks: Any) -> bool:
    """Whether predicting for `x` is more than running the graph on arrays."""
    is_shown = verbose in (1, 2) or (verbose == "auto" and is_terminal())
    is_foreign = any(hasattr(a, "shape") and not isinstance(a, np.ndarray | np.generic | Operand) for a in flatten(x))
    return is_shown or is_foreign or _predicts_by_steps(model) or bool(callbacks) or not is_arrays(x)


def _predicts_by_steps(model: Any) -> bool:
    """Whether predicting runs `predict_step`: where it is one's own, and where layers change variables, as the graph
    alone does not."""
    return bool(model.run_eagerly or model._has_own("predict_step") or model._assigned)


def predict(model: Any, x: Any, batch_size: int | None, verbose: Any, steps: int | None, callbacks: Any) -> Any:
    """`Model.predict` in a loop that callbacks hear of."""
    check_count("steps", steps)
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
        parts = []
        with _given_up(listening):
            listening.on_predict_begin()
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
    is_list = isinstance(frequency, Collection) and not isinstance(frequency, str)
    if not (is_number and frequency >= 1) and not is_list:
        raise TrainingError("fit: validation_freq must be a number of epochs from 1 on, or a list of epochs, "
                            f"got {frequency!r}")


def _is_due(epoch: int, frequency: Any) -> bool:
    """Whether this epoch is followed by validation: every so many, or those numbered from 1 in a list."""
    if isinstance(frequency, Collection):
        return epoch + 1 in frequency
    return bool((epoch + 1) % frequency == 0)
