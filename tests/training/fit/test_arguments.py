"""The arguments of fit, evaluate, predict and of single batches: each does what it says."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.training.callbacks import Callback
from tests.training.fit.models import classes, classifier, data, line, named, same_weights, two_outputs

X, Y = data()


def mse(model, x=X, y=Y):
    return float(np.mean((model.predict(x, verbose=0) - y) ** 2))


class Heard(Callback):
    """Which hooks were called."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(("begin", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(("end", batch))

    def on_test_batch_end(self, batch, logs=None):
        self.calls.append(("test", batch))

    def on_predict_batch_end(self, batch, logs=None):
        self.calls.append(("predict", batch, logs["outputs"].shape))

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch", epoch))


# Losses and metrics of several outputs.

def test_the_loss_of_several_outputs_is_the_weighted_sum_of_theirs():
    model = two_outputs()
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], [1.0, 0.5], metrics=[["mse", "mae"], ["acc"]],
                  weighted_metrics=[None, ["acc"]])
    height, kind = model.predict(X, verbose=0)
    picked = kind[np.arange(len(X)), classes()]
    weights = np.linspace(0.0, 2.0, len(X))
    squares, entropy = (height - Y)[:, 0] ** 2, -np.log(picked)
    hits = (kind.argmax(1) == classes()).astype(float)

    logs = model.evaluate(X, [Y, classes()], sample_weight=weights, verbose=0, return_dict=True)

    expected = {
        "height_loss": np.mean(weights * squares), "kind_loss": np.mean(weights * entropy),
        "loss": np.mean(weights * squares) + 0.5 * np.mean(weights * entropy), "height_mse": squares.mean(),
        "height_mae": np.abs(height - Y).mean(), "kind_acc": hits.mean(),
        "kind_weighted_acc": np.sum(hits * weights) / weights.sum()}
    assert set(logs) == set(expected)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-5), name


def test_inputs_and_outputs_may_be_dicts_in_any_order():
    model = named()
    model.compile("sgd", {"kind": "sparse_categorical_crossentropy", "height": "mse"}, {"height": 0.3},
                  metrics={"height": "mae", "kind": ["acc"]})

    history = model.fit({"b": X, "a": X}, {"kind": classes(), "height": Y}, validation_split=0.2, epochs=2, verbose=0)

    assert set(history.history) == {prefix + name for prefix in ("", "val_") for name in (
        "loss", "height_loss", "kind_loss", "height_mae", "kind_acc")}
    assert set(model.predict({"a": X, "b": X}, verbose=0)) == {"height", "kind"}


@pytest.mark.filterwarnings("ignore:sgd. no gradients for kind")
@pytest.mark.parametrize("y", [[Y], Y])
def test_an_output_without_a_loss_needs_no_target(y):
    model = two_outputs()
    model.compile("sgd", ["mse", None], metrics=["mae", None])

    assert set(model.fit(X, y, verbose=0).history) == {"loss", "height_mae"}


@pytest.mark.filterwarnings("ignore:sgd. no gradients for kind")
def test_an_output_without_a_loss_may_have_metrics():
    model = two_outputs()
    model.compile("sgd", ["mse", None], metrics=[None, "acc"])

    assert set(model.fit(X, [Y, classes()], verbose=0).history) == {"loss", "kind_acc"}


def test_evaluate_gives_numbers_in_the_order_of_metrics_names():
    single = line(metrics=["mse", "mae"], weighted_metrics=["mape"])
    several = two_outputs()
    several.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=[["mse", "mae"], ["acc"]])

    for model, y, names in (
            (single, Y, ["loss", "mse", "mae", "mape"]),
            (several, [Y, classes()], ["loss", "height_loss", "kind_loss", "height_mae", "height_mse", "kind_acc"])):
        given = model.evaluate(X, y, verbose=0)
        logs = model.evaluate(X, y, verbose=0, return_dict=True)
        assert model.metrics_names == names
        assert given == [logs[name] for name in names]


def test_a_lone_loss_is_a_number():
    model = line()

    assert isinstance(model.evaluate(X, Y, verbose=0), float)
    assert isinstance(model.train_on_batch(X, Y), float)
    assert model.metrics_names == ["loss"]


# Weights of samples and classes.

def test_sample_weights_of_zero_leave_samples_out():
    weighted, cut = line(sg.optimizers.SGD(0.1)), line(sg.optimizers.SGD(0.1))
    cut.set_weights(weighted.get_weights())
    weights = np.repeat([1.0, 0.0], 25)
    weighted.fit(X, Y, batch_size=50, sample_weight=weights, verbose=0)
    cut.fit(X[:25], Y[:25] , batch_size=25, verbose=0, sample_weight=np.full(25, 0.5))

    np.testing.assert_allclose(weighted.get_weights()[0], cut.get_weights()[0], rtol=1e-5)


def test_class_weights_are_the_sample_weights_of_their_classes_and_multiply_those_given():
    by_class, by_sample = classifier(), classifier()
    by_sample.set_weights(by_class.get_weights())
    given = np.linspace(0.0, 1.0, len(X)).astype(np.float32)
    by_class.fit(X, classes(), class_weight={0: 0.5, 1: 2.0}, sample_weight=given, shuffle=False, verbose=0)
    by_sample.fit(X, classes(), sample_weight=given * np.where(classes() == 1, 2.0, 0.5), shuffle=False, verbose=0)

    np.testing.assert_allclose(by_class.get_weights()[0], by_sample.get_weights()[0], rtol=1e-5)


# Which data, in which order.

@pytest.mark.parametrize(("batch_size", "sizes"), [
    (7, {7, 1}), (16, {16, 2}), (50, {50}), (500, {50}), (None, {32, 18})])
def test_every_sample_is_seen_once_an_epoch_the_last_batch_may_be_smaller(batch_size, sizes):
    seen = []
    model = line(metrics=[Sizes(seen)], run_eagerly=True)

    model.fit(X, Y, batch_size=batch_size, epochs=2, verbose=0)

    assert sum(seen) == 2 * len(X) and set(seen) == sizes


class Sizes(sg.metrics.Metric):
    def __init__(self, seen):
        super().__init__(name="sizes")
        self.seen = seen

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.append(len(y_true.numpy()))

    def result(self):
        return sg.zeros(())


def test_means_of_an_epoch_count_samples_not_batches():
    model = line(sg.optimizers.SGD(0.0), metrics=["mse"])

    logs = model.fit(X, Y, batch_size=32, verbose=0).history

    assert logs["loss"][0] == pytest.approx(mse(model), rel=1e-5)
    assert logs["mse"][0] == pytest.approx(mse(model), rel=1e-5)
    assert model.evaluate(X, Y, batch_size=32, verbose=0)[0] == pytest.approx(mse(model), rel=1e-5)


def test_shuffling_differs_from_epoch_to_epoch_and_is_the_same_for_the_same_seed():
    def orders(shuffle):
        seen = []
        model = line(sg.optimizers.SGD(0.0), metrics=[Rows(seen)], run_eagerly=True)
        sg.random.set_seed(3)
        model.fit(np.arange(40, dtype=np.float32).reshape(10, 4), np.arange(10.0), batch_size=4, epochs=2,
                  shuffle=shuffle, verbose=0)
        return seen[:10], seen[10:]

    first, second = orders(shuffle=True)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second != list(range(10))
    assert orders(shuffle=True) == (first, second)
    assert orders(shuffle=False) == (list(range(10)), list(range(10)))


class Rows(sg.metrics.Metric):
    def __init__(self, seen):
        super().__init__(name="rows")
        self.seen = seen

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen += [int(y) for y in y_true.numpy().ravel()]

    def result(self):
        return sg.zeros(())


def test_a_split_keeps_the_last_rows_for_validation():
    split, given = line(), line()
    given.set_weights(split.get_weights())

    a = split.fit(X, Y, validation_split=0.2, shuffle=False, verbose=0).history
    b = given.fit(X[:40], Y[:40], validation_data=(X[40:], Y[40:]), shuffle=False, verbose=0).history

    assert a == b
    assert a["val_loss"][0] == pytest.approx(mse(split, X[40:], Y[40:]), rel=1e-5)


@pytest.mark.parametrize(("frequency", "epochs"), [(1, 4), (2, 2), ([1, 4], 2), (range(2, 4), 2)])
def test_validation_follows_the_epochs_it_is_asked_for(frequency, epochs):
    history = line().fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=frequency, verbose=0).history

    assert len(history["loss"]) == 4 and len(history["val_loss"]) == epochs


def test_steps_bound_epochs_validation_evaluation_and_prediction():
    heard = Heard()
    model = line()
    model.fit(X, Y, batch_size=10, steps_per_epoch=2, validation_data=(X, Y), validation_steps=3,
              validation_batch_size=5, verbose=0, callbacks=[heard])
    assert [c[:2] for c in heard.calls if c[0] in ("end", "test")] == [
        ("end", 0), ("end", 1), ("test", 0), ("test", 1), ("test", 2)]

    evaluated = model.evaluate(X, Y, batch_size=10, steps=2, verbose=0)
    assert evaluated == pytest.approx(mse(model, X[:20], Y[:20]), rel=1e-5)
    assert model.predict(X, batch_size=10, steps=2, verbose=0).shape == (20, 1)


def test_epochs_are_counted_from_initial_epoch():
    history = line().fit(X, Y, epochs=5, initial_epoch=3, verbose=0)

    assert history.epoch == [3, 4] and len(history.history["loss"]) == 2


@pytest.mark.parametrize("epochs", [{"epochs": 0}, {"epochs": 2, "initial_epoch": 2}])
def test_no_epoch_changes_nothing(epochs):
    model = line()
    before = model.get_weights()

    assert model.fit(X, Y, verbose=0, **epochs).history == {}
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_callbacks_hear_of_batches_once_for_several_steps():
    heard = Heard()
    line(steps_per_execution=3).fit(X, Y, batch_size=5, verbose=0, callbacks=[heard])

    assert heard.calls == [("epoch", 0), ("begin", 0), ("end", 2), ("begin", 3), ("end", 5), ("begin", 6), ("end", 8),
                           ("begin", 9), ("end", 9)]


def test_steps_per_execution_changes_no_number():
    several, one = line(steps_per_execution=4), line()
    several.set_weights(one.get_weights())

    assert several.fit(X, Y, batch_size=5, shuffle=False, verbose=0).history == one.fit(
        X, Y, batch_size=5, shuffle=False, verbose=0).history
    assert same_weights(several, one)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_stop_training_ends_the_epoch_after_the_present_step(run_eagerly):
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    heard = Heard()
    history = line(run_eagerly=run_eagerly).fit(
        X, Y, batch_size=5, epochs=3, validation_data=(X, Y), verbose=0, callbacks=[Stop(), heard])

    assert [c for c in heard.calls if c[0] == "end"] == [("end", 0), ("end", 1), ("end", 2)]
    assert history.epoch == [0] and set(history.history) == {"loss", "val_loss"}


def test_evaluation_and_prediction_can_be_stopped():
    class Stop(Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.stop_evaluating = batch == 1

        def on_predict_batch_end(self, batch, logs=None):
            self.model.stop_predicting = batch == 1

    model = line()

    assert model.evaluate(X, Y, batch_size=10, callbacks=[Stop()], verbose=0) == pytest.approx(
        mse(model, X[:20], Y[:20]), rel=1e-5)
    assert model.predict(X, batch_size=10, callbacks=[Stop()], verbose=0).shape == (20, 1)
    assert model.predict(X, batch_size=10, callbacks=[Heard()], verbose=0).shape == (50, 1)


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 2), (2, 2), ("auto", 2)])
def test_verbose_says_how_much_is_printed(verbose, lines, capsys):
    model = line()
    model.fit(X, Y, verbose=verbose)
    model.evaluate(X, Y, verbose=verbose)

    assert len(capsys.readouterr().out.splitlines()) == lines


# Data of all kinds.

@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float16", "float64", "bool", "int8"])
@pytest.mark.parametrize("has_input", [False, True])
def test_numbers_of_any_dtype_train_evaluate_and_predict(dtype, has_input):
    x = np.abs(X * 3).astype(dtype)
    model = sg.Sequential([*([sg.Input((4,))] if has_input else []), sg.layers.Dense(1)])
    model.compile("sgd", "mse")

    history = model.fit(x, Y.astype(dtype), verbose=0).history
    error = float(np.mean((x.astype("float32") @ model.get_weights()[0] + model.get_weights()[1] - Y) ** 2))

    assert np.isfinite(history["loss"][0])
    assert model.evaluate(x, Y, verbose=0) == pytest.approx(error, rel=1e-4)
    assert mse(model, x) == pytest.approx(error, rel=1e-4)


def test_lists_of_numbers_are_arrays():
    model = sg.Sequential([sg.layers.Dense(1)])
    model.compile("sgd", "mse")

    assert len(model.fit([[1.0, 2.0], [3.0, 4.0]], [1.0, 2.0], verbose=0).history["loss"]) == 1
    assert model.predict([[1.0, 2.0]], verbose=0).shape == (1, 1)


class Foreign:
    """What a data frame, a tensor of another library or a data set on disk looks like from outside."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)

    def __len__(self):
        return len(self.array)

    def __getitem__(self, rows):
        return Foreign(self.array[rows])


@pytest.mark.parametrize("make", [Foreign, sg.tensor, np.ndarray.tolist, np.asfortranarray])
def test_arrays_of_any_kind_train_evaluate_and_predict(make):
    model, known = line(), line()
    known.set_weights(model.get_weights())
    model.fit(make(X), make(Y), shuffle=False, verbose=0)
    known.fit(X, Y, shuffle=False, verbose=0)

    assert same_weights(model, known)
    assert model.evaluate(make(X), make(Y), verbose=0) == known.evaluate(X, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(make(X), verbose=0), known.predict(X, verbose=0))
    assert model.test_on_batch(make(X), make(Y)) == known.test_on_batch(X, Y)


def test_sparse_matrices_train_and_predict():
    sparse = pytest.importorskip("scipy.sparse")
    model, known = line(), line()
    known.set_weights(model.get_weights())
    x = np.where(X > 0, X, 0.0).astype(np.float32)
    model.fit(sparse.csr_matrix(x), Y, shuffle=False, verbose=0)
    known.fit(x, Y, shuffle=False, verbose=0)

    assert same_weights(model, known)
    np.testing.assert_array_equal(model.predict(sparse.csr_matrix(x), verbose=0), known.predict(x, verbose=0))


def test_the_first_program_of_tensorflow_js_runs():
    model = sg.Sequential([sg.layers.Dense(1, input_shape=[1])])
    model.compile("sgd", "mean_squared_error")
    xs, ys = np.array([-1.0, 0, 1, 2, 3, 4]), np.array([-3.0, -1, 1, 3, 5, 7])

    model.fit(xs, ys, epochs=250, verbose=0)

    assert model.predict(np.array([10.0]), verbose=0)[0, 0] == pytest.approx(19, abs=0.5)


def batches(size=10):
    for start in range(0, len(X), size):
        yield X[start:start + size], Y[start:start + size]


class Batches(sg.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, number):
        return X[number * 10:number * 10 + 10], Y[number * 10:number * 10 + 10]


class Loader:
    """What a torch DataLoader looks like from outside."""

    def __len__(self):
        return 5

    def __iter__(self):
        return batches()


SOURCES = {
    "generator": (batches, {}), "function": (lambda: batches, {}), "PyDataset": (Batches, {}), "loader": (Loader, {}),
    "dataset": (lambda: sg.data.Dataset.from_tensor_slices((X, Y)).batch(10), {}),
    "endless": (lambda: sg.data.Dataset.from_tensor_slices((X, Y)).batch(10).repeat(), {"steps_per_epoch": 5}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_whatever_gives_batches_trains_as_the_arrays_do(name):
    make, options = SOURCES[name]
    model, known = line(), line()
    known.set_weights(model.get_weights())

    history = model.fit(make(), shuffle=False, validation_data=sg.data.Dataset.from_tensor_slices((X, Y)).batch(10),
                        verbose=0, **options).history

    assert history == known.fit(X, Y, batch_size=10, shuffle=False, validation_data=(X, Y), verbose=0).history
    assert same_weights(model, known)
    limit = {"steps": 5} if options else {}
    assert model.evaluate(make(), verbose=0, **limit) == pytest.approx(mse(model), rel=1e-5)
    np.testing.assert_allclose(model.predict(make(), verbose=0, **limit), known.predict(X, verbose=0), rtol=1e-5)


def test_the_names_of_tensorflow_js_fit_and_evaluate_datasets():
    dataset = sg.data.Dataset.from_tensor_slices((X, Y)).batch(10).repeat()
    model = line()

    history = model.fit_dataset(dataset, epochs=2, batches_per_epoch=5, verbose=0)

    assert history.epoch == [0, 1]
    assert model.evaluate_dataset(dataset, batches=5, verbose=0) == pytest.approx(mse(model), rel=1e-5)


# Single batches.

def test_single_batches_give_the_means_since_the_last_reset():
    model = line(sg.optimizers.SGD(0.0), metrics=["mae"])
    small, large = mse(model, X[:10], Y[:10]), mse(model)

    assert model.train_on_batch(X[:10], Y[:10])[0] == pytest.approx(small, rel=1e-5)
    assert model.test_on_batch(X, Y)[0] == pytest.approx((10 * small + 50 * large) / 60, rel=1e-5)
    model.reset_metrics()
    logs = model.test_on_batch(X, Y, return_dict=True)
    assert logs["loss"] == pytest.approx(large, rel=1e-5) and set(logs) == {"loss", "mae"}
    assert model.predict_on_batch(X).shape == (50, 1)


def test_single_batches_take_sample_and_class_weights():
    model = classifier()

    assert model.train_on_batch(X, classes(), class_weight={0: 0.0, 1: 0.0}) == 0.0
    model.reset_metrics()
    assert model.test_on_batch(X, classes(), sample_weight=np.zeros(50)) == 0.0


def test_the_results_of_an_evaluation_stay_until_the_next_reset():
    model = line(metrics=["mae"])
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)

    assert {name: float(x) for name, x in model.get_metrics_result().items()} == pytest.approx(logs)


# Between calls.

def test_fit_goes_on_where_it_stopped_with_other_sizes_of_batches():
    model = line()
    for size in (7, 16, 50, 1):
        before = mse(model)
        model.fit(X, Y, batch_size=size, verbose=0)
        assert mse(model) < before


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_frozen_layers_stay_and_learn_again_when_thawed(run_eagerly):
    model = sg.Sequential([sg.layers.Dense(3), sg.layers.Dense(1)])
    model.compile("adam", "mse", run_eagerly=run_eagerly)
    model.fit(X, Y, verbose=0)
    start = model.get_weights()
    model.layers[0].trainable = False
    model.fit(X, Y, verbose=0)
    frozen = model.get_weights()
    model.layers[0].trainable = True
    model.fit(X, Y, verbose=0)

    assert (start[0] == frozen[0]).all() and (start[2] != frozen[2]).any()
    assert (model.get_weights()[0] != frozen[0]).any()


def test_a_frozen_batch_normalization_keeps_its_moving_means():
    model = sg.Sequential([sg.layers.BatchNormalization(center=False, scale=False), sg.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    before = model.layers[0].get_weights()
    model.layers[0].trainable = False
    model.fit(X + 3.0, Y, verbose=0)

    assert all((a == b).all() for a, b in zip(before, model.layers[0].get_weights(), strict=True))


def test_learning_rates_may_change_between_fits():
    model = line()
    model.fit(X, Y, verbose=0)
    for rate in (0.0, 0.1):
        model.optimizer.learning_rate = rate
        before = model.get_weights()[0]
        model.fit(X, Y, verbose=0)
        assert (model.get_weights()[0] == before).all() == (rate == 0.0)
    for rate in (0.0, 0.1):
        model.optimizer.learning_rate = sg.optimizers.schedules.ExponentialDecay(rate, 5, 0.9)
        before = model.get_weights()[0]
        model.fit(X, Y, verbose=0)
        assert (model.get_weights()[0] == before).all() == (rate == 0.0)


def test_assigned_weights_are_those_of_the_next_step():
    model = line()
    model.fit(X, Y, verbose=0)
    model.set_weights([np.ones((4, 1)), np.zeros(1)])
    model.reset_metrics()

    assert model.train_on_batch(X, Y) < 1e-9


def test_evaluation_and_prediction_between_steps_see_the_new_weights():
    model = line()
    seen = []
    for _ in range(4):
        model.train_on_batch(X, Y)
        w, b = model.get_weights()
        error = float(np.mean((X @ w + b - Y) ** 2))
        seen.append(error)
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(error, rel=1e-5)
        assert mse(model) == pytest.approx(error, rel=1e-5)

    assert len(set(seen)) == 4


def test_two_models_that_share_layers_train_in_turn():
    shared = sg.layers.Dense(1)
    x, z = sg.Input((4,)), sg.Input((4,))
    one, other = sg.Model(x, shared(x)), sg.Model(z, shared(z) * 2.0)
    one.compile(sg.optimizers.SGD(0.1), "mse")
    other.compile("adam", "mse")
    for _ in range(3):
        before = shared.get_weights()
        one.fit(X, Y, verbose=0)
        between = shared.get_weights()
        other.fit(X, Y, verbose=0)
        assert (before[0] != between[0]).any() and (between[0] != shared.get_weights()[0]).any()
        assert one.evaluate(X, Y, verbose=0) == pytest.approx(mse(one), rel=1e-5)


def test_a_model_without_an_optimizer_is_evaluated_but_not_trained():
    model = line(None)

    assert model.evaluate(X, Y, verbose=0) == pytest.approx(mse(model), rel=1e-5)
    with pytest.raises(sg.TrainingError, match=r"compiled without an optimizer.*give compile one"):
        model.fit(X, Y, verbose=0)


def test_compiling_again_starts_a_new_optimizer_and_keeps_the_weights():
    model = line("adam")
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    model.compile("sgd", "mae", metrics=["mse"])

    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    assert set(model.fit(X, Y, verbose=0).history) == {"loss", "mse"}


def test_what_compile_refuses_leaves_the_model_as_it_was():
    model = line()
    optimizer = model.optimizer
    with pytest.raises(sg.TrainingError, match="no loss 'msee'"):
        model.compile("adam", "msee")

    assert model.optimizer is optimizer and model.loss == "mse"
    assert len(model.fit(X, Y, verbose=0).epoch) == 1
