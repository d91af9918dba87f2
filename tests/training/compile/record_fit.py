"""Writes how Keras trains the models of fit_cases: weights before and after, logs of all epochs.

`KERAS_BACKEND=torch python -m tests.training.compile.record_fit`, in an environment that has it: on jax masks do not
reach the metrics of a training step.
"""

import json
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

from tests.training.compile.fit_cases import CASES, RECORDED_LOGS, RECORDED_WEIGHTS, trained, weights_of


def record():
    keras.utils.set_random_seed(0)
    arrays, logs = {}, {"keras": keras.__version__, "backend": keras.backend.backend(), "cases": {}}
    for case in CASES:
        model, history, before, evaluated = trained(keras, case)
        for when, weights in (("before", before), ("after", weights_of(model))):
            arrays.update({f"{case}/{when}/{name}": w for name, w in weights.items()})
        logs["cases"][case] = {"history": rounded(history), "evaluated": rounded(evaluated)}
    np.savez_compressed(RECORDED_WEIGHTS, **arrays)
    RECORDED_LOGS.write_text(json.dumps(logs, separators=(",", ":")).replace('}},"', '}},\n"') + "\n")


def rounded(logs):
    return {name: [float(f"{v:.8g}") for v in np.ravel(x)] for name, x in logs.items()}


if __name__ == "__main__":
    record()
