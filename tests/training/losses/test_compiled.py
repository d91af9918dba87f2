"""Losses and their gradients as graphs of open batches, beside what the tape says of values."""

import numpy as np
import pytest

import symgraph as sg
from tests.training.losses.cases import DATA, OBJECTS, row_name


def tape_gradient(loss, target, prediction, weights):
    x = sg.tensor(prediction)
    with sg.GradientTape() as tape:
        tape.watch(x)
        value = sg.sum(loss(target, x, *weights))
    return value.numpy(), tape.gradient(value, x).numpy()


@pytest.mark.parametrize("row", OBJECTS, ids=row_name)
def test_a_compiled_gradient_of_an_open_batch_is_that_of_the_tape(row):
    name, arguments, y, p, w = row
    loss = getattr(sg.losses, name)(**arguments)
    inputs = [DATA[key] for key in (y, p, w) if key is not None]
    symbols = [sg.symbol((None, *x.shape[1:]), dtype=x.dtype) for x in inputs]
    value = sg.sum(loss(*symbols))
    graph = sg.Graph(symbols, [value, *sg.gradients(value, [symbols[1]])])

    found = sg.runtime.Session(graph).run(dict(zip(graph.input_names, inputs, strict=True)))

    for x, wanted in zip(found, tape_gradient(loss, inputs[0], inputs[1], inputs[2:]), strict=True):
        np.testing.assert_allclose(x, wanted, rtol=1e-4, atol=1e-6)


def test_ctc_works_with_all_sizes_open():
    symbols = sg.symbol((None, None), dtype="int64"), sg.symbol((None, None, None), dtype="float32")
    graph = sg.Graph(symbols, [sg.losses.ctc(*symbols)])
    session = sg.runtime.Session(graph)
    rng = np.random.default_rng(0)

    for batch, labels, time, classes in ((1, 1, 1, 2), (2, 3, 7, 4), (4, 5, 20, 9)):
        y = rng.integers(1, classes, (batch, labels))
        p = rng.standard_normal((batch, time, classes)).astype(np.float32)
        found = session.run(dict(zip(graph.input_names, (y, p), strict=True)))[0]
        np.testing.assert_allclose(found, sg.losses.ctc(y, p).numpy(), rtol=1e-5)


def paths_that_spell(word, time, classes):
    for path in np.ndindex(*(classes,) * time):
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        if [c for c in merged if c] == list(word):
            yield path


@pytest.mark.parametrize("word", [(1,), (1, 2), (2, 2), (1, 2, 1), ()])
def test_ctc_is_the_probability_of_all_paths(word):
    time, classes = 5, 3
    logits = np.random.default_rng(1).standard_normal((time, classes))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = sum(np.prod(p[np.arange(time), path]) for path in paths_that_spell(word, time, classes))

    label = np.zeros((1, 3), np.int64)
    label[0, :len(word)] = word
    found = sg.losses.ctc(label, logits[None])

    np.testing.assert_allclose(found.numpy(), [-np.log(wanted)], rtol=1e-9)


def test_a_label_beyond_the_classes_fails_when_it_runs():
    symbols = sg.symbol((None,), dtype="int64"), sg.symbol((None, 5), dtype="float32")
    graph = sg.Graph(symbols, [sg.losses.SparseCategoricalCrossentropy()(*symbols)])

    with pytest.raises(sg.RunError, match="Out of range"):
        sg.runtime.Session(graph).run(dict(zip(graph.input_names, (np.array([7]), DATA["simplex"][:1]), strict=True)))
