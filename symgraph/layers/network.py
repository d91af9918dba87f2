"""A network: the layer calls and single ops between input symbols and output symbols, run again on other inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from symgraph.core.errors import GraphError
from symgraph.core.graph import apply_node
from symgraph.core.structure import flatten, map_structure
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.core.variable import Variable
from symgraph.layers.input_layer import InputLayer
from symgraph.layers.layer import Layer, LayerCall
from symgraph.layers.masking import mask_of, with_mask

Unit = LayerCall | Node
"""What a network is made of: a call of a layer, or an op applied by itself."""


class Network:
    """The units between `inputs` and `outputs`, each after those it needs.

    Where an input lies inside a layer call, that call is opened into its ops. An input's mask comes with the value
    given for it, or is an input itself.
    """

    def __init__(self, inputs: Sequence[SymbolicTensor], outputs: Sequence[Operand]) -> None:
        self.inputs = tuple(inputs)
        try:
            self.units = _units(self.inputs, outputs, with_layers=True)
        except GraphError as error:
            self.units = _opened(self.inputs, outputs, error)

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs first, each once, in the order in which they were first applied."""
        found: dict[Layer, None] = {}
        for x in self.inputs:
            if x.call is not None and isinstance(x.call.layer, InputLayer):
                found.setdefault(x.call.layer)
        for unit in self.units:
            if isinstance(unit, LayerCall):
                found.setdefault(unit.layer)
        return list(found)

    @cached_property
    def assigned(self) -> list[Variable]:
        """The variables that layers change whenever they are called, such as states that recurrent layers keep."""
        return list(dict.fromkeys(v for unit in self.units if isinstance(unit, LayerCall) for v in unit.assigned))

    def outputs_of(self, name: str) -> list[SymbolicTensor]:
        """What the layers of this name gave here: the outputs of their first call, or the input of this name."""
        for unit in self.units:
            if isinstance(unit, LayerCall) and unit.layer.name == name:
                return [x for x in flatten(unit.outputs) if isinstance(x, SymbolicTensor)]
        return [x for x in self.inputs if x.name == name]

    def run(self, values: Iterable[Operand], outputs: Any, training: bool | None,
            call: Callable[..., Any] | None = None, replaced: Mapping[Operand, Operand] | None = None) -> Any:
        """The structure `outputs` computed from other inputs: layers are called again, ops applied again.

        `call(layer, *args, **kwargs)` does it in place of the layer itself, and leaves are read as `replaced` says.
        """
        mapping: dict[Operand, Operand] = {**(replaced or {}), **dict(zip(self.inputs, values, strict=True))}

        def mapped(x: Any) -> Any:
            return mapping.get(x, x) if isinstance(x, Operand) else x

        def masked(x: Any) -> Any:
            y, mask = mapped(x), mask_of(x)
            return with_mask(y, mapping[mask]) if mask in mapping and y.mask is None else y

        mapping.update((x, masked(x)) for x in self.inputs)
        for unit in self.units:
            if isinstance(unit, Node):
                operands = tuple(mapped(x) for x in unit.operands)
                mapping.update((x, y) for x, y in zip(unit.outputs, apply_node(unit, operands), strict=True)
                               if x is not None)
            else:
                kwargs = map_structure(mapped, dict(unit.kwargs))
                if kwargs.get("training") is None:
                    kwargs["training"] = training
                apply = unit.layer if call is None else partial(call, unit.layer)
                result = apply(*map_structure(mapped, unit.args), **kwargs)
                for x, y in zip(flatten(unit.outputs), flatten(result), strict=True):
                    mapping[x] = y
                    if mask_of(x) is not None and mask_of(y) is not None:
                        mapping.setdefault(x.mask, y.mask)
        return map_structure(masked, outputs)


def _opened(inputs: tuple[SymbolicTensor, ...], outputs: Sequence[Operand], error: GraphError) -> list[Unit]:
    """The ops in place of layer calls, with those of the outputs' masks where these do not need other inputs."""
    masks = [x.mask for x in outputs if x.mask is not None]
    for wanted in ([*outputs, *masks], outputs):
        try:
            return _units(inputs, wanted, with_layers=False)
        except GraphError:
            continue
    raise error from None


def _units(inputs: tuple[SymbolicTensor, ...], outputs: Iterable[Operand], *, with_layers: bool) -> list[Unit]:
    stops = set(inputs)
    found: dict[Unit, int] = {}
    taken: set[Operand] = set()
    waiting = [x for x in outputs]
    while waiting:
        x = waiting.pop()
        if not isinstance(x, SymbolicTensor) or x in stops:
            continue
        unit: Unit | None = x.call if with_layers and x.call is not None else x.node
        if unit is None or (isinstance(unit, LayerCall) and isinstance(unit.layer, InputLayer)):
            given = ", ".join(repr(s.name) for s in inputs) or "none"
            lacking = [s.name for s in inputs if s.mask is not None and s.mask in taken and s.mask not in stops]
            hint = "".join(f"; the mask of {name!r} is needed too, give its .mask as an input" for name in lacking)
            raise GraphError(
                f"the outputs depend on input {x.name!r}, which is not among the inputs given: {given}{hint}")
        if unit not in found:
            found[unit] = _age(unit)
            if isinstance(unit, LayerCall):
                masks = _masks_read(unit)
                waiting.extend([*unit.inputs, *masks])
                taken.update(masks)
            else:
                waiting.extend([o for o in unit.operands if o is not None])
    return sorted(found, key=lambda unit: found[unit])


def _masks_read(call: LayerCall) -> list[Operand]:
    """Those of the masks that a call took which its outputs are computed from."""
    masks, stops, found = set(call.masks), set(call.inputs), set[Operand]()
    waiting = [x for x in flatten(call.outputs) if isinstance(x, SymbolicTensor)] if masks else []
    while waiting:
        x = waiting.pop()
        if x in found or x in stops:
            continue
        found.add(x)
        if x.node is not None and x not in masks:
            waiting.extend(o for o in x.node.operands if isinstance(o, SymbolicTensor))
    return [mask for mask in call.masks if mask in found]


def _age(unit: Unit) -> int:
    if isinstance(unit, Node):
        return unit.serial
    return max(x.node.serial for x in flatten(unit.outputs) if isinstance(x, SymbolicTensor) and x.node)
