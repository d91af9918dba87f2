"""Pictures of training: how the logs went from epoch to epoch. Public as `sg.utils.plot_history`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from symgraph.core.errors import MissingDependencyError, TrainingError

SIZE = (5.0, 3.5)
"""Inches of one panel."""


def plot_history(history: Any, path: str | os.PathLike[str] | None = None, names: Sequence[str] | None = None) -> Any:
    """Draw the logs of a `History` (or of a dict of lists), a panel each, with validation beside training.

    `names` are the logs to draw, all unless given; `path` is a picture file, whose ending says of what kind. Gives the
    matplotlib figure.

    Errors: `TrainingError` where there are no epochs or no such logs, `MissingDependencyError` without matplotlib.
    """
    logs: Mapping[str, Sequence[float]] = history if isinstance(history, Mapping) else history.history
    shown = [name for name in logs if not name.startswith("val_")] if names is None else list(names)
    if unknown := [name for name in shown if name not in logs]:
        raise TrainingError(f"plot_history: there is no {', '.join(unknown)} among {', '.join(logs) or 'no logs'}")
    if not shown or not any(len(logs[name]) for name in shown):
        raise TrainingError("plot_history: the history has no epochs; call fit first")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("plot_history draws with matplotlib: pip install 'symgraph[demo]'") from error
    figure = Figure((SIZE[0] * len(shown), SIZE[1]), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        for label, key in (("training", name), ("validation", f"val_{name}")):
            if key in logs:
                axes.plot(range(1, len(logs[key]) + 1), logs[key], marker=".", label=label)
        axes.set(title=name, xlabel="epoch")
        axes.legend()
        axes.grid(alpha=0.3)
    if path is not None:
        figure.savefig(path)
    return figure
