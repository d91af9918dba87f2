"""A network: the layer calls and single ops between input symbols and output symbols, run again on other inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from symgraph.core.errors import GraphError
from symgraph.core.graph import apply_node
from symgraph.core.structure import flatten, map_structure
from symgraph.core.tensor import Node, Operand, SymbolicTensor
from symgraph.layers.input_layer import InputLayer
from symgraph.layers.layer import Layer, LayerCall

Unit = LayerCall | Node
"""What a network is made of: a call of a layer, or an op applied by itself."""


class Network:
    """The units between `inputs` and `outputs`, each after those it needs.

    Where an input lies inside a layer call, that call is opened into its ops.
    """

    def __init__(self, inputs: Sequence[SymbolicTensor], outputs: Sequence[Operand]) -> None:
        self.inputs = tuple(inputs)
        try:
            self.units = _units(self.inputs, outputs, with_layers=True)
        except GraphError:
            self.units = _units(self.inputs, outputs, with_layers=False)

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

    def outputs_of(self, name: str) -> list[SymbolicTensor]:
        """What the layers of this name gave here: the outputs of their first call, or the input of this name."""
        for unit in self.units:
            if isinstance(unit, LayerCall) and unit.layer.name == name:
                return [x for x in flatten(unit.outputs) if isinstance(x, SymbolicTensor)]
        return [x for x in self.inputs if x.name == name]

    def run(self, values: Iterable[Operand], outputs: Any, training: bool) -> Any:
        """The structure `outputs` computed from other inputs: layers are called again, ops applied again."""
        mapping: dict[Operand, Operand] = dict(zip(self.inputs, values, strict=True))

        def mapped(x: Any) -> Any:
            return mapping.get(x, x) if isinstance(x, Operand) else x

        for unit in self.units:
            if isinstance(unit, Node):
                operands = tuple(mapped(x) for x in unit.operands)
                old, new = list(unit.outputs), list(apply_node(unit, operands))
            else:
                kwargs = map_structure(mapped, dict(unit.kwargs))
                if kwargs.get("training") is None:
                    kwargs["training"] = training
                result = unit.layer(*map_structure(mapped, unit.args), **kwargs)
                old, new = flatten(unit.outputs), flatten(result)
            mapping.update((a, b) for a, b in zip(old, new, strict=True) if a is not None)
        return map_structure(mapped, outputs)


def _units(inputs: tuple[SymbolicTensor, ...], outputs: Iterable[Operand], *, with_layers: bool) -> list[Unit]:
    stops = set(inputs)
    found: dict[Unit, int] = {}
    waiting = [x for x in outputs]
    while waiting:
        x = waiting.pop()
        if not isinstance(x, SymbolicTensor) or x in stops:
            continue
        unit: Unit | None = x.call if with_layers and x.call is not None else x.node
        if unit is None or (isinstance(unit, LayerCall) and isinstance(unit.layer, InputLayer)):
            given = ", ".join(repr(s.name) for s in inputs) or "none"
            raise GraphError(f"the outputs depend on input {x.name!r}, which is not among the inputs given: {given}")
        if unit not in found:
            found[unit] = _age(unit)
            waiting.extend(unit.inputs if isinstance(unit, LayerCall) else [o for o in unit.operands if o is not None])
    return sorted(found, key=lambda unit: found[unit])


def _age(unit: Unit) -> int:
    if isinstance(unit, Node):
        return unit.serial
    return max(x.node.serial for x in flatten(unit.outputs) if isinstance(x, SymbolicTensor) and x.node)
