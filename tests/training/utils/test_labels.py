"""to_categorical, normalize and set_random_seed, with numbers of Keras 3.15."""

import random

import numpy as np
import pytest

import symgraph as sg
from symgraph.utils import normalize, set_random_seed, to_categorical


@pytest.mark.parametrize(("labels", "num_classes", "rows"), [
    ([0, 1, 2], None, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    ([[0], [1]], 3, [[1, 0, 0], [0, 1, 0]]),
    ([[0, 1], [1, 2]], 3, [[[1, 0, 0], [0, 1, 0]], [[0, 1, 0], [0, 0, 1]]]),
    (2, None, [0, 0, 1]),
    ([True, False], None, [[0, 1], [1, 0]]),
    (np.array([0.0, 1.0]), None, [[1, 0], [0, 1]]),
    (np.array([3], np.uint8), 4, [[0, 0, 0, 1]]),
    (np.array([1]), 2, [[0, 1]]),
])
def test_class_numbers_become_rows(labels, num_classes, rows):
    found = to_categorical(labels, num_classes)

    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    assert found.tolist() == rows


def test_no_labels_become_no_rows():
    assert to_categorical([], 3).shape == (0, 3)


def test_tensors_give_tensors_and_symbols_symbols():
    x = sg.symbol((None, 1), "int32")

    value, symbol = to_categorical(sg.tensor([0, 2])), to_categorical(x, 3)

    assert isinstance(value, sg.Tensor) and value.dtype == "float32" and value.tolist() == [[1, 0, 0], [0, 0, 1]]
    (found,) = sg.runtime.evaluate(sg.Graph([x], [symbol]), np.int32([[2], [7]]))
    assert found.numpy().tolist() == [[0, 0, 1], [0, 0, 0]]


@pytest.mark.parametrize(("make", "words"), [
    (lambda: to_categorical([0, 5], 3), "0 to 2, got 5"),
    (lambda: to_categorical([0, -1], 3), "0 to 2, got -1"),
    (lambda: to_categorical([0, -1]), "0 on, got -1"),
    (lambda: to_categorical([0.0, 1.5]), "whole numbers, got 1.5"),
    (lambda: to_categorical([np.nan]), "whole numbers, got nan"),
    (lambda: to_categorical(["a"]), "whole numbers, got"),
    (lambda: to_categorical([1j]), "whole numbers, got complex"),
    (lambda: to_categorical([]), "no labels"),
    (lambda: to_categorical([0], 0), "num_classes must be"),
    (lambda: to_categorical([0], 2.0), "num_classes must be"),
    (lambda: to_categorical(sg.tensor([4]), 3), "got 4"),
    (lambda: to_categorical(sg.symbol((2,), "int32")), "give num_classes"),
    (lambda: to_categorical(sg.symbol((2,), "float32"), 3), "cast it"),
    (lambda: normalize(np.ones(2), order=0), "order is a number from 1 on"),
    (lambda: normalize(np.ones(2), order="2"), "order is a number"),
    (lambda: normalize(np.ones(2), axis=1), "no axis 1"),
    (lambda: normalize(np.array(["a"])), "takes numbers"),
    (lambda: set_random_seed(-1), "got -1"),
    (lambda: set_random_seed(2**32), "2.32 - 1"),
    (lambda: set_random_seed(1.0), "whole number"),
    (lambda: set_random_seed(True), "whole number"),
])
def test_what_does_not_fit_is_told(make, words):
    with pytest.raises((sg.TrainingError, sg.ShapeError), match=words):
        make()


ROWS = [[3.0, -4.0], [0.0, 0.0]]


@pytest.mark.parametrize(("order", "row"), [(2, [0.6, -0.8]), (1, [3 / 7, -4 / 7]), (3, [0.6669718, -0.8892957]),
                                            (np.inf, [0.75, -1.0])])
@pytest.mark.parametrize("make", [np.array, list, sg.tensor, np.float32], ids=["float64", "list", "tensor", "float32"])
def test_rows_are_divided_by_their_norms(make, order, row):
    found = normalize(make(ROWS), order=order)

    assert isinstance(found, sg.Tensor if make in (list, sg.tensor) else np.ndarray)
    assert found.dtype == ("float64" if make is np.array else "float32")
    np.testing.assert_allclose(np.asarray(found), [row, [0, 0]], rtol=1e-6)


def test_any_axis_and_whole_numbers_can_be_normalized():
    np.testing.assert_allclose(normalize(np.array([[3, 0], [4, 2]]), axis=0), [[0.6, 0], [0.8, 1]])
    assert normalize(np.array(5.0)) == 1.0


def test_one_seed_fixes_all_generators():
    draws = []
    for _ in range(2):
        set_random_seed(17)
        draws.append((random.random(), np.random.rand(), float(sg.random.uniform(())), sg.layers.Dense(2)(
            np.ones((1, 2), np.float32)).numpy().tobytes()))

    assert draws[0] == draws[1]
    set_random_seed(18)
    assert random.random() != draws[0][0]
