"""Files in folders that are named after their classes: which there are, and their labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.ops.seeds import make_default_seed
from symgraph.training.data.columns import Array
from symgraph.training.data.dataset import Dataset
from symgraph.training.data.nodes import Node
from symgraph.training.data.text_files import refuse_address

SUBSETS = ("training", "validation", "both", None)
LABEL_MODES = ("int", "categorical", "binary", None)


class FolderDataset(Dataset):
    """What the files of a folder hold: `file_paths` in the order of the index, `class_names` by their numbers."""

    def __init__(self, node: Node, file_paths: list[str], class_names: list[str] | None) -> None:
        super().__init__(node)
        self.file_paths, self.class_names = file_paths, class_names


@dataclass(frozen=True)
class Folder:
    """How files are found, labelled and split; the arguments all `*_dataset_from_directory` have in common.

    - `labels`: "inferred" from the folders' names, a list of whole numbers in the order of the paths, or None
    - `label_mode`: "int" for int32, "binary" for float32 `(1,)`, "categorical" for one-hot float32, or None
    """

    directory: Any
    labels: Any
    label_mode: str | None
    class_names: Sequence[str] | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None
    follow_links: bool
    verbose: bool
    endings: tuple[str, ...]

    def datasets(self, finish: Callable[[Dataset], Dataset], batch_size: int | None) -> Any:
        """The dataset of the files, or the pair for `subset="both"`.

        `finish` makes of a dataset of paths (and labels), shuffled where that is wanted, one of their contents.
        """
        self._check()
        seed = make_default_seed() if self.seed is None else self.seed
        paths, labels, names = self._index(seed)
        if self.label_mode == "binary" and names is not None and len(names) != 2:
            raise TrainingError(f'label_mode="binary" is for two classes, found {len(names)}: {", ".join(names)}')
        size = 1024 if batch_size is None else batch_size * 8
        subsets = ("training", "validation") if self.subset == "both" else (self.subset,)
        made = []
        for subset in subsets:
            part, part_labels = self._part(paths, labels, subset)
            elements = part if part_labels is None else (part, _encoded(part_labels, self.label_mode, names or []))
            dataset = Dataset.from_tensor_slices(elements)
            if self.shuffle and not (self.subset == "both" and subset == "validation"):
                dataset = dataset.shuffle(size, seed=seed)
            made.append(FolderDataset(finish(dataset).node, part, names))
        return made[0] if len(made) == 1 else made

    def _check(self) -> None:
        if self.label_mode not in LABEL_MODES:
            raise TrainingError(f'label_mode is "int", "categorical", "binary" or None, got {self.label_mode!r}')
        is_list = isinstance(self.labels, list | tuple | np.ndarray)
        if not is_list and self.labels not in ("inferred", None):
            raise TrainingError(f'labels is "inferred", None or a list of whole numbers, one a file; '
                                f"got {self.labels!r}")
        if self.class_names is not None and not (isinstance(self.labels, str) and self.labels == "inferred"):
            raise TrainingError('class_names is for labels="inferred" only; otherwise the labels are the classes')
        if self.subset not in SUBSETS:
            raise TrainingError(f'subset is "training", "validation", "both" or None, got {self.subset!r}')
        if (self.validation_split is None) != (self.subset is None):
            raise TrainingError("validation_split and subset go together; give both or none")
        if self.validation_split is not None and not 0 < self.validation_split < 1:
            raise TrainingError(f"validation_split is between 0 and 1, got {self.validation_split}")
        if self.validation_split and self.shuffle and self.seed is None:
            raise TrainingError("validation_split of shuffled files needs a seed: without it the files that train and "
                                "those that validate would overlap")

    def _index(self, seed: int) -> tuple[list[str], Array | None, list[str] | None]:
        """Paths, their labels and the classes' names."""
        refuse_address(self.directory)
        directory = os.fspath(self.directory)
        if not os.path.isdir(directory):
            raise TrainingError(f"there is no folder {directory}")
        is_inferred = isinstance(self.labels, str)
        names = self._classes(directory) if is_inferred else None
        found = [list(_files(os.path.join(directory, name), self.endings, self.follow_links))
                 for name in (names if names is not None else [""])]
        paths = [path for part in found for path in part]
        labels: Array | None = None
        if names is not None:
            labels = np.repeat(np.arange(len(names), dtype=np.int32), [len(part) for part in found])
        elif self.labels is not None:
            if len(self.labels) != len(paths):
                raise TrainingError(f"there are {len(self.labels)} labels for {len(paths)} files in {directory}")
            given = np.asarray(self.labels)
            names = [str(label) for label in sorted(set(given.tolist()))]
            self._check_labels(given, 2 if self.label_mode == "binary" else len(names))
            labels = given.astype(np.int32)
        if self.label_mode is None:
            labels = None
        self._say(f"Found {len(paths)} files." if labels is None or names is None else
                  f"Found {len(paths)} files belonging to {len(names)} classes.")
        if self.shuffle:
            order = np.arange(len(paths))
            np.random.RandomState(seed).shuffle(order)
            paths, labels = [paths[i] for i in order], None if labels is None else labels[order]
        return paths, labels, names if labels is not None else None

    def _check_labels(self, labels: Array, count: int) -> None:
        if labels.size and labels.dtype.kind not in "iu":
            raise TrainingError(f"labels is a list of whole numbers, got {labels.dtype}, such as {labels.flat[0]!r}")
        if self.label_mode in ("categorical", "binary") and labels.size and not (
                labels.min() >= 0 and labels.max() < count):
            raise TrainingError(f'with label_mode="{self.label_mode}" the labels of {count} classes are 0 to '
                                f"{count - 1}, got {labels.max() if labels.min() >= 0 else labels.min()}")

    def _classes(self, directory: str) -> list[str]:
        there = sorted(name for name in os.listdir(directory)
                       if os.path.isdir(os.path.join(directory, name)) and not name.startswith("."))
        if self.class_names is None:
            return there
        unknown = [name for name in self.class_names if name not in there]
        if unknown:
            raise TrainingError(f"class_names has {unknown[0]!r}, which is no folder in {directory}; "
                                f"there are: {', '.join(there)}")
        return list(self.class_names)

    def _part(self, paths: list[str], labels: Array | None, subset: str | None) -> tuple[list[str], Array | None]:
        if self.validation_split is not None:
            place = len(paths) - int(self.validation_split * len(paths))
            chosen = slice(place) if subset == "training" else slice(place, None)
            paths, labels = paths[chosen], None if labels is None else labels[chosen]
            self._say(f"Using {len(paths)} files for {subset}.")
        if not paths:
            raise TrainingError(f"no {f'{subset} ' if subset else ''}files found in {self.directory}; "
                                f"their names end in {', '.join(self.endings)}")
        return paths, labels

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text)


def _files(directory: str, endings: tuple[str, ...], follow_links: bool) -> Iterator[str]:
    for root, _, names in sorted(os.walk(directory, followlinks=follow_links)):
        for name in sorted(names):
            if name.lower().endswith(endings):
                yield str(Path(root) / name)


def _encoded(labels: Array, mode: str | None, names: Sequence[str]) -> Array:
    if mode == "binary":
        return labels.astype(np.float32)[:, None]
    if mode == "categorical":
        return np.equal(labels[:, None], np.arange(len(names))).astype(np.float32)
    return labels
