"""Helpers by their Keras names: labels, seeds, names of one's own, copies and pictures of models, data, progress bars.

The wrappers for scikit-learn, and pictures, are imported when they are asked for.
"""

from importlib import import_module
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
from symgraph.layers.layer import clear_session
from symgraph.training.cloning import clone_model
from symgraph.training.curves import plot_history
from symgraph.training.data.audio_folders import audio_dataset_from_directory
from symgraph.training.data.dataset_splits import split_dataset
from symgraph.training.data.image_files import array_to_img, img_to_array, load_img, save_img
from symgraph.training.data.image_folders import image_dataset_from_directory
from symgraph.training.data.padding import pad_sequences
from symgraph.training.data.py_dataset import PyDataset
from symgraph.training.data.text_folders import text_dataset_from_directory
from symgraph.training.data.timeseries import timeseries_dataset_from_array
from symgraph.training.data.unpacking import pack_x_y_sample_weight, unpack_x_y_sample_weight
from symgraph.training.labels import normalize, to_categorical
from symgraph.training.progress_bar import Progbar
from symgraph.training.seeding import set_random_seed
from symgraph.training.source_inputs import get_source_inputs, is_keras_tensor

if TYPE_CHECKING:
    from symgraph.cli.model_picture import model_to_dot, plot_model
    from symgraph.training.sklearn_wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

Sequence = PyDataset

__all__ = [
    "CustomObjectScope", "Progbar", "PyDataset", "SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer",
    "Sequence", "array_to_img", "audio_dataset_from_directory", "clear_session", "clone_model", "custom_object_scope",
    "deserialize_keras_object", "get_custom_objects", "get_registered_name", "get_registered_object",
    "get_source_inputs", "image_dataset_from_directory", "img_to_array", "is_keras_tensor", "load_img", "model_to_dot",
    "normalize", "pack_x_y_sample_weight", "pad_sequences", "plot_history", "plot_model",
    "register_keras_serializable", "register_serializable", "save_img", "serialize_keras_object", "set_random_seed",
    "split_dataset", "text_dataset_from_directory", "timeseries_dataset_from_array", "to_categorical",
    "unpack_x_y_sample_weight",
]

_LATER = {"SKLearnClassifier": "symgraph.training.sklearn_wrappers",
          "SKLearnRegressor": "symgraph.training.sklearn_wrappers",
          "SKLearnTransformer": "symgraph.training.sklearn_wrappers",
          "model_to_dot": "symgraph.cli.model_picture", "plot_model": "symgraph.cli.model_picture"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
