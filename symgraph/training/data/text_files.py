"""Lines of text files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from symgraph.core.errors import TrainingError
from symgraph.training.data.dataset import Dataset
from symgraph.training.data.nodes import Generated


class TextLineDataset(Dataset):
    """The lines of a UTF-8 text file, or of several, as strings without their ends.

    Errors: `TrainingError` for addresses, for files that are not there, and for those that are no UTF-8.

    >>> _ = Path("words.txt").write_text("one\\ntwo\\n")
    >>> TextLineDataset("words.txt").to_array()
    ['one', 'two']
    """

    def __init__(self, filenames: Any) -> None:
        paths = files(filenames)
        super().__init__(Generated(lambda: _lines(paths)))


def files(given: Any) -> list[Path]:
    """The paths of files that are there.

    Errors: `TrainingError`.
    """
    several = given if isinstance(given, list | tuple) else [given]
    paths = []
    for one in several:
        if not isinstance(one, str | os.PathLike):
            raise TrainingError(f"a file is given by its path, got {type(one).__name__}")
        refuse_address(one)
        path = Path(one)
        if not path.is_file():
            raise TrainingError(f"there is no file {path}")
        paths.append(path)
    return paths


def refuse_address(path: Any) -> None:
    """Nothing is fetched from a network.

    Errors: `TrainingError`.
    """
    if isinstance(path, str) and "://" in path:
        raise TrainingError(f"{path} is an address; symgraph reads files only: download it first and give its path")


@contextmanager
def opened(path: Path, newline: str) -> Iterator[TextIO]:
    """The text of a file.

    Errors: `TrainingError` naming it, while it is read, where it is no UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield file
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is no text in UTF-8: {error}; save it as such") from None


def _lines(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        with opened(path, "\n") as file:
            for line in file:
                yield line.removesuffix("\n").removesuffix("\r")
