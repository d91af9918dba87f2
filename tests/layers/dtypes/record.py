"""Record what Keras makes of `cases.py` in `cases.npz`: `python record.py`, here, in an environment that has it.

Written by Keras 3.15.1 on JAX 0.10.2 with 64 bits. Numbers are written as float32 (bfloat16 is no dtype of NumPy's);
`dtypes` has those of the output and of the weights.
"""

import json
import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")
import keras
import numpy as np
from cases import LAYERS, POLICIES


def main():
    arrays, dtypes = {}, {}
    for number, (name, (cls, arguments, shape, call)) in enumerate(LAYERS.items()):
        rng = np.random.default_rng(number)
        x = rng.integers(0, 3000, (2, 4)) if shape == "numbers" else rng.standard_normal(shape).astype(np.float32)
        inputs = [x, x] if cls == "MultiHeadAttention" else [x]
        arrays[f"{name}/x"] = x
        weights = None
        for policy in POLICIES:
            layer = getattr(keras.layers, cls)(**{"dtype": policy, **arguments})
            layer(*inputs)
            if weights is None:
                weights = [np.abs(rng.standard_normal(w.shape)).astype(np.float32) for w in layer.weights]
                arrays.update({f"{name}/w{i}": w for i, w in enumerate(weights)})
            layer.set_weights(weights)
            y = layer(*inputs, **call)
            arrays[f"{name}/{policy}"] = keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))
            if call.get("training"):
                arrays.update({f"{name}/{policy}/after{i}": np.asarray(w, np.float32)
                               for i, w in enumerate(layer.get_weights())})
            dtypes[f"{name}/{policy}"] = [keras.backend.standardize_dtype(y.dtype),
                                          [keras.backend.standardize_dtype(w.dtype) for w in layer.weights]]
    arrays["dtypes"] = np.array(json.dumps(dtypes))
    np.savez_compressed("cases.npz", **arrays)


if __name__ == "__main__":
    main()
