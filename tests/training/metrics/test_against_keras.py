"""Every metric against what Keras computed (record.py): called on values, and its update and result compiled."""

import json

import numpy as np
import pytest

import symgraph as sg
from tests.training.metrics.cases import DATA, FUNCTIONS, METRICS, RECORDED, REDUCTIONS, batches, row_name

ANSWERS = json.loads(RECORDED.read_text())["answers"]
ROWS = [*METRICS, *((name, {}, *keys) for name, *keys in REDUCTIONS)]


def expected(row):
    known = row_name(row) if row_name(row) in ANSWERS else row_name((row[0], *row[2:]))
    return [np.array(numbers).reshape(shape) for numbers, shape in ANSWERS[known]]


def make(row):
    return getattr(sg.metrics, row[0])(**row[1])


def agree(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=5e-5, atol=5e-6)


@pytest.mark.parametrize("row", ROWS, ids=row_name)
def test_a_metric_says_what_keras_says(row):
    metric = make(row)

    for batch, wanted in zip(batches(row[2:]), expected(row), strict=True):
        agree(metric(*batch).numpy(), wanted)


@pytest.mark.parametrize("row", ROWS, ids=row_name)
def test_compiled_it_says_the_same(row):
    metric = make(row)

    @sg.function
    def step(*batch):
        metric.update_state(*batch)
        return metric.result()

    for keep_none in batches(row[2:]):
        wanted = expected(row)[0 if len(keep_none[0]) == 5 else 1]
        batch = [x for x in keep_none if x is not None]
        agree(step(*batch).numpy(), wanted)
        agree(np.asarray(metric.result()), wanted)
    assert len(step.graphs) == 2


@pytest.mark.parametrize("row", FUNCTIONS, ids=row_name)
def test_a_function_says_what_keras_says(row):
    name, arguments, y, p = row

    found = getattr(sg.metrics, name)(DATA[y], DATA[p], **arguments).numpy()

    (wanted,) = expected(row)
    agree(found, wanted.reshape(found.shape))
