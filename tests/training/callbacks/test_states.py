"""Callbacks whose state went through a file, at any epoch, go on as if nothing had happened."""

import json
from pathlib import Path

import numpy as np
import pytest

from symgraph.training import callbacks
from symgraph.training.callbacks import CallbackList, CSVLogger, LearningRateScheduler
from symgraph.training.checkpoints import read_checkpoint, write_checkpoint
from tests.training.callbacks.cases import BATCHES, CASES, RECORDED, SCHEDULES, SERIES, Model, name_of

KERAS = json.loads(RECORDED.read_text())
STATEFUL = [case for case in CASES if case[0] != "CSVLogger" or "append" not in case[1]]


def made(case, model):
    kind, arguments, name = case
    arguments = {k: SCHEDULES[v] if k == "schedule" else v for k, v in arguments.items()}
    return CallbackList([getattr(callbacks, kind)(**arguments)], add_history=True, model=model,
                        epochs=len(SERIES[name]))


@pytest.mark.parametrize("case", STATEFUL, ids=name_of)
def test_a_state_restored_after_every_epoch_changes_nothing(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = Model()
    called = made(case, model)
    called.on_train_begin()
    epochs = []
    for epoch, logs in enumerate(SERIES[case[2]]):
        if epoch:
            called = made(case, model)
            called.on_train_begin()
            called.set_state(read_checkpoint("state.ckpt")[1])
        model.weight = epoch
        called.on_epoch_begin(epoch)
        for batch in range(BATCHES):
            called.on_train_batch_begin(batch)
            called.on_train_batch_end(batch, {"loss": logs["loss"] + 0.25 * (BATCHES - batch)})
        called.on_epoch_end(epoch, dict(logs))
        write_checkpoint("state.ckpt", {}, called.get_state())
        epochs.append(epoch)
        if model.stop_training:
            break
    called.on_train_end()
    expected = KERAS[name_of(case)]
    files = {str(p): p.read_bytes().decode() for p in Path().rglob("*") if p.is_file() and p.suffix != ".ckpt"}

    assert (epochs, model.weight, model.history.history, model.saved, files) == (
        expected["epochs"], expected["weight"], expected["history"], expected["saved"],
        {name: text for name, text in expected["files"].items() if name != "old.csv"})
    assert model.history.epoch == epochs


def test_rows_written_after_the_state_was_saved_are_dropped(tmp_path):
    path = tmp_path / "log.csv"
    called = CallbackList([CSVLogger(path)])
    called.on_train_begin()
    called.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    state = called.get_state()
    called.on_epoch_end(1, {"loss": 2.0, "val_loss": 2.0})

    again = CallbackList([CSVLogger(path)])
    again.on_train_begin()
    again.set_state(state)
    again.on_epoch_end(1, {"loss": 3.0, "val_loss": 3.0})
    again.on_train_end()

    assert path.read_text().split() == ["epoch,loss,val_loss", "0,1.0,1.0", "1,3.0,3.0"]


def test_nothing_is_lost_from_a_log_before_it_is_known_where_to_go_on(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\r\n0,1.0\r\n")
    CallbackList([CSVLogger(path)]).on_train_begin()

    assert path.read_text().split() == ["epoch,loss", "0,1.0"]


def test_a_log_that_is_shorter_than_it_was_is_an_error(tmp_path):
    called = CallbackList([CSVLogger(tmp_path / "log.csv")])
    called.on_train_begin()

    with pytest.raises(callbacks.csv_logger.TrainingError, match="has 0 bytes, but had 10"):
        called.set_state({"CSVLogger": {"keys": ["loss"], "size": 10}})


def test_a_rate_is_not_set_again_for_an_epoch_that_had_begun():
    model = Model()
    called = CallbackList([LearningRateScheduler(lambda epoch, rate: rate * 0.5)], model=model)
    called.on_train_begin()
    called.on_epoch_begin(0)
    state = called.get_state()
    again = CallbackList([LearningRateScheduler(lambda epoch, rate: rate * 0.5)], model=model)
    again.on_train_begin()
    again.set_state(state)
    again.on_epoch_begin(0)
    again.on_epoch_begin(1)

    assert model.optimizer.rate == np.float32(0.1) * 0.25
