"""Helpers by their Keras names: labels, seeds, names of one's own, copies of models, data sets, progress bars.

The wrappers for scikit-learn are imported when they are asked for.
"""

from typing import TYPE_CHECKING, Any

from symgraph.core.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    register_serializable,
)
from symgraph.core.serialization import deserialize_keras_object, serialize_keras_object
from symgraph.training.cloning import clone_model
from symgraph.training.curves import plot_history
from symgraph.training.data.py_dataset import PyDataset
from symgraph.training.labels import normalize, to_categorical
from symgraph.training.progress_bar import Progbar
from symgraph.training.seeding import set_random_seed
from symgraph.training.source_inputs import get_source_inputs, is_keras_tensor

if TYPE_CHECKING:
    from symgraph.training.sklearn_wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

__all__ = [
    "CustomObjectScope", "Progbar", "PyDataset", "SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer",
    "clone_model", "custom_object_scope", "deserialize_keras_object", "get_custom_objects", "get_registered_name",
    "get_registered_object", "get_source_inputs", "is_keras_tensor", "normalize", "plot_history",
    "register_keras_serializable", "register_serializable", "serialize_keras_object", "set_random_seed",
    "to_categorical",
]


def __getattr__(name: str) -> Any:
    if name.startswith("SKLearn") and name in __all__:
        from symgraph.training import sklearn_wrappers

        return getattr(sklearn_wrappers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
