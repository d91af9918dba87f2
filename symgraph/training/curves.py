"""Pictures of training: how the logs went from epoch to epoch. Public as `sg.utils.plot_history`."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symgraph.core.errors import MissingDependencyError, TrainingError
from symgraph.runtime.exporter import clear_errors
from symgraph.runtime.files import replacing

SIZE = (5.0, 3.5)
"""Inches of one panel."""


def plot_history(history: Any, path: str | os.PathLike[str] | None = None, names: Sequence[str] | None = None) -> Any:
    """Draw the logs of a `History` (or of a dict of lists), a panel each, with validation beside training.

    `names` are the logs to draw, all unless given; `path` is a picture file, whose ending says of what kind, and which
    appears whole or not at all. Gives the matplotlib figure.

    Errors: `TrainingError` where there are no epochs, no such logs or no such kind of picture, `ResourceError` where
    the disk is full, `MissingDependencyError` without matplotlib.
    """
    logs: Mapping[str, Sequence[float]] | None = history if isinstance(history, Mapping) else getattr(
        history, "history", None)
    if logs is None:
        raise TrainingError(f"plot_history draws what fit returns, or a dict of lists; got {type(history).__name__}")
    names = [names] if isinstance(names, str) else names
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
        is_validation = name.startswith("val_")
        for label, key in ((("validation", name),) if is_validation else (
                ("training", name), ("validation", f"val_{name}"))):
            if key in logs:
                axes.plot(range(1, len(logs[key]) + 1), logs[key], marker=".", label=label)
        axes.set(title=name, xlabel="epoch")
        axes.legend()
        axes.grid(alpha=0.3)
    if path is not None:
        _write(figure, Path(path))
    return figure


def _write(figure: Any, path: Path) -> None:
    kind, known = path.suffix.removeprefix("."), figure.canvas.get_supported_filetypes()
    if kind.lower() not in known:
        raise TrainingError(f"plot_history: {str(path)!r} does not end as a picture does: {', '.join(known)}")
    picture = io.BytesIO()
    figure.savefig(picture, format=kind)
    with clear_errors(path), replacing(path) as file:
        file.write(picture.getvalue())
