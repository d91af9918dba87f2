"""Model files: what a file is, mapping the data beside it, and writing so that a failure leaves the old file."""

from __future__ import annotations

import mmap
import os
import secrets
import stat
import warnings
from bisect import bisect_left, insort
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from symgraph.core.errors import FormatError, LimitError, SymgraphError, UnsafeModelError

Source = str | os.PathLike[str] | bytes | ModelProto


@dataclass(frozen=True)
class Limits:
    """What a model may ask for at most; hand larger numbers to `load_graph` to raise them.

    `subgraph_depth` counts If, Loop and Scan bodies inside one another, `function_depth` calls of local
    functions, `inlined_nodes` the nodes that all calls stand for; `tensor_bytes` is the size of one tensor,
    `sparse_bytes` that of one that is stored sparsely.
    """

    subgraph_depth: int = 32
    function_depth: int = 100
    functions: int = 10_000
    inlined_nodes: int = 1_000_000
    rank: int = 64
    tensor_bytes: int = 2**40
    sparse_bytes: int = 2**32


def read_model(source: Source, limits: Limits) -> tuple[ModelProto, Path | None, str]:
    """The model in a file, in bytes, or given as it is; its path, and what to call it in messages.

    Errors: `FormatError` saying what the data looks like instead, `LimitError` for subgraphs nested too deep.
    """
    if isinstance(source, ModelProto):
        return source, None, f"model {source.graph.name!r}"
    if isinstance(source, bytes | bytearray | memoryview):
        path, who, data = None, "these bytes", bytes(source)
    else:
        path = Path(source)
        who = str(path)
        data = _read(path)
    if not data:
        raise FormatError(f"{who}: an empty file, expected an ONNX model")
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise _unreadable(who, data, limits) from error
    if not model.HasField("graph"):
        raise FormatError(f"{who}: {_looks_like(data) or 'holds no graph'}, expected an ONNX model")
    return model, path, who


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        known = ((FileNotFoundError, "no such file"), (IsADirectoryError, "a directory"))
        reason = next((text for kind, text in known if isinstance(error, kind)), str(error))
        raise FormatError(f"{path}: {reason}, expected an ONNX model") from None


def _unreadable(who: str, data: bytes, limits: Limits) -> SymgraphError:
    looks = _looks_like(data)
    if looks:
        return FormatError(f"{who}: {looks}, expected an ONNX model")
    depth = _subgraph_depth(data)
    if depth > limits.subgraph_depth:
        return LimitError(f"{who}: subgraphs are nested {depth} deep, the limit is {limits.subgraph_depth} "
                          "(protobuf cannot read more than 32)")
    return FormatError(f"{who}: not an ONNX model, or a truncated one ({len(data)} bytes)")


def _looks_like(data: bytes) -> str | None:
    """What data that is not an ONNX model seems to be."""
    start = data[:512].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; run git lfs pull"
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page, perhaps an error message saved by a download"
    if start.startswith(b"<?xml"):
        return "an XML document"
    known = {b"PK\x03\x04": "a zip archive (.keras, .pt and .npz are such)", b"\x89HDF": "an HDF5 file (.h5)",
             b"ORTM": "a model in ONNX Runtime's own format (.ort)", b"\x1f\x8b": "a gzip archive",
             b"\x93NUMPY": "a NumPy array"}
    found = next((text for magic, text in known.items() if data[:512].startswith(magic)), None)
    if found is None and data[4:8] == b"ORTM":
        return known[b"ORTM"]
    if found is None and start.startswith((b"{", b"[")):
        return "a text that starts as JSON does"
    return found


# The fields that lead from a model to a subgraph inside a subgraph: graph, node, attribute, g and graphs.
_PATH = {("model", 7): "graph", ("graph", 1): "node", ("node", 5): "attribute",
         ("attribute", 6): "graph", ("attribute", 11): "graph"}


def _subgraph_depth(data: bytes) -> int:
    """How deep subgraphs are nested in a file that protobuf refuses; 0 where it cannot be told."""
    deepest = 0
    budget = 1_000_000
    waiting = [("model", 0, len(data), -1)]
    while waiting and budget > 0:
        kind, position, end, depth = waiting.pop()
        for number, start, stop in islice(_fields(data, position, end), budget):
            budget -= 1
            inner = _PATH.get((kind, number))
            if inner is None:
                continue
            below = depth + (inner == "graph")
            deepest = max(deepest, below)
            waiting.append((inner, start, stop, below))
    return deepest


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The length-delimited fields of a protobuf message: number, start, stop; ends quietly where it is broken."""
    while position < end:
        key, position = _varint(data, position, end)
        wire = key & 7
        if wire == 0:
            _, position = _varint(data, position, end)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        elif wire == 2:
            length, position = _varint(data, position, end)
            if position + length > end:
                return
            yield key >> 3, position, position + length
            position += length
        else:
            return


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position
    return value, end


@dataclass
class ExternalFiles:
    """The data files beside a model: mapped when a tensor first asks, never outside the model's own directory."""

    path: Path | None
    who: str
    allow_hardlinks: bool = False
    _maps: dict[str, memoryview] = field(default_factory=dict)
    _ranges: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)

    def data(self, tensor: TensorProto, size: int) -> memoryview:
        """The bytes of a tensor of `size` bytes.

        Errors: `UnsafeModelError` for a place outside, `FormatError` for a range the file does not have.
        """
        entries = {entry.key: entry.value for entry in tensor.external_data}
        for key in entries.keys() - {"location", "offset", "length", "checksum"}:
            warnings.warn(f"{self.who}: tensor {tensor.name!r} has an unknown external_data key {key!r}; ignored",
                          stacklevel=2)
        location = entries.get("location", "")
        if not location:
            raise FormatError(f"{self.who}: tensor {tensor.name!r} has external data without a location")
        offset = self._number(tensor, "offset", entries.get("offset", "0"))
        length = self._number(tensor, "length", entries.get("length", str(size)))
        if length != size:
            raise FormatError(f"{self.who}: tensor {tensor.name!r} takes {size} bytes, its external data has {length}")
        mapped = self._map(location, tensor.name)
        if offset + length > len(mapped):
            raise FormatError(f"{self.who}: tensor {tensor.name!r} wants the bytes {offset} to {offset + length} of "
                              f"{location!r}, which has {len(mapped)}")
        self._claim(location, offset, offset + length, tensor.name)
        return mapped[offset:offset + length]

    def _number(self, tensor: TensorProto, key: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise FormatError(f"{self.who}: tensor {tensor.name!r} has the external data {key} {text[:40]!r}, "
                              "expected a whole number from 0")
        return int(text)

    def _claim(self, location: str, start: int, stop: int, name: str) -> None:
        """Ranges may be shared whole (tied weights) but not overlap in part."""
        ranges = self._ranges.setdefault(location, [])
        position = bisect_left(ranges, (start, stop, ""))
        for other in ranges[max(position - 1, 0):position + 1]:
            if other[:2] != (start, stop) and other[0] < stop and start < other[1]:
                raise FormatError(f"{self.who}: tensors {other[2]!r} and {name!r} overlap in the file {location!r}")
        if start < stop and (position == len(ranges) or ranges[position][:2] != (start, stop)):
            insort(ranges, (start, stop, name))

    def _map(self, location: str, name: str) -> memoryview:
        if location not in self._maps:
            self._maps[location] = self._open(location, name)
        return self._maps[location]

    def _open(self, location: str, name: str) -> memoryview:
        what = f"{self.who}: tensor {name!r} has its data in {location[:200]!r}"
        if self.path is None:
            raise FormatError(f"{what}, but the model was not read from a file; load it from its path")
        windows = PureWindowsPath(location)
        if "\0" in location or windows.drive or windows.root or ".." in windows.parts:
            raise UnsafeModelError(f"{what}: only files in the model's own directory are read")
        real = os.path.realpath(self.path.parent / location)
        roots = {os.path.realpath(self.path.parent), os.path.dirname(os.path.realpath(self.path))}
        if not any(os.path.commonpath((root, real)) == root for root in roots):
            raise UnsafeModelError(f"{what}: a link that leads out of the model's own directory, to {real}")
        try:
            descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise FormatError(f"{what}: {error.strerror}") from None
        with open(descriptor, "rb"):
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UnsafeModelError(f"{what}, which is not a regular file")
            if status.st_nlink > 1 and not self.allow_hardlinks:
                raise UnsafeModelError(f"{what}, which is a hard link and may be a file from elsewhere; "
                                       "give allow_hardlinks=True if it is meant to be")
            if status.st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a new file in the place of `path`: it appears there whole when the block ends well, or not at all.

    The temporary file lies in the same directory. A symbolic link stays one: what it points to is replaced.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    with open(temporary, "xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
            file.close()
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):  # what could not be written is written once more at closing
                file.close()
            with suppress(FileNotFoundError):  # interrupted just after it took its place
                os.unlink(temporary)
            raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
