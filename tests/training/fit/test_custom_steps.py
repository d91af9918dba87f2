"""Steps and losses of one's own, written as Keras's guides write them."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.errors import TrainingError
from tests.training.fit.models import classes, data, line, named, two_outputs

X, Y = data()


class Own(sg.Model):
    """A model whose layers are found by its `call`."""

    def __init__(self):
        super().__init__()
        self.inside = layers.Dense(5, activation="tanh", name="inside")
        self.out = layers.Dense(1, name="out")

    def call(self, x):
        return self.out(self.inside(x))


class Guide(Own):
    """Steps as in Keras's "Customizing what happens in fit()"."""

    def train_step(self, data):
        x, y = data
        with sg.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize("metrics", [None, ["mae", "mse"]], ids=["loss", "metrics"])
def test_the_step_of_the_guide_trains_as_the_step_of_models_does(run_eagerly, metrics):
    logs = []
    for model in (Own(), Guide()):
        sg.random.set_seed(1)
        model.compile("sgd", "mse", metrics=metrics, run_eagerly=run_eagerly)
        fitted = model.fit(X, Y, batch_size=25, epochs=2, shuffle=False, verbose=0).history
        logs.append((fitted, model.evaluate(X, Y, batch_size=25, verbose=0, return_dict=True)))

    (fitted, evaluated), (expected, expected_evaluated) = logs
    assert set(fitted) == {"loss", *(metrics or ())} == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(fitted[name], values, rtol=1e-6)
    assert evaluated == pytest.approx(expected_evaluated, rel=1e-6)


def test_the_metrics_of_compile_are_one_and_are_logged_once():
    model = two_outputs()
    model.compile("sgd", ["mse", "sparse_categorical_crossentropy"], metrics=[["mae"], ["acc"]])
    history = model.fit(X, [Y, classes()], verbose=0).history

    assert [m.name for m in model.metrics] == ["loss", "compile_metrics", "height_loss", "kind_loss"]
    assert sorted(history) == ["height_loss", "height_mae", "kind_acc", "kind_loss", "loss"]


def test_metrics_are_those_of_the_model_and_its_layers_not_of_the_training_of_models_inside():
    class Counting(layers.Layer):
        def __init__(self):
            super().__init__()
            self.total = sg.metrics.Sum(name="total")

        def call(self, x):
            self.total.update_state(sg.sum(x))
            return x

    inner = sg.Sequential([Counting(), layers.Dense(1)])
    inner.compile("sgd", "mse", metrics=["mae"])
    model = sg.Sequential([sg.Input((4,)), inner])
    model.extra = sg.metrics.Mean(name="extra")
    model.compile("sgd", "mse")

    assert [m.name for m in model.metrics] == ["loss", "extra", "total"]
    history = model.fit(X, Y, verbose=0).history
    assert history["total"][0] == pytest.approx(float(X.sum()), rel=1e-4)


@pytest.mark.parametrize(("given", "arguments"), [
    ((X, Y), {}), ((X, Y), {"sample_weight": np.ones(50)}), ((X,), {})], ids=["x y", "x y weight", "x"])
def test_a_step_sees_what_was_given_and_no_more(given, arguments):
    seen = []

    class Looking(Own):
        def train_step(self, data):
            seen.append(data)
            return {"loss": sg.sum(self(data[0] if isinstance(data, tuple) else data))}

    model = Looking()
    model.compile("sgd")
    model.fit(*given, batch_size=50, verbose=0, **arguments)

    count = len(given) + len(arguments)
    assert all(isinstance(data, tuple) and len(data) == count if count > 1 else not isinstance(data, tuple)
               for data in seen)


def test_inputs_called_xs_and_ys_stay_together_in_a_step():
    a, b = sg.Input((4,)), sg.Input((4,))
    model = sg.Model({"xs": a, "ys": b}, layers.Dense(1)(a - b))

    assert model.predict({"xs": X, "ys": X}, verbose=0).shape == (50, 1)
    model.compile("sgd", "mse")
    assert len(model.fit({"xs": X, "ys": X}, Y, verbose=0).epoch) == 1


def test_losses_and_metrics_may_be_written_out():
    loss_tracker, mae = sg.metrics.Mean(name="loss"), sg.metrics.MeanAbsoluteError(name="mae")

    class LowLevel(Own):
        def train_step(self, data):
            x, y = data
            with sg.GradientTape() as tape:
                loss = sg.mean(sg.losses.mean_squared_error(y, y_pred := self(x, training=True)))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            loss_tracker.update_state(loss)
            mae.update_state(y, y_pred)
            return {"loss": loss_tracker.result(), "mae": mae.result()}

        @property
        def metrics(self):
            return [loss_tracker, mae]

    model = LowLevel()
    model.compile(optimizer="sgd")
    history = model.fit(X, Y, epochs=30, verbose=0).history

    assert history["loss"][-1] < 0.2 * history["loss"][0]
    assert float(np.abs(model.predict(X, verbose=0) - Y).mean()) == pytest.approx(history["mae"][-1], rel=0.2)


@pytest.mark.parametrize("takes_training", [True, False])
def test_compute_loss_and_compute_metrics_may_be_ones_own(takes_training):
    class Lossy(Own):
        def __init__(self):
            super().__init__()
            self.tracked = sg.metrics.Mean(name="tracked")

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            results = super().compute_metrics(x, y, y_pred, sample_weight)
            return {**results, "largest": sg.max(y_pred)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        loss = 2.0 * sg.mean(sg.square(y - y_pred))
        self.tracked.update_state(loss)
        return loss

    def compute_loss_in_training(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return compute_loss(self, x, y, y_pred, sample_weight)

    Lossy.compute_loss = compute_loss_in_training if takes_training else compute_loss
    model = Lossy()
    model.compile("sgd", metrics=["mse"])

    logs = model.evaluate(X, Y, batch_size=25, verbose=0, return_dict=True)

    assert set(logs) == {"loss", "tracked", "mse", "largest"}
    assert [logs["loss"], logs["tracked"]] == pytest.approx([2 * logs["mse"]] * 2, rel=1e-5)
    assert logs["largest"] == pytest.approx(float(model.predict(X[25:], verbose=0).max()), rel=1e-5)
    assert set(model.fit(X, Y, verbose=0).history) == set(logs)


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_predict_step_may_be_ones_own(run_eagerly):
    class Rounded(Own):
        def predict_step(self, data):
            return sg.round(super().predict_step(data))

    model = Rounded()
    model.compile("sgd", "mse", run_eagerly=run_eagerly)

    np.testing.assert_allclose(model.predict(X, verbose=0), np.round(Own.__call__(model, X).numpy()), atol=1e-5)


def gan(is_built):
    """The adversarial model of the guide: two networks, two optimizers, two tapes, and no `call`."""
    def shaped(size):
        return [sg.Input((size,))] if is_built else []

    class Gan(sg.Model):
        def __init__(self):
            super().__init__()
            self.discriminator = sg.Sequential([*shaped(4), layers.Dense(8, activation="relu"), layers.Dense(1)])
            self.generator = sg.Sequential([*shaped(3), layers.Dense(8, activation="relu"), layers.Dense(4)])
            self.d_loss = sg.metrics.Mean(name="d_loss")
            self.g_loss = sg.metrics.Mean(name="g_loss")
            self.seeds = sg.random.SeedGenerator(1337)

        @property
        def metrics(self):
            return [self.d_loss, self.g_loss]

        def compile(self, d_optimizer, g_optimizer, loss_fn, **options):
            super().compile(**options)
            self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

        def train_step(self, real):
            if isinstance(real, tuple):
                real = real[0]
            count = sg.shape(real)[0]
            noise = sg.random.normal((count, 3), seed=self.seeds)
            both = sg.concatenate([self.generator(noise), real], axis=0)
            labels = sg.concatenate([sg.ones((count, 1)), sg.zeros((count, 1))], axis=0)
            labels = labels + 0.05 * sg.random.uniform(sg.shape(labels), seed=self.seeds)
            with sg.GradientTape() as tape:
                d_loss = self.loss_fn(labels, self.discriminator(both))
            weights = self.discriminator.trainable_weights
            self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights, strict=True))
            noise = sg.random.normal((count, 3), seed=self.seeds)
            with sg.GradientTape() as tape:
                g_loss = self.loss_fn(sg.zeros((count, 1)), self.discriminator(self.generator(noise)))
            weights = self.generator.trainable_weights
            self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights, strict=True))
            self.d_loss.update_state(d_loss)
            self.g_loss.update_state(g_loss)
            return {"d_loss": self.d_loss.result(), "g_loss": self.g_loss.result()}

    sg.random.set_seed(4)
    return Gan()


@pytest.mark.parametrize("is_built", [True, False], ids=["built", "built in the step"])
def test_an_adversarial_model_trains_compiled_as_it_does_eagerly(is_built):
    histories = []
    for run_eagerly in (False, True):
        model = gan(is_built)
        model.compile(sg.optimizers.Adam(3e-3), sg.optimizers.Adam(3e-3),
                      sg.losses.BinaryCrossentropy(from_logits=True), run_eagerly=run_eagerly)
        histories.append(model.fit(X, batch_size=20, epochs=3, shuffle=False, verbose=0).history)

    assert set(histories[0]) == {"d_loss", "g_loss"}
    for name in histories[0]:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-3)
        assert len(set(histories[0][name])) == 3


def test_layers_built_in_the_step_itself_compile_it_once():
    model = gan(is_built=False)
    model.compile("adam", "adam", sg.losses.BinaryCrossentropy(from_logits=True))
    model.d_optimizer, model.g_optimizer = sg.optimizers.Adam(), sg.optimizers.Adam()
    model.fit(X, batch_size=25, verbose=0)
    step = model._step_functions["train"]
    model.fit(X, batch_size=25, epochs=2, verbose=0)

    assert model._step_functions["train"] is step and len(step.graphs) == 1


def test_a_step_may_train_a_part_with_the_optimizer_of_compile():
    class Half(Own):
        def train_step(self, data):
            x, y = data
            with sg.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            weights = self.out.trainable_weights
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    model = Half()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    before = model.inside.get_weights()[0]
    model.fit(X, Y, verbose=0)

    assert (model.inside.get_weights()[0] == before).all()
    assert len(model.optimizer.variables) == 2 + 2 * 2


def test_logs_may_be_dicts_inside_dicts():
    class Nested(Own):
        def train_step(self, data):
            return {"parts": {"one": sg.ones(()), "two": sg.ones(()) * 2.0}, "loss": sg.sum(self(data[0]))}

    model = Nested()
    model.compile("sgd")

    history = model.fit(X, Y, verbose=0).history
    assert (history["one"], history["two"]) == ([1.0], [2.0]) and set(history) == {"one", "two", "loss"}
    assert set(model.train_on_batch(X, Y, return_dict=True)) == {"one", "two", "loss"}


def test_layers_add_losses_and_a_model_may_have_no_other():
    class Sizes(layers.Layer):
        def call(self, x):
            self.add_loss(0.5 * sg.mean(sg.square(x)))
            return x

    x = sg.Input((4,))
    model = sg.Model(x, Sizes()(layers.Dense(3)(x)))
    model.compile(sg.optimizers.SGD(0.1))
    expected = 0.5 * float(np.mean(model.predict(X, verbose=0) ** 2))

    assert model.evaluate(X, verbose=0) == pytest.approx(expected, rel=1e-5)
    losses = model.fit(X, epochs=5, verbose=0).history["loss"]
    assert losses == sorted(losses, reverse=True)


def test_penalties_of_weights_and_activations_are_part_of_the_loss():
    model = sg.Sequential([sg.Input((4,)), layers.Dense(1, kernel_regularizer=sg.regularizers.L2(0.1),
                                                        activity_regularizer=sg.regularizers.L1(0.2))])
    model.compile("sgd", "mse", metrics=["mse"])
    y = model.predict(X, verbose=0)
    logs = model.evaluate(X, Y, batch_size=50, verbose=0, return_dict=True)

    penalty = 0.1 * np.sum(model.get_weights()[0] ** 2) + 0.2 * np.sum(np.abs(y)) / 50
    assert logs["loss"] - logs["mse"] == pytest.approx(float(penalty), rel=1e-4)


def test_a_step_that_trains_nothing_names_what_to_do():
    model = line()
    model.trainable = False

    with pytest.raises(TrainingError, match="no trainable weights; set trainable=True"):
        model.fit(X, Y, verbose=0)


def test_weights_thawed_after_the_optimizer_began_need_another_one():
    model = sg.Sequential([layers.Dense(3, name="first"), layers.Dense(1, name="last")])
    model.layers[0].trainable = False
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = True

    with pytest.raises(TrainingError, match=r"no state for first/kernel, first/bias: .*call compile again"):
        model.fit(X, Y, verbose=0)
    model.compile("adam", "mse")
    assert len(model.fit(X, Y, verbose=0).epoch) == 1


@pytest.mark.parametrize("given", [None, 3.0, ["loss"]])
@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch"])
def test_a_step_that_gives_no_logs_is_told_so(method, run_eagerly, given):
    steps = {"train_step": lambda self, data: given, "test_step": lambda self, data: given}
    model = type("Silent", (sg.Sequential,), steps)([layers.Dense(1)], name="m")
    model.compile("sgd", "mse", run_eagerly=run_eagerly)

    with pytest.raises(TrainingError, match=r'model "m": .*_step gives its logs as a dict by name'):
        getattr(model, method)(X, Y, **({} if "batch" in method else {"verbose": 0}))


def test_exported_steps_are_those_of_the_guide_too(tmp_path):
    model = Guide()
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    model.predict(X[:2], verbose=0)
    model.export_train_step(tmp_path / "step.onnx")

    step = sg.TrainStep.load(tmp_path / "step.onnx")
    assert list(step.metrics) == ["mae"] and len(step.state) >= 5


def test_dicts_of_inputs_reach_a_step_of_ones_own():
    class Keyed(sg.Model):
        def train_step(self, data):
            x, y = data
            with sg.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            self.optimizer.apply(tape.gradient(loss, self.trainable_weights), self.trainable_weights)
            return {"loss": loss, "size": sg.mean(sg.abs(x["a"]))}

    plain = named()
    model = Keyed(plain.input, plain.output)
    model.compile("sgd", {"height": "mse", "kind": "sparse_categorical_crossentropy"})

    history = model.fit({"a": X, "b": X}, {"height": Y, "kind": classes()}, batch_size=50, verbose=0).history
    assert history["size"][0] == pytest.approx(float(np.abs(X).mean()), rel=1e-5)


def test_callbacks_work_with_a_model_that_is_all_step(tmp_path):
    model = gan(is_built=False)
    model.compile("adam", "adam", sg.losses.BinaryCrossentropy(from_logits=True))
    model.d_optimizer, model.g_optimizer = sg.optimizers.Adam(), sg.optimizers.Adam()
    callbacks = [
        sg.callbacks.ModelCheckpoint(tmp_path / "w.ckpt", save_weights_only=True, monitor="g_loss", mode="min"),
        sg.callbacks.EarlyStopping(monitor="g_loss", mode="min"), sg.callbacks.CSVLogger(tmp_path / "log.csv"),
        sg.callbacks.ReduceLROnPlateau(monitor="d_loss", mode="min"), sg.callbacks.NanGuard(check_weights=True),
        sg.callbacks.BackupAndRestore(tmp_path / "backup")]

    assert len(model.fit(X, epochs=2, verbose=0, callbacks=callbacks).epoch) == 2


def test_nan_guard_watches_the_logs_of_a_step_without_a_loss():
    x = X.copy()
    x[3] = np.nan
    model = gan(is_built=True)
    model.compile(sg.optimizers.Adam(), sg.optimizers.Adam(), sg.losses.BinaryCrossentropy(from_logits=True))

    with pytest.raises(sg.NonFiniteError, match=r"the d_loss is nan after step 1 .*the input is nan .* row 3 of the"):
        model.fit(x, verbose=0, callbacks=[sg.callbacks.NanGuard()])
