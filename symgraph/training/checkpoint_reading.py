"""Reading checkpoint files, which may be damaged or made by somebody with other intentions: all is checked first."""

from __future__ import annotations

import ast
import hashlib
import io
import math
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Self

import numpy as np

from symgraph.core.errors import DtypeError, FormatError, LimitError, UnsafeModelError
from symgraph.core.types import as_dtype, numpy_dtype
from symgraph.core.value import Array
from symgraph.runtime.files import Limits
from symgraph.training.checkpoint_data import LONGEST, read_json, unpack

FORMAT = "symgraph checkpoint"
VERSION = 1
MANIFEST = "manifest.json"
_FIELDS = {"format", "version", "symgraph", "written", "arrays", "data"}
_NPY_MAGIC = b"\x93NUMPY\x01\x00"


@dataclass(frozen=True)
class Entry:
    """What the manifest says of an array; one of the data has no name."""

    name: str | None
    member: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str


class Archive:
    """An open checkpoint. Its table of contents and its manifest are checked when it is opened."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path, self.limits = path, limits or Limits()
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
            self._file = open(path, "rb") if is_file else io.BytesIO()  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise FormatError(f"{path}: {(error.strerror or str(error)).lower()}, expected a checkpoint") from None
        if not is_file:
            raise FormatError(f"{path}: not a regular file, expected a checkpoint")
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._members = self._table()
            self._read_manifest()
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
            self._file.close()
            if isinstance(error, FormatError | LimitError):
                raise
            raise self._error(f"not a checkpoint, or a damaged one ({error})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._file.close()

    def _error(self, reason: str, kind: type[FormatError | LimitError] = FormatError) -> FormatError | LimitError:
        return kind(f"{self.path}: {reason}")

    # The table of contents.

    def _table(self) -> dict[str, zipfile.ZipInfo]:
        size = self.path.stat().st_size
        members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.orig_filename
            windows = PureWindowsPath(name)
            if "\0" in name or windows.drive or windows.root or ".." in windows.parts or _is_link(info):
                raise self._error(f"the member {name[:80]!r} leads out of the archive", UnsafeModelError)
            if name in members:
                raise self._error(f"has the member {name[:80]!r} twice")
            if info.flag_bits & 0x1:
                raise self._error(f"the member {name[:80]!r} is encrypted")
            if info.compress_type != zipfile.ZIP_STORED:
                if info.file_size > 100 * max(info.compress_size, 1) and info.file_size > 2**20:
                    raise self._error(f"the member {name[:80]!r} would grow from {info.compress_size} to "
                                      f"{info.file_size} bytes", LimitError)
                raise self._error(f"the member {name[:80]!r} is compressed; those of a checkpoint are not")
            members[name] = info
        if sum(info.file_size for info in members.values()) > size:
            raise self._error(f"its members claim more bytes than the file has ({size})", LimitError)
        return members

    # The manifest.

    def _read_manifest(self) -> None:
        info = self._members.get(MANIFEST)
        if info is None:
            raise self._error(f"a zip archive without a {MANIFEST}, expected a checkpoint")
        if info.file_size > LONGEST:
            raise self._error(f"its manifest has {info.file_size} bytes, the limit is {LONGEST}", LimitError)
        try:
            manifest = read_json(self._zip.read(info))
        except (FormatError, LimitError) as error:
            raise self._error(f"its manifest: {error}") from None
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise self._error("its manifest is not that of a checkpoint")
        version = manifest.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            raise self._error(f"has the format version {version!r}, this symgraph reads {VERSION}; it was written by "
                              f"symgraph {manifest.get('symgraph')!r}, use that or a later one")
        if set(manifest) != _FIELDS or type(manifest["written"]) is not int or not isinstance(manifest["arrays"], list):
            raise self._error("its manifest is not complete")
        self.written: int = manifest["written"]
        self.symgraph = manifest["symgraph"]
        self._data = manifest["data"]
        self._entries = [self._entry(each) for each in manifest["arrays"]]
        listed = {entry.member for entry in self._entries}
        if listed | {MANIFEST} != set(self._members) or len(listed) != len(self._entries):
            raise self._error("its members are not those that its manifest lists")
        names = [entry.name for entry in self._entries if entry.name is not None]
        if len(set(names)) != len(names):
            raise self._error("its manifest has an array twice")

    def _entry(self, given: Any) -> Entry:
        kinds = {"name": str | None, "member": str, "dtype": str, "shape": list, "sha256": str}
        if not isinstance(given, dict) or set(given) != set(kinds) or not all(
                isinstance(given[k], kind) for k, kind in kinds.items()) or not all(
                type(n) is int and n >= 0 for n in given["shape"]):
            raise self._error(f"its manifest has {str(given)[:200]} in the place of an array")
        entry = Entry(given["name"], given["member"], given["dtype"], tuple(given["shape"]), given["sha256"])
        try:
            item = numpy_dtype(as_dtype(entry.dtype))
        except DtypeError as error:
            raise self._error(f"array {entry.name!r}: {error}") from None
        if item.hasobject:
            raise self._error(f"array {entry.name!r} is of objects, which would be unpickled", UnsafeModelError)
        needed = math.prod(entry.shape) * item.itemsize
        if needed > self.limits.tensor_bytes or len(entry.shape) > self.limits.rank:
            raise self._error(f"array {entry.name!r} of shape {list(entry.shape)} takes {needed} bytes, the limit is "
                              f"{self.limits.tensor_bytes} bytes and rank {self.limits.rank}", LimitError)
        return entry

    # The arrays.

    def read(self) -> tuple[dict[str, Array], Any]:
        """All arrays by name, and the data."""
        named: dict[str, Array] = {}
        inside: list[Array] = []
        for entry in self._entries:
            array = self._array(entry)
            if entry.name is None:
                inside.append(array)
            else:
                named[entry.name] = array
        try:
            return named, unpack(self._data, inside)
        except (FormatError, RecursionError) as error:
            raise self._error(str(error)) from None

    def check(self) -> None:
        """Read every array once."""
        for entry in self._entries:
            self._array(entry)

    def _array(self, entry: Entry) -> Array:
        who = f"array {entry.name!r}" if entry.name is not None else f"the array {entry.member}"
        try:
            content = self._zip.read(entry.member)
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise self._error(f"{who} cannot be read: {error}") from None
        header, start = self._header(who, content)
        item = numpy_dtype(as_dtype(entry.dtype))
        if header != (bits_of(item), False, entry.shape):
            raise self._error(f"{who} is {header[0]}{list(header[2])}, its manifest says "
                              f"{entry.dtype}{list(entry.shape)}")
        if len(content) - start != math.prod(entry.shape) * item.itemsize:
            raise self._error(f"{who} has {len(content) - start} bytes, its shape {list(entry.shape)} takes "
                              f"{math.prod(entry.shape) * item.itemsize}")
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise self._error(f"{who} is damaged: its sha256 is not that in the manifest")
        return np.frombuffer(content, item, offset=start).reshape(entry.shape)

    def _header(self, who: str, content: bytes) -> tuple[tuple[str, bool, tuple[int, ...]], int]:
        """The dtype, order and shape at the start of a `.npy` file, and where its data begins."""
        length = int.from_bytes(content[8:10], "little")
        start = 10 + length
        if not content.startswith(_NPY_MAGIC) or start > len(content) or length > 10_000:
            raise self._error(f"{who} is not a .npy file of version 1")
        try:
            header = ast.literal_eval(content[10:start].decode("latin-1"))
            found = (header["descr"], header["fortran_order"], header["shape"])
        except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
            raise self._error(f"{who} has a .npy header that cannot be read") from None
        if not isinstance(found[0], str) or "O" in found[0]:
            raise self._error(f"{who} is of objects, which would be unpickled", UnsafeModelError)
        return found, start


def bits_of(dtype: np.dtype[Any]) -> str:
    """The `.npy` name of the dtype an array is stored as: its own, or bits for those that NumPy does not know."""
    return (np.dtype(f"u{dtype.itemsize}") if is_custom(dtype) else dtype).newbyteorder("<").str


def is_custom(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is not NumPy's own, as bfloat16 is not."""
    return dtype.kind == "V" or dtype.isbuiltin == 2


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16)
