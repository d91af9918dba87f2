"""Callbacks that watch a number: which way is better, what is not there, what is no number."""

import math

import pytest

import symgraph as sg
from symgraph.training.callbacks import CallbackList, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, monitor
from tests.training.callbacks.cases import Model

METRICS = [
    (sg.metrics.BinaryAccuracy(), "up"),
    (sg.metrics.AUC(), "up"),
    (sg.metrics.F1Score(), "up"),
    (sg.metrics.MeanIoU(2), "up"),
    (sg.metrics.R2Score(), "up"),
    (sg.metrics.MeanSquaredError(), "down"),
    (sg.metrics.RootMeanSquaredError(), "down"),
    (sg.metrics.SparseCategoricalCrossentropy(), "down"),
    (sg.metrics.FalsePositives(), "down"),
    (sg.metrics.MeanMetricWrapper(sg.metrics.binary_accuracy, name="mine"), "up"),
    (sg.metrics.MeanMetricWrapper(sg.losses.mean_squared_error, name="other"), "down"),
    (sg.metrics.Mean(), None),
    (sg.metrics.MeanMetricWrapper(lambda a, b: a, name="own"), None),
]


def watch(callback, model, *logs):
    callbacks = CallbackList([callback], model=model)
    callbacks.on_train_begin()
    for epoch, each in enumerate(logs):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_epoch_end(epoch, each)
        if model.stop_training:
            break
    return epoch


@pytest.mark.parametrize("metric, direction", METRICS, ids=lambda x: getattr(x, "name", x))
def test_metrics_know_which_way_is_better(metric, direction):
    assert monitor.direction_of(metric) == direction


def test_a_metric_of_your_own_may_say_which_way_is_better():
    metric = sg.metrics.Mean("score")
    metric.direction = "up"

    assert monitor.direction_of(metric) == "up"


@pytest.mark.parametrize("name", ["accuracy", "val_accuracy", "head_accuracy", "val_head_accuracy"])
def test_auto_asks_the_metric_of_that_name(name):
    model = Model()
    model.metrics = [sg.metrics.Mean("loss"), sg.metrics.BinaryAccuracy("accuracy")]
    callback = EarlyStopping(name, patience=1)

    assert watch(callback, model, {name: 0.5}, {name: 0.6}, {name: 0.7}) == 2
    assert callback.best == 0.7


@pytest.mark.parametrize("name", ["loss", "val_loss", "head_loss", "val_head_loss"])
def test_losses_get_better_downwards(name):
    model = Model()
    assert watch(EarlyStopping(name, patience=1), model, {name: 0.5}, {name: 0.6}, {name: 0.7}) == 1


def test_auto_that_cannot_tell_is_an_error_in_the_first_epoch():
    with pytest.raises(sg.TrainingError, match='whether more or less of \'score\' is better; give mode="max"'):
        watch(EarlyStopping("score"), Model(), {"score": 1.0})


@pytest.mark.parametrize("kind", [EarlyStopping, ReduceLROnPlateau])
def test_a_number_that_is_not_there_is_told_with_what_there_is(kind):
    with pytest.warns(UserWarning, match="no 'val_loss' to .* by; there are: accuracy, (learning_rate, )?loss"):
        watch(kind(), Model(), {"loss": 1.0, "accuracy": 0.5})


def test_what_is_no_single_number_is_refused():
    import numpy as np

    with pytest.raises(sg.TrainingError, match="must be one number"):
        watch(EarlyStopping("loss"), Model(), {"loss": np.ones(3)})


def test_an_unknown_mode_is_told_and_taken_as_auto():
    with pytest.warns(UserWarning, match='mode must be "auto", "min" or "max", got \'best\''):
        callback = EarlyStopping(mode="best")

    assert callback.mode == "auto"


def test_nan_is_never_better():
    callback = EarlyStopping("loss", patience=2)

    assert watch(callback, Model(), *({"loss": x} for x in (math.nan, 1.0, math.nan, 0.5, math.nan, math.nan))) == 5
    assert callback.best == 0.5


def test_a_factor_of_one_is_refused():
    with pytest.raises(sg.TrainingError, match=r"factor must be less than 1, got 1\.0"):
        ReduceLROnPlateau(factor=1.0)


@pytest.mark.parametrize("filepath, weights_only", [("model", False), ("model.weights.h5x", True), ("m.keras", True)])
def test_a_file_name_says_what_is_saved(filepath, weights_only):
    with pytest.raises(sg.TrainingError, match="must end in"):
        ModelCheckpoint(filepath, save_weights_only=weights_only)


@pytest.mark.parametrize("save_freq", [0, -1, True, "batch", 1.5])
def test_save_freq_is_epoch_or_a_number_of_batches(save_freq):
    with pytest.raises(sg.TrainingError, match="save_freq"):
        ModelCheckpoint("model.keras", save_freq=save_freq)


def test_a_name_that_cannot_be_filled_in_lists_what_there_is():
    with pytest.raises(sg.TrainingError, match=r"cannot be filled in \('val_loss'\); there are: epoch, loss"):
        watch(ModelCheckpoint("{val_loss}.keras"), Model(), {"loss": 1.0})


def test_a_directory_is_not_written_over(tmp_path):
    (tmp_path / "model.keras").mkdir()

    with pytest.raises(sg.TrainingError, match="is a directory"):
        watch(ModelCheckpoint(tmp_path / "model.keras"), Model(), {"loss": 1.0})


def test_a_model_whose_loss_is_nan_does_not_take_the_place_of_a_good_one(tmp_path):
    model = Model()
    model.weight = 7
    with pytest.warns(UserWarning, match="the loss is nan, so the model is not written"):
        watch(ModelCheckpoint(tmp_path / "model.keras"), model, {"loss": 1.0}, {"loss": math.nan})

    assert len(model.saved) == 1


def test_without_the_number_to_watch_the_model_is_written_with_a_warning(tmp_path):
    model = Model()
    with pytest.warns(UserWarning, match="'val_loss' is not there, so the model is written"):
        watch(ModelCheckpoint(tmp_path / "model.keras", save_best_only=True), model, {"loss": 1.0})

    assert len(model.saved) == 1


def test_a_model_that_cannot_be_saved_says_what_to_use_before_training(tmp_path):
    class Unsaveable(Model):
        save = None

    with pytest.raises(sg.TrainingError, match=r"has no save\(\) to write .*; use a name that ends in \.onnx"):
        CallbackList([ModelCheckpoint(tmp_path / "model.keras")], model=Unsaveable()).on_train_begin()


def test_checkpoints_of_a_real_model_are_onnx_files_and_weights(tmp_path, rng):
    model = sg.Sequential([sg.layers.Dense(2, input_shape=(3,))])
    x = rng.normal(size=(4, 3)).astype("float32")
    watch(ModelCheckpoint(tmp_path / "{epoch}.onnx"), model, {"loss": 1.0})
    watch(ModelCheckpoint(tmp_path / "{epoch}.ckpt", save_weights_only=True), model, {"loss": 1.0})
    expected = model.predict(x)
    model.set_weights([w * 0 for w in model.get_weights()])
    sg.callbacks.load_weights(model, tmp_path / "1.ckpt")

    assert (model.predict(x) == expected).all()
    assert sg.load_onnx(tmp_path / "1.onnx").predict(x) == pytest.approx(expected)


def test_weights_of_another_model_are_refused_whole(tmp_path):
    model = sg.Sequential([sg.layers.Dense(2, input_shape=(3,)), sg.layers.Dense(1)])
    sg.callbacks.save_weights(sg.Sequential([sg.layers.Dense(2, input_shape=(3,))]), tmp_path / "w.ckpt")
    before = model.get_weights()

    with pytest.raises(sg.core.errors.CheckpointError, match=r"2:dense_.*/kernel is missing; 3:.*bias is missing"):
        sg.callbacks.load_weights(model, tmp_path / "w.ckpt")
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(("make", "message"), [
    (lambda: sg.callbacks.EarlyStopping(patience="3"), "EarlyStopping: patience must be a number, got '3'"),
    (lambda: sg.callbacks.EarlyStopping(baseline="a"), "EarlyStopping: baseline must be a number, got 'a'"),
    (lambda: sg.callbacks.ReduceLROnPlateau(factor="a"), "ReduceLROnPlateau: factor must be a number, got 'a'"),
    (lambda: sg.callbacks.ReduceLROnPlateau(cooldown=None), "ReduceLROnPlateau: cooldown must be a number, got None"),
    (lambda: sg.callbacks.ModelCheckpoint("a.onnx", initial_value_threshold="a"), "must be a number, got 'a'"),
])
def test_what_is_no_number_is_an_error_at_once(make, message):
    with pytest.raises(sg.TrainingError, match=message):
        make()
