"""Operators from one version to the next, up and down: what changed between them, and how the old is said in the new.

A step either changes the call (inputs, attributes, even the operator), or builds the outputs of several nodes. What
only widened (more dtypes, new attributes and inputs that nobody gave) needs no entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from symgraph.core.op import Op
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, is_floating, numpy_dtype
from symgraph.core.value import Tensor
from symgraph.runtime.versions import Call, Stuck, fitted

Outputs = tuple[Operand, ...]
Step = Callable[[Call], Call | Outputs]

UP: dict[tuple[str, int], Step] = {}
"""(operator, version) -> how a call of the version before becomes one of this version."""

DOWN: dict[tuple[str, int], Step] = {}
"""(operator, version) -> how a call of this version becomes one of the version before."""


def step(old: Op, new: Op, call: Call) -> Call | Outputs:
    """The call of `old` as one of `new`, a neighbouring version of the same operator.

    Raises `Stuck` with the reason where it cannot be said.
    """
    key = (old.name, max(old.version, new.version))
    adapter = (UP if new.version > old.version else DOWN).get(key)
    result = call if adapter is None else adapter(call)
    if isinstance(result, Call) and result.name == new.name:
        return fitted(old, new, result, has_adapter=adapter is not None)
    return result


# Attributes that became inputs: (attribute, position, how the numbers are stored there).
_AXES = (("axes", 1, "ints"),)
MOVED: dict[tuple[str, int], tuple[tuple[str, int, str], ...]] = {
    **{(f"Reduce{name}", 18): _AXES for name in (
        "L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")},
    ("ReduceSum", 13): _AXES, ("Squeeze", 13): _AXES, ("Unsqueeze", 13): _AXES,
    ("Split", 13): (("split", 1, "ints"),),
    ("Slice", 10): (("starts", 1, "ints"), ("ends", 2, "ints"), ("axes", 3, "ints")),
    ("Pad", 11): (("pads", 1, "ints"), ("value", 2, "like")),
    ("Clip", 11): (("min", 1, "like"), ("max", 2, "like")),
    ("TopK", 10): (("k", 1, "one"),),
    ("Dropout", 12): (("ratio", 1, "float"),),
    ("Upsample", 9): (("scales", 1, "floats"),),
    ("DFT", 20): (("axis", 2, "int"),)}


def _stored(kind: str, value: Any, call: Call) -> Tensor:
    match kind:
        case "ints" | "int":
            return Tensor(np.array(value, np.int64))
        case "one":
            return Tensor(np.array([value], np.int64))
        case "float" | "floats":
            return Tensor(np.array(value, np.float32))
    x = call.inputs[0]
    assert x is not None
    return Tensor(np.array(value, numpy_dtype(x.dtype)))


def _attribute_to_input(moved: tuple[tuple[str, int, str], ...]) -> Step:
    def up(call: Call) -> Call:
        attributes = dict(call.attributes)
        inputs = list(call.inputs)
        for name, position, kind in moved:
            if name in attributes:
                inputs += [None] * (position + 1 - len(inputs))
                inputs[position] = _stored(kind, attributes.pop(name), call)
        return replace(call, inputs=tuple(inputs), attributes=attributes)

    return up


def _input_to_attribute(moved: tuple[tuple[str, int, str], ...]) -> Step:
    def down(call: Call) -> Call:
        attributes = dict(call.attributes)
        inputs = list(call.inputs)
        for name, position, kind in moved:
            x = call.input(position)
            if x is None:
                continue
            if not isinstance(x, Tensor):
                raise Stuck(f"its input {position} is not a constant, and was the attribute {name!r} before")
            numbers = x.numpy().reshape(-1).tolist()
            attributes[name] = tuple(numbers) if kind in ("ints", "floats") else numbers[0]
            inputs[position] = None
        if attributes.get("axes") == ():
            if attributes.get("noop_with_empty_axes"):
                raise Stuck("it does nothing without axes")
            del attributes["axes"]
        return replace(call, inputs=tuple(inputs), attributes=attributes)

    return down


for _key, _moved in MOVED.items():
    UP[_key] = _attribute_to_input(_moved)
    DOWN[_key] = _input_to_attribute(_moved)


def entered(table: dict[tuple[str, int], Step], version: int, *names: str) -> Callable[[Step], Step]:
    """Enter a step in `UP` or `DOWN`."""
    def enter(function: Step) -> Step:
        table.update({(name, version): function for name in names})
        return function

    return enter


@entered(UP, 20, "DFT")
def _dft_up(call: Call) -> Call | Outputs:
    """The default axis was 1, and is -2."""
    return _attribute_to_input(MOVED["DFT", 20])(
        replace(call, attributes={"axis": 1, **call.attributes}))


@entered(DOWN, 20, "DFT")
def _dft_down(call: Call) -> Call | Outputs:
    given = call.input(2) if call.input(2) is not None else Tensor(np.array(-2, np.int64))
    inputs = (*call.inputs, None, None)[:2]
    return _input_to_attribute(MOVED["DFT", 20])(replace(call, inputs=(*inputs, given)))


@entered(UP, 10, "Dropout")
def _dropout_up(call: Call) -> Call | Outputs:
    """Nothing is dropped at inference; the mask, which all pass, was of the dtype of the input."""
    if len(call.wanted) < 2 or not call.wanted[1]:
        return call
    x = call.inputs[0]
    assert x is not None
    return call.apply("Identity", x), call.apply("Expand", np.ones((), numpy_dtype(x.dtype)), call.apply("Shape", x))


@entered(DOWN, 12, "Dropout")
def _dropout_down(call: Call) -> Call | Outputs:
    mode = call.input(2)
    if mode is not None and not (isinstance(mode, Tensor) and not mode.numpy().any()):
        raise Stuck("it may be training, which was not an input before")
    if sum(call.wanted) > 1:
        raise Stuck("its mask said something else before")
    attributes = {name: value for name, value in call.attributes.items() if name != "seed"}
    return _input_to_attribute(MOVED["Dropout", 12])(replace(call, inputs=call.inputs[:2], attributes=attributes))


@entered(DOWN, 28, "Mod")
def _mod_down(call: Call) -> Call | Outputs:
    """Floats had the sign of the dividend before, and no other."""
    x, y = call.inputs
    assert x is not None and y is not None
    if call.attributes.get("fmod") or not isinstance(x.type, TensorType) or not is_floating(x.type.dtype) or (
            call.target < 10):
        return call
    rest = call.apply("Mod", x, y, fmod=1)
    zero = np.zeros((), numpy_dtype(x.type.dtype))
    is_apart = call.apply("Xor", call.apply("Less", rest, zero), call.apply("Less", y, zero))
    is_across = call.apply("And", is_apart, call.apply("Not", call.apply("Equal", rest, zero)))
    return (call.apply("Where", is_across, call.apply("Add", rest, y), rest),)


@entered(DOWN, 11, "OneHot")
def _one_hot_down(call: Call) -> Call:
    """An axis that is counted from the end was always the last."""
    axis = call.attributes.get("axis", -1)
    return call if axis >= -1 else replace(call, attributes={**call.attributes, "axis": axis + len(call.shape()) + 1})


@entered(DOWN, 10, "Slice")
def _slice_down(call: Call) -> Call | Outputs:
    steps = call.input(4)
    if steps is not None and not (isinstance(steps, Tensor) and (steps.numpy() == 1).all()):
        raise Stuck("it has steps")
    return _input_to_attribute(MOVED["Slice", 10])(replace(call, inputs=call.inputs[:4]))


@entered(UP, 18, "Split")
def _split_up(call: Call) -> Call:
    """Equal parts were given by the number of outputs, and are by an attribute."""
    if call.input(1) is not None:
        return call
    return replace(call, attributes={**call.attributes, "num_outputs": len(call.wanted)})


@entered(DOWN, 18, "Split")
def _split_down(call: Call) -> Call:
    """The last part may be smaller since version 18."""
    attributes = dict(call.attributes)
    count = attributes.pop("num_outputs", None)
    if call.input(1) is not None or count is None:
        return replace(call, attributes=attributes)
    size = call.shape()[attributes.get("axis", 0)]
    if not isinstance(size, int):
        raise Stuck("the size that it splits is not known")
    part = -(-size // count)
    sizes = [part] * (count - 1) + [size - part * (count - 1)]
    return replace(call, inputs=(call.inputs[0], Tensor(np.array(sizes, np.int64))), attributes=attributes)


@entered(UP, 14, "BatchNormalization")
@entered(DOWN, 14, "BatchNormalization")
def _batch_normalization(call: Call) -> Call:
    """In inference the versions differ by the names of inputs only."""
    if sum(call.wanted) > 1 or call.attributes.get("training_mode"):
        raise Stuck("it is training")
    attributes = {name: value for name, value in call.attributes.items() if name != "training_mode"}
    return replace(call, attributes=attributes, types=call.types[:1], wanted=call.wanted[:1])


@entered(UP, 13, "Softmax", "LogSoftmax", "Hardmax")
def _softmax_up(call: Call) -> Call | Outputs:
    """Before version 13 all dimensions from `axis` on were taken together."""
    rank = len(call.shape())
    axis = call.attributes.get("axis", 1) % max(rank, 1)
    if axis == rank - 1:
        return replace(call, attributes={"axis": -1})
    x = call.inputs[0]
    flat = call.apply(call.name, call.apply("Flatten", x, axis=axis), axis=-1)
    return (call.apply("Reshape", flat, call.apply("Shape", x)),)


@entered(DOWN, 13, "Softmax", "LogSoftmax", "Hardmax")
def _softmax_down(call: Call) -> Call | Outputs:
    rank = len(call.shape())
    axis = call.attributes.get("axis", -1) % max(rank, 1)
    if axis == rank - 1:
        return replace(call, attributes={"axis": axis})
    order = [i for i in range(rank) if i != axis] + [axis]
    y = call.apply(call.name, call.apply("Transpose", call.inputs[0], perm=order), axis=rank - 1)
    return (call.apply("Transpose", y, perm=[order.index(i) for i in range(rank)]),)


@entered(UP, 16, "RoiAlign")
def _roi_align_up(call: Call) -> Call:
    return replace(call, attributes={**call.attributes, "coordinate_transformation_mode": "output_half_pixel"})


@entered(DOWN, 16, "RoiAlign")
def _roi_align_down(call: Call) -> Call:
    attributes = dict(call.attributes)
    if attributes.pop("coordinate_transformation_mode", "half_pixel") != "output_half_pixel":
        raise Stuck("only the mode output_half_pixel was there before")
    return replace(call, attributes=attributes)


_GRID_MODES = {"bilinear": "linear", "bicubic": "cubic", "nearest": "nearest"}


@entered(UP, 20, "GridSample")
def _grid_sample_up(call: Call) -> Call:
    return replace(call, attributes={**call.attributes, "mode": _GRID_MODES[call.attributes.get("mode", "bilinear")]})


@entered(DOWN, 20, "GridSample")
def _grid_sample_down(call: Call) -> Call:
    if len(call.shape()) != 4:
        raise Stuck("only images of rank 4 were taken before")
    old = {new: old for old, new in _GRID_MODES.items()}
    return replace(call, attributes={**call.attributes, "mode": old[call.attributes.get("mode", "linear")]})


@entered(UP, 11, "Scatter")
def _scatter_up(call: Call) -> Call:
    return replace(call, name="ScatterElements")


@entered(UP, 10, "Upsample")
def _upsample_up(call: Call) -> Call:
    return replace(call, name="Resize")


@entered(UP, 11, "Resize")
def _resize_up(call: Call) -> Call:
    """ONNX Runtime's version 10 counts from the corner; it rounds down where it enlarges, up where it shrinks."""
    x, scales = call.inputs
    attributes = {"mode": "nearest", **call.attributes, "coordinate_transformation_mode": "asymmetric"}
    if attributes["mode"] == "nearest":
        if not isinstance(scales, Tensor) or ((scales.numpy() < 1).any() and (scales.numpy() > 1).any()):
            raise Stuck("how it rounds depends on scales that are not known, or differ in kind")
        attributes["nearest_mode"] = "ceil" if (scales.numpy() < 1).any() else "floor"
    return replace(call, inputs=(x, Tensor(np.zeros(0, np.float32)), scales), attributes=attributes)


@entered(DOWN, 11, "Resize")
def _resize_down(call: Call) -> Call:
    raise Stuck("version 10 knows one way to place and round coordinates only")


@entered(UP, 7, "Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Less", "Greater")
def _broadcast_up(call: Call) -> Call:
    """Before version 7 the second input broadcast only where asked, and from `axis` on."""
    attributes = dict(call.attributes)
    attributes.pop("consumed_inputs", None)
    axis = attributes.pop("axis", None)
    x, y = call.inputs
    if not attributes.pop("broadcast", 0) or axis is None:
        return replace(call, attributes=attributes)
    if not isinstance(y, Operand) or not isinstance(y.type, TensorType) or y.type.shape is None:
        raise Stuck("the rank of its second input is not known")
    rank = len(call.shape())
    missing = rank - axis % rank - len(y.type.shape)
    axes = [len(y.type.shape) + i for i in range(missing)]
    if isinstance(y, Tensor):
        y = Tensor(y.numpy().reshape(y.type.shape + (1,) * missing))
    elif axes:
        is_input = call.target >= 13
        y = call.apply("Unsqueeze", y, np.array(axes, np.int64)) if is_input else call.apply("Unsqueeze", y, axes=axes)
    return replace(call, inputs=(x, y), attributes=attributes)
