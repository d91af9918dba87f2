"""A call of an operator on its way to another version, and whether it fits there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from onnx.defs import OpSchema
from onnx.helper import get_attribute_value

from symgraph.core.apply import apply_op
from symgraph.core.op import Op, find_op
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, ValueType
from symgraph.runtime.file_types import onnx_type_name, takes


class Stuck(Exception):
    """Why a call cannot be said in another version."""


@dataclass(frozen=True)
class Call:
    """An operator applied to operands, on its way to the opset `target`."""

    name: str
    inputs: tuple[Operand | None, ...]
    attributes: Mapping[str, Any]
    types: tuple[ValueType | None, ...]
    wanted: tuple[bool, ...]
    target: int

    def input(self, position: int) -> Operand | None:
        """The input at a position; None where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def shape(self) -> tuple[Any, ...]:
        """The shape of the first input, whose rank must be known."""
        x = self.inputs[0]
        if x is None or not isinstance(x.type, TensorType) or x.type.shape is None:
            raise Stuck("the rank of its input is not known")
        return x.type.shape

    def apply(self, name: str, *inputs: object, **attributes: Any) -> Any:
        """Apply an operator in its version at the target."""
        return apply_op(find_op(name, "", self.target), *inputs, **attributes)


def fitted(old: Op, new: Op, call: Call, *, has_adapter: bool) -> Call:
    """The call with the attributes that the new version has; what says nothing new is dropped."""
    assert old.schema is not None and new.schema is not None
    if new.schema.deprecated:
        raise Stuck(f"version {new.version} is withdrawn")
    inputs = call.inputs
    while inputs and inputs[-1] is None:
        inputs = inputs[:-1]
    _check_operands(old, new, inputs, call, has_adapter=has_adapter)
    known, defaults = attribute_defaults(new), attribute_defaults(old)
    attributes = dict(call.attributes)
    for name, value in call.attributes.items():
        if name in known:
            continue
        is_neutral = name == "dilations" and all(d == 1 for d in value)
        if not is_neutral and (name not in defaults or defaults[name] != value):
            raise Stuck(f"version {new.version} has no attribute {name!r}")
        del attributes[name]
    if new.version < 11 <= old.version:
        attributes.update(_from_the_front(call))
    for name, default in defaults.items():
        if name in known and name not in attributes and default != known[name]:
            if default is None:
                raise Stuck(f"the attribute {name!r} has another default in version {new.version}")
            attributes[name] = default
    return replace(call, inputs=inputs, attributes=attributes)


def _from_the_front(call: Call) -> dict[str, Any]:
    """The axes of a call counted from the front: before version 11 they could not be counted from the back."""
    counted: dict[str, Any] = {}
    for name in ("axis", "axes"):
        value = call.attributes.get(name)
        axes = (value,) if isinstance(value, int) else value or ()
        if any(axis < 0 for axis in axes):
            rank = len(call.shape()) + (len(axes) if call.name == "Unsqueeze" else 0)
            counted[name] = value % rank if isinstance(value, int) else tuple(axis % rank for axis in axes)
    return counted


def _check_operands(old: Op, new: Op, inputs: tuple[Operand | None, ...], call: Call, *, has_adapter: bool) -> None:
    assert old.schema is not None and new.schema is not None
    if not new.schema.min_input <= len(inputs) <= new.schema.max_input:
        raise Stuck(f"version {new.version} takes {new.schema.min_input} to {new.schema.max_input} inputs")
    if not has_adapter and [old.input_name(i) for i in range(len(inputs))] != [
            new.input_name(i) for i in range(len(inputs))]:
        raise Stuck(f"version {new.version} has other inputs")
    for position, x in enumerate(inputs):
        formal = new.schema.inputs[min(position, len(new.schema.inputs) - 1)]
        name = None if x is None else onnx_type_name(x.type)
        if x is None and formal.option == OpSchema.FormalParameterOption.Single:
            raise Stuck(f"version {new.version} must have the input {formal.name}")
        if name is not None and not takes(new, position, name):
            raise Stuck(f"version {new.version} does not take a {name} as {formal.name}")
    for position, value_type in enumerate(call.types):
        formal = new.schema.outputs[min(position, len(new.schema.outputs) - 1)]
        name = onnx_type_name(value_type)
        if name is not None and name not in formal.types:
            raise Stuck(f"version {new.version} does not make a {name}")
    if sum(call.wanted) and len(call.wanted) > new.schema.max_output:
        raise Stuck(f"version {new.version} has {new.schema.max_output} outputs")


@cache
def attribute_defaults(op: Op) -> Mapping[str, Any]:
    """Attribute -> default of an op; None where there is none."""
    assert op.schema is not None
    found = {}
    for name, attribute in op.schema.attributes.items():
        value = get_attribute_value(attribute.default_value) if attribute.default_value.type else None
        found[name] = value.decode() if isinstance(value, bytes) else tuple(value) if isinstance(value, list) else value
    return found
