"""The wrappers for scikit-learn: its own checks of estimators, then pipelines, searches, pickles and errors."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import symgraph as sg
from symgraph.utils import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer, set_random_seed

QUIET = {"verbose": 0, "epochs": 1}


def classifier(X, y, units=8, rate=0.05):
    set_random_seed(0)
    model = sg.Sequential([sg.Input(X.shape[1:]), sg.layers.Dense(units, activation="relu"),
                           sg.layers.Dense(y.shape[1], activation="softmax")])
    model.compile(sg.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
    return model


def regressor(X, y):
    set_random_seed(0)
    model = sg.Sequential([sg.Input(X.shape[1:]), sg.layers.Dense(y.shape[1])])
    model.compile(sg.optimizers.SGD(0.1), "mse")
    return model


ESTIMATORS = {"classifier": (SKLearnClassifier, classifier), "regressor": (SKLearnRegressor, regressor),
              "transformer": (SKLearnTransformer, regressor)}

# a loss is divided by the number of samples, as Keras does it, not by the sum of their weights
NOT_SO = {"check_sample_weight_equivalence_on_dense_data"}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_scikit_learns_own_checks_hold(name):
    cls, make = ESTIMATORS[name]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks themselves warn
        results = check_estimator(cls(make, fit_kwargs=QUIET), on_skip=None, on_fail=None)

    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert set(failed) == NOT_SO, failed
    assert sum(r["status"] == "passed" for r in results) >= 40


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), np.array(["a", "b", "c"])[y]


def test_a_classifier_learns_and_says_probabilities(iris):
    X, y = iris

    found = SKLearnClassifier(classifier, fit_kwargs={"epochs": 30, "verbose": 0}).fit(X, y)

    assert found.score(X, y) > 0.93 and found.classes_.tolist() == ["a", "b", "c"]
    probabilities = found.predict_proba(X)
    assert probabilities.shape == (150, 3)
    assert (found.classes_[probabilities.argmax(axis=1)] == found.predict(X)).all()
    np.testing.assert_array_equal(found.decision_function(X), probabilities)
    assert len(found.history_["loss"]) == 30 and "accuracy" in found.history_


@pytest.mark.parametrize(("units", "loss"), [
    (3, "sparse_categorical_crossentropy"), (3, sg.losses.SparseCategoricalCrossentropy()),
    (3, sg.losses.sparse_categorical_crossentropy), (1, "binary_crossentropy")],
    ids=["name", "object", "function", "binary"])
def test_targets_come_as_the_loss_wants_them(iris, units, loss):
    X, y = iris
    rows = slice(None) if units == 3 else y != "c"
    model = sg.Sequential([sg.Input((4,)), sg.layers.Dense(units, activation="softmax" if units > 1 else "sigmoid")])
    model.compile(sg.optimizers.Adam(0.1), loss)

    found = SKLearnClassifier(model, fit_kwargs={"epochs": 30, "verbose": 0}).fit(X[rows], y[rows])

    assert found.score(X[rows], y[rows]) > 0.9
    assert found.predict_proba(X[rows]).shape[1] == (3 if units == 3 else 2)


def test_searches_pipelines_and_cross_validation_work(iris):
    X, y = iris
    estimator = SKLearnClassifier(classifier, model_kwargs={"units": 4}, fit_kwargs={"epochs": 8, "verbose": 0})

    search = GridSearchCV(make_pipeline(StandardScaler(), estimator),
                          {"sklearnclassifier__model_kwargs": [{"rate": 1e-6}, {"rate": 0.1}]}, cv=3).fit(X, y)

    assert search.best_params_ == {"sklearnclassifier__model_kwargs": {"rate": 0.1}}
    assert (cross_val_score(estimator, X, y, cv=3) > 0.5).all()


def compiled_regressor():
    model = sg.Sequential([sg.Input((3,)), sg.layers.Dense(1)])
    model.compile(sg.optimizers.SGD(0.1), "mse")
    return model


@pytest.fixture
def line():
    return make_regression(60, 3, random_state=0, noise=0.0)


def test_a_model_given_is_copied_and_stays_as_it_was(line):
    X, y = line
    model = compiled_regressor()
    before = model.get_weights()

    found = SKLearnRegressor(model, fit_kwargs={"epochs": 60, "verbose": 0}).fit(X, y)

    assert found.score(X, y) > 0.99 and found.predict(X).shape == (60,)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_clone_copies_the_model_with_its_weights():
    model = compiled_regressor()

    twin = clone(SKLearnRegressor(model, fit_kwargs=QUIET))

    assert twin.model is not model and twin.fit_kwargs == QUIET
    assert all((a == b).all() for a, b in zip(twin.model.get_weights(), model.get_weights(), strict=True))


def test_warm_start_trains_the_model_itself_and_goes_on(line):
    X, y = line
    model = compiled_regressor()
    found = SKLearnRegressor(model, warm_start=True, fit_kwargs={"epochs": 2, "verbose": 0})

    found.fit(X, y)
    first = int(model.optimizer.iterations)
    found.fit(X, y)

    assert found.model_ is model and int(model.optimizer.iterations) == 2 * first > 0


def test_options_of_fit_come_before_those_of_the_estimator(line):
    X, y = line
    found = SKLearnRegressor(compiled_regressor(), fit_kwargs={"epochs": 2, "verbose": 0})

    assert len(found.fit(X, y, epochs=3).history_["loss"]) == 3
    assert found.fit_kwargs == {"epochs": 2, "verbose": 0}


def test_weights_of_samples_count(line):
    X, y = line
    X2, y2 = np.concatenate([X, X]), np.concatenate([y, y + 1000])
    weights = np.repeat([1.0, 0.0], 60)

    found = SKLearnRegressor(compiled_regressor(), fit_kwargs={"epochs": 90, "verbose": 0}).fit(X2, y2, weights)

    assert found.score(X, y) > 0.99


def test_several_targets_keep_their_shape_and_dtype(line):
    X, y = line
    targets = np.stack([y, -y], axis=1).astype(np.float32)

    found = SKLearnRegressor(regressor, fit_kwargs=QUIET).fit(X, targets).predict(X)

    assert found.shape == (60, 2) and found.dtype == np.float32
    wrapped = TransformedTargetRegressor(SKLearnRegressor(regressor, fit_kwargs=QUIET), transformer=StandardScaler())
    assert wrapped.fit(X, y).predict(X).shape == (60,)


def test_images_are_rows_as_well(rng):
    X, y = rng.normal(size=(20, 6, 5, 1)), np.arange(20) % 2

    def make(X, y):
        model = sg.Sequential([sg.Input(X.shape[1:]), sg.layers.Conv2D(2, 3), sg.layers.Flatten(),
                               sg.layers.Dense(y.shape[1], activation="softmax")])
        model.compile("sgd", "categorical_crossentropy")
        return model

    assert SKLearnClassifier(make, fit_kwargs=QUIET).fit(X, y).predict(X).shape == (20,)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_pickled_estimator_predicts_the_same_and_can_be_fitted_anew(name, line):
    cls, make = ESTIMATORS[name]
    X, y = line
    y = y > 0 if name == "classifier" else y
    fitted = cls(make, fit_kwargs=QUIET).fit(X, y)
    method = "transform" if name == "transformer" else "predict"

    again = pickle.loads(pickle.dumps(fitted))

    np.testing.assert_array_equal(getattr(again, method)(X), getattr(fitted, method)(X))
    assert again.fit(X, y).model_.compiled
    going_on = pickle.loads(pickle.dumps(cls(make, warm_start=True, fit_kwargs=QUIET).fit(X, y)))
    with pytest.raises(sg.TrainingError, match="not go on with warm_start"):
        going_on.fit(X, y)


# Transformers.


def test_a_transformer_gives_the_outputs_of_a_trained_copy(line):
    X, y = line

    found = SKLearnTransformer(regressor, fit_kwargs={"epochs": 60, "verbose": 0}).fit(X, y)

    assert found.transform(X).shape == (60, 1)
    np.testing.assert_allclose(found.transform(X)[:, 0], y, atol=0.2 * np.std(y))
    assert found.get_feature_names_out().tolist() == ["sklearntransformer0"]


def test_without_targets_a_transformer_learns_to_give_back_its_inputs(line):
    X, _ = line

    found = SKLearnTransformer(regressor, fit_kwargs={"epochs": 80, "verbose": 0}).fit(X)

    np.testing.assert_allclose(found.transform(X), X, atol=0.05)


def test_a_built_model_transforms_as_it_is_in_a_frozen_estimator(iris):
    X, y = iris
    model = sg.Sequential([sg.Input((4,)), sg.layers.Dense(6, activation="tanh")])

    pipe = make_pipeline(FrozenEstimator(SKLearnTransformer(model)), LogisticRegression()).fit(X, y)

    assert pipe.score(X, y) > 0.8
    np.testing.assert_array_equal(pipe[0].transform(X), model.predict(X.astype(np.float32)))


# Mistakes.


def fit(cls, model, X=((0.0,), (1.0,)), y=(0, 1), **options):
    return cls(model, **options).fit(np.array(X), np.array(y), verbose=0)


def stack(*sizes, loss="mse", activation=None):
    model = sg.Sequential([sg.Input((1,)), *(sg.layers.Dense(n, activation=activation) for n in sizes)])
    if loss is not None:
        model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(("make", "words"), [
    (lambda: fit(SKLearnRegressor, 3), "must be a model, or a function"),
    (lambda: fit(SKLearnRegressor, lambda X, y: None), "got None"),
    (lambda: fit(SKLearnRegressor, stack(1, loss=None)), "must be compiled"),
    (lambda: fit(SKLearnClassifier, stack(2), y=(1, 1)), "only one class, .*1"),
    (lambda: fit(SKLearnClassifier, stack(2)).predict_proba([[0.5], [100.0]]), "no probabilities"),
    (lambda: fit(SKLearnClassifier, stack(2), y=(0.5, 1.7)), "[Uu]nknown label type"),
    (lambda: fit(SKLearnClassifier, stack(2), y=((0, 1), (1, 0))), "1d array"),
    (lambda: fit(SKLearnRegressor, stack(1), X=((np.nan,), (1.0,))), "NaN"),
    (lambda: pickle.dumps(SKLearnRegressor(stack(1))), "give a function"),
])
def test_what_cannot_be_done_is_told(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_before_fit_there_is_nothing_to_predict_with():
    with pytest.raises(NotFittedError):
        SKLearnRegressor(stack(1)).predict([[1.0]])


def test_a_missing_scikit_learn_is_told_with_what_to_install():
    code = ("import sys; sys.modules['sklearn'] = None\nfrom symgraph import utils\n"
            "try: utils.SKLearnClassifier\nexcept ImportError as error: print(type(error).__name__, error)")

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("MissingDependencyError") and "symgraph[sklearn]" in done.stdout


def test_utils_leave_scikit_learn_unloaded_and_know_their_names():
    code = "import sys, symgraph.utils; sys.exit('sklearn' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'SKLearnNothing'"):
        _ = sg.utils.SKLearnNothing
