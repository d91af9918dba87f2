"""Layers against what Keras 3 computed: cases recorded from its own tests, in `../shared/data/keras_layer_cases`."""

import json

import numpy as np
import pytest

from symgraph import layers
from symgraph.core.structure import map_structure
from symgraph.training.model import Model

ABSENT = {
    "AugMix", "CenterCrop", "ContrastLimitedAdaptiveHistogramEqualization", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
    "CutMix", "Equalization", "HashedCrossing", "MelSpectrogram", "MixUp", "Normalization", "RandomBrightness",
    "RandomColorJitter", "RandomContrast", "RandomCrop", "RandomElasticTransform", "RandomFlip", "RandomGrayscale",
    "RandomHue", "RandomPerspective", "RandomRotation", "RandomSharpness", "RandomTranslation", "RandomZoom",
}
"""Layers of the cases that are still to be written. The list may only get shorter."""

LORA = {"0066_Dense", "0092_Embedding"}
"""Cases with low-rank adapters, which belong to training: folded into the weight they adapt."""

TRAINING_ONLY = ("regularizer", "constraint", "lora_rank", "lora_alpha", "quantization_config", "synchronized")


@pytest.fixture(scope="module")
def cases(shared_data):
    folder = shared_data / "keras_layer_cases"
    rows = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    return folder, {row["id"]: row for row in rows}


def case_ids():
    """The ids, for names of tests; without the data one test says that it is absent."""
    from pathlib import Path

    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "keras_layer_cases" / "cases.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [r["id"] for r in rows if r["layer"] not in ABSENT and r["deterministic"]] or ["absent"]


def build(row):
    """The layer, of the plain arguments in Keras's serialised form."""
    config = {k: v for k, v in row["config"]["config"].items() if not k.endswith(TRAINING_ONLY) and "renorm" not in k}
    if "cell" in config:
        config["cell"] = build_cell(config["cell"])
    if row["layer"] in ("TimeDistributed", "SpectralNormalization"):
        config["layer"] = build({"layer": config["layer"]["class_name"], "config": config["layer"]})
    return getattr(layers, row["layer"]).from_config(config)


class OneStateRNNCell(layers.Layer):
    """The cell of Keras's tests that is its user's: `h = x @ kernel + h @ recurrent_kernel`."""

    kernels = ("recurrent_kernel",)

    def __init__(self, units, state_size=None, **options):
        super().__init__(**options)
        self.units = units
        self.state_size = state_size or units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "ones", name="kernel")
        self.inner = [self.add_weight((self.units, self.units), "ones", name=name) for name in self.kernels]

    def call(self, inputs, states):
        found = [inputs @ self.kernel + states[0] @ kernel for kernel in self.inner]
        return sum(found[1:], found[0]), found


class TwoStatesRNNCell(OneStateRNNCell):
    """The other one: two states, both of the first."""

    kernels = ("recurrent_kernel_1", "recurrent_kernel_2")

    def __init__(self, units, state_size=None, **options):
        super().__init__(units, state_size or [units, units], **options)
        self.output_size = units


USER_CELLS = {"OneStateRNNCell": OneStateRNNCell, "TwoStatesRNNCell": TwoStatesRNNCell}


def build_cell(cell):
    config = {k: v for k, v in cell["config"].items() if k not in ("dtype", "quantization_config")}
    if cell["class_name"] in USER_CELLS:
        return USER_CELLS[cell["class_name"]](**config)
    if "cells" in config:
        config["cells"] = [build_cell(each) for each in config["cells"]]
    return getattr(layers, cell["class_name"])(**config)


def weights(row, arrays):
    found = [arrays[f"w__{i}"] for i in range(len(row["weights"]))]
    if row["id"] not in LORA:
        return found
    rank, alpha = (row["config"]["config"][k] for k in ("lora_rank", "lora_alpha"))
    *rest, a, b = found
    return [rest[0] + alpha / rank * a @ b, *rest[1:]]


def load(cases, case_id):
    folder, rows = cases
    row = rows[case_id]
    with np.load(folder / f"{case_id}.npz") as arrays:
        inputs = [arrays[f"in__{i}"] for i in range(sum(k.startswith("in__") for k in arrays))]
        given, expected = weights(row, arrays), arrays["out__0"]
    if row["input_struct"] == "dict":
        return row, dict(zip(row["input_keys"], inputs, strict=True)), given, expected
    return row, inputs if row["input_struct"] == "list" else inputs[0], given, expected


def apply(layer, x, **options):
    """The layer on what was recorded: an array, a list of them, or arguments by name."""
    return layer(**x, **options) if isinstance(x, dict) else layer(x, **options)


def apply_to_symbols(layer, x, **options):
    symbols = map_structure(lambda a: layers.Input(a.shape[1:], dtype=a.dtype), x)
    return symbols, apply(layer, symbols, **options)


@pytest.mark.parametrize("case_id", case_ids())
def test_on_values_as_keras(cases, case_id):
    row, x, given, expected = load(cases, case_id)
    layer = build(row)
    apply_to_symbols(layer, x)
    layer.set_weights(given)

    y = apply(layer, x, **row["call_kwargs"])

    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert y.dtype == expected.dtype.name


@pytest.mark.parametrize("case_id", case_ids())
def test_in_a_model_as_keras(cases, case_id):
    row, x, given, expected = load(cases, case_id)
    layer = build(row)
    symbols, output = apply_to_symbols(layer, x, **row["call_kwargs"])
    layer.set_weights(given)

    y = Model(symbols, output).predict(x, batch_size=len(expected))

    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case_id", case_ids())
def test_weights_have_keras_names_and_order(cases, case_id):
    row, x, _, _ = load(cases, case_id)
    layer = build(row)
    apply_to_symbols(layer, x)

    expected = [(path.split("/")[-1], tuple(shape)) for path, shape, *_ in row["weights"] if "lora" not in path]
    assert [(v.path.split("/")[-1], v.shape) for v in layer.weights] == expected


def test_layers_listed_as_absent_are_absent(cases):
    assert {name for name in ABSENT if hasattr(layers, name)} == set()


def test_every_layer_of_the_cases_is_there_or_listed(cases):
    assert {row["layer"] for row in cases[1].values() if not hasattr(layers, row["layer"])} == ABSENT
