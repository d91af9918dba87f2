"""Writes what Keras's callbacks do in every case to recorded.json, with its version.

`KERAS_BACKEND=jax python -m tests.training.callbacks.record`, in an environment that has it.
"""

from __future__ import annotations

import json
import os
import tempfile

import keras

from tests.training.callbacks.cases import CASES, RECORDED, name_of, run


def main() -> None:
    recorded: dict[str, object] = {"keras": keras.__version__}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            recorded[name_of(case)] = run(keras.callbacks, case)
            os.chdir("/")
    RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
