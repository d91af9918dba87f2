"""The data utilities give what Keras's gave when record_keras ran."""

from types import SimpleNamespace

import numpy as np
import pytest

from symgraph.training.data.image_files import array_to_img, img_to_array, load_img, save_img
from symgraph.training.data.image_folders import image_dataset_from_directory
from symgraph.training.data.image_sizes import resized
from symgraph.training.data.padding import pad_sequences
from symgraph.training.data.timeseries import timeseries_dataset_from_array
from tests.training.data.keras_cases import CASES, RECORDED, make_folder

UTILS = SimpleNamespace(
    array_to_img=array_to_img, img_to_array=img_to_array, load_img=load_img, save_img=save_img,
    pad_sequences=pad_sequences, timeseries_dataset_from_array=timeseries_dataset_from_array,
    image_dataset_from_directory=image_dataset_from_directory,
    resize=lambda picture, size, method: resized(picture, *size, method))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("pictures").resolve())


@pytest.fixture(scope="module")
def recorded():
    with np.load(RECORDED) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("case", CASES)
def test_it_gives_what_keras_gives(case, folder, recorded):
    found = CASES[case](UTILS, folder)
    expected = [x for name, x in recorded.items() if name.rpartition("/")[0] == case]

    assert len(found) == len(expected) > 0
    for x, y in zip(found, expected, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        if x.dtype.kind == "f":
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-3)  # of 255
        else:
            np.testing.assert_array_equal(x, y)
