"""Record what Keras makes of `cases.py` in `cases.npz`: `python record.py`, here, in an environment that has it.

Written by Keras 3.15.1 on torch 2.13; on JAX, which refuses values of another size than keys, the others are the same.
"""

import json
import os

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
import numpy as np
from cases import CASES


def masks(rng):
    mask = rng.random((2, 4, 5)) < 0.6
    mask[..., 0] = True
    holes = mask.copy()
    holes[0, 1] = False
    holes[1, :2] = False
    return {
        "mask": mask, "holes": holes, "shared_mask": mask[:1], "number_mask": mask.astype(np.float32),
        "head_mask": rng.random((2, 2, 4, 5)) < 0.7, "wide_mask": rng.random((2, 2, 4, 3, 5)) < 0.6,
        "query_mask": np.array([[1, 1, 1, 0], [1, 0, 1, 1]], bool),
        "value_mask": np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool),
        "empty_mask": np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0]], bool)}


def main():
    arrays, index = {}, {}
    for number, (name, (cls, arguments, shapes, call)) in enumerate(CASES.items()):
        rng = np.random.default_rng(number)
        layer = getattr(keras.layers, cls)(**arguments)
        xs = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
        known = masks(rng)
        kwargs = {k: [known.get(m) for m in v] if isinstance(v, list) else known[v] if isinstance(v, str) else v
                  for k, v in call.items()}
        inputs = [xs] if cls in ("Attention", "AdditiveAttention") else xs
        layer(*inputs, **kwargs)
        layer.set_weights([rng.standard_normal(w.shape).astype(np.float32) for w in layer.get_weights()])
        y = layer(*inputs, **kwargs)
        outputs = y if isinstance(y, tuple | list) else [y]
        index[name] = [w.path.split("/", 1)[1] for w in layer.weights]
        for kind, found in (("x", xs), ("w", layer.get_weights()),
                            ("y", [keras.ops.convert_to_numpy(o) for o in outputs])):
            arrays.update({f"{name}/{kind}{i}": a for i, a in enumerate(found)})
        for k, v in kwargs.items():
            for i, m in enumerate(v if isinstance(v, list) else [v]):
                if isinstance(m, np.ndarray):
                    arrays[f"{name}/{k}{i}"] = m
    arrays["weights"] = np.array(json.dumps(index))
    np.savez_compressed("cases.npz", **arrays)


if __name__ == "__main__":
    main()
