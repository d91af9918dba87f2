"""Weights after 20 steps, and learning rates, are those that Keras recorded; a compiled step gives the eager one's."""

import json

import numpy as np
import pytest

import symgraph as sg
from tests.training.optimizers.cases import (
    CASES,
    LOOKED_AT,
    RECORDED,
    SCHEDULES,
    STEPS_OF_SCHEDULES,
    gradients,
    identity,
    weights,
)

FILE = np.load(RECORDED)
ABOUT = json.loads(FILE["about"].tobytes())
NUMBERS = dict(zip(ABOUT["cases"], FILE["weights"], strict=True))


def schedule(name, arguments):
    return getattr(sg.optimizers.schedules, name)(**arguments)


def optimizer_of(name, arguments):
    rate = arguments.get("learning_rate")
    if isinstance(rate, tuple):
        arguments = {**arguments, "learning_rate": schedule(*rate)}
    return getattr(sg.optimizers, name)(**arguments)


def trained(case, compiled):
    optimizer = optimizer_of(*case)
    variables = [sg.Variable(value, name=name) for name, value in weights().items()]

    def step(*grads):
        optimizer.apply_gradients(zip(grads, variables, strict=True))
        return optimizer.iterations * 1

    run = sg.function(step) if compiled else step
    seen = []
    for number, grads in enumerate(gradients(), start=1):
        run(*grads)
        if number in LOOKED_AT:
            seen += [v.numpy().ravel() for v in variables]
    optimizer.finalize_variable_values(variables)
    return np.concatenate([*seen, *(v.numpy().ravel() for v in variables)])


def test_everything_recorded_is_replayed():
    assert list(map(identity, CASES)) == ABOUT["cases"]


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_twenty_steps_give_the_weights_of_keras(case):
    np.testing.assert_allclose(trained(case, compiled=False), NUMBERS[identity(case)], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_a_compiled_step_gives_the_weights_of_an_eager_one(case):
    eager, compiled = trained(case, compiled=False), trained(case, compiled=True)
    np.testing.assert_allclose(compiled, eager, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("case", "rates"), [*zip(SCHEDULES, FILE["rates"], strict=True)],
                         ids=[*map(identity, SCHEDULES)])
def test_schedules_give_the_rates_of_keras(case, rates):
    made = schedule(*case)
    np.testing.assert_allclose([float(made(i)) for i in range(STEPS_OF_SCHEDULES)], rates, rtol=2e-6, atol=1e-7)
