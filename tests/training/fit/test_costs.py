"""What training keeps and compiles: nothing that grows with the steps, nothing twice."""

import gc
import weakref

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.training.callbacks import Callback
from tests.training.fit.models import data, line

X, Y = data(320)


class Objects(Callback):
    """How many Python objects there are after each epoch."""

    def __init__(self):
        super().__init__()
        self.counts = []

    def on_train_batch_end(self, batch, logs=None):
        assert np.isfinite(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        gc.collect()
        self.counts.append(len(gc.get_objects()))


@pytest.mark.parametrize("kind", ["arrays", "dataset", "eager", "validated"])
def test_no_step_leaves_objects_behind(kind):
    model = line("adam", metrics=["mae"], run_eagerly=kind == "eager")
    objects = Objects()
    options = {"epochs": 5, "verbose": 0, "callbacks": [objects]}
    if kind == "dataset":
        model.fit(sg.data.Dataset.from_tensor_slices((X, Y)).batch(4), **options)
    else:
        model.fit(X, Y, batch_size=32 if kind == "eager" else 4,
                  validation_data=(X, Y) if kind == "validated" else None, **options)

    assert max(objects.counts[2:]) - objects.counts[2] < 40, objects.counts  # the logs of epochs are kept


def test_validation_evaluation_and_prediction_after_every_epoch_compile_nothing_anew():
    model = line(metrics=["mae"])
    made = []

    class Uses(Callback):
        def on_epoch_end(self, epoch, logs=None):
            model.evaluate(X, Y, verbose=0)
            model.predict(X, verbose=0)
            graphs = [g for function in model._step_functions.values() for g in function.graphs]
            made.append([*graphs, *model._sessions[None]])

    model.fit(X, Y, epochs=5, validation_data=(X, Y), verbose=0, callbacks=[Uses()])

    assert [len(each) for each in made] == [4] * 5
    assert all(a is b for a, b in zip(made[1], made[4], strict=True))
    assert all(len(function.graphs) == 1 for function in model._step_functions.values())


def test_fit_called_again_compiles_nothing_anew():
    model = line()
    model.fit(X, Y, batch_size=32, verbose=0)
    step = model._step_functions["train"]
    for _ in range(3):
        model.fit(X, Y, batch_size=32, epochs=2, verbose=0)
        model.train_on_batch(X[:32], Y[:32])

    assert model._step_functions["train"] is step and len(step.graphs) == 1


def test_many_sizes_of_batches_share_one_graph():
    model = sg.Sequential([sg.Input((None, 3)), layers.LSTM(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    for rows, steps in rng.integers(2, 12, (20, 2)):
        model.train_on_batch(np.ones((rows, steps, 3), np.float32), np.ones((rows, 1), np.float32))

    assert len(model._step_functions["train"].graphs) <= 4


def test_a_batch_of_a_common_size_gets_a_graph_of_its_own_and_a_rare_one_does_not():
    model = line()
    model.fit(X[:310], Y[:310], batch_size=32, epochs=3, verbose=0)
    model.fit(X, Y, batch_size=10, verbose=0)

    assert [str(g.inputs[0].type) for g in model._step_functions["train"].graphs] == [
        "float32[32, 4]", "float32[batch, 4]", "float32[10, 4]"]


def test_the_first_model_of_a_program_is_freed_with_its_steps():
    model = line("adam")
    model.fit(X, Y, verbose=0)
    model.predict(X, verbose=0)
    gone = weakref.ref(model._step_functions["train"].state)
    del model
    gc.collect()

    assert gone() is None
