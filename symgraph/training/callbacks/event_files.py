"""TensorBoard's event files, through the writer of the `tensorboard` package, which is loaded only when it is used."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from symgraph.core.errors import MissingDependencyError
from symgraph.core.graph import Graph
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType
from symgraph.core.value import Array
from symgraph.core.variable import Variable

_MOST_IMAGES = 3


def require_tensorboard(who: str) -> None:
    """Say what to install where the package is not there.

    Errors: `MissingDependencyError`.
    """
    try:
        import_module("tensorboard.summary.writer.event_file_writer")
    except ImportError as error:
        raise MissingDependencyError(f"{who} needs the package tensorboard ({error}); "
                                     "pip install 'symgraph[tensorboard]'") from None


class EventFile:
    """An event file in `folder`, made when the first thing is written."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._writer: Any = None

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Write a number."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(step, summary=scalar_pb(tag, np.float32(value)))

    def histogram(self, tag: str, values: Array, step: int) -> None:
        """Write how values are distributed; those that are not finite do not count."""
        from tensorboard.plugins.histogram.summary_v2 import histogram_pb

        plain = np.asarray(values).astype(np.float64)
        self._add(step, summary=histogram_pb(tag, plain[np.isfinite(plain)]))

    def images(self, tag: str, images: Array, step: int) -> None:
        """Write up to three images: floats from 0 to 1 of shape (count, height, width, channels)."""
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        _, height, width, _ = images.shape
        texts = [str(width).encode(), str(height).encode(), *map(png, images[:_MOST_IMAGES])]
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(texts))])
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="images"))
        tensor = TensorProto(dtype=DT_STRING, tensor_shape=shape, string_val=texts)
        self._add(step, summary=Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)]))

    def graph(self, graph: Graph) -> None:
        """Write a graph, its nodes under the names of their layers."""
        self._add(0, graph_def=graph_def(graph).SerializeToString())

    def flush(self) -> None:
        """Bring to the disk what was written."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """End the file; what is written later goes to a new one."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _add(self, step: int, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(self.folder)
        self._writer.add_event(Event(wall_time=time.time(), step=step, **content))


def graph_def(graph: Graph) -> Any:
    """A graph as TensorBoard draws it: the names of nodes are paths of layers, edges carry shapes."""
    from tensorboard.compat.proto.attr_value_pb2 import AttrValue
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.versions_pb2 import VersionDef

    taken: set[str] = set()
    names: dict[Operand, str] = {}
    nodes: list[Any] = []

    def unique(name: str) -> str:
        plain = name.replace(":", "_") or "node"
        number, found = 0, plain
        while found in taken:
            number += 1
            found = f"{plain}_{number}"
        taken.add(found)
        return found

    def add(name: str, op: str, inputs: Sequence[str], results: Sequence[Operand | None]) -> None:
        shapes = [TensorShapeProto(unknown_rank=True) if dims is None else TensorShapeProto(
            dim=[TensorShapeProto.Dim(size=d) for d in dims]) for dims in map(_dims, results)]
        nodes.append(NodeDef(name=name, op=op, input=inputs, attr={
            "_output_shapes": AttrValue(list=AttrValue.ListValue(shape=shapes))}))

    def start(x: Operand, op: str, name: str) -> None:
        names[x] = unique(name)
        add(names[x], op, [], [x])

    for x, name in zip(graph.inputs, graph.input_names, strict=True):
        start(x, "Placeholder", name)
    for leaf in graph.leaves:
        start(leaf, "Variable" if isinstance(leaf, Variable) else "Const", graph.names[leaf])
    for node in graph.nodes:
        first = next((x for x in node.outputs if x is not None), None)
        own = graph.names[first] if first is not None else node.op.name
        path = "/".join(node.layer)
        name = unique(own if own.startswith(path) else f"{path}/{own}")
        names.update((y, name if i == 0 else f"{name}:{i}") for i, y in enumerate(node.outputs) if y is not None)
        add(name, node.op.name, [names[x] for x in node.operands if x is not None and x in names], node.outputs)
    for y, name in zip(graph.outputs, graph.output_names, strict=True):
        add(unique(f"outputs/{name}"), "Identity", [names[y]], [y])
    return GraphDef(node=nodes, versions=VersionDef(producer=22))


def _dims(x: Operand | None) -> list[int] | None:
    kind = x.type if isinstance(x, Operand) else None
    if not isinstance(kind, TensorType) or kind.shape is None:
        return None
    return [d if isinstance(d, int) else -1 for d in kind.shape]


def as_images(weight: Array) -> Array | None:
    """A weight as images: a kernel of two axes lies down, one of three is an image for each of its last.

    Values are spread over 0 to 1. None for other ranks.
    """
    w = np.squeeze(np.asarray(weight).astype(np.float64))
    if w.ndim == 1:
        w = w.reshape(1, -1, 1, 1)
    elif w.ndim == 2:
        w = (w.T if w.shape[0] > w.shape[1] else w)[None, :, :, None]
    elif w.ndim == 3:
        w = np.moveaxis(w, -1, 0)[..., None]
    if w.ndim != 4 or w.shape[-1] not in (1, 3, 4) or not w.size:
        return None
    low, high = float(w.min()), float(w.max())
    return np.asarray((w - low) / (high - low if high > low else 1.0))


def png(image: Array) -> bytes:
    """An image of floats from 0 to 1, of shape (height, width, 1, 3 or 4 channels), as a PNG file.

    >>> from symgraph.training.callbacks.event_files import png
    >>> png(np.zeros((2, 3, 1)))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    height, width, channels = image.shape
    colors = {1: 0, 3: 2, 4: 6}[channels]
    pixels = np.clip(np.nan_to_num(image) * 255.0 + 0.5, 0, 255).astype(np.uint8).reshape(height, -1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, colors, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data) for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())),
                                              (b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
