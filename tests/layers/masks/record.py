"""Write down what Keras 3 computes with masks: `KERAS_BACKEND=torch python record.py`."""

import json
import warnings
from pathlib import Path

import keras
import numpy as np
from networks import NETWORKS, Network, feeds

HERE = Path(__file__).resolve().parent


def main():
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    given = feeds(rng)
    arrays = {f"fed/{name}": x for name, x in given.items()}
    carrying = []
    for number, network in enumerate(NETWORKS):
        tensors = {name: keras.ops.convert_to_tensor(x) for name, x in given.items()}
        made = Network(keras.layers, network)
        made(tensors)
        for i, layer in enumerate(made.layers.values()):
            layer.set_weights([np.abs(rng.standard_normal(w.shape)).astype(np.float32) * 0.6 + 0.1
                               if "variance" in v.path else rng.standard_normal(w.shape).astype(np.float32) * 0.6
                               for v, w in zip(layer.weights, layer.get_weights(), strict=True)])
            arrays.update((f"{number}/w{i}_{j}", w) for j, w in enumerate(layer.get_weights()))
        outputs = made(tensors)
        outputs = keras.tree.flatten(outputs)
        masks = [getattr(y, "_keras_mask", None) for y in outputs]
        carrying.append([mask is not None for mask in masks])
        for i, (y, mask) in enumerate(zip(outputs, masks, strict=True)):
            arrays[f"{number}/y{i}"] = keras.ops.convert_to_numpy(y)
            if mask is not None:
                arrays[f"{number}/mask{i}"] = keras.ops.convert_to_numpy(mask)
        arrays.update((f"{number}/after{i}_{j}", w) for i, layer in enumerate(made.layers.values())
                      for j, w in enumerate(layer.get_weights()) if "training" in str(network))
    (HERE / "keras.json").write_text(json.dumps({"keras": keras.__version__, "carrying": carrying}) + "\n")
    np.savez_compressed(HERE / "keras.npz", **arrays)


if __name__ == "__main__":
    main()
