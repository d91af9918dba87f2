"""Models as scikit-learn estimators: `SKLearnClassifier`, `SKLearnRegressor`, `SKLearnTransformer`.

Public in `sg.utils`; they need the extra `sklearn`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from symgraph.core.errors import MissingDependencyError, TrainingError
from symgraph.core.types import numpy_dtype
from symgraph.runtime.exporter import to_model
from symgraph.training.cloning import clone_model
from symgraph.training.losses import SparseCategoricalCrossentropy, sparse_categorical_crossentropy
from symgraph.training.losses import get as loss_of
from symgraph.training.model import Model, load_onnx

try:
    from sklearn.base import (
        BaseEstimator,
        ClassifierMixin,
        ClassNamePrefixFeaturesOutMixin,
        RegressorMixin,
        TransformerMixin,
    )
    from sklearn.utils.multiclass import check_classification_targets, type_of_target
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data
except ImportError:
    raise MissingDependencyError("the scikit-learn wrappers need scikit-learn from 1.6 on: "
                                 "pip install 'symgraph[sklearn]'") from None

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]

Array = np.ndarray[Any, Any]


class _Estimator(BaseEstimator):  # type: ignore[misc]
    """What the three have in common: a model that is made, trained, copied and pickled."""

    def __init__(self, model: Model | Callable[..., Model], warm_start: bool = False,
                 model_kwargs: Mapping[str, Any] | None = None, fit_kwargs: Mapping[str, Any] | None = None) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **options: Any) -> Any:
        """Train on rows `X` and targets `y`; `options` go to the model's `fit`, over `fit_kwargs`. Gives the estimator.

        Errors: `ValueError` for data that scikit-learn does not take, `TrainingError` for a model that is not compiled.
        """
        X, y = self._checked(X, y)
        targets = self._learn_targets(y)
        model = self._model_for(X, targets)
        if sample_weight is not None:
            options["sample_weight"] = _check_sample_weight(sample_weight, X)
        given = {**(self.fit_kwargs or {}), **options}
        self.history_ = model.fit(X, self._as_wanted(targets, model), **given).history
        self.model_ = model
        return self

    def _checked(self, X: Any, y: Any) -> tuple[Array, Array]:
        type_of_target(y, raise_unknown=True)
        found: tuple[Array, Array] = validate_data(self, X, y, allow_nd=True, multi_output=True)
        return found

    def _learn_targets(self, y: Any) -> Any:
        return y

    def _as_wanted(self, targets: Any, model: Model) -> Any:
        """Targets as the loss of the model wants them."""
        return targets

    def _model_for(self, X: Array, targets: Any) -> Model:
        if self.warm_start and hasattr(self, "model_"):
            if not self.model_.compiled:
                raise self._error("what was pickled can predict and be fitted anew, but not go on with warm_start")
            model: Any = self.model_
        elif isinstance(self.model, Model):
            model = self.model if self.warm_start else clone_model(self.model)
        elif callable(self.model):
            model = self.model(X=X, y=targets, **(self.model_kwargs or {}))
        else:
            model = self.model
        if not isinstance(model, Model):
            raise self._error(f"model must be a model, or a function of (X, y) that gives one, got {model!r}")
        if not model.compiled:
            raise self._error(f'model "{model.name}" must be compiled; call compile(optimizer, loss)')
        return model

    def _raw(self, X: Any) -> Array:
        """The outputs of the model for rows."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, allow_nd=True)
        model = self._fitted_model
        outputs = model.predict(X.astype(numpy_dtype(model.inputs[0].dtype), copy=False), verbose=0)
        if not isinstance(outputs, np.ndarray):
            raise self._error(f"the model has {len(outputs)} outputs; give one that has one")
        return outputs

    @property
    def _fitted_model(self) -> Model:
        model: Model = self.model_
        return model

    def _error(self, message: str) -> TrainingError:
        return TrainingError(f"{type(self).__name__}: {message}")

    def __sklearn_clone__(self) -> Any:
        model = self.model
        if isinstance(model, Model):
            given, model = model, clone_model(model)
            if given.built and model.built:
                model.set_weights(given.get_weights())
        return type(self)(model, self.warm_start, self.model_kwargs, self.fit_kwargs)

    def __getstate__(self) -> dict[str, Any]:
        """The trained model is pickled for inference, as ONNX."""
        state = dict(super().__getstate__())
        if isinstance(state["model"], Model):
            raise self._error("a model cannot be pickled; give a function of (X, y) that makes it")
        if "model_" in state:
            state["model_"] = to_model(self.model_.graph).model.SerializeToString()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(dict(state))
        if isinstance(state.get("model_"), bytes):
            self.model_ = load_onnx(state["model_"])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags


class SKLearnClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc]
    """A model as a scikit-learn classifier.

    `model` is a compiled model, of which a copy is trained, or a function `model(X, y, **model_kwargs)` that gives one:
    `y` are then rows of 0 and 1, a column a class. With `warm_start` it is `model` itself that is trained, and a later
    `fit` goes on where the one before ended. `fit_kwargs` go to the model's `fit`.

    The model has an output a class, or one for two classes; the loss may also be a sparse crossentropy. Fitted, it has
    `model_`, `history_` (the logs of each epoch) and `classes_`.

    >>> from symgraph.utils import SKLearnClassifier
    >>> def make(X, y):
    ...     model = sg.Sequential([sg.Input(X.shape[1:]), sg.layers.Dense(y.shape[1], activation="softmax")])
    ...     model.compile(sg.optimizers.SGD(1.0), "categorical_crossentropy")
    ...     return model
    >>> X, y = np.array([[0.0], [0.2], [0.8], [1.0]]), np.array(["low", "low", "high", "high"])
    >>> SKLearnClassifier(make, fit_kwargs={"epochs": 200, "verbose": 0}).fit(X, y).predict([[0.1], [0.9]])
    array(['low', 'high'], dtype='<U4')
    """

    def _learn_targets(self, y: Any) -> Array:
        check_classification_targets(y)
        self.classes_, numbers = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) == 1:
            raise self._error(f"there is only one class, {self.classes_[0]!r}; it takes two to train")
        rows: Array = np.eye(len(self.classes_), dtype=np.float32)[numbers]
        return rows

    def _as_wanted(self, targets: Array, model: Model) -> Array:
        loss = None if isinstance(model.loss, list | tuple | dict) else loss_of(model.loss)
        if isinstance(loss, SparseCategoricalCrossentropy) or loss is sparse_categorical_crossentropy:
            numbers: Array = np.argmax(targets, axis=1)
            return numbers
        width = model.output_shape[-1] if model.built else None
        return targets[:, 1:] if width == 1 and targets.shape[1] == 2 else targets

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, `(rows, classes)`, in the order of `classes_`.

        Errors: `TrainingError` where the outputs of the model are no probabilities.
        """
        outputs = self._outputs(X)
        sums = outputs.sum(axis=1)
        if (outputs < 0).any() or not np.allclose(sums, 1, atol=1e-3):
            raise self._error("the outputs of the model are no probabilities, end it with softmax or sigmoid; got rows "
                              f"such as {outputs[0]}")
        return outputs

    def decision_function(self, X: Any) -> Array:
        """The outputs of the model; of two classes, how much more the second is given than the first."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs

    def predict(self, X: Any) -> Array:
        """The likeliest class of each row."""
        outputs = self._outputs(X)
        found: Array = self.classes_[np.argmax(outputs, axis=1)]
        return found

    def _outputs(self, X: Any) -> Array:
        """A column a class."""
        outputs = self._raw(X)
        outputs = outputs.reshape(len(outputs), -1)
        if outputs.shape[1] == 1 and len(self.classes_) == 2:
            outputs = np.concatenate([1 - outputs, outputs], axis=1)
        if outputs.shape[1] != len(self.classes_):
            raise self._error(f"the model has {outputs.shape[1]} outputs for {len(self.classes_)} classes")
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):  # type: ignore[misc]
    """A model as a scikit-learn regressor.

    `model` is a compiled model, of which a copy is trained, or a function `model(X, y, **model_kwargs)` that gives one;
    `y` is then `(rows, targets)`. With `warm_start` it is `model` itself that is trained, and a later `fit` goes on
    where the one before ended. `fit_kwargs` go to the model's `fit`. Fitted, it has `model_` and `history_`.

    >>> from symgraph.utils import SKLearnRegressor
    >>> model = sg.Sequential([sg.Input((1,)), sg.layers.Dense(1)])
    >>> model.compile(sg.optimizers.SGD(0.3), "mse")
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> fitted = SKLearnRegressor(model, fit_kwargs={"epochs": 200, "verbose": 0}).fit(X, 3 * X[:, 0] + 1)
    >>> fitted.predict([[4.0]]).round(3).tolist()
    [13.0]
    """

    def _checked(self, X: Any, y: Any) -> tuple[Array, Array]:
        found: tuple[Array, Array] = validate_data(self, X, y, allow_nd=True, multi_output=True, y_numeric=True)
        return found

    def _learn_targets(self, y: Any) -> Array:
        self._is_row, self._dtype = np.ndim(y) == 1, np.asarray(y).dtype if np.asarray(y).dtype.kind == "f" else float
        targets: Array = np.reshape(y, (-1, 1)) if self._is_row else np.asarray(y)
        return targets

    def predict(self, X: Any) -> Array:
        """What the model predicts for each row, in the shape and the floating-point dtype of the targets."""
        outputs = self._raw(X).astype(self._dtype, copy=False)
        return outputs[:, 0] if self._is_row and outputs.ndim == 2 and outputs.shape[1] == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        tags.target_tags.multi_output = True
        return tags


class SKLearnTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Estimator):  # type: ignore[misc]
    """A model as a scikit-learn transformer: `transform` gives its outputs.

    `model` is a compiled model, of which a copy is trained, or a function `model(X, y, **model_kwargs)` that gives one.
    A model that is built transforms without `fit`, as it is (`sklearn.frozen.FrozenEstimator`). Without `y` the model
    is trained to give back `X`. `warm_start` and `fit_kwargs` are as for `SKLearnRegressor`.

    >>> from symgraph.utils import SKLearnTransformer
    >>> model = sg.Sequential([sg.Input((3,)), sg.layers.Dense(2, kernel_initializer="ones")])
    >>> SKLearnTransformer(model).transform([[1.0, 2.0, 3.0]]).tolist()
    [[6.0, 6.0]]
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Any:
        """Train on rows `X`, and targets `y` where there are some; as for the others."""
        return super().fit(X, y, sample_weight, **options)

    def _checked(self, X: Any, y: Any) -> tuple[Array, Array]:
        if y is not None:
            return super()._checked(X, y)
        X = validate_data(self, X, allow_nd=True)
        return X, X

    def _learn_targets(self, y: Any) -> Array:
        targets: Array = np.reshape(y, (-1, 1)) if np.ndim(y) == 1 else np.asarray(y)
        return targets

    def transform(self, X: Any) -> Array:
        """The outputs of the model for rows."""
        return self._raw(X)

    @property
    def _n_features_out(self) -> int:
        columns: int = self._fitted_model.output_shape[-1]
        return columns

    @property
    def _fitted_model(self) -> Model:
        model: Any = getattr(self, "model_", self.model)
        assert isinstance(model, Model)
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_") or (isinstance(self.model, Model) and self.model.built)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
