"""Graphs as ONNX models and files: whole or not at all, with large weights beside the file."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError
from onnx import ModelProto, OperatorSetIdProto, TensorProto, helper
from onnx.defs import onnx_opset_version

from symgraph.core.errors import LimitError, ResourceError, UnsupportedOpError
from symgraph.core.graph import Graph
from symgraph.core.op import DEFAULT_IR_VERSION, DEFAULT_OPSETS
from symgraph.core.types import ELEM_TYPES, as_dtype
from symgraph.core.value import Tensor
from symgraph.core.variable import Variable
from symgraph.runtime.files import replacing
from symgraph.runtime.opsets import choose_opsets, convert, graph_ops, stands_in, walk_nodes
from symgraph.runtime.tensors import stored_bytes, stored_data, write_tensor
from symgraph.runtime.writer import MAX_MODEL_BYTES, ModelWriter

__all__ = ["Exported", "choose_opsets", "clear_errors", "save", "to_model", "walk_nodes"]

OLDEST_OPSET = 7
"""Older operators meant other things; ONNX Runtime does not take them either."""

MIN_EXTERNAL = 1024
"""Tensors with fewer bytes stay in the model file."""

ALIGNMENT = 4096
"""Tensors in a data file begin at multiples of this, so that they can be mapped."""


@dataclass
class Exported:
    """A model and the weights that were left out of it, by initializer name."""

    model: ModelProto
    weights: dict[str, Tensor | Variable] = field(default_factory=dict)


def to_model(graph: Graph, *, opset: int | None = None, ir_version: int | None = None, keep_weights_out: bool = False,
             allow_newer: bool = False, variables_as_inputs: bool = False,
             metadata: Mapping[str, str] | None = None) -> Exported:
    """Write the graph as an ONNX model. With `keep_weights_out`, initializers are handed over beside it.

    The opset is the asked one, that of the file the graph came from, or the default one; nodes that do not stand
    in it are converted. Composite ops of symgraph are written as what they are made of, other ops with a body as
    local functions. A newer opset than the default is taken only where it is asked for, comes from the file, or
    with `allow_newer`. With `variables_as_inputs` variables are written as inputs, after the graph's own.

    Errors: `UnsupportedOpError` for an operator that the opset does not have, `LimitError` for weights of more
    than 2 GB, `GraphError` where an output has the name of another value.
    """
    if opset is not None and not OLDEST_OPSET <= opset <= onnx_opset_version():
        raise UnsupportedOpError(f"graph {graph.name!r} cannot be written at opset {opset}: symgraph writes "
                                 f"{OLDEST_OPSET} to {onnx_opset_version()}, which the installed onnx knows")
    opsets = choose_opsets(graph, opset)
    if opset is None and not allow_newer:
        _check_not_newer(graph, opsets[""])
    if any(not op.domain and not stands_in(op, opsets[""]) for op in graph_ops(graph)):
        graph = convert(graph, opsets[""])
    writer = ModelWriter(opsets)
    proto = writer.main(graph, keep_weights_out=keep_weights_out, variables_as_inputs=variables_as_inputs)
    imports = [helper.make_opsetid(domain, number) for domain, number in sorted(writer.used_opsets().items())]
    model = ModelProto(ir_version=ir_version or _ir_version(imports), opset_import=imports, producer_name="symgraph",
                       producer_version=_own_version(), functions=writer.functions.values())
    model.graph.CopyFrom(proto)
    for key, value in {**graph.metadata, **(metadata or {})}.items():
        if key == "doc_string":
            model.doc_string = value
        else:
            model.metadata_props.add(key=key, value=value)
    return Exported(model, writer.weights)


def _check_not_newer(graph: Graph, opset: int) -> None:
    limit = max(DEFAULT_OPSETS[""], graph.opsets.get("", 0))
    if opset > limit:
        standard = [op for op in graph_ops(graph) if not op.domain]
        newer = sorted({f"{op} (opset {op.version})" for op in standard if op.version > limit})
        raise UnsupportedOpError(
            f"graph {graph.name!r} uses {', '.join(newer)}, but is exported with opset {limit} "
            f"so that ONNX Runtime 1.20 can load it; give opset={opset} to export it for newer ones")


def _ir_version(imports: list[OperatorSetIdProto]) -> int:
    return int(max(DEFAULT_IR_VERSION, helper.find_min_ir_version_for(imports, ignore_unknown=True)))


def _own_version() -> str:
    try:
        return version("symgraph")
    except PackageNotFoundError:
        return ""


def save(graph: Graph, path: str | os.PathLike[str] | BinaryIO, *, opset: int | None = None,
         metadata: Mapping[str, str] | None = None, external_data: bool | None = None) -> None:
    """Write a graph as an ONNX file, or into an open binary file.

    `metadata` is added to what the graph has. With `external_data` the weights go to `NAME.data` beside the
    file; unless said otherwise they do so where the file would be larger than protobuf's 2 GB. An existing
    file is replaced only when the new one is complete on the disk.

    Errors: as `to_model`, `LimitError` for more than 2 GB in one file, `ResourceError` where the disk is full.
    """
    exported = to_model(graph, opset=opset, keep_weights_out=True, metadata=metadata)
    size = exported.model.ByteSize() + sum(_bytes_in_file(x) + 64 + len(name) for name, x in exported.weights.items())
    is_path = isinstance(path, str | os.PathLike)
    if external_data is None:
        external_data = size > MAX_MODEL_BYTES and is_path
    if external_data and not is_path:
        raise LimitError("external data needs a path to lie beside; give the path of the file")
    if size > MAX_MODEL_BYTES and not external_data:
        raise LimitError(f"graph {graph.name!r} takes {size} bytes, one ONNX file takes at most {MAX_MODEL_BYTES}; "
                         "save it to a path, with external_data=True or None")
    if not isinstance(path, str | os.PathLike):
        path.write(_inline(exported).SerializeToString())
        return
    target = Path(os.path.realpath(path))
    with clear_errors(Path(path)):
        old_data = _data_files_of(target)
        if external_data:
            _save_beside(exported, target)
        else:
            with replacing(target) as file:
                file.write(_inline(exported).SerializeToString())
        for old in old_data:
            old.unlink(missing_ok=True)


def _bytes_in_file(x: Tensor | Variable) -> int:
    if x.dtype == "string":
        return sum(len(str(text).encode()) + 5 for text in x.numpy().flat)
    return stored_bytes(x.dtype, x.size)


def _inline(exported: Exported) -> ModelProto:
    model = exported.model
    for name, x in exported.weights.items():
        write_tensor(model.graph.initializer.add(), x.numpy(), name)
    return model


@contextmanager
def clear_errors(target: Path) -> Iterator[None]:
    """Say of a full or broken disk that the file was not saved, and that what was there is unchanged; of a folder that
    is not there or not ours, by the name that was given.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG):
            raise ResourceError(
                f"{target} was not saved ({error.strerror}); what was there before is unchanged") from error
        raise type(error)(error.errno, error.strerror, str(target)) from None


def _save_beside(exported: Exported, target: Path) -> None:
    """Write data under a name that no file has yet, then the model that refers to it."""
    data = _free_data_path(target)
    try:
        with replacing(data) as file:
            for name, x in exported.weights.items():
                _write_external(exported.model.graph.initializer.add(), name, x, file, data.name)
        with replacing(target) as file:
            file.write(exported.model.SerializeToString())
    except BaseException:
        data.unlink(missing_ok=True)
        raise


def _free_data_path(target: Path) -> Path:
    path, number = target.with_name(f"{target.name}.data"), 0
    while path.exists():
        number += 1
        path = target.with_name(f"{target.name}.{number}.data")
    return path


def _write_external(proto: TensorProto, name: str, x: Tensor | Variable, file: BinaryIO, location: str) -> None:
    array = x.numpy()
    if x.dtype == "string" or _bytes_in_file(x) < MIN_EXTERNAL:
        write_tensor(proto, array, name)
        return
    offset = -file.tell() % ALIGNMENT + file.tell()
    file.seek(offset)
    length = file.write(stored_data(array))
    proto.name, proto.data_type = name, ELEM_TYPES[as_dtype(array.dtype)]
    proto.dims.extend(array.shape)
    proto.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        proto.external_data.add(key=key, value=str(value))


def _data_files_of(target: Path) -> list[Path]:
    """The data files of the model at `target` that have names which `save` gives."""
    candidates = [path for path in target.parent.glob(f"{_escaped(target.name)}*.data")
                  if _MIDDLE.fullmatch(path.name[len(target.name):-len("data")])]
    if not candidates or not target.is_file():
        return []
    model = ModelProto()
    try:
        model.ParseFromString(target.read_bytes())
    except (DecodeError, OSError):
        return []
    entries = (entry for tensor in model.graph.initializer for entry in tensor.external_data)
    used = {entry.value for entry in entries if entry.key == "location"}
    return [path for path in candidates if path.name in used]


_MIDDLE = re.compile(r"\.(\d+\.)?")


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
