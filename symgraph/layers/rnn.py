"""RNN: a cell applied along the steps of a sequence, and how a recurrent operator of ONNX does the same at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from symgraph.core.scope import current_layer, current_trace, layer_scope, warn_user
from symgraph.core.structure import flatten, map_structure
from symgraph.core.tensor import Operand
from symgraph.core.types import TensorType, format_dims
from symgraph.core.variable import Variable
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.layer import Layer
from symgraph.layers.lookup import deserialize
from symgraph.layers.masking import as_step_mask
from symgraph.layers.recurrent_cells import RecurrentCell
from symgraph.ops.casting import cast
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
    """The size of each state of a cell, those of stacked cells one after the other."""
    if isinstance(cell, StackedRNNCells):
        return [size for each in cell.cells for size in sizes_of(each)]
    size = cell.state_size
    return list(size) if isinstance(size, list | tuple) else [size]


def by_cell(cell: Any, states: list[Any]) -> list[Any]:
    """The states of a cell; those of stacked cells in a list for each."""
    if not isinstance(cell, StackedRNNCells):
        return states
    parts, rest = [], states
    for each in cell.cells:
        count = len(sizes_of(each))
        parts.append(by_cell(each, rest[:count]))
        rest = rest[count:]
    return parts


def first_states(cell: Any, batch_size: object) -> list[Any]:
    """The states that a cell starts with, zeros unless it says others."""
    if hasattr(cell, "get_initial_state"):
        found = cell.get_initial_state(batch_size)
        return list(found) if isinstance(found, list | tuple) else [found]
    return [zeros((batch_size, *(n if isinstance(n, list | tuple) else (n,))), cell.compute_dtype)
            for n in sizes_of(cell)]


class StackedRNNCells(Layer):
    """Cells one on the other: each takes what the one below puts out.

    The states are a list with the states of each cell.

    >>> import symgraph as sg
    >>> cells = [sg.layers.LSTMCell(4), sg.layers.GRUCell(5)]
    >>> sg.layers.RNN(sg.layers.StackedRNNCells(cells)).apply(sg.Input((None, 3))).shape
    (None, 5)
    """

    def __init__(self, cells: Any, **options: Any) -> None:
        super().__init__(**options)
        self.cells = [layer_from(cell, self.dtype_policy) for cell in cells]
        if not self.cells:
            raise self.error("needs at least one cell, got none")
        for cell in self.cells:
            if not is_cell(cell):
                raise self.error(f"a cell is a layer with call(inputs, states) and state_size, got {cell!r}")

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

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

    def get_initial_state(self, batch_size: object) -> list[Any]:
        """The first states of each cell."""
        return [first_states(cell, batch_size) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """The output of the last cell and the new states of all."""
        found: list[Any] = []
        for cell, own in zip(self.cells, by_cell(self, flatten(states)), strict=True):
            inputs, new = cell(inputs, own, training=training)
            found.append(list(new) if isinstance(new, list | tuple) else [new])
        return inputs, found


class RNN(CheckedLayer):
    """A cell, step by step: `(batch, steps, ...) -> (batch, size)`, or `(batch, steps, size)` with `return_sequences`.

    A cell is a layer with `state_size` (a number, or one for each state) whose `call(inputs, states)` returns
    the output and the new states; several cells are stacked. `initial_state` is a list of states, zeros if not
    given. With `return_state` the result is a tuple of the output and the last states, of stacked cells a list for
    each. With `go_backwards` it goes from the last step to the first, and returns its outputs in that order. `unroll`
    changes nothing.

    With `stateful` the states in which a call ends are those in which the next one starts, in training, prediction and
    eager mode: `states`, variables of a batch whose size must be known (`Input(batch_shape=...)`), which are none of
    the weights. Sample i of a batch goes on where sample i of the batch before ended, so `fit` is to be given
    `shuffle=False`. `reset_state` starts them anew.

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

    states: list[Any] | None = None
    """With `stateful` the present states, nested as `get_initial_state` gives them, once the layer is built."""

    def __init__(
            self, cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
            stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.cell = (StackedRNNCells(cell, dtype=self.dtype_policy) if isinstance(cell, list | tuple)
                     else layer_from(cell, self.dtype_policy))
        if not is_cell(self.cell):
            raise self.error(f"a cell is a layer with call(inputs, states) and state_size, got {cell!r}")
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
        if isinstance(self.cell, RecurrentCell):
            self.axes = self.cell.axes
        if self.stateful:
            self._make_states(input_shape[0])

    def get_initial_state(self, batch_size: object) -> list[Any]:
        """The first states, zeros unless the cell says others; of stacked cells a list for each."""
        return first_states(self.cell, batch_size)

    def reset_state(self) -> None:
        """Let the next call start from the first states again, with `stateful`."""
        if self.states is not None:
            size = flatten(self.states)[0].shape[0]
            for state, first in zip(flatten(self.states), flatten(self.get_initial_state(size)), strict=True):
                state.assign(cast(first, state.dtype))

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def _make_states(self, batch_size: object) -> None:
        if self.states is not None:
            return self.reset_state()
        if not isinstance(batch_size, int):
            raise self.error("stateful: the size of the batches must be known; give the input one, as in "
                             "Input(batch_shape=(2, None, 3)), or call the layer on a batch first")
        name = "/".join((*(current_layer() or (self.name,)), "rnn_state"))
        states = map_structure(lambda first: Variable(first, dtype=self.variable_dtype, trainable=False, name=name),
                               self.get_initial_state(batch_size))
        object.__setattr__(self, "states", states)  # past the place where a layer's variables become its weights

    def _present_states(self, sequences: Operand) -> list[Operand]:
        """The states that are kept, for a batch of these sequences. A model that is not done yet may leave open how
        many they are."""
        states: list[Variable] = flatten(self.states)
        size, given, trace = states[0].shape[0], sequences.shape[0], current_trace()
        is_open = not isinstance(given, int) and trace is not None and trace.is_definition
        if given != size and not is_open:
            raise self.error(f"stateful: it keeps the states of a batch of {size}, and got one of "
                             f"{given if isinstance(given, int) else 'unknown size'}; give it only batches of {size}, "
                             f"with batch_size={size} and a number of samples that is a multiple of it")
        return [cast(state.latest(), self.compute_dtype) for state in states]

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
            self._check_states(sequences, initial_state)
        kept = self._present_states(sequences) if self.stateful else None
        if mask is not None:
            mask = as_step_mask(self, mask, sequences)
        elif initial_state is not None and sequences.mask is not None:
            warn_user(f'layer "{self.name}" ({type(self).__name__}): with initial_state the mask that the sequences '
                      "carry is not used, as in Keras 3; give mask=x.mask to use it")
        cells = [cell for cell, _ in self.cell._walk_layers() if isinstance(cell, RecurrentCell)]
        for cell in cells if training else ():
            cell.masks = cell.draw_masks(sequences)
        try:
            ys, last, states = self.run(sequences, kept if initial_state is None else initial_state, mask, training)
        finally:
            for cell in cells:
                cell.masks = None
        if self.stateful:
            for kept_state, state in zip(flatten(self.states), states, strict=True):
                kept_state.assign(cast(state, kept_state.dtype))
        output = ys if self.return_sequences else last
        return (output, *by_cell(self.cell, states)) if self.return_state else output

    def _check_states(self, sequences: Operand, states: list[Any]) -> None:
        for state, size in zip(states, sizes_of(self.cell), strict=True):
            wanted = (sequences.shape[0], *(size if isinstance(size, list | tuple) else (size,)))
            shape = state.type.shape if isinstance(state, Operand) and isinstance(state.type, TensorType) else None
            if shape is not None and (len(shape) != len(wanted) or any(
                    isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(shape, wanted, strict=True))):
                raise self.error(f"expects an initial_state of shape ({format_dims(wanted)}), got {state.type}")

    def run(self, x: Operand, initial: list[Operand] | None, mask: Any, training: bool) -> tuple[Any, Any, list[Any]]:
        """All outputs `(batch, steps, size)`, the last one, and the last states, step by step (ONNX Scan)."""
        start = flatten(self.get_initial_state(dimension(x, 0))) if initial is None else initial
        rows = swapaxes(x, 0, 1)
        if mask is not None:
            return self._masked(rows, start, mask, training)

        def step(states: Any, row: Any) -> tuple[Any, Any]:
            y, new = self.cell(row, list(states), training=training)
            return tuple(flatten(new)), y

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
            kept = tuple(_where(is_there, a, b) for a, b in zip(flatten(new), states, strict=True))
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
