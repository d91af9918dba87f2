"""Every loss against what Keras computed (record.py), and compiled against itself."""

import json

import numpy as np
import pytest

import symgraph as sg
from tests.training.losses.cases import DATA, FUNCTIONS, OBJECTS, RECORDED, row_name

ANSWERS = json.loads(RECORDED.read_text())["answers"]


def expected(row):
    numbers, shape = ANSWERS[row_name(row)]
    return np.array(numbers).reshape(shape)


@pytest.mark.parametrize("row", FUNCTIONS, ids=row_name)
def test_a_function_says_what_keras_says(row):
    name, arguments, y, p = row

    found = getattr(sg.losses, name)(DATA[y], DATA[p], **arguments)

    np.testing.assert_allclose(found.numpy(), expected(row), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("row", OBJECTS, ids=row_name)
def test_an_object_says_what_keras_says(row):
    name, arguments, y, p, w = row

    found = getattr(sg.losses, name)(**arguments)(DATA[y], DATA[p], None if w is None else DATA[w])

    np.testing.assert_allclose(found.numpy(), expected(row), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("row", OBJECTS, ids=row_name)
def test_compiled_for_any_batch_it_says_the_same(row):
    name, arguments, y, p, w = row
    loss = getattr(sg.losses, name)(**arguments)
    inputs = [DATA[key] for key in (y, p, w) if key is not None]
    symbols = [sg.symbol((None, *x.shape[1:]), dtype=x.dtype) for x in inputs]

    graph = sg.Graph(symbols, [loss(*symbols)])

    found = sg.runtime.Session(graph).run(dict(zip(graph.input_names, inputs, strict=True)))
    np.testing.assert_allclose(found[0], expected(row), rtol=2e-5, atol=2e-6)
