"""`image_dataset_from_directory`: pictures in folders named after their classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from symgraph.core.errors import TrainingError, nearest
from symgraph.core.value import Tensor
from symgraph.training.data.columns import Array
from symgraph.training.data.dataset import AUTOTUNE, Dataset
from symgraph.training.data.folder_index import Folder
from symgraph.training.data.image_files import FORMATS, MODES, img_to_array, load_img, pillow
from symgraph.training.data.image_sizes import (
    INTERPOLATIONS,
    cropped_to_aspect_ratio,
    padded_to_aspect_ratio,
    resized,
)

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def image_dataset_from_directory(
        directory: Any, labels: Any = "inferred", label_mode: str | None = "int",
        class_names: Sequence[str] | None = None, color_mode: str = "rgb", batch_size: int | None = 32,
        image_size: int | tuple[int, int] = (256, 256), shuffle: bool = True, seed: int | None = None,
        validation_split: float | None = None, subset: str | None = None, interpolation: str = "bilinear",
        follow_links: bool = False, crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False,
        data_format: str | None = None, format: str = "tf", verbose: bool = True) -> Any:
    """Batches of the pictures (BMP, GIF, JPEG, PNG) in a folder, with the number of the folder they lie in.

    Elements are pairs of images, float32 `(batch, height, width, channels)` from 0 to 255, and labels: int32
    `(batch,)`, with `label_mode="binary"` float32 `(batch, 1)`, with "categorical" one-hot `(batch, classes)`, with
    None no labels at all. `labels` may be a list of numbers in the order of the sorted paths. Pictures are brought to
    `image_size` by `interpolation` without antialiasing, stretched, cropped or padded. The result knows `class_names`
    and `file_paths`; with `subset="both"` it is a pair, for training and validation. `format` is accepted for Keras's
    sake.

    Errors: `TrainingError`; `MissingDependencyError` without Pillow.
    """
    pillow("image_dataset_from_directory")
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size):
        raise TrainingError(f"image_size is (height, width), got {image_size!r}")
    if color_mode not in MODES:
        raise TrainingError(f"color_mode is one of {', '.join(map(repr, MODES))}, got {color_mode!r}")
    if str(interpolation).lower() not in INTERPOLATIONS:
        raise TrainingError(f"no interpolation {interpolation!r}; {nearest(str(interpolation), INTERPOLATIONS)}")
    if data_format not in (None, *FORMATS):
        raise TrainingError(f'data_format is "channels_last" or "channels_first", got {data_format!r}')
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise TrainingError("crop_to_aspect_ratio and pad_to_aspect_ratio exclude each other; give one of them")
    if format not in ("tf", "grain"):
        raise TrainingError(f'format is "tf" or "grain", for Keras\'s sake; got {format!r}')
    fit = cropped_to_aspect_ratio if crop_to_aspect_ratio else \
        padded_to_aspect_ratio if pad_to_aspect_ratio else resized
    read = partial(_read, color_mode=color_mode, size=size, interpolation=interpolation.lower(), fit=fit,
                   data_format=data_format)

    def finish(paths: Dataset) -> Dataset:
        images = paths.map(lambda path, *label: (read(path), *label) if label else read(path), AUTOTUNE)
        return images.prefetch() if batch_size is None else images.batch(batch_size).prefetch()

    folder = Folder(directory, labels, None if labels is None else label_mode, class_names, shuffle, seed,
                    validation_split, subset, follow_links, verbose, ENDINGS)
    return folder.datasets(finish, batch_size)


def _read(
        path: str, color_mode: str, size: tuple[int, int], interpolation: str, fit: Callable[..., Array],
        data_format: str | None) -> Tensor:
    try:
        pixels = img_to_array(load_img(path, color_mode))
    except OSError as error:
        raise TrainingError(f"{path} is no picture that Pillow can read: {error}") from None
    pixels = fit(pixels, *size, interpolation)
    return Tensor(pixels.transpose(2, 0, 1).copy() if data_format == "channels_first" else pixels)
