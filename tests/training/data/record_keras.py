"""Writes what Keras's data utilities give for the cases of keras_cases.

`KERAS_BACKEND=jax python -m tests.training.data.record_keras`, in an environment that has Keras, jax, grain, Pillow.
"""

import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from tests.training.data.keras_cases import CASES, RECORDED, make_folder


def resize(picture, size, method):
    return keras.ops.image.resize(picture, size, interpolation=method)


def record():
    utils = SimpleNamespace(**{name: getattr(keras.utils, name) for name in dir(keras.utils)}, resize=resize)
    arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        path = make_folder(Path(folder).resolve())
        for case, run in CASES.items():
            arrays.update({f"{case}/{i}": x for i, x in enumerate(run(utils, path))})
    np.savez_compressed(RECORDED, version=keras.__version__, **arrays)


if __name__ == "__main__":
    record()
