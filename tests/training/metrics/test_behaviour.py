"""State, look-up, configurations and errors of metrics, and what they say beside scikit-learn."""

import copy
import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

import symgraph as sg
from tests.training.metrics.cases import DATA, METRICS, batches, row_name

ONE_OF_EACH = list({row[0]: row for row in METRICS}.values())


def values(metric):
    return [v.numpy().copy() for v in metric.variables]


@pytest.mark.parametrize("row", ONE_OF_EACH, ids=row_name)
def test_reset_starts_anew(row):
    metric = getattr(sg.metrics, row[0])(**row[1])
    first, second = batches(row[2:])
    wanted = metric(*first).numpy()
    metric.update_state(*second)

    metric.reset_state()

    assert all((x == 0).all() for x in values(metric))
    np.testing.assert_array_equal(metric(*first).numpy(), wanted)


@pytest.mark.parametrize("row", METRICS, ids=row_name)
def test_written_down_and_read_again_a_metric_is_equal(row):
    metric = getattr(sg.metrics, row[0])(**row[1])

    again = sg.metrics.get(json.loads(json.dumps(sg.metrics.serialize(metric))))

    batch = batches(row[2:])[1]
    assert type(again) is type(metric) and again.name == metric.name
    np.testing.assert_array_equal(again(*batch).numpy(), metric(*batch).numpy())


def test_state_is_kept_in_variables_that_training_leaves_alone():
    metric = sg.metrics.Mean(name="loss")

    assert [v.name for v in metric.variables] == ["loss/total", "loss/count"]
    assert not any(v.trainable for v in metric.variables)


def test_a_result_stays_what_it_was():
    metric = sg.metrics.Sum()
    result = metric([1.0])

    metric.update_state([5.0])

    assert float(result) == 1.0


def test_reset_inside_a_compiled_function_happens_at_every_call():
    metric = sg.metrics.Mean()

    @sg.function
    def fresh(x):
        metric.reset_state()
        metric.update_state(x)
        return metric.result()

    assert [float(fresh(np.array([x], np.float32))) for x in (1.0, 7.0)] == [1.0, 7.0]


def test_a_copy_has_state_of_its_own():
    metric = sg.metrics.MeanSquaredError()
    metric.update_state([[1.0]], [[3.0]])
    other = copy.deepcopy(metric)

    other.update_state([[1.0]], [[1.0]])

    assert float(metric.result()) == 4.0 and float(other.result()) == 2.0


def test_metrics_inside_a_metric_belong_to_its_state():
    class Both(sg.metrics.Metric):
        def __init__(self):
            super().__init__(name="both")
            self.mean, self.sum = sg.metrics.Mean(), sg.metrics.Sum()

    assert [v.name for v in Both().variables] == ["mean/total", "mean/count", "sum/total"]


def test_what_a_metric_holds_in_lists_and_dicts_belongs_to_its_state():
    class Parts(sg.metrics.Metric):
        def __init__(self, name="parts"):
            super().__init__(name=name)
            self.own = sg.Variable(0.0)
            self.parts = [sg.metrics.Mean(), {"last": sg.metrics.Mean()}]

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.own.assign_add(1.0)
            self.parts[0].update_state(y_true)
            self.parts[1]["last"].update_state(y_pred)

    metric = Parts()
    metric.update_state([2.0], [4.0])

    assert [float(v) for v in metric.variables] == [1.0, 2.0, 1.0, 4.0, 1.0]
    metric.reset_state()
    assert not any(float(v) for v in metric.variables)


def test_a_mask_leaves_out_what_does_not_count():
    metric = sg.metrics.SparseCategoricalAccuracy()

    metric.update_state([1, 0, 1], [[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]], mask=[True, True, False])

    assert float(metric.result()) == 0.5


def test_a_function_of_ones_own_becomes_its_mean():
    def furthest(y_true, y_pred):
        return sg.max(sg.abs(sg.subtract(y_true, y_pred)), axis=-1)

    metric = sg.metrics.for_output(furthest, (None, 2), (None, 2))

    assert metric.name == "furthest"
    assert float(metric([[0.0, 0.0], [0.0, 0.0]], [[1.0, 3.0], [5.0, 2.0]])) == 4.0


def test_a_loss_object_becomes_its_mean_under_its_name():
    metric = sg.metrics.for_output(sg.losses.Huber(delta=2.0), (None, 1), (None, 1))

    assert metric.name == "huber_loss"
    assert float(metric([[0.0]], [[1.0]])) == 0.5


@pytest.mark.parametrize("word, y_true, y_pred, cls", [
    ("accuracy", (None, 1), (None, 1), "BinaryAccuracy"), ("acc", (None,), (None, 1), "BinaryAccuracy"),
    ("accuracy", (None,), (None,), "BinaryAccuracy"), ("accuracy", (None, 10), (None, 10), "CategoricalAccuracy"),
    ("accuracy", (None,), (None, 10), "SparseCategoricalAccuracy"),
    ("accuracy", (None, 1), (None, 10), "SparseCategoricalAccuracy"),
    ("accuracy", (8, 7), (8, 7, 3), "SparseCategoricalAccuracy"),
    ("crossentropy", (None,), (None, 10), "SparseCategoricalCrossentropy"),
    ("ce", (None, 10), (None, 10), "CategoricalCrossentropy"),
    ("mse", (None, 10), (None, 10), "MeanSquaredError"),
])
def test_accuracy_means_what_fits_the_output(word, y_true, y_pred, cls):
    assert type(sg.metrics.for_output(word, y_true, y_pred)).__name__ == cls


@pytest.mark.parametrize("name, cls", [
    ("mse", "MeanSquaredError"), ("auc", "AUC"), ("AUC", "AUC"), ("f1_score", "F1Score"), ("precision", "Precision"),
    ("meanSquaredError", "MeanSquaredError"), ("binary_accuracy", "BinaryAccuracy"), ("acc", "Accuracy"),
])
def test_names_give_metrics(name, cls):
    assert type(sg.metrics.get(name)).__name__ == cls


def test_names_of_functions_without_a_class_give_functions():
    assert sg.metrics.get("huber") is sg.metrics.huber


@pytest.mark.parametrize("make, words", [
    (lambda: sg.metrics.get("acuracy"), 'did you mean "accuracy"'),
    (lambda: sg.metrics.get("get"), "no metric"),
    (lambda: sg.metrics.get(3), "no metric"),
    (lambda: sg.metrics.get("mean_iou"), "num_classes"),
    (lambda: sg.metrics.deserialize({"class_name": "AUC", "config": {"curv": "PR"}}), "curve"),
    (lambda: sg.metrics.AUC(curve="PRG"), 'did you mean "PR'),
    (lambda: sg.metrics.AUC(num_thresholds=1), "of at least 2, got 1"),
    (lambda: sg.metrics.AUC(num_labels=3), "multi_label"),
    (lambda: sg.metrics.Precision(thresholds=[0.5, 1.5]), "from 0 to 1"),
    (lambda: sg.metrics.RecallAtPrecision(1.5), "precision"),
    (lambda: sg.metrics.F1Score(average="mean"), "average"),
    (lambda: sg.metrics.FBetaScore(beta=0), "beta"),
    (lambda: sg.metrics.R2Score(num_regressors=-1), "num_regressors"),
    (lambda: sg.metrics.R2Score(class_aggregation="mean"), "uniform_average"),
    (lambda: sg.metrics.IoU(2, [2]), "target_class_ids"),
    (lambda: sg.metrics.Metric()(1), "does not define update_state"),
])
def test_what_does_not_exist_is_told_with_what_does(make, words):
    with pytest.raises(sg.TrainingError, match=words):
        make()


@pytest.mark.parametrize("name, arguments, y, p, w", [
    ("MeanSquaredError", {}, (4, 9), (4, 10), None), ("AUC", {}, (4,), (5,), None),
    ("Precision", {}, (4, 2), (4, 3), None),
    ("F1Score", {}, (4,), (4,), None), ("R2Score", {}, (4,), (4,), None), ("Accuracy", {}, (4,), (5,), None),
    ("AUC", {"multi_label": True}, (4,), (4,), None), ("Recall", {"class_id": 0}, (4,), (4,), None),
    ("Precision", {"class_id": 3}, (4, 3), (4, 3), None), ("Recall", {"class_id": -4}, (4, 3), (4, 3), None),
    ("MeanIoU", {"num_classes": 2}, (4,), (5,), None), ("MeanSquaredError", {}, (4, 2), (4, 2), (3,)),
    ("AUC", {}, (4,), (4,), (3,)), ("MeanIoU", {"num_classes": 2, "dtype": "float32"}, (4,), (4,), (3,)),
    ("AUC", {"label_weights": [1.0, 2.0]}, (4, 3), (4, 3), None),
    ("SparseCategoricalAccuracy", {}, (4,), (5, 3), None),
])
def test_shapes_that_do_not_fit_are_refused_and_state_stays(name, arguments, y, p, w):
    metric = getattr(sg.metrics, name)(**arguments)

    with pytest.raises(sg.ShapeError):
        metric.update_state(np.ones(y), np.ones(p), None if w is None else np.ones(w))

    assert all((x == 0).all() for x in values(metric))


def test_weights_that_lose_their_fractions_are_warned_of():
    with pytest.warns(UserWarning, match="lose their fractions"):
        sg.metrics.MeanIoU(2)([0, 1], [0, 1], np.array([0.5, 1.0]))


def test_more_regressors_than_values_are_warned_of():
    metric = sg.metrics.R2Score(num_regressors=5)
    metric.update_state([[1.0], [2.0]], [[1.0], [2.5]])

    with pytest.warns(UserWarning, match="not adjusted"):
        assert float(metric.result()) == 0.5


SKLEARN = {
    "Precision": (lambda y, p: sklearn.precision_score(y, p > 0.5), 1e-6),
    "Recall": (lambda y, p: sklearn.recall_score(y, p > 0.5), 1e-6),
    "BinaryAccuracy": (lambda y, p: sklearn.accuracy_score(y, p > 0.5), 1e-6),
    "AUC": (sklearn.roc_auc_score, 2e-3),
    "BinaryIoU": (lambda y, p: sklearn.jaccard_score(y, p > 0.5, average="macro"), 1e-6),
    "BinaryCrossentropy": (lambda y, p: sklearn.log_loss(y, p.astype(np.float64)), 1e-5),
    "MeanSquaredError": (sklearn.mean_squared_error, 1e-6),
}


@pytest.mark.parametrize("thresholds", [[0.0, 0.5, 1.0], [0.1, 0.5, 0.9]], ids=["even", "uneven"])
def test_nan_is_above_no_threshold(thresholds):
    below, above = sg.metrics.FalseNegatives(thresholds), sg.metrics.TruePositives(thresholds)

    assert below([1.0], [np.nan]).tolist() == [1.0, 1.0, 1.0]
    assert above([1.0], [np.nan]).tolist() == [0.0, 0.0, 0.0]


def test_an_area_with_nan_among_the_predictions_is_a_number():
    assert np.isfinite(float(sg.metrics.AUC()([0.0, 1.0], [np.nan, 0.5])))


@pytest.mark.parametrize("name", SKLEARN)
def test_on_many_samples_it_is_what_scikit_learn_says(name):
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 20_000)
    p = np.clip(0.4 * y + 0.6 * rng.random(20_000), 1e-3, 1 - 1e-3).astype(np.float32)
    metric = getattr(sg.metrics, name)()
    for part in np.array_split(np.arange(20_000), 7):
        metric.update_state(y[part, None], p[part, None])

    wanted, tolerance = SKLEARN[name]

    assert float(metric.result()) == pytest.approx(wanted(y, p), abs=tolerance)


def test_compiled_with_an_open_batch_a_metric_counts_every_sample():
    metric = sg.metrics.SparseCategoricalAccuracy()

    @sg.function
    def step(y, p):
        metric.update_state(y, p)
        return metric.result()

    for size in (3, 5, 8):
        step(DATA["labels"][:size], DATA["simplex"][:size])

    assert float(metric.count) == 16


@pytest.mark.parametrize(("make", "message"), [
    (lambda: sg.metrics.AUC(curve=None), "no curve 'NONE'"),
    (lambda: sg.metrics.AUC(num_thresholds="a"), "num_thresholds is a whole number of at least 2, got 'a'"),
    (lambda: sg.metrics.AUC(num_thresholds=1), "num_thresholds is a whole number of at least 2, got 1"),
    (lambda: sg.metrics.PrecisionAtRecall(0.5, num_thresholds=0), "is a whole number of at least 1, got 0"),
    (lambda: sg.metrics.MeanIoU("a"), "MeanIoU: num_classes is a whole number of at least 1, got 'a'"),
    (lambda: sg.metrics.IoU(2.5, [0]), "num_classes is a whole number of at least 1, got 2.5"),
    (lambda: sg.metrics.IoU(3, "a"), r"target_class_ids must be from 0 to 2, got \['a'\]"),
])
def test_arguments_that_are_no_numbers_are_errors_at_once(make, message):
    with pytest.raises(sg.TrainingError, match=message):
        make()
