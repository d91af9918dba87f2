"""Writes what Keras says about every row to recorded.json.

`KERAS_BACKEND=jax python -m tests.training.metrics.record`, in an environment that has it; after a row is new or
changed.
"""

import inspect
import json
import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from tests.training.metrics.cases import DATA, FUNCTIONS, METRICS, RECORDED, REDUCTIONS, batches, row_name


def answer(x):
    return [float(f"{v:.8g}") for v in np.asarray(x, np.float64).ravel()], list(np.shape(x))


def signatures():
    """The arguments of everything public, in order."""
    public = {name: getattr(keras.metrics, name) for name in dir(keras.metrics) if not name.startswith("_")}
    return {name: list(inspect.signature(x).parameters) for name, x in public.items() if callable(x)}


def record():
    found = {"keras": keras.__version__, "backend": keras.backend.backend(), "signatures": signatures(),
             "answers": {}}
    for row in [*METRICS, *REDUCTIONS]:
        name, keys = row[0], row[2:] if row in METRICS else row[1:]
        metric = getattr(keras.metrics, name)(**(row[1] if row in METRICS else {}))
        found["answers"][row_name(row)] = [answer(metric(*batch)) for batch in batches(keys)]
    for row in FUNCTIONS:
        name, arguments, y, p = row
        found["answers"][row_name(row)] = [answer(getattr(keras.metrics, name)(DATA[y], DATA[p], **arguments))]
    RECORDED.write_text(json.dumps(found, separators=(",", ":")).replace(']],"', ']],\n"') + "\n")


if __name__ == "__main__":
    record()
