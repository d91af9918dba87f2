"""The errors symgraph raises: who, what it got, what it expected, what to do.

Every one is a `SymgraphError` and also the built-in exception a Python programmer would catch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SymgraphError(Exception):
    """Base of all errors raised on purpose by symgraph."""


class OpError(SymgraphError, ValueError):
    """An operator cannot be applied to these operands."""


class DtypeError(SymgraphError, TypeError, ValueError):
    """A dtype is unknown or does not fit: for some a wrong type, for others a wrong value."""


class ShapeError(SymgraphError, ValueError):
    """A shape does not fit."""


class GraphError(SymgraphError, ValueError):
    """A graph is not well formed, or a name asked for is not in it."""


class GradientError(SymgraphError, ValueError):
    """A gradient was asked for that does not exist, or of something it cannot be asked of."""


class LayerError(SymgraphError, ValueError):
    """A layer or a model was given something it cannot take."""


class TrainingError(SymgraphError, ValueError):
    """An optimizer, a schedule or another part of training was given something it cannot take."""


class CheckpointError(TrainingError):
    """A checkpoint is of another model, optimizer or data than those it is to go on with."""


class NonFiniteError(SymgraphError, ArithmeticError, RuntimeError):
    """A number that should be finite is NaN or infinite."""


class FormatError(SymgraphError, ValueError):
    """A file is not what it should be."""


class UnsupportedOpError(FormatError):
    """A model uses operators that symgraph, or the runtime it asks, does not have."""


class UnsafeModelError(FormatError):
    """A model file asks for something outside its own directory."""


class LimitError(SymgraphError, ValueError):
    """A stated limit would be passed; the message says which and how to raise it."""


class ResourceError(SymgraphError, RuntimeError):
    """The machine has not enough of something (memory, disk)."""


class RunError(SymgraphError, RuntimeError):
    """ONNX Runtime failed while it ran or compiled a graph."""


class ProviderError(SymgraphError, RuntimeError):
    """An execution provider or a device was asked for that is not there."""


class DisposedError(SymgraphError, RuntimeError):
    """A value was used after `dispose`."""


class MissingDependencyError(SymgraphError, ImportError):
    """A package is not installed, or installed twice; the message says what to install."""


class ImmutableError(SymgraphError, TypeError):
    """Something that never changes was to be changed."""


def nearest(name: str, known: Iterable[str], limit: int = 12) -> str:
    """Say which known names come nearest to `name`, for the end of an error message.

    >>> nearest("convv", ["pool", "conv"])
    'did you mean "conv"? there are: pool, conv'
    """
    names = list(dict.fromkeys(known))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    shown = names
    if len(names) > limit:
        shown = (close + [n for n in names if n not in close])[:limit]
    listing = ", ".join(shown) + (f", and {len(names) - limit} more" if len(names) > limit else "")
    hint = f"did you mean {' or '.join(chr(34) + n + chr(34) for n in close)}? " if close else ""
    return f"{hint}there are: {listing}" if names else "there are none"
