"""Shapes, joining, cutting, repeating, padding."""

from __future__ import annotations

from typing import Any

import numpy as np

import symgraph as sg
from symgraph.core.apply import apply_op
from symgraph.core.op import find_op
from tests.autodiff.cases import Case, normal


def _op(name: str, *inputs: Any, opset: int | None = None, outputs: int = 1, **attributes: Any) -> Any:
    """An operator of the standard on its first input, at any opset; lists are integers."""
    rest = [np.array(i, np.int64) if isinstance(i, list) else i for i in inputs]
    return lambda x, *more: apply_op(find_op(name, "", opset), x, *rest, *more, outputs=outputs, **attributes)


def _moving(function: Any) -> Any:
    """`function(x, number)`, where only the run knows that the number is 1."""
    return lambda x: function(x, sg.cast(sg.sum(sg.cast(x, "float64") * 0.0) + 1.0, "int64"))


def _slice_by(x: Any, one: Any) -> Any:
    return sg.ops.onnx("Slice", x, sg.reshape(one, (1,)), sg.reshape(one * 3, (1,)), np.array([1]))


def _slice_from_end(x: Any, one: Any) -> Any:
    return sg.ops.onnx("Slice", x, sg.reshape(-one * 2, (1,)), np.array([10**9]), np.array([0]))


def _slice_with_step(x: Any, one: Any) -> Any:
    return sg.ops.onnx("Slice", x, np.array([0]), np.array([9]), np.array([1]), sg.reshape(one * 2, (1,)))


def _slice_of_axis(x: Any, one: Any) -> Any:
    return sg.ops.onnx("Slice", x, np.array([0]), np.array([2]), sg.reshape(one, (1,)))


_PADS = {"before and after": [1, 0, 2, 1], "negative": [-1, 1, 0, -2], "nothing": [0, 0, 0, 0]}

CASES = [
    Case("reshape", lambda x: sg.reshape(x, (3, -1)), (normal(2, 3),)),
    Case("reshape, old", _op("Reshape", [0, -1], opset=7), (normal(2, 3, 2),)),
    Case("flatten", _op("Flatten", axis=2), (normal(2, 3, 2),)),
    Case("flatten from a negative axis", _op("Flatten", axis=-1), (normal(2, 3, 2),)),
    Case("flatten, old", _op("Flatten", opset=9), (normal(2, 3, 2),)),
    Case("transpose", lambda x: sg.transpose(x, (2, 0, 1)), (normal(2, 3, 4),)),
    Case("transpose in reverse", _op("Transpose"), (normal(2, 3, 2),)),
    Case("transpose a scalar", _op("Transpose"), (normal(),)),
    Case("moveaxis", lambda x: sg.ops.moveaxis(x, 0, -1), (normal(2, 3, 2),)),
    Case("squeeze", lambda x: sg.squeeze(x, -1), (normal(2, 1),)),
    Case("squeeze all", _op("Squeeze"), (normal(1, 2, 1),), dynamic=False),
    Case("squeeze, old", _op("Squeeze", opset=11, axes=[0, 2]), (normal(1, 2, 1),)),
    Case("unsqueeze", lambda x: sg.expand_dims(x, (0, -1)), (normal(2, 3),)),
    Case("unsqueeze, old", _op("Unsqueeze", opset=11, axes=[0, -1]), (normal(2, 3),)),
    Case("expand", lambda x: sg.broadcast_to(x, (2, 2, 3)), (normal(2, 1),)),
    Case("expand by more axes", lambda x: sg.broadcast_to(x, (2, 3)), (normal(3),)),
    Case("rearrange", lambda x: sg.ops.rearrange(x, "b h w -> (w b) h"), (normal(2, 3, 2),)),
    Case("concat", lambda x, y: sg.concat([x, y, x], axis=-1), (normal(2, 3), normal(2, 1, seed=1))),
    Case("concat with nothing", lambda x, y: sg.concat([x, y]), (normal(2, 3), normal(0, 3))),
    Case("concat, old", lambda x, y: apply_op(find_op("Concat", "", 7), x, y, axis=1), (normal(2, 2), normal(2, 1))),
    Case("stack", lambda x, y: sg.stack([x, y], axis=1), (normal(2, 3), normal(2, 3, seed=1))),
    Case("split", lambda x: sg.split(x, 2, axis=1), (normal(2, 4),)),
    Case("split at places", lambda x: sg.split(x, [1, 3], axis=1)[1:], (normal(2, 4),)),
    Case("split, one part used", lambda x: sg.split(x, 2)[1], (normal(4),)),
    Case("split into a number of parts", _op("Split", num_outputs=2, axis=-1, outputs=2), (normal(2, 3),)),
    Case("split, old", _op("Split", opset=11, split=[1, 2], axis=1, outputs=2), (normal(2, 3),)),
    Case("split into sizes", _op("Split", [1, 0, 2], opset=13, axis=1, outputs=3), (normal(2, 3),)),
    Case("array_split", lambda x: sg.ops.array_split(x, 2), (normal(5),)),
    Case("unstack", lambda x: sg.ops.unstack(x, 3, axis=1), (normal(2, 3),)),
    Case("tile", lambda x: sg.tile(x, (2, 1, 3)), (normal(2, 2),)),
    Case("tile a vector", lambda x: sg.tile(x, 3), (normal(2),)),
    Case("tile no times", lambda x: sg.tile(x, (0, 2)), (normal(2, 1),)),
    Case("tile, the run knows how often", _moving(lambda x, n: sg.ops.onnx("Tile", x, sg.stack([n * 2, n]))),
         (normal(2, 2),)),
    Case("tile, old", _op("Tile", [2, 2], opset=7), (normal(1, 2),)),
    Case("repeat", lambda x: sg.ops.repeat(x, 2, axis=1), (normal(2, 3),)),
    Case("repeat each its own times", lambda x: sg.ops.repeat(x, [1, 0, 2], axis=1), (normal(2, 3),)),
    Case("slice", lambda x: x[1:, :-1], (normal(3, 4),)),
    Case("slice with steps", lambda x: x[::2, 4:0:-2], (normal(3, 6),)),
    Case("slice with a step that leaves no rest", lambda x: x[1:6:3], (normal(8),)),
    Case("slice backwards", lambda x: x[::-1, -2::-1], (normal(3, 4),)),
    Case("slice nothing", lambda x: x[2:1, 1:], (normal(3, 2),)),
    Case("slice backwards over the end", _op("Slice", [9, -9], [-9, 9], [0, 1], [-1, 1]), (normal(3, 2),)),
    Case("slice nothing backwards", _op("Slice", [2], [5], [0], [-3]), (normal(3, 2),)),
    Case("slice over the start", _op("Slice", [-9], [-9], [0], [-1]), (normal(3, 2),)),
    Case("slice, old", _op("Slice", opset=9, starts=[1, -2], ends=[9, -1], axes=[0, 1]), (normal(3, 3),)),
    Case("slice, old, all axes", _op("Slice", opset=9, starts=[1, 0], ends=[3, 2]), (normal(3, 3),)),
    Case("slice from where the run says", _moving(_slice_by), (normal(2, 4),)),
    Case("slice from the end, as the run says", _moving(_slice_from_end), (normal(4, 2),)),
    Case("slice with a step of the run", _moving(_slice_with_step), (normal(2, 5),)),
    Case("slice of an axis of the run", _moving(_slice_of_axis), (normal(2, 3),)),
    Case("pick a row and reverse", lambda x: x[1, ::-1], (normal(3, 3),)),
    *(Case(f"pad {name}", _op("Pad", pads), (normal(3, 4),)) for name, pads in _PADS.items()),
    Case("pad with a constant", lambda x, c: sg.ops.onnx("Pad", x, np.array([1, -1, 0, 2]), c),
         (normal(2, 3), normal())),
    Case("pad with a constant of one", lambda x, c: sg.ops.onnx("Pad", x, np.array([1, 0]), c), (normal(2), normal(1))),
    Case("pad some axes", _op("Pad", [1, 2], None, [-1]), (normal(2, 3),)),
    Case("pad nothing to something", lambda x: sg.pad(x, (1, 1), constant_values=2.0), (normal(0),)),
    *(Case(f"pad by mode {mode}", _op("Pad", [1, 2, 0, 1], mode=mode), (normal(2, 4),)) for mode in (
        "reflect", "edge", "wrap")),
    *(Case(f"sg.pad by mode {mode}", lambda x, m=mode: sg.pad(x, ((0, 0), (2, 1)), m), (normal(2, 3),)) for mode in (
        "reflect", "edge", "wrap", "symmetric")),
    Case("pad by reflection and cut", _op("Pad", [2, -1], mode="reflect"), (normal(4),)),
    Case("pad, old", _op("Pad", opset=7, pads=[1, 0, 0, 1], value=2.0), (normal(2, 2),)),
    Case("pad by reflection, old", _op("Pad", opset=7, pads=[1, 1], mode="reflect"), (normal(3),)),
    Case("flip", lambda x: sg.flip(x, 1), (normal(2, 3),)),
    Case("roll", lambda x: sg.roll(x, 2, axis=1), (normal(2, 5),)),
    Case("rot90", lambda x: sg.ops.rot90(x), (normal(2, 3),)),
    Case("reverse sequences", lambda x: sg.ops.onnx("ReverseSequence", x, np.array([2, 3]), batch_axis=0, time_axis=1),
         (normal(2, 3, 2),)),
    Case("reverse sequences of the first axis", _op("ReverseSequence", [1, 3]), (normal(3, 2),)),
    Case("tril", lambda x: sg.ops.tril(x, -1), (normal(2, 3, 3),)),
    Case("triu", lambda x: sg.ops.triu(x), (normal(2, 3),)),
    Case("depth to space", _op("DepthToSpace", blocksize=2), (normal(1, 4, 1, 2),)),
    Case("depth to space by columns", _op("DepthToSpace", blocksize=2, mode="CRD"), (normal(1, 8, 2, 1),)),
    Case("depth to space, old", _op("DepthToSpace", opset=7, blocksize=2), (normal(1, 4, 1, 2),)),
    Case("space to depth", _op("SpaceToDepth", blocksize=2), (normal(1, 2, 2, 4),)),
    Case("crop and pad about the centre", _op("CenterCropPad", [2, 6]), (normal(5, 3),)),
    Case("pad and crop about the centre", _op("CenterCropPad", [5, 2], axes=[-1, 0]), (normal(5, 2),)),
    Case("slice no rows", lambda x: x[:, ::2], (normal(0, 3),)),
    Case("flip no rows", lambda x: sg.flip(x, 1), (normal(0, 3),)),
    Case("tile no rows", lambda x: sg.tile(x, (2, 2)), (normal(0, 3),)),
    Case("reshape no rows", lambda x: sg.reshape(x, (3, 0)), (normal(0, 3),), dynamic=False),
    Case("squeeze no rows", lambda x: sg.squeeze(x, 1), (normal(0, 1),)),
    Case("reshape a scalar", lambda x: sg.reshape(x, (1, 1)), (normal(),)),
    Case("expand a scalar", lambda x: sg.broadcast_to(x, (2, 2)), (normal(),)),
    Case("flatten a scalar", _op("Flatten", axis=0), (normal(),)),
    Case("pad no rows by reflection", _op("Pad", [0, 1, 0, 1], mode="reflect"), (normal(0, 3),)),
    Case("diagonal", lambda x: sg.ops.diagonal(x, 1), (normal(3, 4),)),
    Case("diag of a vector", lambda x: sg.ops.diag(x, -1), (normal(3),)),
    Case("trace", lambda x: sg.ops.trace(x), (normal(3, 3),)),
    Case("unfold with padding", lambda x: sg.ops.unfold(x, 2, padding=1, stride=2), (normal(1, 2, 3, 3),)),
    Case("fold with padding", lambda x: sg.ops.fold(x, 4, 2, stride=2, padding=1), (normal(1, 4, 9),)),
    Case("fold with holes", lambda x: sg.ops.fold(x, (3, 5), (2, 1), dilation=(2, 1)), (normal(2, 2, 5),)),
    Case("fold one axis", _op("Col2Im", [5], [3], strides=[2], pads=[0, 0]), (normal(1, 3, 2),)),
    Case("extract_sequences", lambda x: sg.ops.extract_sequences(x, 3, 2), (normal(2, 7),)),
    Case("correlate", lambda x, y: sg.ops.correlate(x, y, "full"), (normal(4), normal(2, seed=1)), dynamic=False),
    Case("trapezoid", lambda y, x: sg.ops.trapezoid(y, x), (normal(2, 4), normal(4, seed=1))),
    Case("vander", lambda x: sg.ops.vander(x, 3), (normal(3),)),
    Case("arange", lambda a, d: sg.ops.arange(a, a + 4.0 * d - 0.1, d), (normal(), np.array(0.7)), dynamic=False),
    Case("range", lambda a, d: sg.ops.onnx("Range", a, a + 4.0 * d - 0.1, d), (normal(), np.array(0.7)), dynamic=False),
]
