"""Types of a node's outputs, from ONNX's own inference; known numbers inside small shape tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, numpy_helper, shape_inference

from symgraph.core.errors import DtypeError, OpError
from symgraph.core.op import Op
from symgraph.core.scope import current_layer, describe_place, user_source
from symgraph.core.tensor import Operand, SymbolicTensor
from symgraph.core.types import Dim, Shape, TensorType, ValueType, is_integer, type_from_proto, type_to_proto
from symgraph.core.value import Tensor

MAX_DATA = 64
"""Constants with more elements than this are never shown to inference."""

_FLOAT_SHAPE_DATA = {"Resize", "Upsample", "Range", "OneHot"}

Data = np.ndarray[Any, Any]


def known_data(operand: Operand | None) -> Data | None:
    """What is known of the numbers in a small operand: an array of ints, dimension names and None."""
    if isinstance(operand, SymbolicTensor):
        return operand.data
    if isinstance(operand, Tensor) and operand.size <= MAX_DATA and (is_integer(operand.dtype)):
        return operand.numpy().astype(object)
    return None


def _exact_data(op: Op, operand: Operand | None) -> Data | None:
    """The numbers of a small operand, where all of them are known."""
    if isinstance(operand, Tensor) and operand.size <= MAX_DATA and (
            is_integer(operand.dtype) or op.name in _FLOAT_SHAPE_DATA):
        return operand.numpy()
    data = operand.data if isinstance(operand, SymbolicTensor) else None
    if operand is not None and data is not None and all(isinstance(d, int) for d in data.flat):
        return data.astype(operand.dtype)
    return None


def infer_types(
        op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, object],
        outputs: int) -> tuple[ValueType | None, ...]:
    """Types of the first `outputs` outputs; None for what cannot be told.

    Errors: `OpError` naming op, operands with types and the reason, where the operands do not fit.
    """
    types = tuple(None if x is None else x.type for x in inputs)
    if op.schema is None or any(x is not None and t is None for x, t in zip(inputs, types, strict=True)):
        return (None,) * outputs
    data = tuple(_exact_data(op, x) for x in inputs)
    key = (op, types, tuple(map(freeze, data)), freeze_attributes(attributes), outputs)
    found = _CACHE.get(key)
    if found is None:
        try:
            found = _infer(op, types, data, attributes, outputs) if op.library is None else (
                op.library.infer(op, types, attributes, outputs))
        except (OpError, DtypeError) as error:
            raise describe_misfit(op, inputs, str(error)) from None
        if len(_CACHE) > 65536:
            _CACHE.clear()
        _CACHE[key] = found
    found = _refine(op, inputs, attributes, found)
    for t in found:
        if isinstance(t, TensorType) and any(isinstance(d, int) and d < 0 for d in t.shape or ()):
            raise describe_misfit(op, inputs, f"the result would be {t}")  # ONNX's inference aborts on such types
    return found


def infer_standard(op: Op, types: tuple[ValueType | None, ...], attributes: Mapping[str, object], outputs: int,
                   ) -> tuple[ValueType | None, ...]:
    """Types of the outputs of an operator that ONNX defines, from the types of its inputs alone.

    Errors: `OpError` with ONNX's reason, where they do not fit.
    """
    return _infer(op, types, (None,) * len(types), attributes, outputs)


def describe_misfit(op: Op, inputs: tuple[Operand | None, ...], reason: str) -> OpError:
    """The error for operands that `op` cannot take, at the user's line."""
    operands = ", ".join(
        f"{op.input_name(i)}: {x.type or '?'}" for i, x in enumerate(inputs) if x is not None)
    return OpError(f"{op}({operands}): {reason}{describe_place(current_layer(), user_source())}")


def freeze(value: object) -> object:
    """Something hashable that is equal for equal attribute values."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes() if value.dtype != object else tuple(value.flat)
    if isinstance(value, onnx.SparseTensorProto | onnx.TypeProto):
        return value.SerializeToString()
    return value


def freeze_attributes(attributes: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """A key that is equal for equal attributes, whatever their order."""
    return tuple(sorted((name, freeze(value)) for name, value in attributes.items())) if attributes else ()


_CACHE: dict[object, tuple[ValueType | None, ...]] = {}


def _infer(op: Op, types: tuple[ValueType | None, ...], data: tuple[Data | None, ...],
           attributes: Mapping[str, object], outputs: int) -> tuple[ValueType | None, ...]:
    names = ["" if t is None else f"i{i}" for i, t in enumerate(types)]
    results = [f"o{i}" for i in range(outputs)]
    node = NodeProto(op_type=op.name, domain=op.domain, input=names, output=results)
    for name, value in attributes.items():
        node.attribute.append(attribute_to_proto(name, value, op))
    shown = {n: numpy_helper.from_array(d, n) for n, d in zip(names, data, strict=True) if d is not None}
    assert op.schema is not None
    try:
        found = shape_inference.infer_node_outputs(
            op.schema, node, {n: type_to_proto(t) for n, t in zip(names, types, strict=True) if n}, shown,
            opset_imports=[onnx.helper.make_opsetid(op.domain, op.version)])
    except (shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise OpError(_reason(str(error))) from None
    return tuple(type_from_proto(found[name]) if name in found else None for name in results)


def _reason(text: str) -> str:
    """ONNX's message without its wrapping, as the end of ours."""
    text = re.sub(r"\[(?:Shape|Type)InferenceError\]\s*", "", text.strip())
    text = re.sub(r"\(op_type:[^)]*\):?\s*", "", text).strip().rstrip(".")
    text = " ".join(text.split())
    return text[:1].lower() + text[1:] if text else "the operands do not fit"


def attribute_to_proto(name: str, value: object, op: Op | None = None) -> AttributeProto:
    """One attribute, except graphs, as ONNX writes it."""
    kind = None
    if op is not None and op.schema is not None and name in op.schema.attributes:
        kind = AttributeProto.AttributeType.Value(str(op.schema.attributes[name].type).rsplit(".", 1)[-1])
    if isinstance(value, np.ndarray):
        value = numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, list) and not value:
        return AttributeProto(name=name, type=kind or AttributeProto.INTS)
    return onnx.helper.make_attribute(name, value, attr_type=kind)


def _refine(op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, object],
            found: tuple[ValueType | None, ...]) -> tuple[ValueType | None, ...]:
    """Fill in what partly known shape data says and ONNX's inference, which wants all of it, cannot."""
    refiner = _REFINERS.get(op.name) if not op.domain else None
    first = found[0]
    if refiner is None or not isinstance(first, TensorType) or (len(inputs) < 2 and op.name != "ConstantOfShape"):
        return found  # in old versions attributes say how to reshape, cut and pad, and ONNX's inference reads them
    shape = refiner(inputs, attributes)
    if shape is None or (first.shape is not None and len(first.shape) != len(shape)):
        return found
    known = first.shape or (None,) * len(shape)
    merged = tuple(k if isinstance(k, int) or s is None else s for k, s in zip(known, shape, strict=True))
    return (TensorType(first.dtype, merged), *found[1:])


def _reshape_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, object]) -> Shape | None:
    wanted = known_data(inputs[1])
    if wanted is None or not isinstance(inputs[0].type, TensorType):  # type: ignore[union-attr]
        return _open_dims(inputs[1])
    given = inputs[0].type.shape  # type: ignore[union-attr]
    dims: list[Dim] = list(wanted.flat)
    if not attributes.get("allowzero", 0):
        dims = [(given[i] if given is not None and i < len(given) else None) if d == 0 else d
                for i, d in enumerate(dims)]
    if -1 in dims and given is not None:
        dims[dims.index(-1)] = _remaining(list(given), [d for d in dims if d != -1])
    return tuple(None if d == -1 else d for d in dims)


def _open_dims(shape: Operand | None) -> Shape | None:
    """As many open dimensions as a shape has numbers, where that at least is known."""
    length = shape.type.shape if shape is not None and isinstance(shape.type, TensorType) else None
    return (None,) * length[0] if length is not None and len(length) == 1 and isinstance(length[0], int) else None


def _remaining(given: list[Dim], taken: list[Dim]) -> Dim:
    """The one dimension that makes `taken` as large as `given`; None where names do not cancel."""
    for dim in [d for d in taken if isinstance(d, str)]:
        if dim in given:
            given.remove(dim)
            taken.remove(dim)
    if None in given or any(not isinstance(d, int) for d in taken):
        return None
    names = [d for d in given if isinstance(d, str)]
    size = math.prod(d for d in given if isinstance(d, int))
    divisor = math.prod(d for d in taken if isinstance(d, int))
    if names:
        return names[0] if len(names) == 1 and size == divisor else None
    return size // divisor if divisor and size % divisor == 0 else None


def _expand_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, object]) -> Shape | None:
    wanted = known_data(inputs[1])
    given = inputs[0].type.shape if isinstance(inputs[0].type, TensorType) else None  # type: ignore[union-attr]
    if given is None:
        return None
    if wanted is None:
        dims = _open_dims(inputs[1])
        return None if dims is None else (None,) * max(len(dims), len(given))
    rank = max(len(given), wanted.size)
    a = (1,) * (rank - len(given)) + given
    b = (1,) * (rank - wanted.size) + tuple(wanted.flat)
    return tuple(y if x == 1 else x if y == 1 or x == y or isinstance(x, int) else
                 y if isinstance(y, int) and y > 1 else None for x, y in zip(a, b, strict=True))


def _filled_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, object]) -> Shape | None:
    wanted = known_data(inputs[0])
    return _open_dims(inputs[0]) if wanted is None else tuple(wanted.flat)


def _slice_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, object]) -> Shape | None:
    """Axes that are not cut, or only turned round, keep their names."""
    x, starts, ends = inputs[:3]
    axes, steps = (known_data(inputs[i]) if len(inputs) > i and inputs[i] is not None else None for i in (3, 4))
    if x is None or not isinstance(x.type, TensorType) or x.type.shape is None or (
            len(inputs) > 3 and inputs[3] is not None and axes is None):
        return None
    first, last = known_data(starts), known_data(ends)
    count = axes.size if axes is not None else first.size if first is not None else len(x.type.shape)
    dims = list(x.type.shape)
    for i in range(count):
        whole = first is not None and last is not None and (first[i], last[i]) in (
            (0, 2**63 - 1), (2**63 - 1, -(2**63)))
        step = 1 if len(inputs) < 5 or inputs[4] is None else None if steps is None else steps[i]
        if not (whole and step == (1 if first[i] == 0 else -1)):  # type: ignore[index]
            dims[int(axes[i]) if axes is not None else i] = None
    return tuple(dims)


def _pad_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, object]) -> Shape | None:
    """Axes that nothing is put before or after keep their names."""
    x, pads = inputs[0], known_data(inputs[1])
    axes = known_data(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else None
    if x is None or pads is None or not isinstance(x.type, TensorType) or x.type.shape is None or (
            len(inputs) > 3 and inputs[3] is not None and axes is None):
        return None
    dims = list(x.type.shape)
    places = range(len(dims)) if axes is None else [int(a) % len(dims) for a in axes]
    for i, axis in enumerate(places):
        before, after, dim = pads[i], pads[i + len(places)], dims[axis]
        if not (before == 0 and after == 0):
            is_known = isinstance(before, int) and isinstance(after, int) and isinstance(dim, int)
            dims[axis] = before + dim + after if is_known else None
    return tuple(dims)


def _gathered_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any]) -> Shape | None:
    """`indices[..., k]` takes k axes away; ONNX's inference forgets the rank of a scalar result."""
    x, indices = (x.type for x in inputs)  # type: ignore[union-attr]
    if not isinstance(x, TensorType) or not isinstance(indices, TensorType) or x.shape is None or not indices.shape:
        return None
    depth = indices.shape[-1]
    return indices.shape[:-1] + x.shape[attributes.get("batch_dims", 0) + depth:] if isinstance(depth, int) else None


def _convolved_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any]) -> Shape | None:
    """Images and channels; ONNX's inference forgets even the rank where the kernel's size is open."""
    x, w = (x.type for x in inputs[:2])  # type: ignore[union-attr]
    if not isinstance(x, TensorType) or not isinstance(w, TensorType) or not w.shape or x.shape == ():
        return None
    return (x.shape[0] if x.shape else None, w.shape[0], *(None,) * (len(w.shape) - 2))


def _transposed_dims(inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any]) -> Shape | None:
    shape = _convolved_dims(inputs, attributes)
    if shape is None:
        return None
    channels = inputs[1].type.shape[1]  # type: ignore[union-attr,index]
    made = channels * attributes.get("group", 1) if isinstance(channels, int) else None
    return (shape[0], made, *shape[2:])


_REFINERS: dict[str, Callable[[tuple[Operand | None, ...], Mapping[str, object]], Shape | None]] = {
    "Reshape": _reshape_dims, "Expand": _expand_dims, "ConstantOfShape": _filled_dims,
    "Conv": _convolved_dims, "ConvTranspose": _transposed_dims, "Slice": _slice_dims, "Pad": _pad_dims,
    "GatherND": _gathered_dims}


def propagate_data(op: Op, inputs: tuple[Operand | None, ...], attributes: Mapping[str, Any]) -> Data | None:
    """What is known of the numbers in the first output of a node that computes with shapes."""
    rule = _DATA_RULES.get(op.name) if not op.domain else None
    if rule is None or not inputs or inputs[0] is None:
        return None
    if op.name == "Shape":
        return _shape_data(inputs[0], attributes)
    if op.name != "Concat" and known_data(inputs[0]) is None:
        return None
    data = [None if x is None else known_data(x) for x in inputs]
    if op.name == "Concat":
        data = [_unknown_data(x) if d is None else d for d, x in zip(data, inputs, strict=True)]
    if any(d is None for d, x in zip(data, inputs, strict=True) if x is not None):
        return None
    try:
        found = rule(data, attributes)
    except (ValueError, IndexError, TypeError):
        return None
    result = None if found is None else np.asarray(found, object)
    if result is None or result.size > MAX_DATA:
        return None
    return result if _fits(result, op, inputs[0], attributes) else None


def _fits(data: Data, op: Op, x: Operand, attributes: Mapping[str, Any]) -> bool:
    """Whether numbers lie within the dtype they have; sums that wrap around are not followed."""
    dtype = x.type.dtype if isinstance(x.type, TensorType) else "int64"
    if op.name == "Cast":
        dtype = "int32" if attributes["to"] == TensorProto.INT32 else "int64"
    limits = np.iinfo(dtype)
    return all(limits.min <= n <= limits.max for n in data.flat if isinstance(n, int))


def _unknown_data(x: Operand | None) -> Data | None:
    """As many unknown numbers as a short vector of integers has, so that those beside them stay known."""
    if x is None or not isinstance(x.type, TensorType) or not is_integer(x.type.dtype) or x.type.shape is None:
        return None
    length = x.type.shape[0] if len(x.type.shape) == 1 else None
    return np.full(length, None, object) if isinstance(length, int) and length <= MAX_DATA else None


def _shape_data(x: Operand, attributes: Mapping[str, Any]) -> Data | None:
    if not isinstance(x.type, TensorType) or x.type.shape is None or len(x.type.shape) > MAX_DATA:
        return None
    dims = x.type.shape[attributes.get("start", 0):attributes.get("end")]
    data = np.empty(len(dims), object)
    data[:] = dims
    return data


def _arithmetic(function: Callable[[int, int], int]) -> Callable[[list[Any], Mapping[str, Any]], Any]:
    known = np.frompyfunc(
        lambda a, b: function(a, b) if isinstance(a, int) and isinstance(b, int) else None, 2, 1)
    return lambda data, attributes: np.asarray(known(data[0], data[1]), object)


def _truncating(a: int, b: int) -> int | None:
    if b == 0:
        return None
    return abs(a) // abs(b) if (a < 0) == (b < 0) else -(abs(a) // abs(b))


def _slice_data(data: list[Any], attributes: Mapping[str, Any]) -> Any:
    x, starts, ends = data[0], data[1], data[2]
    steps = data[4] if len(data) > 4 and data[4] is not None else np.array([1])
    if x.ndim != 1 or starts.size != 1:
        raise ValueError
    start, end, step = int(starts[0]), int(ends[0]), int(steps[0])
    return x[start:None if step < 0 and end < -x.size else end:step]


def _squeeze_data(data: list[Any], attributes: Mapping[str, Any]) -> Any:
    return np.squeeze(data[0], None if len(data) < 2 else tuple(int(a) for a in data[1].flat))


_DATA_RULES: dict[str, Callable[[list[Any], Mapping[str, Any]], Any]] = {
    "Shape": lambda data, attributes: None,
    "Identity": lambda data, attributes: data[0],
    "Cast": lambda data, attributes: data[0] if attributes["to"] in (TensorProto.INT64, TensorProto.INT32) else None,
    "Gather": lambda data, attributes: np.take(data[0], data[1].astype(int), axis=attributes.get("axis", 0)),
    "Concat": lambda data, attributes: np.concatenate(data, axis=attributes["axis"]),
    "Unsqueeze": lambda data, attributes: np.expand_dims(data[0], tuple(int(a) for a in data[1].flat)),
    "Squeeze": _squeeze_data,
    "Reshape": lambda data, attributes: data[0].reshape([int(d) for d in data[1].flat]),
    "Slice": _slice_data,
    "Add": _arithmetic(lambda a, b: a + b),
    "Sub": _arithmetic(lambda a, b: a - b),
    "Mul": _arithmetic(lambda a, b: a * b),
    "Div": _arithmetic(_truncating),  # type: ignore[arg-type]
}
