"""Optimizers and their learning rates, by their Keras names."""

from symgraph.training.optimizers import schedules
from symgraph.training.optimizers.adafactor import Adafactor
from symgraph.training.optimizers.adam import Adam, Adamax, AdamW, Lamb, Nadam
from symgraph.training.optimizers.adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from symgraph.training.optimizers.base import Optimizer
from symgraph.training.optimizers.lookup import deserialize, get, serialize
from symgraph.training.optimizers.loss_scale import LossScaleOptimizer
from symgraph.training.optimizers.muon import Muon
from symgraph.training.optimizers.sgd import SGD, Lion

__all__ = [
    "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "LossScaleOptimizer",
    "Muon", "Nadam", "Optimizer", "RMSprop", "deserialize", "get", "schedules", "serialize",
]
