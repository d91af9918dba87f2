"""Undoing a step that did not come to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from symgraph.training.training_state import variables_of


@contextmanager
def undone_on_error(model: Any) -> Iterator[None]:
    """Where what runs inside ends with an error, or is interrupted, all variables of the model are as before it."""
    before = {v: v.numpy() for v in variables_of(model).values()}
    try:
        yield
    except BaseException:
        for v, array in before.items():
            if v.numpy() is not array:
                v.assign(array)
        raise
