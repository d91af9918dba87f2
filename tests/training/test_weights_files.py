"""Weights as files: what is refused, and that nothing changes then."""

import numpy as np
import pytest

import symgraph as sg
from symgraph import layers
from symgraph.core.errors import CheckpointError


def model(*units):
    return sg.Sequential([sg.Input((3,)), *(layers.Dense(n) for n in units)])


def test_weights_come_back_in_their_order(tmp_path):
    first, second = model(4, 2), model(4, 2)
    first.save_weights(tmp_path / "w.ckpt")

    second.load_weights(tmp_path / "w.ckpt")

    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


@pytest.mark.parametrize("units", [(4,), (4, 3), (4, 2, 2)])
def test_weights_of_another_model_are_refused_and_nothing_is_set(units, tmp_path):
    model(4, 2).save_weights(tmp_path / "w.ckpt")
    other = model(*units)
    before = other.get_weights()

    with pytest.raises(CheckpointError, match=r"does not fit.*nothing was changed"):
        other.load_weights(tmp_path / "w.ckpt")

    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))


def test_a_model_that_has_made_no_weights_neither_saves_nor_loads_any(tmp_path):
    unbuilt = sg.Sequential([layers.Dense(2)])
    model(2).save_weights(tmp_path / "w.ckpt")

    with pytest.raises(CheckpointError, match=r"has no weights yet.* before its weights are saved"):
        unbuilt.save_weights(tmp_path / "none.ckpt")
    with pytest.raises(CheckpointError, match="before its weights are loaded"):
        unbuilt.load_weights(tmp_path / "w.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == ["w.ckpt"]


def test_a_model_without_weights_has_a_file_like_others(tmp_path):
    flat = sg.Sequential([sg.Input((3, 2)), layers.Flatten()])

    flat.save_weights(tmp_path / "w.ckpt")
    flat.load_weights(tmp_path / "w.ckpt")

    assert flat.get_weights() == []
