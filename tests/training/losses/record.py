"""Writes what Keras says about every row to recorded.json.

`KERAS_BACKEND=jax python -m tests.training.losses.record`, in an environment that has it; after a row is new or
changed.
"""

import inspect
import json
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from tests.training.losses.cases import DATA, FUNCTIONS, OBJECTS, RECORDED, row_name


def answer(x):
    return [float(f"{v:.8g}") for v in np.asarray(x, np.float64).ravel()], list(np.shape(x))


def signatures():
    """The arguments of everything public, in order."""
    public = {name: getattr(keras.losses, name) for name in dir(keras.losses) if not name.startswith("_")}
    return {name: list(inspect.signature(x).parameters) for name, x in public.items() if callable(x)}


def record():
    found = {"keras": keras.__version__, "backend": keras.backend.backend(), "signatures": signatures(),
             "answers": {}}
    for row in FUNCTIONS:
        name, arguments, y, p = row
        found["answers"][row_name(row)] = answer(getattr(keras.losses, name)(DATA[y], DATA[p], **arguments))
    for row in OBJECTS:
        name, arguments, y, p, w = row
        loss = getattr(keras.losses, name)(**arguments)
        found["answers"][row_name(row)] = answer(loss(DATA[y], DATA[p], None if w is None else DATA[w]))
    RECORDED.write_text(json.dumps(found, separators=(",", ":")).replace('],"', '],\n"') + "\n")


if __name__ == "__main__":
    record()
