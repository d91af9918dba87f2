"""Gradients of every loss against central differences in float64, and finite where a loss has an edge."""

import numpy as np
import pytest

import symgraph as sg
from tests.training.losses.cases import DATA, FUNCTIONS, row_name

SMOOTH = [row for row in FUNCTIONS if row[3] not in ("certain", "zeros", "large")]
SMOOTH += [("categorical_generalized_cross_entropy", {"q": 0.5}, "labels", "simplex")]

EDGES = [
    *(row for row in FUNCTIONS if row[3] in ("certain", "zeros", "large")),
    ("categorical_generalized_cross_entropy", {"q": 0.5}, "labels", "certain"),
    ("binary_focal_crossentropy", {"gamma": 0.5}, "bits", "certain"),
    ("binary_focal_crossentropy", {"gamma": 1.0}, "bits", "certain"),
    ("categorical_focal_crossentropy", {"gamma": 0.5}, "one_hot", "certain"),
    ("huber", {}, "numbers", "numbers"),
    ("mean_absolute_error", {}, "numbers", "numbers"),
    ("cosine_similarity", {}, "zeros", "zeros"),
    ("dice", {}, "zeros", "zeros"),
    ("tversky", {}, "zeros", "zeros"),
    ("circle", {}, "lonely", "embeddings"),
]

WEIGHTED = [
    ("absolute_difference", {}, "numbers", "others"),
    ("cosine_distance", {"axis": 1, "weights": "weight_column"}, "numbers", "others"),
    ("hinge_loss", {"weights": "weight_column"}, "bits", "others"),
    ("huber_loss", {"delta": 0.5}, "numbers", "others"),
    ("log_loss", {"weights": "weight_column"}, "bits", "probabilities"),
    ("sigmoid_cross_entropy", {"label_smoothing": 0.1}, "bits", "logits"),
    ("softmax_cross_entropy", {"label_smoothing": 0.1, "weights": "weights"}, "one_hot", "logits"),
]


def gradient_of_weighted_sum(loss, p, factors):
    """Of `Σ factors loss(p)`, so that every element counts differently."""
    x = sg.tensor(p)
    with sg.GradientTape() as tape:
        tape.watch(x)
        total = sg.sum(loss(x) * factors)
    return tape.gradient(total, x).numpy()


def central_differences(loss, p, factors, step):
    found = np.zeros(p.shape)
    for place in np.ndindex(*p.shape):
        ends = []
        for sign in (1, -1):
            moved = p.copy()
            moved[place] += sign * step
            ends.append(float(np.sum(loss(sg.tensor(moved)).numpy() * factors)))
        found[place] = (ends[0] - ends[1]) / (2 * step)
    return found


@pytest.mark.parametrize("row", SMOOTH + WEIGHTED, ids=row_name)
def test_a_gradient_agrees_with_central_differences(row):
    name, arguments, y, p = row
    arguments = {k: DATA[v].astype(np.float64) if k == "weights" else v for k, v in arguments.items()}
    prediction, target = DATA[p].astype(np.float64), DATA[y]
    target = target.astype(np.float64) if target.dtype.kind == "f" else target

    def loss(x):
        return getattr(sg.losses, name)(target, x, **arguments)

    factors = np.random.default_rng(1).uniform(0.5, 1.5, loss(sg.tensor(prediction)).shape)

    found = gradient_of_weighted_sum(loss, prediction, factors)

    wanted = central_differences(loss, prediction, factors, 1e-6)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", EDGES, ids=row_name)
def test_at_an_edge_loss_and_gradient_are_finite(row, dtype):
    name, arguments, y, p = row
    prediction = DATA[p].astype(dtype)

    def loss(x):
        return getattr(sg.losses, name)(DATA[y], x, **arguments)

    assert np.isfinite(loss(sg.tensor(prediction)).numpy()).all()
    assert np.isfinite(gradient_of_weighted_sum(loss, prediction, np.asarray(1.0, dtype))).all()


def test_ignored_rows_get_no_gradient():
    logits = sg.tensor(DATA["logits"])
    loss = sg.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    with sg.GradientTape() as tape:
        tape.watch(logits)
        value = loss(DATA["some_ignored"], logits)

    gradient = tape.gradient(value, logits).numpy()

    assert (gradient[DATA["some_ignored"] == -1] == 0).all()
    assert (np.abs(gradient[DATA["some_ignored"] != -1]).sum(1) > 0).all()
