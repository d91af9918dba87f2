"""Training runs recorded from TensorFlow.js: its models, rebuilt with our layers, with the weights at their start."""

import json
import re
from pathlib import Path

import numpy as np

import symgraph as sg


def build(folder: Path) -> sg.Sequential:
    """The model of a run, with its initial weights."""
    file = json.loads((folder / "initial.json").read_text())
    layers = []
    for entry in file["modelTopology"]["config"]["layers"]:
        config = {name: value for name, value in entry["config"].items() if name not in _LEFT_OUT}
        layers.append(getattr(sg.layers, entry["class_name"]).from_config(_plain(config)))
    model = sg.Sequential(layers)
    start = weights(folder, "initial")
    for variable in model.weights:
        variable.assign(start.pop(plain_name(variable)))
    assert not start
    return model


def weights(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The weights in a TensorFlow.js file by name."""
    entries = [w for group in json.loads((folder / f"{name}.json").read_text())["weightsManifest"]
               for w in group["weights"]]
    numbers = np.frombuffer((folder / f"{name}.bin").read_bytes(), "<f4")
    ends = np.cumsum([np.prod(w["shape"], dtype=int) for w in entries])
    parts = np.split(numbers, ends[:-1])
    return {w["name"]: part.reshape(w["shape"]) for part, w in zip(parts, entries, strict=True)}


def plain_name(variable: sg.Variable) -> str:
    """The name as TensorFlow.js has it, which does not name the cell of a recurrent layer."""
    return re.sub(r"/\w+_cell/", "/", variable.name)


def array(entry: dict) -> np.ndarray:
    return np.array(entry["data"], np.float32).reshape(entry["shape"])


_LEFT_OUT = {"implementation", "kernel_initializer", "recurrent_initializer", "bias_initializer", "gamma_initializer",
             "beta_initializer", "moving_mean_initializer", "moving_variance_initializer", "trainable"}


def hard_sigmoid(x):
    """That of TensorFlow.js and Keras 2, of slope 0.2; Keras 3 has 1/6."""
    return sg.clip(0.2 * x + 0.5, 0.0, 1.0)


def _plain(config: dict) -> dict:
    if config.get("recurrent_activation") == "hard_sigmoid":
        config["recurrent_activation"] = hard_sigmoid
    if config.get("batch_input_shape"):
        config["batch_input_shape"] = tuple(config["batch_input_shape"])
    return config
