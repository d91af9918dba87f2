"""`audio_dataset_from_directory`: sounds in folders named after their classes."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.core.errors import TrainingError
from symgraph.core.value import Tensor
from symgraph.training.data.columns import Array
from symgraph.training.data.dataset import AUTOTUNE, Dataset
from symgraph.training.data.elements import number_of
from symgraph.training.data.folder_index import Folder


def audio_dataset_from_directory(
        directory: Any, labels: Any = "inferred", label_mode: str | None = "int",
        class_names: Sequence[str] | None = None, batch_size: int | None = 32, sampling_rate: int | None = None,
        output_sequence_length: int | None = None, ragged: bool = False, shuffle: bool = True, seed: int | None = None,
        validation_split: float | None = None, subset: str | None = None, follow_links: bool = False,
        verbose: bool = True) -> Any:
    """Batches of the sounds (files `.wav` of whole-number samples) in a folder, with the number of their folder.

    Elements are pairs of sounds, float32 `(batch, samples, channels)` from -1 to 1, and labels; all else is as in
    `image_dataset_from_directory`. Sounds are cut, or filled up with zeros, to `output_sequence_length` samples,
    otherwise filled up to the longest of the batch. With `sampling_rate` (Hz) those of another rate are brought to it,
    by their Fourier coefficients.

    Errors: `TrainingError`, also for `ragged`, for which there are no tensors.
    """
    if ragged:
        raise TrainingError("there are no ragged tensors; leave ragged out: shorter sounds are filled up with zeros")
    rate = None if sampling_rate is None else number_of(sampling_rate, "sampling_rate", 1)
    length = None if output_sequence_length is None else number_of(output_sequence_length, "output_sequence_length", 1)

    def read(path: str) -> Tensor:
        return Tensor(_fitted(_read(path, rate), length))

    def finish(paths: Dataset) -> Dataset:
        sounds = paths.map(lambda path, *label: (read(path), *label) if label else read(path), AUTOTUNE)
        if batch_size is None:
            return sounds.prefetch()
        return (sounds.padded_batch(batch_size) if length is None else sounds.batch(batch_size)).prefetch()

    folder = Folder(directory, labels, None if labels is None else label_mode, class_names, shuffle, seed,
                    validation_split, subset, follow_links, verbose, (".wav",))
    return folder.datasets(finish, batch_size)


def _read(path: str, wanted: int | None) -> Array:
    """The samples of a WAV file, float32 `(samples, channels)`."""
    try:
        with wave.open(path, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = file.readframes(file.getnframes())
        if len(data) % (width * channels):
            raise EOFError(f"it ends in the middle of a sample, after {len(data)} bytes of them")
    except (wave.Error, EOFError) as error:
        raise TrainingError(f"{path} is no WAV file of whole-number samples: {error}") from None
    samples = _decoded(data, width).reshape(-1, channels)
    return samples if wanted in (None, rate) else _resampled(samples, rate, wanted or rate)


def _decoded(data: bytes, width: int) -> Array:
    """Samples of `width` bytes from -1 to 1: those of one byte are unsigned, others signed."""
    raw = np.frombuffer(data, np.uint8)
    if width == 1:
        return (raw.astype(np.float32) - 128) / 128
    whole = np.zeros((len(raw) // width, 4), np.uint8)  # the most significant bytes of 32-bit numbers
    whole[:, 4 - width:] = raw.reshape(-1, width)
    return (whole.view("<i4")[:, 0] / 2.0**31).astype(np.float32)


def _resampled(samples: Array, rate: int, wanted: int) -> Array:
    """The sound at another rate: its Fourier series, cut off or continued with zeros."""
    count = max(round(len(samples) * wanted / rate), 1)
    spectrum = np.fft.rfft(samples, axis=0)
    kept = min(len(spectrum), count // 2 + 1)
    return (np.fft.irfft(spectrum[:kept], count, axis=0) * (count / max(len(samples), 1))).astype(np.float32)


def _fitted(samples: Array, length: int | None) -> Array:
    if length is None or len(samples) == length:
        return samples
    out = np.zeros((length, samples.shape[1]), np.float32)
    out[:min(length, len(samples))] = samples[:length]
    return out
