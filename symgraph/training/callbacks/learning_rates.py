"""The learning rates of an optimizer, read, set and logged."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training.callbacks.logs import number


def read_learning_rate(who: str, model: Any) -> float:
    """The present learning rate of the model's optimizer.

    Errors: `TrainingError` for a model without an optimizer.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not hasattr(optimizer, "learning_rate"):
        raise TrainingError(f"{who} needs an optimizer with a learning rate; compile the model with one, "
                            f"got {optimizer!r}")
    return float(number(optimizer.learning_rate))


def log_learning_rate(who: str, model: Any, logs: MutableMapping[str, Any] | None) -> None:
    """Put the present learning rate into the logs."""
    if logs is not None:
        logs["learning_rate"] = read_learning_rate(who, model)
