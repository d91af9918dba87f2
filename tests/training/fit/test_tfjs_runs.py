"""Whole training runs equal those of TensorFlow.js 4.22: losses of all epochs, final weights, predictions."""

import json
import re

import numpy as np
import pytest

import symgraph as sg
from symgraph import ops
from tests.training.fit.tfjs_runs import array, build, plain_name, weights

RUNS = ["cnn_bn", "loss_binaryCrossentropy", "loss_cosineProximity", "loss_kullbackLeiblerDivergence",
        "loss_meanAbsoluteError", "loss_meanSquaredError", "loss_poisson", "loss_squaredHinge", "opt_adagrad",
        "opt_adamax", "opt_nesterov", "opt_sgd", "rnn_gru", "rnn_simpleRNN"]

LOSSES = {"cosine_proximity": "cosine_similarity", "kullback_leibler_divergence": "kl_divergence"}


class AdamOfTensorFlowJs(sg.optimizers.Adam):
    """`w -= rate · m̂ / (sqrt(v̂) + epsilon)`: epsilon is added after the correction of v, which Keras scales as well."""

    def update_step(self, gradient, variable, learning_rate):
        m, v = self.moments(gradient, variable)
        mean, square = (x / (1 - self.power(beta, variable.dtype)) for x, beta in ((m, self.beta_1), (v, self.beta_2)))
        variable.assign_sub(learning_rate * mean / (ops.sqrt(square) + self.epsilon))


OPTIMIZERS = {
    "adagrad": lambda: sg.optimizers.Adagrad(0.1),
    "adam": lambda: AdamOfTensorFlowJs(0.01),
    "adamax": lambda: sg.optimizers.Adamax(0.02),
    "nesterov": lambda: sg.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "sgd": lambda: sg.optimizers.SGD(0.1),
}


@pytest.fixture(params=RUNS)
def folder(request, shared_data):
    return shared_data / "tfjs_training" / request.param


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_a_run_equals_that_of_tensorflow_js(folder, run_eagerly):
    run = json.loads((folder / "train.json").read_text())
    x, y, recorded = array(run["x"]), array(run["y"]), run["history"]
    loss = re.sub("(?<!^)(?=[A-Z])", "_", run["loss"]).lower()
    model = build(folder)
    model.compile(OPTIMIZERS[run["optimizer"]](), LOSSES.get(loss, loss),
                  metrics=["acc"] if "acc" in recorded else None, run_eagerly=run_eagerly)

    start = np.ravel(model.evaluate(x, y, batch_size=run["batchSize"], verbose=0))
    history = model.fit(x, y, batch_size=run["batchSize"], epochs=run["epochs"], shuffle=False, verbose=0).history

    np.testing.assert_allclose(start, run["initial_eval"], atol=1e-5)
    for name, values in recorded.items():
        np.testing.assert_allclose(history[name], values, atol=1e-5)
    final = weights(folder, "final")
    for variable in model.weights:
        np.testing.assert_allclose(variable.numpy(), final[plain_name(variable)], atol=1e-4, err_msg=variable.name)
    np.testing.assert_allclose(model.predict(x, verbose=0), array(run["final_predict"]), atol=1e-4)


def test_every_recorded_run_is_replayed(shared_data):
    assert sorted(path.name for path in (shared_data / "tfjs_training").iterdir()) == RUNS
