"""NanGuard: training stops where a number stops being finite, and the error says which one it was."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from symgraph.core.errors import NonFiniteError, SymgraphError
from symgraph.core.value import Array
from symgraph.core.variable import Variable
from symgraph.training.callbacks.callback import Callback
from symgraph.training.data.array_feed import ArrayFeed
from symgraph.training.data.feed import Batch
from symgraph.training.non_finite import describe, find_non_finite
from symgraph.training.training_state import variables_of


class NanGuard(Callback):
    """Stops training with an error at the first step after which the loss is NaN or infinite, or any log where a step
    of your own gives no "loss".

    The error names the epoch, the step and where it came from: the input data and their rows, the targets, the sample
    weights, a weight, or the first tensor of the step that is not finite, with its layer and line. The model is left as
    it was before that step, so that its weights are finite.

    With `check_weights=True` weights are looked at as well, which reads them from the device after each step; it finds
    the step that spoils them, one before the loss shows it. A validation whose loss is not finite stops it, too. With
    `steps_per_execution` above 1 only every so many steps are looked at.

    Errors: `NonFiniteError`.
    """

    def __init__(self, check_weights: bool = False) -> None:
        super().__init__()
        self.check_weights = check_weights
        self._epoch = 0
        self._checked = 0
        self._before: dict[Variable, Array] = {}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._checked = getattr(self.model._progress, "step", 0)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.model.run_eagerly:
            self._before = {v: v.numpy() for v in variables_of(self.model).values()}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        watched = {"loss": logs["loss"]} if logs and "loss" in logs else dict(logs or {})
        reason = next((f"the {name} is {value}" for name, value in watched.items() if not _is_finite(value)), None)
        if reason is None and self.check_weights:
            reason = next(_bad_weights(self.model), None)
        if reason is not None:
            raise NonFiniteError(self._explain(reason, batch))
        self._checked = batch + 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("val_loss")
        if isinstance(loss, float) and not math.isfinite(loss):
            raise NonFiniteError(f"NanGuard: the validation loss is {loss} after epoch {epoch + 1}, that of training "
                                 f"is {logs.get('loss')}; look for NaN and infinities in the validation data")

    def _explain(self, reason: str, batch: int) -> str:
        is_one = batch == self._checked
        steps = f"step {batch + 1}" if is_one else f"steps {self._checked + 1} to {batch + 1}"
        is_undone = self._undo()
        finding = self._find(batch)
        text = f"NanGuard: {reason} after {steps} of epoch {self._epoch + 1}"
        text += f": {finding}" if finding else "; its origin was not found when the step was repeated"
        return text + (f"; the model is as it was before step {batch + 1}" if is_undone else "")

    def _undo(self) -> bool:
        """Give all variables the values from before the step."""
        before = self._before
        function = self.model._step_functions.get("train")
        if not self.model.run_eagerly and function is not None and function.state is not None:
            before = {v: function.before(v) for v in function.state.variables}
        for v, array in before.items():
            v.assign(array)
        return bool(before)

    def _find(self, batch: int) -> str | None:
        batches = list(self._batches(batch))
        names = _names(self.model)
        for step, given in enumerate(batches, self._checked):
            rows = _rows(self.model._progress.feed, self._epoch, step)
            for name, array in _named(given, names):
                if text := describe(name, array, rows):
                    return text
        for text in _bad_weights(self.model):
            return f"{text} before it; NanGuard(check_weights=True) finds the step that made it so"
        if not batches:
            return "the data can be read only once, so the batch is gone and was not looked at"
        return self._find_tensor(batches[-1])

    def _batches(self, batch: int) -> Iterator[Batch]:
        """The batches since the last look, read once more, or the last one where that cannot be."""
        feed = self.model._progress.feed
        if feed.can_resume:
            yield from islice(feed.batches(self._epoch, self._checked), batch + 1 - self._checked)
        elif not self.model.run_eagerly:
            arrays = iter(self.model._step_function("train").last_batch())
            yield Batch(*(list(islice(arrays, len(part))) for part in feed.structure.unpack()))

    def _find_tensor(self, batch: Any) -> str | None:
        """The first tensor of the compiled step that is not finite: towards the results, or else the new weights."""
        structure = self.model._progress.feed.structure
        try:
            step = self.model._step_function("train").prepare(structure.pack(batch))
            graph = step.graph
            feeds = dict(zip(graph.input_names, [a for part in batch for a in part], strict=True))
            count = len(graph.outputs) - len(step.state.variables)
            found = (find_non_finite(graph, feeds, outputs=graph.outputs[:count])
                     or find_non_finite(graph, feeds, outputs=graph.outputs[count:]))
        except SymgraphError as error:
            return f"data and weights are finite, and looking for the tensor failed ({error})"
        return None if found is None else found.text


def _is_finite(value: object) -> bool:
    return not isinstance(value, float | np.ndarray) or bool(np.isfinite(value).all())


def _bad_weights(model: Any) -> Iterator[str]:
    for v in model.weights:
        if text := describe(f"the weight {v.path!r}", v.numpy()):
            yield text


def _rows(feed: Any, epoch: int, step: int) -> list[int] | None:
    """The numbers of the rows of a batch in the data, where it has numbered rows."""
    return feed.plan(epoch).numbers(step) if isinstance(feed, ArrayFeed) else None


def _names(model: Any) -> Mapping[str, list[str]]:
    """What to call the parts of a batch."""
    if not model._is_connected:  # its step is its own
        return {"x": ["the input"], "y": ["the target"], "sample_weight": ["the sample weight"]}
    inputs = [f"the input {name!r}" for name in model.input_names]
    outputs = model.output_names
    several = len(outputs) > 1
    return {"x": inputs, "y": [f"the target y of output {name!r}" if several else "the target y" for name in outputs],
            "sample_weight": [f"the sample weight of output {name!r}" if several else "the sample weight"
                              for name in outputs]}


def _named(batch: Any, names: Mapping[str, list[str]]) -> Iterator[tuple[str, Array]]:
    for part, known in names.items():
        arrays = getattr(batch, part)
        called = known if len(known) == len(arrays) else [f"{part} {i}" for i in range(len(arrays))]
        yield from zip(called, arrays, strict=True)
