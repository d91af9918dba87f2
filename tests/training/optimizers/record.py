"""Writes what Keras makes of every case to recorded.npz, with its version.

`KERAS_BACKEND=jax python -m tests.training.optimizers.record`, in an environment that has it.
"""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np

from tests.training.optimizers.cases import (
    CASES,
    LOOKED_AT,
    RECORDED,
    SCHEDULES,
    STEPS_OF_SCHEDULES,
    gradients,
    identity,
    weights,
)


def schedule(name: str, arguments: dict[str, Any]) -> Any:
    return getattr(keras.optimizers.schedules, name)(**arguments)


def trained(name: str, arguments: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    rate = arguments.get("learning_rate")
    if isinstance(rate, tuple):
        arguments = {**arguments, "learning_rate": schedule(*rate)}
    optimizer = getattr(keras.optimizers, name)(**arguments)
    variables = [keras.Variable(value, name=n) for n, value in weights().items()]
    seen = []
    for step, grads in enumerate(gradients(), start=1):
        optimizer.apply_gradients(zip(map(keras.ops.convert_to_tensor, grads), variables, strict=True))
        if step in LOOKED_AT:
            seen += [np.asarray(v.numpy()).ravel() for v in variables]
    optimizer.finalize_variable_values(variables)
    return [*seen, *(np.asarray(v.numpy()).ravel() for v in variables)]


def record() -> None:
    """The weights of all cases one after another, then the learning rates of all schedules."""
    answers = [np.concatenate(trained(*case)) for case in CASES]
    rates = [[float(schedule(*each)(step)) for step in range(STEPS_OF_SCHEDULES)] for each in SCHEDULES]
    about = json.dumps({"keras": keras.__version__, "backend": keras.backend.backend(),
                        "cases": [identity(case) for case in CASES]})
    np.savez_compressed(RECORDED, weights=np.stack(answers).astype(np.float32), rates=np.array(rates, np.float32),
                        about=np.frombuffer(about.encode(), np.uint8))


if __name__ == "__main__":
    record()
