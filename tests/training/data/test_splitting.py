"""Splits of data in two."""

import math

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

import symgraph as sg
from symgraph.core.errors import TrainingError
from symgraph.training.data.splitting import split_validation


@given(st.integers(2, 200), st.floats(0.01, 0.99))
def test_the_last_share_of_the_rows_validates(count, share):
    x = np.arange(count)
    place = math.floor(count * (1.0 - share))

    if place in (0, count):
        with pytest.raises(TrainingError, match=f"of {count} samples leaves none to"):
            split_validation((x,), share)
    else:
        (first,), (last,) = split_validation((x,), share)
        assert (first.tolist(), last.tolist()) == (x[:place].tolist(), x[place:].tolist())


def test_nestings_and_none_stay():
    x = {"a": np.arange(4), "b": [[1, 2], [3, 4], [5, 6], [7, 8]]}

    train, validation = split_validation((x, sg.tensor([1, 2, 3, 4]), None), 0.25)

    assert {key: value.tolist() for key, value in validation[0].items()} == {"a": [3], "b": [[7, 8]]}
    assert train[1].tolist() == [1, 2, 3]
    assert train[2] is None and validation[2] is None


def test_nothing_is_copied():
    x = np.zeros((10, 3), np.float32)

    (train,), (validation,) = split_validation((x,), 0.5)

    assert np.shares_memory(train, x) and np.shares_memory(validation, x)


def test_sparse_matrices_stay_sparse():
    (train,), _ = split_validation((scipy.sparse.eye(4).tocsr(),), 0.5)

    assert scipy.sparse.issparse(train) and train.shape == (2, 4)


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1])
def test_shares_are_between_0_and_1(share):
    with pytest.raises(TrainingError, match="between 0 and 1"):
        split_validation((np.arange(4),), share)


def test_different_numbers_of_rows_are_refused():
    with pytest.raises(TrainingError, match=r"\(x: 4, y: 3\)"):
        split_validation((np.arange(4), np.arange(3)), 0.5)


def test_datasets_cannot_be_split_by_share():
    with pytest.raises(TrainingError, match="validation_split cuts arrays"):
        split_validation((sg.data.Dataset.range(4).batch(2), None, None), 0.5)
