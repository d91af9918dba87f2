"""`--size N=8`: sizes of named dimensions, for commands that run or count a model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from symgraph.core.errors import ShapeError


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Let a command take sizes."""
    parser.add_argument("--size", metavar="NAME=SIZE", action="append", default=[],
                        help="the size of a named dimension; others that are open are 1")


def parse_sizes(given: Sequence[str]) -> dict[str, int]:
    """The sizes by name.

    Errors: `ShapeError` for what is not a name and a whole number.
    """
    sizes = {}
    for text in given:
        name, _, size = text.rpartition("=")
        if not name or not size.isdecimal():
            raise ShapeError(f"--size {text} is not NAME=SIZE, such as N=8")
        sizes[name] = int(size)
    return sizes
