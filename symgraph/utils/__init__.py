"""Helpers by their Keras names: labels, seeds, names of one's own, copies of models, data sets, progress bars."""

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
from symgraph.training.data.py_dataset import PyDataset
from symgraph.training.labels import normalize, to_categorical
from symgraph.training.progress_bar import Progbar
from symgraph.training.seeding import set_random_seed
from symgraph.training.source_inputs import get_source_inputs, is_keras_tensor

__all__ = [
    "CustomObjectScope", "Progbar", "PyDataset", "clone_model", "custom_object_scope", "deserialize_keras_object",
    "get_custom_objects", "get_registered_name", "get_registered_object", "get_source_inputs", "is_keras_tensor",
    "normalize", "register_keras_serializable", "register_serializable", "serialize_keras_object", "set_random_seed",
    "to_categorical",
]
