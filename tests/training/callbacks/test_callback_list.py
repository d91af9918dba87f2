"""CallbackList calls its callbacks in order, only where they do something, with logs that are read when looked at."""

from types import SimpleNamespace

import numpy as np
import pytest

import symgraph as sg
from symgraph.training.callbacks import Callback, CallbackList, History, LambdaCallback, Logs, ProgbarLogger

BATCH_HOOKS = [f"on_{what}_batch_{when}" for what in ("train", "test", "predict") for when in ("begin", "end")]


class Noted(Callback):
    """A callback that notes the calls of one hook."""

    def __init__(self, *hooks):
        super().__init__()
        self.calls = []
        for hook in hooks:
            setattr(self, hook, lambda *args, hook=hook, **kwargs: self.calls.append((hook, *args)))


@pytest.mark.parametrize("hook", BATCH_HOOKS)
def test_a_batch_hook_that_somebody_overrides_is_known(hook):
    callbacks = CallbackList([Noted(hook)])

    assert [each for each in BATCH_HOOKS if callbacks.uses(each)] == [hook]


@pytest.mark.parametrize("hook", ["on_batch_begin", "on_batch_end"])
def test_the_older_names_of_batch_hooks_are_called_by_the_newer(hook):
    noted = Noted(hook)
    callbacks = CallbackList([noted])

    assert callbacks.uses(hook.replace("on_", "on_train_"))
    getattr(callbacks, hook.replace("on_", "on_train_"))(3, {"loss": 1.0})

    assert noted.calls == [(hook, 3)]


def test_without_listeners_there_are_no_batch_hooks():
    callbacks = CallbackList([Callback(), History()], add_history=True, add_progbar=True, verbose=2, epochs=1, steps=3)

    assert not any(map(callbacks.uses, BATCH_HOOKS))


def test_logs_of_batches_are_not_read_by_those_who_do_not_look():
    reads = []
    logs = Logs(lambda: reads.append(1) or {"loss": sg.tensor(2.0)}, names=["loss"])
    callbacks = CallbackList([LambdaCallback(on_train_batch_end=lambda batch, logs: (logs or {}) and "loss" in logs)])
    callbacks.on_train_batch_end(0, logs)

    assert reads == []
    assert (logs["loss"], logs.get("accuracy"), dict(logs), reads) == (2.0, None, {"loss": 2.0}, [1])


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), sg.tensor(0.5), sg.Variable(0.5)], ids=type)
def test_values_in_logs_are_python_numbers(value):
    seen = []
    callbacks = CallbackList([LambdaCallback(on_train_batch_end=lambda batch, logs: seen.extend(logs.values()),
                                             on_epoch_end=lambda epoch, logs: seen.extend(logs.values()))])
    callbacks.on_train_batch_end(0, {"loss": value})
    callbacks.on_epoch_end(0, {"loss": value})

    assert [(type(x), x) for x in seen] == [(float, 0.5)] * 2


def test_what_a_callback_adds_to_the_logs_of_an_epoch_is_in_the_history():
    callbacks = CallbackList(
        [LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(learning_rate=0.1))], add_history=True)
    callbacks.on_train_begin()
    callbacks.on_epoch_end(0, {"loss": 1.0})

    assert callbacks.history.history == {"loss": [1.0], "learning_rate": [0.1]}


def test_keys_added_to_lazy_logs_stay_when_they_are_read():
    logs = Logs(lambda: {"loss": 1.0, "accuracy": 0.5}, names=["loss", "accuracy"])
    logs["learning_rate"] = 0.1
    logs["loss"] = 2.0

    assert list(logs) == ["accuracy", "loss", "learning_rate"]
    assert {**logs} == {"loss": 2.0, "accuracy": 0.5, "learning_rate": 0.1}
    assert "{loss:.1f}".format(**logs) == "2.0"


def test_logs_may_be_deleted_from():
    logs = Logs(lambda: {"loss": 1.0, "accuracy": 0.5})
    del logs["loss"]

    assert dict(logs) == {"accuracy": 0.5}


def test_callbacks_that_run_last_are_called_last():
    order = []

    class Last(Callback):
        runs_last = True

        def on_epoch_end(self, epoch, logs=None):
            order.append("last")

    CallbackList([Last(), LambdaCallback(on_epoch_end=lambda *_: order.append("first"))]).on_epoch_end(0)

    assert order == ["first", "last"]


def test_every_callback_gets_the_model_and_the_params():
    model = SimpleNamespace()
    callback = Callback()
    callbacks = CallbackList([[callback]], add_history=True, model=model, epochs=3)

    assert (callback.model, callback.params, model.history) == (model, {"epochs": 3}, callbacks.history)


def test_a_history_that_is_there_is_not_doubled():
    history = History()

    assert CallbackList([history], add_history=True, add_progbar=True).callbacks[0] is history
    assert [type(c) for c in CallbackList([history], add_history=True, add_progbar=True)] == [History, ProgbarLogger]


@pytest.mark.parametrize("wrong", [3, History, "history", [History(), None, print]])
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(sg.TrainingError, match="callbacks must be"):
        CallbackList(wrong)


def test_states_come_back_by_class_and_number():
    first, second = History(), History()
    callbacks = CallbackList([first, Callback(), second])
    callbacks.on_train_begin()
    first.on_epoch_end(0, {"loss": 1.0})
    second.on_epoch_end(0, {"loss": 2.0})

    again = CallbackList([History(), History()])
    again.set_state(callbacks.get_state())

    assert [c.history for c in again] == [{"loss": [1.0]}, {"loss": [2.0]}]
    assert [c.epoch for c in again] == [[0], [0]]


def test_a_state_that_nobody_takes_is_told():
    with pytest.warns(UserWarning, match="History_1 is left aside"):
        CallbackList([History()]).set_state({"History_1": {"epoch": [], "history": {}}})
