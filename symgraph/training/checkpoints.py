"""Checkpoints: the state of a training in one file that is whole or not there, whenever the process may end.

A checkpoint is a zip archive of uncompressed `.npy` members with a manifest: a name, dtype, shape and sha256 of each
array, and data beside them. It is written to a temporary file in the same folder, brought to disk, and then takes the
place of the old one. Reading gives what was written, bit for bit, or an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
import time
import warnings
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from symgraph.core.errors import DtypeError, ResourceError, SymgraphError
from symgraph.core.types import as_dtype
from symgraph.core.value import Array
from symgraph.runtime.files import replacing
from symgraph.training.checkpoint_data import pack
from symgraph.training.checkpoint_reading import FORMAT, MANIFEST, VERSION, Archive, bits_of, is_custom

SUFFIX = ".ckpt"
"""What names of checkpoint files end with."""


def write_checkpoint(path: str | os.PathLike[str], arrays: Mapping[str, Array], data: Any = None) -> None:
    """Write arrays by name, and data, as one file that appears whole or not at all.

    `data` is what JSON knows (dicts, lists, strings, numbers, None; NaN and infinities too), and NumPy arrays anywhere
    in it. Leftovers of writers of the same file that were killed are removed.

    Errors: `DtypeError` for arrays that are no numbers, `TrainingError` for other data, `ResourceError` where the
    disk does not take it, and then the old file stays.

    >>> from symgraph.training.checkpoints import read_checkpoint, write_checkpoint
    >>> write_checkpoint("a.ckpt", {"w": np.ones(2, np.float32)}, {"epoch": 3, "best": [np.arange(2)]})
    >>> arrays, data = read_checkpoint("a.ckpt")
    >>> arrays["w"].tolist(), data["epoch"], data["best"][0].tolist()
    ([1.0, 1.0], 3, [0, 1])
    """
    path = Path(os.path.realpath(path))
    plain, inside = pack(data)
    named = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in [*named.items(), *(("in the data", array) for array in inside)]:
        if array.dtype.hasobject or array.dtype.kind in "USMm" or array.dtype.names:
            raise DtypeError(f"checkpoint: array {name} is of dtype {array.dtype}, expected numbers")
    _clear_leftovers(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            _mark_as_in_use(file)
            _write(file, [*named.items(), *((None, array) for array in inside)], plain)
    except OSError as error:
        raise ResourceError(f"{path}: the checkpoint could not be written ({error.strerror or error}); "
                            "what stands there is whole") from error


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Array], Any]:
    """The arrays by name, and the data, of a checkpoint; every byte is checked against the manifest.

    Errors: `FormatError` for what is no checkpoint, or a damaged one, or one of a later version; its kind
    `UnsafeModelError` for arrays of objects and names that lead elsewhere; `LimitError` for sizes that cannot be.
    """
    with Archive(Path(path)) as archive:
        return archive.read()


def check_checkpoint(path: str | os.PathLike[str]) -> None:
    """Read a checkpoint through without keeping it.

    Errors: as `read_checkpoint`.
    """
    with Archive(Path(path)) as archive:
        archive.check()


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """The whole checkpoint of a folder that was written last, by what the files themselves say; None without one.

    A damaged one is passed over, with a warning, and stays where it is.
    """
    found = []
    for path in sorted(Path(folder).glob(f"*{SUFFIX}")):
        try:
            with Archive(path) as archive:
                found.append((archive.written, path))
        except SymgraphError as error:
            warnings.warn(f"passed over: {error}", stacklevel=2)
    for _, path in sorted(found, reverse=True):
        try:
            check_checkpoint(path)
        except SymgraphError as error:
            warnings.warn(f"passed over: {error}", stacklevel=2)
        else:
            return path
    return None


def _write(file: BinaryIO, arrays: list[tuple[str | None, Array]], plain: Any) -> None:
    entries = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, array) in enumerate(arrays):
            member = f"{number}.npy"
            sha256 = _write_array(archive, member, array)
            entries.append({"name": name, "member": member, "dtype": as_dtype(array.dtype),
                            "shape": list(array.shape), "sha256": sha256})
        # The manifest comes last: with it, and the table of contents after it, the file is complete.
        manifest = {"format": FORMAT, "version": VERSION, "symgraph": metadata.version("symgraph"),
                    "written": time.time_ns(), "arrays": entries, "data": plain}
        archive.writestr(MANIFEST, json.dumps(manifest, allow_nan=False))


def _write_array(archive: zipfile.ZipFile, member: str, array: Array) -> str:
    """Write an array as a `.npy` file; give its sha256."""
    bits = bits_of(array.dtype)
    plain = np.asarray(array, array.dtype if is_custom(array.dtype) else np.dtype(bits), order="C")
    text = f"{{'descr': {bits!r}, 'fortran_order': False, 'shape': {tuple(map(int, array.shape))!r}, }}"
    header = text.encode() + b" " * (-(len(text) + 11) % 64) + b"\n"
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    content = plain.reshape(-1).view(np.uint8).data if plain.size else b""
    digest = hashlib.sha256(start)
    with archive.open(member, "w", force_zip64=True) as file:
        file.write(start)
        file.write(content)
    digest.update(content)
    return digest.hexdigest()


# Temporary files that were left behind. `replacing` names them after the file they were for.

def _clear_leftovers(path: Path) -> None:
    """Remove temporary files of writers that ended before they were done; those of living ones are locked."""
    pattern = re.compile(rf"\.{re.escape(path.name[:100])}\.[0-9a-f]{{12}}\.tmp")
    for name in os.listdir(path.parent) if path.parent.is_dir() else ():
        if pattern.fullmatch(name) and not (path.parent / name).is_symlink():
            _remove_unless_in_use(path.parent / name)


if sys.platform == "win32":

    def _mark_as_in_use(file: BinaryIO) -> None:
        """Nothing to do: what is open cannot be removed."""

    def _remove_unless_in_use(path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()

else:
    import fcntl

    def _mark_as_in_use(file: BinaryIO) -> None:
        with contextlib.suppress(OSError):  # not every network file system has locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _remove_unless_in_use(path: Path) -> None:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
