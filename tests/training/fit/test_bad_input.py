"""What is wrong with data, targets and arguments is said before anything changes, and what to do about it."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.errors import (
    DtypeError,
    LayerError,
    NonFiniteError,
    ResourceError,
    RunError,
    ShapeError,
    SymgraphError,
    TrainingError,
)
from symgraph.training.callbacks import Callback, NanGuard
from symgraph.training.training_state import variables_of
from tests.training.fit.models import classes, classifier, data, line, named, two_outputs

X, Y = data()


def two_inputs():
    model = named()
    model.compile("sgd", {"height": "mse"})
    return model


def dataset(x, y):
    return sg.data.Dataset.from_tensor_slices((x, y)).batch(10)


def compiled_two_outputs():
    model = two_outputs()
    model.compile("sgd", "mse")
    return model


INPUTS = {
    "columns": (line, X[:, :3], ShapeError, r"input 'x': got float32\[\?, 3\], expected float32\[\?, 4\]"),
    "rank": (line, X[:, 0], ShapeError, r"input 'x': got float32\[\?\], expected float32\[\?, 4\]"),
    "strings": (line, np.full((50, 4), "a"), DtypeError, r"input 'x': got string\[\?, 4\], expected float32"),
    "objects": (line, np.full((50, 4), object()), DtypeError, "x has dtype object"),
    "ragged": (line, [[1, 2], [1]], ShapeError, "x: list cannot become a tensor"),
    "two for one": (line, [X, X], LayerError, r"has one input \(x\), got 2 arrays"),
    "one for two": (two_inputs, X, LayerError, r"has 2 inputs \(a, b\), got one array"),
    "a list of one for two": (two_inputs, [X], LayerError, r"has 2 inputs \(a, b\), got 1 arrays"),
    "another name": (two_inputs, {"a": X, "c": X}, LayerError, "has the inputs 'a', 'b'; got 'a', 'c'"),
    "nothing": (line, None, TrainingError, "x is None; give arrays"),
    "a number": (line, 3, ShapeError, "x is a single number, 3"),
    "fewer": (line, X[:0], TrainingError, r"different numbers of samples \(x: 0, y: 50\)"),
    "floats for class numbers": (
        lambda: _compiled(layers.Embedding(9, 2, input_shape=(4,)), layers.Flatten(), layers.Dense(1)), X, DtypeError,
        r"got float32\[\?, 4\], expected int32\[\?, 4\]; cast it with .astype\('int32'\)"),
}


def quiet(method):
    return {"verbose": 0} if method in ("fit", "evaluate") else {}


def _compiled(*stack):
    model = sg.Sequential(list(stack))
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_do_not_fit_are_named(name, method):
    make, x, kind, message = INPUTS[name]
    model = make()
    before = model.get_weights()
    with pytest.raises(kind, match=message):
        getattr(model, method)(x, Y, **quiet(method))

    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


TARGETS = {
    "columns": (line, np.ones((50, 2)), ShapeError, r'output "out": mean_squared_error: targets of shape \(None, 2\)'),
    "count": (line, Y[:49], TrainingError, r"different numbers of samples \(x: 50, y: 49\)"),
    "none": (line, None, TrainingError, 'output "out" has a loss and no target; give one, or None as its loss'),
    "strings": (line, np.full(50, "a"), DtypeError, r'output "out": the targets are strings.*np.unique'),
    "two for one": (line, [Y, Y], TrainingError, 'targets: got 2 arrays, and the model has the output "out"; give one'),
    "one for two": (compiled_two_outputs, Y, TrainingError, 'got one array for 2 outputs.*"height", "kind"'),
    "another name": (compiled_two_outputs, {"height": Y, "sort": Y}, TrainingError, 'targets given for "sort"'),
    "too large": (classifier, np.full(50, 3), TrainingError, "target 3 in row 0 is no class; the 3 classes are 0 to 2"),
    "negative": (classifier, np.full(50, -1), TrainingError, "target -1 in row 0 is no class"),
    "between": (classifier, np.full(50, 0.5), TrainingError, "target 0.5 in row 0 is no class"),
    "one-hot": (classifier, np.eye(3)[classes()], ShapeError, "there is categorical_crossentropy"),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_targets_that_do_not_fit_are_named(name, method):
    make, y, kind, message = TARGETS[name]

    with pytest.raises(kind, match=message):
        getattr(make(), method)(X, y, **quiet(method))


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in ("count", "none", "two for one", "strings")])
@pytest.mark.parametrize("training", [True, False])
def test_targets_of_datasets_are_looked_at_batch_by_batch(name, training):
    make, y, kind, message = TARGETS[name]
    model = make()

    with pytest.raises(kind, match=f"batch 0 of the dataset: .*{message}"):
        (model.fit if training else model.evaluate)(dataset(X, y), verbose=0)


def test_a_later_batch_with_wrong_classes_is_named_and_the_steps_before_it_count():
    labels = classes()
    labels[25] = -1
    model = classifier()

    with pytest.raises(TrainingError, match=r"batch 2 of the generator: .*target -1 in row 5 is no class"):
        model.fit(((X[i:i + 10], labels[i:i + 10]) for i in range(0, 50, 10)), verbose=0)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.parametrize(("weights", "kind", "message"), [
    (np.ones((50, 3)), ShapeError, r'output "out": .*sample weights of shape \(32, 3\) do not fit'),
    (np.ones(3), TrainingError, "different numbers of samples .*sample_weight: 3"),
    (np.full(50, "a"), DtypeError, "sample_weight has dtype .*; sample weights are numbers"),
    ({"out": np.ones(50), "in": np.ones(50)}, TrainingError, "sample_weight")])
def test_sample_weights_that_do_not_fit_are_named(weights, kind, message):
    with pytest.raises(kind, match=message):
        line().fit(X, Y, sample_weight=weights, verbose=0)


@pytest.mark.parametrize(("given", "message"), [
    ((X, np.full(50, 3)), "validation_data: output \"digit\": target 3 in row 0 is no class"),
    ((X[:, :2], classes()), "validation_data: input 'x': got"), (X, "validation_data: output \"digit\" has a loss"),
    ((X[:0], classes()[:0]), "validation_data: x has no samples")])
def test_validation_data_are_looked_at_before_the_first_step(given, message):
    model = classifier()
    before = model.get_weights()

    with pytest.raises(SymgraphError, match=message):
        model.fit(X, classes(), validation_data=given, verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(("arguments", "message"), [
    ({"epochs": -1}, "epochs must be a whole number from 0 on, got -1"),
    ({"epochs": 1.5}, "epochs must be a whole number"), ({"initial_epoch": True}, "initial_epoch must be a whole"),
    ({"batch_size": 0}, "batch_size is a whole number of at least 1"),
    ({"steps_per_epoch": 0}, "steps_per_epoch is a whole number of at least 1"),
    ({"validation_split": 1.5}, "validation_split is the share .* got 1.5"),
    ({"validation_freq": 0}, "validation_freq must be a number of epochs from 1 on, or a list of epochs, got 0"),
    ({"validation_freq": 1.5}, "validation_freq"), ({"validation_freq": "2"}, "a list of epochs, got '2'"),
    ({"verbose": 7}, "verbose must be 0"), ({"validation_steps": 0}, "^validation_steps is a whole number"),
    ({"validation_batch_size": 1.5}, "^validation_batch_size is a whole number"),
    ({"shuffle": "rows"}, 'shuffle is True, False or "batch"'), ({"class_weight": {0: "a"}}, "class 0 the weight 'a'"),
    ({"callbacks": [Callback]}, r"give an object, as in EarlyStopping\(\)"), ({"callbacks": [3]}, "got 3")])
def test_arguments_of_fit_that_make_no_sense_are_named(arguments, message):
    with pytest.raises(TrainingError, match=message):
        line().fit(X, Y, **arguments)


@pytest.mark.parametrize("given", [{"y": Y}, {"sample_weight": Y}, {"batch_size": 3}, {"validation_split": 0.5}])
def test_what_does_not_go_with_batches_is_named(given):
    with pytest.raises(TrainingError, match=next(iter(given))):
        line().fit(iter([(X, Y)]), verbose=0, **given)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"optimizer": "adm"}, "no optimizer 'adm'; did you mean \"adam\""),
    ({"loss": "msee"}, "no loss 'msee'; did you mean \"mse\""),
    ({"metrics": ["acuracy"]}, "no metric 'acuracy'; did you mean \"accuracy\""),
    ({"weighted_metrics": ["acuracy"]}, "no metric 'acuracy'"), ({"optimizer": 3}, "3"),
    ({"steps_per_execution": 0}, "steps_per_execution must be a whole number from 1 on, got 0")])
def test_unknown_names_are_said_by_compile_with_the_near_ones(arguments, message):
    with pytest.raises(TrainingError, match=message):
        sg.Sequential([layers.Dense(1)]).compile(**arguments)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_compile_comes_first(method):
    with pytest.raises(TrainingError, match=rf'model "m": call compile\(optimizer, loss\) before {method}'):
        getattr(sg.Sequential([layers.Dense(1)], name="m"), method)(X, Y)


@pytest.mark.parametrize(("x", "y", "error", "message"), [
    (X, np.ones((50, 2)), ShapeError, r"batch 1 of .*targets of shape \(None, 2\) do not fit"),
    (X, np.array(["a"] * 50), DtypeError, "batch 1 of .*the targets are strings"),
    (np.ones((50, 5)), Y, ShapeError, r"batch 1 of .*input 'x': got float32\[\?, 5\], expected float32\[\?, 4\]")])
def test_a_later_batch_of_other_shapes_or_dtypes_is_an_error(x, y, error, message):
    with pytest.raises(error, match=message):
        line().fit(lambda: iter([(X, Y), (x, y)]), verbose=0)


# Data that end, or never begin.

@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_arrays_without_samples_are_an_error(method):
    with pytest.raises(TrainingError, match=r"x has no samples \(its shape is \(0, 4\)\)"):
        getattr(line(), method)(X[:0], Y[:0], **quiet(method))


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("batch_size", -3), ("batch_size", 2.5), ("steps", 0)])
def test_arguments_of_predict_and_evaluate_that_make_no_sense_are_named(name, value):
    with pytest.raises(TrainingError, match=f"{name} is a whole number of at least 1, or None; got {value}"):
        line().predict(X, verbose=0, **{name: value})
    with pytest.raises(TrainingError, match=f"^{name} is a whole number of at least 1, or None; got {value}"):
        line().evaluate(X, Y, verbose=0, **{name: value})


def test_predictions_for_no_samples_are_none():
    assert line().predict(X[:0], verbose=0).shape == (0, 1)


@pytest.mark.parametrize("empty", [lambda: iter([]), lambda: dataset(X, Y).take(0), lambda: lambda: iter([])])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_data_without_batches_are_an_error(empty, method):
    with pytest.raises(TrainingError, match="gave no batches"):
        getattr(line(), method)(empty(), verbose=0)


def test_a_generator_that_ends_early_says_so_and_keeps_the_epochs_it_made():
    model = line()
    with pytest.raises(TrainingError, match="ran out after 4 batches, so none is left for another epoch"):
        model.fit(((X[:10], Y[:10]) for _ in range(4)), steps_per_epoch=2, epochs=3, verbose=0)

    assert model.history.epoch == [0, 1] and len(model.history.history["loss"]) == 2
    assert int(model.optimizer.iterations) == 4


@pytest.mark.parametrize("make", [lambda: (dataset(X, Y), None, {}), lambda: (X, Y, {"batch_size": 10})])
def test_an_epoch_shorter_than_asked_for_is_warned_of(make):
    x, y, options = make()
    with pytest.warns(UserWarning, match="this epoch has 5 batches instead of steps_per_epoch=8"):
        history = line().fit(x, y, steps_per_epoch=8, verbose=0, **options)

    assert len(history.epoch) == 1


# Numbers that are not finite.

def spoiled(where):
    x, y, weights = X.copy(), Y.copy(), np.ones(50, np.float32)
    {"x": x, "y": y, "weights": weights}[where][7] = np.nan
    return x, y, weights


@pytest.mark.parametrize(("where", "message"), [
    ("x", "the input 'x' is nan at .* in row 7 of the data"), ("y", "the target y is nan at .* in row 7 of the data"),
    ("weights", "the sample weight is nan at .* in row 7 of the data")])
def test_nan_guard_names_what_was_not_finite_and_undoes_the_step(where, message):
    x, y, weights = spoiled(where)
    model = line()

    with pytest.raises(NonFiniteError, match=message):
        model.fit(x, y, sample_weight=weights, batch_size=10, shuffle=False, verbose=0, callbacks=[NanGuard()])
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("where", ["x", "y", "weights"])
def test_without_a_guard_the_loss_says_it(where):
    x, y, weights = spoiled(where)

    assert np.isnan(line().fit(x, y, sample_weight=weights, verbose=0).history["loss"][0])


# What fails while it runs.

class Fails(layers.Layer):
    """Fails in the graph for class numbers above 4."""

    def call(self, x):
        return sg.take(sg.cast(np.arange(5.0), "float32"), sg.cast(x, "int32"))


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_a_step_that_fails_leaves_everything_as_before_it(run_eagerly):
    x = np.zeros((40, 4), np.float32)
    x[25, 2] = 9
    model = sg.Sequential([sg.Input((4,)), Fails(name="fails"), layers.Dropout(0.5), layers.BatchNormalization(),
                           layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=run_eagerly)
    states = []

    class Keep(Callback):
        def on_train_batch_end(self, batch, logs=None):
            states.append(state(self.model))

    message = "fails" if run_eagerly else r'layer ".*fails".*step 3 of epoch 1, and the model is as it was before'
    with pytest.raises(SymgraphError, match=message):
        model.fit(x, np.ones(40), batch_size=10, shuffle=False, verbose=0, callbacks=[Keep()])
    assert len(states) == 2 and state(model) == states[-1]
    assert len(model.fit(np.zeros((40, 4)), np.ones(40), verbose=0).epoch) == 1


def state(model):
    """All that training changes, as bytes."""
    return [v.numpy().tobytes() for v in variables_of(model).values()]


def test_an_evaluation_that_fails_names_the_batch():
    x = np.zeros((40, 4), np.float32)
    x[25, 2] = 9
    model = sg.Sequential([sg.Input((4,)), Fails(), layers.Dense(1)])
    model.compile("sgd", "mse")

    with pytest.raises(RunError, match="this was batch 3 of the evaluation"):
        model.evaluate(x, np.ones(40), batch_size=10, verbose=0)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end",
                                  "on_test_begin", "on_test_batch_end", "on_epoch_end", "on_train_end"])
def test_an_exception_in_a_callback_comes_out_and_the_model_stays_usable(hook):
    def boom(self, *arguments, logs=None):
        raise KeyError("mine")

    model = line()
    raising = type("Raising", (Callback,), {hook: boom})()
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, Y, epochs=2, validation_data=(X, Y), verbose=0, callbacks=[raising])

    assert model._progress is None
    assert len(model.fit(X, Y, verbose=0).epoch) == 1
    assert np.isfinite(model.evaluate(X, Y, verbose=0))


def test_a_full_disk_ends_training_with_the_old_checkpoint_whole(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "best.ckpt"
    model = sg.Sequential([sg.Input((4,)), layers.Dense(2000), layers.Dense(1)])
    model.compile("sgd", "mse")
    checkpoint = sg.callbacks.ModelCheckpoint(path, save_weights_only=True)
    model.fit(X, Y, verbose=0, callbacks=[checkpoint])
    saved = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ResourceError, match="could not be written"):
            model.fit(X, Y, verbose=0, callbacks=[checkpoint])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == saved and list(tmp_path.iterdir()) == [path]
    assert len(model.fit(X, Y, verbose=0, callbacks=[checkpoint]).epoch) == 1
