"""What losses refuse, how they are looked up and written down, and what masks and weights do."""

import json

import numpy as np
import pytest

import symgraph as sg
from tests.training.losses.cases import DATA, OBJECTS, row_name


def test_a_mask_leaves_out_what_does_not_count():
    loss = sg.losses.MeanAbsoluteError()
    y, p = np.zeros((4, 1)), np.array([[1.0], [2.0], [3.0], [100.0]])

    masked = loss(y, p, mask=[True, True, True, False])
    weighted = loss(y, p, sample_weight=[1, 0.5, 0, 1], mask=[True, True, True, False])

    assert float(masked) == pytest.approx(2.0)
    assert float(weighted) == pytest.approx(2.0 / 3)


def test_weights_for_samples_weigh_all_steps_of_a_sample():
    loss = sg.losses.MeanAbsoluteError()
    y, p = np.zeros((2, 2, 3)), np.array([[[1.0] * 3, [2.0] * 3], [[3.0] * 3, [4.0] * 3]])

    assert float(loss(y, p, sample_weight=[1.0, 0.0])) == pytest.approx(3 / 4)
    assert float(loss(y, p, sample_weight=[[1.0, 0.0], [0.0, 1.0]])) == pytest.approx(5 / 4)


def test_the_loss_of_no_samples_is_zero():
    assert float(sg.losses.MeanSquaredError()(np.zeros((0, 3)), np.zeros((0, 3)))) == 0


def test_large_class_numbers_are_not_rounded():
    classes = 2**24 + 2
    labels = np.array([classes - 1])
    row = np.zeros((1, classes), np.float32)
    row[0, -1] = 30

    assert float(sg.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, row)) < 1e-4


def test_masked_out_logits_leave_a_finite_loss():
    logits = np.array([[0.0, -np.inf, 0.0]], np.float32)

    loss = sg.losses.sparse_categorical_crossentropy([0], logits, from_logits=True)

    assert float(loss[0]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("name", ["mean_squared_error", "mean_absolute_error", "binary_crossentropy", "hinge",
                                  "categorical_crossentropy", "kl_divergence", "dice"])
@pytest.mark.parametrize("shapes", [((4, 9), (4, 10)), ((3, 10), (4, 10)), ((10,), (10, 10)), ((4, 1, 10), (4, 10))])
def test_targets_that_do_not_fit_are_refused_with_both_shapes(name, shapes):
    y, p = (np.ones(shape, np.float32) / 10 for shape in shapes)

    with pytest.raises(sg.ShapeError) as caught:
        getattr(sg.losses, name)(y, p)

    assert all(str(shape) in str(caught.value) for shape in shapes)


@pytest.mark.parametrize("label", [5, -1, 2.5, np.nan])
@pytest.mark.parametrize("name", ["SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"])
def test_a_label_that_is_no_class_is_named(name, label):
    labels = np.array([0, 1, label])

    with pytest.raises(sg.OpError, match=r"at \[2\].*whole numbers from 0 to 4"):
        getattr(sg.losses, name)()(labels, DATA["simplex"][:3])


def test_sparse_labels_of_another_batch_are_refused():
    with pytest.raises(sg.ShapeError, match=r"\(4,\).*\(6, 5\)"):
        sg.losses.sparse_categorical_crossentropy(np.zeros(4, np.int64), DATA["simplex"])


@pytest.mark.parametrize("weights", [np.ones(5), np.ones((6, 4)), np.ones((2, 6, 5))])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(sg.ShapeError, match="sample weights of shape"):
        sg.losses.MeanSquaredError()(np.zeros((6, 5, 2)), np.zeros((6, 5, 2)), weights)


def test_text_for_targets_is_refused():
    with pytest.raises(sg.DtypeError, match="targets are"):
        sg.losses.mean_squared_error(np.array([["a"]]), [[1.0]])


@pytest.mark.parametrize("make, words", [
    (lambda: sg.losses.get("mean_squred_error"), 'did you mean "mean_squared_error"'),
    (lambda: sg.losses.get("no such"), "there are"),
    (lambda: sg.losses.get(3), "no loss"),
    (lambda: sg.losses.deserialize({"class_name": "Huber", "config": {"delt": 1}}), "delta"),
    (lambda: sg.losses.Huber(reduction="sums"), 'did you mean "sum"'),
    (lambda: sg.losses.BinaryCrossentropy(label_smoothing=2), "label_smoothing"),
    (lambda: sg.losses.CategoricalGeneralizedCrossEntropy(q=1.5), "q must be"),
    (lambda: sg.losses.MeanSquaredError(dtype="int32"), "floating point"),
    (lambda: sg.losses.Loss()([1.0], [1.0]), "does not define call"),
    (lambda: sg.losses.categorical_crossentropy(DATA["one_hot"], DATA["simplex"], axis=True), "axis"),
    (lambda: sg.losses.compute_weighted_loss([1.0], reduction="summ"), 'did you mean "sum"'),
])
def test_what_does_not_exist_is_told_with_what_does(make, words):
    with pytest.raises(sg.TrainingError, match=words):
        make()


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_alpha_may_be_one_number_a_class(gamma):
    y, p = np.eye(3, dtype=np.float32), np.array([[0.5, 0.25, 0.25]] * 3, np.float32)
    each = sg.losses.categorical_focal_crossentropy(y, p, alpha=[0.25, 0.5, 1.0], gamma=gamma)

    alike = sg.losses.categorical_focal_crossentropy(y, p, alpha=1.0, gamma=gamma)
    np.testing.assert_array_equal(each.numpy(), alike.numpy() * [0.25, 0.5, 1.0])


def test_one_class_only_is_warned_of():
    with pytest.warns(SyntaxWarning, match="one class only"):
        sg.losses.categorical_crossentropy([[1.0]], [[1.0]])


@pytest.mark.parametrize("name", ["mse", "mae", "mape", "msle", "bce", "kld", "MSE", "mean_squared_error",
                                  "meanSquaredError", "categoricalCrossentropy", "huber", "ctc", "logcosh"])
def test_names_of_functions_give_functions(name):
    assert sg.losses.get(name) is getattr(sg.losses, sg.losses.get(name).__name__)


@pytest.mark.parametrize("row", [row for row in OBJECTS if row[4] != "no_weights"][::3], ids=row_name)
def test_written_down_and_read_again_a_loss_is_equal(row):
    name, arguments, y, p, w = row
    loss = getattr(sg.losses, name)(**arguments, dtype="float64")

    again = sg.losses.get(json.loads(json.dumps(sg.losses.serialize(loss))))

    weights = None if w is None else DATA[w]
    assert type(again) is type(loss) and again.name == loss.name
    np.testing.assert_array_equal(again(DATA[y], DATA[p], weights).numpy(), loss(DATA[y], DATA[p], weights).numpy())


def test_a_function_of_ones_own_is_wrapped_and_found_again():
    def cubed(y_true, y_pred, scale=1.0):
        return scale * sg.sum(sg.abs(y_true - y_pred)**3, axis=-1)

    loss = sg.losses.LossFunctionWrapper(cubed, scale=2.0)
    again = sg.losses.deserialize(sg.losses.serialize(loss), {"cubed": cubed})

    assert float(again([[1.0]], [[3.0]])) == 16.0 == float(loss([[1.0]], [[3.0]]))


def test_a_loss_works_in_a_compiled_function():
    loss = sg.losses.BinaryCrossentropy(from_logits=True)
    compiled = sg.function(lambda y, p, w: loss(y, p, w))

    found = compiled(DATA["bits"], DATA["logits"], DATA["weights"])

    assert float(found) == pytest.approx(float(loss(DATA["bits"], DATA["logits"], DATA["weights"])), rel=1e-6)


def weighted_by_hand(losses, weights, reduction):
    if weights is None:
        return {"none": losses, "sum": losses.sum()}.get(reduction, losses.mean())
    w = np.broadcast_to(weights, losses.shape)
    return {"none": losses * w, "sum": (losses * w).sum(), "mean": (losses * w).sum() / w.sum(),
            "sum_by_nonzero_weights": (losses * w).sum() / (w != 0).sum()}[reduction]


@pytest.mark.parametrize("reduction", ["none", "mean", "sum", "sum_by_nonzero_weights"])
@pytest.mark.parametrize("weights", [None, np.array([[0.0], [1.0], [0.5]]), np.array([[0.0, 2.0]]), np.float64(3.0)])
def test_weighted_losses_reduce_as_in_tensorflow_js(weights, reduction):
    losses = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    found = sg.losses.compute_weighted_loss(losses, weights, reduction)

    np.testing.assert_allclose(found.numpy(), weighted_by_hand(losses, weights, reduction))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


BY_HAND = {
    "absolute_difference": ("numbers", "others", {}, lambda y, p: abs(y - p).mean()),
    "cosine_distance": ("numbers", "others", {"axis": 1}, lambda y, p: (1 - (y * p).sum(1)).mean()),
    "hinge_loss": ("bits", "others", {}, lambda y, p: np.maximum(1 - (2 * y - 1) * p, 0).mean()),
    "huber_loss": ("numbers", "others", {"delta": 0.7}, lambda y, p: np.where(
        abs(y - p) < 0.7, (y - p)**2 / 2, 0.7 * abs(y - p) - 0.7**2 / 2).mean()),
    "log_loss": ("bits", "probabilities", {}, lambda y, p: (
        -y * np.log(p + 1e-7) - (1 - y) * np.log(1 - p + 1e-7)).mean()),
    "sigmoid_cross_entropy": ("bits", "logits", {"label_smoothing": 0.2}, lambda y, x: (
        -(0.8 * y + 0.1) * np.log(sigmoid(x)) - (0.9 - 0.8 * y) * np.log(1 - sigmoid(x))).mean()),
    "softmax_cross_entropy": ("one_hot", "logits", {"label_smoothing": 0.2}, lambda y, x: -(
        (0.8 * y + 0.04) * np.log(np.exp(x) / np.exp(x).sum(1, keepdims=True))).sum(1).mean()),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_function_of_tensorflow_js_is_its_formula(name):
    y, p, arguments, formula = BY_HAND[name]
    target, prediction = DATA[y].astype(np.float64), DATA[p].astype(np.float64)

    found = getattr(sg.losses, name)(target, prediction, **arguments)

    np.testing.assert_allclose(found.numpy(), formula(target, prediction), rtol=1e-9)
