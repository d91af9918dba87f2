"""`text_dataset_from_directory`: texts in folders named after their classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symgraph.core.errors import TrainingError
from symgraph.training.data.dataset import Dataset
from symgraph.training.data.elements import number_of
from symgraph.training.data.folder_index import Folder


def text_dataset_from_directory(
        directory: Any, labels: Any = "inferred", label_mode: str | None = "int",
        class_names: Sequence[str] | None = None, batch_size: int | None = 32, max_length: int | None = None,
        shuffle: bool = True, seed: int | None = None, validation_split: float | None = None,
        subset: str | None = None, follow_links: bool = False, format: str = "tf", verbose: bool = True) -> Any:
    """Batches of the texts (files `.txt`, UTF-8) in a folder, with the number of the folder they lie in.

    Elements are pairs of strings `(batch,)` and labels; all else is as in `image_dataset_from_directory`. Of each text
    the first `max_length` characters are kept.

    Errors: `TrainingError`, also for files that are no UTF-8.
    """
    if format not in ("tf", "grain"):
        raise TrainingError(f'format is "tf" or "grain", for Keras\'s sake; got {format!r}')
    length = None if max_length is None else number_of(max_length, "max_length", 1)

    def finish(paths: Dataset) -> Dataset:
        texts = paths.map(lambda path, *label: (_read(path, length), *label) if label else _read(path, length))
        return texts.prefetch() if batch_size is None else texts.batch(batch_size).prefetch()

    folder = Folder(directory, labels, None if labels is None else label_mode, class_names, shuffle, seed,
                    validation_split, subset, follow_links, verbose, (".txt",))
    return folder.datasets(finish, batch_size)


def _read(path: str, length: int | None) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")[:length]
    except UnicodeDecodeError as error:
        raise TrainingError(f"{path} is no text in UTF-8: {error}") from None
