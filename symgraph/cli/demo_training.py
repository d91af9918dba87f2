"""The first part of `symgraph demo`: a classifier of handwritten digits, trained here and then by its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from symgraph.cli.narration import difference, step
from symgraph.models.convnet import convnet
from symgraph.models.datasets import digits
from symgraph.ops.seeds import set_seed
from symgraph.runtime.ort import onnxruntime
from symgraph.training.curves import plot_history
from symgraph.training.train_step import TrainStep

STEPS = 60
"""How long plain ONNX Runtime trains on with the file."""


def run(output: Path, epochs: int) -> None:
    """Train, evaluate, look inside, export the model and the training step, run both files on their own."""
    data = digits()
    print(f"A model of one's own: {len(data.x_train)} handwritten digits to train on, {len(data.x_test)} to test")
    set_seed(0)
    model = convnet((8, 8, 1), dropout=0.2, name="digits")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(data.x_train, data.y_train, batch_size=64, epochs=epochs, verbose=1,
                        validation_data=(data.x_test, data.y_test))
    with step("evaluate") as say:
        loss, accuracy = model.evaluate(data.x_test, data.y_test, verbose=0)
        say(f"{accuracy:.1%} of the test digits are right, loss {loss:.3f}")
    with step("learning curve") as say:
        plot_history(history, output / "learning_curve.png")
        say("learning_curve.png")
    with step("look inside") as say:
        maps = model.execute(data.x_test[:1], "relu1").numpy()[0]
        say(f'layer "relu1" of a {data.y_test[0]}, its strongest map:')
    print(_drawn(maps[..., maps.mean((0, 1)).argmax()]))
    with step("export") as say:
        model.export(output / "digits.onnx")
        model.export_train_step(output / "digits_step.onnx")
        say("digits.onnx (the model), digits_step.onnx (its training step)")
    with step("run the model") as say:
        session = _session(output / "digits.onnx")
        (alone,) = session.run(None, {session.get_inputs()[0].name: data.x_test})
        say(f"onnxruntime alone differs by {difference(alone, model.predict(data.x_test, verbose=0))}")
    with step("train the file") as say:
        losses = _train(output / "digits_step.onnx", data.x_train, data.y_train)
        say(f"onnxruntime alone, {STEPS} more steps: loss {np.mean(losses[:10]):.4f} -> {np.mean(losses[-10:]):.4f}")


def _train(path: Path, x: Any, y: Any) -> list[float]:
    """What anybody does with a training step who has ONNX Runtime and no symgraph but for the names."""
    session, names = _session(path), TrainStep.load(path)
    outputs = [names.loss, *(following for following in names.state.values() if following is not None)]
    state = names.initial_state()
    losses = []
    for number in range(STEPS):
        rows = np.arange(64 * number, 64 * number + 64) % len(x)
        loss, *values = session.run(outputs, {names.x[0]: x[rows], names.y[0]: y[rows], **state})
        state = dict(zip(state, values, strict=True))
        losses.append(float(loss))
    return losses


def _session(path: Path) -> Any:
    return onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])


def _drawn(image: Any) -> str:
    """A small image in letters."""
    scaled = (image - image.min()) / max(float(np.ptp(image)), 1e-9)
    return "\n".join("".join(" .:-=+*#%@"[int(9 * value)] * 2 for value in row).join(("    ", "")) for row in scaled)
