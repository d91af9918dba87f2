"""RNN: a cell applied along the steps of a sequence, and how a recurrent operator of ONNX does the same at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.scope import layer_scope
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.layer import Layer
from symgraph.layers.lookup import deserialize
from symgraph.layers.masking import as_step_mask, warn_user
from symgraph.layers.recurrent_cells import RecurrentCell
from symgraph.ops.creation import zeros
from symgraph.ops.indexing import choose
from symgraph.ops.loops import scan
from symgraph.ops.rearranging import flip
from symgraph.ops.shape import expand_dims, swapaxes
from symgraph.ops.sizes import dimension

__all__ = ["RNN", "StackedRNNCells", "clone", "layer_from"]


def layer_from(config: object, dtype: object = None) -> Any:
    """A layer as it is, or of its configuration: class name and arguments. `dtype` is for one that says none."""
    if not isinstance(config, Mapping):
        return config
    if dtype is None or (config.get("config") or {}).get("dtype"):
        return deserialize(config)
    return deserialize({**config, "config": {**(config.get("config") or {}), "dtype": dtype}})


def clone(layer: Layer, **changes: Any) -> Any:
    """A new layer of the same arguments but these; layers among the arguments are made anew as well."""
    arguments = {k: _anew(v) for k, v in layer._arguments.items()}
    return type(layer)(**{**arguments, "trainable": layer.trainable, "dtype": layer.dtype_policy, **changes})


def _anew(argument: Any) -> Any:
    if isinstance(argument, list | tuple):
        return type(argument)(_anew(each) for each in argument)
    return clone(argument) if isinstance(argument, Layer) else argument


def is_cell(layer: object) -> bool:
    """Whether this is a layer that says which states it has."""
    return isinstance(layer, Layer) and hasattr(layer, "state_size")


def sizes_of(cell: Any) -> list[Any]:
    """The size of each state of a cell."""
    size = cell.state_size
    return list(size) if isinstance(size, list | tuple) else [size]


class StackedRNNCells(Layer):
    """Cells one on the other: each takes what the one below puts out.

    The states are those of the cells, one after the other in one list.

    >>> import symgraph as sg
    >>> cells = [sg.layers.LSTMCell(4), sg.layers.GRUCell(5)]
    >>> sg.layers.RNN(sg.layers.StackedRNNCells(cells)).apply(sg.Input((None, 3))).shape
    (None, 5)
    """

    def __init__(self, cells: Any, **options: Any) -> None:
        super().__init__(**options)
        self.cells = [layer_from(cell, self.dtype_policy) for cell in cells]
        for cell in self.cells:
            if not is_cell(cell):
                raise self.error(f"a cell is a layer with call(inputs, states) and state_size, got {cell!r}")

    @property
    def state_size(self) -> list[Any]:
        """The sizes of all states."""
        return [size for cell in self.cells for size in sizes_of(cell)]

    @property
    def output_size(self) -> Any:
        """The size of the last output."""
        return getattr(self.cells[-1], "output_size", sizes_of(self.cells[-1])[0])

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            with layer_scope(cell.name):
                if not cell.built:
                    cell.build(input_shape)
                    cell.built = True
            input_shape = (input_shape[0], getattr(cell, "output_size", sizes_of(cell)[0]))

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """The output of the last cell and the new states of all."""
        found: list[Any] = []
        rest = list(states)
        for cell in self.cells:
            count = len(sizes_of(cell))
            inputs, new = cell(inputs, rest[:count], training=training)
            found += new if isinstance(new, list | tuple) else [new]
            rest = rest[count:]
        return inputs, found


class RNN(CheckedLayer):
    """A cell, step by step: `(batch, steps, ...) -> (batch, size)`, or `(batch, steps, size)` with `return_sequences`.

    A cell is a layer with `state_size` (a number, or one for each state) whose `call(inputs, states)` returns
    the output and the new states; several cells are stacked. `initial_state` is a list of states, zeros if not
    given. With `return_state` the result is a tuple of the output and the last states. With `go_backwards` it
    goes from the last step to the first, and returns its outputs in that order. `unroll` changes nothing.

    Steps where the mask (batch, steps) is False are left out: the states stay, and the output is the one before, zeros
    where there is none or with `zero_output_for_mask`. The mask is that of the sequences, or `mask` if given. As in
    Keras 3, where `initial_state` is given the sequences' own mask is not used: give it as `mask=x.mask`. With
    `return_sequences` the outputs carry the mask on.

    >>> import symgraph as sg
    >>> sg.layers.RNN(sg.layers.LSTMCell(4), return_sequences=True).apply(sg.Input((None, 3))).shape
    (None, None, 4)
    """

    min_ndim = 3
    supports_masking = True

    def __init__(
            self, cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
            stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.cell = (StackedRNNCells(cell, dtype=self.dtype_policy) if isinstance(cell, list | tuple)
                     else layer_from(cell, self.dtype_policy))
        if not is_cell(self.cell):
            raise self.error(f"a cell is a layer with call(inputs, states) and state_size, got {cell!r}")
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
        return [zeros((batch_size, *(n if isinstance(n, list | tuple) else (n,))), self.compute_dtype)
                for n in sizes_of(self.cell)]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """That of the sequences with `return_sequences`, else None; None for each state."""
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        return [mask, *(None for _ in sizes_of(self.cell))] if self.return_state else mask

    def call(self, sequences: Operand, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if initial_state is not None:
            initial_state = flatten(initial_state)
            count = len(sizes_of(self.cell))
            if len(initial_state) != count:
                raise self.error(f"initial_state must be {count} states, got {len(initial_state)}")
        if mask is not None:
            mask = as_step_mask(self, mask, sequences)
        elif initial_state is not None and sequences.mask is not None:
            warn_user(f'layer "{self.name}" ({type(self).__name__}): with initial_state the mask that the sequences '
                      "carry is not used, as in Keras 3; give mask=x.mask to use it")
        cells = [cell for cell, _ in self.cell._walk_layers() if isinstance(cell, RecurrentCell)]
        for cell in cells if training else ():
            cell.masks = cell.draw_masks(sequences)
        try:
            ys, last, states = self.run(sequences, initial_state, mask, training)
        finally:
            for cell in cells:
                cell.masks = None
        output = ys if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def run(self, x: Operand, initial: list[Operand] | None, mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        """All outputs `(batch, steps, size)`, the last one, and the last states, step by step (ONNX Scan)."""
        start = self.get_initial_state(dimension(x, 0)) if initial is None else initial
        rows = swapaxes(x, 0, 1)
        if mask is not None:
            return self._masked(rows, start, mask, training)

        def step(states: Any, row: Any) -> tuple[Any, Any]:
            y, new = self.cell(row, list(states), training=training)
            return tuple(new) if isinstance(new, list | tuple) else (new,), y

        states, ys = scan(step, tuple(start), rows, reverse=self.go_backwards)
        return self._ordered(swapaxes(ys, 0, 1)), ys[0 if self.go_backwards else -1], list(states)

    def _masked(self, rows: Operand, start: list[Operand], mask: Operand, training: bool) -> tuple[Any, Any, list[Any]]:
        mask_rows = swapaxes(mask, 0, 1)
        kept_rows = choose(expand_dims(mask_rows, tuple(range(2, rows.ndim))), rows, 0)  # others may hold anything
        first, _ = self.cell(kept_rows[0], list(start), training=training)
        nothing = zeros((dimension(rows, 1), *(dimension(first, i) for i in range(1, first.ndim))), first.dtype)

        def step(carry: Any, row: Any) -> tuple[Any, Any]:
            (before, states), (x, is_there) = carry, row
            y, new = self.cell(x, list(states), training=training)
            new = new if isinstance(new, list | tuple) else (new,)
            kept = tuple(_where(is_there, a, b) for a, b in zip(new, states, strict=True))
            held = _where(is_there, y, before)
            return (held, kept), _where(is_there, y, nothing) if self.zero_output_for_mask else held

        (last, states), ys = scan(step, (nothing, tuple(start)), (kept_rows, mask_rows), reverse=self.go_backwards)
        return self._ordered(swapaxes(ys, 0, 1)), self._last(last, mask), list(states)

    def _last(self, y: Operand, mask: Operand) -> Operand:
        """The output at the step reached last: `y`, or 0 where that step is left out and its output 0."""
        if not self.zero_output_for_mask:
            return y
        return _where(mask[:, 0 if self.go_backwards else -1], y, 0)

    def _ordered(self, ys: Operand) -> Operand:
        """`(batch, steps, ...)` in the order in which the steps were gone through."""
        return flip(ys, axis=1) if self.go_backwards else ys


def _where(is_there: Operand, y: Operand, otherwise: Any) -> Operand:
    """`where` for a condition `(batch,)` on whole examples."""
    return choose(expand_dims(is_there, tuple(range(1, y.ndim))), y, otherwise)
