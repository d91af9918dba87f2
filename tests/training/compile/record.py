"""Writes what Keras says about every row to recorded.json.

`KERAS_BACKEND=torch python -m tests.training.compile.record`, in an environment that has it; after a row is new or
changed.
"""

import json
import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import torch
from keras.src.backend import set_keras_mask
from keras.src.losses.losses import LossFunctionWrapper
from keras.src.trainers.compile_utils import CompileLoss, CompileMetrics

from tests.training.compile.cases import BATCHES, DATA, RECORDED, ROWS, leaves, made, structure_of

keras.losses.LossFunctionWrapper = LossFunctionWrapper


def numbers(x):
    return [float(f"{v:.8g}") for v in np.asarray(x.detach() if hasattr(x, "detach") else x, np.float64).ravel()]


def tensors(structure):
    """Predictions as leaves of torch's graph."""
    return keras.tree.map_structure(lambda x: torch.tensor(x, requires_grad=True), structure)


def given(names, batch):
    """Targets or weights, made anew: Keras on torch multiplies masks into the weights it was given."""
    return keras.tree.map_structure(lambda x: None if x is None else torch.tensor(x), structure_of(names, batch))


def answer(row):
    loss = CompileLoss(made(row["loss"], keras), row["loss_weights"], output_names=row["names"])
    metrics = CompileMetrics(made(row["metrics"], keras), made(row["weighted_metrics"], keras),
                             output_names=row["names"])
    totals, gradients = [], []
    for batch in BATCHES:
        predictions = tensors(structure_of(row["outputs"], batch))
        flat = leaves(predictions)
        for name, p in zip(leaves(row["outputs"]), flat, strict=True):
            if name in row["masks"]:
                set_keras_mask(p, torch.tensor(DATA[row["masks"][name]][batch]))
        total = loss(given(row["targets"], batch), predictions, given(row["sample_weight"], batch)).mean()
        total.backward()
        totals.append(numbers(total)[0])
        gradients.append([numbers(p.grad if p.grad is not None else torch.zeros(())) for p in flat])
        with torch.no_grad():
            if row["metrics"] or row["weighted_metrics"]:
                metrics.update_state(given(row["targets"], batch), predictions, given(row["sample_weight"], batch))
    found = {"totals": totals, "gradients": gradients}
    if row["logs"]:
        logs = {m.name: m.result() for m in loss.metrics}
        for name, x in (metrics.result() if metrics.built else {}).items():
            logs.update(x if isinstance(x, dict) else {name: x})
        found["logs"] = {name: numbers(x) for name, x in logs.items()}
    return found


def record():
    found = {"keras": keras.__version__, "backend": keras.backend.backend(),
             "answers": {row["name"]: answer(row) for row in ROWS}}
    RECORDED.write_text(json.dumps(found, separators=(",", ":")).replace('}},"', '}},\n"') + "\n")


if __name__ == "__main__":
    record()
