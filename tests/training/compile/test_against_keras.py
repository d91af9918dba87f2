"""Total losses, their gradients, and the names and numbers of logs are those of Keras, eagerly and compiled."""

import json

import numpy as np
import pytest

import symgraph as sg
from symgraph.core.structure import flatten, pack
from symgraph.layers.masking import with_mask
from symgraph.training.compiled_losses import CompiledLoss
from symgraph.training.compiled_metrics import CompiledMetrics
from tests.training.compile.cases import BATCHES, DATA, RECORDED, ROWS, leaves, made, structure_of

ANSWERS = json.loads(RECORDED.read_text())["answers"]

EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])


def compiled(row):
    return (CompiledLoss(made(row["loss"], sg), row["loss_weights"], row["names"]),
            CompiledMetrics(made(row["metrics"], sg), made(row["weighted_metrics"], sg), row["names"]))


def predictions(row, batch):
    """Predictions of a batch with their masks, flat, and the way to nest them."""
    flat = [sg.tensor(x) for x in flatten(structure_of(row["outputs"], batch))]
    masks = [row["masks"].get(name) for name in leaves(row["outputs"])]
    masks = [None if name is None else sg.tensor(DATA[name][batch]) for name in masks]
    return flat, lambda leaves: pack(row["outputs"], map(with_mask, leaves, masks))


def logs_of(loss, metrics):
    return {**{m.name: m.result() for m in loss.metrics}, **(metrics.result() if metrics.built else {})}


def assert_logs(found, expected):
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(np.ravel(found[name]), value, rtol=2e-5, atol=1e-6, err_msg=name)


@EACH_ROW
def test_totals_and_logs_are_those_of_keras(row):
    loss, metrics = compiled(row)
    answer = ANSWERS[row["name"]]
    for batch, total in zip(BATCHES, answer["totals"], strict=True):
        flat, nest = predictions(row, batch)
        targets, weights = structure_of(row["targets"], batch), structure_of(row["sample_weight"], batch)
        found = loss(targets, nest(flat), weights)
        if row["metrics"] or row["weighted_metrics"]:
            metrics.update_state(targets, nest(flat), weights)

        assert found.shape == () and found.dtype == "float32"
        np.testing.assert_allclose(float(found), total, rtol=1e-5, atol=1e-6)
    if row["logs"]:
        assert_logs(logs_of(loss, metrics), answer["logs"])


@EACH_ROW
def test_gradients_are_those_of_keras(row):
    loss, _ = compiled(row)
    for batch, expected in zip(BATCHES, ANSWERS[row["name"]]["gradients"], strict=True):
        flat, nest = predictions(row, batch)
        with sg.GradientTape() as tape:
            for x in flat:
                tape.watch(x)
            total = loss(structure_of(row["targets"], batch), nest(flat), structure_of(row["sample_weight"], batch))
        for found, want in zip(tape.gradient(total, flat), expected, strict=True):
            np.testing.assert_allclose(0.0 if found is None else np.ravel(found), want, rtol=2e-5, atol=1e-6)


@EACH_ROW
def test_a_compiled_step_gives_the_same(row):
    loss, metrics = compiled(row)
    answer = ANSWERS[row["name"]]
    has_metrics = bool(row["metrics"] or row["weighted_metrics"])

    @sg.function
    def step(flat, masks, targets, weights):
        nested = pack(row["outputs"], map(with_mask, [x + 0.0 for x in flat], masks))
        total = loss(targets, nested, weights)
        if has_metrics:
            metrics.update_state(targets, nested, weights)
        return total

    for batch, total in zip(BATCHES, answer["totals"], strict=True):
        flat, _ = predictions(row, batch)
        masks = [row["masks"].get(name) for name in leaves(row["outputs"])]
        masks = [None if name is None else DATA[name][batch] for name in masks]
        found = step(flat, masks, structure_of(row["targets"], batch), structure_of(row["sample_weight"], batch))
        np.testing.assert_allclose(float(found), total, rtol=1e-5, atol=1e-6)
    if row["logs"]:
        assert_logs(logs_of(loss, metrics), answer["logs"])


def test_every_row_was_recorded():
    assert set(ANSWERS) == {row["name"] for row in ROWS}
