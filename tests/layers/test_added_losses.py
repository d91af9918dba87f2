"""Activity regularizers and `add_loss`: per call, in eager mode, under tapes, in compiled functions and in models."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.errors import GraphError, LayerError

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


class Doubling(sg.layers.Layer):
    """Adds the sum of its input to the loss."""

    def call(self, inputs):
        self.add_loss(sg.sum(inputs))
        return inputs * 2.0


def penalty(y, strength=0.5):
    return strength * np.square(y).sum() / len(y)


def test_an_activity_regularizer_penalizes_the_output_by_the_batch():
    layer = sg.layers.Dense(4, activity_regularizer=sg.regularizers.L2(0.5))
    for x in (X, X[:2]):
        y = layer(x).numpy()
        np.testing.assert_allclose([float(v) for v in layer.losses], [penalty(y)], rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, sg.function])
def test_every_kind_of_step_has_the_same_losses_and_gradients(wrap):
    layer = sg.layers.Dense(4, activity_regularizer=sg.regularizers.L2(0.5), kernel_initializer="ones")
    model = sg.Sequential([sg.layers.InputLayer((3,)), Doubling(), layer])

    def step(x):
        with sg.GradientTape() as tape:
            y = model(x, training=True)
            loss = sum(model.losses)
        return y, loss, tape.gradient(loss, layer.kernel)

    run = wrap(step)
    for x in (X, X[:4]):
        y, loss, gradient = (v.numpy() for v in run(x))
        np.testing.assert_allclose(y, (2 * x) @ np.ones((3, 4)), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(loss, x.sum() + penalty(y), rtol=1e-5)
        np.testing.assert_allclose(gradient, (2 * x).T @ y / len(x), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose([float(v) for v in model.losses], [x.sum(), penalty(y)], rtol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_a_model_called_on_values_has_the_losses_of_that_call(training):
    shared = Doubling()
    x = sg.Input((3,))
    model = sg.Model(x, shared(shared(x)))
    for value in (X, X[:2]):
        model(value, training=training)
        np.testing.assert_allclose([float(v) for v in model.losses], [value.sum(), 2 * value.sum()], rtol=1e-5)
    assert len(shared.losses) == 2


def test_defining_and_predicting_add_nothing():
    x = sg.Input((3,))
    model = sg.Model(x, Doubling()(x))
    model.predict(X, verbose=0)
    assert model.losses == []


def test_a_trace_that_is_over_leaves_values():
    layer = Doubling()

    @sg.function
    def run(x):
        layer(x)
        return sum(layer.losses)

    assert float(run(X)) == pytest.approx(X.sum(), rel=1e-5)
    for _ in range(3):
        run(X)
    assert [float(v) for v in layer.losses] == pytest.approx([X.sum()], rel=1e-5)


def test_the_second_call_in_a_function_takes_the_place_of_the_first_as_on_values():
    layer = Doubling()

    def run(x):
        layer(x)
        layer(x * 3.0)
        return sum(layer.losses)

    for each in (run, sg.function(run)):
        assert float(each(sg.tensor(X))) == pytest.approx(3 * X.sum(), rel=1e-5)


def test_only_tensors_are_added():
    class Wrong(sg.layers.Layer):
        def call(self, inputs):
            self.add_loss("much")
            return inputs

    with pytest.raises(LayerError, match=r"add_loss takes tensors, got 'much'"):
        Wrong()(X)


def test_a_layer_in_a_branch_cannot_add_to_the_loss():
    layer = Doubling(name="mine")

    @sg.function
    def run(x):
        return sg.cond(sg.sum(x) > 0, lambda: layer(x), lambda: x)

    with pytest.raises(GraphError, match=r'.mine.*branch or a loop'):
        run(X)


def test_a_layer_keeps_its_activity_regularizer_in_its_configuration():
    for layer in (sg.layers.Dense(2, activity_regularizer="l1"), sg.layers.ReLU(activity_regularizer="l1")):
        again = type(layer).from_config(layer.get_config())
        assert type(again.activity_regularizer) is sg.regularizers.L1


def test_activity_regularization_adds_the_penalty_of_its_input():
    layer = sg.layers.ActivityRegularization(0.1, 0.2)

    y = layer(np.float32([[1, -2], [3, 0]]))

    assert y.tolist() == [[1, -2], [3, 0]]
    assert [float(x) for x in layer.losses] == [pytest.approx(1.7)]  # as in Keras: divided by the batch
