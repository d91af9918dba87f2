"""What is compared with Keras: optimizers with their options, on seeded weights and gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

RECORDED = Path(__file__).with_name("recorded.npz")
STEPS = 20
LOOKED_AT = (1, 2, 7, 20)
"""After these steps the weights are compared."""

SHAPES = {"kernel": (4, 3), "bias": (3,), "tall": (6, 2), "window": (2, 3, 2), "scale": ()}

_DEFAULTS = ("SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta", "Adafactor", "Ftrl", "Lion",
             "Muon", "Lamb")

_OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    ("RMSprop", {"learning_rate": 0.02, "rho": 0.8, "momentum": 0.7, "epsilon": 1e-4}),
    ("RMSprop", {"learning_rate": 0.02, "centered": True, "momentum": 0.3}),
    ("RMSprop", {"learning_rate": 0.02, "centered": True, "rho": 0.5, "epsilon": 1e-3}),
    ("Adam", {"learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Adam", {"learning_rate": 0.01, "amsgrad": True, "beta_2": 0.8}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.2, "amsgrad": True}),
    ("Adamax", {"learning_rate": 0.02, "beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-2}),
    ("Nadam", {"learning_rate": 0.02, "beta_1": 0.6, "beta_2": 0.9, "epsilon": 1e-4}),
    ("Adagrad", {"learning_rate": 0.1, "initial_accumulator_value": 0.0, "epsilon": 1e-3}),
    ("Adadelta", {"learning_rate": 1.0, "rho": 0.7, "epsilon": 1e-3}),
    ("Adafactor", {"learning_rate": 0.1, "beta_2_decay": -0.6, "clip_threshold": 0.5, "epsilon_2": 0.1}),
    ("Adafactor", {"learning_rate": 0.5, "relative_step": False, "epsilon_1": 1e-3}),
    ("Ftrl", {"learning_rate": 0.2, "learning_rate_power": -0.7, "l1_regularization_strength": 0.1,
              "l2_regularization_strength": 0.2, "l2_shrinkage_regularization_strength": 0.05, "beta": 0.3,
              "initial_accumulator_value": 0.5}),
    ("Lion", {"learning_rate": 0.01, "beta_1": 0.6, "beta_2": 0.7, "weight_decay": 0.1}),
    ("Muon", {"learning_rate": 0.02, "momentum": 0.5, "nesterov": False, "ns_steps": 3, "adam_lr_ratio": 0.5}),
    ("Muon", {"learning_rate": 0.02, "weight_decay": None, "adam_weight_decay": 0.1, "rms_rate": None,
              "exclude_layers": ["tall"], "muon_a": 2.0, "muon_b": -1.5, "muon_c": 0.5}),
    ("Lamb", {"learning_rate": 0.02, "beta_1": 0.6, "beta_2": 0.8, "epsilon": 1e-4}),
]

_SHARED: list[dict[str, Any]] = [
    {"clipnorm": 0.5}, {"clipvalue": 0.3}, {"global_clipnorm": 1.0}, {"weight_decay": 0.1},
    {"use_ema": True, "ema_momentum": 0.8}, {"use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 3},
    {"loss_scale_factor": 8.0}, {"gradient_accumulation_steps": 4},
    {"gradient_accumulation_steps": 3, "clipnorm": 0.4, "weight_decay": 0.05},
]

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"initial_learning_rate": 0.5, "decay_steps": 7, "decay_rate": 0.3}),
    ("ExponentialDecay", {"initial_learning_rate": 0.5, "decay_steps": 7, "decay_rate": 0.3, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.5, "decay_steps": 5, "decay_rate": 0.4}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.5, "decay_steps": 5, "decay_rate": 0.4, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 11, 12], "values": [0.5, 0.2, 0.3, 0.1]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.5, "decay_steps": 30}),
    ("PolynomialDecay", {"initial_learning_rate": 0.5, "decay_steps": 9, "end_learning_rate": 0.1, "power": 2.0,
                         "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 30}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.2, "warmup_target": 0.7,
                     "warmup_steps": 8}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.5, "first_decay_steps": 6}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.5, "first_decay_steps": 6, "t_mul": 1.0, "m_mul": 0.7,
                             "alpha": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.5, "first_decay_steps": 5, "t_mul": 1.5, "m_mul": 0.9}),
]

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in _DEFAULTS), *_OPTIONS,
    *((name, {"learning_rate": 0.02, **shared}) for name in ("SGD", "Adam") for shared in _SHARED),
    ("Nadam", {"learning_rate": 0.02, "gradient_accumulation_steps": 4}),
    ("RMSprop", {"learning_rate": 0.02, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.7}),
    ("SGD", {"learning_rate": 0.02, "gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2}),
    *(("SGD", {"learning_rate": schedule}) for schedule in SCHEDULES),
    ("Adam", {"learning_rate": SCHEDULES[0], "gradient_accumulation_steps": 2}),
]
"""Class names and arguments; a learning rate that is a pair is a schedule."""

STEPS_OF_SCHEDULES = 60


def identity(case: tuple[str, Mapping[str, Any]]) -> str:
    """A name for a case."""
    return f"{case[0]}({', '.join(f'{k}={v}' for k, v in case[1].items())})"


def weights() -> dict[str, np.ndarray[Any, Any]]:
    """The first weights, by name."""
    rng = np.random.default_rng(5)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def gradients() -> Iterator[list[np.ndarray[Any, Any]]]:
    """The gradients of each step: of different sizes, and some of them exactly 0."""
    rng = np.random.default_rng(6)
    for _ in range(STEPS):
        size = 10.0 ** rng.uniform(-2, 0.5)
        yield [(rng.normal(size=s) * size * (rng.uniform(size=s) > 0.2)).astype(np.float32) for s in SHAPES.values()]
