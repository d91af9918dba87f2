"""RNN: a cell applied along the steps of a sequence, and how a recurrent operator of ONNX does the same at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.scope import layer_scope
from symgraph.core.tensor import Operand
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.layer import Layer
from symgraph.layers.recurrent_cells import RecurrentCell
from symgraph.ops.arithmetic import multiply
from symgraph.ops.casting import cast
from symgraph.ops.creation import zeros
from symgraph.ops.indexing import where
from symgraph.ops.loops import scan
from symgraph.ops.rearranging import flip
from symgraph.ops.shape import expand_dims, swapaxes
from symgraph.ops.sizes import dimension

__all__ = ["RNN", "clone", "layer_from"]


def layer_from(config: object) -> Any:
    """A layer as it is, or of its configuration: class name and arguments."""
    if not isinstance(config, Mapping):
        return config
    from symgraph import layers

    arguments = dict(config["config"])
    if isinstance(arguments.get("dtype"), Mapping):
        arguments["dtype"] = arguments["dtype"]["config"]["name"]
    cls = getattr(layers, str(config["class_name"]), None)
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise Layer(name=str(arguments.get("name") or "layer")).error(
            f"no layer class {config['class_name']!r} in sg.layers; make the layer inside yourself")
    return cls.from_config(arguments)


def clone(layer: Layer, **changes: Any) -> Any:
    """A new layer of the same arguments but these; layers among the arguments are made anew as well."""
    arguments = {k: clone(v) if isinstance(v, Layer) else v for k, v in layer._arguments.items()}
    return type(layer)(**{**arguments, "trainable": layer.trainable, "dtype": layer.dtype, **changes})


class RNN(CheckedLayer):
    """A cell, step by step: `(batch, steps, ...) -> (batch, size)`, or `(batch, steps, size)` with `return_sequences`.

    A cell is a layer with `state_size` (a number, or one for each state) whose `call(inputs, states)` returns
    the output and the new states. `initial_state` is a list of states, zeros if not given. With `return_state`
    the result is a tuple of the output and the last states. With `go_backwards` it goes from the last step to the first,
    and returns its outputs in that order. Steps where `mask` (batch, steps) is False are left out: the states stay,
    and the output is the one before (zeros with `zero_output_for_mask`). `unroll` changes nothing.

    >>> import symgraph as sg
    >>> sg.layers.RNN(sg.layers.LSTMCell(4), return_sequences=True).apply(sg.Input((None, 3))).shape
    (None, None, 4)
    """

    min_ndim = 3

    def __init__(
            self, cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
            stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.cell = layer_from(cell)
        if not (callable(getattr(self.cell, "call", None)) and hasattr(self.cell, "state_size")):
            raise self.error(f"a cell needs call(inputs, states) and state_size, got {cell!r}")
        if stateful:
            raise self.error("stateful: this version keeps no states between calls; use return_state, and give the "
                             "states back as initial_state")
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask

    def build(self, input_shape: Any) -> None:
        with layer_scope(self.cell.name):
            if not self.cell.built:
                self.cell.build((input_shape[0], *input_shape[2:]))
                self.cell.built = True

    def get_initial_state(self, batch_size: object) -> list[Operand]:
        """The first states, zeros unless the cell says others."""
        if hasattr(self.cell, "get_initial_state"):
            found = self.cell.get_initial_state(batch_size)
            return list(found) if isinstance(found, list | tuple) else [found]
        size = self.cell.state_size
        return [zeros((batch_size, *(n if isinstance(n, list | tuple) else (n,))), self.dtype)
                for n in (size if isinstance(size, list | tuple) else (size,))]

    def call(self, sequences: Operand, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if initial_state is not None:
            initial_state = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
            size = self.cell.state_size
            count = len(size) if isinstance(size, list | tuple) else 1
            if len(initial_state) != count:
                raise self.error(f"initial_state must be {count} states, got {len(initial_state)}")
        cell = self.cell
        if training and isinstance(cell, RecurrentCell):
            x_mask, h_mask = cell.draw_masks(sequences, is_sequence=True)
            sequences = sequences if x_mask is None else multiply(sequences, x_mask)
            cell.masks = (None, h_mask)
        try:
            ys, last, states = self.run(sequences, initial_state, mask, training)
        finally:
            if isinstance(cell, RecurrentCell):
                cell.masks = None
        output = ys if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def run(self, x: Operand, initial: list[Operand] | None, mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        """All outputs `(batch, steps, size)`, the last one, and the last states, step by step (ONNX Scan)."""
        start = self.get_initial_state(dimension(x, 0)) if initial is None else initial
        rows = swapaxes(x, 0, 1)
        if mask is not None:
            return self._masked(rows, start, expand_dims(swapaxes(cast(mask, "bool"), 0, 1), -1), training)

        def step(states: Any, row: Any) -> tuple[Any, Any]:
            y, new = self.cell(row, list(states), training=training)
            return tuple(new) if isinstance(new, list | tuple) else (new,), y

        states, ys = scan(step, tuple(start), rows, reverse=self.go_backwards)
        return self._ordered(ys), ys[0 if self.go_backwards else -1], list(states)

    def _masked(self, rows: Operand, start: list[Operand], mask: Operand, training: bool) -> tuple[Any, Any, list[Any]]:
        first, _ = self.cell(rows[0], list(start), training=training)
        nothing = multiply(first, 0.0)

        def step(carry: Any, row: Any) -> tuple[Any, Any]:
            (before, states), (x, is_there) = carry, row
            y, new = self.cell(x, list(states), training=training)
            new = new if isinstance(new, list | tuple) else (new,)
            kept = tuple(where(is_there, a, b) for a, b in zip(new, states, strict=True))
            y, held = where(is_there, y, nothing), where(is_there, y, before)
            return (held, kept), y if self.zero_output_for_mask else held

        (last, states), ys = scan(step, (nothing, tuple(start)), (rows, mask), reverse=self.go_backwards)
        return self._ordered(ys), last, list(states)

    def _ordered(self, ys: Operand) -> Operand:
        ys = swapaxes(ys, 0, 1)
        return flip(ys, axis=1) if self.go_backwards else ys
