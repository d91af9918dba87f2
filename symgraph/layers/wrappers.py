"""Layers around a layer: both ways along a sequence, and the same at every step."""

from __future__ import annotations

from typing import Any

from symgraph.core.scope import layer_scope
from symgraph.core.structure import flatten
from symgraph.core.tensor import Operand
from symgraph.layers.checked import CheckedLayer
from symgraph.layers.layer import Layer, takes_mask
from symgraph.layers.masking import as_step_mask
from symgraph.layers.rnn import RNN, clone, layer_from
from symgraph.ops.arithmetic import add, multiply
from symgraph.ops.casting import cast
from symgraph.ops.joining import concat
from symgraph.ops.rearranging import flip
from symgraph.ops.shape import reshape
from symgraph.ops.sizes import dimension

__all__ = ["Bidirectional", "TimeDistributed"]

MERGE_MODES = ("concat", "sum", "mul", "ave")


class Bidirectional(CheckedLayer):
    """A recurrent layer forwards, and one backwards: the outputs of both, merged along the last axis by default.

    The layer and, where none is given, the one backwards are made anew from the arguments of `layer`. With `merge_mode`
    None both outputs are returned, the one forwards first. `initial_state` has the states of the layer forwards, then
    those of the one backwards; with `return_state` the last states follow the outputs so.

    Masks are as in `RNN`; with `return_sequences` the outputs at steps left out are 0.

    Source: Schuster and Paliwal 1997

    >>> import symgraph as sg
    >>> sg.layers.Bidirectional(sg.layers.LSTM(4)).apply(sg.Input((None, 3))).shape
    (None, 8)
    """

    min_ndim = 3

    def __init__(self, layer: Any, merge_mode: str | None = "concat", weights: Any = None, backward_layer: Any = None,
                 **options: Any) -> None:
        super().__init__(**options)
        forward, backward = (layer_from(each, self.dtype_policy) for each in (layer, backward_layer))
        for each in (forward, *([] if backward is None else [backward])):
            if not isinstance(each, RNN):
                raise self.error(f"needs recurrent layers, got {each!r}")
        self.merge_mode = None if merge_mode is None else self.one_of("merge_mode", merge_mode, MERGE_MODES)
        name = forward.name.removeprefix("forward_")
        self.forward_layer: RNN = clone(forward, name=f"forward_{name}")
        if backward is None:
            backward = clone(forward, name=f"backward_{name}", go_backwards=not forward.go_backwards)
        self.backward_layer: RNN = backward
        for option in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, option) != getattr(backward, option):
                raise self.error(f"{option} of both layers must be the same")
        if forward.go_backwards == backward.go_backwards:
            raise self.error("go_backwards of both layers must differ")
        for each in (self.forward_layer, self.backward_layer):
            each.zero_output_for_mask = each.return_sequences
        self._given = weights

    def build(self, input_shape: Any) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            with layer_scope(layer.name):
                layer.build(input_shape)
        if self._given is not None:
            self.set_weights(self._given)
            self._given = None

    @property
    def stateful(self) -> bool:
        """Whether both layers keep their states from call to call."""
        return self.forward_layer.stateful

    def reset_state(self) -> None:
        """Let the next call start from the first states again, with `stateful`."""
        for layer in (self.forward_layer, self.backward_layer):
            layer.reset_state()

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def call(self, sequences: Operand, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if initial_state is not None and (not isinstance(initial_state, list | tuple) or len(initial_state) % 2):
            got = len(initial_state) if isinstance(initial_state, list | tuple) else "one tensor"
            raise self.error("initial_state is a list, with as many states for the layer forwards as for the one "
                             f"backwards; got {got}")
        half = len(initial_state) // 2 if initial_state is not None else 0
        states = (None, None) if initial_state is None else (initial_state[:half], initial_state[half:])
        found = [layer(sequences, initial_state=state, mask=mask, training=training) for layer, state in zip(
            (self.forward_layer, self.backward_layer), states, strict=True)]
        lasts: list[Any] = []
        if self.forward_layer.return_state:
            lasts, found = [*found[0][1:], *found[1][1:]], [each[0] for each in found]
        y, back = (cast(each, self.compute_dtype) for each in found)
        if self.forward_layer.return_sequences:
            back = flip(back, axis=1)
        outputs = [y, back] if self.merge_mode is None else [self._merged(y, back)]
        return (*outputs, *lasts) if len(outputs) + len(lasts) > 1 else outputs[0]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """That of the sequences, for each output, with `return_sequences`; else None."""
        mask = flatten(previous_mask)[0] if self.forward_layer.return_sequences else None
        return mask if self.merge_mode is not None else [mask, mask]

    def _merged(self, y: Operand, back: Operand) -> Operand:
        if self.merge_mode == "concat":
            return concat([y, back], axis=-1)
        if self.merge_mode == "mul":
            return multiply(y, back)
        total = add(y, back)
        return total if self.merge_mode == "sum" else multiply(total, 0.5)

    def get_config(self) -> dict[str, Any]:
        """The arguments without `weights`, which are not configuration."""
        return {k: v for k, v in super().get_config().items() if k != "weights"}


class TimeDistributed(CheckedLayer):
    """A layer at every step, with the same weights: `(batch, steps, ...) -> (batch, steps, ...)`.

    All steps are one batch to the layer, so what a layer computes over the batch while training it computes over
    the steps as well. A mask (batch, steps, ...) goes to a layer that takes one, as (batch * steps, ...), and is handed
    on.

    >>> import symgraph as sg
    >>> sg.layers.TimeDistributed(sg.layers.Conv2D(4, 3)).apply(sg.Input((None, 9, 9, 3))).shape
    (None, None, 7, 7, 4)
    """

    min_ndim = 3
    supports_masking = True

    def __init__(self, layer: Any, **options: Any) -> None:
        super().__init__(**options)
        self.layer: Layer = layer_from(layer, self.dtype_policy)
        if not isinstance(self.layer, Layer):
            raise self.error(f"needs a layer, got {layer!r}")

    def call(self, inputs: Operand, mask: Any = None) -> Any:
        options = {}
        if mask is not None:
            mask = as_step_mask(self, mask, inputs, is_whole=False)
            if takes_mask(self.layer):
                options["mask"] = _folded(mask)
        y = self.layer(_folded(inputs), **options)
        after = tuple(dimension(y, i) for i in range(1, y.ndim))
        return reshape(y, (dimension(inputs, 0), dimension(inputs, 1), *after))


def _folded(x: Operand) -> Operand:
    """`(batch * steps, ...)`."""
    return reshape(x, (-1, *(dimension(x, i) for i in range(2, x.ndim))))
