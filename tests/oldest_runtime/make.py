"""Export models of every layer family, the shared files, and steps of training, gradients and evaluation, with inputs
and expected outputs, into a folder.

`run.py` runs them where only an old onnxruntime and NumPy are installed: python -m tests.oldest_runtime.make FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime

import symgraph as sg
from tests.oldest_runtime.run import as_array
from tests.training.step_file.cases import CASES, case
from tests.training.step_file.running import feeds_of

SHARED = Path(__file__).parents[3] / "shared/data/onnx"
RNG = np.random.default_rng(0)
ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu",
    "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax",
    "softplus", "softsign", "sparsemax", "squareplus", "tanh", "tanh_shrink")


def export(folder, name, model, arrays):
    expected = model.execute(arrays if len(arrays) > 1 else arrays[0])
    stored = {f"in{i}": x for i, x in enumerate(arrays)}
    stored |= {f"out{i}": as_array(x) for i, x in enumerate(expected if isinstance(expected, list) else [expected])}
    np.savez(folder / f"{name}.npz", **stored)
    model.export(folder / f"{name}.optimised.onnx")
    model.export(folder / f"{name}.plain.onnx", optimize=False)


def layer_models():
    image, layers = sg.Input((16, 16, 3)), sg.layers
    makers = {
        "conv": layers.Conv2D(4, 3, activation="gelu"), "conv_same": layers.Conv2D(4, 3, strides=2, padding="same"),
        "conv_transpose": layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        "depthwise": layers.DepthwiseConv2D(3), "separable": layers.SeparableConv2D(4, 3),
        "max_pool": layers.MaxPooling2D(), "average_pool": layers.AveragePooling2D(3, 2, "same"),
        "batch_norm": layers.BatchNormalization(), "layer_norm": layers.LayerNormalization(),
        "group_norm": layers.GroupNormalization(3), "rms_norm": layers.RMSNormalization(),
        "up": layers.UpSampling2D(2, interpolation="bilinear"), "pad": layers.ZeroPadding2D(2),
        "crop": layers.Cropping2D(2), "flatten": layers.Flatten(), "global": layers.GlobalAveragePooling2D(),
        "prelu": layers.PReLU()}
    makers |= {name: layers.Activation(name) for name in ACTIVATIONS}
    for name, layer in makers.items():
        yield name, sg.Model(image, layer(image)), [RNG.random((2, 16, 16, 3), np.float32) - np.float32(0.3)]


def op_models():
    x = sg.Input((7, 8))
    heads = sg.reshape(x, (-1, 7, 2, 4))
    outputs = {
        "attention": sg.ops.dot_product_attention(heads, heads, heads, is_causal=True),
        "indexing": [x[:, ::-1, 1:], sg.where(x > 0.5, x, 0.0), sg.top_k(x, 3)[0], sg.sort(x)],
        "reductions": [sg.cumsum(x, axis=1), sg.cumprod(x, axis=1), sg.std(x, axis=-1), sg.max(x, axis=1)],
        "products": [sg.einsum("bij,bkj->bik", x, x), sg.tensordot(x, x, axes=0)],
        "arithmetic": [x // 0.3, sg.erfinv(x), sg.log1p(x), x**2],
        "branches": sg.cond(sg.mean(x) > 0.2, lambda: x * 2, lambda: x - 1),
        "loop": sg.map(lambda row: row * 2, x)}
    for name, results in outputs.items():
        yield name, sg.Model(x, results), [RNG.random((3, 7, 8), np.float32)]


def imported_models():
    for path in sorted(SHARED.glob("*.onnx")):
        if "qdq" in path.name:  # moves by a quantum between versions of onnxruntime
            continue
        try:
            model = sg.load_onnx(path)
        except sg.UnsupportedOpError:  # other domains than the standard one
            continue
        with np.load(path.with_suffix(".ref.npz")) as reference:
            yield f"file_{path.stem}", model, [reference["in__" + n.replace("/", "|")] for n in model.input_names]


def export_step(folder, name, kind):
    """One step as a file; what is expected is what the installed onnxruntime, which the tests look at, makes of it."""
    model, batches = case(name)
    path = folder / f"{kind}_{name.replace('/', '_')}.onnx"
    _, y, w = batches[0]
    options = {"training": True} if kind == "grad" else {}
    getattr(model, f"export_{kind}")(path, y=y, sample_weight=w, **options)
    step = sg.TrainStep.load(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {**feeds_of(step, batches[0]), **step.initial_state()}
    inputs = {f"in{i}": feeds[value.name] for i, value in enumerate(session.get_inputs())}
    np.savez(path.with_suffix(".npz"), **inputs,
             **{f"out{i}": as_array(x) for i, x in enumerate(session.run(None, feeds))})


def main():
    folder = Path(sys.argv[1])
    for models in (layer_models, op_models, imported_models):
        for made in models():
            export(folder, *made)
    for name in CASES:
        for kind in ("train_step", "grad", "eval") if name.startswith("model/") else ("train_step",):
            export_step(folder, name, kind)


if __name__ == "__main__":
    main()
