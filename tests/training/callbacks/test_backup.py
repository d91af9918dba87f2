"""A run that goes on from a backup is, bit for bit, one that was never interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import CheckpointError
from symgraph.training.callbacks import BackupAndRestore, Callback, EarlyStopping, TerminateOnNaN
from symgraph.training.checkpoints import latest_checkpoint, read_checkpoint, write_checkpoint
from tests.training.callbacks.interrupted import EPOCHS, build, data, fingerprint, fit, watchers

ROOT = Path(__file__).resolve().parents[3]


def small():
    sg.random.set_seed(3)
    model = sg.Sequential([sg.layers.Dense(1, input_shape=(4,))])
    model.compile("adam", "mse", metrics=["mae"])
    return model


class Stop(Exception):
    """What interrupts a run in these tests."""


class Interrupt(Callback):
    """Raises in the step `batch` of `epoch`, or at the end of it."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch, self.batch, self.now = epoch, batch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch) == (self.epoch, self.batch):
            raise Stop

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch and self.batch is None:
            raise Stop


@pytest.fixture(scope="module")
def uninterrupted():
    model = build()
    return fingerprint(model, fit(model, watchers()))


def interrupted(folder, at, make=build, watching=watchers, **options):
    with pytest.raises(Stop):
        fit(make(), [BackupAndRestore(folder, **options), Interrupt(*at), *watching()])


@pytest.mark.parametrize("save_freq, at", [
    ("epoch", (1, 3)), ("epoch", (EPOCHS - 1, 0)), (1, (0, 1)), (1, (1, 8)), (4, (2, None)), (3, (3, 1)),
], ids=str)
def test_a_run_that_goes_on_equals_one_that_was_never_interrupted(save_freq, at, uninterrupted, tmp_path):
    folder = tmp_path / "backup"
    interrupted(folder, at, save_freq=save_freq)
    model = build()
    sg.random.normal((3,))  # so that the global generator is elsewhere
    history = fit(model, [BackupAndRestore(folder, save_freq=save_freq), *watchers()])

    assert fingerprint(model, history) == uninterrupted
    assert not folder.exists()


def test_a_run_may_be_interrupted_again_and_again(uninterrupted, tmp_path):
    for at in ((0, 4), (1, 1), (2, None)):
        interrupted(tmp_path / "backup", at, save_freq=1, double_checkpoint=True)
    model = build()
    history = fit(model, [BackupAndRestore(tmp_path / "backup", save_freq=1), *watchers()])

    assert fingerprint(model, history) == uninterrupted


def test_eager_runs_go_on_as_well(tmp_path):
    def run(*callbacks):
        sg.random.set_seed(3)
        model = sg.Sequential([sg.layers.Dropout(0.3, input_shape=(4,)), sg.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        return fingerprint(model, fit(model, list(callbacks), epochs=2))

    expected = run()
    with pytest.raises(Stop):
        run(BackupAndRestore(tmp_path / "backup", save_freq=2), Interrupt(1, 3))

    assert run(BackupAndRestore(tmp_path / "backup", save_freq=2)) == expected


def test_a_dataset_goes_on_as_well(tmp_path):
    def run(*callbacks):
        model = small()
        dataset = sg.data.Dataset.from_tensor_slices(data()).shuffle(50, seed=4).batch(8)
        return fingerprint(model, model.fit(dataset, epochs=3, verbose=0, callbacks=list(callbacks)))

    expected = run()
    with pytest.raises(Stop):
        run(BackupAndRestore(tmp_path / "backup", save_freq=2), Interrupt(1, 4))

    assert run(BackupAndRestore(tmp_path / "backup", save_freq=2)) == expected


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills are those of POSIX")
@pytest.mark.parametrize("save_freq", ["epoch", 1])
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_end(save_freq, uninterrupted, tmp_path, rng):
    kills = 0
    for delay in [*rng.uniform(0.0, 0.25, 3), 0]:
        done = subprocess.run([sys.executable, "-m", "tests.training.callbacks.interrupted", tmp_path / "backup",
                               str(save_freq), str(delay)], cwd=ROOT, capture_output=True, text=True, timeout=120)
        kills += done.returncode == -signal.SIGKILL
        if done.returncode == 0:
            break

    assert kills >= 2
    assert done.stdout.strip() == uninterrupted, done.stderr


def test_a_run_that_early_stopping_ended_stays_ended(tmp_path):
    class Ended(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    class Killed(Callback):
        def on_train_end(self, logs=None):
            raise Stop

    with pytest.raises(Stop):
        fit(small(), [BackupAndRestore(tmp_path / "backup"), Ended(), Killed()])
    history = fit(small(), [BackupAndRestore(tmp_path / "backup")])

    assert history.epoch == [0, 1]


def test_without_deleting_a_finished_run_is_not_done_again(tmp_path):
    backup = {"backup_dir": tmp_path / "backup", "delete_checkpoint": False}
    first = small()
    fit(first, [BackupAndRestore(**backup)])
    second = small()
    history = fit(second, [BackupAndRestore(**backup), Interrupt(0, 0)])

    assert history.epoch == list(range(EPOCHS))
    assert all((a == b).all() for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_more_epochs_go_on_from_a_finished_run(tmp_path):
    backup = {"backup_dir": tmp_path / "backup", "delete_checkpoint": False}
    fit(small(), [BackupAndRestore(**backup)], epochs=2)
    history = fit(small(), [BackupAndRestore(**backup)], epochs=3)

    assert history.epoch == [0, 1, 2]


def test_other_files_in_the_folder_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    fit(small(), [BackupAndRestore(tmp_path)], epochs=1)

    assert os.listdir(tmp_path) == ["notes.txt"]


# Backups that do not fit.

def other_model():
    model = sg.Sequential([sg.layers.Dense(2, input_shape=(4,)), sg.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def other_optimizer():
    model = small()
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def other_metrics():
    model = small()
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("make, options, text", [
    (other_model, {}, "does not fit.*nothing was changed"),
    (other_optimizer, {}, r"had the optimizer Adam\(.*this one has SGD\(.*nothing was changed"),
    (other_metrics, {}, "does not fit.*nothing was changed"),
    (small, {"batch_size": 4}, "batch_size was 8, now it is 4.*nothing was changed"),
    (small, {"shuffle": False}, "shuffle=True, this one has False.*nothing was changed"),
    (small, {"validation_split": 0.5}, "samples was 68, now it is 43.*nothing was changed"),
], ids=["model", "optimizer", "metrics", "batch size", "shuffle", "samples"])
def test_another_run_is_refused_before_anything_changes(make, options, text, tmp_path):
    interrupted(tmp_path / "backup", (1, 3), small, list)
    model = make()
    model.build((None, 4))
    before = model.get_weights()

    with pytest.raises(CheckpointError, match=f"{text}.*to start anew, delete that file"):
        fit(model, [BackupAndRestore(tmp_path / "backup")], **options)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert latest_checkpoint(tmp_path / "backup") is not None


def test_data_that_can_be_read_only_once_are_refused(tmp_path):
    def batches():
        x, y = data()
        while True:
            yield x[:8], y[:8]

    with pytest.raises(Stop):
        small().fit(batches(), steps_per_epoch=3, epochs=2, verbose=0,
                    callbacks=[BackupAndRestore(tmp_path / "backup"), Interrupt(1, 0)])
    with pytest.raises(CheckpointError, match="cannot be started in the middle"):
        small().fit(batches(), steps_per_epoch=3, epochs=2, verbose=0,
                    callbacks=[BackupAndRestore(tmp_path / "backup")])


def test_other_versions_are_told(tmp_path):
    interrupted(tmp_path / "backup", (1, 3), small, list)
    path = latest_checkpoint(tmp_path / "backup")
    arrays, state = read_checkpoint(path)
    write_checkpoint(path, arrays, {**state, "machine": "symgraph 0.0.1, onnxruntime 1.0 (CPUExecutionProvider)"})

    model = small()
    before = [w.numpy() for w in model.weights]
    with pytest.raises(CheckpointError, match=r"written with symgraph 0\.0\.1, .*any_version=True.*delete that file"):
        fit(model, [BackupAndRestore(tmp_path / "backup")])
    assert all(np.array_equal(w.numpy(), a) for w, a in zip(model.weights, before, strict=True))
    with pytest.warns(UserWarning, match=r"written with symgraph 0\.0\.1.*numbers may differ"):
        fit(small(), [BackupAndRestore(tmp_path / "backup", any_version=True)])


def test_another_seed_is_an_error(tmp_path):
    interrupted(tmp_path / "backup", (1, 3), small, list)
    model = small()
    sg.random.set_seed(99)
    before = [w.numpy() for w in model.weights]

    with pytest.raises(CheckpointError, match=r"had the seed \d+, this one has 99; .*delete that file"):
        fit(model, [BackupAndRestore(tmp_path / "backup")])
    assert all(np.array_equal(w.numpy(), a) for w, a in zip(model.weights, before, strict=True))


SEEDLESS = """
import sys, numpy as np, symgraph as sg
class Stop(sg.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            sys.exit("stopped")
model = sg.Sequential([sg.layers.Dense(1, input_shape=(4,))])
model.compile("sgd", "mse")
stop = [Stop()] if sys.argv[2] == "stop" else []
model.fit(np.ones((16, 4)), np.ones((16, 1)), batch_size=8, verbose=0,
          callbacks=[sg.callbacks.BackupAndRestore(sys.argv[1], save_freq=1), *stop])
"""


def test_runs_of_programs_that_set_no_seed_go_on(tmp_path):
    def run(how):
        return subprocess.run([sys.executable, "-c", SEEDLESS, str(tmp_path / "backup"), how], cwd=ROOT,
                              capture_output=True, text=True)

    assert "stopped" in run("stop").stderr
    assert latest_checkpoint(tmp_path / "backup") is not None
    done = run("go on")
    assert done.returncode == 0, done.stderr


def test_a_callback_that_is_gone_is_told(tmp_path):
    interrupted(tmp_path / "backup", (1, 3), small, lambda: [EarlyStopping()])

    with pytest.warns(UserWarning, match="EarlyStopping is left aside"):
        fit(small(), [BackupAndRestore(tmp_path / "backup")])


def test_a_checkpoint_of_weights_is_no_backup(tmp_path):
    sg.callbacks.save_weights(small(), tmp_path / "backup.ckpt")

    with pytest.raises(CheckpointError, match="a checkpoint of something else than a training"):
        fit(small(), [BackupAndRestore(tmp_path)])


def damage(path):
    with open(path, "r+b") as file:
        file.truncate(1000)


@pytest.mark.parametrize("changes, text", [
    ({"epoch": "1"}, r"its data are not complete \(epoch\)"),
    ({"callbacks": {"History": {"epoch": 3}}}, "the saved state of History is none that it can take"),
])
def test_data_that_are_not_those_of_a_training_are_refused(changes, text, tmp_path):
    interrupted(tmp_path / "backup", (1, 3), small, list)
    path = latest_checkpoint(tmp_path / "backup")
    arrays, state = read_checkpoint(path)
    write_checkpoint(path, arrays, {**state, **changes})

    with pytest.raises(CheckpointError, match=f"{text}.*to start anew, delete that file"):
        fit(small(), [BackupAndRestore(tmp_path / "backup")])


@pytest.mark.parametrize("optimizer, watching", [
    (lambda: sg.optimizers.LossScaleOptimizer(sg.optimizers.SGD(0.1)),
     lambda: [sg.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)]),
    (lambda: sg.optimizers.SGD(sg.optimizers.schedules.ExponentialDecay(0.1, 3, 0.5)), list),
], ids=["inside another", "schedule"])
def test_every_optimizer_goes_on(optimizer, watching, tmp_path):
    def run(*callbacks):
        model = small()
        model.compile(optimizer(), "mse")
        return fingerprint(model, fit(model, [*callbacks, *watching()], epochs=3))

    expected = run()
    with pytest.raises(Stop):
        run(BackupAndRestore(tmp_path / "backup", save_freq=2), Interrupt(1, 3))

    assert run(BackupAndRestore(tmp_path / "backup", save_freq=2)) == expected


def test_another_schedule_is_refused(tmp_path):
    def run(rate, *callbacks):
        model = small()
        model.compile(sg.optimizers.SGD(sg.optimizers.schedules.ExponentialDecay(rate, 3, 0.5)), "mse")
        fit(model, list(callbacks))

    with pytest.raises(Stop):
        run(0.1, BackupAndRestore(tmp_path / "backup"), Interrupt(1, 3))
    with pytest.raises(CheckpointError, match="had the optimizer SGD"):
        run(0.2, BackupAndRestore(tmp_path / "backup"))


def test_a_damaged_backup_is_an_error_and_stays(tmp_path):
    interrupted(tmp_path / "backup", (1, 3), small, list)
    damage(tmp_path / "backup" / "backup.ckpt")

    with pytest.raises(CheckpointError, match=r"no backup in .* can be read; delete .* to start anew"), \
            pytest.warns(UserWarning, match="passed over"):
        fit(small(), [BackupAndRestore(tmp_path / "backup")])
    assert os.listdir(tmp_path / "backup") == ["backup.ckpt"]


def test_of_two_backups_the_one_before_is_taken_where_the_last_is_damaged(uninterrupted, tmp_path):
    options = {"save_freq": "epoch", "double_checkpoint": True}
    interrupted(tmp_path / "backup", (2, 3), **options)
    last = latest_checkpoint(tmp_path / "backup")
    assert len(os.listdir(tmp_path / "backup")) == 2
    damage(last)
    model = build()
    with pytest.warns(UserWarning, match="passed over"):
        history = fit(model, [BackupAndRestore(tmp_path / "backup", **options), *watchers()])

    assert fingerprint(model, history) == uninterrupted


# What is not finite.

def test_nan_neither_overwrites_nor_deletes_the_last_good_backup(tmp_path):
    class Spoil(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                v = self.model.weights[0]
                v.assign(np.full(v.shape, np.nan, np.float32))

    with pytest.warns(UserWarning, match="so the state is not saved"):
        fit(small(), [BackupAndRestore(tmp_path / "backup"), Spoil(), TerminateOnNaN()])
    arrays, state = read_checkpoint(latest_checkpoint(tmp_path / "backup"))

    assert state["epoch"] == 2
    assert all(np.isfinite(array).all() for name, array in arrays.items() if name.startswith("weight"))


@pytest.mark.parametrize("arguments", [{"backup_dir": ""}, {"backup_dir": "b", "save_freq": 0},
                                       {"backup_dir": "b", "save_freq": "batch"}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(sg.TrainingError, match="BackupAndRestore"):
        BackupAndRestore(**arguments)
