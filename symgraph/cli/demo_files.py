"""The second part of `symgraph demo`: ResNet-50 imported, checked, cut open, built upon, exported, run on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx

from symgraph import layers
from symgraph.cli.narration import difference, step
from symgraph.core.value import Tensor
from symgraph.runtime.ort import onnxruntime
from symgraph.training.model import Model, load_onnx

NETWORK = "light_resnet50"
CUT = "r171"
"""The last feature map of ResNet-50, before pooling and classes."""

Array = np.ndarray[Any, Any]


def run(output: Path) -> None:
    """Import the network that the `onnx` package carries, and build on it."""
    folder = Path(onnx.__file__).parent / "backend/test/data/light"
    print(f"A network from a file: {NETWORK} from the installed onnx {onnx.__version__}")
    with step("import") as say:
        resnet = load_onnx(folder / f"{NETWORK}.onnx")
        say(f"{len(resnet.graph.nodes)} nodes, opset {resnet.graph.opsets['']}, input {resnet.input.type}")
    image = _ramp(resnet.input.shape)
    with step("run") as say:
        classes = resnet.predict(image, verbose=0)
        stored = _stored_tensor(folder / f"{NETWORK}_output_0.pb")
        say(f"{classes.shape[1]} class scores; {difference(classes, stored)} from the answer stored beside the file")
    with step("look inside") as say:
        features = Model(resnet.input, resnet.get_tensor(CUT), name="features")
        inside = features.predict(image, verbose=0)
        say(f'tensor "{CUT}" {features.output.type}, mean {inside.mean():.4g}: '
            f"{len(features.graph.nodes)} of {len(resnet.graph.nodes)} nodes were needed")
    with step("build on it") as say:
        x = layers.Reshape((2048, 49), name="places").apply(features.output)
        x = layers.GlobalAveragePooling1D(name="average").apply(x)
        x = layers.LayerNormalization(name="normalise").apply(x)
        x = layers.Dense(16, activation="relu", name="hidden").apply(x)
        scores = layers.Dense(3, activation="softmax", name="scores").apply(x)
        model = Model(features.input, [scores, features.output], name="resnet_with_head")
        say(f"three classes on top, {model.count_params():,} parameters")
    with step("run both modes") as say:
        compiled, _ = model.predict(image, verbose=0)
        eager: Any = Tensor(inside)
        for name in ("places", "average", "normalise", "hidden", "scores"):
            eager = model.get_layer(name).apply(eager)
        say(f"symbols and values differ by {difference(compiled, eager.numpy())}")
    path = output / "resnet_with_head.onnx"
    with step("export") as say:
        model.export(path)
        say(f"{path.name}, {path.stat().st_size:,} bytes, standard operators only")
    with step("run the file") as say:
        session = onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
        alone = session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: image})[0]
        say(f"onnxruntime alone differs by {difference(compiled, alone)}")


def _ramp(shape: Any) -> Array:
    """The input of the stored answers: numbers rising evenly from 0 to 1."""
    size = int(np.prod(shape))
    return (np.arange(size) / size).reshape(shape).astype(np.float32)


def _stored_tensor(path: Path) -> Array:
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))
